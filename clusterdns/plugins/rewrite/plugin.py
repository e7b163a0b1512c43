"""From the lines of a Corefile to rules, and from rules to what is asked and answered."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import refuse_brace
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.plugins.base import Plugin, Sees, Setup
from clusterdns.plugins.lines import nearest
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.rewrite.cname import CnameRule
from clusterdns.plugins.rewrite.edns0 import Edns0Rule, message
from clusterdns.plugins.rewrite.kinds import ClassRule, TypeRule
from clusterdns.plugins.rewrite.names import NameRule
from clusterdns.plugins.rewrite.rcode import RcodeRule
from clusterdns.plugins.rewrite.rules import Change, ReplyRule, Rule
from clusterdns.plugins.rewrite.ttl import TtlRule

CONTINUE, STOP = MODES = ("continue", "stop")


class _Field(Protocol):
    """What makes a rule of the words behind a field."""

    def parse(self, words: Sequence[Token], place: Token, setup: Setup) -> Rule: ...


FIELDS: dict[str, _Field] = {
    "class": ClassRule,
    "cname": CnameRule,
    "edns0": Edns0Rule,
    "name": NameRule,
    "rcode": RcodeRule,
    "ttl": TtlRule,
    "type": TypeRule,
}
_STRENGTH = list(Sees)  # from what needs least to what needs most


class Line(NamedTuple):
    """A rule, and whether it is the last one for queries that it fits."""

    rule: Rule
    stops: bool


class Rewrite(Plugin):
    """Applies rules to the query in their order, and what they ask for to the reply in reverse.

    The client sees its own question in the reply, and its own query is what the directives before
    this one go on with.
    """

    name = "rewrite"

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = tuple(lines)
        rules = [line.rule for line in lines]
        self.sees = max([rule.sees for rule in rules], key=_STRENGTH.index, default=Sees.QUESTION)
        self.options = frozenset[int]().union(*[rule.options for rule in rules])

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Rewrite":
        lines = []
        for directive in directives:
            with setup.attempt():
                lines.append(_line(directive, setup))
        return cls(lines)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        changed, replies = self._changed(query)
        if changed is query and not replies:
            return await next(query)
        try:
            reply = await next(changed)
        except ResolveError as error:
            if not replies:
                raise
            reply = Reply(error.rcode)
            await _apply(replies, reply)
            # CoreDNS has written the reply by now, and so says 0
            raise ResolveError(str(error), reply.rcode, told=0) from error
        finally:
            query.flags, query.limit = changed.flags, changed.limit  # `header` may have set them
        if reply is not None:
            await _apply(replies, reply)
        return reply

    def _changed(self, query: Query) -> tuple[Query, list[ReplyRule]]:
        """The query as the rules leave it, and what they want done to the reply."""
        changed, replies = query, list[ReplyRule]()
        name = query.question.text
        for rule, stops in self.lines:
            change = rule.change(changed, name)
            if change is None:
                continue
            changed = _put(change, changed)
            replies += change.replies
            if change.question is not None:
                name = change.question.text
            if stops:
                break
        return changed, replies


def _put(change: Change, query: Query) -> Query:
    """The query with the change; a new one, as others hold on to what they were given."""
    question, edns = change.question or query.question, change.edns or query.edns
    if question is not query.question:
        query = replace(query, question=question)
    if edns is not query.edns and edns is not None:
        query = replace(query, edns=edns, octets=message(query, question, edns))
    return query


async def _apply(rules: Sequence[ReplyRule], reply: Reply) -> None:
    for rule in reversed(rules):
        await rule.apply(reply)


def _line(directive: Directive, setup: Setup) -> Line:
    words = _words(directive)
    if not words:
        raise ConfigError(f"rewrite takes a field: {', '.join(FIELDS)}", directive.name.place)
    first, *rest = words
    stops = first.text.lower() != CONTINUE
    if first.text.lower() in MODES:
        if not rest:
            raise ConfigError(f"{first.text} takes a field: {', '.join(FIELDS)}", first.place)
        first, *rest = rest
    field = first.text.lower()
    if field == "answer":
        raise ConfigError("answer must stand behind a name rule", first.place)
    if field not in FIELDS:
        hint = nearest(field, FIELDS)
        raise ConfigError(f"unknown field {first.text!r} of rewrite; {hint}", first.place)
    return Line(FIELDS[field].parse(rest, first, setup), stops)


def _words(directive: Directive) -> list[Token]:
    """The words of a rule: those of the line, or with fewer than two of these the block's too."""
    words = [*directive.arguments]
    refuse_brace(words)
    if directive.block is None:
        return words
    if len(words) > 1:
        raise ConfigError("a rule stands on the line or in the block, not both", words[0].place)
    for line in directive.block:
        if line.block is not None:
            raise ConfigError(f"{line.name.text} takes no block", line.name.place)
        refuse_brace(line.arguments)
        words += [line.name, *line.arguments]
    return words
