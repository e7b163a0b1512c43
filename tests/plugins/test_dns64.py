import ipaddress
from typing import Any

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins import dns64
from clusterdns.plugins.base import Sees
from clusterdns.plugins.dns64 import Dns64, embedded
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import Question
from clusterdns.zone.index import Key
from tests.plugins.asking import Exchange, Next, fault, parsed, query, records, texts

SIX = ("fd00::1", 4000)


@pytest.mark.parametrize(
    ("text", "prefix", "flags"),
    [
        ("dns64", "64:ff9b::/96", (False, False)),
        ("dns64 64:dead::/96", "64:dead::/96", (False, False)),
        ("dns64 {\n translate_all\n}", "64:ff9b::/96", (True, False)),
        ("dns64 {\n prefix 64:ff9b::/96\n}", "64:ff9b::/96", (False, False)),
        ("dns64 {\n prefix 64:ff9b::/32\n}", "64:ff9b::/32", (False, False)),
        ("dns64 {\n prefix 2002:ac12:b083::/96\n}", "2002:ac12:b083::/96", (False, False)),
        ("dns64 {\n prefix 2002:c0a8:a88a::/48\n}", "2002:c0a8:a88a::/48", (False, False)),
        ("dns64 {\n prefix 64:ff9b:1:2:3:4:5:6/64\n}", "64:ff9b:1:2::/64", (False, False)),
        ("dns64 {\n allow_ipv4\n}", "64:ff9b::/96", (False, True)),
        ("dns64 1::/32\ndns64 {\n allow_ipv4\n}", "1::/32", (False, True)),
    ],
)
def test_parse(text: str, prefix: str, flags: tuple[bool, bool]) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Dns64)
    assert str(plugin.prefix) == prefix
    assert (plugin.translate_all, plugin.allow_ipv4) == flags
    assert plugin.sees is (Sees.QUESTION if plugin.allow_ipv4 else Sees.CLIENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dns64 {\n prefix 64:ff9b::/52\n}", "2:9: '64:ff9b::/52' is no IPv6 prefix"),
        ("dns64 {\n prefix 64:ff9b::/104\n}", "2:9: '64:ff9b::/104' is no IPv6 prefix"),
        ("dns64 {\n prefix 64:ff9b::/24\n}", "2:9: '64:ff9b::/24' is no IPv6 prefix"),
        ("dns64 {\n prefix 8.8.8.8/24\n}", "2:9: '8.8.8.8/24' is no IPv6 prefix"),
        ("dns64 {\n prefix 64:ff9b::\n}", "2:9: '64:ff9b::' is no IPv6 prefix"),
        ("dns64 {\n prefix\n}", "2:2: prefix takes at least 1 argument"),
        ("dns64 foobar {\n prefix 64:ff9b::/96\n}", "1:7: 'foobar' is no IPv6 prefix"),
        ("dns64 foobar", "1:7: 'foobar' is no IPv6 prefix"),
        ("dns64 1::/32 2::/32", "1:14: dns64 takes at most 1 argument"),
        ("dns64 {\n foobar\n}", "2:2: unknown property 'foobar' of dns64; there are allow_ipv4"),
        ("dns64 {\n allow_ipv4 x\n}", "2:13: allow_ipv4 takes no argument"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


@pytest.mark.parametrize(
    ("prefix", "address", "expected"),
    [  # RFC 6052 section 2.4, and CoreDNS's
        ("2001:db8::/32", "192.0.2.33", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "192.0.2.33", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "192.0.2.33", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "192.0.2.33", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "192.0.2.33", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "192.0.2.33", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::/96", "64.64.64.64", "64:ff9b::4040:4040"),
        ("64:ff9b::/64", "64.64.64.64", "64:ff9b::40:4040:4000:0"),
        ("64:ff9b::/56", "64.64.64.64", "64:ff9b:0:40:40:4040::"),
        ("64::/32", "64.64.64.64", "64:0:4040:4040::"),
        ("64::/72", "64.64.64.64", "64::40:4040:4000:0"),
    ],
)
def test_embedded(prefix: str, address: str, expected: str) -> None:
    found = embedded(ipaddress.IPv6Network(prefix), ipaddress.ip_address(address).packed)
    assert ipaddress.ip_address(found) == ipaddress.ip_address(expected)


@pytest.mark.parametrize(
    ("options", "asked", "is_made"),
    [
        ("", {"peer": SIX}, True),
        ("", {"peer": ("10.0.0.1", 4000)}, False),
        ("", {"peer": ("::ffff:10.0.0.1", 4000)}, False),
        ("allow_ipv4", {"peer": ("10.0.0.1", 4000)}, True),
        ("allow_ipv4", {"peer": SIX}, True),
        ("", {"peer": SIX, "qtype": "A"}, False),
        ("", {"peer": SIX, "question": Question.of("example.org", 28, 3)}, False),
    ],
)
async def test_who_gets_made_addresses(options: str, asked: dict[str, Any], is_made: bool) -> None:
    exchange = Exchange(Reply(answer=records("example.org. 5 IN A 192.0.2.42")))
    plugin = parsed(f"dns64 {{\n {options}\n}}")
    fields: dict[str, Any] = {"qtype": "AAAA", "exchange": exchange}
    await plugin.resolve(query(**(fields | asked)), Next(Reply()))
    assert bool(exchange.asked) == is_made


SOA = "example.org. 70 IN SOA foo. bar. 1 1 1 1 1"
A = "example.org. 60 IN A 192.0.2.42\nexample.org. 5000 IN A 192.0.2.43"
AAAA = "example.org. 60 IN AAAA ::1\nexample.org. 5000 IN AAAA ::2"
CNAME = "example.org. 60 IN CNAME other.org."
MADE = "example.org. {} IN AAAA 64:ff9b::c000:22a\nexample.org. {} IN AAAA 64:ff9b::c000:22b"
FLOWS: dict[str, tuple[Reply, Reply, int, str, str]] = {
    "no AAAA": (
        Reply(authority=records(SOA)),
        Reply(answer=records(A)),
        *(0, MADE.format(60, 70), ""),
    ),
    "neither": (Reply(authority=records(SOA)), Reply(authority=records(SOA)), 0, "", SOA),
    "REFUSED": (Reply(5), Reply(answer=records(A)), 0, MADE.format(60, 600), ""),
    "SERVFAIL": (Reply(2), Reply(answer=records(A)), 0, MADE.format(60, 600), ""),
    "NXDOMAIN": (Reply(3, authority=records(SOA)), Reply(answer=records(A)), 3, "", SOA),
    "AAAA": (Reply(answer=records(AAAA)), Reply(answer=records(A)), 0, AAAA, ""),
    "a CNAME to A": (
        Reply(answer=records(CNAME)),
        Reply(answer=records(f"{CNAME}\nother.org. 9 IN A 192.0.2.42")),
        *(0, f"{CNAME}\nother.org. 9 IN AAAA 64:ff9b::c000:22a", ""),
    ),
    "a CNAME to nothing": (
        Reply(3, answer=records(CNAME)),
        Reply(3, answer=records(CNAME)),
        *(3, CNAME, ""),
    ),
    "SERVFAIL for both": (Reply(2), Reply(2), 2, "", ""),
}


@pytest.mark.parametrize(
    ("first", "second", "rcode", "answer", "authority"), FLOWS.values(), ids=FLOWS
)
async def test_flows(first: Reply, second: Reply, rcode: int, answer: str, authority: str) -> None:
    asked = query("Example.org.", "AAAA", Exchange(second), peer=SIX)
    reply = await parsed("dns64").resolve(asked, Next(first))
    assert reply is not None
    assert (reply.rcode, reply.authoritative) == (rcode, False)
    assert texts(reply.answer) == (answer.splitlines())
    assert texts(reply.authority) == ([authority] if authority else [])


async def test_the_inner_question_keeps_its_spelling() -> None:
    """D11"""
    exchange = Exchange(Reply())
    await parsed("dns64").resolve(query("Example.ORG.", "AAAA", exchange, peer=SIX), Next(Reply()))
    (inner,) = exchange.asked
    assert (inner.question.name, inner.question.qtype) == (b"\7Example\3ORG\0", 1)


async def test_translate_all() -> None:
    exchange = Exchange(Reply(answer=records(A)))
    asked = query("example.org.", "AAAA", exchange, peer=SIX)
    given = Reply(answer=records(AAAA))
    reply = await parsed("dns64 {\n translate_all\n}").resolve(asked, Next(given))
    assert reply is not None
    assert texts(reply.answer) == MADE.format(60, 600).splitlines()


async def test_what_the_second_reply_says_stays() -> None:
    """RFC 6147 section 5.3.2"""
    before: Key = ("service", "a", "b")
    after: Key = ("service", "c", "d")
    first = Reply(keys=frozenset({before}), until=9.0)
    glue = records("ns.org. 5 IN A 10.0.0.1")
    second = Reply(
        answer=records(A),
        additional=glue,
        truncated=True,
        authoritative=True,
        keys=frozenset({after}),
        until=8.0,
    )
    counted = dns64.translated.values["dns://:53",]
    asked = query("example.org.", "AAAA", Exchange(second), peer=SIX, server="dns://:53")
    reply = await parsed("dns64").resolve(asked, Next(first))
    assert reply is not None
    assert (reply.truncated, reply.authoritative, reply.additional) == (True, False, glue)
    assert reply.keys == {before, after}
    assert reply.until == 8.0
    assert dns64.translated.values["dns://:53",] == counted + 1


async def test_errors_and_silence_go_on() -> None:
    plugin = parsed("dns64")
    assert await plugin.resolve(query(qtype="AAAA", peer=SIX), Next(None)) is None
    with pytest.raises(ResolveError):
        await plugin.resolve(query(qtype="AAAA", peer=SIX), Next(ResolveError("no")))
    first = Reply()
    silent = query("a.", "AAAA", Exchange(None), peer=SIX)
    assert await plugin.resolve(silent, Next(first)) is first


async def test_what_is_passed_on_rests_on_both_replies() -> None:
    key: Key = ("service", "c", "d")
    first = Reply(2, until=9.0)
    second = Reply(3, keys=frozenset({key}), until=8.0)
    reply = await parsed("dns64").resolve(
        query("a.", "AAAA", Exchange(second), peer=SIX), Next(first)
    )
    assert reply is first
    assert reply.keys == {key}
    assert reply.until == 8.0
