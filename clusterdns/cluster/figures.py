"""What is told about following the kinds of an API, to metrics and pages."""

from dataclasses import dataclass

from clusterdns.metrics import Counter

relists = Counter(
    "clusterdns_api_relists_total", "Lists of a kind after its first complete one.", ("kind",)
)
reconnects = Counter(
    "clusterdns_api_reconnects_total",
    "Requests to the Kubernetes API that failed or broke off.",
    ("kind",),
)
decode_errors = Counter(
    "clusterdns_api_decode_errors_total", "Objects from the API that cannot be used.", ("kind",)
)


@dataclass
class Figures:
    """What is told about one kind. Times are those that the driver gave as `now`."""

    heard: float | None = None  # the last event, bookmark or page
    synced: bool = False
    relists: int = 0
    reconnects: int = 0
    decode_errors: int = 0
