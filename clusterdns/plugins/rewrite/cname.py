"""`cname`: the target of a CNAME record becomes another, and the answer what that one has."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from dnslib import CNAME, QTYPE, RR

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.patterns import pattern
from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.query import Query, Reply
from clusterdns.plugins.rewrite.answers import valid
from clusterdns.plugins.rewrite.matchers import (
    EXACT,
    REGEX,
    Rewriting,
    absolute,
    rewriting,
    split,
    substituting,
)
from clusterdns.plugins.rewrite.rules import Change, Rule
from clusterdns.wire.question import Question

log = logging.getLogger(__name__)


class CnameRule(Rule):
    """Looks into every reply for a CNAME record to rewrite."""

    field = "cname"

    def __init__(self, rewriting: Rewriting) -> None:
        self.rewriting = rewriting

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "CnameRule":
        how, (old, new) = split(words, 2, "two names", place)
        if how == REGEX:
            return cls(substituting(pattern(old, ignore_case=True), new.text.lower()))
        if how == EXACT:
            return cls(rewriting(how, absolute(old.text), absolute(new.text)))
        return cls(rewriting(how, old.text.lower(), new.text.lower()))

    def change(self, query: Query, name: str) -> Change | None:
        return Change(replies=(Followed(self.rewriting, query),))


@dataclass(frozen=True, slots=True)
class Followed:
    """Rewrites the first target that is to be, and asks the server for what the new one has.

    query: as it was when the rule came to it; its type is asked for.
    """

    rewriting: Rewriting
    query: Query

    async def apply(self, reply: Reply) -> None:
        """The CNAME records as far as that one stay, the answer behind them is the new target's.

        As in CoreDNS the rcode and the other sections stay. A target that cannot be had leaves
        the reply as it was, and not to be kept.
        """
        chain: list[RR] = []
        for record in reply.answer:
            if record.rtype != QTYPE.CNAME:
                continue
            new = self.rewriting(Question.of(record.rdata.label, 0).text)
            if new is None:
                chain.append(record)
                continue
            target = valid(new, "in a reply")
            chain.append(
                RR(record.rname, QTYPE.CNAME, record.rclass, record.ttl, CNAME(target.label))
            )
            await self._follow(reply, chain, target)
            return

    async def _follow(self, reply: Reply, chain: Sequence[RR], target: Question) -> None:
        question = Question.of(target.label, self.query.question.qtype, self.query.question.qclass)
        try:
            inner = self.query.inner(question)
            found = await self.query.exchange.resolve(inner)
        except ResolveError as error:
            log.error("looking up %s failed: %s", question.text, error)
            found = None
        if found is None:
            reply.rests_on((), 0.0)
            return
        reply.answer = [*chain, *found.answer]
        reply.truncated = found.truncated
        reply.authentic = False
        reply.rests_on(found.keys, found.until)
