"""From a question to what the zone says, and from there to a reply."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from dnslib import QTYPE, DNSLabel

from clusterdns.corefile.tree import Directive
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.plugins.base import Plugin, Setup, ZoneCopy
from clusterdns.plugins.kubernetes.labels import client_labels, name_labels
from clusterdns.plugins.kubernetes.options import STARTUP_TIMEOUT, Options
from clusterdns.plugins.lines import once
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Label, Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire import packed
from clusterdns.wire.edns import STALE_ANSWER
from clusterdns.wire.message import IN, NXDOMAIN, REFUSED, SERVFAIL
from clusterdns.wire.names import labels_of
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question
from clusterdns.wire.received import Received
from clusterdns.zone.found import Found, NoData, NotOurs, NotSynced, NxDomain, Records, RRset
from clusterdns.zone.grammar import is_reverse
from clusterdns.zone.index import SYNCED, Index, Key
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.records import SOA_TTL_LIMIT, soa
from clusterdns.zone.transfer import zone_records
from clusterdns.zone.view import STALE_TTL, View, ZoneOptions

WAITING_S = 0.5  # between two lines that say we wait, as CoreDNS
_SOA = QTYPE.SOA
TRANSFERS = (QTYPE.AXFR, QTYPE.IXFR)  # `transfer` answers them, before they come here

log = logging.getLogger(__name__)


class Kubernetes(Plugin):
    """A zone of cluster names, and its reverse zones."""

    name = "kubernetes"

    def __init__(
        self,
        zone_options: ZoneOptions,
        index: Index,
        fallthrough: Sequence[str] = (),
        startup_timeout: float = STARTUP_TIMEOUT,
    ) -> None:
        """fallthrough: zones whose missing names the next plugin is asked for; "." is all.

        startup_timeout: seconds until a cluster that is not listed yet is worth a warning.
        """
        self.zone_options = zone_options
        self.index = index
        self.fallthrough = Zones(fallthrough)
        self.startup_timeout = startup_timeout
        self._lookup = Lookup(index, zone_options)
        self._stale = Lookup(index, replace(zone_options, ttl=min(zone_options.ttl, STALE_TTL)))

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Kubernetes":
        directive = once(directives)
        options = Options(directive, setup)
        try:
            index = setup.cluster(options.selection(), options.api)
        except ConfigError as error:
            raise ConfigError(error.message, error.place or directive.name.place) from error
        zone_options = options.zone_options()
        setup.views.append(View(index, zone_options))
        return cls(zone_options, index, options.fallthrough, options.startup_timeout)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Says that the cluster is waited for, as long as `startup_timeout`, and then only warns:
        listeners are open all the while (D35)."""
        end = time.monotonic() + self.startup_timeout
        while not self.index.synced and not stopping.is_set():
            left = end - time.monotonic()
            if left <= 0:
                log.warning("starting server with unsynced Kubernetes API")
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(WAITING_S, left)):
                    await stopping.wait()
            if not self.index.synced and not stopping.is_set():
                log.info("waiting for Kubernetes API before starting server")

    def ready(self) -> bool:
        return self.index.synced

    def passage(self, server: str, view: str) -> Passage:
        zones = [str(zone).lower() for zone in self.zone_options.zones]
        return Passage(sources=dict.fromkeys(zones, self._find))

    def _find(self, asked: Plain) -> Reply | None:
        """The reply to a plain question, if `resolve` would wait for nobody and ask nobody."""
        if self.index.stale:
            return None
        found = self._lookup.find(labels_of(asked.name), asked.qtype)
        if isinstance(found, RRset | NoData):
            return self._reply(found, asked)
        if isinstance(found, NxDomain) and asked not in self.fallthrough:
            return self._reply(found, asked)
        return None

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        lookup = self._stale if self.index.stale else self._lookup
        found = lookup.find(question.labels, question.qtype)
        if isinstance(found, NotOurs):
            return await next(query)
        if question.qclass != IN or question.qtype in TRANSFERS:
            return Reply(REFUSED, until=math.inf)
        if isinstance(found, NxDomain) and question in self.fallthrough:
            reply = await next(query)
            return reply.rests_on(found.keys) if reply else None
        reply = self._reply(found, question)
        if self.index.stale and not isinstance(found, NotSynced):
            reply.options.append(STALE_ANSWER)
            reply.keys |= {SYNCED}
        if isinstance(found, Records) and found.chase is not None:
            return await _chased(query, reply, found.chase)
        return reply

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        """Of a name below a zone too: it is taken for the zone's own, as by CoreDNS."""
        found = self._lookup.zone_of(question.labels)
        if found is None or is_reverse(tuple(map(bytes.lower, found[0].label))):
            return None
        zone, imports = found
        if not self.index.synced:
            raise ResolveError(f"zone {zone} cannot be transferred: it is not listed yet")
        owner = question.label
        view = View(self.index, self.zone_options)
        return ZoneCopy(
            soa(owner, self._ttl, self._lookup.serial(zone)),
            partial(zone_records, view, owner, imports),
        )

    def metadata(self, query: Query) -> dict[str, Label]:
        return {
            **dict(client_labels(query, self.index)),
            **dict(name_labels(query.question.labels, self.zone_options)),
        }

    def _reply(self, found: Found | RRset, question: Question | Plain) -> Reply:
        match found:
            case RRset(_, keys, _, _, ttl, rdatas, glue):
                return _own(packed.rrset(question, ttl, rdatas, glue), keys)
            case NoData(zone, keys):
                return self._negative(question, 0, zone, keys)
            case NxDomain(zone, keys):
                return self._negative(question, NXDOMAIN, zone, keys)
            case Records(zone, keys, answer, additional):
                reply = Reply(answer=answer, additional=additional, keys=keys, until=math.inf)
                if question.qtype == _SOA:
                    reply.serial = partial(self._lookup.serial, zone)
            case NotSynced(zone):
                reply = Reply(SERVFAIL, authority=[soa(zone, self._ttl, 0)])
        reply.authoritative = True
        return reply

    def _negative(
        self, question: Question | Plain, rcode: int, zone: DNSLabel, keys: frozenset[Key]
    ) -> Reply:
        ttl, serial = self._ttl, partial(self._lookup.serial, zone)
        size = sum(map(len, zone.label)) + len(zone.label) + 1
        soa_ttl = min(ttl, SOA_TTL_LIMIT)
        reply = _own(packed.denial(question, rcode, size, soa_ttl, serial(), ttl), keys)
        reply.serial = serial
        return reply

    @property
    def _ttl(self) -> int:
        ttl = self.zone_options.ttl
        return min(ttl, STALE_TTL) if self.index.stale else ttl


def _own(found: Received, keys: frozenset[Key]) -> Reply:
    """A reply that holds until an event touches one of the keys."""
    reply = Reply.of(found)
    reply.recursion = None
    reply.keys, reply.until = keys, math.inf
    return reply


async def _chased(query: Query, reply: Reply, target: DNSLabel) -> Reply:
    """The reply with what this server has for the target of its last CNAME, whatever the rcode.

    The CNAME stands for itself (RFC 1034 section 3.6.2), so a target that cannot be had leaves it
    alone; such a reply is not kept.
    """
    found = await query.ask(target, query.question.qtype)
    if found is None:
        return reply.rests_on((), 0.0)
    # Names that lead to each other bring the same CNAMEs again.
    reply.answer += [
        record
        for record in found.answer
        if record.rtype != QTYPE.CNAME or record not in reply.answer
    ]
    reply.truncated = found.truncated
    return reply.rests_on(found.keys, found.until)
