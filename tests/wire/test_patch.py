"""Stepping over records and changing finished octets, compared with dnspython."""

import dns.exception
import dns.message
import dns.name
import dnslib
import pytest
from dnslib import QTYPE, RR, DNSLabel
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import MalformedMessage
from clusterdns.wire.edns import Edns
from clusterdns.wire.message import AA, QR, encode
from clusterdns.wire.patch import (
    lowest_ttl,
    records,
    skip_name,
    soa_serials,
    ttl_offsets,
    with_flags,
    with_id,
    with_name,
    with_serials,
    with_ttls,
)
from clusterdns.wire.question import Question
from tests.wire.build import QUESTION, Twin, header, opt, record, twins

WEB = Question.of("web.Cluster.local", QTYPE.A)


def reply() -> bytes:
    """One record in each section, TTLs 30, 5 and 7, and OPT."""
    times = (77, 7200, 1800, 86400, 30)
    soa = dnslib.SOA("ns.dns.Cluster.local", "hostmaster.Cluster.local", times)
    return encode(
        id=1,
        flags=QR,
        question=WEB,
        rcode=0,
        answer=[RR(WEB.label, QTYPE.A, ttl=30, rdata=dnslib.A("10.3.0.1"))],
        authority=[RR(DNSLabel("Cluster.local"), QTYPE.SOA, ttl=5, rdata=soa)],
        additional=[RR("other", QTYPE.AAAA, ttl=7, rdata=dnslib.AAAA("fd00::1"))],
        edns=Edns(),
        limit=512,
    )


def ttls(octets: bytes) -> list[int]:
    message = dns.message.from_wire(octets)
    return [rrset.ttl for section in message.sections[1:] for rrset in section]


def test_id_and_flags() -> None:
    message = dns.message.from_wire(with_flags(with_id(reply(), 0xBEEF), QR | AA | 3))
    assert message.id == 0xBEEF
    assert message.flags == QR | AA | 3
    assert ttls(message.to_wire()) == [30, 5, 7]


def test_name() -> None:
    """The owner follows, since it points there; what was spelled otherwise stays."""
    octets = with_name(reply(), b"\3WEB\7CLUSTER\5LOCAL\0")
    message = dns.message.from_wire(octets)
    assert message.question[0].name.to_text() == "WEB.CLUSTER.LOCAL."
    assert message.answer[0].name.to_text() == "WEB.CLUSTER.LOCAL."
    assert message.authority[0].name.to_text() == "CLUSTER.LOCAL."


@pytest.mark.parametrize("name", [b"\3wex\7cluster\5local\0", b"\3web\7cluster\0", b"\0"])
def test_another_name(name: bytes) -> None:
    with pytest.raises(ValueError, match="not the name"):
        with_name(reply(), name)


def test_ttls() -> None:
    octets = reply()
    offsets = ttl_offsets(octets)
    assert lowest_ttl(octets) == 5
    assert ttls(with_ttls(octets, offsets, 4)) == [26, 1, 3]
    assert ttls(with_ttls(octets, offsets, 6)) == [24, 0, 1]
    assert with_ttls(octets, offsets, 0) == octets
    assert dns.message.from_wire(with_ttls(octets, offsets, 99)).payload == 1232


def test_no_ttl() -> None:
    octets = header(ar=1) + QUESTION + opt()
    assert ttl_offsets(octets) == []
    assert lowest_ttl(octets) is None


def test_serials() -> None:
    octets = reply()
    (at,) = soa_serials(octets)
    assert octets[at : at + 4] == b"\0\0\0\x4d"
    message = dns.message.from_wire(with_serials(octets, [at], 0xFFFFFFFE))
    assert message.authority[0][0].serial == 0xFFFFFFFE
    assert message.authority[0][0].minimum == 30


def test_soa_too_short() -> None:
    with pytest.raises(MalformedMessage, match="no SOA rdata at octet 41"):
        soa_serials(header(an=1) + QUESTION + record(6, bytes(21)))


def test_records() -> None:
    octets = reply()
    found = list(records(octets))
    assert [(record.section, record.rtype, record.rclass, record.ttl) for record in found] == [
        (1, 1, 1, 30),
        (2, 6, 1, 5),
        (3, 28, 1, 7),
        (3, 41, 1232, 0),
    ]
    assert [record.start for record in found] == [WEB.end, *[record.end for record in found[:-1]]]
    assert found[-1].end == len(octets)
    assert octets[found[0].rdata : found[0].end] == b"\x0a\3\0\1"


CUT = {
    "no header": header()[:11],
    "question missing": header(),
    "question cut": header(an=1) + QUESTION[:-2],
    "owner cut": header(an=1) + QUESTION + b"\3ww",
    "fixed part cut": header(an=1) + QUESTION + record(1, b"")[:-1],
    "rdata cut": header(an=1) + QUESTION + record(1, b"abcd")[:-1],
    "second one missing": header(an=2) + QUESTION + record(1, b"abcd"),
}


@pytest.mark.parametrize("octets", CUT.values(), ids=CUT)
def test_cut_off(octets: bytes) -> None:
    with pytest.raises(MalformedMessage) as refused:
        list(records(octets))
    assert refused.value.rcode == 1


@given(st.lists(twins(), max_size=6))
def test_records_are_those_packed(packed: list[Twin]) -> None:
    octets = encode(
        id=1,
        flags=QR,
        question=WEB,
        rcode=0,
        answer=[twin.packed for twin in packed],
        edns=Edns(),
        limit=65535,
    )
    *answer, last = records(octets)
    assert [record.rtype for record in answer] == [twin.packed.rtype for twin in packed]
    assert (last.rtype, last.end) == (41, len(octets))
    soas = [twin for twin in packed if twin.packed.rtype == QTYPE.SOA]
    assert [octets[at : at + 4] for at in soa_serials(octets)] == [b"\0\0\0\1"] * len(soas)


LONG = (b"\x3f" + b"a" * 63) * 3  # 192 octets


def pointers(count: int) -> bytes:
    """Behind a root at octet 12: each points to the one before it."""
    targets = [12, *range(13, 13 + 2 * (count - 1), 2)]
    return b"".join((0xC000 | target).to_bytes(2, "big") for target in targets)


NAMES = {  # octets behind the header, where the name starts, and where it ends or None
    "root": (b"\0", 12, 13),
    "labels": (b"\3www\1a\0", 12, 19),
    "4.1.4 a pointer": (b"\3www\0\xc0\x0c", 17, 19),
    "4.1.4 labels and a pointer": (b"\3www\0\1a\xc0\x0c", 17, 21),
    "4.1.4 a pointer to labels and a pointer": (b"\0\1a\xc0\x0c\xc0\x0d", 17, 19),
    "to itself": (b"\xc0\x0c", 12, None),
    "to its own first label": (b"\1a\xc0\x0c", 12, None),
    "to one that leads to itself": (b"\xc0\x0c\xc0\x0c", 14, None),
    "to one that leads on to the next": (b"\xc0\x0e\xc0\x0c\xc0\x0c", 16, None),
    "forward": (b"\xc0\x0e\0", 12, None),
    "into the header, where a root is": (b"\xc0\x04", 12, None),
    "126 pointers": (b"\0" + pointers(126), 13 + 2 * 125, 13 + 2 * 126),
    "127 pointers": (b"\0" + pointers(127), 13 + 2 * 126, None),
    "half a pointer": (b"\0\xc0", 13, None),
    "255 octets": (LONG + b"\x3d" + b"a" * 61 + b"\0", 12, 12 + 255),
    "256 octets": (LONG + b"\x3e" + b"a" * 62 + b"\0", 12, None),
    "255 octets by a pointer": (LONG + b"\0\x3d" + b"a" * 61 + b"\xc0\x0c", 205, 269),
    "256 octets by a pointer": (LONG + b"\0\x3e" + b"a" * 62 + b"\xc0\x0c", 205, None),
}


@pytest.mark.parametrize(("octets", "at", "end"), NAMES.values(), ids=NAMES)
def test_skip_name(octets: bytes, at: int, end: int | None) -> None:
    if end is None:
        with pytest.raises(MalformedMessage):
            skip_name(header() + octets, at)
    else:
        assert skip_name(header() + octets, at) == end


name_octets = st.lists(
    st.one_of(
        st.sampled_from([b"\0", b"\1a", b"\2bc", b"\xc0\x0c", b"\xc0\x0e", b"\xc0\x10", b"\x40"]),
        st.binary(min_size=1, max_size=3),
    ),
    max_size=12,
).map(lambda parts: header() + b"".join(parts))


@given(name_octets, st.integers(12, 40))
def test_skips_names_as_dnspython_does(octets: bytes, at: int) -> None:
    at = min(at, len(octets))
    try:
        end = skip_name(octets, at)
    except MalformedMessage as refused:
        if "leads nowhere" not in str(refused):  # dnspython takes the header for a name too
            with pytest.raises(dns.exception.DNSException):
                dns.name.from_wire(octets, at)
        return
    assert dns.name.from_wire(octets, at)[1] == end - at


@given(st.binary(max_size=100))
def test_any_octets(octets: bytes) -> None:
    try:
        found = list(records(octets))
        soa_serials(octets)
    except MalformedMessage:
        return
    assert all(record.end <= len(octets) for record in found)
