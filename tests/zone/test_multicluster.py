"""Zones of several clusters: section 1.17, by CoreDNS's table and beyond."""

from dataclasses import replace as changed

import dns.rdatatype
import pytest
from msgspec.structs import replace

from clusterdns.cluster.events import Delete, Upsert
from clusterdns.cluster.model import (
    Endpoint,
    EndpointSlice,
    Namespace,
    Object,
    Port,
    ServiceImport,
)
from clusterdns.cluster.selection import Selection
from clusterdns.zone.found import NotOurs
from clusterdns.zone.index import Index
from clusterdns.zone.lookup import Lookup
from tests.zone.sample import HTTP, ask, endpoint, index_of, ip, ips, labels, options, service, zone

SET = "clusterset.local."
BASE = f"hdls1.testns.svc.{SET}"
SERIAL = 1_700_000_000
MULTI = Selection(multicluster=True)


def piece(
    name: str, cluster: str, endpoints: list[Endpoint], *ports: Port, suffix: str = "1"
) -> EndpointSlice:
    """A slice of the ServiceImport, NAME-SUFFIX."""
    full = f"{name}-{suffix}"
    return EndpointSlice.pack("testns", full, "", ports, endpoints, 0, name, cluster)


CLUSTER: list[Object] = [
    Namespace("testns"),
    ServiceImport("testns", "svc1", ips("10.0.0.1"), (HTTP, Port("dns", 53, "udp"))),
    piece("svc1", "cluster1", [endpoint("172.0.9.1", "ep")], HTTP),
    ServiceImport("testns", "hdls1", (), (HTTP,)),
    piece(
        "hdls1",
        "cluster1",
        [
            endpoint("172.0.0.2"),
            endpoint("172.0.0.3"),
            endpoint("172.0.0.4", "dup-name"),
            endpoint("172.0.0.5", "dup-name"),
            endpoint("5678:abcd::1"),
            endpoint("5678:abcd::2"),
        ],
        HTTP,
    ),
    ServiceImport("testns", "hdlsprtls"),
    piece("hdlsprtls", "cluster1", [endpoint("172.0.0.20")]),
    ServiceImport("testns", "spread", (), (HTTP,)),
    piece("spread", "East", [endpoint("172.1.0.1", "db-0")], HTTP),
    piece("spread", "west", [endpoint("172.2.0.1", "db-0")], HTTP, suffix="2"),
    piece("spread", "", [endpoint("172.3.0.1", "stray")], HTTP, suffix="3"),
    replace(service("only-here", "10.0.0.9", HTTP), namespace="testns"),
]
ZONES = changed(options("cluster.local clusterset.local in-addr.arpa"), multicluster=(zone(SET),))
LOOKUP = Lookup(index_of(CLUSTER, selection=MULTI), ZONES)


def srv(weight: int, *hosts: str) -> set[str]:
    return {f"_http._tcp.{BASE} 5 SRV 0 {weight} 80 {host}.cluster1.{BASE}" for host in hosts}


def test_srv_of_a_headless_import() -> None:
    lines = ask(LOOKUP, f"_http._tcp.{BASE}", "SRV").splitlines()
    hosts = ("172-0-0-2", "172-0-0-3", "5678-abcd--1", "5678-abcd--2", "dup-name")
    assert {line for line in lines if not line.startswith("+")} == srv(16, *hosts)
    assert len([line for line in lines if line.startswith("+")]) == 6


CASES = [  # the other eight of multiclusterDnsTestCases, as A or AAAA and the last words
    (BASE, "A", ["172.0.0.2", "172.0.0.3", "172.0.0.4", "172.0.0.5"]),
    (f"5678-abcd--2.cluster1.{BASE}", "AAAA", ["5678:abcd::2"]),
    (f"5678-abcd--1.cluster1.{BASE}", "AAAA", ["5678:abcd::1"]),
    (f"172-0-0-20.cluster1.hdlsprtls.testns.svc.{SET}", "A", ["172.0.0.20"]),
    (f"5678-abcd--1.{BASE}", "AAAA", ["NXDOMAIN"]),
    (f"172-0-0-2.cluster1.{BASE}", "A", ["172.0.0.2"]),
    (f"172-0-0-3.cluster1.{BASE}", "A", ["172.0.0.3"]),
    (f"dup-name.cluster1.{BASE}", "A", ["172.0.0.4", "172.0.0.5"]),
    # ClusterSetIP
    (f"svc1.testns.svc.{SET}", "A", ["10.0.0.1"]),
    (f"_dns._udp.svc1.testns.svc.{SET}", "A", ["10.0.0.1"]),
    (f"ep.cluster1.svc1.testns.svc.{SET}", "A", ["172.0.9.1"]),
    # two labels are endpoint and cluster, unless one has an underscore
    (f"http.tcp.svc1.testns.svc.{SET}", "A", ["NXDOMAIN"]),
    (f"http._tcp.svc1.testns.svc.{SET}", "A", ["10.0.0.1"]),
    (f"_http.tcp.svc1.testns.svc.{SET}", "A", ["10.0.0.1"]),
    ("http.tcp.only-here.testns.svc.cluster.local.", "A", ["10.0.0.9"]),
    # each cluster has its endpoints
    (f"spread.testns.svc.{SET}", "A", ["172.1.0.1", "172.2.0.1", "172.3.0.1"]),
    (f"db-0.east.spread.testns.svc.{SET}", "A", ["172.1.0.1"]),
    (f"DB-0.West.spread.testns.svc.{SET}", "A", ["172.2.0.1"]),
    (f"db-0.north.spread.testns.svc.{SET}", "A", ["NXDOMAIN"]),
    (f"stray.spread.testns.svc.{SET}", "A", ["172.3.0.1"]),
    (f"east.spread.testns.svc.{SET}", "A", ["NODATA"]),  # D2
    (f"_tcp.{BASE}", "A", ["NODATA"]),  # D2
    (f"tcp.cluster1.{BASE}", "A", ["NXDOMAIN"]),
    # what is of one cluster, and what of several
    (f"only-here.testns.svc.{SET}", "A", ["NXDOMAIN"]),
    ("svc1.testns.svc.cluster.local.", "A", ["NXDOMAIN"]),
    ("hdls1.testns.svc.cluster.local.", "A", ["NXDOMAIN"]),
    (f"svc1.nope.svc.{SET}", "A", ["NXDOMAIN"]),
    (f"testns.svc.{SET}", "A", ["NODATA"]),
    ("1.0.0.10.in-addr.arpa.", "PTR", ["NXDOMAIN"]),
    ("2.0.0.172.in-addr.arpa.", "PTR", ["NXDOMAIN"]),
]


@pytest.mark.parametrize(("name", "qtype", "expected"), CASES)
def test_names(name: str, qtype: str, expected: list[str]) -> None:
    assert [line.split()[-1] for line in ask(LOOKUP, name, qtype).splitlines()] == expected


def test_no_topology_zones() -> None:
    lookup = Lookup(index_of(CLUSTER, selection=MULTI), changed(ZONES, zonal=True))
    for name in ("x.pin._zone", "pin._zone", "_zone"):
        assert ask(lookup, f"{name}.{BASE}", "A") == "NXDOMAIN"


def test_options_that_take_away() -> None:
    index = index_of(CLUSTER[:2] + CLUSTER[3:], selection=MULTI)
    lookup = Lookup(index, changed(ZONES, ignore_empty=True, noendpoints=True))
    assert ask(lookup, f"svc1.testns.svc.{SET}", "A") == "NXDOMAIN"
    assert ask(lookup, f"dup-name.cluster1.{BASE}", "AAAA") == "NODATA"
    hidden = Lookup(index, changed(ZONES, namespaces=frozenset({"other"})))
    assert ask(hidden, BASE, "A") == "NXDOMAIN"


def soa_serial(index: Index, name: str) -> int:
    return int(ask(Lookup(index, ZONES), name, "SOA").split()[5])


def test_serials() -> None:
    """5.5: only updates of imports and their slices move that of zones of several clusters."""
    index = index_of(CLUSTER, selection=MULTI)
    assert (soa_serial(index, SET), soa_serial(index, "cluster.local.")) == (0, SERIAL)
    assert Lookup(index, ZONES).serial(zone("ClusterSet.LOCAL")) == 0
    updated = ServiceImport("testns", "svc1", ips("10.0.0.2"), (HTTP,))
    assert index.apply(Upsert(updated), SERIAL + 5) == {("import", "testns", "svc1")}
    assert (soa_serial(index, SET), soa_serial(index, "cluster.local.")) == (SERIAL + 5, SERIAL)
    moved = piece("hdls1", "cluster2", [endpoint("172.0.0.2")], HTTP)
    assert index.apply(Upsert(moved), SERIAL + 6) == {("import", "testns", "hdls1")}
    assert index.apply(Upsert(moved), SERIAL + 7) == set()
    assert (soa_serial(index, SET), soa_serial(index, "cluster.local.")) == (SERIAL + 6, SERIAL)
    gone = Delete("ServiceImport", "testns", "svc1")
    assert index.apply(gone, SERIAL + 8) == {("import", "testns", "svc1")}
    assert (soa_serial(index, SET), soa_serial(index, "cluster.local.")) == (SERIAL + 6, SERIAL + 8)


@pytest.mark.parametrize("name", [f"svc1.testns.svc.{SET}", BASE, f"x.cluster1.{BASE}"])
def test_answers_rest_on_the_import(name: str) -> None:
    found = LOOKUP.find(labels(name), dns.rdatatype.A)
    assert not isinstance(found, NotOurs)
    assert ("import", "testns", name.split(".testns")[0].split(".")[-1]) in found.keys


def test_nothing_is_left_behind() -> None:
    index, fresh = index_of(CLUSTER, selection=MULTI), index_of([], selection=MULTI)
    assert len(index.objects()) == len(CLUSTER)
    for thing in CLUSTER:
        kind = type(thing).__name__
        namespace = "" if isinstance(thing, Namespace) else thing.namespace
        index.apply(Delete(kind, namespace, thing.name), 1)  # type: ignore[arg-type]  # as named
    index.apply(Upsert(Namespace("shop")), 1)
    assert index.objects() == fresh.objects()
    assert index.imported_slices("testns", "hdls1") == ()
    assert index.owners(ip("172.0.0.2")) == ()
