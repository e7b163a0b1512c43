"""Replies as dnspython reads them: compression, size and TC."""

import struct
from collections.abc import Iterable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dnslib
import pytest
from dnslib import QTYPE, RR, DNSLabel, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import ResolveError
from clusterdns.wire.buffer import MOST_OFFSET
from clusterdns.wire.edns import DO, Edns, Option
from clusterdns.wire.message import AA, NXDOMAIN, QR, RD, TC, encode
from clusterdns.wire.question import Question
from tests.wire.build import Twin, address, label_sequences, twins, wire

WEB = Question.of("wEb.shop.svc.Cluster.local", QTYPE.A)
Read = tuple[bytes, int, int, bytes]  # owner, type, TTL, rdata, uncompressed


def reply(
    question: Question,
    answer: Iterable[RR] = (),
    authority: Iterable[RR] = (),
    additional: Iterable[RR] = (),
    edns: Edns | None = None,
    limit: int = 65535,
    rcode: int = 0,
) -> bytes:
    return encode(
        id=0x1234,
        flags=QR | AA | RD,
        question=question,
        rcode=rcode,
        answer=list(answer),
        authority=list(authority),
        additional=list(additional),
        edns=edns,
        limit=limit,
    )


def read(rrsets: Iterable[dns.rrset.RRset]) -> list[Read]:
    """Records spelled exactly as dnspython finds them."""
    return [
        (rrset.name.to_wire() or b"", int(rrset.rdtype), rrset.ttl, rdata.to_wire() or b"")
        for rrset in rrsets
        for rdata in rrset
    ]


def parsed(octets: bytes) -> dns.message.Message:
    return dns.message.from_wire(octets, one_rr_per_rrset=True)


def expected(records: Iterable[Twin], question: Question) -> list[Read]:
    """As they were made, but that an owner which is the name asked for is spelled like it."""
    return [
        (
            question.name if twin.owner.lower() == question.folded else twin.owner,
            twin.packed.rtype,
            30,
            twin.rdata,
        )
        for twin in records
    ]


sections = st.lists(twins(), max_size=5)
questions = label_sequences.map(lambda labels: Question(wire(labels), 255, 1))


@given(questions, sections, sections, sections, st.booleans(), st.sampled_from([512, 1232, 65535]))
def test_dnspython_reads_the_same_records(
    question: Question,
    answer: list[Twin],
    authority: list[Twin],
    additional: list[Twin],
    edns: bool,
    limit: int,
) -> None:
    octets = reply(
        question,
        [twin.packed for twin in answer],
        [twin.packed for twin in authority],
        [twin.packed for twin in additional],
        Edns(flags=DO, options=(Option(3, b"ns1"),)) if edns else None,
        limit,
    )
    assert len(octets) <= limit
    message = parsed(octets)
    assert message.id == 0x1234
    assert message.question[0].name.labels == (*question.labels, b"")
    assert (message.edns == 0) == edns
    kept = read(message.answer), read(message.authority), read(message.additional)
    assert kept[0] == expected(answer, question)[: len(kept[0])]
    assert kept[1] == expected(authority, question)[: len(kept[1])]
    assert kept[2] == expected(additional, question)[: len(kept[2])]
    needed_is_there = len(kept[0]) == len(answer) and len(kept[1]) == len(authority)
    assert bool(message.flags & dns.flags.TC) != needed_is_there
    assert not (kept[1] and len(kept[0]) < len(answer))
    assert not (kept[2] and not needed_is_there)
    if limit == 65535:
        assert len(kept[2]) == len(additional)


def test_header() -> None:
    message = parsed(reply(WEB, [address(WEB.text, (10, 3, 0, 1))], rcode=NXDOMAIN))
    assert message.flags == QR | AA | RD | NXDOMAIN
    assert message.rcode() == dns.rcode.NXDOMAIN
    assert message.question[0].name.labels == (*WEB.labels, b"")


def test_owner_spelled_as_the_question_is_a_pointer_to_it() -> None:
    octets = reply(WEB, [RR(WEB.label, QTYPE.A, ttl=5, rdata=dnslib.A("10.3.0.1"))])
    assert octets[WEB.end :] == b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\3\0\1"


def test_owners_are_spelled_as_asked() -> None:
    """D11: a record may have been made for another client, who spelled the name otherwise."""
    octets = reply(WEB, [address("web.shop.svc.Cluster.local", (10, 3, 0, 1))])
    assert octets[WEB.end :].startswith(b"\xc0\x0c\0\1")


def test_another_spelling_of_other_names_is_kept() -> None:
    octets = reply(WEB, [address("a.web.shop.svc.Cluster.local", (10, 3, 0, 1))])
    assert octets[WEB.end :].startswith(b"\1a\3web\xc0\x10")


RFC_3597 = {
    "MX may be compressed": (QTYPE.MX, dnslib.MX("a.Cluster.local"), b"\0\x0a\1a\xc0\x19"),
    "CNAME may be": (QTYPE.CNAME, dnslib.CNAME("Cluster.local"), b"\xc0\x19"),
    "SRV not, RFC 2782": (QTYPE.SRV, dnslib.SRV(0, 0, 1, "local"), b"\0\0\0\0\0\1\5local\0"),
    "DNAME not, RFC 6672": (QTYPE.DNAME, dnslib.DNAME("local"), b"\5local\0"),
    "NAPTR not": (QTYPE.NAPTR, dnslib.NAPTR(0, 0, b"", b"", b"", "local"), bytes(7) + b"\5local\0"),
    "RP not": (QTYPE.RP, dnslib.RP("local", "local"), b"\5local\0\5local\0"),
}


@pytest.mark.parametrize(("rtype", "rdata", "octets"), RFC_3597.values(), ids=RFC_3597)
def test_names_in_rdata(rtype: int, rdata: dnslib.RD, octets: bytes) -> None:
    """RFC 3597 section 4: only the types of RFC 1035 may have their rdata compressed."""
    message = reply(WEB, [RR(WEB.label, rtype, ttl=5, rdata=rdata)])
    assert message[WEB.end + 12 :] == octets


def test_glue_points_into_the_srv_target() -> None:
    srv = RR(WEB.label, QTYPE.SRV, ttl=5, rdata=dnslib.SRV(0, 0, 80, "db-0.web.shop.svc"))
    octets = reply(WEB, [srv], additional=[address("db-0.web.shop.svc", (10, 1, 2, 3))])
    assert octets[-16:-14] == struct.pack("!H", 0xC000 | WEB.end + 12 + 6)
    message = parsed(octets)
    assert message.additional[0].name.to_text() == "db-0.web.shop.svc."
    assert str(DNSRecord.parse(octets).ar[0].rname) == "db-0.web.shop.svc."


def test_names_beyond_the_reach_of_pointers() -> None:
    """RFC 1035 section 4.1.4: a pointer has 14 bits; dnslib alone writes garbage here."""
    owners = [f"pod-{n:04}.web.shop.svc.Cluster.local." for n in range(1200)] * 2
    octets = reply(
        WEB, [address(owner, (10, 1, n >> 8, n & 255)) for n, owner in enumerate(owners)]
    )
    assert len(octets) > 2 * MOST_OFFSET
    message = parsed(octets)
    assert [rrset.name.to_text() for rrset in message.answer] == owners
    assert [str(rr.rname) for rr in DNSRecord.parse(octets).rr] == owners


# How many of 300 addresses at one name stay: 16 octets each, behind 43 of header and question.
TRUNCATED = {
    "512 octets": (512, None, 29),
    "1232 octets": (1232, Edns(), 73),
    "4096 octets": (4096, Edns(), 252),
    "65535 octets": (65535, Edns(), 300),
}


@pytest.mark.parametrize(("limit", "edns", "kept"), TRUNCATED.values(), ids=TRUNCATED)
def test_truncation(limit: int, edns: Edns | None, kept: int) -> None:
    records = [RR(WEB.label, QTYPE.A, rdata=dnslib.A((10, 1, n >> 8, n & 255))) for n in range(300)]
    octets = reply(WEB, records, edns=edns, limit=limit)
    message = parsed(octets)
    assert len(message.answer) == kept
    assert bool(message.flags & dns.flags.TC) == (kept < 300)
    assert (message.edns == 0) == (edns is not None)
    assert limit - 16 < len(octets) <= limit or kept == 300


def test_more_than_tcp_can_carry() -> None:
    records = [
        RR(WEB.label, QTYPE.TXT, rdata=dnslib.TXT([bytes([n]) * 240])) for n in range(256)
    ] * 2
    octets = reply(WEB, records, edns=Edns())
    assert 65535 - 253 < len(octets) <= 65535
    message = parsed(octets)
    assert message.flags & dns.flags.TC
    assert len(message.answer) == (len(octets) - WEB.end - 11) // 253


def test_exactly_at_the_limit() -> None:
    records = [RR(WEB.label, QTYPE.A, rdata=dnslib.A((10, 1, 0, n))) for n in range(9)]
    whole = reply(WEB, records, edns=Edns())
    assert reply(WEB, records, edns=Edns(), limit=len(whole)) == whole
    one_less = parsed(reply(WEB, records, edns=Edns(), limit=len(whole) - 1))
    assert len(one_less.answer) == 8
    assert one_less.flags & dns.flags.TC


def test_tc_of_an_upstream_stays() -> None:
    octets = encode(id=1, flags=QR | TC, question=WEB, rcode=0, edns=None, limit=512)
    assert parsed(octets).flags & dns.flags.TC


NO_WIRE_FORM = {
    "owner with an empty label": RR(DNSLabel([b"a", b""]), QTYPE.A, rdata=dnslib.A("10.0.0.1")),
    "owner with a label of 64": RR(DNSLabel([b"a" * 64]), QTYPE.A, rdata=dnslib.A("10.0.0.1")),
    "target of 256 octets": RR("a", QTYPE.CNAME, rdata=dnslib.CNAME(DNSLabel([b"a" * 50] * 5))),
    "SRV target with an empty label": RR(
        "a", QTYPE.SRV, rdata=dnslib.SRV(target=DNSLabel([b"a", b"", b"b"]))
    ),
    "rdata of 65536 octets": RR("a", QTYPE.TXT, rdata=dnslib.TXT([b"x" * 255] * 256)),
}


@pytest.mark.parametrize("record", NO_WIRE_FORM.values(), ids=NO_WIRE_FORM)
def test_no_wire_form(record: RR) -> None:
    with pytest.raises(ResolveError) as refused:
        reply(WEB, [record])
    assert refused.value.rcode == 2


def soa(zone: tuple[bytes, ...], serial: int, ttl: int, minimum: int) -> RR:
    times = (serial, 7200, 1800, 86400, minimum)
    mname, rname = DNSLabel((b"ns", b"dns", *zone)), DNSLabel((b"hostmaster", *zone))
    return RR(DNSLabel(zone), QTYPE.SOA, ttl=ttl, rdata=dnslib.SOA(mname, rname, times))
