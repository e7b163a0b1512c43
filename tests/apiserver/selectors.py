"""Label and field selectors, as the `labelSelector` and `fieldSelector` parameters spell them."""

import re
from collections.abc import Callable, Mapping

Values = Mapping[str, str]
Test = Callable[[Values], bool]

_SET = re.compile(r"([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(r"([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)")
_EXISTS = re.compile(r"(!?)\s*([^\s!=,()]+)")
_COMMA = re.compile(r",(?![^()]*\))")  # one that stands in no parentheses


def selector(text: str) -> Test:
    """Whether labels (or fields) match; text is "" or requirements with commas between them.

    Raises ValueError for what the API server would answer with 400.
    """
    tests = [_requirement(part.strip()) for part in _COMMA.split(text) if text.strip()]
    return lambda values: all(test(values) for test in tests)


def _requirement(text: str) -> Test:
    if match := _SET.fullmatch(text):
        key, word, inside = match.groups()
        among = frozenset(value.strip() for value in inside.split(","))
        if word == "in":
            return lambda values: values.get(key) in among
        return lambda values: values.get(key) not in among
    if match := _EQUAL.fullmatch(text):
        key, sign, wanted = match.groups()
        if sign == "!=":
            return lambda values: values.get(key) != wanted
        return lambda values: values.get(key) == wanted
    if match := _EXISTS.fullmatch(text):
        absent, key = match.groups()
        return lambda values: (key in values) != bool(absent)
    raise ValueError(f"no selector: {text!r}")
