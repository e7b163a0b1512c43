"""What a directive is: options parsed from the Corefile, and (for most) queries answered.

A query goes through the plugins of its server block in the fixed order of `plugins.order`. Each may
answer, change what the next one answers, or pass on. See docs/architecture.md.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Protocol

from dnslib import RR

from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import Directive
from clusterdns.errors import Place
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index, Key


class Sees(Enum):
    """What a plugin must look at to answer; decides whether finished answers may be kept."""

    QUESTION = "question"  # the octets of the query decide: finished answers may be used
    CLIENT = "client"  # who asks matters too (`acl`, `view`, `whoami`)
    EVERY_QUERY = "every query"  # it must be called for each one (`log`)


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
    depth: int = 0  # how many inner queries deep, see `inner`

    def inner(self, question: Question) -> "Query":
        """A query for another question by the same client, to be given to `exchange.resolve`.

        Raises ResolveError when that would be too deep: names that lead to each other.
        """
        raise NotImplementedError


@dataclass(slots=True)
class Reply:
    """What a plugin answers: sections as dnslib records, and how long all this stays true.

    A reply is kept as a finished answer, and sent again without asking any plugin, until an event
    touches one of its keys or the monotonic clock reaches `until`. The default, 0, keeps nothing.
    """

    rcode: int = 0
    answer: list[RR] = field(default_factory=list)
    authority: list[RR] = field(default_factory=list)
    additional: list[RR] = field(default_factory=list)  # without the OPT record
    authoritative: bool = False  # AA
    truncated: bool = False  # TC as found upstream; our own truncation comes later
    authentic: bool = False  # AD
    recursion: bool | None = None  # RA; None: as the server block says
    options: list[Option] = field(default_factory=list)  # EDNS options to answer with
    force_edns: bool = False  # send OPT even if the query had none (EDE of `acl`, `template`)
    keys: frozenset[Key] = frozenset()
    until: float = 0.0  # monotonic seconds; math.inf: until an event touches a key
    serial: Callable[[], int] | None = None  # the serial now, for the SOA records in this reply
    reorder: "Callable[[Reply], Reply] | None" = None  # another equally good order (`loadbalance`)

    def rests_on(self, keys: Iterable[Key], until: float = math.inf) -> "Reply":
        """The reply itself, which from now on holds only as long as these do too."""
        self.keys = self.keys.union(keys)
        self.until = min(self.until, until)
        return self


Resolve = Callable[[Query], Awaitable[Reply | None]]  # None: no reply is sent at all


class Plugin:
    """One directive. Subclasses name it, parse it and, unless it only configures, resolve."""

    name: ClassVar[str]  # the word in the Corefile
    sees: Sees = Sees.QUESTION
    recursive: bool = False  # True makes the block answer with RA set (`forward`)

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: "Setup") -> "Plugin":
        """The plugin that these lines ask for.

        directives: every one of this name in the server block, in the file's order; at least one.
        Raises ConfigError at the token that is wrong.
        """
        raise NotImplementedError

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        """The reply, or next(query)'s; a plugin that only configures is never in the chain.

        Raises ResolveError: the client gets its rcode.
        """
        return await next(query)

    def ready(self) -> bool:
        """Whether the `ready` directive may say yes on this plugin's behalf."""
        return True

    @classmethod
    def in_chain(cls) -> bool:
        """Whether queries pass this plugin: it has a resolve of its own."""
        return cls.resolve is not Plugin.resolve


@dataclass
class HealthPage:
    """Where `health` is asked for."""

    host: str  # "": every address
    port: int
    lameduck: float = 0.0  # seconds
    place: Place | None = None


@dataclass
class ReadyPage:
    """Where `ready` is asked for."""

    host: str
    port: int
    continuous: bool = False  # `monitor continuously`: a plugin once ready is asked again
    place: Place | None = None


@dataclass
class Setup:
    """What a directive may ask for, and where it leaves what others must do for it.

    One for each server block; `health`, `ready` and `cluster` are shared by all blocks.
    """

    zones: tuple[str, ...]  # the block's zones: absolute, lower-case, CIDRs expanded
    cluster: Callable[[Selection], Index]  # the index kept up to date for this selection
    root: str = ""  # base of relative file names (`root`)
    bind: list[str] = field(default_factory=list)  # addresses to listen on; []: all
    health: list[HealthPage] = field(default_factory=list)
    ready: list[ReadyPage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # "file:line:column: text"
    startup_timeout: float = 5.0  # seconds
