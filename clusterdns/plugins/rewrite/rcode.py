"""`rcode`: one rcode becomes another."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.query import Reply
from clusterdns.plugins.rewrite.matchers import split, test
from clusterdns.plugins.rewrite.rules import NamedRule
from clusterdns.wire.texts import rcode_number

MOST = 23  # the highest number that is taken: BADCOOKIE


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A reply of one rcode gets another one, whatever else is in it."""

    old: int
    new: int

    async def apply(self, reply: Reply) -> None:
        if reply.rcode == self.old:
            reply.rcode = self.new


class RcodeRule(NamedRule):
    """Exchanges an rcode, for some names."""

    field = "rcode"

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "RcodeRule":
        how, (name, old, new) = split(words, 3, "a name and two rcodes", place)
        return cls(test(how, name), Exchanged(_rcode(old), _rcode(new)))


def _rcode(word: Token) -> int:
    """By its name, or its number."""
    rcode = rcode_number(word.text.upper())
    if rcode is None and re.fullmatch("[0-9]{1,9}", word.text) and int(word.text) <= MOST:
        rcode = int(word.text)
    if rcode is None:
        raise ConfigError(f"{word.text!r} is no rcode, as NXDOMAIN or 3 is", word.place)
    return rcode
