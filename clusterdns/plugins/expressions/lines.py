"""Expressions as they stand in a Corefile: words of a line, and places of what is wrong."""

from collections.abc import Callable, Mapping, Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.patterns import pattern
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.expressions.expression import parse
from clusterdns.plugins.expressions.syntax import ExpressionError
from clusterdns.plugins.expressions.values import Expression, Function


def read(
    found: Sequence[Token],
    functions: Mapping[str, Function],
    variables: Mapping[str, Expression] | None = None,
) -> Expression:
    """The expression that the words are. Raises ConfigError at what is wrong in it."""
    text = text_of(found)

    def search(expression: str) -> Callable[[str], bool]:
        try:
            compiled = pattern(found[0]._replace(text=expression))
        except ConfigError as error:
            raise ValueError(error.message) from error
        return lambda value: compiled.search(value) is not None

    try:
        return parse(text, functions, search, variables)
    except ExpressionError as error:
        raise ConfigError(f"{text!r} is no expression: {error}", _place(found, error.at)) from error


def text_of(found: Sequence[Token]) -> str:
    """The words as one text, as CoreDNS joins them."""
    return " ".join([word.text for word in found])


def _place(found: Sequence[Token], at: int) -> Place:
    """Where the character of the joined text stands. Escapes before it in quotes are not seen."""
    begin = 0
    for word in found:
        end = begin + len(word.text)
        if at <= end:
            break
        begin = end + 1
    before = word.text[: at - begin]
    if "\n" in before:
        return word.place
    return word.place._replace(column=word.place.column + len(before) + word.quoted)
