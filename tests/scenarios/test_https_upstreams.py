"""DNS over HTTPS to upstreams, in a whole server: what waits for it, what follows, how it ends."""

import asyncio
from pathlib import Path

import pytest

from clusterdns.app import server as app_server
from tests.beside import until
from tests.plugins.forward.http2_server import Exchange, doh2
from tests.plugins.forward.stubs import ADDRESS, HOST, reply, upstream, with_address
from tests.plugins.forward.test_https import doh, said
from tests.plugins.forward.test_streams import CA
from tests.scenarios.asking import answer
from tests.scenarios.servers import started
from tests.scenarios.test_reload import Reloaded

OTHER = "192.0.2.8"
COREFILE = """\
.:0 {{
    bind 127.0.0.1
    errors
    {more}
    forward . https://127.0.0.1:{port} {{
        {ca}
        {options}
    }}
    {behind}
}}
"""


def corefile(port: int, more: str = "", options: str = "", behind: str = "") -> str:
    return COREFILE.format(port=port, ca=CA, more=more, options=options, behind=behind)


@pytest.mark.parametrize(
    "more", ["", "cache 30", "log\nmetadata", "rewrite name old.test new.test"]
)
async def test_answers(tmp_path: Path, more: str) -> None:
    async with doh() as server, started(tmp_path, corefile=corefile(server.port, more)) as ours:
        for tcp in (False, True):
            asks = [answer(ours.at, f"n{n}.test", tcp=tcp) for n in range(20)]
            assert await asyncio.gather(*asks) == [ADDRESS] * 20


async def test_the_next_forward_is_asked_behind_it(tmp_path: Path) -> None:
    """Its query goes on inside of what brought the first reply, and waits once more."""
    async with (
        doh(lambda asked: said(reply(asked, rcode=3))) as server,
        upstream(with_address("192.0.2.7")) as second,
    ):
        behind = f"forward . {HOST}:{second.port}"
        text = corefile(server.port, "cache 30", "next NXDOMAIN", behind)
        async with started(tmp_path, corefile=text) as ours:
            for tcp in (False, True):
                asks = [answer(ours.at, f"{tcp}{n}.test", tcp=tcp) for n in range(20)]
                assert await asyncio.gather(*asks) == ["192.0.2.7"] * 20
            assert len(second.asked) == 40


async def test_failover_to_another_one(tmp_path: Path) -> None:
    async with (
        doh(lambda asked: said(reply(asked, rcode=2))) as first,
        doh() as second,
    ):
        text = corefile(first.port, "", "policy sequential\nfailover SERVFAIL")
        text = text.replace(f":{first.port}", f":{first.port} https://{HOST}:{second.port}")
        async with started(tmp_path, corefile=text) as ours:
            assert await answer(ours.at, "a.test") == ADDRESS
    assert len(first.asked) == len(second.asked) == 1


async def test_a_reload_takes_another_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the first was asked before is answered, too."""
    caplog.set_level("INFO", "clusterdns")
    async with (
        doh() as first,
        doh(lambda asked: said(reply(asked, f"{asked.name} 30 IN A {OTHER}"))) as other,
        started(tmp_path, corefile=corefile(first.port)) as ours,
    ):
        server = Reloaded(ours, tmp_path, caplog)
        assert await answer(ours.at, "a.test") == ADDRESS
        first.gate.clear()
        waiting = asyncio.create_task(answer(ours.at, "b.test"))
        await until(lambda: len(first.asked) == 2)
        await server.to(corefile(other.port))
        assert await answer(ours.at, "c.test") == OTHER
        first.gate.set()
        assert await waiting in {ADDRESS, OTHER}
    assert len(first.asked) == 2


async def test_a_reload_while_http2_is_busy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first was asked before is answered, too; then nothing is left of its connection."""
    caplog.set_level("INFO", "clusterdns")
    monkeypatch.setattr(app_server, "QUERY_TIME_S", 0.5)  # then it is told to end
    async with (
        doh2() as first,
        doh2(lambda asked: said(reply(asked, f"{asked.name} 30 IN A {OTHER}"))) as other,
        started(tmp_path, corefile=corefile(first.port)) as ours,
    ):
        server = Reloaded(ours, tmp_path, caplog)
        assert await answer(ours.at, "a.test") == ADDRESS
        held: list[Exchange] = []
        first.take = held.append
        waiting = [asyncio.create_task(answer(ours.at, f"b{n}.test")) for n in range(20)]
        await until(lambda: len(held) == 20)
        await server.to(corefile(other.port))
        assert await answer(ours.at, "c.test") == OTHER
        for each in held:
            each.answer()
        assert set(await asyncio.gather(*waiting)) <= {ADDRESS, OTHER}
        await until(lambda: not first.open)
    assert len(first.asked) == 21


@pytest.mark.parametrize("version", [1, 2])
async def test_the_end_with_queries_under_way(tmp_path: Path, version: int) -> None:
    """They are answered, and no connection is left for the upstream to wait for."""
    async with doh2() as server, doh() as plain:
        port = server.port if version == 2 else plain.port
        async with started(tmp_path, corefile=corefile(port)) as ours:
            assert await answer(ours.at, "a.test") == ADDRESS
            plain.gate.clear()
            held: list[Exchange] = []
            server.take = held.append
            waiting = [asyncio.create_task(answer(ours.at, f"b{n}.test")) for n in range(20)]
            await until(lambda: len(held) + len(plain.asked[1:]) == 20)
            ours.app.lifecycle.stop()
            await asyncio.sleep(0)
            for each in held:
                each.answer()
            plain.gate.set()
            assert await asyncio.gather(*waiting) == [ADDRESS] * 20
        await until(lambda: not server.open)
