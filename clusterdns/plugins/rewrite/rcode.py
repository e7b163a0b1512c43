"""`rcode`: one rcode becomes another."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Query, Reply, Setup
from clusterdns.plugins.rewrite.matchers import EXACT, Test, kind, test
from clusterdns.plugins.rewrite.rules import Change, Rule
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


class RcodeRule(Rule):
    """Exchanges an rcode, for some names."""

    field = "rcode"

    def __init__(self, test: Test, exchanged: Exchanged) -> None:
        self.test = test
        self._change = Change(replies=(exchanged,))

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "RcodeRule":
        if not 3 <= len(words) <= 4:
            raise ConfigError(
                "rcode takes a name and two rcodes, with a way to match before them",
                words[4].place if len(words) > 4 else place.place,
            )
        old, new = words[-2:]
        how = kind(words[0], "rcode") if len(words) == 4 else EXACT
        return cls(test(how, words[-3]), Exchanged(_rcode(old), _rcode(new)))

    def change(self, query: Query, name: str) -> Change | None:
        return self._change if self.test(name) else None


def _rcode(word: Token) -> int:
    """By its name, or its number."""
    rcode = rcode_number(word.text.upper())
    if rcode is None and re.fullmatch("[0-9]{1,9}", word.text) and int(word.text) <= MOST:
        rcode = int(word.text)
    if rcode is None:
        raise ConfigError(f"{word.text!r} is no rcode, as NXDOMAIN or 3 is", word.place)
    return rcode
