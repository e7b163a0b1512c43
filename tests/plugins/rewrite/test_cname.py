"""`cname`: other targets, looked up by the server."""

import logging
import math

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.query import Query, Reply
from clusterdns.wire.texts import type_text
from tests.plugins.asking import Exchange, query, records, texts
from tests.plugins.rewrite.rewriting import Printer, made, resolved

RULES = r"""rewrite continue cname exact def.example.com xyz.example.com
rewrite continue cname prefix chat.openai.com bard.google.com
rewrite continue cname suffix uvw. xyz.
rewrite continue cname substring efgh zzzz.www
rewrite continue cname regex (.*)\.web\.(.*)\.SITE\. {1}.webapp.{2}.org.
rewrite continue cname exact music.truncated.spotify.com. music.truncated.spotify.com.
rewrite continue cname suffix prod. staging."""

KNOWN = {  # what the server says of targets
    "xyz.example.com. A": "xyz.example.com. 3600 IN A 3.4.5.6",
    "xyz.example.com. AAAA": "xyz.example.com. 3600 IN AAAA 3a01:7e00::f03c:91ff:fe79:234c",
    "bard.google.com.cdn.cloudflare.net. A": "bard.google.com.cdn.cloudflare.net. 18 IN A 9.7.2.1",
    "www.hosting.xyz. A": "www.hosting.xyz. 500 IN A 20.30.40.50",
    "abcd.zzzz.www.pqrst. A": "abcd.zzzz.www.pqrst. 120 IN A 101.20.5.1\n"
    "abcd.zzzz.www.pqrst. 120 IN A 101.20.5.2",
    "orders.webapp.eu.org. A": "orders.webapp.eu.org. 120 IN A 20.0.0.9",
    "music.truncated.spotify.com. A": "music.truncated.spotify.com. 120 IN A 10.1.0.9",
    "intermediate-2.staging. A": "intermediate-2.staging. 200 IN CNAME final.staging.net.\n"
    "final.staging.net. 120 IN A 5.6.7.8",
}


class Server(Exchange):
    async def resolve(self, query: Query) -> Reply | None:
        self.asked.append(query)
        question = query.question
        answer = records(KNOWN[f"{question.text} {type_text(question.qtype)}"])
        return Reply(answer=answer, truncated="truncated" in question.text, until=math.inf)


ANSWERS = [  # what is asked, the answer behind, the answer
    (
        "abc.example.com. A",
        "abc.example.com. 5 IN CNAME def.example.com.\ndef.example.com. 5 IN A 1.2.3.4",
        f"abc.example.com. 5 IN CNAME xyz.example.com.\n{KNOWN['xyz.example.com. A']}",
    ),
    (
        "abc.example.com. AAAA",
        "abc.example.com. 5 IN CNAME DEF.example.com.\ndef.example.com. 5 IN AAAA 2a01::1",
        f"abc.example.com. 5 IN CNAME xyz.example.com.\n{KNOWN['xyz.example.com. AAAA']}",
    ),
    (
        "chat.openai.com. A",
        "chat.openai.com. 20 IN CNAME chat.openai.com.cdn.cloudflare.net.\n"
        "chat.openai.com.cdn.cloudflare.net. 30 IN A 23.2.1.2\n"
        "chat.openai.com.cdn.cloudflare.net. 30 IN A 24.6.0.8",
        "chat.openai.com. 20 IN CNAME bard.google.com.cdn.cloudflare.net.\n"
        + KNOWN["bard.google.com.cdn.cloudflare.net. A"],
    ),
    (
        "coredns.io. A",
        "coredns.io. 100 IN CNAME www.hosting.uvw.\nwww.hosting.uvw. 200 IN A 7.2.3.4",
        f"coredns.io. 100 IN CNAME www.hosting.xyz.\n{KNOWN['www.hosting.xyz. A']}",
    ),
    (
        "core.dns.rocks. A",
        "core.dns.rocks. 200 IN CNAME abcd.efgh.pqrst.\nabcd.efgh.pqrst. 100 IN A 200.30.45.67",
        f"core.dns.rocks. 200 IN CNAME abcd.zzzz.www.pqrst.\n{KNOWN['abcd.zzzz.www.pqrst. A']}",
    ),
    (
        "order.service.eu. A",
        "order.service.eu. 200 IN CNAME orders.web.eu.site.\norders.web.eu.site. 50 IN A 10.10.1.1",
        f"order.service.eu. 200 IN CNAME orders.webapp.eu.org.\n{KNOWN['orders.webapp.eu.org. A']}",
    ),
    (
        "music.spotify.com. A",
        "music.spotify.com. 200 IN CNAME music.truncated.spotify.com.",
        "music.spotify.com. 200 IN CNAME music.truncated.spotify.com.\n"
        + KNOWN["music.truncated.spotify.com. A"],
    ),
    (
        "cname-chain.org. A",
        "cname-chain.org. 200 IN CNAME intermediate-1.com.\n"
        "intermediate-1.com. 200 IN CNAME intermediate-2.prod.\n"
        "intermediate-2.prod. 200 IN CNAME final.prod.net.\nfinal.prod.net. 120 IN A 1.2.3.4",
        "cname-chain.org. 200 IN CNAME intermediate-1.com.\n"
        "intermediate-1.com. 200 IN CNAME intermediate-2.staging.\n"
        + KNOWN["intermediate-2.staging. A"],
    ),
]


@pytest.mark.parametrize(("question", "behind", "expected"), ANSWERS)
async def test_answer(question: str, behind: str, expected: str) -> None:
    name, qtype = question.split()
    reply = await resolved(RULES, query(name, qtype, Server()), Printer(behind))
    assert texts(reply.answer) == texts(records(expected))
    assert reply.truncated == ("truncated" in expected)


async def test_without_a_cname_nothing_is_looked_up() -> None:
    server = Exchange()
    reply = await resolved(
        "rewrite cname a b", query("x.", exchange=server), Printer("x. A 1.2.3.4")
    )
    assert texts(reply.answer) == ["x. 0 IN A 1.2.3.4"]
    assert server.asked == []


@pytest.mark.parametrize("found", [None, ResolveError("no upstream")])
async def test_target_that_cannot_be_had(
    found: ResolveError | None, caplog: pytest.LogCaptureFixture
) -> None:
    asked = query("x.", exchange=Exchange(found))
    with caplog.at_level(logging.ERROR):
        reply = await resolved("rewrite cname a b", asked, Printer("x. CNAME a.\na. A 1.2.3.4"))
    assert texts(reply.answer) == ["x. 0 IN CNAME a.", "a. 0 IN A 1.2.3.4"]
    assert reply.until == 0
    assert caplog.messages == (["looking up b. failed: no upstream"] if found else [])


async def test_the_rest_of_the_reply_stays() -> None:
    """As in CoreDNS, which takes the answer of the target and no more."""
    found = Reply(3, authority=records("b. SOA ns.b. x.b. 1 2 3 4 5"), until=7.0)
    asked = query("x.", exchange=Exchange(found))

    async def behind(query: Query) -> Reply:
        return Reply(answer=records("x. CNAME a."), authentic=True, until=math.inf)

    reply = await resolved("rewrite cname a b", asked, behind)
    assert (reply.rcode, reply.authority, reply.until) == (0, [], 7.0)
    assert not reply.authentic


async def test_asks_in_the_type_and_class_of_the_query() -> None:
    server = Exchange(Reply())
    asked = made("x.", "MX", "CH")
    asked.exchange = server
    await resolved("rewrite cname a b", asked, Printer("x. CNAME a."))
    (inner,) = server.asked
    assert (inner.question.qtype, inner.question.qclass, inner.depth) == (15, 3, 1)


async def test_names_that_lead_to_themselves_end() -> None:
    asked = query("x.", exchange=Exchange(Reply()), depth=8)
    reply = await resolved("rewrite cname a a", asked, Printer("x. CNAME a."))
    assert texts(reply.answer) == ["x. 0 IN CNAME a."]
