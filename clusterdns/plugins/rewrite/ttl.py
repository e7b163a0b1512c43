"""`ttl`: the TTLs of a reply, brought into bounds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dnslib import RR

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.query import Reply
from clusterdns.plugins.rewrite.matchers import split, test
from clusterdns.plugins.rewrite.rules import NamedRule

MOST = 0xFFFFFFFF  # what the field holds; RFC 2181 section 8 would have 31 bits
UNBOUNDED = 0x7FFFFFFF  # seconds: what `30-` goes up to

_BOUNDS = re.compile(r"(?P<low>[0-9]*)(?P<dash>-?)(?P<high>[0-9]*)")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the most seconds that a TTL may have."""

    low: int
    high: int

    async def apply(self, reply: Reply) -> None:
        reply.answer = [self._record(record) for record in reply.answer]
        reply.authority = [self._record(record) for record in reply.authority]
        reply.additional = [self._record(record) for record in reply.additional]
        reply.aging = None  # they may be as low as they get already

    def _record(self, record: RR) -> RR:
        ttl = min(max(record.ttl, self.low), self.high)
        if ttl == record.ttl:
            return record
        return RR(record.rname, record.rtype, record.rclass, ttl, record.rdata)


class TtlRule(NamedRule):
    """Brings the TTLs of all records into bounds, for some names."""

    field = "ttl"

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "TtlRule":
        how, (name, ttl) = split(words, 2, "a name and seconds", place)
        return cls(test(how, name), _bounds(ttl))


def _bounds(word: Token) -> Bounds:
    """From SECONDS, LOW-HIGH, -HIGH or LOW-."""
    found = _BOUNDS.fullmatch(word.text)
    if found is None or not (found["low"] or found["high"]):
        raise ConfigError(
            f"{word.text!r} is no TTL: write SECONDS, LOW-HIGH, -HIGH or LOW-", word.place
        )
    low = int(found["low"] or 0)
    high = int(found["high"] or UNBOUNDED) if found["dash"] else low
    if low > high or high > MOST:
        raise ConfigError(f"{word.text!r} is no TTL of 0 to {MOST} seconds", word.place)
    return Bounds(low, high)
