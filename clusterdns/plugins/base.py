"""What a directive is: options parsed from the Corefile, and (for most) queries answered.

A query goes through the plugins of its server block in the fixed order of `plugins.order`. Each may
answer, change what the next one answers, or pass on. See docs/architecture.md.
"""

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Protocol

from dnslib import RR, DNSLabel

from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, no_arguments
from clusterdns.errors import ConfigError, MalformedMessage, Place, ResolveError
from clusterdns.plugins.passage import Came, Passage
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.message import AA, AD, RA, TC
from clusterdns.wire.names import folded_name, upward
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question
from clusterdns.wire.received import Received, Sections, sections
from clusterdns.zone.index import Index, Key
from clusterdns.zone.view import View

# Inner queries inside inner queries: the longest chain of ExternalNames through the server.
# CoreDNS's `file` has this bound; its `kubernetes` has none and dies of a loop.
MAX_DEPTH = 8


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


class ZoneCopy(NamedTuple):
    """A zone as a whole, as it is now, for those who copy it.

    records: gives all but the SOA record, made one by one; to be called at once.
    """

    soa: RR
    records: Callable[[], Iterator[RR]]


class Plugin:
    """One directive. Subclasses name it, parse it and, unless it only configures, resolve."""

    name: ClassVar[str]  # the word in the Corefile
    sees: Sees = Sees.QUESTION
    is_last: bool = False  # True: queries pass no directive of the block behind it, in CoreDNS
    recursive: bool = False  # True makes the block answer with RA set (`forward`)
    view: str = ""  # what metrics call the server block; not "": it takes what `admits` says alone
    any_class: bool = False  # True: it must be asked for classes other than IN too (`forward`)
    options: frozenset[int] = frozenset()  # EDNS option codes it looks at; no others change a reply
    edns_size: int = 0  # what the OPT records of replies tell; 0: the usual size (`bufsize`)
    counted: bool = False  # True: what the block is asked is told to metrics (`prometheus`)
    passes_notify: bool = False  # True: NOTIFY messages pass it, if anybody in the block takes them
    takes_notify: bool = False  # True: it is for it that they come (`secondary`)

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

    def admits(self, query: Query) -> bool:
        """Whether the server block takes this query; only asked of one with a `view`."""
        return True

    def collect(self, query: Query) -> None:
        """Puts what others tell of the query into it; only `metadata` does."""

    def metadata(self, query: Query) -> "Mapping[str, Label]":
        """What it can tell of a query to others, by label: DIRECTIVE/NAME (`metadata`)."""
        return {}

    def passage(self, server: str, view: str) -> Passage | None:
        """What is asked of it with plain questions that go to an upstream; None: `resolve` is.

        server, view: as in metrics; of the socket that the questions come by, and of the block.
        """
        return None

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        """The zone of this name as a whole (`transfer`); None: it has no such zone.

        Raises ResolveError where it has, but not now.
        """
        return None

    async def serve(self, stopping: asyncio.Event) -> None:
        """Does what goes on beside the queries, until `stopping` is set: files read again, checks.

        Most plugins have nothing of the kind, and this ends at once.
        """

    def forget(self, keys: Iterable[Key]) -> None:
        """Keeps no reply of the plugins behind it that rests on one of these keys."""

    def persona(self, question: Question, peer: tuple[str, int]) -> Hashable:
        """What of the client decides replies to this question that say so (`Reply.persona`).

        None: no reply to it can depend on the client.
        """
        return None

    def counted_as(self, question: Question) -> str | None:
        """The zone that metrics know a question by, if not by the server block's (`auto`)."""
        return None

    def adopt(self, before: "Plugin") -> None:
        """Takes over what the plugin of this name knows that a reload replaces by this one; its
        lines and those of all plugins behind it are as before."""

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
class PprofPage:
    """Where `pprof` is asked for."""

    host: str
    port: int
    place: Place | None = None


@dataclass
class MetricsPage:
    """Where `prometheus` is asked for."""

    host: str
    port: int
    runtime: bool = False  # more of the interpreter's own figures (`runtime_metrics`)
    tls: Token | None = None  # path of the file that tells how to serve HTTPS
    place: Place | None = None


@dataclass
class TcpTimes:
    """What `timeouts` says of connections, in seconds; None: as without it."""

    read_s: float | None = None  # to the first whole query
    write_s: float | None = None  # for the client to take its replies
    idle_s: float | None = None  # from the last reply to the next query
    queries: int | None = None  # on one connection; -1: any number


@dataclass(frozen=True)
class ReloadTimes:
    """How often `reload` looks at the Corefile: every interval_s, half of jitter_s more or less."""

    interval_s: float
    jitter_s: float


@dataclass(frozen=True)
class TlsFiles:
    """What `tls` says of a block's connections; the paths are below `root`.

    ca: who signs the certificates of clients; "": whoever the system trusts.
    keylog: gets every session's secrets; "": there is no such file.
    """

    cert: str
    key: str
    place: Place
    ca: str = ""
    clients: ssl.VerifyMode = ssl.CERT_NONE
    keylog: str = ""


Cluster = Callable[[Selection, ApiOptions], Index]
Forget = Callable[[Iterable[Key]], None]
Changed = Callable[[str], None]  # takes a zone: absolute, lower-case


class Upstream(Protocol):
    """A server that queries of this block are sent on to, as far as `loop` looks at it."""

    address: str  # as in metrics and logs: 10.0.0.2:53, [fd00::2]:53
    zone: str  # the names that are sent there: absolute, lower-case
    is_aside: bool  # True: it gets no queries but probes, since they come back

    async def probe(self, question: Question) -> bool:
        """Whether it replied to this question, whatever it said."""
        ...


@dataclass
class Setup:
    """What a directive may ask for, and where it leaves what others must do for it.

    One for each server block; `health`, `ready`, `metrics` and `cluster` are shared by all blocks.
    """

    zones: tuple[str, ...]  # the block's zones: absolute, lower-case, CIDRs expanded
    cluster: Cluster  # the index kept up to date for a selection of what an API holds
    forget: Forget = lambda keys: None  # drops finished answers that rest on one of the keys
    root: str = ""  # base of relative file names (`root`)
    offline: bool = False  # nothing is to be asked of the network: it is only checked
    bind: list[str] = field(default_factory=list)  # addresses to listen on; []: all
    tcp_times: TcpTimes = field(default_factory=TcpTimes)
    tls: TlsFiles | None = None  # for keys with tls:// (`tls`)
    health: list[HealthPage] = field(default_factory=list)
    ready: list[ReadyPage] = field(default_factory=list)
    metrics: list[MetricsPage] = field(default_factory=list)
    pprof: list[PprofPage] = field(default_factory=list)  # shared by all blocks too
    reload: list[ReloadTimes] = field(default_factory=list)  # and so is this
    upstreams: list[Upstream] = field(default_factory=list)  # of this block; filled as it is parsed
    views: list[View] = field(default_factory=list)  # what `kubernetes` of this block shows
    at_end: list[Callable[[], None]] = field(default_factory=list)  # run once all are parsed
    # Told of zones that are there or have another serial: absolute, lower-case (`transfer`).
    on_change: list[Changed] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # "file:line:column: text"
    faults: list[ConfigError] = field(default_factory=list)  # see `attempt`
    recursive: bool = False  # RA is set on replies; known once every directive is parsed
    collects: bool = False  # what is told of queries is asked for (`metadata`)
    plugins: "list[Plugin]" = field(default_factory=list)  # of this block; known then too

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Keeps a ConfigError raised inside for later, so that the faults behind it are told too.

        Whoever parses on afterwards must know that the configuration will not be used.
        """
        try:
            yield
        except ConfigError as fault:
            self.faults.append(fault)

    def changed(self, zone: str) -> None:
        """Tells whoever wants to know that this zone is there, or has another serial."""
        for tell in self.on_change:
            tell(zone)

    def warn(self, place: Place, text: str) -> None:
        """Tells of something accepted because CoreDNS accepts it."""
        self.warnings.append(f"{place}: {text}")


def read_options(
    directive: Directive, setup: Setup, known: Mapping[str, Callable[[Directive], None]]
) -> None:
    """Gives each line of the directive's block to the function that its first word names.

    A word that is none, and what a function raises, is kept in setup.faults: the lines behind it
    are read all the same.
    """
    for line in directive.block or ():
        with setup.attempt():
            word = line.name.text
            if word not in known:
                hint = nearest(word, known)
                raise ConfigError(
                    f"unknown property {word!r} of {directive.name.text}; {hint}", line.name.place
                )
            if line.block is not None:
                raise ConfigError(f"{word} takes no block", line.name.place)
            known[word](line)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for who misspelled one of the known words."""
    known = sorted(known)
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def choice(token: Token, known: Iterable[str]) -> str:
    """The word, one of the known ones. Raises ConfigError at it."""
    known = tuple(known)
    if token.text not in known:
        raise ConfigError(f"{token.text!r} is none of {', '.join(known)}", token.place)
    return token.text


def first_argument(line: Directive, setup: Setup) -> Token:
    """The first argument, of at least one. Those behind it are warned of: CoreDNS ignores them."""
    first, *others = arguments(line, least=1)
    if others:
        setup.warn(others[0].place, f"what is behind {line.name.text} {first.text} is ignored")
    return first


def once(directives: Sequence[Directive]) -> Directive:
    """The only directive of its name in the server block. Raises ConfigError at the second one."""
    first, *others = directives
    if others:
        raise ConfigError(
            f"{first.name.text} can only be used once per server block; "
            f"it stands at {first.name.place} already",
            others[0].name.place,
        )
    return first


def bare(directives: Sequence[Directive], setup: Setup) -> None:
    """Checks that a directive stands alone. Raises ConfigError at what stands behind it.

    CoreDNS looks at the first of several equal ones only; the others are warned of.
    """
    first, *others = directives
    no_arguments(first)
    if first.block is not None:
        raise ConfigError(f"{first.name.text} takes no block", first.name.place)
    for other in others:
        if other.arguments or other.block is not None:
            setup.warn(other.name.place, f"what is behind the second {other.name.text} is ignored")


class Zones:
    """Some zones, asked whether a name is in one of them. Letter case does not matter, RFC 4343."""

    def __init__(self, names: Iterable[str]) -> None:
        """names: absolute or not, in presentation form."""
        self.names = tuple(names)
        self._wire = {folded_name(name): name for name in self.names}
        self._ends = tuple(self._wire)

    def __contains__(self, question: Question | Plain) -> bool:
        return self.match(question) is not None

    def exact(self, question: Question) -> str | None:
        """The zone of this very name, as it was given; None: there is none."""
        return self._wire.get(question.folded)

    def match(self, question: Question | Plain) -> str | None:
        """The longest zone that the name is in, as it was given; None: it is in none."""
        name = question.folded
        if not name.endswith(self._ends):
            return None  # nearly always; what ends like one may still do so within a label
        return next(filter(None, map(self._wire.get, upward(name))), None)
