"""Counters of upstreams, under the names of CoreDNS since 1.11 and under the older ones, which
dashboards still ask for."""

from bisect import bisect_left

from clusterdns.metrics import Counter, Histogram
from clusterdns.wire.texts import rcode_text

NAME = "forward"  # label proxy_name
BOUNDS = tuple(0.00025 * 2**power for power in range(16))  # CoreDNS's: 0.25 ms to 8.2 s

healthcheck_broken = Counter(
    "coredns_forward_healthcheck_broken_total",
    "Queries that found every upstream down.",
)
max_concurrent_rejects = Counter(
    "coredns_forward_max_concurrent_rejects_total",
    "Queries refused because max_concurrent others were under way.",
)
_durations = Histogram(
    "coredns_proxy_request_duration_seconds",
    "How long upstreams took to reply.",
    BOUNDS,
    ("proxy_name", "to", "rcode"),
)
_healthcheck_failures = Counter(
    "coredns_proxy_healthcheck_failures_total",
    "Probes of upstreams that had no reply.",
    ("proxy_name", "to"),
)
_connection_hits = Counter(
    "coredns_proxy_conn_cache_hits_total",
    "Queries to upstreams by a socket or connection that was there.",
    ("proxy_name", "to", "proto"),
)
_connection_misses = Counter(
    "coredns_proxy_conn_cache_misses_total",
    "Queries to upstreams by a socket or connection of their own.",
    ("proxy_name", "to", "proto"),
)
_old_requests = Counter(
    "coredns_forward_requests_total", "Queries sent to upstreams that replied.", ("to",)
)
_old_responses = Counter(
    "coredns_forward_responses_total", "Replies of upstreams.", ("to", "rcode")
)
_old_durations = Histogram(
    "coredns_forward_request_duration_seconds",
    "How long upstreams took to reply.",
    BOUNDS,
    ("to", "rcode"),
)
_old_healthcheck_failures = Counter(
    "coredns_forward_healthcheck_failures_total",
    "Probes of upstreams that had no reply.",
    ("to",),
)
_old_connection_hits = Counter(
    "coredns_forward_conn_cache_hits_total",
    "Queries to upstreams by a socket or connection that was there.",
    ("to", "proto"),
)
_old_connection_misses = Counter(
    "coredns_forward_conn_cache_misses_total",
    "Queries to upstreams by a socket or connection of their own.",
    ("to", "proto"),
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
        self._request = (to,)
        self._by_rcode: dict[int, _Replies] = {}

    def replied(self, rcode: int, seconds: float) -> None:
        """A reply came after so many seconds."""
        replies = self._by_rcode.get(rcode)
        if replies is None:
            replies = self._by_rcode[rcode] = _Replies(self._to, rcode_text(rcode))
        _old_requests.values[self._request] += 1
        replies.add(seconds)

    def probe_failed(self) -> None:
        """A health probe had no reply."""
        _healthcheck_failures.add(NAME, self._to)
        _old_healthcheck_failures.add(self._to)


class Connections:
    """What is counted of the sockets to one upstream."""

    def __init__(self, to: str, proto: str) -> None:
        """proto: udp, tcp or tcp-tls."""
        self._labels = (NAME, to, proto)
        self._old_labels = (to, proto)

    def hit(self) -> None:
        """A query went by one that was there."""
        _connection_hits.values[self._labels] += 1
        _old_connection_hits.values[self._old_labels] += 1

    def miss(self) -> None:
        """A query had one opened."""
        _connection_misses.values[self._labels] += 1
        _old_connection_misses.values[self._old_labels] += 1


class _Replies:
    """The replies of one upstream with one rcode; the look-ups of their counters done once."""

    def __init__(self, to: str, rcode: str) -> None:
        self._labels, self._old_labels = (NAME, to, rcode), (to, rcode)
        _durations.observe(0.0, *self._labels, times=0)
        _old_durations.observe(0.0, *self._old_labels, times=0)
        self._buckets = _durations.buckets[self._labels]
        _old_durations.buckets[self._old_labels] = self._buckets  # the same figures

    def add(self, seconds: float) -> None:
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        _durations.sums[self._labels] += seconds
        _old_durations.sums[self._old_labels] += seconds
        _old_responses.values[self._old_labels] += 1
