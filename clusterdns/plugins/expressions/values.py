"""Values of expressions, what types they have, and functions of a query that give them.

Nothing of Python is reached from an expression: values are texts, numbers, truth, lists and maps of
them, and nil.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from clusterdns.plugins.query import Query

Evaluate = Callable[[Query], Any]
TEXT, NUMBER, TRUTH, LIST, MAP, NIL = "text", "number", "truth", "list", "map", "nil"
ANY = "value"  # of a type that only a query tells; as an argument, of whatever type
MOST_ITEMS = 1_000_000  # of a list, or characters of a text, that an expression makes; expr-lang's


@dataclass
class Expression:
    """A function of a query.

    type: of its value. sees_client: whether more than the question decides.
    item: type of the items of a list; ANY if they have several, or nobody knows.
    """

    evaluate: Evaluate
    type: str
    sees_client: bool = False
    value: Any = field(default=None)  # of a literal
    item: str = ANY

    def is_true(self, query: Query) -> bool:
        """Whether it is true; what cannot be worked out, and what is no truth, is not."""
        try:
            return self.evaluate(query) is True
        except (ValueError, ArithmeticError):
            return False


Given = list[Expression]  # arguments of a call


class Function(NamedTuple):
    """A function that expressions may call.

    takes: types; the last one is that of any number of arguments if `many`. gives: its type.
    sees_client: whether more than the question decides what it gives.
    item: type of the items, if it gives a list. optional: so many of the last need not be there.
    like: how type and type of items come from the arguments, where they do.
    """

    call: Callable[..., Any]  # of the query and its arguments
    takes: tuple[str | tuple[str, ...], ...]
    gives: str
    sees_client: bool = False
    item: str = ANY
    optional: int = 0
    many: bool = False
    like: Callable[[Given], tuple[str, str]] | None = None


def kind_of(value: Any) -> str:
    """The type of a value."""
    if value is None:
        return NIL
    return _KINDS[type(value)]


_KINDS = {str: TEXT, int: NUMBER, float: NUMBER, bool: TRUTH, list: LIST, dict: MAP}


def needed(operand: Expression, kinds: str | tuple[str, ...], where: str) -> Expression:
    """The operand, whose value is sure to be of one of these types.

    Raises ValueError if it never is; its value raises it where only the query tells.
    """
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if operand.type in kinds or ANY in kinds:
        return operand
    wanted = " or ".join(kinds)
    if operand.type != ANY:
        raise ValueError(f"{where} takes a {wanted}, not a {operand.type}")

    def checked(query: Query) -> Any:
        value = operand.evaluate(query)
        if kind_of(value) not in kinds:
            raise ValueError(f"{where} takes a {wanted}, not a {kind_of(value)}")
        return value

    return replace(operand, evaluate=checked, type=kinds[0] if len(kinds) == 1 else ANY)


def whole(value: Any, where: str) -> int:
    """The number, which has to be whole. Raises ValueError for another."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{where} takes a whole number")
    return value


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; those of different types never are."""
    return kind_of(one) == kind_of(other) and bool(one == other)


def float_text(value: float) -> str:
    """As Go prints it: the shortest text that reads back the same: 1.5, 100000, 1e+06, 1e-05."""
    if not math.isfinite(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    for places in range(17):
        text = f"{value:.{places}e}"
        if float(text) == value:
            break
    digits, _, exponent = text.partition("e")
    if -4 <= int(exponent) < 6:
        return f"{value:.{max(0, places - int(exponent))}f}"
    return f"{digits}e{exponent}"


def literal(value: Any) -> Expression:
    return Expression(lambda query: value, kind_of(value), value=value)


def common(kinds: set[str]) -> str:
    """The type of values of these types."""
    return kinds.pop() if len(kinds) == 1 else ANY
