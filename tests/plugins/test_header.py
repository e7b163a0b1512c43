from typing import Any

import pytest

from clusterdns.plugins.order import plugin_class
from clusterdns.plugins.query import Reply
from clusterdns.wire.message import AA, RA, RD
from tests.plugins.asking import Next, fault, lines, new_setup, parsed, query

REPLIES: list[tuple[str, dict[str, Any]]] = [
    ("response set ra", {"recursion": True}),
    ("response clear ra", {"recursion": False}),
    ("response set rd", {"desired": True}),
    ("response clear rd", {"desired": False}),
    ("response set aa", {"authoritative": True}),
    ("response clear aa", {"authoritative": False}),
    ("response set ra aa\n response clear rd", {"recursion": True, "desired": False}),
    ("response set ra\n response clear ra", {"recursion": False}),
    ("RESPONSE Set RA", {"recursion": True}),
    ("query set ra", {"recursion": None, "desired": None}),
]


@pytest.mark.parametrize(("rules", "expected"), REPLIES)
@pytest.mark.parametrize("before", [False, True])
async def test_replies(rules: str, expected: dict[str, Any], before: bool) -> None:
    given = Reply(authoritative=before)
    reply = await parsed(f"header {{\n {rules}\n}}").resolve(query(), Next(given))
    assert reply is not None
    assert {name: getattr(reply, name) for name in expected} == expected
    if not {"aa", "AA"} & set(rules.split()):
        assert reply.authoritative == before


QUERIES = [
    ("query set ra", 0, RA),
    ("query set rd", 0, RD),
    ("query clear rd", RD, 0),
    ("query clear rd", RD | 0x10, 0x10),
    ("query set aa", 0x10, AA | 0x10),
    ("query set aa ra\n query clear rd", RD, AA | RA),
    ("response clear rd", RD, RD),
]


@pytest.mark.parametrize(("rules", "before", "after"), QUERIES)
async def test_queries(rules: str, before: int, after: int) -> None:
    behind = Next(Reply())
    await parsed(f"header {{\n {rules}\n}}").resolve(query(flags=before), behind)
    assert behind.asked[0].flags == after


async def test_no_reply_goes_on() -> None:
    assert await parsed("header {\n response set ra\n}").resolve(query(), Next(None)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("header", "1:1: header has no rules"),
        ("header {\n}", "1:1: header has no rules"),
        ("header x", "1:8: header takes no argument"),
        ("header {\n foo\n}", "2:2: unknown property 'foo' of header; there are query, response"),
        ("header {\n respone set aa\n}", "2:2: unknown property 'respone' of header; did you"),
        ("header {\n response\n}", "2:2: response takes at least 2 arguments"),
        ("header {\n response set\n}", "2:11: response takes at least 2 arguments"),
        ("header {\n query foo\n}", "2:8: query takes at least 2 arguments"),
        ("header {\n query foo rd\n}", "2:8: unknown action 'foo' of query; there are clear, set"),
        ("header {\n query set cd\n}", "2:12: unknown flag 'cd' of header; did you mean 'rd'?"),
        ("header {\n query set aa {\n }\n}", "2:2: query takes no block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_only_the_first_with_rules_is_used() -> None:
    setup = new_setup()
    found = lines("header\nheader {\n query set aa\n}\nheader {\n query set ra\n}")
    plugin = plugin_class(found[0].name).parse(found, setup)
    assert getattr(plugin, "of_queries", None) == [(AA, True)]
    assert setup.warnings == ["Corefile:5:1: only the first header with rules is used"]
