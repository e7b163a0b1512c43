"""The language of expressions, by what expr-lang 1.17.8 made of each line of go.jsonl.

A line has the expression, and its value, or that it was refused, or that it failed for the query.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.expressions.cursor import DEEPEST
from clusterdns.plugins.expressions.expression import MOST
from clusterdns.plugins.expressions.functions import FUNCTIONS
from clusterdns.plugins.expressions.lines import read
from clusterdns.plugins.expressions.values import (
    ANY,
    LIST,
    MAP,
    MOST_ITEMS,
    NIL,
    NUMBER,
    TEXT,
    TRUTH,
    Expression,
)
from tests.plugins.asking import query

FACTS = Path(__file__).with_name("go.jsonl").read_text(encoding="utf-8")
LINES = [json.loads(line) for line in FACTS.splitlines()]
NAME = "www.example.org."


def expression(text: str) -> Expression:
    return read([Token(text, Place("Corefile", 1, 1))], FUNCTIONS)


def value(text: str) -> Any:
    return expression(text).evaluate(query(NAME))


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["text"])
def test_as_expr_lang(line: dict[str, Any]) -> None:
    text = line["text"]
    if "refused" in line:
        with pytest.raises(ConfigError, match="is no expression: "):
            expression(text)
    elif "error" in line:
        with pytest.raises(ValueError, match=r"\w"):
            value(text)
    elif "shown" in line:
        assert value(f"string({text})") == line["shown"]
    else:
        assert value(text) == line["value"]


OTHERWISE: dict[str, Any] = {  # where expr-lang has another value, or none
    'split("a,b,c", ",", 0)': [],  # nil there
    "nil?.b": None,  # refused there
}


@pytest.mark.parametrize(("text", "expected"), OTHERWISE.items())
def test_otherwise(text: str, expected: Any) -> None:
    assert value(text) == expected


REFUSED = {  # with what is said, and where
    "name": "1:5: 'name' is no expression: '(' is missing before 'the end'",
    "now()": "1:1: 'now()' is no expression: now() is not here: expressions have no clock",
    "$env.name": "1:1: '$env.name' is no expression: '$env' is unknown; did you mean ",
    "name() == 1": "1:8: 'name() == 1' is no expression: '==' does not go between a text and a nu",
    "1 + upper(2)": "1:5: '1 + upper(2)' is no expression: upper() takes a text, not a number",
    "'a'.lower()": "1:5: \"'a'.lower()\" is no expression: values have no methods, as lower()",
    "1 ?? 2 + 3": "1:8: '1 ?? 2 + 3' is no expression: + beside ?? needs parentheses",
    "'a' in [1]": "1:5: \"'a' in [1]\" is no expression: a text is never in a list of numbers",
    "let name = 1; 2": "1:5: 'let name = 1; 2' is no expression: 'name' has a meaning already",
    "any([1], #acc)": "1:10: 'any([1], #acc)' is no expression: #acc is none of #, #index",
    "{a b}": "1:4: '{a b}' is no expression: ':' is missing before 'b'",
    "any([1], true, 2)": "1:1: 'any([1], true, 2)' is no expression: any() takes 2 arguments",
    "split('a')": "1:1: \"split('a')\" is no expression: split() takes 2 to 3 arguments, not 1",
    "name() matches '['": "1:8: \"name() matches '['\" is no expression: '[' is no regular expr",
    r"'a\qb'": "1:3: \"'a\\\\qb'\" is no expression: \\q is no escape; write \\\\ for a backslash",
    "1 ? 2 : 3": "1:3: '1 ? 2 : 3' is no expression: ? takes a truth, not a number",
    "0b": "1:2: '0b' is no expression: nothing may stand before 'b'",
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items(), ids=REFUSED)
def test_refused_at_its_place(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        expression(text)
    assert str(raised.value).startswith(f"Corefile:{expected}")


def test_places_in_words_of_a_line() -> None:
    """Each word has its own place; the quote of a quoted one counts."""
    words = [
        Token("name()", Place("Corefile", 4, 10)),
        Token("==", Place("Corefile", 4, 20)),
        Token("'a b' + 1", Place("Corefile", 5, 3), quoted=True),
    ]
    with pytest.raises(ConfigError) as raised:
        read(words, FUNCTIONS)
    assert raised.value.place == Place("Corefile", 5, 10)


BOUNDED: dict[str, Callable[[], str]] = {
    "parentheses": lambda: "(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1),
    "lists": lambda: "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
    "signs": lambda: "-" * (DEEPEST + 1) + "1",
    "choices": lambda: "true ? 1 : " * (DEEPEST + 1) + "1",
    "operators": lambda: "1 + " * (MOST + 1) + "1",
}


@pytest.mark.parametrize("name", BOUNDED)
def test_more_than_anybody_writes(name: str) -> None:
    with pytest.raises(ConfigError, match="more than"):
        expression(BOUNDED[name]())


def test_as_much_as_is_let_be_can_be_worked_out() -> None:
    assert value("1 + " * MOST + "1") == MOST + 1
    assert value("(" * (DEEPEST - 1) + "1" + ")" * (DEEPEST - 1)) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"0..{MOST_ITEMS}",
        f"repeat('ab', {MOST_ITEMS})",
        "1..int('x')",
        "repeat('a', 1.5)",
        "1.5..3",
    ],
)
def test_bounds_for_a_query(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        value(text)


SEES = {
    "name()": False,
    "client_ip()": True,
    "{a: client_ip()}.a": True,
    "let x = port(); x": True,
    "let x = port(); 1": True,
    "[1][0] ?? id()": True,
    "1..id()": True,
    "name() | indexOf(client_ip())": True,
    "reduce([1], #acc, id())": True,
    "'abc'[id():]": True,
    "if do() { name() } else { type() }": False,
    "name() matches proto()": True,
    "sortBy([1], #, client_ip())": True,
}


@pytest.mark.parametrize(("text", "sees"), SEES.items(), ids=SEES)
def test_what_it_looks_at(text: str, sees: bool) -> None:
    assert expression(text).sees_client is sees


TYPES = {
    "1": NUMBER,
    "'a'": TEXT,
    "nil": NIL,
    "{a: 1}": MAP,
    "{a: 1}.a": ANY,
    "[1]": LIST,
    "[1][0]": NUMBER,
    "[1, 'a'][0]": ANY,
    "first(['a'])": ANY,  # or nil
    "name() | split('.')": LIST,
    "find([1], # > 0)": ANY,
    "true ? 1 : nil": ANY,
    "true ? 1 : 'a'": ANY,
    "nil ?? 'a'": TEXT,
    "[1, 'a'][0] == 1": TRUTH,
    "[1, 'a'][0] + 1": NUMBER,
}


@pytest.mark.parametrize(("text", "kind"), TYPES.items(), ids=TYPES)
def test_types(text: str, kind: str) -> None:
    assert expression(text).type == kind
