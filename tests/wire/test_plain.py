"""Queries of the most usual form: what `plain` says of them is what `parse` says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire.edns import limit_for
from clusterdns.wire.message import parse, screen
from clusterdns.wire.plain import plain
from tests.wire.build import header, label_sequences, opt, option, wire

RD, AD, CD = 0x0100, 0x0020, 0x0010
DO = 0x8000

PLAIN = {
    "a name": header(RD, 1) + wire((b"www", b"example")) + b"\0\1\0\1",
    "the root": header(0, 1) + b"\0\0\2\0\1",
    "AD and CD": header(RD | AD | CD, 1) + wire((b"x",)) + b"\0\x1c\0\1",
    "OPT": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\x21\0\1" + opt(),
    "OPT with DO": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\x21\0\1" + opt(ttl=DO),
    "OPT with a tiny size": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\x41\0\1" + opt(size=1),
}
OTHER = {
    "empty": b"",
    "a reply": header(RD | 0x8000, 1) + wire((b"x",)) + b"\0\1\0\1",
    "NOTIFY": header(4 << 11, 1) + wire((b"x",)) + b"\0\1\0\1",
    "TC": header(RD | 0x0200, 1) + wire((b"x",)) + b"\0\1\0\1",
    "no question": header(RD, 0),
    "two questions": header(RD, 2) + (wire((b"x",)) + b"\0\1\0\1") * 2,
    "a record in Answer": header(RD, 1, an=1) + wire((b"x",)) + b"\0\1\0\1",
    "capital letters": header(RD, 1) + wire((b"wWw",)) + b"\0\1\0\1",
    "class CH": header(RD, 1) + wire((b"x",)) + b"\0\x10\0\3",
    "ANY": header(RD, 1) + wire((b"x",)) + b"\0\xff\0\1",
    "AXFR": header(RD, 1) + wire((b"x",)) + b"\0\xfc\0\1",
    "DS": header(RD, 1) + wire((b"x",)) + b"\0\x2b\0\1",
    "a pointer": header(RD, 1) + b"\1x\xc0\x0c\0\1\0\1",
    "cut in the name": header(RD, 1) + b"\5abc",
    "cut behind the name": header(RD, 1) + wire((b"x",)) + b"\0\1",
    "more behind": header(RD, 1) + wire((b"x",)) + b"\0\1\0\1\0",
    "a name of 256 octets": header(RD, 1) + wire((b"x" * 62,) * 4 + (b"yz",)) + b"\0\1\0\1",
    "OPT with an option": header(RD, 1, ar=1)
    + wire((b"x",))
    + b"\0\1\0\1"
    + opt(option(10, b"12345678")),
    "OPT of version 1": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\1\0\1" + opt(ttl=1 << 16),
    "OPT with other flags": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\1\0\1" + opt(ttl=1),
    "OPT of another owner": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\1\0\1" + opt(owner=b"\1y\0"),
    "another record": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\1\0\1" + b"\0\0\1" + bytes(8),
    "no OPT where one is promised": header(RD, 1, ar=1) + wire((b"x",)) + b"\0\1\0\1",
}


@pytest.mark.parametrize("octets", PLAIN.values(), ids=PLAIN)
def test_usual(octets: bytes) -> None:
    assert plain(octets) is not None
    says_the_same(octets)


@pytest.mark.parametrize("octets", OTHER.values(), ids=OTHER)
def test_others(octets: bytes) -> None:
    assert plain(octets) is None


@given(
    st.sampled_from([0, RD, RD | AD, RD | CD, 0x8000, 4 << 11]),
    label_sequences,
    st.sampled_from([1, 6, 28, 33, 43, 252, 255, 65]),
    st.sampled_from([b"", opt(), opt(ttl=DO), opt(size=4096), opt(option(8, b"\0\1\0\0"))]),
    st.one_of(st.just(b""), st.binary(max_size=3)),
)
def test_any_query(
    flags: int, labels: tuple[bytes, ...], qtype: int, edns: bytes, more: bytes
) -> None:
    octets = header(flags, 1, ar=int(edns != b""))
    octets += wire(labels) + qtype.to_bytes(2, "big") + b"\0\1" + edns + more
    says_the_same(octets)


@given(st.sampled_from(list(PLAIN.values())), st.data())
def test_any_octets(octets: bytes, data: st.DataObject) -> None:
    """One octet of a usual query is another one, or what is behind it is missing."""
    at = data.draw(st.integers(0, len(octets) - 1))
    other = data.draw(st.one_of(st.just(b""), st.binary(min_size=1, max_size=1)))
    says_the_same(octets[:at] + (other + octets[at + 1 :] if other else b""))


def says_the_same(octets: bytes) -> None:
    """`plain` knows nothing of these octets, or what the full path would know of them."""
    asked = plain(octets)
    if asked is None:
        return
    assert screen(octets) is None
    message = parse(octets)
    question, edns = message.question, message.edns
    assert (asked.name, asked.qtype, asked.qclass) == (question.name, question.qtype, 1)
    assert asked.name == question.folded == asked.folded
    assert asked.section == question.section == octets[12 : question.end]
    assert (asked.flags, asked.end, question.qclass) == (message.flags, question.end, 1)
    assert (asked.has_opt, asked.do) == (edns is not None, edns is not None and edns.do)
    assert edns is None or not (edns.options or edns.version)
    assert asked.size == limit_for(edns, "udp")
