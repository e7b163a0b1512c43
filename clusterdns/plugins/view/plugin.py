"""From the lines of `view` to a yes or no for each query."""

from collections.abc import Mapping, Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, one_argument
from clusterdns.plugins.base import Plugin, Sees, Setup
from clusterdns.plugins.expressions.functions import FUNCTIONS
from clusterdns.plugins.expressions.lines import read, text_of
from clusterdns.plugins.expressions.values import ANY, TRUTH, Expression
from clusterdns.plugins.lines import once, read_options
from clusterdns.plugins.query import Label, Query


class View(Plugin):
    """Takes the queries for which all of its expressions are true."""

    name = "view"

    def __init__(self, view: str, expressions: Sequence[Expression], setup: Setup) -> None:
        self.view = view
        self.expressions = expressions
        self._setup = setup  # tells of the others once all are parsed
        if any(expression.sees_client for expression in expressions):
            self.sees = Sees.CLIENT

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "View":
        directive = once(directives)
        expressions: list[Expression] = []

        def expr(line: Directive) -> None:
            expressions.append(_expression(arguments(line, least=1), setup))

        read_options(directive, setup, {"expr": expr})
        return cls(one_argument(directive).text, expressions, setup)

    def admits(self, query: Query) -> bool:
        query.labels = None  # another block's, perhaps
        for plugin in self._setup.plugins:
            plugin.collect(query)
        return all(expression.is_true(query) for expression in self.expressions)

    def metadata(self, query: Query) -> Mapping[str, Label]:
        return {"view/name": lambda: self.view}


def _expression(found: Sequence[Token], setup: Setup) -> Expression:
    expression = read(found, FUNCTIONS)
    if expression.type not in (TRUTH, ANY):
        place = found[0].place
        setup.warn(place, f"{text_of(found)!r} is never true: it is a {expression.type}")
    return expression
