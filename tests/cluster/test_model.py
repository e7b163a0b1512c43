"""Addresses as the API server takes them, and slices packed and unpacked."""

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster.model import (
    Address,
    Endpoint,
    EndpointSlice,
    Port,
    address_text,
    parse_address,
)

TEXTS = {
    "IPv4": ("10.1.2.3", "10.1.2.3"),
    "IPv4, leading zero": ("10.01.2.3", None),
    "IPv4, octet too large": ("10.1.2.256", None),
    "IPv4, three octets": ("10.1.2", None),
    "IPv4, white space": (" 10.1.2.3", None),
    "IPv4, other digits": ("\uff110.1.2.3", None),
    "IPv6": ("fd00:1::2", "fd00:1::2"),
    "IPv6, spelled long": ("FD00:0001:0:0:0:0:0:0002", "fd00:1::2"),
    "IPv6, first of the longest runs of zeros": ("1:0:0:2:0:0:3:4", "1::2:0:0:3:4"),
    "IPv6, one zero is not shortened": ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
    "IPv6, unspecified": ("::", "::"),
    "IPv6, small, not written as IPv4": ("::1:2", "::1:2"),
    "IPv6, dotted tail": ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
    "IPv6, mapped is IPv4": ("::ffff:10.1.2.3", "10.1.2.3"),
    "IPv6, mapped in hex": ("::ffff:a01:203", "10.1.2.3"),
    "IPv6, mapped with a leading zero": ("::ffff:10.01.2.3", None),
    "IPv6, zone id": ("fe80::1%eth0", None),
    "IPv6, group of five digits": ("::00001", None),
    "IPv6, :: for nothing": ("1:2:3:4::5:6:7:8", None),
    "IPv6, two ::": ("1::2::3", None),
    "empty": ("", None),
    "a zero octet": ("10.1.2.3\0", None),
    "a lone surrogate": ("::\ud800", None),
}


@pytest.mark.parametrize(("text", "canonical"), TEXTS.values(), ids=TEXTS)
def test_parse_address(text: str, canonical: str | None) -> None:
    address = parse_address(text)
    assert (address and address_text(address)) == canonical


@given(st.ip_addresses())
def test_address_text_is_what_others_write(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    packed = parse_address(str(address))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert packed is not None
    assert address_text(packed) == str(mapped or address)


@given(st.text(string.hexdigits + ".:%", max_size=40))
def test_no_text_is_an_address_for_us_alone(text: str) -> None:
    packed = parse_address(text)
    if packed is not None:
        expected = ipaddress.ip_address(text)
        mapped = expected.ipv4_mapped if isinstance(expected, ipaddress.IPv6Address) else None
        assert packed == (mapped or expected).packed


ADDRESSES = st.one_of(
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=16, max_size=16).filter(
        lambda packed: packed[:12] != bytes(10) + b"\xff\xff"
    ),
)
LABELS = st.sampled_from(["", "db-0", "db-1"])


@st.composite
def endpoints(draw: st.DrawFn) -> Endpoint:
    address: Address = draw(ADDRESSES)
    text = address_text(address)
    spelled = draw(st.sampled_from([text, text.upper()]))
    return Endpoint(address, spelled, draw(LABELS), draw(LABELS), draw(LABELS))


@given(st.lists(endpoints(), max_size=5), st.integers(0, 3))
def test_unpacked_is_what_was_packed(ready: list[Endpoint], unready: int) -> None:
    packed = EndpointSlice.pack("shop", "tea-1", "tea", (Port("http", 80),), ready, unready)
    assert list(packed.endpoints()) == ready
    assert list(packed.each_text()) == [each.text for each in ready]
    for address in {each.address for each in ready} | {bytes(4), bytes(16)}:
        there = [each for each in ready if each.address == address]
        assert list(packed.endpoints_at(address)) == there
    assert len(packed) == len(ready)
    assert packed.each_address() == [endpoint.address for endpoint in ready]
    assert (packed.namespace, packed.service, packed.unready) == ("shop", "tea", unready)


def test_packing_keeps_nothing_that_says_nothing() -> None:
    ready = [Endpoint(bytes((10, 0, 0, last)), f"10.0.0.{last}") for last in range(100)]
    packed = EndpointSlice.pack("shop", "tea-1", "tea", (), ready)
    assert len(packed.addresses) == 400
    assert (packed.texts, packed.hostnames, packed.pods, packed.topology_zones) == ((), (), (), ())
