"""Metrics of `forward` and `cache` beside CoreDNS, after the same questions."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.metrics_core import Metric

from tests.metering import SERIES, series
from tests.oracle.asking import Edns, Question
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import Side, sides
from tests.oracle.upstreams import Said

pytestmark = needs_coredns

SOA = "test. 60 SOA ns.test. host.test. 7 7200 1800 86400 60"  # with another minimum: D10
SCRIPT = dict(ANSWERS) | {
    "short": Said("@ 2 A 192.0.2.1"),
    "nx": Said(rcode="NXDOMAIN", authority=SOA),
    "nodata": Said(authority=SOA),
}
COREFILE = """
plain.test {
    bind 127.0.0.1
    prometheus @page
    forward . @0
}
kept.test second.test {
    bind 127.0.0.1
    prometheus @page
    cache
    forward . @0
}
some.test {
    bind 127.0.0.1
    prometheus @page
    cache 30 a.some.test b.some.test
    forward . @0
}
stale.test {
    bind 127.0.0.1
    prometheus @page
    cache {
        success 5000 100 1
        serve_stale
        servfail 0
    }
    forward . @0
}
early.test {
    bind 127.0.0.1
    prometheus @page
    cache {
        success 5000 100 1
        prefetch 1 1m 90%
    }
    forward . @0 {
        force_tcp
    }
}
"""
ZONES = (
    *("plain.test", "kept.test", "second.test", "some.test", "a.some.test"),
    *("stale.test", "early.test"),
)
LABELS = ("www", "nx", "nodata", "fail", "refused", "chain", "short", "empty")
EQUAL = (
    "coredns_cache_requests_total",
    "coredns_cache_hits_total",
    "coredns_cache_misses_total",
    "coredns_cache_prefetch_total",
    "coredns_cache_served_stale_total",
    "coredns_cache_drops_total",
    "coredns_cache_evictions_total",
    "coredns_cache_entries",
    "coredns_forward_max_concurrent_rejects_total",
    "coredns_forward_healthcheck_broken_total",
    "coredns_proxy_request_duration_seconds_count",
    "coredns_proxy_healthcheck_failures_total",
    "coredns_dns_requests_total",
    "coredns_dns_responses_total",
)


def questions() -> list[Question]:
    names = [f"{label}.{zone}." for zone in ZONES for label in LABELS]
    found = [Question(name, 1) for name in names]
    found += [Question(name, 1, edns=Edns(1232, 0x8000)) for name in names[::3]]
    found += [Question(name, 1, tcp=True) for name in names[::5]]
    return found


async def asked(side: Side) -> None:
    """Each question when the one before is answered, twice; and again when some are over."""
    for pause_s in (0, 0, 6, 0):
        await asyncio.sleep(pause_s)
        for question in questions():
            await side.answers([question])


async def test_figures(tmp_path: Path) -> None:
    """Equal, each series; but for which questions to upstreams found a socket that was there: by
    UDP, ours go by several at random, and each only carries so many."""
    async with sides(COREFILE, tmp_path, [SCRIPT]) as pair:
        await asyncio.gather(*map(asked, pair))
        await asyncio.sleep(0.2)  # until nothing is asked for behind any more
        theirs, ours = [await side.metrics() for side in pair]
    wrong = [
        f"{sample} {labels}: {one.get(labels)}, ours {other.get(labels)}"
        for sample in EQUAL
        for one, other in [(series(theirs, sample), series(ours, sample))]
        for labels in sorted(one.keys() | other.keys())
        if one.get(labels) != other.get(labels)
    ]
    assert not wrong, "\n".join(wrong)
    assert by_any_socket(ours) == by_any_socket(theirs)


def by_any_socket(families: Mapping[str, Metric]) -> SERIES:
    """How many questions went to each upstream, by transport."""
    hits = series(families, "coredns_proxy_conn_cache_hits_total")
    misses = series(families, "coredns_proxy_conn_cache_misses_total")
    return {each: hits.get(each, 0) + misses.get(each, 0) for each in hits.keys() | misses.keys()}
