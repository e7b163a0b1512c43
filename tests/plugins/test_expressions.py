"""What `template` made of expressions: lists, predicates, variables, functions of texts."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from clusterdns.plugins.expressions.expression import parse
from clusterdns.plugins.expressions.functions import FUNCTIONS
from clusterdns.plugins.expressions.values import LIST, NUMBER, TEXT, Expression
from tests.plugins.asking import query


def search(text: str) -> Callable[[str], bool]:
    return lambda value: re.search(text, value) is not None


VARIABLES = {
    "unit": Expression(lambda query: 1, NUMBER),
    "parts": Expression(lambda query: ["a", "b"], LIST, item=TEXT),
    "me": Expression(lambda query: "x", TEXT, sees_client=True),
}


def parsed(text: str) -> Expression:
    return parse(text, FUNCTIONS, search, VARIABLES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("unit + 1", 2),
        ("me + 'y'", "xy"),
        ("parts[0] + parts[-1]", "ab"),
        ("split(name(), '.')[1]", "org"),
        ("len(split(name(), '.'))", 3),
        ("split('ab', '')", ["a", "b"]),
        ("join(parts, '-')", "a-b"),
        ("join(map(parts, # + '1'), ' ')", "a1 b1"),
        ("filter([1, 2, 3], # > unit)", [2, 3]),
        ("filter(parts, # != 'a')[0]", "b"),
        ("map([1, 2], # * 2)[1]", 4),
        ("any([1, 2], # == 2)", True),
        ("any([1, 2], # == 3)", False),
        ("all([1, 2], # > 0)", True),
        ("all([1, 2], # > 1)", False),
        ("none([1, 2], # > 2)", True),
        ("unit == 1 and one([1, 2], # > 1)", True),
        ("one([1, 2], # > 0)", False),
        ("count([1, 2, 3], # > 1)", 2),
        ("any([1, 2], any([2, 3], # == 3) and # == 2)", True),
        ("(unit > 0 ? parts : ['c'])[0]", "a"),
        ("int('-12') + int(3.9)", -9),
        ("string(1) + string(true) + string(parts)", "1true[a b]"),
        ("replace('a-b-c', '-', '.')", "a.b.c"),
        ("trimPrefix('abc', 'a') + trimSuffix('abc', 'c')", "bcab"),
        ("hasPrefix('abc', 'a') and hasSuffix('abc', 'c')", True),
        ("indexOf('abc', 'c')", 2),
        ("indexOf('abc', 'x')", -1),
    ],
)
def test_value(text: str, value: Any) -> None:
    assert parsed(text).evaluate(query("example.org.")) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# == 1", "# stands in predicates only"),
        ("any(1, true)", "any() takes a list, not a number"),
        ("any(parts, #)", "any() takes a truth, not a text"),
        ("any(parts)", "',' is missing before ')'"),
        ("parts['a']", "[] takes a number, not a text"),
        ("me[0]", "[] takes a list or map, not a text"),
        ("parts[0] + 1", "'+' does not go between a text and a number"),
        ("join('a', 'b')", "join() takes a list, not a text"),
        ("unknown", "'unknown' is unknown; did you mean"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    ["parts[2]", "parts[-3]", "parts[0.5]", "int('x')", "int(true)", "len(1)", "join([1], '')"],
)
def test_cannot_be_worked_out(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parsed(text).evaluate(query())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unit", False),
        ("me", True),
        ("any(parts, # == me)", True),
        ("map([me], # + 'a')[0]", True),
        ("parts[0]", False),
    ],
)
def test_what_it_looks_at(text: str, expected: bool) -> None:
    assert parsed(text).sees_client is expected
