"""`type` and `class`: the same name is asked for something else."""

from collections.abc import Callable, Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.query import Query
from clusterdns.plugins.rewrite.rules import Change, Rule
from clusterdns.wire.question import Question
from clusterdns.wire.texts import class_number, type_number


class TypeRule(Rule):
    """Asks for another type."""

    field = "type"

    def __init__(self, old: int, new: int) -> None:
        self.old, self.new = old, new

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "TypeRule":
        return cls(*_two(words, place, type_number))

    def change(self, query: Query, name: str) -> Change | None:
        question = query.question
        if question.qtype != self.old:
            return None
        return Change(Question(question.name, self.new, question.qclass, question.end))


class ClassRule(Rule):
    """Asks in another class."""

    field = "class"

    def __init__(self, old: int, new: int) -> None:
        self.old, self.new = old, new

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "ClassRule":
        return cls(*_two(words, place, class_number))

    def change(self, query: Query, name: str) -> Change | None:
        question = query.question
        if question.qclass != self.old:
            return None
        return Change(Question(question.name, question.qtype, self.new, question.end))


def _two(
    words: Sequence[Token], place: Token, number: Callable[[str], int | None]
) -> tuple[int, int]:
    """The numbers of two words. Raises ConfigError at what is wrong."""
    field = place.text.lower()
    if len(words) != 2:
        where = words[2] if len(words) > 2 else place
        raise ConfigError(f"{field} takes 2 arguments, not {len(words)}", where.place)
    found = []
    for word in words:
        value = number(word.text.upper())
        if value is None:
            raise ConfigError(f"{word.text!r} is no {field} of DNS", word.place)
        found.append(value)
    return found[0], found[1]
