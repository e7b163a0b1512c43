"""Words of an expression: literals, names, operators, as expr-lang has them."""

import re
from typing import Literal, NamedTuple

Kind = Literal["number", "text", "name", "operator", "end"]

_WORD = re.compile(
    r"""(?:\s|//[^\n]*|/\*.*?\*/)*(?:
        (?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
                  |(?:[0-9][0-9_]*(?:\.[0-9][0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      | (?P<operator>==|!=|<=|>=|&&|\|\||\*\*|\.\.|\?\?|\?\.|\?:|[<>!()\[\]{},;?:.+\-*/%^|=\#])
      | (?P<end>$)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})|(.))", re.DOTALL
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_THEMSELVES = "\\'\"?`"
_SAME = {"&&": "and", "||": "or", "!": "not", "^": "**"}


class ExpressionError(ValueError):
    """Why a text is no expression.

    at: characters before what is wrong.
    """

    def __init__(self, text: str, at: int) -> None:
        super().__init__(text)
        self.at = at


class Word(NamedTuple):
    """One word; value is what a literal stands for, else the word itself. at: where it begins."""

    kind: Kind
    value: str | int | float
    at: int


def words(text: str) -> list[Word]:
    """The words of an expression, the last of kind "end".

    Raises ExpressionError at what is none.
    """
    found: list[Word] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _WORD.match(text, at)
        if match is None:
            begin = len(text) - len(text[at:].lstrip())
            raise ExpressionError(f"no word begins with {text[begin : begin + 20]!r}", begin)
        found.append(_word(match))
        at = match.end()
    return found


def _word(match: re.Match[str]) -> Word:
    kind = match.lastgroup
    assert kind is not None
    at, text = match.start(kind), match[kind]
    if kind == "number":
        return Word("number", _number(text, at), at)
    if kind == "text":
        plain = text[1:-1]
        return Word("text", plain if text[0] == "`" else _unescaped(plain, at + 1), at)
    if kind == "name":
        return Word("name", text, at)
    return (
        Word("operator", _SAME.get(text, text), at) if kind == "operator" else Word("end", "", at)
    )


def _number(text: str, at: int) -> int | float:
    try:
        if text[:2].lower() in ("0x", "0b", "0o"):
            return int(text, 0)
        plain = text.replace("_", "")
        return int(plain) if plain.isdecimal() else float(plain)
    except ValueError:
        raise ExpressionError(f"{text} is no number", at) from None


def _unescaped(text: str, at: int) -> str:
    def character(match: re.Match[str]) -> str:
        for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
            if match[group]:
                try:
                    return chr(int(match[group], base))
                except (ValueError, OverflowError):
                    raise ExpressionError(
                        f"{match[0]} is no character", at + match.start()
                    ) from None
        if match[5] in _SIMPLE:
            return _SIMPLE[match[5]]
        if match[5] in _THEMSELVES:
            return match[5]
        raise ExpressionError(
            f"{match[0]} is no escape; write \\\\ for a backslash", at + match.start()
        )

    return _ESCAPE.sub(character, text)
