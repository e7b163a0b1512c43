"""From a question to what the zone outside of the cluster says, and from there to a reply."""

import math
from collections.abc import Iterable, Sequence
from functools import partial

from dnslib import QTYPE, RR, DNSLabel

from clusterdns.corefile.tree import Directive
from clusterdns.errors import ConfigError, Place, ResolveError
from clusterdns.plugins.base import Plugin, Setup, ZoneCopy
from clusterdns.plugins.k8s_external.options import Options
from clusterdns.plugins.lines import once
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire.edns import STALE_ANSWER
from clusterdns.wire.message import IN, NXDOMAIN, REFUSED, SERVFAIL
from clusterdns.wire.question import Question
from clusterdns.zone.external import External, ExternalOptions, Hosted, NxServer
from clusterdns.zone.external_transfer import external_records
from clusterdns.zone.found import Found, NoData, NotOurs, NotSynced, NxDomain, Records
from clusterdns.zone.grammar import is_reverse
from clusterdns.zone.index import SYNCED
from clusterdns.zone.view import STALE_TTL, View

ANY_TTL = 1 << 31  # none is higher


class K8sExternal(Plugin):
    """A zone of the external addresses of Services, as the block's `kubernetes` shows them."""

    name = "k8s_external"

    def __init__(self, zone_options: ExternalOptions, fallthrough: Sequence[str] = ()) -> None:
        """fallthrough: zones whose missing names the next plugin is asked for; "." is all."""
        self.zone_options = zone_options
        self.fallthrough = Zones(fallthrough)
        self._zones = Zones(Question.of(each, 0).text for each in zone_options.zones)

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "K8sExternal":
        directive = once(directives)
        options = Options(directive, setup)
        plugin = cls(options.zone_options(), options.fallthrough)
        # `kubernetes` is parsed after this: queries come here first.
        setup.at_end.append(partial(plugin._find_view, setup.views, directive.name.place))
        return plugin

    def _find_view(self, views: Sequence[View], place: Place) -> None:
        if not views:
            raise ConfigError("k8s_external needs a `kubernetes` in the same server block", place)
        self.show(views[0])

    def show(self, view: View) -> None:
        """Answers from this view from now on."""
        self._view, self._index = view, view.index
        self._external = External(view, self.zone_options)

    def passage(self, server: str, view: str) -> Passage:
        return Passage(dict.fromkeys(self._zones.names))

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        stale = self._index.stale
        most_ttl = STALE_TTL if stale else ANY_TTL
        found = self._external.find(question.labels, question.qtype, most_ttl)
        if isinstance(found, NotOurs):
            return await next(query)
        if question.qclass != IN:
            return Reply(REFUSED, until=math.inf)
        if (
            isinstance(found, NxDomain)
            and not isinstance(found, NxServer)
            and question in self.fallthrough
        ):
            reply = await next(query)
            return reply.rests_on(found.keys) if reply else None
        reply = self._reply(found, question, most_ttl)
        if stale and not isinstance(found, NotSynced):
            reply.options.append(STALE_ANSWER)
            reply.keys |= {SYNCED}
        if isinstance(found, Hosted) and found.hosts:
            await _add_hosts(query, reply, found.hosts)
        return reply

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        zone = self._zones.exact(question)
        if zone is None or is_reverse(tuple(map(bytes.lower, question.labels))):
            return None
        if not self._index.synced:
            raise ResolveError(f"zone {zone} cannot be transferred: it is not listed yet")
        owner = question.label
        records = partial(external_records, self._view, self.zone_options, owner)
        return ZoneCopy(self._external.soa(owner), records)

    def _reply(self, found: Found, question: Question, most_ttl: int) -> Reply:
        match found:
            case Records(_, keys, answer, additional):
                reply = Reply(answer=answer, additional=additional, keys=keys, until=math.inf)
                if question.qtype == QTYPE.SOA:
                    reply.serial = self._serial
            case NoData(zone, keys):
                reply = self._negative(0, [self._external.soa(zone, most_ttl)])
                reply.keys = keys
            case NxDomain(zone, keys):
                reply = self._negative(NXDOMAIN, [self._external.soa(zone, most_ttl)])
                reply.keys = keys
            case NotSynced(zone):
                reply = Reply(SERVFAIL, authority=[self._external.soa(zone, most_ttl)])
        reply.authoritative = True
        return reply

    def _negative(self, rcode: int, authority: list[RR]) -> Reply:
        return Reply(rcode, authority=authority, until=math.inf, serial=self._serial)

    def _serial(self) -> int:
        return self._index.external_serial


async def _add_hosts(query: Query, reply: Reply, hosts: Iterable[DNSLabel]) -> None:
    """Puts what this server has for host names behind the records that lead to them."""
    of_srv = query.question.qtype == QTYPE.SRV
    section = reply.additional if of_srv else reply.answer
    for host in hosts:
        for qtype in (QTYPE.A, QTYPE.AAAA) if of_srv else (query.question.qtype,):
            found = await query.ask(host, qtype)
            if found is None:
                reply.rests_on((), 0.0)
                continue
            section += [record for record in found.answer if record not in section]
            reply.truncated |= found.truncated and not of_srv
            reply.rests_on(found.keys, found.until)
