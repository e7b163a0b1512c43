"""A query on its way through the plugins of its server block, and the reply to it."""

import math
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from dnslib import RR, DNSLabel

from clusterdns.errors import MalformedMessage, ResolveError
from clusterdns.plugins.passage import Came
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.message import AA, AD, RA, TC
from clusterdns.wire.question import Question
from clusterdns.wire.received import Received, Sections, sections
from clusterdns.zone.index import Key

# Inner queries inside inner queries: the longest chain of ExternalNames through the server.
# CoreDNS's `file` has this bound; its `kubernetes` has none and dies of a loop.
MAX_DEPTH = 8


class Exchange(Protocol):
    """The server that a query came in by; lets a plugin ask a question of its own."""

    async def resolve(self, query: "Query") -> "Reply | None":
        """The reply for this query from the top: server block chosen, every plugin of it run."""
        ...


@dataclass(slots=True)
class Query:
    """One question on its way through the plugins."""

    octets: bytes  # the message as it came; of an inner query the outer one's
    question: Question
    flags: int  # the second 16 bits of the header, RFC 1035 section 4.1.1
    edns: Edns | None  # None: the query had no OPT record
    peer: tuple[str, int]  # address without IPv6 scope, port
    local: tuple[str, int]  # the listener's address ("0.0.0.0" or "::" on the wildcard), port
    transport: str  # "udp", "tcp", "tls"
    limit: int  # octets that the reply may have; RFC 6891 section 6.2.5
    zone: str  # the server block's zone that was matched, absolute, lower-case
    exchange: Exchange
    received: float  # monotonic seconds
    deadline: float  # monotonic seconds; what is not known by then is SERVFAIL
    server: str = ""  # the listener's name in metrics: dns://:53
    view: str = ""  # of the server block (`view`)
    depth: int = 0  # how many inner queries deep, see `inner`
    labels: "dict[str, Label] | None" = None  # what plugins tell of it (`metadata`); None: nothing
    came: Came | None = None  # what an upstream has said already, see `plugins.passage`

    def inner(self, question: Question) -> "Query":
        """A query for another question by the same client, to be given to `exchange.resolve`.

        Raises ResolveError when that would be too deep: names that lead to each other.
        """
        if self.depth >= MAX_DEPTH:
            raise ResolveError(f"inner queries {MAX_DEPTH} deep, the last for {question.text}")
        return Query(
            octets=self.octets,
            question=question,
            flags=self.flags,
            edns=self.edns,
            peer=self.peer,
            local=self.local,
            transport=self.transport,
            limit=self.limit,
            zone=self.zone,
            exchange=self.exchange,
            received=self.received,
            deadline=self.deadline,
            server=self.server,
            view=self.view,
            depth=self.depth + 1,
        )

    async def ask(self, name: DNSLabel, qtype: int) -> "Reply | None":
        """What this server replies to another question of the same client.

        None: it does not reply, or cannot say, or names lead to each other.
        """
        try:
            return await self.exchange.resolve(self.inner(Question.of(name, qtype)))
        except ResolveError:
            return None


class Aging(NamedTuple):
    """How the TTLs of a reply, which are all alike, count down: one less each second."""

    since: float  # monotonic seconds
    ttl: int  # at that moment
    end: float  # monotonic seconds at which the plugins are to be asked again
    ttls_at: tuple[
        int, ...
    ] = ()  # where they stand as long as the reply is octets; (): nobody says

    def turn(self, ttl: int) -> float:
        """The monotonic second at which this TTL is too high."""
        return self.since + (self.ttl - ttl) + 1


Sent = Callable[[int, float], object]  # how many times, and until which monotonic second


@dataclass(slots=True)
class Reply:
    """What a plugin answers: sections as dnslib records, and how long all this stays true.

    A reply is kept as a finished answer, and sent again without asking any plugin, until an event
    touches one of its keys or the monotonic clock reaches `until`. The default, 0, keeps nothing.
    received: its sections as octets (see `Reply.of`); None: the three lists have them.
    """

    rcode: int = 0
    received: Received | None = field(default=None, init=False)
    answer: list[RR] = field(default_factory=list)
    authority: list[RR] = field(default_factory=list)
    additional: list[RR] = field(default_factory=list)  # without the OPT record
    authoritative: bool = False  # AA
    truncated: bool = False  # TC as found upstream; our own truncation comes later
    authentic: bool = False  # AD
    recursion: bool | None = None  # RA; None: as the server block says
    desired: bool | None = None  # RD; None: as in the query
    options: list[Option] = field(default_factory=list)  # EDNS options to answer with
    force_edns: bool = False  # send OPT even if the query had none (EDE of `acl`, `template`)
    keys: frozenset[Key] = frozenset()
    until: float = 0.0  # monotonic seconds; math.inf: until an event touches a key
    serial: Callable[[], int] | None = None  # the serial now, for the SOA records in this reply
    reorder: "Callable[[Reply], Reply] | None" = None  # another equally good order (`loadbalance`)
    # A finished answer counts its TTLs down by this and stays until its end, if its TTLs are alike
    # and `until` is their turn. So who changes TTLs or lowers `until` need not know of it.
    aging: Aging | None = None
    sent_again: Sent | None = None  # is told how often it was sent without asking (`cache`)
    # What of the client decided it, see `Plugin.persona`; None: nothing. Then `until` is 0, lest it
    # be sent to others, and this is how long it is true for clients of whom the same is told.
    persona: Hashable = None
    until_for_persona: float = 0.0

    def rests_on(self, keys: Iterable[Key], until: float = math.inf) -> "Reply":
        """The reply itself, which from now on holds only as long as these do too."""
        self.keys = self.keys.union(keys)
        self.until = min(self.until, until)
        self.until_for_persona = min(self.until_for_persona, until)
        return self

    @staticmethod
    def of(received: Received) -> "Reply":
        """What an upstream replied. Its octets are sent on as they are, header and OPT record
        apart, unless somebody looks at the sections: then they are parsed, once.
        """
        reply = _Unparsed.__new__(_Unparsed)  # by hand: half of the time that __init__ takes
        flags = received.flags
        reply.rcode = received.rcode
        reply.received = received
        reply.authoritative = flags & AA != 0
        reply.truncated = flags & TC != 0
        reply.authentic = flags & AD != 0
        reply.recursion = flags & RA != 0
        reply.desired = None
        reply.options = list(received.options)
        reply.force_edns = False
        reply.keys = _NO_KEYS
        reply.until = 0.0
        reply.serial = None
        reply.reorder = None
        reply.aging = None
        reply.sent_again = None
        reply.persona = None
        reply.until_for_persona = 0.0
        return reply


@dataclass(slots=True)
class LongReply(Reply):
    """A reply that may take several messages (RFC 5936), so not for UDP.

    rest: the records behind those of `answer`, made while they are sent.
    """

    rest: Iterable[RR] = ()


_NO_KEYS: frozenset[Key] = frozenset()


def _section(number: int) -> Any:
    """One of the three sections of an _Unparsed."""

    def get(self: "_Unparsed") -> list[RR]:
        return self.parsed()[number]

    def put(self: "_Unparsed", records: list[RR]) -> None:
        found = list(self.parsed())
        found[number] = records
        self.sections = found[0], found[1], found[2]

    return property(get, put)


class _Unparsed(Reply):
    """A Reply whose sections are octets until they are read or set.

    Reading them may raise ResolveError: an upstream can put anything into rdata.
    """

    __slots__ = ("sections",)
    sections: Sections

    answer, authority, additional = _section(0), _section(1), _section(2)

    def __init__(self, **fields: Any) -> None:
        """What `dataclasses.replace` makes of one: a Reply of given sections."""
        self.sections = [], [], []
        self.received = None
        super().__init__(**fields)

    def parsed(self) -> Sections:
        """The three sections, which from now on are what counts."""
        if self.received is not None:
            try:
                self.sections = sections(self.received)
            except MalformedMessage as error:
                raise ResolveError(f"an upstream's reply cannot be read: {error}") from error
            self.received = None
        return self.sections


Resolve = Callable[[Query], Awaitable[Reply | None]]  # None: no reply is sent at all
Label = Callable[[], str]  # a figure of a query, worked out when somebody asks for it
