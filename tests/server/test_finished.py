"""How long a finished answer is right, and what changes in it as it leaves."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from dnslib import RR, DNSLabel

from clusterdns.plugins.query import Reply
from clusterdns.server.finished import ORDERS, RENEW, Finished
from clusterdns.wire.edns import Edns
from clusterdns.wire.message import encode
from clusterdns.wire.question import Question
from tests.server.asking import read

NAME = "web.shop.svc.test."
TEN = "\n".join(f"{NAME} 5 IN A 10.0.0.{i}" for i in range(10))
SOA = "test. 30 IN SOA ns.dns.test. hostmaster.test. 7 7200 1800 86400 30"


def records(text: str) -> list[RR]:
    found: list[RR] = RR.fromZone(text) if text else []
    return found


def packed(question: Question, reply: Reply) -> bytes:
    return encode(
        id=0,
        flags=0x8400,
        question=question,
        rcode=reply.rcode,
        answer=reply.answer,
        authority=reply.authority,
        additional=reply.additional,
        edns=Edns(),
        limit=65535,
    )


def finished(name: str = NAME, answer: str = "", authority: str = "", **fields: object) -> Finished:
    reply = Reply(answer=records(answer), authority=records(authority), until=math.inf)
    for field, value in fields.items():
        setattr(reply, field, value)
    question = Question.of(name, 1)
    return Finished(packed(question, reply), reply, question)


def test_plain_is_what_stays_as_it_is() -> None:
    assert finished(answer=TEN).plain
    assert finished(authority=SOA).plain  # a SOA whose serial nobody moves
    assert not finished(authority=SOA, serial=lambda: 8).plain
    assert finished(answer=TEN, serial=lambda: 8).plain  # no SOA in it
    assert not finished(answer=TEN, until=10.0).plain
    assert not finished(answer=TEN, reorder=lambda reply: reply).plain


@pytest.mark.parametrize(("now", "sent"), [(9.999, True), (10.0, False), (11.0, False)])
def test_until(now: float, sent: bool) -> None:
    assert (finished(answer=TEN, until=10.0).at(now) is not None) == sent


def test_the_serial_is_that_of_the_moment() -> None:
    now = [7]
    answer = finished(authority=f"{SOA}\n{SOA}", serial=lambda: now[0])
    for expected in (7, 8, 8, 9):
        now[0] = expected
        body = answer.at(1.0)
        assert body is not None
        reply = read(b"\0\0" + body)
        assert [soa[0].serial for soa in reply.authority] == [expected] * 2
        assert reply.authority[0][0].mname.to_text() == "ns.dns.test."


class Orders:
    """A finished answer with an order of its own for each ask of the plugins."""

    def __init__(self, until: float = math.inf) -> None:
        self.rotated = 0
        self.until = until
        self.question = Question.of(NAME, 1)
        self.answer = Finished(*self.made(), self.question)

    def made(self) -> tuple[bytes, Reply]:
        found = records(TEN)
        at = self.rotated % len(found)
        self.rotated += 1
        reply = Reply(answer=found[at:] + found[:at], until=self.until, reorder=lambda r: r)
        return packed(self.question, reply), reply

    def ask(self, now: float = 1.0) -> str:
        """The first address of the reply; the plugins are asked where there is none."""
        body = self.answer.at(now)
        if body is None:
            octets, reply = self.made()
            assert self.answer.takes(octets, reply, self.question, now)
            body = octets[2:]
        return str(read(b"\0\0" + body).answer[0][0])


def test_the_first_asks_each_bring_an_order_and_then_they_take_turns() -> None:
    orders = Orders()
    first = [orders.ask() for _ in range(ORDERS - 1)]
    assert first == [f"10.0.0.{i}" for i in range(1, ORDERS)]
    assert orders.rotated == ORDERS
    counted = Counter(orders.ask() for _ in range(ORDERS * 4))
    assert counted == dict.fromkeys([f"10.0.0.{i}" for i in range(ORDERS)], 4)
    assert orders.rotated == ORDERS


def test_each_order_is_made_anew_in_the_long_run() -> None:
    orders = Orders()
    seen = Counter(orders.ask() for _ in range(RENEW * 20))
    assert orders.rotated == ORDERS + 20
    assert set(seen) == {f"10.0.0.{i}" for i in range(10)}
    kept = orders.answer._orders
    assert kept is not None
    assert len(kept) == ORDERS


def test_orders_end_with_the_first_of_them() -> None:
    orders = Orders(until=10.0)
    orders.ask()
    orders.until = 5.0
    orders.ask()
    assert orders.answer.until == 5.0
    assert orders.answer.at(5.0) is None
    octets, reply = orders.made()
    assert not orders.answer.takes(octets, reply, orders.question, 5.0)


def test_another_answer_is_not_an_order() -> None:
    orders = Orders()
    octets, reply = orders.made()
    other = replace(reply, keys=frozenset({("namespace", "x")}))
    assert not orders.answer.takes(octets, other, orders.question, 1.0)
    assert not orders.answer.takes(octets, replace(reply, reorder=None), orders.question, 1.0)
    assert not finished(answer=TEN).takes(octets, reply, orders.question, 1.0)


def test_an_order_asked_for_in_another_spelling_is_kept_in_ours() -> None:
    orders = Orders()
    octets, reply = orders.made()
    shouted = Question(orders.question.name.upper(), 1)
    as_asked = replace(reply, answer=respelled(reply.answer, shouted))
    assert orders.answer.takes(packed(shouted, as_asked), as_asked, shouted, 1.0)
    kept = orders.answer._orders
    assert kept is not None
    assert kept[1] == (octets[2:], ())


OTHER = "other.test. 5 IN A 10.0.0.1"
SPELLED = {
    "addresses": (NAME, TEN, "", True),
    "a SOA above": (NAME, "", SOA, True),
    "nothing at all": (NAME, "", "", True),
    "an owner of its own": (NAME, "else.where. 5 IN A 10.0.0.1", "", True),
    "an owner that ends as the question does": (NAME, OTHER, "", True),  # a pointer: follows
    "an alias": (NAME, f"{NAME} 5 IN CNAME else.where.", "", False),
    "a text": (NAME, f'{NAME} 5 IN TXT "x"', "", False),
    "an owner with a label of the question": (NAME, "web. 5 IN A 10.0.0.1", "", False),
    "the same in other letters": (NAME, "WEB. 5 IN A 10.0.0.1", "", False),
    "a zone spelled otherwise": (NAME, "", SOA.replace("test. 30", "TEST. 30"), False),
    "a name without letters": ("10.0.0.1.", "10.0.0.1. 5 IN A 10.0.0.1", "", True),
    "the root": (".", ". 5 IN A 10.0.0.1", "", True),
}


@pytest.mark.parametrize(("name", "answer", "authority", "free"), SPELLED.values(), ids=SPELLED)
def test_another_spelling(name: str, answer: str, authority: str, free: bool) -> None:
    """Where it is given, it is what the full path gives to that question."""
    found = finished(name, answer, authority)
    assert found.spelled(b"\1\2", found.body, found.name) == b"\1\2" + found.body
    shouted = found.name.upper()
    reply = found.spelled(b"\1\2", found.body, shouted)
    if shouted == found.name:
        return
    assert (reply is not None) == free
    if reply is not None:
        assert reply[12 : 12 + len(shouted)] == shouted
        question = Question(shouted, 1)
        full = Reply(
            answer=respelled(records(answer), question),
            authority=respelled(records(authority), question),
        )
        assert lines(reply) == lines(packed(question, full))


def lines(octets: bytes) -> list[str]:
    """All records in lower case."""
    reply = read(octets)
    return [rrset.to_text().lower() for rrset in reply.answer + reply.authority]


def respelled(found: list[RR], question: Question) -> list[RR]:
    """Records at the question's name with it spelled as asked, as every plugin gives them."""
    asked = DNSLabel(question.labels)
    return [
        RR(asked if r.rname == asked else r.rname, r.rtype, ttl=r.ttl, rdata=r.rdata) for r in found
    ]
