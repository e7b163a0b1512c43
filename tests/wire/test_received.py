"""Replies of upstreams: read, sent on as octets, cut, parsed."""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.errors import MalformedMessage, ResolveError
from clusterdns.plugins.query import Reply
from clusterdns.wire.edns import Edns
from clusterdns.wire.question import Question, parse_question
from clusterdns.wire.received import (
    Received,
    passed_on,
    received,
    sections,
    with_addresses,
    with_glue,
)

NAME = "www.Example.org."


def message(*records: str, edns: bool = False, rcode: int = 0) -> dns.message.Message:
    """A reply with records in master-file text; a section's name stands before those in it."""
    query = dns.message.make_query(NAME, "A", use_edns=0 if edns else None)
    found = dns.message.make_response(query, recursion_available=True)
    section = found.answer
    for text in records:
        if text in ("authority", "additional"):
            section = getattr(found, text)
            continue
        name, ttl, rtype, data = text.split(None, 3)
        section.append(dns.rrset.from_text(name, int(ttl), "IN", rtype, data))
    if edns:
        option = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"ns1")
        found.use_edns(0, 0, 4096, options=[option])
    found.set_rcode(dns.rcode.Rcode(rcode))
    return found


CASES = {
    "an address": message(f"{NAME} 30 A 192.0.2.1"),
    "a chain": message(
        f"{NAME} 30 CNAME a.example.org.", "a.example.org. 5 CNAME b.test.", "b.test. 1 A 192.0.2.1"
    ),
    "NXDOMAIN": message("authority", "example.org. 60 SOA a. b. 1 2 3 4 5", rcode=3),
    "a referral": message(
        "authority", "org. 60 NS a.test.", "additional", "a.test. 60 AAAA 2001:db8::1"
    ),
    "nothing": message(),
    "EDNS": message(f"{NAME} 30 A 192.0.2.1", edns=True),
    "EDNS and glue": message(
        "authority", "org. 6 NS a.", "additional", "a. 6 A 192.0.2.1", edns=True
    ),
    "an extended rcode": message(edns=True, rcode=23),
    "an unknown type": message(f"{NAME} 30 TYPE65400 \\# 3 010203"),
    "no rdata": message(f"{NAME} 30 TYPE65401 \\# 0"),
    "many types": message(
        f"{NAME} 30 MX 5 a.test.",
        f"{NAME} 30 TXT one two",
        f"{NAME} 30 SRV 1 2 3 {NAME}",
        f'{NAME} 30 CAA 0 issue "a.test"',
        f"{NAME} 30 HTTPS 1 . alpn=h2",
    ),
}


def read(octets: bytes) -> Received:
    return received(octets, parse_question(octets).end)


def sent_on(octets: bytes, *, edns: Edns | None = None, limit: int = 65535) -> dns.message.Message:
    found = read(octets)
    result = passed_on(
        found,
        id=77,
        flags=0x8180,
        question=Question.of("WWW.example.ORG", 1),
        rcode=found.rcode,
        edns=edns,
        limit=limit,
    )
    assert result is not None
    assert len(result) <= limit
    return dns.message.from_wire(result)


@pytest.mark.parametrize("came", CASES.values(), ids=CASES)
@pytest.mark.parametrize("edns", [None, Edns(1232, flags=0x8000)])
def test_sent_on(came: dns.message.Message, edns: Edns | None) -> None:
    went = sent_on(came.to_wire(), edns=edns)
    assert went.id == 77
    assert went.question[0].name.to_text() == "WWW.example.ORG."
    assert (went.answer, went.authority, went.additional) == (
        came.answer,
        came.authority,
        came.additional,
    )
    assert went.edns == (-1 if edns is None else 0)
    assert went.rcode() == (came.rcode() if edns or came.rcode() < 16 else 2)
    if edns:
        assert (went.payload, went.ednsflags & 0xFFFF, went.options) == (1232, 0x8000, ())


@pytest.mark.parametrize("came", CASES.values(), ids=CASES)
def test_sections(came: dns.message.Message) -> None:
    found = sections(read(came.to_wire()))
    for ours, theirs in zip(found, (came.answer, came.authority, came.additional), strict=True):
        assert [record.rtype for record in ours] == [
            int(each.rdtype) for each in theirs for _ in each
        ]
        assert [record.ttl for record in ours] == [each.ttl for each in theirs for _ in each]
        assert [str(record.rname).lower() for record in ours] == [
            each.name.to_text().lower() for each in theirs for _ in each
        ]


def test_options_are_read() -> None:
    assert [option.code for option in read(CASES["EDNS"].to_wire()).options] == [3]
    assert read(CASES["an extended rcode"].to_wire()).rcode == 23


def test_labels_of_any_octets() -> None:
    octets = message(f"{NAME} 30 CNAME \\255\\046x.test.").to_wire()
    ((record,), _, _) = sections(read(octets))
    assert record.rdata.label.label == (b"\xff.x", b"test")


BIG = message(
    *(f"{NAME} 30 TXT {'x' * 100}{n:03}" for n in range(8)),
    *("authority", "org. 6 NS a.", "additional", "a. 6 A 192.0.2.1", "a. 6 AAAA ::1"),
    edns=True,
)


@pytest.mark.parametrize("limit", [512, 600, 700, 800, 900, 950, 1000, 1010, 1040, 1100, 1200])
def test_what_does_not_fit_is_cut(limit: int) -> None:
    """Whole records from the end; TC unless they were additional (D29)."""
    whole = sent_on(BIG.to_wire(), edns=Edns())
    went = sent_on(BIG.to_wire(), edns=Edns(), limit=limit)
    kept = sum(len(each) for each in went.answer)
    assert went.answer == [] or went.answer[0].items.keys() <= whole.answer[0].items.keys()
    complete = kept == 8 and went.authority == whole.authority
    assert bool(went.flags & dns.flags.TC) != complete
    assert went.additional == whole.additional[: len(went.additional)]
    assert went.edns == 0
    if limit == 1200:
        assert went.additional == whole.additional
    if kept < 8:
        assert len(went.to_wire()) + 120 > limit - 11


def test_another_question_has_other_pointers() -> None:
    found = read(CASES["an address"].to_wire())
    given = {"id": 1, "flags": 0x8180, "rcode": 0, "edns": None, "limit": 512}
    for question in (Question.of("example.org", 1), Question.of(NAME, 28)):
        assert passed_on(found, question=question, **given) is None  # type: ignore[arg-type]


def test_what_follows_an_opt_record_is_left_out() -> None:
    octets = CASES["EDNS"].to_wire()
    extra = b"\0\0\xfa\0\xff\0\0\0\0\0\0"  # as a TSIG stands there
    octets = octets[:10] + b"\0\2" + octets[12:] + extra
    assert sent_on(octets, edns=Edns()).answer == CASES["EDNS"].answer


CUT = [CASES["a chain"].to_wire()[:-n] for n in (1, 5, 12, 20)]
POINTER = bytearray(CASES["an address"].to_wire())
POINTER[-16:-14] = b"\xc0\xff"


@pytest.mark.parametrize("octets", [*CUT, bytes(POINTER)])
def test_records_that_are_not_there(octets: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read(octets)


@given(st.binary(max_size=60), st.binary(min_size=8, max_size=8))
def test_no_octets_raise_anything_else(octets: bytes, counts: bytes) -> None:
    start = CASES["nothing"].to_wire()
    counts = b"\0\1" + bytes(each & 1 for each in counts[:6])
    try:
        found = received(start[:4] + counts + start[12:] + octets, len(start))
        sections(found)
    except MalformedMessage:
        pass


def test_a_pointer_into_a_label() -> None:
    octets = bytearray(CASES["an address"].to_wire())
    octets[-15] = 13
    with pytest.raises(MalformedMessage):
        read(bytes(octets))


@settings(max_examples=300)
@given(st.data())
def test_a_changed_octet_is_sent_on_or_refused(data: st.DataObject) -> None:
    octets = bytearray(CASES["EDNS and glue"].to_wire())
    at = data.draw(st.integers(parse_question(bytes(octets)).end, len(octets) - 1))
    octets[at] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(octets))
    except MalformedMessage:
        return
    question = Question.of(NAME, 1)
    for limit in (40, 512):
        result = passed_on(
            found, id=1, flags=0x8180, question=question, rcode=0, edns=None, limit=limit
        )
        assert result is not None
        assert parse_question(result).name == question.name
        assert limit < 512 or found.end == len(result)


def reply() -> Reply:
    return Reply.of(read(CASES["a referral"].to_wire()))


def test_a_reply_stays_octets_until_somebody_looks() -> None:
    found = reply()
    found.rcode, found.authoritative = 3, True
    assert found.received is not None
    assert [str(record.rdata) for record in found.authority] == ["a.test."]
    assert found.received is None
    assert (found.rcode, found.authoritative, found.recursion) == (3, True, True)


def test_sections_of_a_reply_can_be_set() -> None:
    found = reply()
    found.authority = []
    assert found.received is None
    assert (found.answer, found.authority, len(found.additional)) == ([], [], 1)


def test_a_reply_that_cannot_be_parsed_says_so_to_who_looks() -> None:
    octets = bytearray(message(f"{NAME} 30 CNAME a.test.").to_wire())
    octets[-8:] = b"\xff" * 8
    found = Reply.of(read(bytes(octets)))
    with pytest.raises(ResolveError, match="an upstream's reply cannot be read"):
        _ = found.answer
    assert found.received is not None


ADDRESSES = [f"192.0.2.{n}" for n in range(4)]


def backwards(*records: str) -> list[str] | None:
    """The answer with its addresses in the opposite order, the rest as it was."""
    octets = message(*records).to_wire()
    found = with_addresses(read(octets), list.reverse)
    if found is None:
        return None
    assert len(found.octets) == len(octets)
    return [str(each.rdata) for section in sections(found) for each in section]


def test_addresses_in_another_order() -> None:
    alone = [f"{NAME} 30 A {each}" for each in ADDRESSES]
    assert backwards(*alone) == ADDRESSES[::-1]
    chain = [f"{NAME} 30 CNAME a.test.", *(f"a.test. 30 A {each}" for each in ADDRESSES)]
    behind = ["authority", "a.test. 30 NS b.a.test.", "additional", "b.a.test. 30 A 192.0.2.9"]
    expected = ["a.test.", *ADDRESSES[::-1], "b.a.test.", "192.0.2.9"]
    assert backwards(*chain, *behind) == expected
    assert backwards(f"{NAME} 30 AAAA ::1", f"{NAME} 30 AAAA ::2") == ["::2", "::1"]


@pytest.mark.parametrize("came", CASES.values(), ids=CASES)
def test_where_there_is_no_choice_nothing_changes(came: dns.message.Message) -> None:
    found = read(came.to_wire())
    other = with_addresses(found, list.reverse)
    assert other is found or (other is None and "MX" in came.to_text())


@pytest.mark.parametrize(
    "records",
    [
        [f"{NAME} 30 A 192.0.2.1", f"{NAME} 30 AAAA ::1"],  # not equally long
        [f"{NAME} 30 A 192.0.2.1", "b.test. 30 A 192.0.2.2"],  # owned by two
        [f"{NAME} 30 A 192.0.2.1", f"{NAME} 30 TXT a"],  # others behind them
        [f"{NAME} 30 MX 1 a.", f"{NAME} 30 MX 1 b."],
    ],
)
def test_orders_that_need_the_records(records: list[str]) -> None:
    assert backwards(*records) is None


def glue_backwards(*additional: str) -> list[str] | None:
    """Additional with its addresses in the opposite order, names and all."""
    servers = ["authority", "test. 30 NS a.test.", "test. 30 NS b.a.test."]
    records = [f"{NAME} 30 A 192.0.2.1", f"{NAME} 30 TXT a", *servers, "additional", *additional]
    came = read(message(*records).to_wire())
    found = with_glue(came, list.reverse)
    if found is None:
        return None
    before, after = sections(came), sections(found)
    assert str(before[:2]) == str(after[:2])
    return [f"{each.rname} {each.rdata}" for each in after[2]]


def test_glue_in_another_order() -> None:
    glue = ["a.test. 30 A 192.0.2.1", "b.a.test. 30 AAAA ::1", "a.test. 30 A 192.0.2.2"]
    backwards = ["a.test. 192.0.2.2", "b.a.test. ::1", "a.test. 192.0.2.1"]
    assert glue_backwards(*glue) == backwards


@pytest.mark.parametrize(
    "record", ["a.test. 30 TXT a", "c.a.test. 30 A 192.0.2.3", ". 30 A 192.0.2.3"]
)
def test_glue_that_needs_the_records(record: str) -> None:
    """Other types, and owners that are not pointers alone."""
    assert glue_backwards("a.test. 30 A 192.0.2.1", record) is None
