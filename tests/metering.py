"""What tests of metrics share: figures that begin at 0, and expositions, parsed."""

from collections import Counter as Tally
from collections.abc import Mapping

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
from prometheus_client.parser import text_string_to_metric_families as of_text

from clusterdns import metrics

QUERIES = (
    "coredns_dns_requests_total",
    "coredns_dns_do_requests_total",
    "coredns_dns_responses_total",
    "coredns_dns_request_duration_seconds_count",
    "coredns_dns_request_size_bytes_count",
    "coredns_dns_request_size_bytes_sum",
    "coredns_dns_response_size_bytes_count",
    "coredns_dns_response_size_bytes_sum",
)
SERIES = dict[tuple[str, ...], float]  # the values of labels, those sorted by name -> figure


@pytest.fixture
def nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every counter and histogram of the process is empty, for one test."""
    for counter in metrics.COUNTERS:
        monkeypatch.setattr(counter, "values", Tally())
    for histogram in metrics.HISTOGRAMS:
        monkeypatch.setattr(histogram, "buckets", {})
        monkeypatch.setattr(histogram, "sums", {})


def read(text: str, openmetrics: bool = False) -> dict[str, Metric]:
    """Families by name, as Prometheus's parser for Python has them; none may be there twice."""
    found = list((of_openmetrics if openmetrics else of_text)(text))
    families = {each.name: each for each in found}
    # go_memstats_alloc_bytes and its _total are one name to this parser, and no family of ours.
    own = [each.name for each in found if not each.name.startswith("go_")]
    assert len(set(own)) == len(own), sorted(own)
    return families


def series(families: Mapping[str, Metric], sample: str) -> SERIES:
    """The figures of all samples of this name."""
    return {
        tuple(value for _, value in sorted(found.labels.items())): found.value
        for family in families.values()
        for found in family.samples
        if found.name == sample
    }


def counted() -> dict[str, dict[tuple[str, ...], float]]:
    """What `metrics` has of queries by now, by the names of QUERIES: labels in their own order."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for counter in (metrics.dns_requests, metrics.dns_do_requests, metrics.dns_responses):
        found[counter.name] = dict(counter.values)
    for each in (metrics.dns_duration, metrics.dns_request_size, metrics.dns_response_size):
        found[f"{each.name}_count"] = {labels: each.count(*labels) for labels in each.buckets}
        found[f"{each.name}_sum"] = dict(each.sums)
    return found
