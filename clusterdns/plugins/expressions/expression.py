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
ANY = "value"  # of whatever type, as an argument


class Function(NamedTuple):
    """A function that expressions may call.

    takes, gives: types. sees_client: whether more than the question decides what it gives.
    item: type of the items, if it gives a list.
    """

    call: Callable[..., Any]  # of the query and its arguments
    takes: tuple[str, ...]
    gives: str
    sees_client: bool = False
    item: str = ""


@dataclass
class Expression:
    """What `parse` gives.

    type: of its value. sees_client: whether more than the question decides.
    item: type of the items of a list; "" if they have several, or there are none.
    """

    evaluate: Evaluate
    type: str
    sees_client: bool = False
    value: Any = field(default=None)  # of a literal
    item: str = ""

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
    variables: Mapping[str, Expression] | None = None,
) -> Expression:
    """The expression. Raises ValueError for what is none, and for operands of a wrong type.

    pattern: the search for a regular expression; raises ValueError for what is none.
    variables: what stands for itself, by name.
    """
    parser = _Parser(words(text), functions, pattern, variables or {})
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
        variables: Mapping[str, Expression],
    ) -> None:
        self._words = found
        self._variables = variables
        self._items: list[Expression] = []  # what # is, in predicates inside of each other
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
        found = self._value()
        while self._took("["):
            found = _item(found, self.expression())
            self._need("]")
        return found

    def _value(self) -> Expression:
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
        if self._took("#"):
            if not self._items:
                raise ValueError("# stands in predicates only, as in any(list, # > 1)")
            return self._items[-1]
        if word.kind == "name":
            self._at += 1
            return self._named(str(word.value))
        raise ValueError(f"a value is missing before {word.value!r}" if word.value else "it ends")

    def _named(self, name: str) -> Expression:
        if name in ("true", "false"):
            return _literal(name == "true", TRUTH)
        if name in self._variables:
            return self._variables[name]
        if name in PREDICATES:
            return self._predicate(name)
        function = self._functions.get(name)
        if function is None:
            known = [*self._variables, *self._functions, *PREDICATES]
            raise ValueError(f"{name!r} is unknown; there are {', '.join(known)}")
        self._need("(")
        return _call(name, function, self._arguments(")"))

    def _predicate(self, name: str) -> Expression:
        """LIST, PREDICATE in parentheses: something for each item, which is # in there."""
        self._need("(")
        items = self.expression()
        _check(items, LIST, f"{name}()")
        if not items.item:
            raise ValueError(f"{name}() takes a list of values of one type")
        self._need(",")
        now: list[Any] = []  # items that it is for, the innermost last
        self._items.append(Expression(lambda query: now[-1], items.item, items.sees_client))
        predicate = self.expression()
        self._items.pop()
        self._need(")")
        apply, gives = PREDICATES[name]
        if name != "map":
            _check(predicate, TRUTH, f"{name}()")

        def pairs(query: Query) -> list[tuple[Any, Any]]:
            found = []
            for item in items.evaluate(query):
                now.append(item)
                try:
                    found.append((item, predicate.evaluate(query)))
                finally:
                    now.pop()
            return found

        return Expression(
            lambda query: apply(pairs(query)),
            gives,
            items.sees_client or predicate.sees_client,
            item=predicate.type if name == "map" else items.item if gives == LIST else "",
        )

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


_Pairs = list[tuple[Any, Any]]  # items, and what the predicate gives for each

# What each gives of them, and its type.
PREDICATES: dict[str, tuple[Callable[[_Pairs], Any], str]] = {
    "all": (lambda pairs: all(found for _, found in pairs), TRUTH),
    "any": (lambda pairs: any(found for _, found in pairs), TRUTH),
    "none": (lambda pairs: not any(found for _, found in pairs), TRUTH),
    "one": (lambda pairs: sum(found for _, found in pairs) == 1, TRUTH),
    "count": (lambda pairs: sum(found for _, found in pairs), NUMBER),
    "filter": (lambda pairs: [item for item, found in pairs if found], LIST),
    "map": (lambda pairs: [found for _, found in pairs], LIST),
}


def _literal(value: Any, kind: str) -> Expression:
    return Expression(lambda query: value, kind, value=value)


def _list(items: Sequence[Expression]) -> Expression:
    return Expression(
        lambda query: [item.evaluate(query) for item in items],
        LIST,
        any(item.sees_client for item in items),
        item=items[0].type if len({item.type for item in items}) == 1 else "",
    )


def _item(items: Expression, at: Expression) -> Expression:
    """An item of a list by its number; below 0 from the end."""
    _check(items, LIST, "[]")
    _check(at, NUMBER, "[]")
    if not items.item:
        raise ValueError("[] takes a list of values of one type")

    def value(query: Query) -> Any:
        found, number = items.evaluate(query), at.evaluate(query)
        try:
            return found[number]
        except (IndexError, TypeError):
            raise ValueError(f"there is no item {number}") from None

    return Expression(value, items.item, items.sees_client or at.sees_client)


def _call(name: str, function: Function, given: Sequence[Expression]) -> Expression:
    if len(given) != len(function.takes):
        raise ValueError(f"{name}() takes {len(function.takes)} arguments, not {len(given)}")
    for argument, kind in zip(given, function.takes, strict=True):
        _check(argument, kind, f"{name}()")
    return Expression(
        lambda query: function.call(query, *[each.evaluate(query) for each in given]),
        function.gives,
        function.sees_client or any(each.sees_client for each in given),
        item=function.item,
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
        lambda query: (yes if test.evaluate(query) else no).evaluate(query),
        yes.type,
        sees,
        item=yes.item if yes.item == no.item else "",
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
    if kind not in (operand.type, ANY):
        raise ValueError(f"{where} takes a {kind}, not a {operand.type}")
