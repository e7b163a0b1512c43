"""`ttl`: the TTLs of replies."""

import pytest

from clusterdns.plugins.query import Aging, Reply
from clusterdns.wire.question import Question
from clusterdns.wire.received import received
from tests.plugins.asking import Next, query, records, texts
from tests.plugins.rewrite.rewriting import Printer, resolved

RULES = r"""rewrite ttl srv1.coredns.rocks 1
rewrite ttl exact srv15.coredns.rocks 15
rewrite ttl prefix srv30 30
rewrite ttl suffix 45.coredns.rocks 45
rewrite ttl substring srv50 50
rewrite ttl regex (srv10)\.(coredns)\.(rocks) 10
rewrite ttl regex (srv20)\.(coredns)\.(rocks) 20
rewrite ttl range.example.com. 30-300
rewrite ttl ceil.example.com. -11
rewrite ttl floor.example.com. 5-"""


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("srv1.coredns.rocks.", 5, 1),
        ("SRV1.coredns.rocks.", 5, 1),
        ("srv15.coredns.rocks.", 5, 15),
        ("srv30.coredns.rocks.", 5, 30),
        ("srv45.coredns.rocks.", 5, 45),
        ("srv50.coredns.rocks.", 5, 50),
        ("srv10.coredns.rocks.", 5, 10),
        ("xmpp.coredns.rocks.", 5, 5),
        ("srv20.coredns.rocks.", 5, 20),
        ("range.example.com.", 5, 30),
        ("range.example.com.", 55, 55),
        ("range.example.com.", 500, 300),
        ("ceil.example.com.", 5, 5),
        ("ceil.example.com.", 15, 11),
        ("floor.example.com.", 0, 5),
        ("floor.example.com.", 30, 30),
        ("srv300.coredns.rocks.", 5, 5),
    ],
)
async def test_ttl(name: str, before: int, after: int) -> None:
    behind = Printer(f"{name} {before} IN A 10.0.0.1\n{name} {before} IN A 10.0.0.2")
    reply = await resolved(RULES, query(name), behind)
    assert [record.ttl for record in reply.answer] == [after, after]


async def test_every_section() -> None:
    section = records("a. 5 A 10.0.0.1\na. 500 TXT x")
    behind = Reply(answer=section[:], authority=section[:], additional=section[:])
    reply = await resolved("rewrite ttl a 30-300", query("a."), Next(behind))
    for found in (reply.answer, reply.authority, reply.additional):
        assert [record.ttl for record in found] == [30, 300]
    assert [record.ttl for record in section] == [5, 500]


async def test_rules_of_several_lines_are_applied_from_the_last() -> None:
    rules = "rewrite continue ttl a 60-\nrewrite ttl a -30"
    reply = await resolved(rules, query("a."), Printer("a. 5 A 10.0.0.1"))
    assert reply.answer[0].ttl == 60


async def test_matches_the_name_as_it_is_by_then() -> None:
    rules = "rewrite continue name exact a b\nrewrite ttl b 60"
    reply = await resolved(rules, query("a."), Printer("b. 5 A 10.0.0.1"))
    assert texts(reply.answer) == ["a. 60 IN A 10.0.0.1"]


async def test_a_fixed_ttl_does_not_age() -> None:
    behind = Reply(answer=records("a. 60 A 10.0.0.1"), until=1.0, aging=Aging(0.0, 60, 60.0))
    reply = await resolved("rewrite ttl a 60", query("a."), Next(behind))
    assert (reply.aging, reply.until) == (None, 1.0)


async def test_reply_of_an_upstream() -> None:
    octets = b"\0\0\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1"
    behind = Next(Reply.of(received(octets, Question.of("a.", 1).end)))
    reply = await resolved("rewrite ttl a 60", query("a."), behind)
    assert reply.received is None
    assert texts(reply.answer) == ["a. 60 IN A 10.0.0.1"]
