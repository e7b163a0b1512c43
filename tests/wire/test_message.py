"""What is answered to odd octets (RFC 1035 section 4.1, RFC 6891), and header bits."""

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from dnslib import DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import MalformedMessage
from clusterdns.wire.edns import OUR_SIZE, Edns, Option, reply_edns
from clusterdns.wire.message import (
    AA,
    AD,
    BADVERS,
    CD,
    QR,
    RA,
    RD,
    REFUSED,
    TC,
    error_reply,
    malformed_reply,
    parse,
    reply_flags,
    screen,
)
from clusterdns.wire.question import Question
from tests.wire.build import NAME, QUESTION, header, label_sequences, opt, option, record, wire

DROPPED = b""
ANSWERED = None
LONGEST = (b"\x3f" + b"a" * 63) * 3
ALL_BITS = 0x07FF  # AA, TC, RD, RA, Z, AD, CD and an rcode


def bare(flags: int) -> bytes:
    return header(flags, qd=0)


def formerr(question: bytes, flags: int = 0x8001) -> bytes:
    return header(flags) + question


# Octets, and what goes back: DROPPED, a reply, or ANSWERED by whoever knows the name.
CASES = {
    "shorter than a header": (header()[:11], DROPPED),
    "nothing": (b"", DROPPED),
    "a response": (header(QR) + QUESTION, DROPPED),
    "a response of an unknown opcode": (header(QR | 2 << 11) + QUESTION, DROPPED),
    "opcode IQUERY": (header(1 << 11) + QUESTION, bare(0x8804)),
    "opcode STATUS, every bit": (header(2 << 11 | ALL_BITS) + QUESTION, bare(0x93B4)),
    "opcode UPDATE": (header(5 << 11 | RD, an=3) + QUESTION, bare(0xA904)),
    "opcode 15": (header(15 << 11) + QUESTION, bare(0xF804)),
    "no question, every bit": (header(ALL_BITS, qd=0), bare(0x83B1)),
    "NOTIFY without question: opcode QUERY": (header(4 << 11 | ALL_BITS, qd=0), bare(0x83B1)),
    "two questions": (header(RD, qd=2) + QUESTION * 2, bare(0x8101)),
    "two answers": (header(an=2) + QUESTION, bare(0x8001)),
    "two authorities": (header(ns=2) + QUESTION, bare(0x8001)),
    "three additionals": (header(ar=3) + QUESTION, bare(0x8001)),
    "NOTIFY": (header(4 << 11 | AA) + QUESTION, ANSWERED),
    "NOTIFY with its SOA": (header(4 << 11, an=1) + QUESTION + record(6, b"\0" * 22), ANSWERED),
    "IXFR with its SOA": (header(ns=1) + QUESTION + record(6, b"\0" * 22), ANSWERED),
    "a bare header that promises a question": (header(), bare(0x8001)),
    "every bit, and no body": (header(ALL_BITS) + b"\3ww", bare(0x83B1)),
    "NOTIFY cut off": (header(4 << 11 | ALL_BITS) + b"\3ww", bare(0x83B1)),
    "question is a pointer to itself": (header() + b"\xc0\x0c\0\1\0\1", bare(0x8001)),
    "question points behind itself": (header() + b"\3www\xc0\x15\0\1\0\1\3foo\0", bare(0x8001)),
    "question points beyond the packet": (header() + b"\xff\xff\0\1\0\1", bare(0x8001)),
    "label of 64 octets": (header() + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", bare(0x8001)),
    "name of 256": (header() + LONGEST + b"\x3e" + b"a" * 62 + b"\0\0\1\0\1", bare(0x8001)),
    "name of 255": (header() + LONGEST + b"\x3d" + b"a" * 61 + b"\0\0\1\0\1", ANSWERED),
    "name cut off": (header() + b"\3ww", bare(0x8001)),
    "no type": (header() + NAME, bare(0x8001)),
    "half a type": (header() + NAME + b"\0", bare(0x8001)),
    "no class": (header() + NAME + b"\0\1", bare(0x8001)),
    "type 0, class 0": (header() + NAME + b"\0\0\0\0", ANSWERED),
    "labels of any octets": (header() + b"\3\xff\0A\0\0\1\0\1", ANSWERED),
    "root": (header() + b"\0\0\2\0\1", ANSWERED),
    "garbage behind the question": (header() + QUESTION + b"xyz", ANSWERED),
    "garbage behind the OPT": (header(ar=1) + QUESTION + opt() + b"xyz", ANSWERED),
    "more than 512 octets": (header(ar=1) + QUESTION + opt(option(12, b"\0" * 999)), ANSWERED),
    "an answer promised": (header(an=1) + QUESTION, formerr(QUESTION)),
    "an authority promised": (header(ns=1) + QUESTION, formerr(QUESTION)),
    "an OPT promised": (header(ar=1) + QUESTION, formerr(QUESTION)),
    "one of two additionals": (header(ar=2) + QUESTION + opt(), formerr(QUESTION)),
    "two OPTs": (header(ar=2) + QUESTION + opt() * 2, formerr(QUESTION)),
    "OPT and TSIG": (header(ar=2) + QUESTION + opt() + record(250, b"k", 255), ANSWERED),
    "OPT cut off": (header(ar=1) + QUESTION + opt()[:-1], formerr(QUESTION)),
    "OPT rdata cut off": (header(ar=1) + QUESTION + opt(b"abcd")[:-1], formerr(QUESTION)),
    "OPT with a broken option": (header(ar=1) + QUESTION + opt(b"\0\3\0\5a"), formerr(QUESTION)),
    "OPT with half an option": (header(ar=1) + QUESTION + opt(b"\0\3"), formerr(QUESTION)),
    "keepalive of 3": (header(ar=1) + QUESTION + opt(option(11, b"abc")), formerr(QUESTION)),
    "client subnet of 2": (header(ar=1) + QUESTION + opt(option(8, b"\0\1")), formerr(QUESTION)),
    "EDE of 1": (header(ar=1) + QUESTION + opt(option(15, b"a")), formerr(QUESTION)),
    "every bit, broken OPT": (
        header(ALL_BITS, ar=1) + QUESTION + opt(b"\0"),
        formerr(QUESTION, 0x83B1),
    ),
    "OPT with an owner": (header(ar=1) + QUESTION + opt(owner=b"\3foo\0"), ANSWERED),
    "OPT with a pointer as owner": (header(ar=1) + QUESTION + opt(owner=b"\xc0\x0c"), ANSWERED),
    "OPT in Answer": (header(an=1) + QUESTION + opt(b"\0"), ANSWERED),
    "owner points forward": (
        header(an=1) + QUESTION + record(1, b"abcd", owner=b"\xc0\x40") + bytes(64),
        formerr(QUESTION),
    ),
    "owner points to itself": (
        header(an=1) + QUESTION + record(1, b"abcd", owner=b"\xc0\x1d"),
        formerr(QUESTION),
    ),
    "owner points into the header": (
        header(an=1) + QUESTION + record(1, b"abcd", owner=b"\xc0\x00"),
        formerr(QUESTION),
    ),
    "owner cut off": (header(an=1) + QUESTION + b"\xc0", formerr(QUESTION)),
    "owner of 256 octets by its pointer": (
        header(an=1) + LONGEST + b"\1a\0\0\1\0\1" + record(1, b"", owner=LONGEST + b"\xc0\x0c"),
        formerr(LONGEST + b"\1a\0\0\1\0\1"),
    ),
}  # fmt: skip

ROOT = b"\0"
# Type, rdata, and whether it may be so.
RDATA = {
    "A": (1, b"abcd", True),
    "A of 3": (1, b"abc", False),
    "A of 5": (1, b"abcde", False),
    "none at all": (1, b"", True),
    "AAAA": (28, bytes(16), True),
    "AAAA of 4": (28, b"abcd", False),
    "CNAME": (5, b"\3foo\0", True),
    "CNAME, a pointer": (5, b"\3foo\xc0\x0c", True),
    "CNAME that points to itself": (5, b"\xc0\x29", False),
    "CNAME cut off": (5, b"\3fo", False),
    "NS and an octet more": (2, b"\3foo\0\0", False),
    "PTR": (12, ROOT, True),
    "DNAME": (39, b"\1a\0", True),
    "MX": (15, b"\0\1\1a\0", True),
    "MX without name": (15, b"\0\1", True),
    "half an MX": (15, b"\0", False),
    "SRV": (33, b"\0\1\0\2\0\3\1a\0", True),
    "SRV of 3": (33, b"\0\1\0", False),
    "SRV of 4": (33, b"\0\1\0\2", True),
    "SOA": (6, ROOT * 2 + bytes(20), True),
    "SOA without minimum": (6, ROOT * 2 + bytes(16), True),
    "SOA with half a minimum": (6, ROOT * 2 + bytes(18), False),
    "SOA and an octet more": (6, ROOT * 2 + bytes(21), False),
    "a type that nobody looks into": (65280, b"abc", True),
}


@pytest.mark.parametrize("section", ["an", "ns", "ar"])
@pytest.mark.parametrize(("rtype", "rdata", "is_right"), RDATA.values(), ids=RDATA)
def test_rdata(rtype: int, rdata: bytes, is_right: bool, section: str) -> None:
    """RFC 1035 section 3.3: what a record of the query holds, if it is not the last one's end."""
    found = record(rtype, rdata)
    octets = header(**{section: 1}) + QUESTION + found + bytes(32)
    assert outcome(octets) == (ANSWERED if is_right else formerr(QUESTION))


@pytest.mark.parametrize(("octets", "expected"), CASES.values(), ids=CASES)
def test_octets(octets: bytes, expected: bytes | None) -> None:
    assert outcome(octets) == expected


def outcome(octets: bytes) -> bytes | None:
    """As the server goes about it."""
    if (reply := screen(octets)) is not None:
        return reply
    try:
        parse(octets)
    except MalformedMessage as refused:
        return malformed_reply(octets, refused.rcode or 0)
    return None


def test_fields() -> None:
    octets = header(RD | CD, ar=1) + QUESTION + opt(option(10, b"cookie"), 4096, 0x8000)
    message = parse(octets)
    assert (message.id, message.flags, message.opcode) == (0x1234, RD | CD, 0)
    assert message.question == Question(NAME, 1, 1)
    assert message.edns == Edns(4096, 0, 0x8000, 0, (Option(10, b"cookie"),))
    assert parse(header(4 << 11) + QUESTION).opcode == 4
    assert parse(header(an=1) + QUESTION + opt()).edns is None  # only Additional counts


FLAGS = {
    "RD and CD are copied": (RD | CD, {}, QR | RD | CD),
    "nothing else is": (ALL_BITS & ~(RD | CD), {}, QR),
    "4.1.1 authoritative": (0, {"authoritative": True}, QR | AA),
    "4.1.1 recursion available": (RD, {"recursion_available": True}, QR | RD | RA),
    "RFC 4035 authentic": (0, {"authentic": True}, QR | AD),
    "truncated upstream": (0, {"truncated": True}, QR | TC),
    "RFC 1996 NOTIFY: opcode alone": (4 << 11 | RD | CD, {}, QR | 4 << 11),
}


@pytest.mark.parametrize(("flags", "how", "reply"), FLAGS.values(), ids=FLAGS)
def test_reply_flags(flags: int, how: dict[str, bool], reply: int) -> None:
    assert reply_flags(flags, **how) == reply


def test_refused() -> None:
    query = parse(header(RD, ar=1) + QUESTION + opt(option(10, b"12345678"), 4096, 0x8000))
    reply = dns.message.from_wire(
        error_reply(
            id=query.id,
            flags=reply_flags(query.flags),
            question=query.question,
            rcode=REFUSED,
            edns=reply_edns(query.edns),
        )
    )
    assert reply.id == 0x1234
    assert reply.rcode() == dns.rcode.REFUSED
    assert reply.flags == dns.flags.QR | dns.flags.RD | dns.rcode.REFUSED
    assert reply.question[0].name.labels == (b"wWw", b"example", b"")
    assert (reply.payload, reply.edns, reply.options) == (OUR_SIZE, 0, ())
    assert reply.ednsflags == dns.flags.DO


def test_bad_version() -> None:
    query = parse(header(ar=1) + QUESTION + opt(ttl=1 << 16))
    assert query.edns is not None
    assert query.edns.version == 1
    reply = dns.message.from_wire(
        error_reply(
            id=query.id,
            flags=reply_flags(query.flags),
            question=query.question,
            rcode=BADVERS,
            edns=reply_edns(query.edns),
        )
    )
    assert reply.rcode() == dns.rcode.BADVERS
    assert (reply.payload, reply.edns) == (OUR_SIZE, 0)
    assert len(reply.question) == 1


def test_extended_rcode_without_opt() -> None:
    """6.1.3: its upper bits would get lost, and BADVERS read as NOERROR."""
    octets = error_reply(id=1, flags=QR, question=Question.of("a", 1), rcode=BADVERS, edns=None)
    assert dns.message.from_wire(octets).rcode() == dns.rcode.SERVFAIL


queries = st.builds(
    lambda labels, flags, edns, options: (
        header(flags, ar=edns)
        + wire(labels)
        + b"\0\1\0\1"
        + (opt(b"".join(options), 4096, 0x8000) if edns else b"")
    ),
    label_sequences,
    st.sampled_from([0, RD, RD | CD, AD]),
    st.integers(0, 1),
    st.lists(st.builds(option, st.sampled_from([3, 12, 65001]), st.binary(max_size=9)), max_size=3),
)


@given(queries)
def test_parses_as_dnspython_does(octets: bytes) -> None:
    assert screen(octets) is None
    ours, theirs = parse(octets), dns.message.from_wire(octets)
    assert (ours.id, ours.flags, ours.opcode) == (theirs.id, int(theirs.flags), theirs.opcode())
    assert (*ours.question.labels, b"") == theirs.question[0].name.labels
    if ours.edns is None:
        assert theirs.edns == -1
    else:
        assert (ours.edns.size, ours.edns.version) == (theirs.payload, theirs.edns)
        assert ours.edns.do == bool(theirs.ednsflags & dns.flags.DO)
        assert list(ours.edns.options) == [
            Option(int(o.otype), o.to_wire() or b"") for o in theirs.options
        ]


@given(queries.filter(lambda octets: octets.isascii()))
def test_parses_as_dnslib_does(octets: bytes) -> None:
    ours, theirs = parse(octets), DNSRecord.parse(octets)
    assert ours.question.labels == theirs.q.qname.label
    assert (ours.edns is None) == (not theirs.ar)
    if ours.edns is not None:
        assert (ours.edns.size, ours.edns.do) == (theirs.ar[0].edns_len, bool(theirs.ar[0].edns_do))


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda rest: header() + rest)))
def test_any_octets(octets: bytes) -> None:
    """Nothing but MalformedMessage comes out, and whatever is sent can be read."""
    match outcome(octets):
        case None | b"":
            pass
        case reply:
            assert dns.message.from_wire(reply).id == int.from_bytes(octets[:2], "big")


@given(queries, st.data())
def test_damaged_queries(octets: bytes, data: st.DataObject) -> None:
    damaged = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(octets)))])
    if reply := outcome(cut):
        assert dns.message.from_wire(reply).id == int.from_bytes(cut[:2], "big")
