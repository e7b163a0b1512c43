"""One query to an upstream: its octets, which reply is the right one, and whom to ask next.

No socket and no clock: octets and numbers come in, values go out.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from clusterdns.errors import MalformedMessage
from clusterdns.plugins.query import Query
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.message import OPCODE, QR, RD, TC
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import HEADER, Question
from clusterdns.wire.received import Received, received

U = TypeVar("U")

_FLAGS_AND_COUNTS = struct.Struct("!5H")
_HEADER = struct.Struct("!6H")
_ONE_QUESTION = b"\0\1"
# Between two neighbours, and about the way between them: COOKIE (RFC 7873), TCP keepalive
# (RFC 7828) and padding (RFC 7830). One upstream's cookie would be a wrong one for the next.
_HOP_BY_HOP = frozenset({10, 11, 12})
# FORMERR, SERVFAIL, NOTIMP, REFUSED: a server may send them with the header alone, where it could
# or would not read the question.
_BARE_RCODES = frozenset({1, 2, 4, 5})


class Asked:
    """A question in the octets that upstreams get.

    rest: the message behind its id. question: name as spelled by the client, type and class.
    key: all that decides the reply, letters folded, so that who asks the same may share it; None:
        share nothing.
    """

    __slots__ = ("_folded", "key", "question", "rest")

    def __init__(self, question: bytes, rest: bytes, key: bytes | None) -> None:
        self.question = question
        self.rest = rest
        self.key = key
        self._folded: bytes | None = None

    def is_about(self, question: bytes) -> bool:
        """Whether these octets are the question, letter case aside (RFC 4343)."""
        if question == self.question:
            return True
        if self._folded is None:
            self._folded = self.question[:-4].lower()
        return question[-4:] == self.question[-4:] and question[:-4].lower() == self._folded


def asked(query: Query) -> Asked:
    """The client's query as it is, but for its id and for options between it and us.

    Made anew from its parts, since plugins may have changed them; only what holds more than a
    question and an OPT record (IXFR, TSIG) goes on octet by octet, if its question is unchanged.
    """
    question, edns = query.question, query.edns
    wire = question.section
    octets = query.octets
    if octets[6:10] != b"\0\0\0\0" or octets[10:12] != (b"\0\0" if edns is None else b"\0\1"):
        unchanged = octets[HEADER : HEADER + len(wire)] == wire
        if unchanged and octets[2:6] == query.flags.to_bytes(2, "big") + _ONE_QUESTION:
            return Asked(wire, octets[2:], None)
    opt = b"" if edns is None else _for_upstreams(edns).pack()
    head = _FLAGS_AND_COUNTS.pack(query.flags & ~QR, 1, 0, 0, edns is not None)
    return Asked(wire, head + wire + opt, head + question.folded + wire[-4:] + opt)


def asked_plain(question: Plain, flags: int) -> Asked:
    """A client's query as it is, with these header bits; what `asked` makes of it."""
    octets = question.octets
    rest = octets[2:] if flags == question.flags else flags.to_bytes(2, "big") + octets[4:]
    return Asked(octets[HEADER : question.end], rest, rest)


def probe(question: Question, recursive: bool = True) -> Asked:
    """A question of our own."""
    wire = question.section
    return Asked(wire, _FLAGS_AND_COUNTS.pack(recursive * RD, 1, 0, 0, 0) + wire, None)


def reply_to(question: Asked, octets: bytes) -> Received | None:
    """The reply, if these octets are one to this question; None: they are to be ignored, as what
    somebody else sends (RFC 5452 section 9.1). The id is the caller's to compare.

    A reply cut off somewhere is taken as an empty one if it says so (TC).
    Raises MalformedMessage for records that are promised and not all there.
    """
    if len(octets) < HEADER:
        return None
    _, flags, questions, answer, authority, additional = _HEADER.unpack_from(octets)
    if flags & (QR | OPCODE) != QR:
        return None
    end = HEADER + len(question.question)
    if questions != 1 or not question.is_about(octets[HEADER:end]):
        if questions or answer or authority or additional or flags & 0xF not in _BARE_RCODES:
            return None
        return Received(octets, flags, flags & 0xF, HEADER, HEADER, 0, 0, 0, ())
    try:
        found = received(octets, end)
    except MalformedMessage:
        if flags & TC:
            return Received(octets[:end], flags, flags & 0xF, end, end, 0, 0, 0, ())
        raise
    if found.options:
        return found._replace(options=_without_hops(found.options))
    return found


def is_empty(found: Received) -> bool:
    """NODATA, or a referral: no error, and no record in Answer."""
    return found.rcode == 0 and found.answer == 0


class Walk(Generic[U]):
    """Which upstream to ask next, for one question.

    Goes along the policy's order again and again, past those that are down. Where all are, the
    health checks may be what is broken: one of them is asked once all the same.

    all_down: this was so.
    wrapped: the order begins again with the upstream that was given last.
    """

    def __init__(
        self,
        order: Sequence[U],
        is_down: Callable[[U], bool],
        any_of: Callable[[Sequence[U]], U],
        attempts: int,
        *,
        fail_fast: bool = False,
        begun: bool = False,
    ) -> None:
        """attempts: how many may fail; 0 for any number. fail_fast: where all are down, nobody is
        asked. any_of: which one else. begun: the first was asked already."""
        self._order = order
        self._is_down = is_down
        self._any_of = any_of
        self._left = attempts or None
        self._fail_fast = fail_fast
        self._at = int(begun and bool(order))
        self._failovers = 0
        self._ended = not order
        self.all_down = False
        self.wrapped = False

    def next(self) -> U | None:
        """Whom to ask; None: nobody (any more)."""
        if self._ended:
            return None
        order = self._order
        start = self._at
        for step in range(len(order)):
            upstream = order[(start + step) % len(order)]
            if not self._is_down(upstream):
                self.wrapped = start > 0 and start + step >= len(order)
                self._at = (start + step) % len(order) + 1
                return upstream
        self.all_down = self._ended = True
        return None if self._fail_fast else self._any_of(order)

    def failed(self) -> None:
        """The one given last did not answer."""
        if self._left is not None:
            self._left -= 1
            self._ended = self._ended or self._left == 0

    def fails_over(self) -> bool:
        """Whether a reply with an rcode of `failover` is left for another upstream's: not by more
        than there are."""
        self._failovers += 1
        return self._failovers < len(self._order) and not self._ended


def _for_upstreams(edns: Edns) -> Edns:
    if not edns.options:
        return edns
    return replace(edns, options=_without_hops(edns.options))


def _without_hops(options: tuple[Option, ...]) -> tuple[Option, ...]:
    return tuple(option for option in options if option.code not in _HOP_BY_HOP)
