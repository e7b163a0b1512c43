"""Replies of several messages, as dnspython reads them."""

from collections.abc import Iterator, Sequence

import dns.flags
import dns.message
import pytest
from dnslib import QTYPE, RR, TXT, DNSLabel
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import ResolveError
from clusterdns.wire.edns import Edns
from clusterdns.wire.message import AA, QR
from clusterdns.wire.question import Question
from clusterdns.wire.transfer import FULL, LARGEST, SLICE, several
from tests.wire.build import Twin, address, twins, wire

AXFR = Question.of("Example.org.", QTYPE.AXFR)


def pieces(records: Sequence[RR], edns: Edns | None = None) -> Iterator[bytes]:
    """What is sent, turns included."""
    begun = several(id=7, flags=QR | AA, question=AXFR, records=iter(records), edns=edns)
    yield begun
    yield from begun.rest


def messages(records: Sequence[RR], edns: Edns | None = None) -> list[dns.message.Message]:
    found = [piece for piece in pieces(records, edns) if piece]
    assert max(map(len, found)) <= LARGEST
    return [dns.message.from_wire(octets, one_rr_per_rrset=True) for octets in found]


def addresses(count: int) -> list[RR]:
    return [address(f"h{i}.example.org", (10, 0, i >> 8, i & 255)) for i in range(count)]


def texts(count: int, octets: int) -> list[RR]:
    owner = DNSLabel("t.example.org")
    return [RR(owner, QTYPE.TXT, rdata=TXT([b"x" * 250] * (octets // 251))) for _ in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE, 4000])
def test_every_record_once_and_in_its_order(count: int) -> None:
    records = addresses(count)
    found = [rrset for message in messages(records) for rrset in message.answer]
    assert [str(rrset.name) for rrset in found] == [str(record.rname) for record in records]
    assert [str(rrset[0]) for rrset in found] == [str(record.rdata) for record in records]


def test_each_message_has_header_question_and_opt() -> None:
    found = messages(addresses(4000), Edns())
    assert len(found) > 2
    for message in found:
        assert message.id == 7
        assert message.flags == dns.flags.QR | dns.flags.AA
        assert message.question[0].to_text() == "Example.org. IN AXFR"
        assert message.payload == 1232


def test_what_is_done_at_a_stretch() -> None:
    """No turn comes later than after a slice."""
    since, made = 0, []

    def counted() -> Iterator[RR]:
        for record in addresses(1000):
            made.append(record)
            yield record

    begun = several(id=7, flags=QR, question=AXFR, records=counted(), edns=None)
    assert len(made) == SLICE + 1
    for _ in begun.rest:
        assert len(made) - since <= SLICE + 1 or not since
        since = len(made)
    assert len(made) == 1000


@pytest.mark.parametrize("octets", [251, 2510, 25100])
def test_messages_are_filled(octets: int) -> None:
    sizes = [len(piece) for piece in pieces(texts(300, octets)) if piece]
    assert all(FULL - octets - 300 < size <= FULL for size in sizes[1:-1])


def test_a_record_that_is_larger_than_that_stands_alone() -> None:
    large, small = texts(1, 64000), addresses(1)
    assert [len(m.answer) for m in messages([*small, *large, *small])] == [1, 1, 1]


@pytest.mark.parametrize("texts_of_255", [255, 300], ids=["with its header", "alone"])
def test_a_record_for_no_message(texts_of_255: int) -> None:
    rdata = TXT([b"x" * 255] * texts_of_255 + [b"x" * 250])
    with pytest.raises(ResolveError):
        list(pieces([*addresses(1), RR(DNSLabel("x"), QTYPE.TXT, rdata=rdata), *addresses(1)]))


@given(st.lists(twins(), max_size=12))
def test_as_written(records: list[Twin]) -> None:
    found = [rrset for m in messages([each.packed for each in records]) for rrset in m.answer]
    assert [(rrset.name.to_wire(), rrset[0].to_wire()) for rrset in found] == [
        (each.owner, each.rdata) for each in records
    ]


def test_names_lead_into_their_own_message() -> None:
    """A pointer beyond a message's 14 bits, or into the one before, would be another name."""
    for message in messages(addresses(6000)):
        names = [rrset.name.to_wire() for rrset in message.answer]
        assert all(name and name.endswith(wire((b"example", b"org"))) for name in names)
