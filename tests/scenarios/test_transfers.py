"""Zones handed on by a whole server, to dnspython, dig and NSD."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.xfr
import dns.zone
import pytest

from tests.oracle.servers import free_port
from tests.plugins import nsd
from tests.plugins.nsd import NEEDS_NSD
from tests.plugins.test_transfer import listening
from tests.scenarios.asking import becomes, needs_dig, run_dig
from tests.scenarios.servers import Server, started, write

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


async def test_others_are_told_at_the_start_and_of_changes(tmp_path: Path) -> None:
    async with listening() as other:
        lines = (
            f"transfer {{\n to 127.0.0.1:{other.port}\n}}\n"
            "file db.example.org example.org {\n reload 10ms\n}"
        )
        async with serving(tmp_path, lines):
            for serial in (8, 9):
                message, _ = await other.next()
                assert message.question[0].to_text() == "example.org. IN SOA"
                (tmp_path / "db.example.org").write_text(ZONE.format(serial=serial))


@NEEDS_NSD
async def test_nsd_as_secondary(tmp_path: Path) -> None:
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
    request-xfr: AXFR 127.0.0.1@{server.at.port} NOKEY
    allow-notify: 127.0.0.1 NOKEY
"""
        async with nsd.running(folder, zone, port) as other:
            await becomes("7", lambda: serial_of(other), within_s=20)
            (tmp_path / "db.example.org").write_text(ZONE.format(serial=8))
            await becomes("8", lambda: serial_of(other), within_s=20)


async def serial_of(other: nsd.Nsd) -> str:
    return str(await other.serial("example.org"))
