"""`edns0`: options put into queries, or taken out of them, before anybody else sees them."""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Sees, Setup
from clusterdns.plugins.query import Query, Reply
from clusterdns.plugins.rewrite.rules import Change, Rule
from clusterdns.plugins.rewrite.variables import Data, constant, subnet, variable
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.question import HEADER, Question

NSID, SUBNET = 3, 8  # option codes, RFC 5001 section 2.3 and RFC 7871 section 6
SET, APPEND, REPLACE, UNSET = ACTIONS = ("set", "append", "replace", "unset")
KINDS = ("local", "nsid", "subnet")
REVERT = "revert"
MOST_CODE = 0xFFFF

_NOTHING_ELSE = struct.Struct("!3H")  # counts of records in a query
_NUMBER = re.compile("0[xX][0-9a-fA-F]{1,8}|0[bB][01]{1,16}|0[oO]?[0-7]{1,8}|0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Reverted:
    """A reply holds no option of a code, or the data that the client had in it.

    old: None: the client had no such option.
    """

    code: int
    old: bytes | None

    async def apply(self, reply: Reply) -> None:
        if self.old is None:
            reply.options = [option for option in reply.options if option.code != self.code]
        else:
            reply.options = _with(reply.options, Option(self.code, self.old))


class Edns0Rule(Rule):
    """Puts an option into queries, or takes it out.

    data: what it holds; None for `unset`.
    revert: replies are as if the rule had not been.
    doubles: `append` puts it beside one that is there; else it leaves the query alone then.
    """

    field = "edns0"

    def __init__(
        self,
        action: str,
        code: int,
        data: Data | None,
        revert: bool = False,
        doubles: bool = False,
    ) -> None:
        self.action = action
        self.code = code
        self.data = data
        self.revert = revert
        self.doubles = doubles
        self.sees = Sees.QUESTION if data is None else data.sees
        self.options = frozenset({code})

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "Edns0Rule":
        if len(words) < 2:
            raise ConfigError(f"edns0 takes one of {', '.join(KINDS)} and an action", place.place)
        kind, action, *rest = words
        what, how = kind.text.lower(), action.text.lower()
        if how not in ACTIONS:
            raise ConfigError(f"{action.text!r} is none of {', '.join(ACTIONS)}", action.place)
        if what not in KINDS:
            raise ConfigError(f"{kind.text!r} is none of {', '.join(KINDS)}", kind.place)
        revert = how != UNSET and bool(rest) and rest[-1].text == REVERT
        if revert:
            rest.pop()
        if how == UNSET:
            _count(rest, 1 if what == "local" else 0, action)
            return cls(how, _code(rest[0]) if rest else _CODES[what], None)
        _count(rest, 0 if what == "nsid" else 2, action)
        code = _code(rest[0]) if what == "local" else _CODES[what]
        # CoreDNS looks for one that is there when the data are of the query, and not otherwise
        doubles = what == "nsid" or (what == "local" and not _is_variable(rest[1]))
        return cls(how, code, _DATA[what](rest), revert, doubles)

    def change(self, query: Query, name: str) -> Change | None:
        edns = query.edns or Edns()
        old = next((option for option in edns.options if option.code == self.code), None)
        if self.action == UNSET:
            return Change(edns=_without(query.edns, self.code))
        if self.action == APPEND and self.doubles:
            old = None
        if (self.action == REPLACE and old is None) or (self.action == APPEND and old is not None):
            return None
        assert self.data is not None
        data = self.data.of(query)
        if data is None:
            return None
        option = Option(self.code, data)
        options = [*edns.options, option] if old is None else _with(edns.options, option)
        replies = (Reverted(self.code, old and old.data),) if self._reverts(old) else ()
        return Change(edns=replace(edns, options=tuple(options)), replies=replies)

    def _reverts(self, old: Option | None) -> bool:
        """Whether replies are changed: those with the NSID that a client asked for are not, as in
        CoreDNS; it is for the client."""
        return self.revert and not (self.code == NSID and old is not None)


def message(query: Query, question: Question, edns: Edns) -> bytes:
    """The query's octets with another question and OPT record, and no other records.

    One with other records (IXFR, TSIG) stays as it is: it could be about those.
    """
    octets = query.octets
    counts = (0, 0, 0 if octets[10:12] == b"\0\0" else 1)
    if octets[6:HEADER] != _NOTHING_ELSE.pack(*counts):
        return octets
    return octets[:6] + _NOTHING_ELSE.pack(0, 0, 1) + question.section + edns.pack()


def _with(options: Sequence[Option], option: Option) -> list[Option]:
    """The options, the first one of the same code exchanged."""
    found = list(options)
    for at, other in enumerate(found):
        if other.code == option.code:
            found[at] = option
            break
    return found


def _without(edns: Edns | None, code: int) -> Edns | None:
    if edns is None or all(option.code != code for option in edns.options):
        return edns
    return replace(edns, options=tuple([each for each in edns.options if each.code != code]))


def _count(words: Sequence[Token], count: int, action: Token) -> None:
    if len(words) != count:
        where = words[count] if len(words) > count else action
        plural = "" if count == 1 else "s"
        raise ConfigError(
            f"{action.text} takes {count} more word{plural} here, not {len(words)}", where.place
        )


def _code(word: Token) -> int:
    """An option code, in the ways that Go has for numbers: 65518, 0xffee, 0177756."""
    text = word.text
    if _NUMBER.fullmatch(text):
        octal = len(text) > 1 and text[0] == "0" and text.isdigit()
        code = int(text, 8 if octal else 0)
        if code <= MOST_CODE:
            return code
    raise ConfigError(f"{text!r} is no option code of 0 to {MOST_CODE}", word.place)


def _is_variable(word: Token) -> bool:
    return word.text.startswith("{") and word.text.endswith("}")


def _local(words: Sequence[Token]) -> Data:
    """0x and hexadecimal digits, {VARIABLE}, or a text as it stands."""
    word = words[1]
    if _is_variable(word):
        return variable(word)
    if not word.text.startswith("0x"):
        return constant(word.text.encode())
    if len(word.text) % 2 or not re.fullmatch("0x[0-9a-fA-F]*", word.text):
        raise ConfigError(f"{word.text!r} has other than pairs of hexadecimal digits", word.place)
    return constant(bytes.fromhex(word.text[2:]))


_CODES = {"nsid": NSID, "subnet": SUBNET}
_DATA: dict[str, Callable[[Sequence[Token]], Data]] = {
    "local": _local,
    "nsid": lambda words: constant(b""),
    "subnet": lambda words: subnet(*words),
}
