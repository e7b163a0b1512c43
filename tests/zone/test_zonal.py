"""Names for topology zones: option `zonal`, section 1.18."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clusterdns.cluster.events import Upsert
from clusterdns.cluster.model import EndpointSlice, Object, Port
from clusterdns.cluster.selection import Selection
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.view import ZoneOptions
from tests.zone.sample import HTTP, alias, ask, endpoint, index_of, members, options, service

HEADLESS = "hdls.shop.svc.cluster.local."


def west(*places: str) -> EndpointSlice:
    """A slice of 172.0.0.1 and so on; places: the topology zone of each."""
    found = [endpoint(f"172.0.0.{n}", "", "", place) for n, place in enumerate(places, 1)]
    return members("hdls", found, HTTP)


CLUSTER: list[Object] = [
    service("hdls"),
    west("us-west-2a", "us-west-2b", "US-West-2b", "rack.7.east", ""),
    members("hdls", [endpoint("fd00::6", "six", "", "us-west-2b")], HTTP, suffix="6"),
    service("clstr", "10.0.0.1", HTTP),
    members("clstr", [endpoint("172.0.1.1", "", "", "us-west-2a")], HTTP),
    alias("outside", "example.org"),
    service("empty"),
]


@pytest.fixture(scope="module")
def answer() -> Callable[..., str]:
    return answers(zonal=True)


def answers(*things: Object, synced: bool = True, **given: Any) -> Callable[..., str]:
    """Asks for a name below shop.svc.cluster.local."""
    selection = Selection(topology_zones=True)
    index = index_of(things or CLUSTER, synced=synced, selection=selection)
    lookup = Lookup(index, replace(options(), **given))
    return lambda name, qtype="A": ask(lookup, f"{name}.shop.svc.cluster.local.", qtype)


def a(name: str, *last: int) -> str:
    return "\n".join(f"{name}.shop.svc.cluster.local. 5 A 172.0.0.{n}" for n in last)


def srv(weight: int, *hosts: str) -> set[str]:
    return {f"SRV 0 {weight} 80 {host}.{HEADLESS}" for host in hosts}


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("us-west-2a.pin._zone.hdls", (1,)),
        ("us-west-2b.pin._zone.hdls", (2, 3)),
        ("US-WEST-2B.Pin._Zone.hdls", (2, 3)),
        ("rack.7.east.pin._zone.hdls", (4,)),
        ("us-west-2a.prefer._zone.hdls", (1,)),
        ("us-west-2c.prefer._zone.hdls", (1, 2, 3, 4, 5)),
        ("7.east.prefer._zone.hdls", (1, 2, 3, 4, 5)),
    ],
)
def test_addresses(answer: Callable[..., str], name: str, last: tuple[int, ...]) -> None:
    assert answer(name) == a(name, *last)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("us-west-2c.pin._zone.hdls", "NODATA"),  # drained and mistyped zones are alike
        ("x.pin._zone.empty", "NODATA"),
        ("x.prefer._zone.empty", "NODATA"),
        ("us-west-2a.pin._zone.ghost", "NXDOMAIN"),
        ("us-west-2a.florp._zone.hdls", "NXDOMAIN"),
        ("us-west-2a.pin._zones.hdls", "NXDOMAIN"),
        ("us-west-2a.pin._zone.clstr", "NXDOMAIN"),  # its cluster IP is in no topology zone
        ("us-west-2a.prefer._zone.clstr", "NXDOMAIN"),
        ("us-west-2a.pin._zone.outside", "NXDOMAIN"),
        ("us-west-2a.pin._zone.x.hdls", "NXDOMAIN"),
        # D2: there are names below these, RFC 4592 section 2.2.2
        ("pin._zone.hdls", "NODATA"),
        ("prefer._zone.hdls", "NODATA"),
        ("_zone.hdls", "NODATA"),
        ("florp._zone.hdls", "NXDOMAIN"),
        ("_zone.clstr", "NXDOMAIN"),
        ("pin._zone.clstr", "NXDOMAIN"),
        ("pin._zone.outside", "NXDOMAIN"),
    ],
)
@pytest.mark.parametrize("qtype", ["A", "AAAA", "SRV", "TXT", "HTTPS"])
def test_existence(answer: Callable[..., str], name: str, expected: str, qtype: str) -> None:
    assert answer(name, qtype) == expected


@pytest.mark.parametrize("qtype", ["TXT", "MX", "HTTPS", "SOA"])
@pytest.mark.parametrize("word", ["pin", "prefer"])
def test_other_types(answer: Callable[..., str], word: str, qtype: str) -> None:
    assert answer(f"us-west-2a.{word}._zone.hdls", qtype) == "NODATA"


def test_other_family(answer: Callable[..., str]) -> None:
    name = "us-west-2b.pin._zone.hdls"
    assert answer(name, "AAAA") == f"{name}.shop.svc.cluster.local. 5 AAAA fd00::6"
    assert answer("us-west-2a.pin._zone.hdls", "AAAA") == "NODATA"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("us-west-2b.pin._zone.hdls", srv(33, "172-0-0-2", "172-0-0-3", "six")),
        (
            "us-west-2c.prefer._zone.hdls",
            srv(16, *(f"172-0-0-{n}" for n in range(1, 6)), "six"),
        ),
    ],
)
def test_srv_leads_to_the_ordinary_names(
    answer: Callable[..., str], name: str, expected: set[str]
) -> None:
    lines = answer(name, "SRV").splitlines()
    owner = f"{name}.shop.svc.cluster.local. 5 "
    assert {line.removeprefix(owner) for line in lines if line.startswith(owner)} == expected
    glue = {line.split()[1] for line in lines if line.startswith("+ ")}
    assert glue == {line.split()[4] for line in expected}


def test_without_the_option() -> None:
    answer = answers()
    for name in ("us-west-2a.pin._zone.hdls", "pin._zone.hdls", "_zone.hdls"):
        assert answer(name) == "NXDOMAIN"
    ports = answers(service("web", "10.0.0.1", Port("pin", 80)))
    assert ports("_pin._tcp.web") == "_pin._tcp.web.shop.svc.cluster.local. 5 A 10.0.0.1"


def test_namespace_that_is_not_exposed() -> None:
    answer = answers(zonal=True, namespaces=frozenset({"bank"}))
    assert answer("us-west-2a.pin._zone.hdls") == "NXDOMAIN"


def test_before_everything_is_known() -> None:
    """D13: an endpoint there may still be listed."""
    answer = answers(zonal=True, synced=False)
    assert answer("us-west-2a.pin._zone.hdls") == a("us-west-2a.pin._zone.hdls", 1)
    assert answer("us-west-2c.pin._zone.hdls") == "SERVFAIL"
    assert answer("pin._zone.hdls") == "NODATA"


def test_a_move_to_another_zone_touches_the_service() -> None:
    """A finished answer rests on the Service's key, and so does NODATA."""
    index = index_of([service("hdls"), west("a")], selection=Selection(topology_zones=True))
    lookup = Lookup(index, ZoneOptions(options().zones, zonal=True))
    labels = (b"b", b"pin", b"_zone", b"hdls", b"shop", b"svc", b"cluster", b"local")
    touched = index.apply(Upsert(west("b")), 1_700_000_001)
    assert touched & lookup.find(labels, 1).keys  # type: ignore[union-attr]  # a NotOurs fails too
    assert index.serial == 1_700_000_001
