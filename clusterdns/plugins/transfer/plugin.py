"""From a question of type AXFR or IXFR to the whole zone (RFC 5936, RFC 1995)."""

import asyncio
import logging
from collections.abc import Generator, Iterator, Sequence
from weakref import WeakSet

from dnslib import QTYPE, RR

from clusterdns.corefile.tree import Directive
from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin, Setup, ZoneCopy
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import LongReply, Query, Reply, Resolve
from clusterdns.plugins.transfer.notifying import Notice, Notifier
from clusterdns.plugins.transfer.options import Stanza
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import IN, REFUSED
from clusterdns.wire.patch import SOA, records, skip_name
from clusterdns.wire.question import Question

TRANSFERS = (QTYPE.AXFR, QTYPE.IXFR)
# At once, of one server block. Each holds a copy of the tables by name: 2 MB for 10,000 Services.
MOST = 32
_AUTHORITY = 2  # the number of the section
_TIMES = 20  # octets behind the names of a SOA record, its serial the first of them

log = logging.getLogger(__name__)


class Transfer(Plugin):
    """Gives the zones of the plugins behind it to those who may have them."""

    name = "transfer"

    def __init__(self, stanzas: Sequence[Stanza], plugins: Sequence[Plugin]) -> None:
        """plugins: of the server block; filled once all of them are parsed."""
        self._of = {zone: stanza for stanza in reversed(stanzas) for zone in stanza.zones}
        self._zones = Zones(self._of)
        self._plugins = plugins
        self._notifier = Notifier()
        self._under_way: WeakSet[Generator[RR, None, None]] = (
            WeakSet()
        )  # a client that goes away drops its own

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Transfer":
        stanzas = []
        for directive in directives:
            with setup.attempt():
                stanzas.append(Stanza(directive, setup))
        plugin = cls(stanzas, setup.plugins)
        setup.on_change.append(plugin.tell)
        return plugin

    def passage(self, server: str, view: str) -> Passage:
        return Passage()  # transfers are no plain questions

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        if question.qtype not in TRANSFERS or question.qclass != IN:
            return await next(query)
        if query.transport == "udp":
            return Reply(REFUSED)
        zone = self._zones.match(question)
        if zone is not None:
            if not self._of[zone].allows(query.peer[0]):
                return Reply(REFUSED)
            serial = _serial(query) if question.qtype == QTYPE.IXFR else 0
            for plugin in self._plugins:
                if (copy := plugin.zone_copy(question)) is not None:
                    return self._reply(query, copy, serial)
        reply = await next(query)
        return reply.rests_on((), 0.0) if reply else None  # a zone that is not there may come

    def tell(self, zone: str) -> None:
        """Has others told that this zone is there, or has another serial."""
        match = self._zones.match(Question.of(zone, 0))
        if match is not None:
            stanza = self._of[match]
            for target in stanza.targets:
                self._notifier.tell(Notice(zone, target, stanza.source))

    async def serve(self, stopping: asyncio.Event) -> None:
        await self._notifier.serve(stopping)

    def _reply(self, query: Query, copy: ZoneCopy, serial: int) -> Reply:
        """serial: that the client has; 0: it has none."""
        zone, client = query.question.text, query.peer[0]
        current = copy.soa.rdata.times[0]
        if serial == current != 0:
            log.info(
                'Outgoing noop, incremental transfer for up to date zone "%s" to %s '
                "for %d SOA serial",
                *(zone, client, current),
            )
            return Reply(answer=[copy.soa], authoritative=True)
        if len(self._under_way) >= MOST:
            raise ResolveError(f"{MOST} transfers are under way; {client} has to try again")
        rest = _behind_soa(copy, copy.records(), zone, client)
        self._under_way.add(rest)
        return LongReply(answer=[copy.soa], authoritative=True, rest=rest)


def _behind_soa(
    copy: ZoneCopy, records: Iterator[RR], zone: str, client: str
) -> Generator[RR, None, None]:
    """The records, and the SOA record again, which ends the zone."""
    count = 2
    for record in records:
        count += 1
        yield record
    yield copy.soa
    log.info(
        'Outgoing transfer of %d records of zone "%s" to %s for %d SOA serial',
        *(count, zone, client, copy.soa.rdata.times[0]),
    )


def _serial(query: Query) -> int:
    """The serial that an IXFR client has (RFC 1995 section 3). Raises ResolveError if it tells
    none."""
    octets = query.octets
    authority = [each for each in records(octets) if each.section == _AUTHORITY]
    if [each.rtype for each in authority] == [SOA]:
        (found,) = authority
        serial = skip_name(octets, skip_name(octets, found.rdata))
        if serial + _TIMES == found.end:
            return int.from_bytes(octets[serial : serial + 4], "big")
    raise ResolveError("an IXFR query has one SOA record in Authority")
