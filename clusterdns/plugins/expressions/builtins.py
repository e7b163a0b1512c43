"""The functions that expr-lang has for itself, of texts, numbers, lists and maps."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from functools import cmp_to_key
from itertools import chain
from statistics import median
from typing import Any

from clusterdns.plugins.expressions.operators import item_of
from clusterdns.plugins.expressions.values import (
    ANY,
    LIST,
    MAP,
    MOST_ITEMS,
    NUMBER,
    TEXT,
    TRUTH,
    Function,
    Given,
    equal,
    float_text,
    kind_of,
    whole,
)


def to_int(value: Any) -> int:
    """Raises ValueError for a text that is no integer."""
    if isinstance(value, str):
        if not re.fullmatch("[+-]?[0-9]{1,19}", value):
            raise ValueError(f"{value!r} is no integer")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("int() takes a text or a number")
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value):
            raise ValueError(f"{value!r} is no number")
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("float() takes a text or a number")
    return float(value)


def to_string(value: Any) -> str:
    """As Go prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(map(to_string, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join([f'{key}:{to_string(value[key])}' for key in sorted(value)])}]"
    return float_text(value) if isinstance(value, float) else str(value)


def _len(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise ValueError(f"len() takes a text, a list or a map, not a {kind_of(value)}")
    return len(value)


def _split(text: str, by: str, most: int = -1) -> list[str]:
    most = whole(most, "split()")
    if most == 0:
        return []
    if not by:
        if most < 0 or most >= len(text):
            return list(text)
        return [*text[: most - 1], text[most - 1 :]]
    return text.split(by, most - 1 if most > 0 else -1)


def _split_after(text: str, by: str, most: int = -1) -> list[str]:
    *parts, last = _split(text, by, most) or [""]
    return [*(part + by for part in parts), last] if most else []


def _replace(text: str, old: str, new: str, most: int = -1) -> str:
    return _bounded(text.replace(old, new, whole(most, "replace()")))


def _repeat(text: str, times: int) -> str:
    times = whole(times, "repeat()")
    if times < 0 or len(text) * times > MOST_ITEMS:
        raise ValueError(f"repeat() of {times} times")
    return text * times


def _bounded(text: str) -> str:
    if len(text) > MOST_ITEMS:
        raise ValueError(f"a text of more than {MOST_ITEMS} characters")
    return text


def _join(items: list[Any], by: str = "") -> str:
    """Raises ValueError where there is something else than texts."""
    if not all(isinstance(item, str) for item in items):
        raise ValueError("join() takes a list of texts")
    return by.join(items)


def _numbers(name: str, values: tuple[Any, ...]) -> list[Any]:
    """Numbers, those of lists among them. Raises ValueError for others."""
    found = list(chain.from_iterable(each if isinstance(each, list) else [each] for each in values))
    if any(kind_of(each) != NUMBER for each in found):
        raise ValueError(f"{name}() takes numbers")
    return found


def _most(name: str, of: Callable[[list[Any]], Any]) -> Function:
    """A function of some numbers; nil if there are none."""

    def call(query: object, *values: Any) -> Any:
        found = _numbers(name, values)
        return of(found) if found else None

    return Function(call, ((NUMBER, LIST),), ANY, many=True)


def _middle(name: str, of: Callable[[list[Any]], float]) -> Function:
    """A function of some numbers; 0 if there are none."""

    def call(query: object, *values: Any) -> float:
        found = _numbers(name, values)
        return float(of(found)) if found else 0.0

    return Function(call, ((NUMBER, LIST),), NUMBER, many=True)


def total(items: list[Any]) -> Any:
    """Raises ValueError for what is no number."""
    return sum(_numbers("sum", (items,)))


def _round(value: float) -> float:
    """Halves go away from zero."""
    return math.copysign(math.floor(abs(value) + 0.5), value)


def ordered(
    items: list[Any], order: str = "asc", key: Callable[[Any], Any] | None = None
) -> list[Any]:
    """Sorted. Raises ValueError for values that cannot be compared, and for another order."""
    if order not in ("asc", "desc"):
        raise ValueError(f"{order!r} is neither asc nor desc")

    def compare(one: Any, other: Any) -> int:
        if kind_of(one) != kind_of(other) or kind_of(one) not in (TEXT, NUMBER):
            raise ValueError(f"a {kind_of(one)} and a {kind_of(other)} have no order")
        return int(one > other) - int(one < other)

    by = cmp_to_key(compare)
    return sorted(items, key=lambda item: by(key(item) if key else item), reverse=order == "desc")


def _unique(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not any(equal(item, each) for each in found):
            found.append(item)
    return found


def _flat(items: list[Any], depth: int = 0) -> list[Any]:
    if depth > 50:
        raise ValueError("lists more than 50 deep in each other")
    parts = (_flat(each, depth + 1) if isinstance(each, list) else [each] for each in items)
    return list(chain.from_iterable(parts))


def _get(value: Any, key: Any) -> Any:
    """nil where there is no such item."""
    if isinstance(value, list | dict):
        try:
            return item_of(value, key)
        except ValueError:
            return None
    return None


def _take(items: list[Any], count: int) -> list[Any]:
    if whole(count, "take()") < 0:
        raise ValueError("take() of less than nothing")
    return items[:count]


def _from_pairs(pairs: list[Any]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError("fromPairs() takes a list of pairs, of a text and a value")
        found[pair[0]] = pair[1]
    return found


def _to_json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _from_json(text: str) -> Any:
    try:
        return json.loads(text, parse_int=float)
    except RecursionError:
        raise ValueError("lists too deep in each other") from None


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{text!r} is no text in base64: {error}") from error


_WORD = 1 << 64


def _bits(name: str, apply: Callable[..., int], count: int = 2) -> Function:
    def call(query: object, *values: Any) -> int:
        found = apply(*[whole(each, f"{name}()") for each in values]) % _WORD
        return found - _WORD if found >= _WORD >> 1 else found

    return Function(call, (NUMBER,) * count, NUMBER)


def _shifted(value: int, by: int, left: bool) -> int:
    if by < 0:
        raise ValueError("a shift by less than nothing")
    return (value << min(by, 64)) if left else value >> min(by, 64)


def _same(given: Given) -> tuple[str, str]:
    return LIST, given[0].item


_SIZED = (TEXT, LIST, MAP)
BUILTINS = {
    "abs": Function(lambda query, value: abs(value), (NUMBER,), NUMBER),
    "bitand": _bits("bitand", lambda one, other: one & other),
    "bitnand": _bits("bitnand", lambda one, other: one & ~other),
    "bitnot": _bits("bitnot", lambda value: ~value, 1),
    "bitor": _bits("bitor", lambda one, other: one | other),
    "bitshl": _bits("bitshl", lambda value, by: _shifted(value, by, left=True)),
    "bitshr": _bits("bitshr", lambda value, by: _shifted(value, by, left=False)),
    "bitushr": _bits("bitushr", lambda value, by: _shifted(value % _WORD, by, left=False)),
    "bitxor": _bits("bitxor", lambda one, other: one ^ other),
    "ceil": Function(lambda query, value: float(math.ceil(value)), (NUMBER,), NUMBER),
    "concat": Function(
        lambda query, *lists: list(chain.from_iterable(lists)), (LIST,), LIST, many=True
    ),
    "first": Function(lambda query, items: items[0] if items else None, (LIST,), ANY),
    "flatten": Function(lambda query, items: _flat(items), (LIST,), LIST),
    "float": Function(lambda query, value: _float(value), (ANY,), NUMBER),
    "floor": Function(lambda query, value: float(math.floor(value)), (NUMBER,), NUMBER),
    "fromBase64": Function(lambda query, text: _from_base64(text), (TEXT,), TEXT),
    "fromJSON": Function(lambda query, text: _from_json(text), (TEXT,), ANY),
    "fromPairs": Function(lambda query, pairs: _from_pairs(pairs), (LIST,), MAP),
    "get": Function(lambda query, value, key: _get(value, key), (ANY, ANY), ANY),
    "hasPrefix": Function(lambda query, text, part: text.startswith(part), (TEXT, TEXT), TRUTH),
    "hasSuffix": Function(lambda query, text, part: text.endswith(part), (TEXT, TEXT), TRUTH),
    "indexOf": Function(lambda query, text, part: text.find(part), (TEXT, TEXT), NUMBER),
    "int": Function(lambda query, value: to_int(value), (ANY,), NUMBER),
    "join": Function(lambda query, items, by="": _join(items, by), (LIST, TEXT), TEXT, optional=1),
    "keys": Function(lambda query, found: list(found), (MAP,), LIST, item=TEXT),
    "last": Function(lambda query, items: items[-1] if items else None, (LIST,), ANY),
    "lastIndexOf": Function(lambda query, text, part: text.rfind(part), (TEXT, TEXT), NUMBER),
    "len": Function(lambda query, value: _len(value), (_SIZED,), NUMBER),
    "lower": Function(lambda query, text: text.lower(), (TEXT,), TEXT),
    "max": _most("max", max),
    "mean": _middle("mean", lambda found: sum(found) / len(found)),
    "median": _middle("median", median),
    "min": _most("min", min),
    "repeat": Function(lambda query, text, times: _repeat(text, times), (TEXT, NUMBER), TEXT),
    "replace": Function(
        lambda query, *given: _replace(*given), (TEXT, TEXT, TEXT, NUMBER), TEXT, optional=1
    ),
    "reverse": Function(lambda query, items: items[::-1], (LIST,), LIST, like=_same),
    "round": Function(lambda query, value: _round(value), (NUMBER,), NUMBER),
    "sort": Function(
        lambda query, items, order="asc": ordered(items, order),
        (LIST, TEXT),
        LIST,
        like=_same,
        optional=1,
    ),
    "split": Function(
        lambda query, *given: _split(*given), (TEXT, TEXT, NUMBER), LIST, item=TEXT, optional=1
    ),
    "splitAfter": Function(
        lambda query, *given: _split_after(*given),
        (TEXT, TEXT, NUMBER),
        LIST,
        item=TEXT,
        optional=1,
    ),
    "string": Function(lambda query, value: to_string(value), (ANY,), TEXT),
    "take": Function(
        lambda query, items, count: _take(items, count), (LIST, NUMBER), LIST, like=_same
    ),
    "toBase64": Function(
        lambda query, text: base64.b64encode(text.encode()).decode(), (TEXT,), TEXT
    ),
    "toJSON": Function(lambda query, value: _to_json(value), (ANY,), TEXT),
    "toPairs": Function(
        lambda query, found: [list(pair) for pair in found.items()], (MAP,), LIST, item=LIST
    ),
    "trim": Function(lambda query, *given: str.strip(*given), (TEXT, TEXT), TEXT, optional=1),
    "trimPrefix": Function(
        lambda query, text, part=" ": text.removeprefix(part), (TEXT, TEXT), TEXT, optional=1
    ),
    "trimSuffix": Function(
        lambda query, text, part=" ": text.removesuffix(part), (TEXT, TEXT), TEXT, optional=1
    ),
    "uniq": Function(lambda query, items: _unique(items), (LIST,), LIST, like=_same),
    "upper": Function(lambda query, text: text.upper(), (TEXT,), TEXT),
    "values": Function(lambda query, found: list(found.values()), (MAP,), LIST),
}
# Of expr-lang, and not here: what they would give changes with the clock.
TIMES = ("date", "duration", "now", "timezone")
