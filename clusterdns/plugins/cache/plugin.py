"""`cache`: the plugins behind it are asked when no reply is known, or its time is over."""

import asyncio
import math
import struct
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from dnslib import QTYPE

from clusterdns.corefile.tree import Directive
from clusterdns.errors import ResolveError
from clusterdns.metrics import Labels
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.cache import figures
from clusterdns.plugins.cache.background import Background
from clusterdns.plugins.cache.intake import Taken, take, take_plain
from clusterdns.plugins.cache.options import Rules, Stale, read
from clusterdns.plugins.cache.table import DENIAL, SUCCESS, Entry, Table
from clusterdns.plugins.lines import once
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Aging, Query, Reply, Resolve
from clusterdns.plugins.waiter import Waiter
from clusterdns.plugins.zones import Zones
from clusterdns.wire.edns import EXTENDED_ERROR, Option
from clusterdns.wire.message import AD, CD, NXDOMAIN
from clusterdns.wire.plain import Plain
from clusterdns.zone.index import Key

TRANSFERS = (QTYPE.AXFR, QTYPE.IXFR)
QUERY_TIME_S = 5.0  # that asking anew may take, as a client's query
# How long a reply that is being asked for anew is sent on before the next look at it: as long as
# that has taken by then, so that the fresh one is seen soon, and silent upstreams cost few looks.
HOLD_S, MOST_HOLD_S = 0.05, 1.0
STALE_ANSWER, STALE_NXDOMAIN = (  # RFC 8914 sections 4.4 and 4.20
    Option(EXTENDED_ERROR, code.to_bytes(2, "big")) for code in (3, 19)
)

T = TypeVar("T")

_KEY = struct.Struct("!HHB")  # type, class, DO and CD
_ALONE, _WITH_OPT = bytes(6), bytes(5) + b"\1"  # counts of a query's records


class Known(NamedTuple):
    """A reply that is to be asked for anew, and how."""

    key: bytes
    entry: Entry
    query: Query
    next: Resolve


class Cache(Plugin):
    """Keeps what upstreams reply, and all that does not say for itself how long it holds.

    Cluster names do say so: they hold until an event, and are never too old.
    """

    name = "cache"

    def __init__(
        self,
        rules: Rules,
        clock: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self.table = Table(rules)
        self._clock, self._unix = clock, unix
        self._zones = None if "." in rules.zones else Zones(rules.zones)
        self._unkept = {
            SUCCESS: Zones(rules.unkept_successes),
            DENIAL: Zones(rules.unkept_denials),
        }
        self._zones_label = ",".join(rules.zones)
        self._blocks: set[tuple[str, str]] = set()  # server and view: where its replies are asked
        self._background = Background()
        self._epoch = 0  # grows with each `forget`

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Cache":
        return cls(read(once(directives), setup))

    async def serve(self, stopping: asyncio.Event) -> None:
        """Has replies asked for anew in the background, until `stopping` is set."""
        with figures.entries.given_by(self._counts):
            await self._background.serve(stopping)

    def forget(self, keys: Iterable[Key]) -> None:
        self._epoch += 1
        self.table.forget(keys)

    def adopt(self, before: Plugin) -> None:
        if isinstance(before, Cache) and before.rules == self.rules:
            self.table = before.table

    def passage(self, server: str, view: str) -> Passage | None:
        """AD tells upstreams that we know what it means in their reply (RFC 6840 section 5.7)."""
        if self._zones is not None:
            return None
        holds = partial(self._holds, server, view)
        return Passage(holds=holds, back=partial(self._came, server, view), flags=AD)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if not self._takes(query):
            return await next(query)
        key = _key(query)
        now = self._clock()
        entry = self.table.find(key, now)
        if entry is None:
            figures.requests.add(*self._block(query))
            figures.misses.add(*self._block(query))
            return await self._ask(key, query, next)
        self._count(entry, query)
        known = Known(key, entry, query, next)
        if entry.left(now) <= 0 and self.rules.stale:
            return await self._expired(known, self.rules.stale, now)
        if self._prefetches(entry, now):
            self._ask_behind(known, self._prefetch)
        return self._reply(entry, now, query.server, query.view)

    def _holds(
        self, server: str, view: str, asked: Plain, now: float
    ) -> Reply | Literal[False] | None:
        """The reply, if it is only to be sent: it is fresh, and not to be asked for anew.

        It is kept as finished from the third ask on: most names are asked for once or twice, and
        that costs as much as all of the rest.
        """
        entry = self.table.find(asked.key, now)
        if entry is None:
            return None
        left = entry.left(now)
        if left <= 0 or (self.rules.prefetch and now >= self._prefetch_at(entry)):
            return False
        reply = _of(entry, entry.ttl if self.rules.keep_ttl else left)
        if entry.is_asked_again:
            return self._lasting(reply, entry, now, server, view)
        entry.is_asked_again = True
        reply.sent_again = Sender(self, entry, server, view)
        return reply

    def _came(self, server: str, view: str, asked: Plain, reply: Reply, now: float) -> Reply | None:
        """What `_ask` does with a reply, if that is as usual. `_holds` says what is finished."""
        unix = int(self._unix()) if asked.do else None
        entry = take_plain(reply, asked, self.rules, now, unix)
        if entry is False:
            return None
        block = server, self._zones_label, view
        figures.requests.values[block] += 1
        figures.misses.values[block] += 1
        if entry is None or asked in self._unkept[entry.store]:
            return reply
        self._blocks.add((server, view))
        if gone := self.table.put(asked.key, entry):
            figures.evictions.add(server, entry.store, self._zones_label, view, by=gone)
        reply.authoritative = entry.authoritative
        return reply

    def _takes(self, query: Query) -> bool:
        """Whether this may answer. A query with more than a question (a TSIG, say) is nobody
        else's."""
        if self._zones is not None and query.question not in self._zones:
            return False
        counts = _ALONE if query.edns is None else _WITH_OPT
        return query.question.qtype not in TRANSFERS and query.octets[6:12] == counts

    async def _ask(self, key: bytes, query: Query, next: Resolve) -> Reply | None:
        """What the plugins behind say; it is kept."""
        epoch = self._epoch
        reply = await _passed(query, next)
        if reply is None:
            return None
        taken = self._taken(reply, query)
        entry = self._keep(key, taken, query, epoch)
        if entry is None:
            return taken.reply
        return self._reply(entry, entry.stored, query.server, query.view)

    def _taken(self, reply: Reply, query: Query) -> Taken:
        unix = int(self._unix()) if query.edns is not None and query.edns.do else None
        taken = take(reply, query.question, self.rules, self._clock(), unix)
        if taken.is_other:
            figures.drops.add(*self._block(query))
        return taken

    def _keep(
        self, key: bytes, taken: Taken, query: Query, epoch: int, is_anew: bool = False
    ) -> Entry | None:
        """What was kept; None: nothing is to be kept, or an event may have touched it meanwhile.

        is_anew: it takes the place of a reply that was kept, which would be sent on otherwise. So
            it is kept in spite of `disable`, as by CoreDNS.
        """
        entry = taken.entry
        if entry is None or (not is_anew and query.question in self._unkept[entry.store]):
            return None
        if entry.keys and epoch != self._epoch:
            return None
        self._blocks.add((query.server, query.view))
        if gone := self.table.put(key, entry):
            figures.evictions.add(*self._of_store(entry, query), by=gone)
        return entry

    def _reply(self, entry: Entry, now: float, server: str, view: str) -> Reply:
        """The reply of this second."""
        reply = _of(entry, entry.ttl if self.rules.keep_ttl else entry.left(now))
        return self._lasting(reply, entry, now, server, view)

    def _lasting(self, reply: Reply, entry: Entry, now: float, server: str, view: str) -> Reply:
        """What this second's reply must say to count itself down until it is over."""
        left = entry.left(now)
        end = entry.end
        if self.rules.prefetch:
            start = self._prefetch_at(entry)
            hold_s = _hold_s(entry, now) if entry.refreshing else 0.0  # or this query counts
            end = start if now < start else min(end, now + hold_s)
        reply.until = end
        if not self.rules.keep_ttl and entry.ttls_at:
            reply.until = min(end, entry.turn(left))
            if end > reply.until:
                reply.aging = Aging(entry.stored, entry.ttl, end, entry.ttls_at)
        reply.sent_again = Sender(self, entry, server, view)
        return reply

    async def _expired(self, known: Known, stale: Stale, now: float) -> Reply | None:
        """The stale reply, or the fresh one if that is to be waited for and comes in time."""
        entry = known.entry
        may_ask = not stale.recheck_s or not (entry.refreshing or now < entry.retry_at)
        if stale.verify and may_ask:
            fresh = await self._verified(known, stale)
            if fresh is not None:
                return fresh
        elif may_ask:
            self._ask_behind(known, self._renewed)
        figures.served_stale.add(*self._block(known.query))
        return self._stale(known, stale, now)

    def _stale(self, known: Known, stale: Stale, now: float) -> Reply:
        entry, query = known.entry, known.query
        reply = _of(entry, entry.ttl if self.rules.keep_ttl and not stale.ttl else stale.ttl)
        is_nxdomain = reply.rcode == NXDOMAIN
        reply.options = [*reply.options, STALE_NXDOMAIN if is_nxdomain else STALE_ANSWER]
        until = now if stale.verify else now + _hold_s(entry, now)
        if now < entry.retry_at and not entry.refreshing:  # nothing better can come before
            until = entry.retry_at
        reply.until = min(until, entry.end + stale.for_s)
        reply.sent_again = StaleSender(self, entry, query.server, query.view)
        return reply

    async def _verified(self, known: Known, stale: Stale) -> Reply | None:
        """The fresh reply, if one comes in time that may take the stale one's place."""
        if not stale.verify_s or not self._background.has_room:
            known.entry.refreshing = self._clock()
            try:
                return await self._renewed(known)
            finally:
                known.entry.refreshing = 0.0
        waiter = Waiter[Reply | None]()
        task = self._start(known, self._renewed)
        task.add_done_callback(lambda done: waiter.set(None if done.cancelled() else done.result()))
        timer = asyncio.get_running_loop().call_later(stale.verify_s, waiter.set, None)
        try:
            return await waiter
        finally:
            timer.cancel()

    def _ask_behind(
        self, known: Known, ask: Callable[[Known], Coroutine[Any, Any, object]]
    ) -> None:
        """Asks anew in the background, once for all who want it.

        By TCP where the client's transport decides that, so that no reply is cut.
        """
        if not known.entry.refreshing and self._background.has_room:
            figures.prefetches.add(*self._block(known.query))
            self._start(known._replace(query=replace(known.query, transport="tcp")), ask)

    def _start(
        self, known: Known, ask: Callable[[Known], Coroutine[Any, Any, T]]
    ) -> "asyncio.Task[T | None]":
        now = self._clock()
        query = replace(known.query, received=now, deadline=now + QUERY_TIME_S)
        known.entry.refreshing = now
        task = self._background.start(ask(known._replace(query=query)))
        task.add_done_callback(partial(_refreshed, known.entry))
        return task

    async def _prefetch(self, known: Known) -> None:
        """Asks before the end; whatever is said then is kept."""
        key, old, query, next = known
        epoch = self._epoch
        try:
            reply = await _passed(query, next)
        except ResolveError:
            return
        if reply is None:
            return
        entry = self._keep(key, self._taken(reply, query), query, epoch, is_anew=True)
        if entry is not None:
            entry.hits, entry.last_hit = old.hits, old.last_hit

    async def _renewed(self, known: Known) -> Reply | None:
        """The reply that takes the place of a stale one; None: that stays (RFC 8767 section 4)."""
        key, old, query, next = known
        taken, epoch = None, self._epoch
        try:
            reply = await _passed(query, next)
            taken = None if reply is None else self._taken(reply, query)
        except ResolveError:
            pass
        stale = self.rules.stale
        assert stale is not None
        if taken is None or not taken.may_replace:
            old.retry_at = self._clock() + stale.recheck_s
        if taken is None:
            return None
        entry = None
        if taken.may_replace or stale.prefer_positive:
            entry = self._keep(key, taken, query, epoch, is_anew=True)
        if not taken.may_replace:
            return None
        if entry is None:
            return taken.reply
        entry.hits, entry.last_hit = old.hits, old.last_hit
        return self._reply(entry, entry.stored, query.server, query.view)

    def _prefetches(self, entry: Entry, now: float) -> bool:
        """Counts a query; whether the reply is to be asked for anew before its end."""
        prefetch = self.rules.prefetch
        if prefetch is None:
            return False
        entry.hit(now, prefetch.gap_s)
        return entry.hits >= prefetch.amount and now >= self._prefetch_at(entry)

    def _prefetch_at(self, entry: Entry) -> float:
        assert self.rules.prefetch is not None
        last = math.ceil(self.rules.prefetch.percentage / 100 * entry.ttl)
        return entry.stored + (entry.ttl - last)

    def sent_again(self, entry: Entry, server: str, view: str, times: int, until: float) -> None:
        """Counts queries that were answered without asking here.

        until: monotonic seconds; the last of them came before.
        """
        block = server, self._zones_label, view
        figures.requests.add(*block, by=times)
        figures.hits.add(server, entry.store, *block[1:], by=times)
        if self.rules.prefetch is not None:
            entry.hit(until, self.rules.prefetch.gap_s, times)

    def sent_stale(self, server: str, view: str, times: int) -> None:
        """The same, on top, of a reply whose time is over."""
        figures.served_stale.add(server, self._zones_label, view, by=times)

    def _count(self, entry: Entry, query: Query) -> None:
        figures.requests.add(*self._block(query))
        figures.hits.add(*self._of_store(entry, query))

    def _block(self, query: Query) -> Labels:
        return query.server, self._zones_label, query.view

    def _of_store(self, entry: Entry, query: Query) -> Labels:
        return query.server, entry.store, self._zones_label, query.view

    def _counts(self) -> dict[Labels, float]:
        stores = {SUCCESS: self.table.success, DENIAL: self.table.denial}
        return {
            (server, store, self._zones_label, view): float(len(held))
            for server, view in self._blocks
            for store, held in stores.items()
        }


class Sender:
    """Tells a cache how often a reply was sent without asking it.

    There is one for each finished answer: a `partial` of a method would be three objects, which
    every collection of garbage looks at.
    """

    __slots__ = ("cache", "entry", "server", "view")

    def __init__(self, cache: Cache, entry: Entry, server: str, view: str) -> None:
        self.cache, self.entry = cache, entry
        self.server, self.view = server, view

    def __call__(self, times: int, until: float) -> None:
        """until: monotonic seconds; the last time was before."""
        self.cache.sent_again(self.entry, self.server, self.view, times, until)


class StaleSender(Sender):
    """The same of a reply whose time is over."""

    __slots__ = ()

    def __call__(self, times: int, until: float) -> None:
        super().__call__(times, until)
        self.cache.sent_stale(self.server, self.view, times)


def _refreshed(entry: Entry, _: object) -> None:
    entry.refreshing = 0.0


def _hold_s(entry: Entry, now: float) -> float:
    took_s = now - entry.refreshing if entry.refreshing else 0.0
    return min(max(HOLD_S, took_s), MOST_HOLD_S)


async def _passed(query: Query, next: Resolve) -> Reply | None:
    """What the plugins behind say; AD tells upstreams that we know what it means in their reply
    (RFC 6840 section 5.7), so that clients that want it can have it from what is kept."""
    flags = query.flags
    query.flags = flags | AD
    try:
        return await next(query)
    finally:
        query.flags = flags


def _key(query: Query) -> bytes:
    """All that decides which reply is right: DO and CD beside the question."""
    question, edns = query.question, query.edns
    bits = (query.flags & CD) | (edns is not None and edns.do)
    return _KEY.pack(question.qtype, question.qclass, bits) + question.folded


def _of(entry: Entry, ttl: int) -> Reply:
    reply = Reply.of(entry.with_ttl(ttl))
    reply.authoritative = entry.authoritative
    reply.recursion = entry.recursion
    reply.options = list(entry.options)
    if entry.keys:
        reply.keys = frozenset(entry.keys)
    return reply
