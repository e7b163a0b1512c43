"""One query without sockets: octets out, which reply is the right one, whom to ask next."""

import random
from dataclasses import replace

import dns.edns
import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import MalformedMessage
from clusterdns.plugins.forward.exchange import Asked, Walk, asked, is_empty, probe, reply_to
from clusterdns.plugins.query import Query
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.message import parse
from clusterdns.wire.question import Question
from tests.plugins.asking import query
from tests.plugins.forward.stubs import option

NAME = "WwW.example.ORG."


def client(
    *, edns: bool = False, options: list[tuple[int, bytes]] | None = None, **given: int
) -> Query:
    """A query as it came in."""
    message = dns.message.make_query(NAME, "AAAA")
    message.flags |= given.get("flags", 0)
    if edns or options:
        found = [option(code, data) for code, data in options or []]
        message.use_edns(0, given.get("ednsflags", 0), 1400, options=found)
    octets = message.to_wire()
    read = parse(octets)
    return query(question=read.question, octets=octets, flags=read.flags, edns=read.edns)


@pytest.mark.parametrize(
    "came",
    [
        client(),
        client(flags=dns.flags.CD | dns.flags.AD),
        client(edns=True, ednsflags=dns.flags.DO),
        client(options=[(8, b"\0\1\x18\0\x0a\1\2"), (65001, b"x")]),
    ],
    ids=["plain", "CD and AD", "DO", "options"],
)
def test_what_is_asked_is_what_came(came: Query) -> None:
    """3.3.3, 5: own id, all else unchanged."""
    assert asked(came).rest == came.octets[2:]


def test_options_between_neighbours_stay_there() -> None:
    came = client(options=[(10, b"12345678"), (11, b""), (12, bytes(20)), (3, b"")])
    sent = dns.message.from_wire(b"\0\1" + asked(came).rest)
    assert [int(option.otype) for option in sent.options] == [3]
    assert sent.payload == 1400


def test_what_a_plugin_changed_is_asked() -> None:
    came = replace(client(edns=True), question=Question.of("other.org.", 1), flags=0x0110)
    sent = dns.message.from_wire(b"\0\1" + asked(came).rest)
    assert sent.question[0].to_text() == "other.org. IN A"
    assert sent.flags == dns.flags.RD | dns.flags.CD
    assert asked(replace(came, edns=None)).rest[8:10] == b"\0\0"


def test_records_of_a_query_go_on() -> None:
    """IXFR: a SOA record in Authority, RFC 1995 section 3."""
    message = dns.message.make_query("example.org.", "IXFR")
    message.authority.append(dns.rrset.from_text("example.org.", 0, "IN", "SOA", ". . 1 1 1 1 1"))
    octets = message.to_wire()
    read = parse(octets)
    came = query(question=read.question, octets=octets, flags=read.flags)
    assert asked(came).rest == octets[2:]
    assert asked(came).key is None
    assert len(asked(replace(came, question=Question.of("b.", 251))).rest) < len(octets) - 2


SAME = client(edns=True)
OTHERS = {
    "type": replace(SAME, question=replace(SAME.question, qtype=1)),
    "class": replace(SAME, question=replace(SAME.question, qclass=3)),
    "name": replace(SAME, question=Question.of("example.org", 28)),
    "RD": replace(SAME, flags=0),
    "CD": replace(SAME, flags=0x0110),
    "no EDNS": replace(SAME, edns=None),
    "DO": replace(SAME, edns=Edns(1400, flags=0x8000)),
    "size": replace(SAME, edns=Edns(1401)),
    "an option": replace(SAME, edns=Edns(1400, options=(Option(8, b"\0\1\0\0"),))),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_decides_a_reply_is_in_the_key(other: Query) -> None:
    key = asked(SAME).key
    assert key != asked(other).key


def test_case_and_cookies_decide_nothing() -> None:
    folded = replace(SAME, question=Question.of(NAME.lower(), 28))
    cookie = replace(SAME, edns=Edns(1400, options=(Option(10, b"12345678"),)))
    assert asked(SAME).key == asked(folded).key == asked(cookie).key


QUESTION = asked(SAME)


def replied(name: str = NAME, qtype: str = "AAAA", *records: str) -> dns.message.Message:
    message = dns.message.make_response(dns.message.make_query(name, qtype))
    for text in records:
        message.answer.append(dns.rrset.from_text(name, 30, "IN", qtype, text))
    return message


def no_reply() -> dns.message.Message:
    message = replied()
    message.flags &= ~dns.flags.QR
    return message


def two_questions() -> dns.message.Message:
    message = replied()
    message.question.append(dns.rrset.from_text("b.", 0, "IN", "A"))
    return message


IGNORED = {
    "another name": replied("www.example.com.").to_wire(),
    "a longer name": replied("www.example.org.uk.").to_wire(),
    "another type": replied(NAME, "A").to_wire(),
    "another class": replied().to_wire()[:-1] + b"\3",
    "a query": no_reply().to_wire(),
    "two questions": two_questions().to_wire(),
    "another opcode": b"\0\1\xa0\0" + replied().to_wire()[4:],
    "nothing": b"",
    "half a header": replied().to_wire()[:6],
    "NOERROR without a question": b"\0\1\x81\x80" + bytes(8),
    "NXDOMAIN without a question": b"\0\1\x81\x83" + bytes(8),
    "an error with records, without a question": b"\0\1\x81\x82\0\0\0\1" + bytes(4),
    "half a question": replied().to_wire()[:20],
}


@pytest.mark.parametrize("octets", IGNORED.values(), ids=IGNORED)
def test_other_messages_are_ignored(octets: bytes) -> None:  # D31
    assert reply_to(QUESTION, octets) is None


@pytest.mark.parametrize("name", [NAME, NAME.lower(), NAME.upper()])
def test_the_reply(name: str) -> None:
    octets = replied(name, "AAAA", "::1").to_wire()
    found = reply_to(QUESTION, octets)
    assert found is not None
    assert found.octets == octets
    assert (found.rcode, found.answer, found.truncated) == (0, 1, False)
    assert not is_empty(found)


def test_an_empty_reply() -> None:
    found = reply_to(QUESTION, replied().to_wire())
    assert found is not None
    assert is_empty(found)


@pytest.mark.parametrize("rcode", [1, 2, 4, 5])
def test_errors_may_lack_the_question(rcode: int) -> None:
    found = reply_to(QUESTION, b"\0\1\x81" + bytes([0x80 | rcode]) + bytes(8))
    assert found is not None
    assert found.rcode == rcode


def test_a_reply_cut_off_is_no_reply() -> None:
    octets = replied(NAME, "AAAA", "::1").to_wire()
    with pytest.raises(MalformedMessage):
        reply_to(QUESTION, octets[:-3])


def test_a_reply_cut_off_that_says_so_is_a_truncated_one() -> None:
    octets = replied(NAME, "AAAA", "::1").to_wire()
    found = reply_to(QUESTION, octets[:2] + bytes([octets[2] | 2]) + octets[3:-3])
    assert found is not None
    assert found.truncated
    assert (found.answer, found.start, found.end) == (0, found.start, found.start)


def test_cookies_of_upstreams_stay_with_us() -> None:
    message = replied()
    found = [option(code, b"12345678") for code in (10, 3, 12)]
    message.use_edns(0, 0, 1232, options=found)
    read = reply_to(QUESTION, message.to_wire())
    assert read is not None
    assert [option.code for option in read.options] == [3]


@given(st.binary(max_size=80))
def test_no_octets_make_more_than_a_fault(octets: bytes) -> None:
    try:
        reply_to(QUESTION, octets)
        reply_to(QUESTION, replied(NAME, "AAAA", "::1").to_wire()[:12] + octets)
        reply_to(QUESTION, replied(NAME, "AAAA", "::1").to_wire()[:-26] + octets)
    except MalformedMessage:
        pass


@given(st.data())
def test_a_changed_octet_never_makes_it_another_question(data: st.DataObject) -> None:
    octets = bytearray(replied(NAME, "AAAA", "::1").to_wire())
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] = data.draw(st.integers(0, 255))
    try:
        found = reply_to(QUESTION, bytes(octets))
    except MalformedMessage:
        return
    if found is not None and found.start > 12:
        assert bytes(octets[12 : found.start]).lower() == QUESTION.question.lower()


def test_a_probe() -> None:
    sent = dns.message.from_wire(b"\0\1" + probe(Question.of(".", 2)).rest)
    assert sent.question[0].to_text() == ". IN NS"
    assert sent.flags == dns.flags.RD
    assert not dns.message.from_wire(b"\0\1" + probe(Question.of(".", 2), False).rest).flags


def walk(down: str = "", attempts: int = 0, order: str = "abc", **given: bool) -> Walk[str]:
    return Walk(order, lambda each: each in down, lambda each: each[-1], attempts, **given)


def failing(found: Walk[str], times: int = 9) -> str:
    """Who is asked if nobody answers."""
    names = ""
    for _ in range(times):
        name = found.next()
        if name is None:
            break
        names += name
        found.failed()
    return names


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (walk(), "abcabcabc"),
        (walk(attempts=6), "abcabc"),
        (walk(attempts=1), "a"),
        (walk(down="a"), "bcbcbcbcb"),
        (walk(down="b", attempts=3), "aca"),
        (walk(down="abc"), "c"),  # the checks may be what is broken: one try
        (walk(down="abc", fail_fast=True), ""),
        (walk(order="a", attempts=2), "aa"),
        (walk(order=""), ""),
        (walk(begun=True, attempts=3), "bca"),
    ],
)
def test_walk(found: Walk[str], expected: str) -> None:
    assert failing(found) == expected


def test_walk_says_when_it_begins_again_and_when_all_are_down() -> None:
    found = walk(order="ab")
    assert [(found.next(), found.wrapped) for _ in range(4)] == [
        ("a", False),
        ("b", False),
        ("a", True),
        ("b", False),
    ]
    assert not found.all_down
    found = walk(down="abc")
    assert (found.next(), found.all_down) == ("c", True)


def test_one_that_goes_down_meanwhile() -> None:
    down: set[str] = set()
    found: Walk[str] = Walk("ab", down.__contains__, random.choice, 0)
    assert found.next() == "a"
    down.add("b")
    assert found.next() == "a"
    down.add("a")
    assert found.next() in ("a", "b")
    assert found.all_down


def test_failover_ends_with_the_last_upstream() -> None:
    found = walk()
    assert [found.fails_over() for _ in range(3)] == [True, True, False]
    assert not walk(order="a").fails_over()


@given(
    st.lists(st.integers(0, 3), max_size=6, unique=True).map(tuple),
    st.sets(st.integers(0, 3)),
    st.integers(0, 8),
)
def test_walk_asks_nobody_that_is_down_while_another_is_not(
    order: tuple[int, ...], down: set[int], attempts: int
) -> None:
    found: Walk[int] = Walk(order, down.__contains__, random.choice, attempts)
    given = []
    for _ in range(20):
        each = found.next()
        if each is None:
            break
        given.append(each)
        found.failed()
    usable = [each for each in order if each not in down]
    if usable:
        assert set(given) <= set(usable)
        assert len(given) == (attempts or 20)
        assert given[: len(usable)] == usable[: attempts or None]
    else:
        assert len(given) == bool(order)


def test_asked_is_about_its_question() -> None:
    question = Asked(b"\1A\0\0\1\0\1", b"", None)
    assert question.is_about(b"\1a\0\0\1\0\1")
    assert not question.is_about(b"\1a\0\0\x21\0\1")
    assert not question.is_about(b"\1b\0\0\1\0\1")
