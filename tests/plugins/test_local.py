import math

import pytest

from clusterdns.plugins import local
from clusterdns.plugins.local import Local
from clusterdns.plugins.order import plugin_class
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import Question
from tests.plugins.asking import Next, fault, lines, new_setup, parsed, query, texts

SOA = "{} 604800 IN SOA localhost. root.localhost. 1 0 0 0 604800"
CASES = [
    ("localhost.", "A", 0, "localhost. 604800 IN A 127.0.0.1", ""),
    ("localHOst.", "A", 0, "localHOst. 604800 IN A 127.0.0.1", ""),
    ("localhost.", "AAAA", 0, "localhost. 604800 IN AAAA ::1", ""),
    ("localhost.", "NS", 0, "localhost. 604800 IN NS localhost.", ""),
    ("localhost.", "SOA", 0, SOA.format("localhost."), ""),
    ("127.in-addr.arpa.", "A", 0, "", "127.in-addr.arpa."),
    ("127.in-addr.ARPA.", "AAAA", 0, "", "127.in-addr.ARPA."),
    ("0.in-addr.arpa.", "SOA", 0, SOA.format("0.in-addr.arpa."), ""),
    ("255.in-addr.arpa.", "NS", 0, "255.in-addr.arpa. 604800 IN NS localhost.", ""),
    ("255.in-addr.arpa.", "PTR", 0, "", "255.in-addr.arpa."),
    ("localhost.", "MX", 0, "", "localhost."),
    ("a.localhost.", "A", 0, "a.localhost. 604800 IN A 127.0.0.1", ""),
    ("a.localhost.", "AAAA", 0, "a.localhost. 604800 IN AAAA ::1", ""),
    ("a.b.LOCALHOST.", "A", 0, "a.b.LOCALHOST. 604800 IN A 127.0.0.1", ""),
    ("a.localhost.", "MX", 0, "", "a.localhost."),
    ("1.0.0.127.in-addr.arpa.", "PTR", 0, "1.0.0.127.in-addr.arpa. 604800 IN PTR localhost.", ""),
    ("1.0.0.127.in-addr.arpa.", "MX", 0, "", "127.in-addr.arpa."),
    ("2.0.0.127.in-addr.arpa.", "PTR", 3, "", "127.in-addr.arpa."),
    ("1.0.0.0.in-addr.arpa.", "PTR", 3, "", "0.in-addr.arpa."),
    ("0.0.127.in-addr.arpa.", "PTR", 3, "", "127.in-addr.arpa."),  # as in CoreDNS
    ("0.127.in-addr.arpa.", "NS", 3, "", "127.in-addr.arpa."),
    ("1.0.127.in-addr.arpa.", "PTR", 3, "", "127.in-addr.arpa."),
    ("localhost.example.net.", "A", 0, "localhost.example.net. 604800 IN A 127.0.0.1", ""),
    ("localhost.example.net.", "TXT", 0, "", "localhost.example.net."),
]


@pytest.mark.parametrize(("name", "qtype", "rcode", "answer", "zone"), CASES)
async def test_local(name: str, qtype: str, rcode: int, answer: str, zone: str) -> None:
    reply = await parsed("local").resolve(query(name, qtype), Next())
    assert reply is not None
    assert texts(reply.answer) == ([answer] if answer else [])
    assert texts(reply.authority) == ([SOA.format(zone)] if zone else [])
    assert (reply.rcode, reply.authoritative, reply.until) == (rcode, False, math.inf)


@pytest.mark.parametrize(
    "name", ["example.net.", "localhosts.", "a.localhost.b.", "127.arpa.", "."]
)
async def test_the_rest_goes_on(name: str) -> None:
    reply = Reply()
    assert await parsed("local").resolve(query(name), Next(reply)) is reply


async def test_other_classes_go_on() -> None:
    reply = Reply()
    asked = query(question=Question.of("localhost.", 1, 3))
    assert await parsed("local").resolve(asked, Next(reply)) is reply


async def test_prefix_can_be_off() -> None:
    plugin = parsed("local {\n localhost_prefix off\n}")
    reply = Reply()
    assert await plugin.resolve(query("localhost.example.net."), Next(reply)) is reply
    found = await plugin.resolve(query("a.localhost."), Next())
    assert found is not None
    assert found.answer


async def test_counted() -> None:
    before = local.requests.total()
    for name in ("a.localhost.", "localhost.b.", "localhost.", "127.in-addr.arpa."):
        await parsed("local").resolve(query(name), Next())
    assert local.requests.total() == before + 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local example.org", "1:7: local takes no argument"),
        ("local {\n foo\n}", "2:2: unknown property 'foo' of local; there are localhost_prefix"),
        ("local {\n localhost_prefix\n}", "2:2: localhost_prefix takes 1 argument"),
        ("local {\n localhost_prefix maybe\n}", "2:19: 'maybe' is none of on, off"),
        ("local {\n localhost_prefix on off\n}", "2:22: localhost_prefix takes at most 1 arg"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_the_last_word_counts() -> None:
    found = lines("local {\n localhost_prefix off\n}\nlocal {\n localhost_prefix on\n}\nlocal")
    plugin = plugin_class(found[0].name).parse(found, new_setup())
    assert isinstance(plugin, Local)
    assert plugin.prefix
