"""From a question to what a fetched zone says."""

import asyncio
import logging
from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import zone_names
from clusterdns.plugins.base import Plugin, Setup, ZoneCopy
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.secondary.catalogs import Catalogs, members
from clusterdns.plugins.secondary.follower import Follower
from clusterdns.plugins.secondary.options import Options
from clusterdns.plugins.zonefiles import answer, outside, zone_copy
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import IN, NOTIFY, OPCODE
from clusterdns.wire.question import Question
from clusterdns.zone.index import Key
from clusterdns.zone.masterfile import Zone

log = logging.getLogger(__name__)


class Secondary(Plugin):
    """Zones of other servers, those among them that catalogs add."""

    name = "secondary"
    passes_notify = takes_notify = True

    def __init__(
        self, options: Sequence[Options], fallthrough: Sequence[str], setup: Setup
    ) -> None:
        """fallthrough: zones whose missing names the next plugin is asked for."""
        self._setup = setup
        self._fallthrough = Zones(fallthrough)
        self._catalogs = Catalogs(
            {z: each.members for each in options if each.members is not None for z in each.zones}
        )
        static = {zone: self._follower(zone, each) for each in options for zone in each.zones}
        self._static = frozenset(static)
        # What answers rest on where catalogs decide which zones there are.
        self._which: Key = ("secondary zones", " ".join(static))
        self._keys = frozenset([self._which] if self._catalogs else [])
        self._tasks: set[asyncio.Task[None]] | None = None  # None: nothing is followed
        self._served: tuple[Zones, dict[str, Follower]] = Zones(static), static

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Secondary":
        """Of several `fallthrough` the last counts for all, as in CoreDNS."""
        options = []
        fallthrough: tuple[str, ...] = ()

        def passing(line: Directive) -> None:
            nonlocal fallthrough
            fallthrough = zone_names(line.arguments, (".",), setup.warnings)

        for directive in directives:
            with setup.attempt():
                options.append(Options(directive, setup, passing))
        return cls(options, fallthrough, setup)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        zones, followers = self._served
        if (query.flags & OPCODE) >> 11 == NOTIFY:
            zone = zones.exact(question)
            if zone is None:
                return await next(query)
            # To whom it is no business nothing is said, as by CoreDNS.
            is_known = followers[zone].notify(query.peer[0])
            return Reply(authoritative=True) if is_known else None
        zone = zones.match(question)
        if zone is None or question.qclass != IN:
            reply = await outside(self, query, next)
        else:
            passes = question in self._fallthrough
            reply = await answer(followers[zone], query, next, passes)
        return reply.rests_on(self._keys) if reply else None

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        zones, followers = self._served
        zone = zones.exact(question)
        return None if zone is None else zone_copy(followers[zone])

    def adopt(self, before: Plugin) -> None:
        if not isinstance(before, Secondary):
            return
        _, known = before._served
        _, static = self._served
        for zone in (zone for zone in static if zone in self._catalogs and zone in known):
            if (version := known[zone].zone) is not None:
                self._apply(zone, version)
        for zone, follower in self._served[1].items():
            if zone in known and known[zone].primaries == follower.primaries:
                follower.take_over(known[zone])

    async def serve(self, stopping: asyncio.Event) -> None:
        """Keeps all zones up to date, until `stopping` is set."""
        self._tasks = set()
        for zone, follower in self._served[1].items():
            self._start(zone, follower)
        try:
            await stopping.wait()
        finally:
            tasks, self._tasks = self._tasks, None
            for follower in self._served[1].values():
                follower.stop()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, zone: str, follower: Follower) -> None:
        """Follows this zone from now on, if zones are followed."""
        if self._tasks is not None:
            task = follower.start()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if follower.authority is not None:
            self._setup.changed(zone)

    def _follower(self, zone: str, options: Options) -> Follower:
        if options.members is None:
            return Follower(zone, options.primaries, self._changed)
        return Follower(zone, options.primaries, self._changed, check=members)

    def _changed(self, follower: Follower, is_new: bool) -> None:
        self._setup.forget({follower.key})
        if is_new:
            if follower.origin in self._catalogs and follower.zone is not None:
                self._apply(follower.origin, follower.zone)
            self._setup.changed(follower.origin)

    def _apply(self, catalog: str, version: Zone) -> None:
        """Serves the zones that this version of a catalog has."""
        starts, gone = self._catalogs.apply(catalog, members(version), self._static)
        _, known = self._served
        followers = {zone: each for zone, each in known.items() if zone not in gone}
        for zone, keeps in starts.items():
            followers[zone] = Follower(zone, known[catalog].primaries, self._changed)
            if keeps:
                followers[zone].take_over(known[zone])
        self._served = Zones(followers), followers
        for zone in (*starts, *gone):
            if zone in known:
                known[zone].stop()
        for zone in starts:
            self._start(zone, followers[zone])
        log.info("catalog %s: %d zones come, %d go", catalog, len(starts), len(gone))
        if self._tasks is not None:  # else nobody has asked this plugin yet
            old = (known[zone].key for zone in (*starts, *gone) if zone in known)
            self._setup.forget({self._which, *old})
