"""Words of a Corefile: what CoreDNS' lexer makes of the same text."""

import pytest
from hypothesis import assume, given

from clusterdns.corefile.findings import Findings
from clusterdns.corefile.lexer import Token, lex, printed
from clusterdns.errors import ConfigError, Place
from tests.corefile.texts import TEXTS

ENVIRON = {"A": "x", "B": "{$A}{%A%}", "SPACED": "one two", "LOOP": "{$LOOP}", "BRACE": "}"}


def words(text: str) -> list[list[str]]:
    """The words of each line."""
    lines: list[list[str]] = []
    for token in lex(text, "Corefile", ENVIRON, Findings()):
        if token.first:
            lines.append([])
        lines[-1].append(token.text)
    return lines


CASES = {
    "nothing": ("", []),
    "white space only": (" \t\r\n\v\f\x85\xa0\u1680\u2003\u2028\u3000\n", []),
    "words and lines": ("a  b\n\n  c\n", [["a", "b"], ["c"]]),
    "no-break space separates": ("a\xa0b", [["a", "b"]]),
    "information separators do not, as in Go": ("a\x1cb", [["a\x1cb"]]),
    "carriage returns are nothing, in words too": ("a\rb\r\n\rc\r", [["ab"], ["c"]]),
    "a byte order mark at the start is skipped": ("\ufeffa", [["a"]]),
    "a second one is part of a word": ("\ufeff\ufeffa", [["\ufeffa"]]),
    "comment on a line of its own": ("# a b\nc", [["c"]]),
    "comment behind a word": ("a # b\nc", [["a"], ["c"]]),
    "comment glued to a word": ("a#b\nc", [["a"], ["c"]]),
    "comment glued to a word ends at white space": ("a#b c # d\ne", [["a", "c"], ["e"]]),
    "quoted white space": ('a "b c" d', [["a", "b c", "d"]]),
    "quoted nothing": ('a ""', [["a", ""]]),
    "quoted #": ('"a # b"', [["a # b"]]),
    "escaped quote": (r'"say \"hi\""', [['say "hi"']]),
    "other backslashes stay": (r'"a\.b\\ \n"', [[r"a\.b\\ \n"]]),
    "backslashes without quotes stay": (r"a\"b\\", [[r"a\"b\\"]]),
    "quoted newline: the line goes on": ('a "b\nc" d\ne', [["a", "b\nc", "d"], ["e"]]),
    "quoted carriage return stays": ('"a\r\nb"', [["a\r\nb"]]),
    "text glued behind a quote is a word": ('"a"b"c"', [["a", 'b"c"']]),
    "a quote inside a word is itself": ('a"b c"', [['a"b', 'c"']]),
    "quote without end": ('a "b # c\nd', [["a", "b # c\nd"]]),
    "quote without end, backslash last": ('a "b\\', [["a", "b"]]),
    "quote without end or text": ('a "', [["a"]]),
    "braces are words when they stand alone": ("a{ {b} { }", [["a{", "{b}", "{", "}"]]),
    "variable": ("{$A} {%A%} a{$A}b{%A%}c", [["x", "x", "axbxc"]]),
    "variable in quotes": ('"{$A} b"', [["x b"]]),
    "variable with variables in its value": ("{$B}", [["x{%A%}"]]),
    "variable with white space in its value": ("{$SPACED}", [["one two"]]),
    "unset variable": ("a {$NONE} {%NONE%}b", [["a", "", "b"]]),
    "no name, no end: no variable": ("{$} {%%} {$A {%A}", [["{$}", "{%%}", "{$A", "{%A}"]]),
    "a variable over two words is none": ("{$A B}", [["{$A", "B}"]]),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_words(text: str, expected: list[list[str]]) -> None:
    assert words(text) == expected


def test_places() -> None:
    text = '\ufeffa  "b\nc" d\n\t# x\n e#f g'
    places = [token.place for token in lex(text, "f", {}, Findings())]
    assert places == [
        Place("f", 1, 1),
        Place("f", 1, 4),
        Place("f", 2, 4),
        Place("f", 4, 2),
        Place("f", 4, 6),
    ]


def test_quoted_first_and_substituted() -> None:
    tokens = lex('a "b"\n{$A}', "f", ENVIRON, Findings())
    assert [token[2:] for token in tokens] == [
        (False, True, False),
        (True, False, False),
        (False, True, True),
    ]


def test_brace_of_a_variable_is_no_brace() -> None:
    brace, variable = lex("} {$BRACE}", "f", ENVIRON, Findings())
    assert (brace.closes(), variable.text, variable.closes()) == (True, "}", False)


WARNINGS = {
    "unset variable": ("\n a {$NONE}", "f:2:4: environment variable NONE is not set: nothing"),
    "glued comment with words behind": ("a#b c", "f:1:2: this comment ends at the next white"),
    "quote without end": (' "a', "f:1:2: this quote is never closed"),
    "quoted brace": ('. "{"', "f:1:3: a brace opens or closes a block in quotes too"),
}


@pytest.mark.parametrize(("text", "warning"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(text: str, warning: str) -> None:
    findings = Findings()
    lex(text, "f", ENVIRON, findings)
    (found,) = findings.warnings
    assert found.startswith(warning)


@pytest.mark.parametrize("text", ["a#b\nc", "a #b c", '"a#b" c', "{$A}", "a"])
def test_no_warning(text: str) -> None:
    findings = Findings()
    lex(text, "f", ENVIRON, findings)
    assert findings.warnings == ()


@pytest.mark.parametrize(
    "environ", [{"A": "{$A}"}, {"A": "{$B}", "B": "{$A}"}, {"A": "{$A}{$A}"}, {"A": "x{%A%}"}]
)
def test_variables_in_a_circle(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="f:1:3: environment variables that refer") as raised:
        lex("b {$A}{%A%}", "f", environ, Findings())
    assert raised.value.place == Place("f", 1, 3)


def test_variable_of_octets_that_are_no_text() -> None:
    """os.environ has such octets as surrogates, which cannot be encoded again."""
    (token,) = lex("{$A}", "f", {"A": "a\udcff"}, Findings())
    assert token.text == "a\ufffd"


def shape(tokens: list[Token]) -> list[tuple[str, bool, bool]]:
    return [(token.text, token.quoted, token.first) for token in tokens]


@given(TEXTS)
def test_printed_tokens_are_the_same_tokens(text: str) -> None:
    assume("{$" not in text and "{%" not in text)  # whose values may fit no quotes
    tokens = lex(text, "f", {}, Findings())
    again = lex(printed(tokens), "f", {}, Findings())
    assert shape(again) == shape(tokens)


@given(TEXTS)
def test_places_lead_to_the_words(text: str) -> None:
    lines = text.removeprefix("\ufeff").split("\n")
    for token in lex(text, "f", {}, Findings()):
        found = lines[token.place.line - 1][token.place.column - 1]
        assert found == '"' if token.quoted else token.text.startswith(found) or found == "{"
