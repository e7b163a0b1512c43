"""Metrics of both servers after the same queries: names, types, labels, buckets and counts."""

import asyncio
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
from prometheus_client.metrics_core import Metric

from tests.metering import read, series
from tests.oracle.servers import clusterdns_command, coredns_command, needs_coredns, running
from tests.ports import free_port

pytestmark = needs_coredns

COREFILE = """\
. {{
    bind 127.0.0.1
    prometheus 127.0.0.1:{page}
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    any
    whoami
}}
example.org {{
    bind 127.0.0.1
    prometheus 127.0.0.1:{page}
    whoami
}}
example.net {{
    bind 127.0.0.1
    whoami
}}
failing.test second.test 10.0.0.0/15 other.test:{other} {{
    bind 127.0.0.1
    prometheus 127.0.0.1:{page}
    errors
}}
"""
ASKED = (
    *(("a.b.", qtype) for qtype in ("A", "AAAA", "TXT", "MX", "HTTPS", "HINFO", "CAA", "ANY")),
    *(("www.example.org.", "A"), ("WWW.example.org.", "SRV"), ("x.example.net.", "A")),
    *(("x.failing.test.", "A"), ("y.failing.test.", "PTR"), ("y.second.test.", "A")),
)
# Of CoreDNS alone: figures of Go, of plugins that are no part of clusterdns, of its own process.
NOT_OURS = ("go_", "process_", "promhttp_", "grpc_")
EXACT = (
    "coredns_dns_requests_total",
    "coredns_dns_do_requests_total",
    "coredns_dns_responses_total",
    "coredns_dns_request_duration_seconds_count",
    "coredns_dns_request_size_bytes_count",
    "coredns_dns_request_size_bytes_bucket",
    "coredns_dns_request_size_bytes_sum",
    "coredns_dns_response_size_bytes_count",
    "coredns_plugin_enabled",
)


async def _asked(port: int, page: int) -> dict[str, Metric]:
    """What the page says after the queries."""
    for name, qtype in ASKED:
        for options in ({}, {"use_edns": 0, "payload": 1232}, {"want_dnssec": True}):
            query = dns.message.make_query(name, qtype, **options)
            await dns.asyncquery.udp(query, "127.0.0.1", 5, port)
        await dns.asyncquery.tcp(dns.message.make_query(name, qtype), "127.0.0.1", 5, port)
    for _ in range(2):
        query = dns.message.make_query("a.b.", "TXT", "CH")
        await dns.asyncquery.udp(query, "127.0.0.1", 5, port)
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{page}/metrics") as reply,
    ):
        return read(await reply.text())


async def _metrics(ours: bool, folder: Path, ports: dict[str, int]) -> dict[str, Metric]:
    corefile = folder / "Corefile"
    corefile.write_text(COREFILE.format(**ports))
    manifests = folder / "objects"
    manifests.mkdir(exist_ok=True)
    port = ports["port"]
    command = (
        clusterdns_command(corefile, port, manifests) if ours else coredns_command(corefile, port)
    )
    async with running(command, ports["ready"], folder / f"log-{ours}"):
        return await _asked(port, ports["page"])


async def test_metrics(tmp_path: Path) -> None:
    """One after the other, since the address of the server is a label."""
    ports = {name: free_port() for name in ("port", "page", "health", "ready", "other")}
    async with asyncio.timeout(60):
        theirs = await _metrics(False, tmp_path, ports)
        ours = await _metrics(True, tmp_path, ports)

    missing = [name for name in theirs if name not in ours and not name.startswith(NOT_OURS)]
    assert missing == []
    for name in theirs.keys() & ours.keys():
        assert ours[name].type == theirs[name].type, name
        if name.startswith("coredns_") and ours[name].samples:
            assert _shape(ours[name]) == _shape(theirs[name]), name
    for sample in EXACT:
        assert series(ours, sample) == series(theirs, sample), sample
    _same_response_sizes(ours, theirs)


def _shape(family: Metric) -> set[tuple[str, tuple[str, ...], str]]:
    """Names of samples, names of labels, bounds of buckets."""
    return {
        (sample.name, tuple(sorted(sample.labels)), sample.labels.get("le", ""))
        for sample in family.samples
    }


def _same_response_sizes(ours: dict[str, Metric], theirs: dict[str, Metric]) -> None:
    """The same but for blocks whose plugins answer nothing: CoreDNS counts 0 octets for these."""
    name = "coredns_dns_response_size_bytes_sum"
    found, expected = series(ours, name), series(theirs, name)
    assert found.keys() == expected.keys()
    for labels, octets in found.items():
        if {"failing.test.", "second.test."} & set(labels):
            assert (octets > 0, expected[labels]) == (True, 0)
        else:
            assert octets == expected[labels], labels
