"""Directives in a whole server, where several parts must work together."""

import os
from functools import partial
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message

from tests.scenarios.asking import answer, ask, becomes, get
from tests.scenarios.servers import started


async def test_hosts_drops_finished_answers_when_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 a.example.org")
    os.utime(path, (1, 1))
    corefile = f".:0 {{\n bind 127.0.0.1\n hosts {path} {{\n  reload 10ms\n }}\n}}\n"
    async with started(tmp_path, corefile=corefile) as server:
        now = partial(answer, server.at, "a.example.org")
        assert await now() == await now() == "10.0.0.1"
        assert await answer(server.at, "b.example.org") == "SERVFAIL"
        assert server.hits == 1
        path.write_text("10.0.0.2 a.example.org b.example.org")
        await becomes("10.0.0.2", now)
        assert await answer(server.at, "b.example.org") == "10.0.0.2"


async def test_bufsize_cuts_what_the_client_could_take(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("".join([f"10.0.0.{number} many\n" for number in range(60)]))
    corefile = f".:0 {{\n bind 127.0.0.1\n bufsize 600\n hosts {path}\n}}\n"
    async with started(tmp_path, corefile=corefile) as server:
        for _ in range(2):  # from the plugins, and as a finished answer
            asked = dns.message.make_query("many", "A", use_edns=0, payload=4096)
            reply = await dns.asyncquery.udp(asked, server.at.address, 5.0, server.at.port)
            assert reply.flags & dns.flags.TC
            assert len(reply.to_wire()) <= 600
            assert reply.payload == 600
        assert len((await ask(server.at, "many", tcp=True)).answer[0]) == 60
        assert server.hits == 1


async def test_nsid_is_for_those_who_ask(tmp_path: Path) -> None:
    corefile = ".:0 {\n bind 127.0.0.1\n nsid me\n local\n}\n"
    wanted = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    async with started(tmp_path, corefile=corefile) as server:
        for expected in ([b"me"], []) * 2:
            options: list[dns.edns.Option] = [wanted] if expected else []
            asked = dns.message.make_query("localhost", "A", use_edns=0, options=options)
            reply = await dns.asyncquery.udp(asked, server.at.address, 5.0, server.at.port)
            assert [option.to_wire() for option in reply.options] == expected


async def test_views_with_one_zone_answer_by_what_is_asked(tmp_path: Path) -> None:
    corefile = """\
.:0 {
    bind 127.0.0.1
    view tcp {
        expr proto() == 'tcp'
    }
    hosts /nonexistent {
        10.0.0.1 a
    }
}
.:0 {
    bind 127.0.0.1
    acl {
        block type MX
    }
    hosts /nonexistent {
        10.0.0.2 a
    }
}
"""
    async with started(tmp_path, corefile=corefile) as server:
        for _ in range(2):
            assert await answer(server.at, "a", tcp=True) == "10.0.0.1"
            assert await answer(server.at, "a") == "10.0.0.2"
            assert await answer(server.at, "a", "MX") == "REFUSED"
            assert await answer(server.at, "a", "MX", tcp=True) == "NODATA"
        assert server.hits == 0


async def test_pprof_has_its_pages(tmp_path: Path) -> None:
    corefile = ".:0 {\n bind 127.0.0.1\n pprof 127.0.0.1:0\n whoami\n}\n"
    async with started(tmp_path, corefile=corefile) as server:
        page = server.app.configuration.pprof[0]
        status, body = await get(page.port, "/debug/pprof/")
        assert (status, body.startswith("clusterdns")) == (200, True)
