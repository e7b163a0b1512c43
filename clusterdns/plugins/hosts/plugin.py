"""From a question to what hosts lines say."""

import asyncio
import logging
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dnslib import AAAA, PTR, QTYPE, RR, A, DNSLabel

from clusterdns.corefile.tree import Directive
from clusterdns.metrics import Gauge, Labels
from clusterdns.plugins.base import Forget, Plugin, Setup
from clusterdns.plugins.hosts.options import Options
from clusterdns.plugins.hosts.table import Table, read, split
from clusterdns.plugins.lines import once
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import IN, SERVFAIL
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question
from clusterdns.zone.grammar import is_reverse, reverse_address
from clusterdns.zone.index import Key

FAMILIES = {QTYPE.A: 4, QTYPE.AAAA: 6}  # IP versions

log = logging.getLogger(__name__)

entries = Gauge(
    "coredns_hosts_entries",
    "Addresses and names that hosts lines have.",
    ("hostsfile",),
)
reload_timestamp = Gauge(
    "coredns_hosts_reload_timestamp_seconds",
    "When the hosts file that was read last had been changed, in Unix seconds.",
)


class Hosts(Plugin):
    """Answers A, AAAA and PTR from a file's lines and then from those of the Corefile.

    A name without records of the type is answered without any, one that is missing with SERVFAIL:
    a hosts file has no SOA record to tell for how long it will be (RFC 2308).
    """

    name = "hosts"

    def __init__(self, settings: Options, inline: Table, forget: Forget) -> None:
        """inline: what the lines in the Corefile say. forget: drops answers that have changed."""
        self.settings = settings
        self.inline = inline
        self.file = Table()
        self._zones = Zones(settings.zones)
        self._fallthrough = Zones(settings.fallthrough)
        self._forget = forget
        self._keys: frozenset[Key] = frozenset({("hosts", str(settings.path))})
        self._version: Version | None = None  # of the file as it was read; None: never

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Hosts":
        options = Options(once(directives), setup)
        plugin = cls(options, options.inline(), setup.forget)
        plugin.load()
        return plugin

    def passage(self, server: str, view: str) -> Passage:
        return Passage(stops=self._may_know, back=self._back)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        if question.qclass != IN:
            return await next(query)
        if question.qtype == QTYPE.PTR:  # whatever the zones are: they are about names
            records = self._pointers(question)
            return self._reply(records) if records else await self._passed(query, next)
        if question not in self._zones:
            return await next(query)
        found = {version: self._find(version, question.folded) for version in FAMILIES.values()}
        is_unsupported = self.settings.fallthrough_unsupported and question.qtype not in FAMILIES
        if is_unsupported or not any(found.values()):
            if question in self._fallthrough:
                return await self._passed(query, next)
            if not any(found.values()):
                return Reply(SERVFAIL, keys=self._keys, until=math.inf)
        return self._reply(self._records(question, found.get(FAMILIES.get(question.qtype, 0), [])))

    async def serve(self, stopping: asyncio.Event) -> None:
        """Reads the file again when it has changed, until `stopping` is set."""
        with entries.given_by(self._entries), reload_timestamp.given_by(self._timestamp):
            while not await _is_set(stopping, self.settings.reload_s or None):
                await self.reload()

    def load(self) -> None:
        """Reads the file for the first time. One that cannot be read may come later."""
        with suppress(OSError):
            self._version, self.file = self._read()

    async def reload(self) -> None:
        """Reads the file if it has changed; while it cannot be read, what it said stays."""
        try:
            if _version(self.settings.path) == self._version:
                return
            self._version, table = await asyncio.to_thread(self._read)
        except OSError:
            return
        if table != self.file:
            self.file = table
            self._forget(self._keys)

    def _read(self) -> "tuple[Version, Table]":
        path = self.settings.path
        version = _version(path)
        faults: list[str] = []
        table = read(
            split(path.read_text(encoding="utf-8", errors="replace")),
            self._zones,
            self.settings.reverse,
            lambda number, text: faults.append(f"{path}:{number}: {text}"),
        )
        if faults:
            more = f" ({len(faults) - 1} more such lines)" if len(faults) > 1 else ""
            log.warning("%s; it is left out%s", faults[0], more)
        return version, table

    def _may_know(self, asked: Plain, now: float) -> bool:
        """Whether there is an answer here, or the name is not for the next plugin."""
        name = asked.name
        if asked.qtype == QTYPE.PTR or any(self._find(each, name) for each in FAMILIES.values()):
            return True
        return asked in self._zones and asked not in self._fallthrough

    def _back(self, asked: Plain, reply: Reply, now: float) -> Reply:
        return reply.rests_on(self._keys)

    def _find(self, version: int, name: bytes) -> list[bytes]:
        """The addresses of a folded name: the file's, then those of the Corefile."""
        return self.file.addresses(version, name) + self.inline.addresses(version, name)

    def _records(self, question: Question, addresses: Iterable[bytes]) -> list[RR]:
        make = A if question.qtype == QTYPE.A else AAAA
        return [self._record(question, make(tuple(address))) for address in addresses]

    def _pointers(self, question: Question) -> list[RR]:
        labels = tuple(label.lower() for label in question.labels)
        address = reverse_address(labels) if is_reverse(labels) else None
        if address is None:
            return []
        names = self.file.names.get(address, []) + self.inline.names.get(address, [])
        return [self._record(question, PTR(DNSLabel(name))) for name in names]

    def _record(self, question: Question, rdata: object) -> RR:
        return RR(question.label, question.qtype, ttl=self.settings.ttl, rdata=rdata)

    def _reply(self, records: list[RR]) -> Reply:
        return Reply(answer=records, authoritative=True, keys=self._keys, until=math.inf)

    async def _passed(self, query: Query, next: Resolve) -> Reply | None:
        """The next plugin's reply, as long as there is nothing here."""
        reply = await next(query)
        return reply.rests_on(self._keys) if reply else None

    def _entries(self) -> dict[Labels, float]:
        return {(str(self.settings.path),): len(self.file) + len(self.inline)}

    def _timestamp(self) -> dict[Labels, float]:
        return {(): self._version.changed_ns / 1e9} if self._version else {}


class Version(NamedTuple):
    """What tells that a file is another one than before."""

    changed_ns: int  # Unix nanoseconds
    size: int
    inode: int  # a mounted ConfigMap gets new files of perhaps the same second and size


def _version(path: Path) -> Version:
    state = os.stat(path)
    return Version(state.st_mtime_ns, state.st_size, state.st_ino)


async def _is_set(event: asyncio.Event, seconds: float | None) -> bool:
    """Whether the event is set within so many seconds; None: waits for it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
