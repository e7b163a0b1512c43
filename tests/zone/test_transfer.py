"""Section 1.19: the zone as a whole."""

from collections.abc import Sequence
from typing import Any

import dns.message
import dns.rdatatype
import dns.zone
import pytest
from dnslib import DNSHeader, DNSRecord

from clusterdns.cluster.events import Upsert
from clusterdns.cluster.model import Endpoint, EndpointSlice, Namespace, Object, Port, ServiceImport
from clusterdns.cluster.selection import Selection
from clusterdns.zone.masterfile import read
from clusterdns.zone.transfer import zone_records
from clusterdns.zone.view import View
from tests.zone.sample import (
    HTTP,
    alias,
    endpoint,
    index_of,
    ip,
    ips,
    master_lines,
    members,
    options,
    service,
    zone,
)

Z = "cluster.local"
WEB = f"web.shop.svc.{Z}."
DB = f"db.shop.svc.{Z}."
SQL, ADMIN, UNNAMED = Port("SQL", 5432), Port("admin", 8080), Port("", 9)


def lines(
    things: Sequence[Object], name: str = Z, imports: bool = False, **given: Any
) -> list[str]:
    index = index_of(things, selection=Selection(pods=True, pod_names=True, multicluster=imports))
    view = View(index, options(**given))
    return master_lines(zone_records(view, zone(name), imports))


CASES: dict[str, tuple[list[Object], dict[str, Any], str]] = {
    "1.19 cluster IP, both families, one of two ports is named": (
        [service("web", "10.3.0.1 fd00::1", HTTP, UNNAMED)],
        {"ttl": 30},
        f"""\
{WEB} 30 A 10.3.0.1
{WEB} 30 AAAA fd00::1
{WEB} 30 SRV 0 100 80 {WEB}
_http._tcp.{WEB} 30 SRV 0 100 80 {WEB}
{WEB} 30 SRV 0 100 9 {WEB}""",
    ),
    "1.19 one number over two protocols": (
        [service("web", "10.3.0.1", Port("dns", 53, "udp"), Port("DNS-tcp", 53))],
        {},
        f"""\
{WEB} 5 A 10.3.0.1
{WEB} 5 SRV 0 100 53 {WEB}
_dns._udp.{WEB} 5 SRV 0 100 53 {WEB}
_dns-tcp._tcp.{WEB} 5 SRV 0 100 53 {WEB}""",
    ),
    "1.19 headless: the weight is that in the slice, unnamed ports have none": (
        [
            service("db"),
            members("db", [endpoint("10.1.0.1", "db-0"), endpoint("10.1.0.2")], SQL, UNNAMED),
            members("db", "fd00::9", SQL, suffix="2"),
        ],
        {},
        f"""\
{DB} 5 A 10.1.0.1
db-0.{DB} 5 A 10.1.0.1
_sql._tcp.{DB} 5 SRV 0 50 5432 db-0.{DB}
{DB} 5 A 10.1.0.2
10-1-0-2.{DB} 5 A 10.1.0.2
_sql._tcp.{DB} 5 SRV 0 50 5432 10-1-0-2.{DB}
{DB} 5 AAAA fd00::9
fd00--9.{DB} 5 AAAA fd00::9
_sql._tcp.{DB} 5 SRV 0 100 5432 fd00--9.{DB}""",
    ),
    "1.19 headless, many: the weight is 1 at least": (
        [service("db"), members("db", [endpoint("10.1.0.1", "a")] * 101, SQL)],
        {},
        f"{DB} 5 A 10.1.0.1\na.{DB} 5 A 10.1.0.1\n_sql._tcp.{DB} 5 SRV 0 1 5432 a.{DB}",
    ),
    "1.19 D15 an address in two slices": (
        [
            service("db"),
            members("db", "10.1.0.1 10.1.0.2", SQL),
            members("db", "10.1.0.1", SQL, suffix="2"),
        ],
        {},
        f"""\
{DB} 5 A 10.1.0.1
10-1-0-1.{DB} 5 A 10.1.0.1
_sql._tcp.{DB} 5 SRV 0 50 5432 10-1-0-1.{DB}
{DB} 5 A 10.1.0.2
10-1-0-2.{DB} 5 A 10.1.0.2
_sql._tcp.{DB} 5 SRV 0 50 5432 10-1-0-2.{DB}""",
    ),
    "1.19 headless, none ready": ([service("db"), members("db", "", SQL, unready=2)], {}, ""),
    "1.19 ports that can have no record": (
        [service("db"), members("db", "10.1.0.1", Port("x", None), Port("y", 70000))],
        {},
        f"{DB} 5 A 10.1.0.1\n10-1-0-1.{DB} 5 A 10.1.0.1",
    ),
    "1.19 ExternalName": (
        [alias("out", "www.example.com", HTTP)],
        {},
        f"out.shop.svc.{Z}. 5 CNAME www.example.com.",
    ),
    "1.19 ExternalName that is an address": ([alias("out", "10.0.0.1")], {}, ""),
    "D19 ExternalName that is no name": ([alias("out", "a..b")], {}, ""),
    "1.19 order: names, across namespaces": (
        [
            Namespace("b"),
            Namespace("a"),
            service("two", "10.0.0.2", namespace="a"),
            service("one", "10.0.0.3", namespace="b"),
            service("one", "10.0.0.1", namespace="a"),
        ],
        {},
        f"""\
one.a.svc.{Z}. 5 A 10.0.0.1
one.b.svc.{Z}. 5 A 10.0.0.3
two.a.svc.{Z}. 5 A 10.0.0.2""",
    ),
    "1.19 namespaces that are not there or not exposed": (
        [
            Namespace("a"),
            Namespace("b"),
            service("one", "10.0.0.1", namespace="a"),
            service("one", "10.0.0.2", namespace="b"),
            service("one", "10.0.0.3", namespace="c"),
        ],
        {"namespaces": frozenset("ac")},
        f"one.a.svc.{Z}. 5 A 10.0.0.1",
    ),
    "names as queries have them: endpoint_pod_names": (
        [service("db"), members("db", [endpoint("10.1.0.1", pod="db-x")])],
        {"endpoint_pod_names": True},
        f"{DB} 5 A 10.1.0.1\ndb-x.{DB} 5 A 10.1.0.1",
    ),
    "names as queries have them: noendpoints": (
        [service("db"), members("db", "10.1.0.1"), service("web", "10.3.0.1")],
        {"noendpoints": True},
        f"{WEB} 5 A 10.3.0.1",
    ),
    "names as queries have them: ignore empty_service": (
        [service("web", "10.3.0.1"), service("api", "10.3.0.2"), members("api", "10.1.0.1")],
        {"ignore_empty": True},
        f"api.shop.svc.{Z}. 5 A 10.3.0.2",
    ),
    "1.19 NS, and glue of TTL 0": (
        [service("web", "10.3.0.1")],
        {"local_addresses": ips("10.244.0.2 fd00::2"), "ttl": 30},
        f"""\
{Z}. 30 NS ns.dns.{Z}.
ns.dns.{Z}. 0 A 10.244.0.2
ns.dns.{Z}. 0 AAAA fd00::2
{WEB} 30 A 10.3.0.1""",
    ),
}


@pytest.mark.parametrize(("things", "given", "expected"), CASES.values(), ids=CASES)
def test_records(things: list[Object], given: dict[str, Any], expected: str) -> None:
    assert lines(things, **given) == expected.splitlines()


def test_a_name_below_the_zone_is_taken_for_it() -> None:
    assert lines([service("web", "10.3.0.1")], f"x.{Z}") == [f"web.shop.svc.x.{Z}. 5 A 10.3.0.1"]


def test_names_that_would_be_too_long_are_left_out() -> None:
    above = ".".join(["x" * 63] * 3)
    assert lines([service("web", "10.3.0.1"), service("w" * 63, "10.3.0.2")], above) == [
        f"web.shop.svc.{above}. 5 A 10.3.0.1"
    ]


def test_several_clusters() -> None:
    """Names of endpoints have the cluster, as those that are answered (1.17)."""
    piece = EndpointSlice.pack(
        "shop", "a-1", "", (SQL,), [endpoint("10.1.0.1", "a")], 0, "a", "east"
    )
    things: list[Object] = [
        ServiceImport("shop", "a"),
        piece,
        ServiceImport("shop", "web", (ip("10.3.0.1"),), (HTTP,)),
        service("inner", "10.96.0.1"),
    ]
    a, web = f"a.shop.svc.{Z}.", f"web.shop.svc.{Z}."
    assert lines(things, imports=True) == [
        f"{a} 5 A 10.1.0.1",
        f"a.east.{a} 5 A 10.1.0.1",
        f"_sql._tcp.{a} 5 SRV 0 100 5432 a.east.{a}",
        f"{web} 5 A 10.3.0.1",
        f"{web} 5 SRV 0 100 80 {web}",
        f"_http._tcp.{web} 5 SRV 0 100 80 {web}",
    ]


def test_it_is_of_one_moment() -> None:
    """RFC 5936 section 2.2: events that come while it is sent are not in it."""
    index = index_of([service("db"), members("db", "10.1.0.1"), service("web", "10.3.0.1")])
    records = zone_records(View(index, options()), zone(Z))
    first = next(records)
    index.apply(Upsert(service("web", "10.3.0.9")), 1_700_000_001)
    index.apply(Upsert(members("db", [Endpoint(ip("10.1.0.9"), "10.1.0.9")])), 1_700_000_001)
    index.apply(Upsert(service("late", "10.3.0.3")), 1_700_000_001)
    assert master_lines([first, *records]) == [
        f"{DB} 5 A 10.1.0.1",
        f"10-1-0-1.{DB} 5 A 10.1.0.1",
        f"{WEB} 5 A 10.3.0.1",
    ]
    assert len(lines([service("web", "10.3.0.9")])) == 1
    assert index.service("shop", "late") is not None


SIGNED = """\
$TTL 300
@ SOA ns admin 1 2 3 4 5
@ NS ns
@ RRSIG SOA 8 2 300 20300101000000 20200101000000 1 @ c2ln
@ RRSIG NS 8 2 300 20300101000000 20200101000000 1 @ c2ln
@ DNSKEY 257 3 8 a2V5
@ NSEC b.a SOA NS RRSIG DNSKEY NSEC
b.a 60 A 10.0.0.2
b.a 60 A 10.0.0.1
b.a RRSIG A 8 4 60 20300101000000 20200101000000 1 @ c2ln
b.a NSEC @ A RRSIG NSEC
Z TXT "a" "b"
sub NS ns.sub
ns.sub A 10.0.0.5
out.example.net. A 10.0.0.6
"""


def test_a_zone_file() -> None:
    """All that it has, the signatures behind what they sign; names in RFC 4034's order."""
    found = read(SIGNED, (b"example", b"org"), "db")
    whole = dns.zone.from_text(SIGNED, "example.org.", relativize=False)
    given = [found.soa, *found.records()]
    octets = bytes(DNSRecord(DNSHeader(qr=1), rr=given).pack())
    rrsets = dns.message.from_wire(octets, one_rr_per_rrset=True).answer
    expected = [(str(o).lower(), t, str(r)) for o, t, r in whole.iterate_rdatas()]
    assert sorted((str(x.name), x.ttl, str(x[0])) for x in rrsets) == sorted(expected)
    kinds = [dns.rdatatype.to_text(rrset.rdtype) for rrset in rrsets]
    assert kinds[:4] == ["SOA", "RRSIG", "NS", "RRSIG"]
    names = list(dict.fromkeys(str(rrset.name) for rrset in rrsets))
    below = ["b.a.", "sub.", "ns.sub.", "z."]
    assert names == ["example.org.", *(f"{name}example.org." for name in below)]
