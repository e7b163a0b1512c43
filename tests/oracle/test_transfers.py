"""Whole zones, asked of CoreDNS and of clusterdns (section 1.19)."""

import asyncio
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.corner_cases import corner_cases
from tests.objects import random_cluster
from tests.oracle.answers import UNREADABLE
from tests.oracle.asking import Question
from tests.oracle.comparing import answers, both
from tests.oracle.servers import clusterdns_command, coredns_command, needs_coredns, running
from tests.plugins.primary import master
from tests.ports import free_port
from tests.scenarios.asking import becomes

pytestmark = needs_coredns

Z = "cluster.local."
PATIENCE_S = 10.0  # a busy machine may need seconds for a whole zone
SOA, IXFR, AXFR = 6, 251, 252


class Copy(NamedTuple):
    """What came for one question: records as text without serials, in their order."""

    rcode: str
    records: list[str]
    serial: int = 0

    def said(self) -> tuple[str, Counter[str]]:
        return self.rcode, Counter(self.records)


async def copied(
    port: int, name: str, qtype: int = AXFR, serial: int | None = None, host: str = "127.0.0.1"
) -> Copy:
    """The answer to AXFR or IXFR. serial: that the client has; None: it tells none."""
    asked = dns.message.make_query(name, dns.rdatatype.RdataType(qtype), flags=0)
    if serial is not None:
        told = dns.rrset.from_text(name, 0, "IN", "SOA", f". . {serial} 0 0 0 0")
        asked.authority.append(told)
    octets = asked.to_wire()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    writer.write(struct.pack("!H", len(octets)) + octets)
    found: list[dns.rrset.RRset] = []
    rcode = "NOERROR"
    try:
        async with asyncio.timeout(PATIENCE_S):
            while sum(each.rdtype == SOA for each in found) < 2:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                message = dns.message.from_wire(
                    await reader.readexactly(size), one_rr_per_rrset=True
                )
                assert message.id == asked.id
                rcode = dns.rcode.to_text(message.rcode())
                found += message.answer
                if not message.answer or (len(found) == 1 and qtype == IXFR):
                    break
    finally:
        writer.close()
    return Copy(rcode, [_text(each) for each in found], _serial(found))


def _serial(found: Sequence[dns.rrset.RRset]) -> int:
    return int(found[0][0].serial) if found and found[0].rdtype == SOA else 0


def _text(rrset: dns.rrset.RRset) -> str:
    if rrset.rdtype == SOA:
        rrset = dns.rrset.from_rdata(rrset.name, rrset.ttl, rrset[0].replace(serial=0))
    return rrset.to_text()


ZONE = """\
$TTL 300
@ SOA ns.example.org. admin.example.org. 7 3600 600 86400 60
@ NS ns
@ NS ns.example.net.
@ MX 10 mail
@ TXT "v=spf1 -all" "second"
z.y A 10.0.0.8
ns A 10.0.0.1
ns AAAA fd00::1
Mail 60 A 10.0.0.2
*.w CNAME mail
sub NS ns.sub
ns.sub A 10.0.0.5
d DNAME example.net.
_x._tcp SRV 0 0 5060 mail
"""
SERVED = f"""\
    transfer {{
        to *
    }}
    transfer denied.{Z} {{
        to 127.0.0.9
    }}"""


def corefile(options: str, bind: str, zone: Path | None, api_url: str, ready_port: int) -> str:
    file = f"file {zone} example.org" if zone else ""
    return f""". {{
    {bind}
    ready 127.0.0.1:{ready_port}
    errors
{SERVED}
    kubernetes cluster.local in-addr.arpa {{
        endpoint {api_url}
        {options}
    }}
    {file}
}}
"""


LOOPBACK = "bind 127.0.0.1"
VARIANTS = {
    "plain": ("", LOOPBACK),
    "ttl": ("ttl 0", LOOPBACK),
    "local addresses": ("ttl 30", ""),
    "pod names": ("endpoint_pod_names", LOOPBACK),
    "no endpoints": ("noendpoints", LOOPBACK),
    "namespaces": ("namespaces shop kube-system nowhere", LOOPBACK),
    "labels": ("labels track in (blue)", LOOPBACK),
    "zonal, pods": ("zonal\n pods insecure", LOOPBACK),
}


@pytest.mark.parametrize(("options", "bind"), VARIANTS.values(), ids=VARIANTS)
async def test_cluster(options: str, bind: str, tmp_path: Path, met: Counter[str]) -> None:
    text = partial(corefile, options, bind, None)
    async with both(text, corner_cases(), tmp_path) as ports:
        for name in (Z, f"below.{Z}"):
            theirs, ours = [await copied(port, name) for port in ports]
            _compare(theirs, ours, name, met)
            assert len(ours.records) > 12


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_clusters(seed: int, tmp_path: Path, met: Counter[str]) -> None:
    text = partial(corefile, "", LOOPBACK, None)
    async with both(text, random_cluster(seed), tmp_path) as ports:
        theirs, ours = [await copied(port, Z) for port in ports]
    _compare(theirs, ours, Z, met)


def _compare(theirs: Copy, ours: Copy, zone: str, met: Counter[str]) -> None:
    """The same records, each once, in the same order of Services."""
    met["questions"] += 1
    assert theirs.rcode == ours.rcode == "NOERROR"
    assert theirs.records[0] == ours.records[0] == ours.records[-1]
    assert len(set(ours.records)) == len(ours.records) - 1, "nothing but the SOA record twice"
    assert not set(ours.records) - set(theirs.records)
    rules = Counter(map(_rule, set(theirs.records) - set(ours.records)))
    assert "" not in rules, set(theirs.records) - set(ours.records)
    met.update(rules)
    assert _names(ours, zone) == _names(theirs, zone)


def _rule(record: str) -> str:
    """Why CoreDNS has it and clusterdns has not; "" for no reason."""
    if " SRV 0 100 65535 " in record:
        return "a port that is none"
    return "D14" if " AAAA fe80:" in record else ""


def _names(copy: Copy, zone: str) -> list[str]:
    """The names of Services in their order; namespaces have none, in CoreDNS."""
    owners = [record.split()[0] for record in copy.records]
    found = [owner.removesuffix(f".svc.{zone}").split(".") for owner in owners]
    return list(dict.fromkeys(labels[-2] for labels in found if len(labels) > 1))


async def test_file(tmp_path: Path, met: Counter[str]) -> None:
    zone = tmp_path / "db"
    zone.write_text(ZONE)
    async with both(partial(corefile, "", LOOPBACK, zone), corner_cases(), tmp_path) as ports:
        theirs, ours = [await copied(port, "example.org.") for port in ports]
    met["questions"] += 1
    assert theirs.said() == ours.said()
    assert len(ours.records) == 15
    assert _owners(theirs) == _owners(ours)
    assert [record.split()[3] for record in ours.records[:3]] == ["SOA", "NS", "NS"]


def _owners(copy: Copy) -> list[str]:
    return list(dict.fromkeys(record.split()[0] for record in copy.records))


async def test_what_else_is_said(tmp_path: Path, met: Counter[str]) -> None:
    """Rcodes and the number of records for IXFR, other clients, and zones that are none."""
    zone = tmp_path / "db"
    zone.write_text(ZONE)
    async with both(partial(corefile, "", LOOPBACK, zone), corner_cases(), tmp_path) as ports:
        differences = []
        for name, qtype, serial, host in _others():
            said = []
            for port in ports:
                whole = await copied(port, Z)
                number = whole.serial if serial == CURRENT else serial
                copy = await copied(port, name, qtype, number, host)
                said.append((copy.rcode, len(set(copy.records)) > 1, len(copy.records) == 1))
            met["questions"] += 1
            if said[0] != said[1]:
                differences.append(f"{name} {qtype} {serial} {host}: {said}")
    assert not differences, "\n".join(differences)


CURRENT = -1


def _others() -> Iterator[tuple[str, int, int | None, str]]:
    """Name, type, serial and client."""
    ours, other = "127.0.0.1", "127.0.0.9"
    for serial in (CURRENT, 1, 4_000_000_000, None):
        yield Z, IXFR, serial, ours
    for serial in (7, 6, 8, 0, None):
        yield "example.org.", IXFR, serial, ours
    for host in (ours, other):
        yield f"denied.{Z}", AXFR, None, host
        yield f"denied.{Z}", IXFR, 1, host
    yield "a.example.org.", AXFR, None, ours


async def test_over_udp(tmp_path: Path) -> None:
    async with both(partial(corefile, "", LOOPBACK, None), corner_cases(), tmp_path) as ports:
        for name in (Z, "example.net."):
            for qtype in ("AXFR", "IXFR"):
                asked = dns.message.make_query(name, qtype)
                for port in ports:
                    reply = await dns.asyncquery.udp(asked, "127.0.0.1", PATIENCE_S, port)
                    assert reply.rcode() == dns.rcode.REFUSED


FETCHED = """\
*.w 300 CNAME a
mx 300 MX 10 a
sub 300 NS ns.sub
ns.sub 300 A 10.0.0.5
x.y 300 TXT "deep"
"""


async def test_secondary(tmp_path: Path, met: Counter[str]) -> None:
    """Both fetch a zone, hand it on and answer from it; what else is in replies is `file`'s."""
    names = ["", "a.", "b.", "x.w.", "mx.", "q.sub.", "sub.", "y.", "x.y.", "ns.sub."]
    types = [1, 2, 5, SOA, 15, 16, 28]
    asked = [Question(f"{n}example.org.", t, tcp=True) for n in names for t in types]
    async with master() as server:
        server.more = FETCHED

        def text(api_url: str, ready_port: int) -> str:
            return f""". {{
    bind 127.0.0.1
    ready 127.0.0.1:{ready_port}
    secondary example.org {{
        transfer from 127.0.0.1:{server.port}
    }}
    transfer {{
        to *
    }}
}}
"""

        async with both(text, [], tmp_path) as ports:
            for port in ports:
                await becomes("NOERROR", partial(_rcode, port))
            theirs, ours = [await copied(port, "example.org.") for port in ports]
            assert theirs.said() == ours.said()
            (raw, _), (found, _) = [await answers(port, asked) for port in ports]
    met["questions"] += len(asked)
    differences = []
    for question in asked:
        expected, answer = raw[question] or UNREADABLE, found[question] or UNREADABLE
        if (expected.rcode, expected.answer) != (answer.rcode, answer.answer):
            differences.append(f"{question}\n  CoreDNS    {expected}\n  clusterdns {answer}")
    assert not differences, "\n".join(differences[:12])


@pytest.mark.parametrize("primary", ["coredns", "clusterdns"])
async def test_one_fetches_from_the_other(primary: str, tmp_path: Path, met: Counter[str]) -> None:
    """And comes again after NOTIFY: the SOA record says an hour."""
    zone = tmp_path / "db"
    zone.write_text(ZONE)
    ports = free_port(), free_port()
    first = f"""\
    transfer {{
        to 127.0.0.1:{ports[1]}
    }}
    file {zone} example.org {{
        reload 100ms
    }}"""
    second = f"""\
    secondary example.org {{
        transfer from 127.0.0.1:{ports[0]}
    }}
    transfer {{
        to *
    }}"""
    async with AsyncExitStack() as stack:
        for port, lines, is_first in zip(ports, (first, second), (True, False), strict=True):
            ready, path = free_port(), tmp_path / f"Corefile.{port}"
            path.write_text(f". {{\n bind 127.0.0.1\n ready 127.0.0.1:{ready}\n{lines}\n}}")
            if is_first == (primary == "coredns"):
                command = coredns_command(path, port)
            else:
                command = clusterdns_command(path, port, None)
            await stack.enter_async_context(running(command, ready, tmp_path / f"{port}.log"))
        await becomes("NOERROR", partial(_rcode, ports[1]))
        copies = [await copied(port, "example.org.") for port in ports]
        assert copies[0].said() == copies[1].said()
        zone.write_text(ZONE.replace(" 7 3600", " 8 3600").replace("10.0.0.8", "10.0.0.88"))

        async def now() -> str:
            return str((await copied(ports[1], "example.org.")).serial)

        await becomes("8", now)
    met["questions"] += 2


async def _rcode(port: int) -> str:
    return (await copied(port, "example.org.")).rcode
