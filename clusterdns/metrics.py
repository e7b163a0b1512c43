"""Counters as plain integers, added to where things happen and read when somebody looks.

Knows no HTTP and no exposition format. Names are CoreDNS's where it has the counter, otherwise
`clusterdns_..._total`.
"""

from collections import Counter as Tally


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


COUNTERS: list[Counter] = []  # every counter of the process, in the order of definition

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
