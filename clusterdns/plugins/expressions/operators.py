"""What stands between values: arithmetic, comparisons, items, slices, choices."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

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
    common,
    equal,
    kind_of,
    needed,
    whole,
)
from clusterdns.plugins.query import Query


def _quotient(left: float, right: float) -> float:
    """As Go has it: nothing is wrong with 1 / 0."""
    if right:
        return left / right
    return math.nan if not left or math.isnan(left) else math.copysign(math.inf, left)


def _rest(left: Any, right: Any) -> int:
    """With the sign of the first number, unlike Python's. Raises ValueError for no divisor."""
    left, right = whole(left, "%"), whole(right, "%")
    if not right:
        raise ValueError("% by 0")
    return left - right * int(left / right) if abs(left) < 2**53 else int(math.fmod(left, right))


def _sum(left: Any, right: Any) -> Any:
    """Raises ValueError for two values that do not go together."""
    if kind_of(left) != kind_of(right):
        raise ValueError(f"'+' does not go between a {kind_of(left)} and a {kind_of(right)}")
    return left + right


def _power(left: float, right: float) -> float:
    try:
        found = float(left) ** right
    except ArithmeticError:  # 0 ** -1, or more than a number holds
        return math.inf
    return math.nan if isinstance(found, complex) else float(found)


_COMPARE = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": _rest,
    "**": _power,
}


def binary(left: Expression, sign: str, right: Expression) -> Expression:
    """Two values joined by an operator. Raises ValueError for types that it does not go between."""
    if sign in ("and", "or"):
        return _both(needed(left, TRUTH, sign), sign, needed(right, TRUTH, sign))
    if sign == "??":
        return _or_else(left, right)
    if sign == "..":
        return _range(needed(left, NUMBER, sign), needed(right, NUMBER, sign))
    apply, kinds, gives = _operation(left, sign, right)
    left, right = needed(left, kinds, repr(sign)), needed(right, kinds, repr(sign))
    sees = left.sees_client or right.sees_client
    return Expression(lambda query: apply(left.evaluate(query), right.evaluate(query)), gives, sees)


def _operation(
    left: Expression, sign: str, right: Expression
) -> tuple[Callable[[Any, Any], Any], str | tuple[str, ...], str]:
    """How the two are joined, which types both may have, and the type of what comes out."""
    kinds = {left.type, right.type}
    known = common(kinds - {ANY}) if kinds != {ANY} else ANY
    is_open = ANY in kinds  # only the query tells whether they go together
    if sign in ("==", "!=") and (len(kinds) == 1 or is_open or NIL in kinds):
        apply = equal if sign == "==" else lambda one, other: not equal(one, other)
        return apply, ANY, TRUTH
    if len(kinds) == 1 or is_open:
        if sign in _COMPARE and known in (TEXT, NUMBER, ANY):
            return _ordered(_COMPARE[sign]), (TEXT, NUMBER) if known == ANY else known, TRUTH
        if sign in _TEXTS and known in (TEXT, ANY):
            return _TEXTS[sign], TEXT, TRUTH
        if sign == "+" and known in (TEXT, NUMBER, ANY):
            return _sum, (TEXT, NUMBER) if known == ANY else known, known
        if sign in _NUMBERS and known in (NUMBER, ANY):
            return _NUMBERS[sign], NUMBER, NUMBER
    if sign == "in" and right.type in (LIST, MAP, ANY):
        held = {LIST: right.item, MAP: TEXT}.get(right.type, ANY)
        if ANY not in (held, left.type) and held != left.type != NIL:
            raise ValueError(f"a {left.type} is never in a {right.type} of {held}s")
        return _in, ANY, TRUTH
    raise ValueError(f"{sign!r} does not go between a {left.type} and a {right.type}")


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        if kind_of(left) != kind_of(right):
            raise ValueError(f"a {kind_of(left)} is neither more nor less than a {kind_of(right)}")
        return compare(left, right)

    return apply


def _in(value: Any, items: Any) -> bool:
    if isinstance(items, dict):
        return isinstance(value, str) and value in items
    if items is None:
        return False
    if not isinstance(items, list):
        raise ValueError(f"'in' takes a list or a map, not a {kind_of(items)}")
    return any(equal(value, item) for item in items)


def _both(left: Expression, sign: str, right: Expression) -> Expression:
    sees = left.sees_client or right.sees_client
    if sign == "and":
        return Expression(lambda query: left.evaluate(query) and right.evaluate(query), TRUTH, sees)
    return Expression(lambda query: left.evaluate(query) or right.evaluate(query), TRUTH, sees)


def _or_else(left: Expression, right: Expression) -> Expression:
    """The first one, or if that is nil, or cannot be got at, the other."""

    def value(query: Query) -> Any:
        found = left.evaluate(query)
        return right.evaluate(query) if found is None else found

    kind = right.type if left.type == NIL else common({left.type, right.type})
    item = left.item if left.item == right.item else ANY
    return Expression(value, kind, left.sees_client or right.sees_client, item=item)


def _range(first: Expression, last: Expression) -> Expression:
    def value(query: Query) -> list[int]:
        begin, end = whole(first.evaluate(query), ".."), whole(last.evaluate(query), "..")
        if end - begin >= MOST_ITEMS:
            raise ValueError(f"a range of more than {MOST_ITEMS} numbers")
        return list(range(begin, end + 1))

    return Expression(value, LIST, first.sees_client or last.sees_client, item=NUMBER)


def compared(found: Sequence[tuple[Expression, str, Expression]]) -> Expression:
    """Comparisons one after the other, all of which have to be true: 1 < n < 5."""
    (left, sign, right), *others = found
    expression = binary(left, sign, right)
    for left, sign, right in others:
        expression = _both(expression, "and", binary(left, sign, right))
    return expression


def negated(operand: Expression) -> Expression:
    operand = needed(operand, TRUTH, "not")
    return Expression(lambda query: not operand.evaluate(query), TRUTH, operand.sees_client)


def signed(sign: str, operand: Expression) -> Expression:
    """A number with + or - in front."""
    operand = needed(operand, NUMBER, sign)
    if sign == "+":
        return operand
    return Expression(lambda query: -operand.evaluate(query), NUMBER, operand.sees_client)


def choice(test: Expression, yes: Expression, no: Expression) -> Expression:
    """TEST ? YES : NO."""
    test = needed(test, TRUTH, "?")
    kind = common({yes.type, no.type})
    return Expression(
        lambda query: (yes if test.evaluate(query) else no).evaluate(query),
        kind,
        test.sees_client or yes.sees_client or no.sees_client,
        item=yes.item if yes.item == no.item else ANY,
    )


def item(of: Expression, at: Expression, may_be_nil: bool = False) -> Expression:
    """An item of a list by its number, below 0 from the end, or of a map by its key.

    may_be_nil: an item of nothing is nil (?.).
    """
    of = needed(of, (LIST, MAP, NIL) if may_be_nil else (LIST, MAP), "[]")
    if of.type == LIST:
        at = needed(at, NUMBER, "[]")
    elif of.type == MAP:
        at = needed(at, TEXT, "[]")

    def value(query: Query) -> Any:
        found = of.evaluate(query)
        return None if found is None else item_of(found, at.evaluate(query))

    kind = of.item if of.type == LIST else ANY
    return Expression(value, kind, of.sees_client or at.sees_client)


def item_of(found: Any, key: Any) -> Any:
    """Raises ValueError for no such item of a list; that of a map is nil."""
    if isinstance(found, dict):
        if not isinstance(key, str):
            raise ValueError(f"[] of a map takes a text, not a {kind_of(key)}")
        return found.get(key)
    number = whole(key, "[]")
    if not -len(found) <= number < len(found):
        raise ValueError(f"there is no item {number}")
    return found[number]


def part(of: Expression, first: Expression | None, last: Expression | None) -> Expression:
    """Items of a list, or characters of a text, from one number up to before another."""
    of = needed(of, (LIST, TEXT), "[:]")
    ends = [each and needed(each, NUMBER, "[:]") for each in (first, last)]

    def value(query: Query) -> Any:
        found = of.evaluate(query)
        begin, end = [None if each is None else whole(each.evaluate(query), "[:]") for each in ends]
        begin = _bound(0 if begin is None else begin, len(found))
        end = _bound(len(found) if end is None else end, len(found))
        return found[begin : max(begin, end)]

    sees = of.sees_client or any(each.sees_client for each in ends if each)
    return Expression(value, of.type, sees, item=of.item)


def _bound(at: int, size: int) -> int:
    return min(max(at + size if at < 0 else at, 0), size)
