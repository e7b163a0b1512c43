"""Counters of upstreams, under the names of CoreDNS since 1.11 and under the older ones, which
dashboards still ask for."""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterable

from clusterdns.metrics import DURATIONS, Counter, Histogram, Labels
from clusterdns.wire.texts import rcode_text

NAME = "forward"  # label proxy_name

healthcheck_broken = Counter(
    "coredns_forward_healthcheck_broken_total",
    "Queries that found every upstream down.",
)
max_concurrent_rejects = Counter(
    "coredns_forward_max_concurrent_rejects_total",
    "Queries refused because max_concurrent others were under way.",
)
durations = Histogram(
    "coredns_proxy_request_duration_seconds",
    "How long upstreams took to reply.",
    DURATIONS,
    ("proxy_name", "to", "rcode"),
)
healthcheck_failures = Counter(
    "coredns_proxy_healthcheck_failures_total",
    "Probes of upstreams that had no reply.",
    ("proxy_name", "to"),
)
connection_hits = Counter(
    "coredns_proxy_conn_cache_hits_total",
    "Queries to upstreams by a socket or connection that was there.",
    ("proxy_name", "to", "proto"),
)
connection_misses = Counter(
    "coredns_proxy_conn_cache_misses_total",
    "Queries to upstreams by a socket or connection of their own.",
    ("proxy_name", "to", "proto"),
)
ignored_replies = Counter(
    "clusterdns_forward_ignored_replies_total",
    "Messages from upstreams that answered nothing they were asked, or came too late.",
    ("to",),
)
shared_questions = Counter(
    "clusterdns_forward_shared_questions_total",
    "Queries that waited for the reply to the same question of another client.",
)


class Figures:
    """What is counted of one upstream."""

    def __init__(self, to: str) -> None:
        self._to = to
        self._by_rcode: dict[int, _Replies] = {}

    def replied(self, rcode: int, seconds: float) -> None:
        """A reply came after so many seconds."""
        replies = self._by_rcode.get(rcode)
        if replies is None:
            replies = self._by_rcode[rcode] = _Replies((NAME, self._to, rcode_text(rcode)))
        replies.buckets[bisect_left(DURATIONS, seconds)] += 1
        durations.sums[replies.labels] += seconds

    def probe_failed(self) -> None:
        """A health probe had no reply."""
        healthcheck_failures.add(NAME, self._to)


class Connections:
    """What is counted of the sockets to one upstream."""

    def __init__(self, to: str, proto: str) -> None:
        """proto: udp, tcp or tcp-tls."""
        self._labels = (NAME, to, proto)

    def hit(self) -> None:
        """A query went by one that was there."""
        connection_hits.values[self._labels] += 1

    def miss(self) -> None:
        """A query had one opened."""
        connection_misses.values[self._labels] += 1


class _Replies:
    """The replies of one upstream with one rcode: their counter, looked up once."""

    __slots__ = ("buckets", "labels")

    def __init__(self, labels: tuple[str, ...]) -> None:
        durations.observe(0.0, *labels, times=0)
        self.labels = labels
        self.buckets = durations.buckets[labels]


class OldCounter(Counter):
    """A counter under the name that it had in CoreDNS until 1.10, without the label proxy_name;
    worked out when somebody looks."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...],
        read: Callable[[], Iterable[tuple[Labels, int]]],
    ) -> None:
        """read: what there is now, by label values; equal ones are added up."""
        self._read = read
        super().__init__(name, text, labels)

    @property
    def values(self) -> Tally[Labels]:
        found = Tally[Labels]()
        for labels, times in self._read():
            found[labels] += times
        return found

    @values.setter
    def values(self, nothing: Tally[Labels]) -> None:
        """Counter begins with nothing, and so does this."""


class OldHistogram(Histogram):
    """The durations under the name and labels that they had until 1.10."""

    @property
    def buckets(self) -> dict[Labels, list[int]]:
        return {labels[1:]: buckets for labels, buckets in durations.buckets.items()}

    @buckets.setter
    def buckets(self, nothing: dict[Labels, list[int]]) -> None:
        """Histogram begins with nothing."""

    @property
    def sums(self) -> dict[Labels, float]:
        return {labels[1:]: total for labels, total in durations.sums.items()}

    @sums.setter
    def sums(self, nothing: dict[Labels, float]) -> None:
        """Histogram begins with nothing."""


def _without_proxy(counter: Counter) -> Callable[[], Iterable[tuple[Labels, int]]]:
    return lambda: ((labels[1:], times) for labels, times in counter.values.items())


def _replies(labels: slice) -> Callable[[], Iterable[tuple[Labels, int]]]:
    """How many replies there were, by some of (proxy_name, to, rcode)."""
    return lambda: ((each[labels], sum(found)) for each, found in durations.buckets.items())


old_requests = OldCounter(
    "coredns_forward_requests_total",
    "Queries to upstreams that had a reply.",
    ("to",),
    _replies(slice(1, 2)),
)
old_responses = OldCounter(
    "coredns_forward_responses_total",
    "Replies of upstreams.",
    ("to", "rcode"),
    _replies(slice(1, 3)),
)
old_durations = OldHistogram(
    "coredns_forward_request_duration_seconds", durations.text, DURATIONS, ("to", "rcode")
)
old_healthcheck_failures = OldCounter(
    "coredns_forward_healthcheck_failures_total",
    healthcheck_failures.text,
    ("to",),
    _without_proxy(healthcheck_failures),
)
old_connection_hits = OldCounter(
    "coredns_forward_conn_cache_hits_total",
    connection_hits.text,
    ("to", "proto"),
    _without_proxy(connection_hits),
)
old_connection_misses = OldCounter(
    "coredns_forward_conn_cache_misses_total",
    connection_misses.text,
    ("to", "proto"),
    _without_proxy(connection_misses),
)
