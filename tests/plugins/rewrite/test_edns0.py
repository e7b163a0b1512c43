"""`edns0`: options of queries, and what of them is seen in replies."""

from collections.abc import Sequence
from typing import Any

import pytest

from clusterdns.plugins.base import Sees
from clusterdns.plugins.forward.exchange import asked as as_sent
from clusterdns.plugins.query import Query, Reply
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.message import parse
from tests.plugins.asking import Next, parsed, query
from tests.plugins.rewrite.rewriting import resolved

LOCAL, NSID, SUBNET = 0xFFEE, 3, 8


def local(text: str | bytes, code: int = LOCAL) -> Option:
    return Option(code, text.encode() if isinstance(text, str) else text)


def nsid() -> Option:
    return Option(NSID, b"")


SOURCE = b"\x0a\xf0\0"  # what subnet 24 makes of the client


def subnet(family: int, bits: int, address: bytes) -> Option:
    return Option(SUBNET, bytes([0, family, bits, 0]) + address)


def asking(options: Sequence[Option] | None, **changed: Any) -> Query:
    edns = None if options is None else Edns(4096, options=tuple(options))
    return query("example.com.", edns=edns, **changed)


async def sent(rules: str, asked: Query) -> list[Option] | None:
    """The options that are seen behind the rules; None without OPT."""
    behind = Next(Reply())
    await resolved(rules, asked, behind)
    edns = behind.asked[0].edns
    return None if edns is None else list(edns.options)


V6 = ("fe80::42:ff:feca:4c65", 40212)
ONE = [  # one rule, the client's options, those behind
    ("local set 0xffee 0xabcdef", None, [local(b"\xab\xcd\xef")]),
    ("local set 65518 0xabcdef", [], [local(b"\xab\xcd\xef")]),
    ("local append 0xffee abcdefghijklmnop", None, [local("abcdefghijklmnop")]),
    ("local append 0xffee abc", [local("x")], [local("x"), local("abc")]),
    ("local append 0xffee {qname}", [local("x")], [local("x")]),
    ("nsid append", [nsid()], [nsid(), nsid()]),
    ("local replace 0xffee abcdefghijklmnop", None, None),
    ("local replace 0xffee abc", [], []),
    ("local replace 0xffee abc", [local("x"), nsid()], [local("abc"), nsid()]),
    ("local replace 0xffee abc", [local("x", 0xFFEF)], [local("x", 0xFFEF)]),
    ("local set 0xffee abc", [local("x", 0xFFED)], [local("x", 0xFFED), local("abc")]),
    ("local set 0xffee 0x", None, [local("")]),
    ("nsid set", None, [nsid()]),
    ("nsid append", None, [nsid()]),
    ("nsid replace", None, None),
    ("nsid set", [Option(NSID, b"me")], [nsid()]),
    ("local unset 0xffee", None, None),
    ("local unset 0xffee", [], []),
    ("local unset 0xffee", [local("x")], []),
    ("local unset 0xffee", [local("x"), local("y")], []),
    ("local unset 0xffed", [local("x")], [local("x")]),
    ("nsid unset", [nsid()], []),
    ("nsid unset", None, None),
    ("subnet unset", [subnet(1, 0, b"")], []),
    ("subnet unset", None, None),
    ("nsid unset", [local("x"), nsid()], [local("x")]),
    ("local unset 0xffee", [local("x"), nsid()], [nsid()]),
    ("subnet unset", [local("x"), nsid()], [local("x"), nsid()]),
    ("local set 0xffee {qname}", None, [local("example.com.")]),
    ("local set 0xffee {qtype}", None, [local(b"\0\1")]),
    ("local set 0xffee {client_ip}", None, [local(b"\x0a\xf0\0\1")]),
    ("local set 0xffee {client_port}", None, [local(b"\x9d\x14")]),
    ("local set 0xffee {protocol}", None, [local("udp")]),
    ("local set 0xffee {server_port}", None, [local(b"\0\x35")]),
    ("local set 0xffee {server_ip}", None, [local(b"\x7f\0\0\1")]),
    ("local set 0xffee {test/label}", None, [local("my-value")]),
    ("local set 0xffee {test/empty}", None, None),
    ("local set 0xffee {test/does-not-exist}", None, None),
    ("subnet set 24 56", None, [subnet(1, 24, b"\x0a\xf0\0")]),
    ("subnet set 32 56", None, [subnet(1, 32, b"\x0a\xf0\0\1")]),
    ("subnet set 12 56", None, [subnet(1, 12, b"\x0a\xf0")]),
    ("subnet set 0 56", None, [subnet(1, 0, b"")]),
    ("subnet append 32 56", [subnet(1, 0, b"")], [subnet(1, 0, b"")]),
]


@pytest.mark.parametrize(("rule", "before", "after"), ONE)
async def test_one_rule(rule: str, before: list[Option] | None, after: list[Option] | None) -> None:
    labels = {"test/label": lambda: "my-value", "test/empty": lambda: ""}
    assert await sent(f"rewrite edns0 {rule}", asking(before, labels=labels)) == after


@pytest.mark.parametrize(
    ("rule", "changed", "after"),
    [
        ("subnet set 24 56", {"peer": V6}, [subnet(2, 56, b"\xfe\x80" + bytes(5))]),
        ("subnet set 24 0", {"peer": V6}, [subnet(2, 0, b"")]),
        (
            "subnet set 24 128",
            {"peer": V6},
            [subnet(2, 128, bytes.fromhex("fe80000000000000004200fffeca4c65"))],
        ),
        ("subnet set 24 56", {"peer": ("::ffff:10.1.2.3", 1)}, [subnet(1, 24, b"\x0a\1\2")]),
        ("subnet set 24 56", {"peer": ("nowhere", 1)}, None),
        (
            "local set 0xffee {client_ip}",
            {"peer": V6},
            [local(b"\xfe\x80" + bytes(7) + b"\x42\0\xff\xfe\xca\x4c\x65")],
        ),
        ("local set 0xffee {client_ip}", {"peer": ("nowhere", 1)}, None),
        ("local set 0xffee {server_ip}", {"peer": V6}, None),
        (
            "local set 0xffee {server_ip}",
            {"peer": V6, "local": ("::1", 53)},
            [local(bytes(15) + b"\1")],
        ),
        ("local set 0xffee {protocol}", {"transport": "tcp"}, [local("tcp")]),
        ("local set 0xffee {protocol}", {"transport": "tls"}, [local("tcp")]),
    ],
)
async def test_clients(rule: str, changed: dict[str, object], after: list[Option] | None) -> None:
    assert await sent(f"rewrite edns0 {rule}", asking(None, **changed)) == after


TWO = [  # two rules of which the second is for what the first does not fit
    (("local replace 0xffee abc", "local set 0xffee cba"), None, [local("cba")]),
    (("local replace 0xffee abc", "local set 0xffee cba"), [local("x")], [local("abc")]),
    (("local replace 0xffee {qname}", "local set 0xffee {qtype}"), None, [local(b"\0\1")]),
    (
        ("local replace 0xffee {qname}", "local set 0xffee {qtype}"),
        [local("x")],
        [local("example.com.")],
    ),
    (("nsid replace", "nsid set"), None, [nsid()]),
    (("nsid replace", "nsid set"), [local("x")], [local("x"), nsid()]),
    (("nsid replace", "nsid set"), [nsid()], [nsid()]),
    (("subnet replace 32 56", "subnet set 0 56"), None, [subnet(1, 0, b"")]),
    (
        ("subnet replace 32 56", "subnet set 0 56"),
        [subnet(1, 0, b"")],
        [subnet(1, 32, b"\x0a\xf0\0\1")],
    ),
]


@pytest.mark.parametrize(("rules", "before", "after"), TWO)
async def test_two_rules(
    rules: tuple[str, str], before: list[Option] | None, after: list[Option]
) -> None:
    lines = "\n".join(f"rewrite edns0 {rule}" for rule in rules)
    assert await sent(lines, asking(before)) == after


A, B, X = (local(text) for text in "abx")
NOWHERE = subnet(1, 0, b"")
REVERTED = [  # rules; options of the client, of the reply behind, and of the reply
    (["local set 0xffee abc revert"], None, [local("abc")], []),
    (["local append 0xffee abc revert"], None, [local("abc")], []),
    (["local replace 0xffee abc revert"], None, [local("y")], [local("y")]),
    (["local set 0xffee abc revert"], [local("x")], [local("abc")], [local("x")]),
    (["local set 0xffee abc revert"], [local("x")], [], []),
    (["local set 0xffee abc revert"], [local("x", 1)], [local("x", 1)], [local("x", 1)]),
    (["local set 0xffee abc"], [local("x")], [local("abc")], [local("abc")]),
    (["local set 0xffee {qname} revert"], None, [local("example.com.")], []),
    (["nsid set revert"], None, [Option(NSID, b"me")], []),
    (["nsid append revert"], None, [Option(NSID, b"me"), nsid()], []),
    (["nsid set revert"], [nsid()], [Option(NSID, b"me")], [Option(NSID, b"me")]),
    (["nsid set"], None, [Option(NSID, b"me")], [Option(NSID, b"me")]),
    (["subnet set 24 56 revert"], [NOWHERE], [subnet(1, 24, SOURCE)], [NOWHERE]),
    (["subnet set 24 56 revert"], None, [subnet(1, 24, b"\x0a\xf0\0")], []),
    (["local set 0xffee a", "local replace 0xffee b revert"], None, [B], [A]),
    (["local set 0xffee a revert", "local replace 0xffee b revert"], [X], [B], [X]),
]


@pytest.mark.parametrize(("rules", "client", "behind", "expected"), REVERTED)
async def test_reverted(
    rules: list[str], client: list[Option] | None, behind: list[Option], expected: list[Option]
) -> None:
    lines = "\n".join(f"rewrite continue edns0 {rule}" for rule in rules)
    reply = await resolved(lines, asking(client), Next(Reply(options=behind)))
    assert reply.options == expected


async def test_upstreams_get_the_options() -> None:
    behind = Next(Reply())
    await resolved("rewrite edns0 local set 0xffee abc", asking(None), behind)
    message = parse(b"\0\0" + as_sent(behind.asked[0]).rest)
    assert message.question.text == "example.com."
    assert message.edns is not None
    assert message.edns.options == (local("abc"),)


async def test_upstreams_get_the_question_as_rewritten() -> None:
    behind = Next(Reply())
    rules = "rewrite continue edns0 nsid set\nrewrite name suffix .com .org"
    await resolved(rules, asking(None), behind)
    message = parse(b"\0\0" + as_sent(behind.asked[0]).rest)
    assert message.question.text == "example.org."
    assert message.edns is not None
    assert message.edns.options == (nsid(),)


async def test_query_with_other_records_keeps_its_octets() -> None:
    octets = b"\0\0\1\0\0\1\0\0\0\1\0\0" + b"ixfr"
    behind = Next(Reply())
    await resolved("rewrite edns0 nsid set", asking(None, octets=octets), behind)
    assert behind.asked[0].octets == octets


@pytest.mark.parametrize(
    ("rule", "sees"),
    [
        ("local set 1 abc", Sees.QUESTION),
        ("local set 1 {qname}", Sees.QUESTION),
        ("local set 1 {qtype}", Sees.QUESTION),
        ("local set 1 {protocol}", Sees.QUESTION),
        ("local set 1 {server_port}", Sees.QUESTION),
        ("local set 1 {server_ip}", Sees.CLIENT),
        ("local set 1 {client_ip}", Sees.CLIENT),
        ("local set 1 {client_port}", Sees.CLIENT),
        ("local set 1 {a/b}", Sees.EVERY_QUERY),
        ("local unset 1", Sees.QUESTION),
        ("nsid set", Sees.QUESTION),
        ("subnet set 24 56", Sees.CLIENT),
        ("subnet unset", Sees.QUESTION),
    ],
)
def test_what_must_be_seen(rule: str, sees: Sees) -> None:
    assert parsed(f"rewrite name a b\nrewrite edns0 {rule}").sees is sees


def test_queries_with_other_options_are_not_alike() -> None:
    plugin = parsed("rewrite edns0 local set 0xffee a\nrewrite edns0 nsid unset\nrewrite name a b")
    assert plugin.options == {LOCAL, NSID}
