"""Replies made of octets say what `encode` says of the same records, as dnspython reads them."""

import dns.message
import dnslib
import pytest
from dnslib import QTYPE, RR, DNSLabel
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import ResolveError
from clusterdns.wire.edns import DO, Edns, Option
from clusterdns.wire.message import AA, NXDOMAIN, QR, encode
from clusterdns.wire.packed import denial, rrset
from clusterdns.wire.question import Question
from clusterdns.wire.received import Received, passed_on, sections
from clusterdns.wire.sizes import plain_size
from tests.wire.build import address, label_sequences, wire
from tests.wire.test_encode import parsed, read, soa

Labels = tuple[bytes, ...]

names = label_sequences.filter(bool)  # the root has no RRset of these types

EDNS = st.sampled_from([None, Edns(), Edns(flags=DO, options=(Option(3, b"ns1"),))])
LIMITS = st.sampled_from([512, 520, 700, 1232, 65535])
OCTETS = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)


def said(found: Received, question: Question, edns: Edns | None, limit: int) -> bytes:
    octets = passed_on(
        found, id=7, flags=QR | AA, question=question, rcode=found.rcode, edns=edns, limit=limit
    )
    assert octets is not None
    return octets


def assert_same(ours: bytes, theirs: bytes) -> None:
    """Header, counts and OPT, and every record as it is spelled."""
    one, other = parsed(ours), parsed(theirs)
    for section in ("answer", "authority", "additional"):
        assert read(getattr(one, section)) == read(getattr(other, section))
    assert one.to_wire() == other.to_wire()
    assert len(ours) == len(theirs)


def test_addresses_by_hand() -> None:
    question = Question.of("wEb.shop", QTYPE.A)
    found = rrset(question, 30, [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])])
    assert found.octets == (
        b"\0\0\4\0\0\1\0\2\0\0\0\0\3wEb\4shop\0\0\1\0\1"
        b"\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\x0a\0\0\1"
        b"\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\x0a\0\0\2"
    )


@given(names, st.lists(OCTETS, max_size=60), st.integers(0, 3600), EDNS, LIMITS)
def test_addresses(
    labels: Labels, addresses: list[bytes], ttl: int, edns: Edns | None, limit: int
) -> None:
    ours = [each for each in addresses if len(each) == len(addresses[0])]
    qtype = QTYPE.AAAA if ours and len(ours[0]) == 16 else QTYPE.A
    question = Question(wire(labels), qtype)
    kind = dnslib.A if qtype == QTYPE.A else dnslib.AAAA
    records = [RR(DNSLabel(labels), qtype, ttl=ttl, rdata=kind(tuple(each))) for each in ours]
    found = rrset(question, ttl, ours)
    whole = encode(
        id=7, flags=QR | AA, question=question, rcode=0, answer=records, edns=edns, limit=limit
    )
    assert_same(said(found, question, edns, limit), whole)
    assert found.plain == plain_size(question, records)


targets = st.lists(
    st.tuples(names, st.integers(0, 65535), st.lists(OCTETS, max_size=3)), max_size=40
)


@given(names, targets, EDNS, LIMITS)
def test_services(
    labels: Labels,
    targets: list[tuple[Labels, int, list[bytes]]],
    edns: Edns | None,
    limit: int,
) -> None:
    question = Question(wire(labels), QTYPE.SRV)
    found = rrset(
        question,
        30,
        [b"\0\0\0\1" + port.to_bytes(2, "big") + wire(host) for host, port, _ in targets],
        [(wire(host), each) for host, _, addresses in targets for each in addresses],
    )
    answer = [
        RR(DNSLabel(labels), QTYPE.SRV, ttl=30, rdata=dnslib.SRV(0, 1, port, DNSLabel(host)))
        for host, port, _ in targets
    ]
    glue = [
        RR(
            DNSLabel(host),
            QTYPE.A if len(each) == 4 else QTYPE.AAAA,
            ttl=30,
            rdata=(dnslib.A if len(each) == 4 else dnslib.AAAA)(tuple(each)),
        )
        for host, _, addresses in targets
        for each in addresses
    ]
    whole = encode(
        id=7,
        flags=QR | AA,
        question=question,
        rcode=0,
        answer=answer,
        additional=glue,
        edns=edns,
        limit=limit,
    )
    ours, theirs = parsed(said(found, question, edns, limit)), parsed(whole)
    assert read(ours.answer) == read(theirs.answer)
    assert read(ours.additional) == read(theirs.additional)
    assert ours.flags == theirs.flags
    assert found.plain == plain_size(question, [*answer, *glue])


def test_glue_beyond_what_pointers_reach() -> None:
    """RFC 1035 section 4.1.4: 14 bits."""
    hosts = [wire((f"pod-{n}".encode(), b"x" * 60, b"test")) for n in range(400)]
    question = Question.of("db.test", QTYPE.SRV)
    found = rrset(
        question,
        5,
        [bytes(6) + host for host in hosts],
        [(host, n.to_bytes(4, "big")) for n, host in enumerate(hosts)],
    )
    reply = dns.message.from_wire(found.octets, one_rr_per_rrset=True)
    assert [each.name.to_wire() for each in reply.additional] == hosts


@given(
    label_sequences,
    st.integers(0, 6),
    st.sampled_from([0, 3]),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 300),
    EDNS,
)
def test_denial(
    labels: Labels, zone: int, rcode: int, serial: int, ttl: int, edns: Edns | None
) -> None:
    suffix = labels[len(labels) - min(zone, len(labels)) :]
    question = Question(wire(labels), 28)
    record = soa(suffix, serial, ttl, ttl + 1)
    size = len(wire(suffix))
    try:
        whole = encode(
            id=7,
            flags=QR | AA,
            question=question,
            rcode=rcode,
            authority=[record],
            edns=edns,
            limit=512,
        )
    except ResolveError:
        with pytest.raises(ResolveError, match="no room"):
            denial(question, rcode, size, ttl, serial, ttl + 1)
        return
    found = denial(question, rcode, size, ttl, serial, ttl + 1)
    octets = said(found, question, edns, 512)
    ours, theirs = parsed(octets), parsed(whole)
    assert len(octets) <= 512
    assert read(ours.authority) == read(theirs.authority)
    assert ours.question[0].name.labels == theirs.question[0].name.labels
    assert ours.to_wire() == theirs.to_wire()  # header, counts and OPT too
    assert found.plain == plain_size(question, [record])


def test_denial_by_hand() -> None:
    question = Question.of("x.Cluster.local", 1)
    found = denial(question, NXDOMAIN, 15, 5, 9, 30)
    assert said(found, question, None, 512) == (
        b"\0\7\x84\x03\0\1\0\0\0\1\0\0"
        b"\1x\7Cluster\5local\0\0\1\0\1"
        b"\xc0\x0e\0\6\0\1\0\0\0\5\0\x2a"
        b"\2ns\3dns\xc0\x0e\x0ahostmaster\xc0\x0e"
        b"\0\0\0\x09\0\0\x1c\x20\0\0\7\x08\0\1\x51\x80\0\0\0\x1e"
    )


def test_parsed_when_somebody_looks() -> None:
    question = Question.of("_sql._tcp.db.shop", QTYPE.SRV)
    host = wire((b"db-0", b"shop"))
    found = rrset(question, 5, [b"\0\0\0\x64\x15\x38" + host], [(host, bytes([10, 0, 0, 1]))])
    (record,), _, (glue,) = sections(found)
    assert (record.rdata.port, record.rdata.target) == (5432, DNSLabel("db-0.shop"))
    assert glue == address("db-0.shop", (10, 0, 0, 1), ttl=5)
