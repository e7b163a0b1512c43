"""Octets of messages, put together by hand, and names and records for hypothesis to play with."""

import struct
from typing import NamedTuple

import dnslib
from dnslib import RR, DNSLabel
from hypothesis import strategies as st

QUERY_ID = 0x1234
NAME = b"\3wWw\7example\0"
QUESTION = NAME + b"\0\1\0\1"


def header(flags: int = 0, qd: int = 1, an: int = 0, ns: int = 0, ar: int = 0) -> bytes:
    return struct.pack("!6H", QUERY_ID, flags, qd, an, ns, ar)


def option(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


def opt(rdata: bytes = b"", size: int = 1232, ttl: int = 0, owner: bytes = b"\0") -> bytes:
    return record(41, rdata, size, ttl, owner)


def record(
    rtype: int, rdata: bytes, rclass: int = 1, ttl: int = 0, owner: bytes = b"\xc0\x0c"
) -> bytes:
    return owner + struct.pack("!HHIH", rtype, rclass, ttl, len(rdata)) + rdata


def wire(labels: tuple[bytes, ...]) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _fits(labels: tuple[bytes, ...]) -> bool:
    return len(wire(labels)) <= 255


# Any octets at all, and, more often, labels that several names have in common.
_odd = st.binary(min_size=1, max_size=63)
_common = st.sampled_from([b"a", b"A", b"web", b"svc", b"Cluster", b"cluster", b"local", b"x" * 63])
label_sequences = st.lists(st.one_of(_common, _common, _odd), max_size=6).map(tuple).filter(_fits)


class Twin(NamedTuple):
    """One record, as dnslib has it and as dnspython must read it."""

    packed: RR
    owner: bytes  # wire form
    rdata: bytes  # as it is without compression

    @classmethod
    def of(cls, labels: tuple[bytes, ...], rdata: dnslib.RD, octets: bytes) -> "Twin":
        rtype = getattr(dnslib.QTYPE, type(rdata).__name__)
        return cls(RR(DNSLabel(labels), rtype, ttl=30, rdata=rdata), wire(labels), octets)


def _rdata(kind: str, name: tuple[bytes, ...], octets: bytes) -> tuple[dnslib.RD, bytes]:
    label, full = DNSLabel(name), wire(name)
    match kind:
        case "A":
            return dnslib.A(tuple(octets[:4])), octets[:4]
        case "AAAA":
            return dnslib.AAAA(tuple(octets)), octets
        case "MX":
            return dnslib.MX(label, 7), b"\0\7" + full
        case "SOA":
            return dnslib.SOA(label, label, (1, 2, 3, 4, 5)), full * 2 + struct.pack(
                "!5I", 1, 2, 3, 4, 5
            )
        case "SRV":
            return dnslib.SRV(0, 20, 80, label), struct.pack("!3H", 0, 20, 80) + full
        case "TXT":
            return dnslib.TXT([octets, b""]), b"\x10" + octets + b"\0"
        case "NAPTR":
            naptr = dnslib.NAPTR(1, 2, b"u", b"s", b"", label)
            return naptr, b"\0\1\0\2\1u\1s\0" + full
        case "RP":
            return dnslib.RP(label, label), full * 2
        case "HTTPS":
            return dnslib.HTTPS(1, list(name), []), b"\0\1" + full
        case _:
            return getattr(dnslib, kind)(label), full


KINDS = [
    "A",
    "AAAA",
    "CNAME",
    "NS",
    "PTR",
    "MX",
    "SOA",
    "SRV",
    "TXT",
    "NAPTR",
    "RP",
    "DNAME",
    "HTTPS",
]


@st.composite
def twins(draw: st.DrawFn) -> Twin:
    """A record of any kind."""
    name, octets = draw(label_sequences), draw(st.binary(min_size=16, max_size=16))
    rdata, full = _rdata(draw(st.sampled_from(KINDS)), name, octets)
    return Twin.of(draw(label_sequences), rdata, full)


def address(owner: str, octets: tuple[int, int, int, int], ttl: int = 30) -> RR:
    return RR(DNSLabel(owner), dnslib.QTYPE.A, ttl=ttl, rdata=dnslib.A(octets))
