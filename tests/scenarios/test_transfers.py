"""Zones handed on by a whole server, to dnspython, dig and NSD."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.opcode
import dns.rcode
import dns.xfr
import dns.zone
import pytest

from clusterdns.plugins.secondary import follower
from tests.certificates import client_context, make, make_ca, needs_openssl
from tests.corner_cases import corner_cases
from tests.nameservers import needs_nsd, nsd
from tests.plugins.test_transfer import listening
from tests.ports import free_port
from tests.scenarios.asking import At, answer, becomes, get, needs_dig, run_dig
from tests.scenarios.servers import Server, served, started, write
from tests.streams import connection

EVERYBODY = "transfer {\n to *\n}"

ZONE = """\
$TTL 300
@ SOA ns admin {serial} 3600 600 86400 60
@ NS ns
@ MX 10 Mail
ns A 10.0.0.1
Mail A 10.0.0.{serial}
*.w TXT "a" "b"
sub NS ns.sub
ns.sub A 10.0.0.5
alias CNAME www.example.net.
"""
RECORDS = """\
@ 300 IN SOA ns admin 7 3600 600 86400 60
@ 300 IN NS ns
@ 300 IN MX 10 mail
*.w 300 IN TXT "a" "b"
alias 300 IN CNAME www.example.net.
mail 300 IN A 10.0.0.7
ns 300 IN A 10.0.0.1
ns.sub 300 IN A 10.0.0.5
sub 300 IN NS ns.sub
"""


async def transferred(server: Server, name: str) -> str:
    """The zone, as dnspython has it."""
    zone = dns.zone.Zone(name)
    await dns.asyncquery.inbound_xfr(server.at.address, zone, port=server.at.port, lifetime=5)
    return zone.to_text(sorted=True, want_comments=False)


@asynccontextmanager
async def serving(folder: Path, text: str, *manifests: Path) -> AsyncIterator[Server]:
    """A server with a `file` of example.org, or these lines."""
    (folder / "db.example.org").write_text(ZONE.format(serial=7))
    corefile = f".:0 {{\n bind 127.0.0.1\n root {folder}\n {text}\n}}"
    async with started(folder, *manifests, corefile=corefile) as server:
        yield server


KINDS = {
    "file": "file db.example.org example.org",
    "auto": "auto {\n directory .\n}",
    "behind a cache and others": (
        "cache\n loadbalance\n minimal\n log\n metadata\n errors\n rewrite name a b\n"
        "file db.example.org example.org"
    ),
}


@pytest.mark.parametrize("lines", KINDS.values(), ids=KINDS)
async def test_zone(lines: str, tmp_path: Path) -> None:
    async with serving(tmp_path, f"{EVERYBODY}\n{lines}") as server:
        for _ in range(2):
            found = (await transferred(server, "example.org.")).lower()
        assert sorted(found.splitlines()) == sorted(RECORDS.lower().splitlines())


async def test_acl_decides_before(tmp_path: Path) -> None:
    acl = "acl {\n block type AXFR\n}"
    async with serving(tmp_path, f"{EVERYBODY}\n{acl}\n{KINDS['file']}") as server:
        with pytest.raises(dns.xfr.TransferError, match="REFUSED"):
            await transferred(server, "example.org.")


async def test_reversed_and_missing_zones(tmp_path: Path) -> None:
    lines = f"{EVERYBODY}\n file nothing example.net\n kubernetes cluster.local in-addr.arpa"
    manifest = write(tmp_path / "objects.yaml", [])
    async with serving(tmp_path, lines, manifest) as server:
        for zone, rcode in (
            ("example.net.", "SERVFAIL"),
            ("in-addr.arpa.", "REFUSED"),
            ("1.in-addr.ARPA.", "REFUSED"),
        ):
            with pytest.raises(dns.xfr.TransferError, match=rcode):
                await transferred(server, zone)


@needs_dig
async def test_dig(tmp_path: Path) -> None:
    async with serving(tmp_path, f"{EVERYBODY}\n{KINDS['file']}") as server:
        out = await run_dig(server.at, "example.org", "AXFR", "+noall", "+answer", "+onesoa")
    found = [line.split() for line in out.lower().splitlines()]
    assert len(found) == len(RECORDS.splitlines())
    assert ["mail.example.org.", "300", "in", "a", "10.0.0.7"] in found


FOLLOWED = {
    "file": "file db.example.org example.org {\n reload 10ms\n}",
    "auto": "auto {\n directory .\n reload 10ms\n}",
}


@pytest.mark.parametrize("kind", FOLLOWED.values(), ids=FOLLOWED)
async def test_others_are_told_at_the_start_and_of_changes(kind: str, tmp_path: Path) -> None:
    async with listening() as other:
        lines = f"transfer {{\n to 127.0.0.1:{other.port}\n}}\n{kind}"
        async with serving(tmp_path, lines):
            for serial in (8, 9):
                message, _ = await other.next()
                assert message.question[0].to_text() == "example.org. IN SOA"
                (tmp_path / "db.example.org").write_text(ZONE.format(serial=serial))


@needs_nsd
@pytest.mark.parametrize("asks", ["AXFR ", ""], ids=["AXFR", "IXFR"])
async def test_nsd_as_secondary(asks: str, tmp_path: Path) -> None:
    """A real secondary fetches the zone, and what NOTIFY tells it of."""
    folder = tmp_path / "nsd"
    folder.mkdir()
    port = free_port()
    lines = (
        f"transfer {{\n to 127.0.0.1:{port}\n}}\n"
        "file db.example.org example.org {\n reload 10ms\n}"
    )
    async with serving(tmp_path, lines) as server:
        zone = f"""\
zone:
    name: example.org
    zonefile: example.org
    request-xfr: {asks}127.0.0.1@{server.at.port} NOKEY
    allow-notify: 127.0.0.1 NOKEY
"""
        with nsd(folder, zone, port=port) as other:
            await becomes("7", lambda: other.serial("example.org"), within_s=20)
            (tmp_path / "db.example.org").write_text(ZONE.format(serial=8))
            await becomes("8", lambda: other.serial("example.org"), within_s=20)


CLUSTER = """\
.:0 {
    bind 127.0.0.1
    ready 127.0.0.1:0
    transfer {
        to *
    }
    kubernetes cluster.local {
        ttl 30
    }
}
"""


@needs_nsd
async def test_nsd_as_secondary_of_the_cluster(tmp_path: Path) -> None:
    """What it answers from its copy is what this server answers."""
    manifest = write(tmp_path / "objects.yaml", corner_cases())
    async with served(tmp_path, manifest, corefile=CLUSTER) as server:
        zone = f"""\
zone:
    name: cluster.local
    zonefile: cluster.local
    request-xfr: 127.0.0.1@{server.at.port} NOKEY
"""
        with nsd(tmp_path, zone) as other:
            there = At("127.0.0.1", other.port)
            name = "web.shop.svc.cluster.local"
            wanted = await answer(server.at, name)
            await becomes(wanted, lambda: answer(there, name), within_s=20)
            copy = dns.zone.Zone("cluster.local.", relativize=False)
            await dns.asyncquery.inbound_xfr(server.at.address, copy, port=server.at.port)
            asked = [(str(owner), "A") for owner, _ in copy.iterate_rdatasets("A")]
            asked += [(str(owner), "AAAA") for owner, _ in copy.iterate_rdatasets("AAAA")]
            asked += [(str(owner), "CNAME") for owner, _ in copy.iterate_rdatasets("CNAME")]
            assert len(asked) > 100
            for name, qtype in asked:
                said = [await answer(at, name, qtype, tcp=True) for at in (server.at, there)]
                assert said[0].lower() == said[1], f"{name} {qtype}"  # NSD keeps small letters


@asynccontextmanager
async def chained(folder: Path, more: str = "") -> AsyncIterator[tuple[Server, Server]]:
    """A server with a `file`, and another one that fetches it; the first tells the second."""
    port = free_port()
    (folder / "second").mkdir()
    lines = f"""\
    transfer {{
        to 127.0.0.1:{port}
    }}
    file db.example.org example.org {{
        reload 10ms
    }}"""
    async with serving(folder, lines) as first:
        second = f"""\
.:{port} {{
    bind 127.0.0.1
    {more}
    secondary example.org {{
        transfer from 127.0.0.1:{first.at.port}
    }}
    transfer {{
        to *
    }}
}}"""
        async with started(folder / "second", corefile=second) as other:
            yield first, other


MORE = {"alone": "", "behind others": "cache\nerrors\nlog\nmetadata\nrewrite name a mail"}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
async def test_a_change_goes_from_server_to_server(
    more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOTIFY, then AXFR, and what was kept of answers is dropped; the SOA record says an hour."""
    monkeypatch.setattr(follower, "NOTIFY_GAP", 0.05)
    async with chained(tmp_path, more) as (_, second):

        async def now() -> str:
            return await answer(second.at, "mail.example.org")

        await becomes("10.0.0.7", now)
        assert await now() == "10.0.0.7"
        (tmp_path / "db.example.org").write_text(ZONE.format(serial=8))
        await becomes("10.0.0.8", now)
        text = RECORDS.replace("admin 7", "admin 8").replace("10.0.0.7", "10.0.0.8").lower()
        found = (await transferred(second, "example.org.")).lower()
        assert sorted(found.splitlines()) == sorted(text.splitlines())


async def test_acl_decides_about_notify_too(tmp_path: Path) -> None:
    async with chained(tmp_path, "acl {\n block type SOA\n}") as (_, second):
        asked = dns.message.make_query("example.org", "SOA", flags=0)
        asked.set_opcode(dns.opcode.NOTIFY)
        reply = await dns.asyncquery.udp(asked, second.at.address, 5.0, second.at.port)
        assert (reply.rcode(), reply.opcode()) == (dns.rcode.REFUSED, dns.opcode.NOTIFY)


async def test_notify_is_refused_where_nobody_takes_it(tmp_path: Path) -> None:
    """D28."""
    async with serving(tmp_path, "file db.example.org example.org") as server:
        asked = dns.message.make_query("example.org", "SOA", flags=0)
        asked.set_opcode(dns.opcode.NOTIFY)
        reply = await dns.asyncquery.udp(asked, server.at.address, 5.0, server.at.port)
        assert (reply.rcode(), reply.answer) == (dns.rcode.REFUSED, [])


async def test_a_reload_keeps_what_was_fetched(tmp_path: Path) -> None:
    async with chained(tmp_path) as (first, second):

        async def now() -> str:
            return await answer(second.at, "mail.example.org")

        await becomes("10.0.0.7", now)
        first.app.lifecycle.stop()
        corefile = tmp_path / "second" / "Corefile"
        corefile.write_text(
            corefile.read_text().replace("bind 127.0.0.1", "bind 127.0.0.1\nerrors")
        )
        before = second.app.configuration
        second.app._reloader.tell()
        for _ in range(500):
            if second.app.configuration is not before:
                break
            await asyncio.sleep(0.01)
        assert second.app.configuration is not before
        assert await now() == "10.0.0.7"


@needs_openssl
async def test_over_tls(tmp_path: Path) -> None:
    """RFC 9103 section 7: the same over TLS."""
    make_ca(tmp_path)
    make(tmp_path, "tls")
    (tmp_path / "db.example.org").write_text(ZONE.format(serial=7))
    corefile = f"""\
tls://.:0 {{
    bind 127.0.0.1
    root {tmp_path}
    tls tls.crt tls.key
    {EVERYBODY}
    file db.example.org example.org
}}"""
    async with started(tmp_path, corefile=corefile) as server:
        context = client_context(tmp_path)
        async with connection(*server.at, ssl=context, server_hostname="localhost") as (
            reader,
            writer,
        ):
            octets = dns.message.make_query("example.org", "AXFR").to_wire()
            writer.write(len(octets).to_bytes(2, "big") + octets)
            size = int.from_bytes(await reader.readexactly(2), "big")
            message = dns.message.from_wire(await reader.readexactly(size), xfr=True)
    assert sum(map(len, message.answer)) == len(RECORDS.splitlines()) + 1


async def test_transfers_are_counted(tmp_path: Path) -> None:
    """One reply, of all of its octets."""
    lines = f"prometheus 127.0.0.1:0\n{EVERYBODY}\nfile db.example.org example.org"
    async with serving(tmp_path, lines) as server:
        await transferred(server, "example.org.")
        _, text = await get(server.app.configuration.metrics[0].port, "/metrics")
    ours = f'server="dns://127.0.0.1:{server.at.port}"'  # other tests have counted, too
    counts = [line for line in text.splitlines() if "responses_total{" in line and ours in line]
    assert [line.rpartition(" ")[2] for line in counts if 'rcode="NOERROR"' in line] == ["1.0"]
