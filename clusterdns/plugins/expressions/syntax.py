"""Words of an expression: literals, names, operators, as expr-lang has them."""

import re
from typing import Literal, NamedTuple

Kind = Literal["number", "text", "name", "operator", "end"]

_WORD = re.compile(
    r"""\s*(?:
        (?P<number>[0-9][0-9_]*(?:\.[0-9_]+)?)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      | (?P<operator>==|!=|<=|>=|&&|\|\||[<>!()\[\],?:+\-*/%\#])
      | (?P<end>$)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})|(.))", re.DOTALL
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_THEMSELVES = "\\'\"?`"


class Word(NamedTuple):
    """One word; value is what a literal stands for, else the word itself."""

    kind: Kind
    value: str | int | float


def words(text: str) -> list[Word]:
    """The words of an expression, the last of kind "end". Raises ValueError at what is none."""
    found: list[Word] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _WORD.match(text, at)
        if match is None:
            raise ValueError(f"no word begins with {text[at:].lstrip()[:20]!r}")
        found.append(_word(match))
        at = match.end()
    return found


def _word(match: re.Match[str]) -> Word:
    if (number := match["number"]) is not None:
        plain = number.replace("_", "")
        return Word("number", float(plain) if "." in plain else int(plain))
    if (text := match["text"]) is not None:
        return Word("text", text[1:-1] if text[0] == "`" else _ESCAPE.sub(_unescaped, text[1:-1]))
    if (name := match["name"]) is not None:
        return Word("name", name)
    if (operator := match["operator"]) is not None:
        return Word("operator", {"&&": "and", "||": "or", "!": "not"}.get(operator, operator))
    return Word("end", "")


def _unescaped(match: re.Match[str]) -> str:
    for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if match[group]:
            try:
                return chr(int(match[group], base))
            except (ValueError, OverflowError):
                raise ValueError(f"{match[0]} is no character") from None
    if match[5] in _SIMPLE:
        return _SIMPLE[match[5]]
    if match[5] in _THEMSELVES:
        return match[5]
    raise ValueError(f"{match[0]} is no escape; write \\\\ for a backslash")
