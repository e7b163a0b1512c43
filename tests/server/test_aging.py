"""Finished answers whose TTLs count down, against a server that asks its plugins each time."""

import math
from itertools import pairwise

import dns.message
import pytest
from dnslib import RR
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.plugins.query import Aging, Reply
from clusterdns.server.finished import ORDERS, Finished
from clusterdns.wire.edns import Edns
from clusterdns.wire.message import encode
from clusterdns.wire.question import Question
from tests.server.asking import read

NAME = "www.example.org."
START = 1000.0
QUESTION = Question.of(NAME, 1)


def packed(reply: Reply) -> bytes:
    return encode(
        id=0,
        flags=0x8000,
        question=QUESTION,
        rcode=0,
        answer=reply.answer,
        authority=reply.authority,
        additional=reply.additional,
        edns=Edns(),  # its TTL is none
        limit=65535,
    )


def reply(ttl: int, now: float = START, life: int = 60, **fields: object) -> Reply:
    """What a cache says at this moment of records that live for so long since START."""
    answer = f"{NAME} {ttl} IN CNAME a.example.org.\na.example.org. {ttl} IN A 127.0.0.1"
    made = Reply(answer=RR.fromZone(answer), authority=RR.fromZone(f"org. {ttl} IN NS ns.org."))
    made.aging = Aging(START, life, START + life)
    made.until = START + int(now - START) + 1
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def finished(given: Reply) -> Finished:
    return Finished(packed(given), given, QUESTION)


def ttls(body: bytes | None) -> set[int]:
    assert body is not None
    message: dns.message.Message = read(b"\0\0" + body)
    return {each.ttl for section in message.sections[1:] for each in section}


def moments(most: int) -> st.SearchStrategy[float]:
    """Seconds whose sums and differences floats hold exactly: nobody rounds."""
    return st.integers(0, most * 1024).map(lambda ticks: ticks / 1024)


@given(
    st.integers(1, 1000),
    st.lists(moments(30), min_size=1, max_size=12),
    moments(10_000_000),
)
def test_each_second_as_if_the_plugins_were_asked(
    life: int, steps: list[float], start: float
) -> None:
    """A reply of its own for each moment, and one finished answer for all of them."""
    first = reply(life, life=life, aging=Aging(start, life, start + life), until=start + 1)
    kept = finished(first)
    now = start
    for step in steps:
        now += step
        left = life - int(now - start)
        body = kept.at(now)
        if now >= start + life:
            assert body is None
            return
        assert ttls(body) == {left}


def test_octets_are_those_of_the_plugins() -> None:
    kept = finished(reply(60))
    for passed in (0.0, 0.99, 1.0, 7.5, 59.9):
        now = START + passed
        assert kept.at(now) == packed(reply(60 - int(passed)))[2:]


CHANGED = {
    "a TTL of its own": reply(30),
    "different TTLs": reply(60, additional=RR.fromZone("ns.org. 9 IN A 127.0.0.1")),
    "until lowered": reply(60, until=START + 0.5),
    "until without end": reply(60, until=math.inf),
    "no records": Reply(aging=Aging(START, 60, START + 60), until=START + 1),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_a_plugin_changed_is_asked_for_again(name: str) -> None:
    given = CHANGED[name]
    kept = finished(given)
    assert kept.until == given.until
    if given.until < math.inf:
        assert kept.at(given.until) is None


def test_orders_count_down_together() -> None:
    orders = []
    for number in range(ORDERS):
        records = "\n".join(f"{NAME} 60 IN A 127.0.0.{(number + i) % 8 + 1}" for i in range(8))
        orders.append(reply(60, answer=RR.fromZone(records), reorder=lambda given: given))
    kept = finished(orders[0])
    for each in orders[1:]:
        assert kept.at(START) is None
        assert kept.takes(packed(each), each, QUESTION, START)
    sent = [kept.at(START + 0.5) for _ in range(ORDERS)]
    assert all(ttls(body) == {60} for body in sent)
    later = [kept.at(START + 9.5) for _ in range(ORDERS)]
    assert all(ttls(body) == {51} for body in later)
    firsts = {read(b"\0\0" + body).answer[0].to_text() for body in later if body}
    assert len(firsts) == ORDERS


def test_an_order_of_another_second_is_not_taken() -> None:
    kept = finished(reply(60, reorder=lambda given: given))
    assert kept.at(START + 1) is None
    late = reply(60, reorder=lambda given: given)
    assert not kept.takes(packed(late), late, QUESTION, START + 1)
    fresh = reply(59, START + 1, reorder=lambda given: given)
    assert kept.takes(packed(fresh), fresh, QUESTION, START + 1)
    other = reply(59, START + 1, reorder=lambda given: given, aging=Aging(START, 60, START + 50))
    assert not kept.takes(packed(other), other, QUESTION, START + 1)


def test_tells_how_often_it_was_sent() -> None:
    told: list[tuple[int, float]] = []
    kept = finished(reply(60, sent_again=lambda times, until: told.append((times, until))))
    for now, hits in ((START, 3), (START + 1.2, 2), (START + 1.5, 1), (START + 5, 0)):
        assert kept.at(now) is not None
        kept.hits += hits
    assert told == [(3, START + 1), (3, START + 2)]
    kept.hits += 4
    assert kept.fold() == 10
    assert kept.at(START + 60) is None
    assert [times for times, _ in told] == [3, 3, 4]
    assert all(one <= other for (_, one), (_, other) in pairwise(told))
