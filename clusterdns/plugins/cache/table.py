"""Replies by question, each for its time. No socket and no clock: `now` is an argument.

Times are monotonic seconds, TTLs whole seconds. All TTLs of a reply are the same: the one that it
is kept by.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from clusterdns.plugins.cache.options import Limits, Rules
from clusterdns.plugins.cache.survey import Survey
from clusterdns.wire.edns import Option
from clusterdns.wire.message import NOERROR, NOTIMP, NXDOMAIN, SERVFAIL
from clusterdns.wire.received import Received, with_ttl
from clusterdns.zone.index import Key

SUCCESS, DENIAL = "success", "denial"
FAILURES = (SERVFAIL, NOTIMP)
# Seconds that a reply without any TTL, or of a kind that none counts for, is kept: CoreDNS's.
SHORT_TTL = 5
# Octets that a store holds for each reply that it may hold: twice what usual replies have. Where
# all are large (DNSSEC, TXT), it holds fewer.
OCTETS_PER_REPLY = 1024


@dataclass(slots=True, eq=False)
class Entry:
    """A reply as it is kept.

    received: its octets as they were sent last, so that a second look in one second costs nothing.
    ttl: seconds from `stored` on. store: SUCCESS or DENIAL.
    authoritative, recursion, options: as in Reply. keys: it rests on these.
    answers: see Survey. good: the reply that answered, which this one took the place of.
    hits, last_hit: how often it was asked for without a longer pause, and when last.
    is_asked_again: somebody has, since it came.
    refreshing: it is being asked for anew since then; 0: it is not. retry_at: not to be before,
        since that failed.
    """

    store: str
    received: Received
    ttls_at: tuple[int, ...]
    ttl: int
    stored: float
    authoritative: bool = False
    recursion: bool | None = None
    options: tuple[Option, ...] = ()
    keys: tuple[Key, ...] = ()
    answers: bool = False
    good: "Entry | None" = None
    hits: int = 0
    last_hit: float = 0.0
    refreshing: float = 0.0
    retry_at: float = 0.0
    sent_ttl: int = -1
    is_asked_again: bool = False

    def left(self, now: float) -> int:
        """Seconds left: the TTL by now. 0 or less: it is over."""
        return self.ttl - max(0, int(now - self.stored))

    @property
    def end(self) -> float:
        """Monotonic seconds at which it is over."""
        return self.stored + self.ttl

    def turn(self, left: int) -> float:
        """When less than so much is left; as `Aging.turn`."""
        return self.stored + (self.ttl - left) + 1

    def with_ttl(self, ttl: int) -> Received:
        """Its octets with this TTL in every record."""
        if ttl != self.sent_ttl:
            self.received = with_ttl(self.received, self.ttls_at, ttl)
            self.sent_ttl = ttl
        return self.received

    def hit(self, now: float, gap_s: float, times: int = 1) -> None:
        """Counts queries; they begin anew after a pause longer than gap_s."""
        self.hits = times if now - self.last_hit > gap_s else self.hits + times
        self.last_hit = now


class Store:
    """Replies of one sort; at the bound those go that nobody asked for the longest.

    capacity, octets: what it holds at most.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.octets = capacity * OCTETS_PER_REPLY
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._resting: dict[Key, set[bytes]] = {}
        self._held = 0  # octets

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def held(self) -> int:
        """Octets of all replies."""
        return self._held

    def get(self, key: bytes) -> Entry | None:
        """The reply, whether its time is over or not."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Entry) -> int:
        """Keeps a reply; gives how many others went for it."""
        if key in self._entries:
            self.drop(key)
        self._entries[key] = entry
        self._held += _size(entry)
        for each in entry.keys:
            self._resting.setdefault(each, set()).add(key)
        gone = 0
        while len(self._entries) > self.capacity or self._held > self.octets:
            self.drop(next(iter(self._entries)))
            gone += 1
        return gone

    def drop(self, key: bytes) -> None:
        """Keeps the reply no longer, if it is here."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._held -= _size(entry)
        for each in entry.keys:
            resting = self._resting[each]
            resting.discard(key)
            if not resting:
                del self._resting[each]

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops the replies that rest on one of these."""
        if not self._resting:
            return
        for each in keys:
            for key in list(self._resting.get(each, ())):
                self.drop(key)


class Table:
    """The replies of one `cache`. key: octets, the same for all who may get the same reply."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.success = Store(rules.success.capacity)
        self.denial = Store(rules.denial.capacity)
        self._stale_s = int(rules.stale.for_s) if rules.stale else 0
        self._prefers_positive = bool(rules.stale and rules.stale.prefer_positive)

    def find(self, key: bytes, now: float) -> Entry | None:
        """The reply to be sent, perhaps a stale one; None: none may be.

        Denials come first; a failure gives way to any success, and with `prefer_positive` all do.
        """
        success = self.success.get(key)
        if self._prefers_positive and self._stale_s and success is not None:
            answer = success if success.answers else success.good
            if answer is not None and self._is_usable(answer, now):
                return answer
        if success is not None and not self._is_usable(success, now):
            success = None
        denial = self.denial.get(key)
        if denial is None or not self._is_usable(denial, now):
            return success
        if denial.received.rcode == SERVFAIL and success is not None:
            return success
        return denial

    def put(self, key: bytes, entry: Entry) -> int:
        """Keeps a reply; gives how many others went for it.

        A success ends a denial: that is over, or this would not have been asked for.
        """
        if entry.store == DENIAL:
            return self.denial.put(key, entry)
        if self._prefers_positive and not entry.answers:
            old = self.success.get(key)
            if old is not None:
                entry.good = old if old.answers else old.good
        if entry.answers or not self._prefers_positive:
            self.denial.drop(key)
        return self.success.put(key, entry)

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops the replies that rest on one of these."""
        self.success.forget(keys)
        self.denial.forget(keys)

    def _is_usable(self, entry: Entry, now: float) -> bool:
        left = entry.left(now)
        return left > 0 or -left < self._stale_s


def judged(told: Survey, rules: Rules) -> tuple[str | None, int]:
    """The store that a reply belongs to, None for no store, and its TTL for all records."""
    success, denial = rules.success, rules.denial
    if told.expired or (told.has_answer and told.rcode == NXDOMAIN):
        return None, within(SHORT_TTL, success)
    if told.rcode == NOERROR and told.has_answer:
        if told.answers:
            return SUCCESS, within(told.ttl, success)
        if not told.has_soa:  # an alias that leads nowhere, without a word for how long
            return None, within(told.ttl, success)
    if told.rcode == NXDOMAIN or (told.rcode == NOERROR and told.has_soa):
        return DENIAL if told.has_soa else None, within(told.negative_ttl, denial)
    if told.rcode in FAILURES:
        ttl = int(rules.servfail_s)
        return DENIAL if ttl else None, ttl
    if told.rcode == NOERROR:
        return SUCCESS, within(None if told.has_ns else told.ttl, success)
    return None, within(SHORT_TTL, success)


def within(ttl: int | None, limits: Limits) -> int:
    """The seconds that a reply is kept whose records say so much; None: they say nothing."""
    return min(max(SHORT_TTL if ttl is None else ttl, limits.min_ttl), limits.ttl)


def _size(entry: Entry) -> int:
    return len(entry.received.octets) + (len(entry.good.received.octets) if entry.good else 0)
