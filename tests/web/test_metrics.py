"""The page of `prometheus`, read by Prometheus's own parsers, against the tables of section 4."""

import asyncio
import gzip
import platform
import re
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.metrics_core import Metric

from clusterdns import __version__, metrics
from clusterdns.metrics import Counter, Gauge, Histogram
from clusterdns.server.counting import Outcome, Tally
from clusterdns.web import metrics as page
from clusterdns.web.families import ALWAYS, FORMERLY
from clusterdns.web.metrics import exposition, serve_metrics
from tests.families import FROM_THE_START, OF_QUERIES, OF_THE_CLUSTER
from tests.metering import nothing_counted, read, series
from tests.web.client import asked

pytestmark = pytest.mark.usefixtures("nothing_counted")
__all__ = ["nothing_counted"]

TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"  # 4.1
# What Prometheus 3 sends.
OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
    "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

TABLE = {
    **FROM_THE_START,
    **OF_QUERIES,
    **OF_THE_CLUSTER,
    "process_cpu_seconds": ("counter", "", ""),
    "process_resident_memory_bytes": ("gauge", "", ""),
    "process_open_fds": ("gauge", "", ""),
    "process_start_time_seconds": ("gauge", "", ""),
    "clusterdns_tasks": ("gauge", "", ""),
}


def one_of_each() -> None:
    """Something counted under every label."""
    tally = Tally("dns://:53", "udp", "1")
    tally.ask(Outcome(".", "", 1, True, 0, "errors"), 40, 90, 0.001)
    tally.tell()
    metrics.dns_programming_duration.observe(0.1, "cluster_ip")


async def found(accept: str = "", runtime: bool = False) -> dict[str, Metric]:
    body, _ = await exposition(accept, runtime)
    return read(body.decode(), bool(accept))


def buckets(family: Metric) -> str:
    """The bounds of one series, in their order, without the last."""
    bounds = [sample.labels["le"] for sample in family.samples if "le" in sample.labels]
    bounds = bounds[: bounds.index("+Inf")]
    return " ".join(f"{float(bound):g}" for bound in bounds)


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "OpenMetrics"])
@pytest.mark.parametrize("name", TABLE)
async def test_name_type_labels_and_buckets(name: str, accept: str) -> None:
    kind, labels, bounds = TABLE[name]
    one_of_each()
    with metrics.plugin_enabled.given_by(lambda: {("dns://:53", ".", "", "errors"): 1.0}):
        families = await found(accept)
    family = families[name]
    assert family.type == kind
    assert family.documentation.endswith(".")
    for sample in family.samples:
        assert sample.name.startswith(f"{name}_total" if kind == "counter" else name)
        assert set(sample.labels) - {"le"} == set(labels.split())
    assert (buckets(family) if bounds else "") == bounds


async def test_both_formats_say_the_same() -> None:
    one_of_each()
    text, openmetrics = await found(), await found(OPENMETRICS)
    assert text.keys() == openmetrics.keys()
    for name, family in text.items():
        if name.startswith("coredns_"):
            assert family.samples == openmetrics[name].samples


async def test_bounds_are_spelled_as_go_spells_them() -> None:
    """4.1: `le` is compared as text by queries."""
    one_of_each()
    body, _ = await exposition()
    lines = [line for line in body.decode().splitlines() if "_bucket{" in line]
    told = {line.partition('le="')[2].partition('"')[0] for line in lines}
    assert {"0", "100", "16000", "0.00025", "8.192", "524.288", "+Inf"} <= told
    assert not [bound for bound in told if bound.endswith(".0")]


async def test_buckets_are_cumulated() -> None:
    for seconds in (0.0001, 0.0003, 0.0003, 9.0):
        metrics.dns_duration.observe(seconds, "dns://:53", ".", "")
    families = await found()
    counts = series(families, "coredns_dns_request_duration_seconds_bucket")
    assert [counts[bound, "dns://:53", "", "."] for bound in ("0.00025", "0.0005", "8.192")] == [
        1,
        3,
        3,
    ]
    assert counts["+Inf", "dns://:53", "", "."] == 4
    assert series(families, "coredns_dns_request_duration_seconds_count") == {
        ("dns://:53", "", "."): 4
    }


async def test_without_labels_from_the_start_with_labels_from_the_first() -> None:
    """4.1."""
    families = await found()
    assert series(families, "coredns_panics_total") == {(): 0}
    assert series(families, "coredns_health_request_duration_seconds_count") == {(): 0}
    assert all(series(families, name) == {(): 0} for name in ALWAYS)
    assert "coredns_dns_requests" not in families
    assert "coredns_dns_request_duration_seconds" not in families


async def test_what_is_always_there_gives_way_to_who_counts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("COUNTERS", "HISTOGRAMS", "GAUGES"):
        monkeypatch.setattr(metrics, name, [])
    Counter("coredns_reload_failed_total", "A.").add(by=2)
    when = Gauge("coredns_hosts_reload_timestamp_seconds", "B.")
    body, _ = await exposition()
    assert all(body.count(f"# TYPE {name} ".encode()) == 1 for name in ALWAYS)
    with when.given_by(lambda: {(): 5.0}):
        families = await found()
    assert series(families, "coredns_reload_failed_total") == {(): 2}
    assert series(families, "coredns_hosts_reload_timestamp_seconds") == {(): 5}
    assert series(families, "coredns_local_localhost_requests_total") == {(): 0}


async def test_build_info() -> None:
    assert series(await found(), "coredns_build_info") == {
        (f"python{platform.python_version()}", "", __version__): 1
    }


async def test_runtime_metrics_add_figures() -> None:
    usual, more = await found(), await found(runtime=True)
    assert more.keys() - usual.keys() == {
        *("python_allocated_blocks", "python_threads", "python_gc_frozen_objects"),
        "python_gc_pending",
    }


# 4.5. The name, its labels in alphabetical order, and what it says of what is counted below.
OLD = {
    "coredns_dns_request_count_total": {("1", "udp", "s", "."): 5, ("2", "udp", "s", "."): 4},
    "coredns_dns_request_type_count_total": {("s", "A", "."): 7, ("s", "AAAA", "."): 2},
    "coredns_dns_request_do_count_total": {("s", "."): 6},
    "coredns_dns_response_rcode_count_total": {("NOERROR", "s", "."): 9},
    "coredns_panic_count_total": {(): 1},
    "coredns_cache_size": {("s", "success"): 30},
    "coredns_forward_request_count_total": {("10.0.0.1:53",): 3},
    "coredns_forward_response_rcode_count_total": {
        ("NOERROR", "10.0.0.1:53"): 2,
        ("SERVFAIL", "10.0.0.1:53"): 1,
    },
    "coredns_forward_requests_total": {("10.0.0.1:53",): 3},
    "coredns_forward_responses_total": {
        ("NOERROR", "10.0.0.1:53"): 2,
        ("SERVFAIL", "10.0.0.1:53"): 1,
    },
    "coredns_forward_request_duration_seconds": {
        ("NOERROR", "10.0.0.1:53"): 2,
        ("SERVFAIL", "10.0.0.1:53"): 1,
    },
    "coredns_forward_healthcheck_failures_total": {("10.0.0.1:53",): 8},
    "coredns_forward_conn_cache_hits_total": {("udp", "10.0.0.1:53"): 11},
    "coredns_forward_conn_cache_misses_total": {("udp", "10.0.0.1:53"): 12},
}


def count_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts under the names of today, those of directives that are not loaded here too."""
    for name in ("COUNTERS", "HISTOGRAMS", "GAUGES"):
        monkeypatch.setattr(metrics, name, [])
    proxy = ("proxy_name", "to")
    duration = Histogram(
        "coredns_proxy_request_duration_seconds", "A.", metrics.DURATIONS, (*proxy, "rcode")
    )
    for rcode in ("NOERROR", "NOERROR", "SERVFAIL"):
        duration.observe(0.01, "forward", "10.0.0.1:53", rcode)
    failures = Counter("coredns_proxy_healthcheck_failures_total", "B.", proxy)
    failures.add("forward", "10.0.0.1:53", by=8)
    for name, times in (("hits", 11), ("misses", 12)):
        kept = Counter(f"coredns_proxy_conn_cache_{name}_total", "C.", (*proxy, "proto"))
        kept.add("forward", "10.0.0.1:53", "udp", by=times)
    requests = Counter("coredns_dns_requests_total", "D.", metrics.dns_requests.labels)
    for family, qtype, times in (("1", "A", 3), ("1", "AAAA", 2), ("2", "A", 4)):
        requests.add("s", ".", "", "udp", family, qtype, by=times)
    Counter("coredns_dns_do_requests_total", "E.", ("server", "zone", "view")).add(
        *("s", ".", ""), by=6
    )
    responses = Counter("coredns_dns_responses_total", "F.", metrics.dns_responses.labels)
    responses.add("s", ".", "", "NOERROR", "errors", by=5)
    responses.add("s", ".", "", "NOERROR", "", by=4)
    Counter("coredns_panics_total", "G.").add()
    entries = Gauge("coredns_cache_entries", "H.", ("server", "type", "zones", "view"))
    held: dict[tuple[str, ...], float]
    held = {("s", "success", ".", ""): 10.0, ("s", "success", "b.", ""): 20.0}
    entries._readers.append(lambda: held)


@pytest.mark.parametrize("name", OLD)
async def test_names_of_old(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count_today(monkeypatch)
    families = await found()
    sample = f"{name}_count" if name.endswith("_seconds") else name
    assert series(families, sample) == OLD[name]


def test_every_name_of_old_is_tried() -> None:
    assert set(OLD) == {former.name for former in FORMERLY}


def documented() -> dict[str, tuple[str, str]]:
    """Type and labels of each metric in the tables of docs, by name."""
    row = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([\w, ]*)\|", re.MULTILINE)
    pages = (Path(__file__).parents[2] / "docs").rglob("*.md")
    return {
        name: (kind, labels.strip())
        for path in pages
        for name, kind, labels in row.findall(path.read_text(encoding="utf-8"))
    }


def test_docs_have_every_metric_of_the_server() -> None:
    told = documented()
    kinds: dict[str, Iterable[Counter | Histogram | Gauge]]
    kinds = {"counter": metrics.COUNTERS, "histogram": metrics.HISTOGRAMS, "gauge": metrics.GAUGES}
    own = vars(metrics).values()
    for kind, each in ((kind, each) for kind, known in kinds.items() for each in known):
        if any(each is found for found in own):
            assert told.get(each.name) == (kind, ", ".join(each.labels)), each.name


async def test_pages_in_slices_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        metrics.dns_duration.observe(0.1, "dns://:53", f"z{number}.", "")
    whole = [(await exposition(accept))[0] for accept in ("", OPENMETRICS)]
    monkeypatch.setattr(page, "SLICE", 7)
    sliced = [(await exposition(accept))[0] for accept in ("", OPENMETRICS)]
    for a, b, openmetrics in zip(whole, sliced, (False, True), strict=True):
        name = "coredns_dns_request_duration_seconds"
        assert read(a.decode(), openmetrics)[name] == read(b.decode(), openmetrics)[name]
    assert sliced[1].endswith(b"\n# EOF\n")
    assert sliced[1].count(b"# EOF") == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/json", TEXT),
        (
            OPENMETRICS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
async def test_content_type(accept: str, content_type: str) -> None:
    async with (
        asked(lambda sock, stop: serve_metrics(sock, list, stop)) as client,
        client.get("/metrics", headers={"Accept": accept} if accept else {}) as reply,
    ):
        assert (reply.status, reply.headers["Content-Type"]) == (200, content_type)
        assert "coredns_build_info{" in await reply.text()


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/health"])
async def test_other_paths_are_not_found(path: str) -> None:
    async with (
        asked(lambda sock, stop: serve_metrics(sock, list, stop)) as client,
        client.get(path) as reply,
    ):
        assert (reply.status, await reply.text()) == (404, "404 page not found\n")


async def test_compressed_where_it_is_taken() -> None:
    async with asked(lambda sock, stop: serve_metrics(sock, list, stop)) as client:
        raw = aiohttp.ClientSession(client._base_url, auto_decompress=False)
        async with raw, raw.get("/metrics", headers={"Accept-Encoding": "gzip"}) as reply:
            assert reply.headers["Content-Encoding"] == "gzip"
            assert b"coredns_build_info" in gzip.decompress(await reply.read())
        async with client.get("/metrics", headers={"Accept-Encoding": "identity"}) as reply:
            assert "Content-Encoding" not in reply.headers


async def test_everybody_tells_before_the_page_does() -> None:
    tally = Tally("dns://:53", "udp", "1")
    async with asked(lambda sock, stop: serve_metrics(sock, lambda: [tally.tell], stop)) as client:
        for times in (1, 2):
            tally.ask(Outcome(".", "", 1, False, 0, "errors"), 40, 90, 0.001)
            async with client.get("/metrics") as reply:
                told = read(await reply.text())
            assert series(told, "coredns_dns_responses_total") == {
                ("errors", "NOERROR", "dns://:53", "", "."): times
            }


async def test_a_scrape_does_not_hold_the_loop() -> None:
    """300 zones are 5,700 lines; the loop has its turns all the while."""
    for number in range(300):
        metrics.dns_duration.observe(0.1, "dns://:53", f"z{number}.", "")
    turns = 0
    done = asyncio.Event()

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(count())
        await exposition()
        done.set()
    assert turns >= 300 * 19 // page.SLICE
