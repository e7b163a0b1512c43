"""Counters of upstreams, under the names of CoreDNS since 1.11; the page tells older ones too."""

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
        self._labels: dict[int, Labels] = {}  # by rcode

    def replied(self, rcode: int, seconds: float) -> None:
        """A reply came after so many seconds."""
        labels = self._labels.get(rcode)
        if labels is None:
            labels = self._labels[rcode] = (NAME, self._to, rcode_text(rcode))
        durations.add(seconds, labels)


class Probes(Figures):
    """What is counted of the probes of one upstream: their failures, as they are no queries."""

    def replied(self, rcode: int, seconds: float) -> None:
        """A reply is not counted."""

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
