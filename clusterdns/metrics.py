"""Counters as plain integers, added to where things happen and read when somebody looks.

Knows no HTTP and no exposition format. Names are CoreDNS's where it has the counter, otherwise
`clusterdns_..._total`, or `clusterdns_..._UNIT` for histograms and gauges.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Labels = tuple[str, ...]  # label values, in the order of their names


class Counter:
    """A number that only grows, one for each combination of label values."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        """name: ends in `_total`; text: one sentence for people; labels: their names."""
        self.name, self.text, self.labels = name, text, labels
        self.values: Tally[tuple[str, ...]] = Tally()
        COUNTERS.append(self)

    def add(self, *values: str, by: int = 1) -> None:
        """Counts. values: of the labels, in their order."""
        self.values[values] += by

    def total(self) -> int:
        """The sum over all label values."""
        return self.values.total()


class Histogram:
    """How often a figure was at most so large, for each combination of label values.

    A value above the last bound is counted behind it (`+Inf`).
    """

    def __init__(
        self, name: str, text: str, bounds: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> None:
        """name: ends in its unit; bounds: of the buckets, rising, the value itself included."""
        self.name, self.text, self.bounds, self.labels = name, text, bounds, labels
        self.buckets: dict[Labels, list[int]] = {}  # one more than there are bounds; not cumulated
        self.sums: dict[Labels, float] = {}
        HISTOGRAMS.append(self)

    def observe(self, figure: float, *values: str, times: int = 1) -> None:
        """Counts a figure. values: of the labels, in their order."""
        self.put(bisect_left(self.bounds, figure), figure * times, times, *values)

    def add(self, figure: float, labels: Labels) -> None:
        """Counts a figure, label values given as one."""
        buckets = self.buckets.get(labels)
        if buckets is None:
            self.observe(figure, *labels)
            return
        buckets[bisect_left(self.bounds, figure)] += 1
        self.sums[labels] += figure

    def put(self, bucket: int, total: float, times: int, *values: str) -> None:
        """Counts figures that somebody else has put into a bucket, and their total."""
        buckets = self.buckets.get(values)
        if buckets is None:
            buckets = self.buckets[values] = [0] * (len(self.bounds) + 1)
            self.sums[values] = 0.0
        buckets[bucket] += times
        self.sums[values] += total

    def count(self, *values: str) -> int:
        """How many figures were seen with these label values."""
        return sum(self.buckets.get(values, ()))


Reader = Callable[[], Mapping[Labels, float]]


class Gauge:
    """A figure that goes up and down: read from whoever has it, when somebody looks.

    Where several have it, as sources of the same kind do, the largest counts.
    """

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        """name: ends in its unit, if it has one; text: one sentence; labels: their names."""
        self.name, self.text, self.labels = name, text, labels
        self._readers: list[Reader] = []
        GAUGES.append(self)

    @contextmanager
    def given_by(self, reader: Reader) -> Iterator[None]:
        """While inside, the reader is asked for figures by label values."""
        self._readers.append(reader)
        try:
            yield
        finally:
            self._readers.remove(reader)

    def values(self) -> dict[Labels, float]:
        """The figures of this moment, by label values; empty while nobody has any."""
        found: dict[Labels, float] = {}
        for reader in self._readers:
            for labels, figure in reader().items():
                found[labels] = max(figure, found.get(labels, figure))
        return found


# Everything of the process, in the order of definition.
COUNTERS: list[Counter] = []
HISTOGRAMS: list[Histogram] = []
GAUGES: list[Gauge] = []

# Bounds of buckets, CoreDNS's.
SIZES = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000)  # octets
DURATIONS = tuple(0.00025 * 2**power for power in range(16))  # 0.25 ms to 8.2 s

panics = Counter("coredns_panics_total", "Queries that ended in an unexpected exception.")
skipped_objects = Counter(
    "clusterdns_skipped_objects_total",
    "Cluster objects and documents that could not be used.",
    ("kind",),
)
overload_drops = Counter(
    "clusterdns_overload_drops_total",
    "Queries dropped because too many were under way.",
    ("proto",),
)
refused_connections = Counter(
    "clusterdns_refused_connections_total",
    "TCP connections closed at once because too many were open.",
)
send_failures = Counter(
    "clusterdns_send_failures_total",
    "Replies that could not be sent.",
    ("proto",),
)
closed_idle_connections = Counter(
    "clusterdns_closed_idle_connections_total",
    "Idle TCP connections closed before their time to make room for new ones.",
)
dns_programming_duration = Histogram(
    "coredns_kubernetes_dns_programming_duration_seconds",
    "From a change of the cluster, as its slice is annotated, to its being served.",
    tuple(0.001 * 2**power for power in range(20)),  # CoreDNS's: 1 ms to 9 minutes
    ("service_kind",),
)
event_to_answer = Histogram(
    "clusterdns_event_to_answer_seconds",
    "From the arrival of an event of the Kubernetes API to its being served.",
    tuple(0.0001 * 2**power for power in range(16)),  # 0.1 ms to 3 s
    ("kind",),
)
api_lag = Gauge(
    "clusterdns_api_lag_seconds",
    "Since the last event, bookmark or page of the Kubernetes API.",
    ("kind",),
)
_REST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # client-go's
rest_requests = Counter(
    "coredns_kubernetes_rest_client_requests_total",
    "Requests to the Kubernetes API; code is <error> for those without an answer.",
    ("code", "method", "host"),
)
rest_duration = Histogram(
    "coredns_kubernetes_rest_client_request_duration_seconds",
    "From a request to the Kubernetes API to the begin of its answer.",
    _REST_BOUNDS,
    ("verb", "host"),
)
rest_waits = Histogram(
    "coredns_kubernetes_rest_client_rate_limiter_duration_seconds",
    "How long requests to the Kubernetes API waited for their rate limit.",
    _REST_BOUNDS,
    ("verb", "host"),
)
dns_requests = Counter(
    "coredns_dns_requests_total",
    "Queries, by what was asked and how.",
    ("server", "zone", "view", "proto", "family", "type"),
)
dns_do_requests = Counter(
    "coredns_dns_do_requests_total",
    "Queries that ask for DNSSEC records.",
    ("server", "zone", "view"),
)
dns_responses = Counter(
    "coredns_dns_responses_total",
    "Replies, by their rcode.",
    ("server", "zone", "view", "rcode", "plugin"),
)
dns_duration = Histogram(
    "coredns_dns_request_duration_seconds",
    "From a query being read to its reply being ready.",
    DURATIONS,
    ("server", "zone", "view"),
)
dns_request_size = Histogram(
    "coredns_dns_request_size_bytes",
    "Octets of a query.",
    SIZES,
    ("server", "zone", "view", "proto"),
)
dns_response_size = Histogram(
    "coredns_dns_response_size_bytes",
    "Octets of a reply before it was compressed or cut.",
    SIZES,
    ("server", "zone", "view", "proto"),
)
plugin_enabled = Gauge(
    "coredns_plugin_enabled",
    "1 for each directive that queries of a zone pass.",
    ("server", "zone", "view", "name"),
)
rejected_messages = Counter(
    "clusterdns_rejected_messages_total",
    "Messages that were no queries to answer; rcode is empty for those without a reply.",
    ("proto", "rcode"),
)
health_duration = Histogram(
    "coredns_health_request_duration_seconds",
    "How long the health page took to answer the server itself.",
    tuple(0.00025 * 10**power for power in range(5)),  # 0.25 ms to 2.5 s
)
health_failures = Counter(
    "coredns_health_request_failures_total",
    "How often the health page did not answer the server itself.",
)
reload_failures = Counter(
    "coredns_reload_failed_total", "Corefiles that were to take another's place and could not."
)
reload_version = Gauge(
    "coredns_reload_version_info", "1 for the Corefile that runs.", ("hash", "value")
)
last_good = Gauge(
    "clusterdns_last_good_corefile_in_use",
    "1 while the last Corefile that could be used runs, and not the one that is configured.",
)
