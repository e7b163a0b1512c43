"""An expression as a function of a query: parsed, its types checked, and no more than it says.

Nothing of Python is reached from here: names are those of a table, values are texts, numbers, truth
and lists of them.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clusterdns.plugins.base import Query
from clusterdns.plugins.expressions.syntax import Word, words

Evaluate = Callable[[Query], Any]
DEEPEST = 50  # parentheses in parentheses: far more than anybody reads, far less than a stack holds
TEXT, NUMBER, TRUTH, LIST = "text", "number", "truth", "list"


class Function(NamedTuple):
    """A function that expressions may call.

    takes, gives: types. sees_client: whether more than the question decides what it gives.
    """

    call: Callable[..., Any]  # of the query and its arguments
    takes: tuple[str, ...]
    gives: str
    sees_client: bool = False


@dataclass
class Expression:
    """What `parse` gives.

    type: of its value. sees_client: whether more than the question decides.
    """

    evaluate: Evaluate
    type: str
    sees_client: bool = False
    value: Any = field(default=None)  # of a literal

    def is_true(self, query: Query) -> bool:
        """Whether it is true; what cannot be worked out, and what is no truth, is not."""
        try:
            return self.evaluate(query) is True
        except (ValueError, ArithmeticError):
            return False


def parse(
    text: str,
    functions: Mapping[str, Function],
    pattern: Callable[[str], Callable[[str], bool]],
) -> Expression:
    """The expression. Raises ValueError for what is none, and for operands of a wrong type.

    pattern: the search for a regular expression; raises ValueError for what is none.
    """
    parser = _Parser(words(text), functions, pattern)
    found = parser.expression()
    if parser.word.kind != "end":
        raise ValueError(f"nothing may stand before {parser.word.value!r}")
    return found


# By precedence, the first binds least; all of them from the left.
_LEVELS = (
    ("or",),
    ("and",),
    ("==", "!=", "<", ">", "<=", ">=", "in", "contains", "startsWith", "endsWith", "matches"),
    ("+", "-"),
    ("*", "/", "%"),
)
_NEGATED = ("in", "contains", "startsWith", "endsWith", "matches")  # with a `not` before
_BINDS_CLOSER = 3  # what stands behind `not`: no comparison without parentheses, as in expr-lang


class _Parser:
    """One pass over the words, by recursive descent."""

    def __init__(
        self,
        found: Sequence[Word],
        functions: Mapping[str, Function],
        pattern: Callable[[str], Callable[[str], bool]],
    ) -> None:
        self._words = found
        self._at = 0
        self._functions = functions
        self._pattern = pattern
        self._depth = 0

    @property
    def word(self) -> Word:
        return self._words[self._at]

    def expression(self) -> Expression:
        """A choice (? :), or less."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} parentheses in each other")
        found = self._level(0)
        if self._took("?"):
            yes = self.expression()
            self._need(":")
            found = _choice(found, yes, self.expression())
        self._depth -= 1
        return found

    def _level(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while sign := self._sign(level):
            left = self._joined(left, sign, self._level(level + 1))
        return left

    def _sign(self, level: int) -> str | None:
        """Takes an operator of this level; "not in" and its like are one."""
        word, behind = self.word, self._words[min(self._at + 1, len(self._words) - 1)]
        if word.kind in ("name", "operator") and word.value in _LEVELS[level]:
            self._at += 1
            return str(word.value)
        is_negated = word.value == "not" and behind.kind == "name" and behind.value in _NEGATED
        if is_negated and behind.value in _LEVELS[level]:
            self._at += 2
            return f"not {behind.value}"
        return None

    def _joined(self, left: Expression, sign: str, right: Expression) -> Expression:
        if sign.startswith("not "):
            return _negated(self._joined(left, sign.removeprefix("not "), right))
        if sign == "matches":
            return self._match(left, right)
        return _binary(left, sign, right)

    def _match(self, left: Expression, right: Expression) -> Expression:
        _check(left, TEXT, "matches")
        if not isinstance(right.value, str):
            raise ValueError("behind matches stands a regular expression in quotes")
        found = self._pattern(right.value)
        return Expression(lambda query: found(left.evaluate(query)), TRUTH, left.sees_client)

    def _unary(self) -> Expression:
        if self._took("not"):
            self._depth += 1
            if self._depth > DEEPEST:
                raise ValueError("too many negations")
            found = _negated(self._level(_BINDS_CLOSER))
            self._depth -= 1
            return found
        if self._took("-"):
            operand = self._primary()
            _check(operand, NUMBER, "-")
            return Expression(lambda query: -operand.evaluate(query), NUMBER, operand.sees_client)
        return self._primary()

    def _primary(self) -> Expression:
        word = self.word
        if word.kind in ("number", "text"):
            self._at += 1
            return _literal(word.value, NUMBER if word.kind == "number" else TEXT)
        if self._took("("):
            found = self.expression()
            self._need(")")
            return found
        if self._took("["):
            return _list(self._arguments("]"))
        if word.kind == "name":
            self._at += 1
            return self._named(str(word.value))
        raise ValueError(f"a value is missing before {word.value!r}" if word.value else "it ends")

    def _named(self, name: str) -> Expression:
        if name in ("true", "false"):
            return _literal(name == "true", TRUTH)
        function = self._functions.get(name)
        if function is None:
            raise ValueError(f"{name!r} is unknown; there are {', '.join(self._functions)}")
        self._need("(")
        return _call(name, function, self._arguments(")"))

    def _arguments(self, end: str) -> list[Expression]:
        found: list[Expression] = []
        while not self._took(end):
            if found:
                self._need(",")
                if self._took(end):  # a comma behind the last one does no harm
                    break
            found.append(self.expression())
        return found

    def _took(self, sign: str) -> bool:
        is_here = self.word.kind in ("operator", "name") and self.word.value == sign
        self._at += is_here
        return is_here

    def _need(self, sign: str) -> None:
        if not self._took(sign):
            raise ValueError(f"{sign!r} is missing before {str(self.word.value) or 'the end'!r}")


def _literal(value: Any, kind: str) -> Expression:
    return Expression(lambda query: value, kind, value=value)


def _list(items: Sequence[Expression]) -> Expression:
    return Expression(
        lambda query: [item.evaluate(query) for item in items],
        LIST,
        any(item.sees_client for item in items),
    )


def _call(name: str, function: Function, given: Sequence[Expression]) -> Expression:
    if len(given) != len(function.takes):
        raise ValueError(f"{name}() takes {len(function.takes)} arguments, not {len(given)}")
    for argument, kind in zip(given, function.takes, strict=True):
        _check(argument, kind, f"{name}()")
    return Expression(
        lambda query: function.call(query, *[each.evaluate(query) for each in given]),
        function.gives,
        function.sees_client or any(each.sees_client for each in given),
    )


def _negated(operand: Expression) -> Expression:
    _check(operand, TRUTH, "not")
    return Expression(lambda query: not operand.evaluate(query), TRUTH, operand.sees_client)


def _choice(test: Expression, yes: Expression, no: Expression) -> Expression:
    _check(test, TRUTH, "?")
    if yes.type != no.type:
        raise ValueError(f"? gives a {yes.type} or a {no.type}")
    sees = test.sees_client or yes.sees_client or no.sees_client
    return Expression(
        lambda query: (yes if test.evaluate(query) else no).evaluate(query), yes.type, sees
    )


_COMPARE = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
_EQUAL = {"==": operator.eq, "!=": operator.ne}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def _binary(left: Expression, sign: str, right: Expression) -> Expression:
    sees = left.sees_client or right.sees_client
    if sign in ("and", "or"):
        _check(left, TRUTH, sign)
        _check(right, TRUTH, sign)
        if sign == "and":
            return Expression(
                lambda query: left.evaluate(query) and right.evaluate(query), TRUTH, sees
            )
        return Expression(lambda query: left.evaluate(query) or right.evaluate(query), TRUTH, sees)
    apply, gives = _operation(left.type, sign, right.type)
    return Expression(lambda query: apply(left.evaluate(query), right.evaluate(query)), gives, sees)


def _operation(left: str, sign: str, right: str) -> tuple[Callable[[Any, Any], Any], str]:
    """How two values of these types are joined, and the type of what comes out."""
    if sign == "in" and right == LIST:
        return lambda value, items: value in items, TRUTH
    if left == right:
        if sign in _EQUAL:
            return _EQUAL[sign], TRUTH
        if sign in _COMPARE and left in (TEXT, NUMBER):
            return _COMPARE[sign], TRUTH
        if sign in _TEXTS and left == TEXT:
            return _TEXTS[sign], TRUTH
        if sign == "+" and left in (TEXT, NUMBER):
            return operator.add, left
        if sign in _NUMBERS and left == NUMBER:
            return _NUMBERS[sign], NUMBER
    raise ValueError(f"{sign!r} does not go between a {left} and a {right}")


def _check(operand: Expression, kind: str, where: str) -> None:
    if operand.type != kind:
        raise ValueError(f"{where} takes a {kind}, not a {operand.type}")
