"""Zone names, CIDRs and IP texts; the expansions are those that CoreDNS gives."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.corefile.names import (
    host_and_port,
    parse_address,
    parse_cidr,
    reverse_zones,
    zone_labels,
    zone_name,
    zones_of,
)

NAMES = {
    ".": ".",
    "example.org": "example.org.",
    "Example.ORG.": "example.org.",
    "_tcp.a-b.0": "_tcp.a-b.0.",
    r"a\.b.c": r"a\.b.c.",
    r"a\.": r"a\..",
    r"\065\(b": r"a\(b.",
    r"a\\": r"a\\.",
    "é": r"\195\169.",
    "}": "}.",
    "foo://.": "foo://.",
    "10.0.0.0/40": "10.0.0.0/40.",
    "a" * 63: "a" * 63 + ".",
}


@pytest.mark.parametrize(("text", "expected"), NAMES.items())
def test_zone_name(text: str, expected: str) -> None:
    assert zone_name(text) == expected


NO_NAMES = {
    "": "an empty label",
    "..": "an empty label",
    ".a": "an empty label",
    "a..b": "an empty label",
    "a..": "an empty label",
    "a\\": "a backslash at its end",
    "a" * 64: "a label of more than 63 octets",
    ".".join(["a" * 49] * 5 + ["a" * 4]): "more than 255 octets",
}


@pytest.mark.parametrize(("text", "reason"), NO_NAMES.items())
def test_no_zone_name(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        zone_name(text)


def test_longest_name() -> None:
    assert len(zone_labels(".".join(["a" * 49] * 5 + ["a" * 3]))) == 6  # 255 octets


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8))
def test_a_zone_name_says_its_labels(labels: list[bytes]) -> None:
    text = ".".join("".join(f"\\{octet:03d}" for octet in label) for label in labels) or "."
    lower = tuple(label.lower() for label in labels)
    assert zone_labels(text) == lower
    assert zone_labels(zone_name(text)) == lower


@given(st.text())
def test_any_text_is_a_name_or_none(text: str) -> None:
    try:
        name = zone_name(text)
    except ValueError:
        return
    assert zone_name(name) == name


ZONES = {
    "10.0.0.0/8": ["10.in-addr.arpa."],
    "10.0.0.0/15": ["0.10.in-addr.arpa.", "1.10.in-addr.arpa."],
    "10.0.0.0/16": ["0.10.in-addr.arpa."],
    "192.168.1.1/23": ["0.168.192.in-addr.arpa.", "1.168.192.in-addr.arpa."],
    "10.129.60.0/22": [f"{i}.129.10.in-addr.arpa." for i in range(60, 64)],
    "192.168.1.0/25": [f"{i}.1.168.192.in-addr.arpa." for i in range(128)],
    "192.168.1.200/31": [f"{i}.1.168.192.in-addr.arpa." for i in (200, 201)],
    "192.168.1.7/32": ["7.1.168.192.in-addr.arpa."],
    "0.0.0.0/0": ["in-addr.arpa."],
    "128.0.0.0/1": [f"{i}.in-addr.arpa." for i in range(128, 256)],
    "2001:db8::/29": [f"{i}.b.d.0.1.0.0.2.ip6.arpa." for i in "89abcdef"],
    "2001:db8::/31": [f"{i}.b.d.0.1.0.0.2.ip6.arpa." for i in "89"],
    "2001:DB8::1/32": ["8.b.d.0.1.0.0.2.ip6.arpa."],
    "2001:db8::/112": ["0." * 20 + "8.b.d.0.1.0.0.2.ip6.arpa."],
    "2001:db8::/115": [f"{i}." + "0." * 20 + "8.b.d.0.1.0.0.2.ip6.arpa." for i in "01"],
    "2001::/0": ["ip6.arpa."],
    "10.0.0.0/08": ["10.in-addr.arpa."],
    "10.0.0.0/33": ["10.0.0.0/33."],
    "10.0.0.0/+8": ["10.0.0.0/+8."],
    "10.0.0/8": ["10.0.0/8."],
    "10.0.0.01/8": ["10.0.0.01/8."],
    "10.0.0.0": ["10.0.0.0."],
    "fe80::%eth0/64": ["fe80::%eth0/64."],
}


@pytest.mark.parametrize(("text", "expected"), ZONES.items())
def test_zones_of(text: str, expected: list[str]) -> None:
    assert zones_of(text) == expected


@pytest.mark.parametrize("text", ["::/0", "::1/128", "0::/8", "00::ffff:10.0.0.0/104"])
def test_cidr_that_starts_with_zeros(text: str) -> None:
    with pytest.raises(ValueError, match="starts with zeros"):
        zones_of(text)


def test_reverse_zones_of_no_cidr() -> None:
    with pytest.raises(ValueError, match="no CIDR: example"):
        reverse_zones("example")


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(addresses, addresses, st.integers(0, 128))
def test_reverse_zones_hold_the_network_and_nothing_else(
    inside: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address, prefix: int
) -> None:
    prefix = min(prefix, inside.max_prefixlen)
    zones = reverse_zones(f"{inside}/{prefix}")
    assert any(f"{inside.reverse_pointer}.".endswith(f".{zone}") for zone in zones) or (
        f"{inside.reverse_pointer}." in zones
    )
    if other.version == inside.version:
        in_zones = any(f".{other.reverse_pointer}.".endswith(f".{zone}") for zone in zones)
        assert in_zones == (other in ip_network(f"{inside}/{prefix}", strict=False))


ADDRESSES = {
    "10.0.0.1": "10.0.0.1",
    "::1": "::1",
    "2001:DB8:0:0::1": "2001:db8::1",
    "::ffff:10.0.0.1": "10.0.0.1",
    "64:ff9b::10.0.0.1": "64:ff9b::a00:1",
    "10.0.0.01": None,
    "10.0.0": None,
    "fe80::1%eth0": None,
    "[::1]": None,
    " ::1": None,
    "": None,
    "1": None,
}


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.items())
def test_parse_address(text: str, expected: str | None) -> None:
    assert parse_address(text) == (ip_address(expected) if expected else None)


def test_parse_cidr_keeps_the_bits_behind_the_prefix() -> None:
    assert parse_cidr("10.1.2.3/8") == (IPv4Address("10.1.2.3"), 8)
    assert parse_cidr("10.1.2.3") is None


@pytest.mark.parametrize("expected", [":53", "10.0.0.2:53", "[fd00::2]:53", "[fe80::1%eth0]:53"])
def test_host_and_port(expected: str) -> None:
    host = expected.removesuffix(":53").strip("[]")
    assert host_and_port(host, 53) == expected
