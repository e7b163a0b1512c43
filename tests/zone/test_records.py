"""Names at the limits of RFC 1035 section 2.3.4, and objects that no API server would take."""

import pytest
from dnslib import DNSLabel

from clusterdns.cluster.model import Object, Port
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.records import below, domain_name, soa
from tests.zone.sample import ask, endpoint, index_of, master_lines, members, options, service, zone

LABEL = "x" * 63
NAMES = {
    "a name": ("www.Example.com", (b"www", b"Example", b"com")),
    "absolute": ("www.example.com.", (b"www", b"example", b"com")),
    "one label": ("host", (b"host",)),
    "63 octets": (LABEL, (LABEL.encode(),)),
    "64 octets": (f"{LABEL}x", None),
    "255 octets": (f"{LABEL}.{LABEL}.{LABEL}.{LABEL[:61]}", (b"x" * 63,) * 3 + (b"x" * 61,)),
    "256 octets": (f"{LABEL}.{LABEL}.{LABEL}.{LABEL[:62]}", None),
    "nothing": ("", None),
    "the root": (".", None),
    "an empty label": ("a..b", None),
    "a dot in front": (".a", None),
    "not ASCII": ("bücher.example", None),
}


@pytest.mark.parametrize(("text", "expected"), NAMES.values(), ids=NAMES)
def test_domain_name(text: str, expected: tuple[bytes, ...] | None) -> None:
    found = domain_name(text)
    assert (found.label if found else None) == expected


def test_below_counts_the_zone_too() -> None:
    apex = DNSLabel((b"x" * 63,) * 3)
    assert below(apex, "a" * 61) is not None
    assert below(apex, "a" * 62) is None


def test_soa_is_spelled_as_the_zone_was_asked() -> None:
    expected = (
        "CLUSTER.local. 300 SOA ns.dns.CLUSTER.local. hostmaster.CLUSTER.local. "
        "7 7200 1800 86400 900"
    )
    assert master_lines([soa(zone("CLUSTER.local"), 900, 7)]) == [expected]


def test_a_target_that_is_no_name_is_left_out() -> None:
    things: list[Object] = [
        service("db"),
        members(
            "db",
            [endpoint("10.1.0.1", "x" * 64), endpoint("10.1.0.2", "ok")],
            Port("sql", 5432),
        ),
    ]
    lookup = Lookup(index_of(things), options())
    owner = "db.shop.svc.cluster.local."
    assert ask(lookup, owner, "A") == f"{owner} 5 A 10.1.0.1\n{owner} 5 A 10.1.0.2"
    assert (
        ask(lookup, owner, "SRV")
        == f"{owner} 5 SRV 0 100 5432 ok.{owner}\n+ ok.{owner} 5 A 10.1.0.2"
    )
    assert ask(lookup, "1.0.1.10.in-addr.arpa", "PTR") == "NXDOMAIN"


@pytest.mark.parametrize("number", [-1, 65536])
def test_a_port_that_is_none_has_no_srv_record(number: int) -> None:
    lookup = Lookup(index_of([service("web", "10.3.0.1", Port("http", number))]), options())
    assert ask(lookup, "web.shop.svc.cluster.local", "SRV") == "NODATA"
