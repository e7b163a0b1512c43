"""Metrics of a whole server: what was asked over sockets is what the page says."""

import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import dns.message
import pytest

from clusterdns.errors import ConfigError
from tests.certificates import client_context, make, make_ca
from tests.metering import nothing_counted, read, series
from tests.objects import service
from tests.plugins.forward import stubs
from tests.ports import free_port
from tests.scenarios.asking import At, answer, ask, becomes
from tests.scenarios.servers import Server, served, started, write
from tests.server.asking import opt, query, udp
from tests.web.test_https import config

pytestmark = pytest.mark.usefixtures("nothing_counted")
__all__ = ["nothing_counted"]

WEB = "web.shop.svc.cluster.local."
COREFILE = """\
.:0 {
    bind 127.0.0.1
    health 127.0.0.1:0
    prometheus 127.0.0.1:0
    errors
    kubernetes cluster.local in-addr.arpa
    loadbalance
}
"""


async def scraped(server: Server, page: int = 0) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample of a page, by its name."""
    port = server.app.configuration.metrics[page].port
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/metrics") as reply,
    ):
        families = read(await reply.text())
    names = {sample.name for family in families.values() for sample in family.samples}
    return {name: series(families, name) for name in names}


async def test_counts_are_exact(tmp_path: Path) -> None:
    file = write(tmp_path / "objects.yaml", [service("shop", "web", "10.96.0.1")])
    async with served(tmp_path, file, corefile=COREFILE) as server:
        own = f"dns://127.0.0.1:{server.at.port}"
        asked: Counter[tuple[str, str, str]] = Counter()  # proto, type, rcode
        for tcp in (False, True):
            for _ in range(7):
                for name, qtype, rcode in (
                    (WEB, "A", "NOERROR"),
                    (WEB, "AAAA", "NOERROR"),
                    (f"no-{WEB}", "A", "NXDOMAIN"),
                    ("example.org", "TXT", "SERVFAIL"),
                ):
                    await ask(server.at, name, qtype, tcp)
                    asked["tcp" if tcp else "udp", qtype, rcode] += 1
        async with udp(server.at) as client:
            for octets in (query(WEB, opt=opt(version=1)), query(WEB, qclass=3), query(WEB)[:-1]):
                await client.ask(octets)
        told = await scraped(server)
        for _ in range(3):
            write(file, [service("shop", "web", "10.96.0.2")])  # its answers are dropped
            await becomes("10.96.0.2", lambda: answer(server.at, WEB))
        later = await scraped(server)

    requests = told["coredns_dns_requests_total"]
    types: Counter[tuple[str, ...]] = Counter()
    rcodes: Counter[tuple[str, ...]] = Counter()
    for (proto, qtype, rcode), times in asked.items():
        types["1", proto, own, qtype, "", "."] += times
        rcodes["" if rcode == "SERVFAIL" else "errors", rcode, own, "", "."] += times
    types["1", "udp", own, "A", "", "dropped"] = 2
    rcodes["", "BADVERS", own, "", "dropped"] = 1
    rcodes["", "REFUSED", own, "", "dropped"] = 1
    assert requests == types
    assert told["coredns_dns_responses_total"] == rcodes
    assert told["coredns_dns_request_duration_seconds_count"] == {
        (own, "", "."): sum(asked.values()),
        (own, "", "dropped"): 2,
    }
    assert told["clusterdns_rejected_messages_total"]["udp", "FORMERR"] == 1
    assert sum(told["coredns_dns_request_size_bytes_count"].values()) == sum(requests.values())
    assert sum(told["coredns_dns_response_size_bytes_count"].values()) == sum(requests.values())
    for name, before in told.items():
        if name.startswith("coredns_dns_") and not name.endswith("_sum"):
            assert all(later[name][labels] >= figure for labels, figure in before.items())


async def test_hits_are_counted(tmp_path: Path) -> None:
    """Most of what is asked: neither the plugins nor the full path see it."""
    file = write(tmp_path / "objects.yaml", [service("shop", "web", "10.96.0.1")])
    async with served(tmp_path, file, corefile=COREFILE) as server, udp(server.at) as client:
        octets = query(WEB)
        for number in range(200):
            reply = await client.ask(number.to_bytes(2, "big") + octets[2:])
            assert dns.message.from_wire(reply).id == number
        assert server.hits == 199
        told = await scraped(server)
    (times,) = told["coredns_dns_requests_total"].values()
    (durations,) = told["coredns_dns_request_duration_seconds_count"].values()
    ((_, seconds),) = told["coredns_dns_request_duration_seconds_sum"].items()
    ((_, octets_in),) = told["coredns_dns_request_size_bytes_sum"].items()
    assert (times, durations, octets_in) == (200, 200, 200 * len(octets))
    assert 0 < seconds < 5


async def test_blocks_share_a_page(tmp_path: Path) -> None:
    port, page = free_port(), free_port()
    corefile = f"""
.:{port} {{
    bind 127.0.0.1
    prometheus 127.0.0.1:{page}
    errors
    whoami
}}
example.org:{port} example.com:{port} example.org:0 {{
    bind 127.0.0.1
    prometheus 127.0.0.1:{page} {{
        runtime_metrics
    }}
    whoami
}}
example.net:{port} {{
    bind 127.0.0.1
    whoami
}}
"""
    async with started(tmp_path, corefile=corefile) as server:
        for name in ("a.b", "example.org", "example.net"):
            await ask(server.at, name)
        told = await scraped(server)
    own = f"dns://127.0.0.1:{port}"
    assert told["coredns_dns_responses_total"] == {
        ("errors", "NOERROR", own, "", "."): 1,
        ("whoami", "NOERROR", own, "", "example.org."): 1,
    }
    assert told["coredns_plugin_enabled"] == {
        ("prometheus", own, "", "."): 1,
        ("errors", own, "", "."): 1,
        ("whoami", own, "", "."): 1,
        ("prometheus", own, "", "example.org."): 1,
        ("whoami", own, "", "example.org."): 1,
    }
    assert "python_threads" in told


async def test_upstreams_are_told_under_names_of_both_generations(tmp_path: Path) -> None:
    """4.4, and those until CoreDNS 1.11; each query once, and no probe among them."""
    gone = free_port()
    async with stubs.upstream() as stub, stubs.upstream(stubs.with_rcode(3)) as other:
        corefile = f"""
.:0 {{
    bind 127.0.0.1
    prometheus 127.0.0.1:0
    forward example.net 127.0.0.1:{other.port}
    forward . 127.0.0.1:{gone} 127.0.0.1:{stub.port} {{
        policy sequential
        health_check 10ms
    }}
}}
"""
        async with started(tmp_path, corefile=corefile) as server:
            for n in range(5):
                await ask(server.at, f"n{n}.example.org", tcp=n > 2)
            await ask(server.at, "example.net")
            upstreams = server.app.configuration.plugins[-1].forwarders[1].upstreams  # type: ignore[attr-defined]
            await becomes("True", partial(_told, lambda: upstreams[0].is_down))
            told = await scraped(server)
    to, net, dead = (f"127.0.0.1:{port}" for port in (stub.port, other.port, gone))
    of = "coredns_proxy_request_duration_seconds_count"
    assert told[of] == {("forward", "NOERROR", to): 5, ("forward", "NXDOMAIN", net): 1}
    assert told["coredns_forward_request_duration_seconds_count"] == {
        ("NOERROR", to): 5,
        ("NXDOMAIN", net): 1,
    }
    assert told["coredns_forward_requests_total"] == {(to,): 5, (net,): 1}
    assert told["coredns_forward_responses_total"] == {("NOERROR", to): 5, ("NXDOMAIN", net): 1}
    assert told["coredns_forward_request_count_total"] == {(to,): 5, (net,): 1}
    (failures,) = told["coredns_forward_healthcheck_failures_total"].values()
    assert failures >= 3
    assert told["coredns_proxy_healthcheck_failures_total"] == {("forward", dead): failures}
    for name in ("hits", "misses"):
        found = told[f"coredns_proxy_conn_cache_{name}_total"]
        assert told[f"coredns_forward_conn_cache_{name}_total"] == {
            (proto, where): times for (proto, _, where), times in found.items()
        }
    assert found["tcp", "forward", to] == 1
    assert told["coredns_forward_healthcheck_broken_total"] == {(): 0}
    assert told["coredns_forward_max_concurrent_rejects_total"] == {(): 0}


async def _told(is_so: Callable[[], bool]) -> str:
    return str(is_so())


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
async def test_the_wildcard_has_both_families(tmp_path: Path) -> None:
    corefile = ".:0 {\n prometheus 127.0.0.1:0\n whoami\n}\n"
    async with started(tmp_path, corefile=corefile) as server:
        for at in (At("127.0.0.1", server.at.port), At("::1", server.at.port)):
            for tcp in (False, True):
                await ask(at, "example.org", tcp=tcp)
        told = await scraped(server)
    own = f"dns://:{server.at.port}"
    assert told["coredns_dns_requests_total"] == {
        (family, proto, own, "A", "", "."): 1 for family in "12" for proto in ("udp", "tcp")
    }


async def test_nothing_is_lost_when_a_listener_ends(tmp_path: Path) -> None:
    async with started(tmp_path, corefile=".:0 {\n prometheus 127.0.0.1:0\n whoami\n}\n") as server:
        await ask(server.at, "example.org")
        listener = server.app.listeners[0]
    from clusterdns import metrics

    assert metrics.dns_requests.total() == 1
    for tell in listener.tells():
        tell()
    assert metrics.dns_requests.total() == 1


async def test_https(tmp_path: Path) -> None:
    make_ca(tmp_path)
    make(tmp_path, "tls")
    web = config(tmp_path, "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n")
    corefile = f".:0 {{\n prometheus 127.0.0.1:0 {{\n tls {web}\n }}\n whoami\n}}\n"
    async with started(tmp_path, corefile=corefile) as server:
        port = server.app.configuration.metrics[0].port
        connector = aiohttp.TCPConnector(ssl=client_context(tmp_path))
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            client.get(f"https://127.0.0.1:{port}/metrics") as reply,
        ):
            assert "coredns_build_info{" in await reply.text()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("prometheus 127.0.0.1:{taken}", "Corefile:2:13: cannot listen on 127.0.0.1:{taken}: "),
        (
            "prometheus 127.0.0.1:0 {{\n tls /nowhere\n }}",
            "Corefile:3:6: cannot read /nowhere: No such file or directory",
        ),
    ],
)
async def test_what_cannot_be_served_is_told_at_the_start(
    tmp_path: Path, line: str, expected: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        corefile = f".:0 {{\n {line.format(taken=port)}\n whoami\n}}\n"
        with pytest.raises(ConfigError) as fault:
            async with started(tmp_path, corefile=corefile):
                pass
    assert expected.format(taken=port) in str(fault.value)
