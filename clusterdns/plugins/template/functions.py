"""Functions of templates: Go's own, and parseInt."""

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from clusterdns.plugins.template.formats import sprintf
from clusterdns.plugins.template.values import (
    NO_VALUE,
    EvaluationError,
    Short,
    Unsigned,
    Variables,
    is_true,
    kind,
    shown,
)

_DIGITS = re.compile(r"[0-9a-zA-Z_]+")
_PREFIXES = {"0x": 16, "0b": 2, "0o": 8, "0": 8}
_HTML = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"}
)
_JS = {"\\": r"\\", "'": r"\'", '"': r"\"", "<": r"\u003C", ">": r"\u003E"}
_JS |= {"&": r"\u0026", "=": r"\u003D"}


def parse_int(text: Any, base: Any, bits: Any) -> Unsigned:
    """A number without sign, of so many bits; base 0: as its prefix says."""
    if not isinstance(text, str) or not _is_integer(base) or not _is_integer(bits):
        raise EvaluationError("parseInt takes a text, a base and a number of bits")
    where = f'parsing "{text}"'
    if base and not 2 <= base <= 36:
        raise EvaluationError(f"{where}: invalid base {base}")
    if not 0 <= bits <= 64:
        raise EvaluationError(f"{where}: invalid bit size {bits}")
    digits = text
    if base == 0:
        prefix = next((each for each in _PREFIXES if text.lower().startswith(each)), "")
        digits = text[len(prefix) :] or text
        base = 10 if digits == text else _PREFIXES[prefix]
        digits = digits.replace("_", "")
    try:
        if not _DIGITS.fullmatch(digits) or "_" in digits:
            raise ValueError
        number = int(digits, base)
    except ValueError:
        raise EvaluationError(f"{where}: invalid syntax") from None
    if number >> (bits or 64):
        raise EvaluationError(f"{where}: value out of range")
    return Unsigned(number)


def index(item: Any, *keys: Any) -> Any:
    """An item of a list, a value of a dict, an octet of a text, and so on in there."""
    for key in keys:
        if isinstance(item, dict):
            if not isinstance(key, str):
                raise EvaluationError(f"value has type {kind(key)}; should be string")
            item = item.get(key, "" if not isinstance(item, Variables) else NO_VALUE)
        elif isinstance(item, list | str):
            octets = item.encode() if isinstance(item, str) else item
            item = octets[_position(key, len(octets) - 1)]
        else:
            raise EvaluationError(f"can't index item of type {kind(item)}")
    return item


def slice_(item: Any, *bounds: Any) -> Any:
    """A part of a list or a text, from the first bound to the one before the second."""
    if not isinstance(item, list | str) or len(bounds) > (2 if isinstance(item, str) else 3):
        raise EvaluationError(f"can't slice item of type {kind(item)}")
    octets = item.encode() if isinstance(item, str) else item
    positions = [_position(each, len(octets)) for each in bounds]
    low = positions[0] if positions else 0
    high = positions[1] if len(positions) > 1 else len(octets)
    if low > high:
        raise EvaluationError(f"invalid slice index: {low} > {high}")
    part = octets[low:high]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def length(item: Any) -> int:
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, list | dict):
        return len(item)
    raise EvaluationError(f"len of type {kind(item)}")


def equal(first: Any, *others: Any) -> bool:
    """Whether the first is equal to one of the others."""
    if not others:
        raise EvaluationError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def less(one: Any, other: Any) -> bool:
    if _basic(one) != _basic(other):
        raise EvaluationError("incompatible types for comparison")
    if _basic(one) not in ("number", "float", "string"):
        raise EvaluationError("invalid type for comparison")
    return bool(one < other)


def joined(*items: Any) -> str:
    """As `print`: white space between two items of which none is a text."""
    text = ""
    for at, item in enumerate(items):
        is_apart = at and not isinstance(item, str) and not isinstance(items[at - 1], str)
        text += (" " if is_apart else "") + shown(item)
    return text


def query_escaped(text: str) -> str:
    return urllib.parse.quote_plus(text, safe="")


def js_escaped(text: str) -> str:
    return "".join(
        [_JS.get(each) or (f"\\u{ord(each):04X}" if each < " " else each) for each in text]
    )


def called(*arguments: Any) -> Any:
    raise EvaluationError("call of a value that is no function")


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or NO_VALUE in (one, other):
        return one is other
    if _basic(one) != _basic(other):
        raise EvaluationError("incompatible types for comparison")
    if _basic(one) == "":
        raise EvaluationError(f"uncomparable type {kind(one)}")
    return bool(one == other)


def _basic(value: Any) -> str:
    """The sort that can be compared with its like; "" for none."""
    if isinstance(value, bool):
        return "bool"
    names = {float: "float", str: "string"}
    names |= dict.fromkeys((int, Short, Unsigned), "number")
    return names.get(type(value), "")


def _position(key: Any, most: int) -> int:
    if not _is_integer(key):
        raise EvaluationError(f"cannot index slice/array with type {kind(key)}")
    if not 0 <= key <= most:
        raise EvaluationError(f"index out of range: {key}")
    return int(key)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# Arguments of `and` and `or` are worked out one by one, until one is this: see `nodes.Command`.
LAZY = {"and": False, "or": True}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": called,
    "call": called,
    "eq": equal,
    "ge": lambda one, other: not less(one, other),
    "gt": lambda one, other: not (less(one, other) or _same(one, other)),
    "html": lambda *items: joined(*items).translate(_HTML),
    "index": index,
    "js": lambda *items: js_escaped(joined(*items)),
    "le": lambda one, other: less(one, other) or _same(one, other),
    "len": length,
    "lt": less,
    "ne": lambda one, other: not _same(one, other),
    "not": lambda value: not is_true(value),
    "or": called,
    "parseInt": parse_int,
    "print": joined,
    "printf": sprintf,
    "println": lambda *items: " ".join(map(shown, items)) + "\n",
    "slice": slice_,
    "urlquery": lambda *items: query_escaped(joined(*items)),
}
