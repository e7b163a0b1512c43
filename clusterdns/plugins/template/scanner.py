"""The text of a Go template as words: what stands outside of {{ }}, and what stands inside.

https://pkg.go.dev/text/template tells the language.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "text",  # outside of {{ }}
    "left",  # {{
    "right",  # }}
    "field",  # .Name; value is Name
    "variable",  # $ or $name
    "constant",  # a string, number or character; value is what it stands for
    "word",  # a function, a keyword, true, false or nil
    "sign",  # . := = , | ( )
    "end",  # of the text
]


class TemplateError(ValueError):
    """A text that is no template. at: where in it, characters from its begin."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class Word(NamedTuple):
    """at: where it begins. glued: no white space stands before it. source: of a constant."""

    kind: Kind
    value: Any
    at: int
    glued: bool = False
    source: str = ""


_LEFT = re.compile(r"\{\{(?P<trim>-(?=\s))?")
_RIGHT = re.compile(r"(?P<trim>\s-)?\}\}")
_COMMENT = re.compile(r"\s*/\*.*?\*/(?P<end>(?P<trim>\s-)?\}\})?", re.DOTALL)
_WORD = re.compile(
    r"""(?P<space>\s*)(?:
        \.(?P<field>[^\W\d]\w*)
      | (?P<variable>\$\w*)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | `(?P<raw>[^`]*)`
      | '(?P<character>[^'\\\n]|\\[^\n][^'\n]*)'
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
                       |(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?))(?!\w)
      | (?P<word>[^\W\d]\w*)
      | (?P<sign>:=|[.=,|()])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"
    r"|(?P<octal>[0-7]{3})|(?P<one>.))"
)
_ONE = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))


def words(text: str) -> Iterator[Word]:
    """The words of a template, the last of kind "end". Raises TemplateError at what is none."""
    at, trims = 0, False
    while left := _LEFT.search(text, at):
        before = text[at : left.start()]
        before = before.lstrip() if trims else before
        if before := (before.rstrip() if left["trim"] else before):
            yield Word("text", before, at)
        comment = _COMMENT.match(text, left.end())
        if comment and not comment["end"]:
            raise TemplateError("a comment ends before its }}", left.start())
        if comment:
            at, trims = comment.end(), comment["trim"] is not None
            continue
        yield Word("left", "{{", left.start())
        at = left.end()
        while not (right := _RIGHT.match(text, at) or _spaced_right(text, at)):
            word, at = _next(text, at, left.start())
            yield word
        yield Word("right", "}}", right.start())
        at, trims = right.end(), right["trim"] is not None
    if rest := text[at:].lstrip() if trims else text[at:]:
        yield Word("text", rest, at)
    yield Word("end", "", len(text))


def _spaced_right(text: str, at: int) -> re.Match[str] | None:
    """The }} behind more white space; the last of it belongs to a trim marker."""
    space = re.compile(r"\s*").match(text, at)
    assert space is not None  # it may be empty
    return _RIGHT.match(text, space.end()) or _RIGHT.match(text, max(at, space.end() - 1))


def _next(text: str, at: int, left: int) -> tuple[Word, int]:
    """The word from here on, and where it ends. left: where the action begins."""
    found = _WORD.match(text, at)
    if found is None:
        rest = text[at:].lstrip()
        if not rest or "}}" not in rest:
            raise TemplateError("{{ without }}", left)
        raise TemplateError(f"no word begins with {rest[:10]!r}", at)
    kind = found.lastgroup
    assert kind is not None
    value: Any = found[kind]
    start, glued, source = found.end("space"), not found["space"], ""
    if kind in ("string", "raw", "character", "number"):
        source = text[start : found.end()]
        value, kind = _constant(kind, value, start), "constant"
    return Word(kind, value, start, glued, source), found.end()  # type: ignore[arg-type]


def _constant(kind: str, text: str, at: int) -> str | int | float:
    """What a literal stands for. Raises TemplateError for what Go does not take."""
    try:
        match kind:
            case "string":
                return _ESCAPE.sub(_unescaped, text[1:-1])
            case "character":
                return _character(_ESCAPE.sub(_unescaped, text))
            case "number":
                return number(text)
    except ValueError:
        raise TemplateError(f"{text} is no {kind}", at) from None
    return text


def number(text: str) -> int | float:
    """A number as Go writes it. Raises ValueError for what is none."""
    digits = text.lstrip("+-")
    if re.fullmatch("0[0-7_]+", digits):  # octal, as Go and C have it
        digits = f"0o{digits[1:].lstrip('_')}"
    if re.fullmatch("0[xXbBoO][0-9a-fA-F_]+|0|[1-9][0-9_]*", digits):
        value: int | float = int(digits, 0)
    else:
        value = float(digits.replace("_", ""))
    return -value if text.startswith("-") else value


def _character(text: str) -> int:
    if len(text) != 1:
        raise ValueError
    return ord(text)


def _unescaped(match: re.Match[str]) -> str:
    for name, base in (("x", 16), ("u", 16), ("U", 16), ("octal", 8)):
        if match[name]:
            return chr(int(match[name], base))
    if match["one"] not in _ONE:
        raise ValueError
    return _ONE[match["one"]]
