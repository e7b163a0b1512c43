"""What stands between operators: literals, names, lists, maps, calls, and members of all these."""

from collections.abc import Mapping, Sequence
from typing import Any

from clusterdns.plugins.expressions import calls, operators
from clusterdns.plugins.expressions.builtins import TIMES
from clusterdns.plugins.expressions.cursor import WORDS, Cursor, placed
from clusterdns.plugins.expressions.predicates import PREDICATES, REDUCE
from clusterdns.plugins.expressions.syntax import ExpressionError, Word
from clusterdns.plugins.expressions.values import (
    ANY,
    LIST,
    MAP,
    NIL,
    NUMBER,
    TEXT,
    Expression,
    Function,
    literal,
    needed,
)
from clusterdns.plugins.lines import nearest


class Operands(Cursor):
    """Reads one operand. Expressions in its brackets are read by whoever extends this."""

    def __init__(
        self,
        found: Sequence[Word],
        functions: Mapping[str, Function],
        variables: Mapping[str, Expression],
    ) -> None:
        super().__init__(found)
        self._functions = functions
        self._variables = dict(variables)
        self._pointers: list[dict[str, Expression]] = []  # what # and its like are in predicates

    def expression(self) -> Expression:
        """One expression, with whatever operators."""
        raise NotImplementedError

    def sequence(self) -> Expression:
        """Expressions with ; between; the last one counts."""
        raise NotImplementedError

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
        with placed(name):
            key = literal(str(name.value))
            found = needed(of, (MAP, NIL) if may_be_nil else MAP, f".{name.value}")
            return operators.item(found, key, may_be_nil)

    def _in_brackets(self, of: Expression, may_be_nil: bool, word: Word) -> Expression:
        first = None if self._is(":") else self.expression()
        if not self._took(":"):
            self._need("]")
            assert first is not None
            with placed(word):
                return operators.item(of, first, may_be_nil)
        last = None if self._is("]") else self.expression()
        self._need("]")
        with placed(word):
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
        if word.kind == "name" and word.value not in WORDS:
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
        with placed(word):
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
        with placed(word):
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
        with placed(word):
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
        return calls.mapped(keys, values)

    def _key(self) -> Expression:
        word = self.word
        if self._took("("):
            found = self.expression()
            self._need(")")
            with placed(word):
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
