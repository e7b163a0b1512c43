"""The words of master-file text: what CoreDNS takes and dnspython alone does not."""

from typing import cast

import dns.rdata
import dns.rdtypes.ANY.TXT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import SourceError
from clusterdns.zone.authority import Authority
from clusterdns.zone.masterfile import read
from clusterdns.zone.tokens import Tokens

LONG = "k" * 300
CASES = {
    "one": ('"a b"', [b"a b"]),
    "several": ('a "b" c', [b"a", b"b", b"c"]),
    "a line end": ('"a\nb"', [b"a\nb"]),
    "a line end of Windows": ('"a\r\nb"', [b"a\r\nb"]),
    "line ends": ('"\n" "\n\n"', [b"\n", b"\n\n"]),
    "a line end behind a backslash": ('"a\\\nb"', [b"a\nb"]),
    "a line end behind two": ('"a\\\\\nb"', [b"a\\\nb"]),
    "a quote and a line end": ('"a\\"\nb"', [b'a"\nb']),
    "in parentheses": ('( "a"\n "b\nc" )', [b"a", b"b\nc"]),
    "255 octets": (f'"{LONG[:255]}"', [b"k" * 255]),
    "too long for one": (f'"{LONG}"', [b"k" * 255, b"k" * 45]),
    "too long, no quotes": (f"{LONG} b", [b"k" * 255, b"k" * 45, b"b"]),
    "as long with escapes": (f'"{LONG[:254]}\\007{LONG[:254]}"', [b"k" * 254 + b"\7", b"k" * 254]),
    "too long in UTF-8": ('"' + "\u00e9" * 128 + '"', ["\u00e9".encode() * 127 + b"\xc3", b"\xa9"]),
}


def strings(text: str) -> tuple[bytes, ...]:
    found = dns.rdata.from_text("IN", "TXT", Tokens(text))
    return cast(dns.rdtypes.ANY.TXT.TXT, found).strings


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_strings(text: str, expected: list[bytes]) -> None:
    assert list(strings(text)) == expected


@given(st.lists(st.binary(max_size=600), min_size=1, max_size=3))
def test_any_octets(octets: list[bytes]) -> None:
    """What is escaped comes back, in as many strings as it takes."""
    text = " ".join('"' + "".join(f"\\{octet:03d}" for octet in each) + '"' for each in octets)
    found = strings(text)
    assert b"".join(found) == b"".join(octets)
    assert all(len(each) <= 255 for each in found)


def test_a_line_end_outside_of_quotes_ends_the_record() -> None:
    assert strings('"a" \n"b"') == (b"a",)
    with pytest.raises(dns.exception.DNSException):
        strings('"never closed')


def test_other_types_are_as_ever() -> None:
    for text in (r"\# 4 0a000001", "10.0.0.1"):
        assert str(dns.rdata.from_text("IN", "A", Tokens(text))) == "10.0.0.1"
    with pytest.raises(dns.exception.DNSException):
        dns.rdata.from_text("IN", "HINFO", Tokens(f'"{LONG}" "x"'))


def test_in_a_zone_file() -> None:
    """Lines behind such a text are counted as they stand."""
    head = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n"
    zone = read(f'{head}a TXT "x\ny"\nb TXT "{LONG}"\n', (b"test",), "db")
    for label, octets in ((b"a", b"\3x\ny"), (b"b", b"\xff" + b"k" * 255 + b"-" + b"k" * 45)):
        (record,) = Authority(zone).find((label, b"test"), 16).answer
        assert record.rdata.data == octets
    with pytest.raises(SourceError, match=r"^db:5: "):
        read(f'{head}a TXT "x\ny"\nb A x\n', (b"test",), "db")
