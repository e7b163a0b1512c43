"""What a directive is: options parsed from the Corefile, and (for most) queries answered.

A query goes through the plugins of its server block in the fixed order of `plugins.order`. Each may
answer, change what the next one answers, or pass on. See docs/architecture.md.
"""

import asyncio
import ssl
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, NamedTuple, Protocol

from dnslib import RR

from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Label, Query, Reply, Resolve
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index, Key
from clusterdns.zone.view import View


class Sees(Enum):
    """What a plugin must look at to answer; decides whether finished answers may be kept."""

    QUESTION = "question"  # the octets of the query decide: finished answers may be used
    CLIENT = "client"  # who asks matters too (`acl`, `view`, `whoami`)
    EVERY_QUERY = "every query"  # it must be called for each one (`log`)


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
