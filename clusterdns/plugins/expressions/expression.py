"""An expression as a function of a query: parsed, its types checked, and no more than it says.

The language is expr-lang's, but for its dates: https://expr-lang.org/docs/language-definition.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from clusterdns.plugins.expressions import calls, operators
from clusterdns.plugins.expressions.builtins import BUILTINS
from clusterdns.plugins.expressions.cursor import placed
from clusterdns.plugins.expressions.operands import Operands
from clusterdns.plugins.expressions.syntax import ExpressionError, Word, words
from clusterdns.plugins.expressions.values import TEXT, TRUTH, Expression, Function, needed

MOST = 300  # operators: as many calls may be in each other, of the thousand that Python lets be
_DYNAMIC = 64  # patterns kept that a query brings: those that it brings in turn are few

Search = Callable[[str], bool]
Compile = Callable[[str], Search]


def parse(
    text: str,
    functions: Mapping[str, Function],
    pattern: Compile,
    variables: Mapping[str, Expression] | None = None,
) -> Expression:
    """The expression. Raises ExpressionError for what is none, and for operands of a wrong type.

    functions: beside those of expr-lang, or in place of them.
    pattern: the search for a regular expression; raises ValueError for what is none.
    variables: what stands for itself, by name.
    """
    parser = _Parser(words(text), {**BUILTINS, **functions}, pattern, variables or {})
    found = parser.sequence()
    if parser.word.kind != "end":
        raise ExpressionError(f"nothing may stand before {parser.word.value!r}", parser.word.at)
    return found


# How close operators bind.
_BINDS = {
    "|": 0,
    **dict.fromkeys(("or",), 10),
    **dict.fromkeys(("and",), 15),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 20),
    **dict.fromkeys(("in", "contains", "startsWith", "endsWith", "matches"), 20),
    "..": 25,
    **dict.fromkeys(("+", "-"), 30),
    **dict.fromkeys(("*", "/", "%"), 60),
    "**": 100,
    "??": 500,
}
_NOT_BINDS, _SIGN_BINDS = 50, 90
_ORDERS = ("<", ">", "<=", ">=")
_NEGATED = ("in", "contains", "startsWith", "endsWith", "matches")  # with a `not` before


class _Parser(Operands):
    """One pass over the words, by recursive descent: operators, choices, declarations."""

    def __init__(
        self,
        found: Sequence[Word],
        functions: Mapping[str, Function],
        pattern: Compile,
        variables: Mapping[str, Expression],
    ) -> None:
        super().__init__(found, functions, variables)
        self._pattern = pattern
        self._kept = lru_cache(_DYNAMIC)(pattern)
        self._operators = 0

    def sequence(self) -> Expression:
        """Expressions with ; between; the last one counts."""
        found = self.expression()
        while self._took(";"):
            if self.word.kind == "end" or self._is("}"):
                break
            found = self.expression()
        return found

    def expression(self) -> Expression:
        """A declaration, a choice, or less."""
        with self._deeper():
            if self._took("let"):
                return self._let()
            if self._took("if"):
                return self._if()
            return self._choice(self._level(0))

    def _let(self) -> Expression:
        name = self._name()
        with placed(name):
            if name.value in self._variables or name.value in self._functions:
                raise ValueError(f"{name.value!r} has a meaning already")
        self._need("=")
        value = self.expression()
        self._need(";")
        stack: list[Any] = []
        self._variables[str(name.value)] = Expression(
            lambda query: stack[-1], value.type, value.sees_client, item=value.item
        )
        body = self.sequence()
        del self._variables[str(name.value)]
        return calls.with_value(stack, value, body)

    def _if(self) -> Expression:
        word = self._words[self._at - 1]
        test = self.expression()
        self._need("{")
        yes = self.sequence()
        self._need("}")
        self._need("else")
        if self._took("if"):
            no = self._if()
        else:
            self._need("{")
            no = self.sequence()
            self._need("}")
        with placed(word):
            return operators.choice(test, yes, no)

    def _choice(self, found: Expression) -> Expression:
        while self._is("?", "?:"):
            word = self._take()
            yes = found if word.value == "?:" else self.expression()
            if word.value == "?":
                self._need(":")
            no = self.expression()
            with placed(word):
                found = operators.choice(found, yes, no)
        return found

    def _level(self, least: int) -> Expression:
        """Values and the operators between them that bind as close as this."""
        left = self._unary()
        before = ""
        while (sign := self._sign(least)) is not None:
            if sign == "|":
                left = self._call(self._name(), [left])
                continue
            word = self._words[self._at - 1]
            if before == "??" and sign != "??":
                raise ExpressionError(f"{sign} beside ?? needs parentheses", word.at)
            left = self._ordered(left, word) if sign in _ORDERS else self._joined(left, sign, word)
            before = sign
        return left

    def _sign(self, least: int) -> str | None:
        """Takes an operator that binds so close; "not in" and its like are one."""
        word, behind = self.word, self._words[min(self._at + 1, len(self._words) - 1)]
        is_negated = word.value == "not" and behind.kind == "name" and behind.value in _NEGATED
        sign = str(behind.value if is_negated else word.value)
        if word.kind not in ("name", "operator") or _BINDS.get(sign, -1) < least:
            return None
        self._operators += 1
        if self._operators > MOST:
            raise ExpressionError(f"more than {MOST} operators", word.at)
        self._at += 1 + is_negated
        return f"not {sign}" if is_negated else sign

    def _ordered(self, left: Expression, word: Word) -> Expression:
        """Comparisons in a row: 1 < n < 5."""
        found = []
        binds = _BINDS[str(word.value)]
        while True:
            right = self._level(binds + 1)
            with placed(word):
                found.append((left, str(word.value), right))
                operators.binary(left, str(word.value), right)
            if not self._is(*_ORDERS):
                return operators.compared(found)
            left, word = right, self._take()

    def _joined(self, left: Expression, sign: str, word: Word) -> Expression:
        plain = sign.removeprefix("not ")
        right = self._level(_BINDS[plain] + (plain != "**"))  # which alone binds from the right
        with placed(word):
            if plain == "matches":
                found = self._match(left, right)
            else:
                found = operators.binary(left, plain, right)
            return operators.negated(found) if sign != plain else found

    def _match(self, left: Expression, right: Expression) -> Expression:
        left, right = needed(left, TEXT, "matches"), needed(right, TEXT, "matches")
        sees = left.sees_client or right.sees_client
        if isinstance(right.value, str):
            found = self._pattern(right.value)
            return Expression(lambda query: found(left.evaluate(query)), TRUTH, sees)
        return Expression(
            lambda query: self._kept(right.evaluate(query))(left.evaluate(query)), TRUTH, sees
        )

    def _unary(self) -> Expression:
        if not self._is("not", "-", "+"):
            return self._primary()
        with self._deeper():
            word = self._take()
            operand = self._level(_NOT_BINDS if word.value == "not" else _SIGN_BINDS)
            with placed(word):
                if word.value == "not":
                    return operators.negated(operand)
                return operators.signed(str(word.value), operand)
