"""Queries and replies counted as plain integers, one socket at a time; metrics add them up.

A query that takes the full path is counted there and then. A finished answer counts how often it
was sent again, one addition, and that number is folded into its kind when the answer is dropped or
somebody looks. So a hit pays for nothing but that addition, and its wake-up for one look at the
clock.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clusterdns import metrics
from clusterdns.wire.message import BADVERS
from clusterdns.wire.texts import rcode_text, type_text

DROPPED = "dropped"  # the zone of queries that no server block was asked, CoreDNS's word

_TYPES = {  # those that are told apart, as in CoreDNS; the others would be any number of series
    qtype: type_text(qtype)
    for qtype in (1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 46, 47, 48, 50, 64, 65, 251, 252, 255)
}
_OTHER = "other"


class Outcome(NamedTuple):
    """What metrics tell apart of a query and what became of it."""

    zone: str  # the server block's that matched, or DROPPED
    view: str
    qtype: int
    do: bool  # the query asks for DNSSEC records
    rcode: int | None  # None: no reply was sent
    plugin: str  # see `Block.writer`; "" when none wrote the reply


class Kind:
    """Queries that are alike in all that metrics tell apart, and how many there were."""

    __slots__ = (
        "asked",
        "hits",
        "outcome",
        "request_bucket",
        "request_octets",
        "response_bucket",
        "response_octets",
    )

    def __init__(self, outcome: Outcome, request_bucket: int, response_bucket: int) -> None:
        """The buckets are those of metrics.SIZES."""
        self.outcome = outcome
        self.request_bucket = request_bucket
        self.response_bucket = response_bucket
        self.clear()

    def clear(self) -> None:
        """Begins again with nothing counted."""
        self.asked = 0  # took the full path
        self.hits = 0  # had a finished answer
        self.request_octets = 0
        self.response_octets = 0

    def ask(self, request_size: int, response_size: int) -> None:
        """Counts a query that took the full path."""
        self.asked += 1
        self.request_octets += request_size
        self.response_octets += response_size

    def hit(self, times: int, request_size: int, response_size: int) -> None:
        """Counts queries of one size that one finished answer was sent to."""
        self.hits += times
        self.request_octets += times * request_size
        self.response_octets += times * response_size


class Tally:
    """What came in by one socket since metrics were told.

    server, proto, family: as they stand in the labels; family is "1" for IPv4, "2" for IPv6.
    """

    def __init__(self, server: str = "", proto: str = "", family: str = "") -> None:
        self.server, self.proto, self.family = server, proto, family
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._batches = Batches()

    def ask(self, outcome: Outcome, request_size: int, response_size: int, seconds: float) -> Kind:
        """Counts a query that took the full path, and gives the kind that it is of.

        response_size: octets before compression and truncation.
        """
        kind = self._kind(
            outcome,
            bisect_left(metrics.SIZES, request_size),
            bisect_left(metrics.SIZES, response_size),
        )
        kind.ask(request_size, response_size)
        metrics.dns_duration.observe(seconds, self.server, outcome.zone, outcome.view)
        return kind

    def ask_again(self, kind: Kind, request_size: int, response_size: int, seconds: float) -> None:
        """Counts a query of the full path that differs from others of the kind in its size."""
        bucket = bisect_left(metrics.SIZES, request_size)
        outcome = kind.outcome
        self._kind(outcome, bucket, kind.response_bucket).ask(request_size, response_size)
        metrics.dns_duration.observe(seconds, self.server, outcome.zone, outcome.view)

    def batch(self, hits: int, seconds: float) -> None:
        """Takes the time that so many hits took together."""
        self._batches.add(hits, seconds)

    def tell(self) -> None:
        """Adds to the metrics what was counted since the last time."""
        hits: Counter[tuple[str, str]] = Counter()
        for kind in self._kinds.values():
            if kind.asked or kind.hits:
                self._tell(kind)
                hits[kind.outcome.zone, kind.outcome.view] += kind.hits
                kind.clear()
        for (zone, view), buckets, seconds in self._batches.divided(hits.items()):
            for bucket, times in enumerate(buckets):
                if times:
                    metrics.dns_duration.put(bucket, 0.0, times, self.server, zone, view)
            if any(buckets):
                metrics.dns_duration.put(0, seconds, 0, self.server, zone, view)

    def _kind(self, outcome: Outcome, request_bucket: int, response_bucket: int) -> Kind:
        zone, view, qtype, do, rcode, plugin = outcome
        # By the type's word and not its number: there are 65536 of these.
        word = _TYPES.get(qtype, _OTHER)
        key = (zone, view, word, do, rcode, plugin, request_bucket, response_bucket)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind(outcome, request_bucket, response_bucket)
        return kind

    def _tell(self, kind: Kind) -> None:
        zone, view, qtype, do, rcode, plugin = kind.outcome
        times = kind.asked + kind.hits
        block = self.server, zone, view
        word = _TYPES.get(qtype, _OTHER)
        metrics.dns_requests.add(*block, self.proto, self.family, word, by=times)
        metrics.dns_request_size.put(
            kind.request_bucket, kind.request_octets, times, *block, self.proto
        )
        if do:
            metrics.dns_do_requests.add(*block, by=times)
        if rcode is not None:
            metrics.dns_responses.add(*block, _rcode(rcode), plugin, by=times)
            metrics.dns_response_size.put(
                kind.response_bucket, kind.response_octets, times, *block, self.proto
            )


class Series:
    """Queries of one zone that are relayed: `Tally.ask` for the same few kinds again and again."""

    _MOST = 4096  # kinds looked up; beyond it begins anew, which costs a microsecond each

    def __init__(self, tally: Tally, zone: str, plugin: str) -> None:
        """plugin: see Outcome."""
        self._tally = tally
        self._zone, self._plugin = zone, plugin
        self._kinds: dict[int, Kind] = {}
        self._labels = (tally.server, zone, "")

    def ask(
        self,
        qtype: int,
        do: bool,
        rcode: int,
        request_size: int,
        response_size: int,
        seconds: float,
    ) -> Kind:
        """Counts a query and its reply, and gives the kind that it is of."""
        key = ((qtype << 5 | do << 4 | rcode) << 16 | request_size) << 16 | response_size
        kind = self._kinds.get(key)
        if kind is None:
            outcome = Outcome(self._zone, "", qtype, do, rcode, self._plugin)
            kind = self._tally.ask(outcome, request_size, response_size, seconds)
            if len(self._kinds) >= self._MOST:
                self._kinds.clear()
            self._kinds[key] = kind
            return kind
        kind.asked += 1
        kind.request_octets += request_size
        kind.response_octets += response_size
        metrics.dns_duration.add(seconds, self._labels)
        return kind


class Batches:
    """How long hits took: each wake-up's time, in equal parts to the hits of that wake-up.

    To look at the clock for each hit would cost more than to count it, and hits are alike: what
    makes one slow, a process that does not get the processor, makes its whole batch slow.
    """

    def __init__(self) -> None:
        self._clear()

    def add(self, hits: int, seconds: float) -> None:
        """Takes the time that so many hits took together."""
        self._buckets[bisect_left(metrics.DURATIONS, seconds / hits)] += hits
        self._seconds += seconds

    def divided(
        self, hits: Iterable[tuple[tuple[str, str], int]]
    ) -> Iterator[tuple[tuple[str, str], list[int], float]]:
        """Buckets and seconds for each zone and view by its number of hits; begins anew.

        A batch knows no zones. Each gets hits from every bucket in the proportion of all; what is
        left at the end belongs to server blocks that are not counted.
        """
        pool, seconds = self._buckets, self._seconds
        self._clear()
        left = sum(pool)
        for block, wanted in hits:
            count = min(wanted, left)
            share = _share(pool, count, left)
            part = seconds * count / left if left else 0.0
            pool = [have - taken for have, taken in zip(pool, share, strict=True)]
            left, seconds = left - count, seconds - part
            yield block, share, part

    def _clear(self) -> None:
        self._buckets = [0] * (len(metrics.DURATIONS) + 1)
        self._seconds = 0.0


def _share(pool: Iterable[int], count: int, total: int) -> list[int]:
    """So many of a pool with this total, from every part in proportion; never more than it has."""
    share = []
    seen = given = 0
    for have in pool:
        seen += have
        upto = seen * count // total if total else 0
        share.append(upto - given)
        given = upto
    return share


def _rcode(rcode: int) -> str:
    """In words. 16 in an OPT is BADVERS (RFC 6891 section 9), not the BADSIG of TSIG records."""
    return "BADVERS" if rcode == BADVERS else rcode_text(rcode)
