"""`var` and `expr`: expressions of a query, of the groups of the pattern, and of one another."""

import re
from collections.abc import Sequence
from typing import Any

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.expressions.functions import FUNCTIONS
from clusterdns.plugins.expressions.lines import read
from clusterdns.plugins.expressions.values import ANY, TEXT, TRUTH, Expression, Function
from clusterdns.plugins.template.data import Data

_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
# What expr-lang has for itself, whether it is here or not: a variable by one of these names would
# not start CoreDNS.
_RESERVED = {
    *("and", "contains", "else", "endsWith", "false", "if", "in", "let", "matches", "nil", "not"),
    *("or", "startsWith", "true", "abs", "all", "any", "bitand", "bitnand", "bitnot", "bitor"),
    *("bitshl", "bitshr", "bitushr", "bitxor", "ceil", "concat", "count", "date", "duration"),
    *("filter", "find", "findIndex", "findLast", "findLastIndex", "first", "flatten", "float"),
    *("floor", "fromBase64", "fromJSON", "fromPairs", "get", "groupBy", "hasPrefix", "hasSuffix"),
    *("indexOf", "int", "join", "keys", "last", "lastIndexOf", "len", "lower", "map", "max"),
    *("mean", "median", "min", "none", "now", "one", "reduce", "repeat", "replace", "reverse"),
    *("round", "sort", "sortBy", "split", "splitAfter", "string", "sum", "take", "timezone"),
    *("toBase64", "toJSON", "toPairs", "trim", "trimPrefix", "trimSuffix", "type", "uniq"),
    *("upper", "values"),
}


class Expressions:
    """The variables of a template, each of which may use those before it, and its conditions."""

    def __init__(self) -> None:
        self._variables: dict[str, Expression] = {}
        self._conditions: list[Expression] = []
        self._data: Data | None = None  # while they are worked out
        self._functions = FUNCTIONS | {"group": Function(self._group, (ANY,), TEXT)}

    def add_variable(self, name: Token, words: Sequence[Token]) -> None:
        """Raises ConfigError at what is wrong."""
        text = name.text
        if not _NAME.fullmatch(text):
            raise ConfigError(f"{text!r} is no name of a variable", name.place)
        if text in _RESERVED or text in self._functions:
            raise ConfigError(f"{text!r} has a meaning in expressions already", name.place)
        if text in self._variables:
            raise ConfigError(f"there is a variable {text!r} already", name.place)
        self._variables[text] = self._parsed(words)

    def add_condition(self, words: Sequence[Token], setup: Setup) -> None:
        """Raises ConfigError at what is wrong."""
        condition = self._parsed(words)
        if condition.type not in (TRUTH, ANY):
            setup.warn(words[0].place, f"it is never true: a {condition.type}")
        self._conditions.append(condition)

    def are_true(self, data: Data) -> bool:
        """Gives the data their variables, and says whether all conditions are true.

        Raises ValueError for what cannot be worked out for this query.
        """
        self._data = data
        try:
            for name, variable in self._variables.items():
                data.variables[name] = self._value(variable, data)
            return all(self._value(condition, data) is True for condition in self._conditions)
        except ArithmeticError as error:
            raise ValueError(str(error)) from error
        finally:
            self._data = None

    def _value(self, expression: Expression, data: Data) -> Any:
        data.sees_more |= expression.sees_client
        return expression.evaluate(data.query)

    def _parsed(self, words: Sequence[Token]) -> Expression:
        known = {name: self._variable(name, one) for name, one in self._variables.items()}
        return read(words, self._functions, known)

    def _variable(self, name: str, variable: Expression) -> Expression:
        def value(query: object) -> Any:
            assert self._data is not None
            return self._data.variables[name]

        return Expression(value, variable.type, variable.sees_client, item=variable.item)

    def _group(self, query: object, key: Any) -> str:
        """A group of the pattern, by name or number; empty where there is none."""
        assert self._data is not None
        return self._data.group.get(str(key), "")
