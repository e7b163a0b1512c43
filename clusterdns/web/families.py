"""Everything that is counted, as metric families of prometheus_client."""

import asyncio
import gc
import platform
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, chain
from typing import NamedTuple

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from clusterdns import __version__, metrics
from clusterdns.metrics import Counter, Gauge, Histogram, Labels

# Those without labels are 0 from the start in CoreDNS, whether their directive is used or not, so
# that an alert on their rate finds them. Here a directive that is not used is not even imported.
ALWAYS = {
    "coredns_forward_healthcheck_broken_total": "Times that no upstream was healthy.",
    "coredns_forward_max_concurrent_rejects_total": "Queries refused by `max_concurrent`.",
    "coredns_hosts_reload_timestamp_seconds": "When the hosts file was read last, Unix time.",
    "coredns_local_localhost_requests_total": "Queries for names below localhost.",
    "coredns_reload_failed_total": "Configurations that could not be loaded.",
}


class Former(NamedTuple):
    """A name that dashboards still ask for, made of what has its place today.

    name: as it was. of: today's. labels: those that it had.
    """

    name: str
    of: str
    labels: Labels


_REQUESTS = "coredns_dns_requests_total"
_PROXY = "coredns_proxy_request_duration_seconds"  # counts and durations of what is forwarded
FORMERLY = (
    # Until CoreDNS 1.7; the dashboard of kube-prometheus-stack asks for them first.
    Former("coredns_dns_request_count_total", _REQUESTS, ("server", "zone", "proto", "family")),
    Former("coredns_dns_request_type_count_total", _REQUESTS, ("server", "zone", "type")),
    Former(
        "coredns_dns_request_do_count_total", "coredns_dns_do_requests_total", ("server", "zone")
    ),
    Former(
        "coredns_dns_response_rcode_count_total",
        "coredns_dns_responses_total",
        ("server", "zone", "rcode"),
    ),
    Former("coredns_panic_count_total", "coredns_panics_total", ()),
    Former("coredns_cache_size", "coredns_cache_entries", ("server", "type")),
    Former("coredns_forward_request_count_total", _PROXY, ("to",)),
    Former("coredns_forward_response_rcode_count_total", _PROXY, ("to", "rcode")),
    # Until CoreDNS 1.11; Grafana 15762 and coredns-mixin ask for them.
    Former("coredns_forward_requests_total", _PROXY, ("to",)),
    Former("coredns_forward_responses_total", _PROXY, ("to", "rcode")),
    Former("coredns_forward_request_duration_seconds", _PROXY, ("to", "rcode")),
    Former(
        "coredns_forward_healthcheck_failures_total",
        "coredns_proxy_healthcheck_failures_total",
        ("to",),
    ),
    Former(
        "coredns_forward_conn_cache_hits_total",
        "coredns_proxy_conn_cache_hits_total",
        ("to", "proto"),
    ),
    Former(
        "coredns_forward_conn_cache_misses_total",
        "coredns_proxy_conn_cache_misses_total",
        ("to", "proto"),
    ),
)

_TOTAL = "_total"


def families(runtime: bool) -> Iterator[Metric]:
    """Every family, made as it is asked for; one that has no series yet is left out.

    runtime: with more of the interpreter's own figures.
    """
    yield _build_info()
    counters = {each.name: each for each in metrics.COUNTERS}
    histograms = {each.name: each for each in metrics.HISTOGRAMS}
    gauges = {each.name: each for each in metrics.GAUGES}
    made: Iterable[Metric | None] = chain(
        (_counter(each.name, each.text, each.labels, each.values) for each in counters.values()),
        (_histogram(each.name, each) for each in histograms.values()),
        (_gauge(each.name, each.text, each.labels, each.values()) for each in gauges.values()),
        (_former(each, counters, histograms, gauges) for each in FORMERLY),
    )
    told = set()
    for family in made:
        if family is not None:
            told.add(family.name)
            yield family
    for name, text in ALWAYS.items():
        if name.removesuffix(_TOTAL) not in told:
            yield _zero(name, text)
    yield from PROCESS_COLLECTOR.collect()
    yield from PLATFORM_COLLECTOR.collect()
    yield from GC_COLLECTOR.collect()
    yield GaugeMetricFamily(
        "clusterdns_tasks", "Tasks of the event loop.", len(asyncio.all_tasks())
    )
    if runtime:
        yield from _runtime()


def _build_info() -> Metric:
    """The interpreter stands where CoreDNS has its compiler; there is no revision."""
    names = ("version", "revision", "goversion")
    family = GaugeMetricFamily("coredns_build_info", "1, for the version that runs.", labels=names)
    family.add_metric((__version__, "", f"python{platform.python_version()}"), 1)
    return family


def _counter(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> Metric | None:
    if not values and not labels:
        values = {(): 0}
    family = CounterMetricFamily(name.removesuffix(_TOTAL), text, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family if values else None


def _gauge(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> Metric | None:
    family = GaugeMetricFamily(name, text, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family if values else None


def _histogram(name: str, histogram: Histogram, labels: Labels | None = None) -> Metric | None:
    """labels: the ones to keep; series that differ in others only are added up."""
    kept = histogram.labels if labels is None else labels
    buckets: dict[Labels, list[int]] = {}
    sums: dict[Labels, float] = {}
    for of, counts in histogram.buckets.items():
        own = _picked(histogram.labels, of, kept)
        before = buckets.get(own, [0] * len(counts))
        buckets[own] = [a + b for a, b in zip(before, counts, strict=True)]
        sums[own] = sums.get(own, 0.0) + histogram.sums[of]
    if not buckets and not kept:
        buckets, sums = {(): [0] * (len(histogram.bounds) + 1)}, {(): 0.0}
    family = HistogramMetricFamily(name, histogram.text, labels=kept)
    bounds = [*(f"{float(bound)!r}".removesuffix(".0") for bound in histogram.bounds), "+Inf"]
    for of, counts in buckets.items():
        cumulated = list(zip(bounds, accumulate(counts), strict=True))
        family.add_metric(of, cumulated, sums[of])
    return family if buckets else None


def _former(
    former: Former,
    counters: Mapping[str, Counter],
    histograms: Mapping[str, Histogram],
    gauges: Mapping[str, Gauge],
) -> Metric | None:
    """What a name of old would say; None where nothing is counted under today's."""
    name, of, labels = former
    if of in histograms and not name.endswith(_TOTAL):
        return _histogram(name, histograms[of], labels)
    found: Counter | Histogram | Gauge | None = (
        counters.get(of) or histograms.get(of) or gauges.get(of)
    )
    if found is None:
        return None
    values: Mapping[Labels, float]
    if isinstance(found, Counter):
        values = found.values
    elif isinstance(found, Gauge):
        values = found.values()
    else:
        values = {own: sum(counts) for own, counts in found.buckets.items()}
    summed: dict[Labels, float] = {}
    for own, value in values.items():
        picked = _picked(found.labels, own, labels)
        summed[picked] = summed.get(picked, 0) + value
    make: Callable[[str, str, Labels, Mapping[Labels, float]], Metric | None]
    make = _counter if name.endswith(_TOTAL) else _gauge
    return make(name, f"What {of} says now.", labels, summed)


def _picked(names: Labels, values: Labels, kept: Labels) -> Labels:
    """The values of the labels that are kept."""
    if names == kept:
        return values
    of = dict(zip(names, values, strict=True))
    return tuple(of[name] for name in kept)


def _zero(name: str, text: str) -> Metric:
    if name.endswith(_TOTAL):
        return CounterMetricFamily(name.removesuffix(_TOTAL), text, 0)
    return GaugeMetricFamily(name, text, 0)


def _runtime() -> Iterator[Metric]:
    """What Python tells of itself beyond what prometheus_client asks it."""
    yield GaugeMetricFamily(
        "python_allocated_blocks", "Memory blocks in use.", sys.getallocatedblocks()
    )
    yield GaugeMetricFamily("python_threads", "Threads that run.", threading.active_count())
    yield GaugeMetricFamily(
        "python_gc_frozen_objects", "Objects that collections pass over.", gc.get_freeze_count()
    )
    waiting = GaugeMetricFamily(
        "python_gc_pending", "Made less deleted since its last collection.", labels=["generation"]
    )
    for generation, count in enumerate(gc.get_count()):
        waiting.add_metric([str(generation)], count)
    yield waiting
