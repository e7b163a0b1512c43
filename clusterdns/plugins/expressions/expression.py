"""An expression as a function of a query: parsed, its types checked, and no more than it says.

The language is expr-lang's, but for its dates: https://expr-lang.org/docs/language-definition.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from clusterdns.plugins.base import Query, nearest
from clusterdns.plugins.expressions import calls, operators
from clusterdns.plugins.expressions.builtins import BUILTINS, TIMES
from clusterdns.plugins.expressions.predicates import PREDICATES, REDUCE
from clusterdns.plugins.expressions.syntax import ExpressionError, Word, words
from clusterdns.plugins.expressions.values import (
    ANY,
    LIST,
    MAP,
    NIL,
    NUMBER,
    TEXT,
    TRUTH,
    Expression,
    Function,
    literal,
    needed,
)

DEEPEST = 50  # parentheses in parentheses: far more than anybody reads, far less than a stack holds
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
_WORDS = ("in", "not", "and", "or", "matches", "contains", "startsWith", "endsWith", "let", "if")


class _Parser:
    """One pass over the words, by recursive descent."""

    def __init__(
        self,
        found: Sequence[Word],
        functions: Mapping[str, Function],
        pattern: Compile,
        variables: Mapping[str, Expression],
    ) -> None:
        self._words = found
        self._variables = dict(variables)
        self._pointers: list[dict[str, Expression]] = []  # what # and its like are in predicates
        self._at = 0
        self._functions = functions
        self._pattern = pattern
        self._kept = lru_cache(_DYNAMIC)(pattern)
        self._depth = 0
        self._operators = 0

    @property
    def word(self) -> Word:
        return self._words[self._at]

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
        with self._placed(name):
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
        with self._placed(word):
            return operators.choice(test, yes, no)

    def _choice(self, found: Expression) -> Expression:
        while self._is("?", "?:"):
            word = self._take()
            yes = found if word.value == "?:" else self.expression()
            if word.value == "?":
                self._need(":")
            no = self.expression()
            with self._placed(word):
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
            with self._placed(word):
                found.append((left, str(word.value), right))
                operators.binary(left, str(word.value), right)
            if not self._is(*_ORDERS):
                return operators.compared(found)
            left, word = right, self._take()

    def _joined(self, left: Expression, sign: str, word: Word) -> Expression:
        plain = sign.removeprefix("not ")
        right = self._level(_BINDS[plain] + (plain != "**"))  # which alone binds from the right
        with self._placed(word):
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
            with self._placed(word):
                if word.value == "not":
                    return operators.negated(operand)
                return operators.signed(str(word.value), operand)

    def _primary(self) -> Expression:
        found = self._value()
        may_be_nil = False
        while self._is("[", ".", "?."):
            word = self._take()
            may_be_nil |= word.value == "?."
            if word.value == "[" or (word.value == "?." and self._took("[")):
                found = self._in_brackets(found, may_be_nil, word)
            else:
                found = self._member(found, may_be_nil)
        return found

    def _member(self, of: Expression, may_be_nil: bool) -> Expression:
        name = self._name(operators_too=True)
        if self._is("("):
            raise ExpressionError(f"values have no methods, as {name.value}()", name.at)
        with self._placed(name):
            key = literal(str(name.value))
            found = needed(of, (MAP, NIL) if may_be_nil else MAP, f".{name.value}")
            return operators.item(found, key, may_be_nil)

    def _in_brackets(self, of: Expression, may_be_nil: bool, word: Word) -> Expression:
        first = None if self._is(":") else self.expression()
        if not self._took(":"):
            self._need("]")
            assert first is not None
            with self._placed(word):
                return operators.item(of, first, may_be_nil)
        last = None if self._is("]") else self.expression()
        self._need("]")
        with self._placed(word):
            return operators.part(of, first, last)

    def _value(self) -> Expression:
        word = self.word
        if word.kind in ("number", "text"):
            self._at += 1
            return literal(word.value)
        if self._took("("):
            found = self.sequence()
            self._need(")")
            return found
        if self._took("["):
            return calls.listed(self._arguments("]"))
        if self._took("{"):
            return self._map()
        if self._is("#", "."):
            return self._pointer()
        if word.kind == "name" and word.value not in _WORDS:
            self._at += 1
            return self._named(word)
        raise ExpressionError(
            f"a value is missing before {word.value!r}" if word.value else "it ends", word.at
        )

    def _pointer(self) -> Expression:
        """#, #acc, #index, and .FIELD of the item."""
        word = self.word
        if not self._pointers:
            raise ExpressionError(
                f"{word.value} stands in predicates only, as in any(list, # > 1)", word.at
            )
        known = self._pointers[-1]
        if word.value == ".":
            return known["#"]  # the point is the next word still
        self._at += 1
        name = "#"
        if self.word.kind == "name" and self.word.at == word.at + 1:
            name += str(self._take().value)
        if name not in known:
            raise ExpressionError(f"{name} is none of {', '.join(known)}", word.at)
        return known[name]

    def _named(self, word: Word) -> Expression:
        name = str(word.value)
        if name in ("true", "false", "nil"):
            return literal({"true": True, "false": False, "nil": None}[name])
        if name in self._variables:
            return self._variables[name]
        return self._call(word, [])

    def _call(self, word: Word, given: list[Expression]) -> Expression:
        """A function and its arguments in parentheses. given: what is piped into it."""
        name = str(word.value)
        if name in PREDICATES or name == REDUCE:
            return self._predicate(word, given)
        if name in TIMES and name not in self._functions:
            raise ExpressionError(f"{name}() is not here: expressions have no clock", word.at)
        function = self._functions.get(name)
        if function is None:
            known = [*self._variables, *self._functions, *PREDICATES, REDUCE]
            raise ExpressionError(f"{name!r} is unknown; {nearest(name, known)}", word.at)
        self._need("(")
        with self._placed(word):
            return calls.called(name, function, [*given, *self._arguments(")")])

    def _predicate(self, word: Word, given: list[Expression]) -> Expression:
        """LIST, PREDICATE in parentheses: something for each item, which is # in there."""
        name = str(word.value)
        self._need("(")
        if not given:
            given = [self.expression()]
            behind = ","
        else:
            behind = ""
        with self._placed(word):
            items = needed(given[0], LIST, f"{name}()")
        stack: list[dict[str, Any]] = []  # what the pointers are, the innermost last

        def pointer(key: str, kind: str) -> Expression:
            return Expression(lambda query: stack[-1][key], kind, items.sees_client)

        pointers = {"#": pointer("#", items.item), "#index": pointer("#index", NUMBER)}
        if name == REDUCE:
            pointers["#acc"] = pointer("#acc", ANY)
        if name in PREDICATES and PREDICATES[name].optional and self._is(")"):
            predicate, more = pointers["#"], None
        else:
            if behind:
                self._need(behind)
            predicate = self._in_braces(pointers)
            more = self.expression() if self._took(",") and not self._is(")") else None
            self._took(",")
        self._need(")")
        with self._placed(word):
            if name == REDUCE:
                return calls.reduced(items, predicate, more, stack)
            return calls.applied(name, items, predicate, more, stack)

    def _in_braces(self, pointers: dict[str, Expression]) -> Expression:
        """A predicate; the braces need not be there."""
        self._pointers.append(pointers)
        if self._took("{"):
            found = self.sequence()
            self._need("}")
        else:
            found = self.expression()
        self._pointers.pop()
        return found

    def _map(self) -> Expression:
        """KEY: VALUE, ... up to the brace that ends it."""
        keys: list[Expression] = []
        values: list[Expression] = []
        while not self._took("}"):
            if keys:
                self._need(",")
                if self._took("}"):
                    break
            keys.append(self._key())
            self._need(":")
            values.append(self.expression())

        def value(query: Query) -> dict[str, Any]:
            made = (each.evaluate(query) for each in values)
            return {key.evaluate(query): found for key, found in zip(keys, made, strict=True)}

        return Expression(value, MAP, any(each.sees_client for each in (*keys, *values)))

    def _key(self) -> Expression:
        word = self.word
        if self._took("("):
            found = self.expression()
            self._need(")")
            with self._placed(word):
                return needed(found, TEXT, "a key of a map")
        if word.kind not in ("name", "text", "number"):
            raise ExpressionError(f"a key is missing before {word.value!r}", word.at)
        self._at += 1
        return literal(str(word.value))

    def _arguments(self, end: str) -> list[Expression]:
        found: list[Expression] = []
        while not self._took(end):
            if found:
                self._need(",")
                if self._took(end):  # a comma behind the last one does no harm
                    break
            found.append(self.expression())
        return found

    def _name(self, operators_too: bool = False) -> Word:
        word = self.word
        if word.kind != "name" or (word.value in _WORDS and not operators_too):
            raise ExpressionError(f"a name is missing before {word.value!r}", word.at)
        return self._take()

    def _take(self) -> Word:
        self._at += 1
        return self._words[self._at - 1]

    def _is(self, *signs: str) -> bool:
        return self.word.kind in ("operator", "name") and self.word.value in signs

    def _took(self, sign: str) -> bool:
        is_here = self._is(sign)
        self._at += is_here
        return is_here

    def _need(self, sign: str) -> None:
        if not self._took(sign):
            found = str(self.word.value) or "the end"
            raise ExpressionError(f"{sign!r} is missing before {found!r}", self.word.at)

    @contextmanager
    def _placed(self, word: Word) -> Iterator[None]:
        """Says of a ValueError that it is about this word."""
        try:
            yield
        except ExpressionError:
            raise
        except ValueError as error:
            raise ExpressionError(str(error), word.at) from error

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpressionError(f"more than {DEEPEST} parentheses in each other", self.word.at)
        yield
        self._depth -= 1
