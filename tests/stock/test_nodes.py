"""Caches on nodes: NodeLocal DNSCache, kubespray's, and AKS LocalDNS."""

import asyncio
from dataclasses import replace
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.message
import pytest

from tests.scenarios.asking import answer
from tests.stock.cluster import Z
from tests.stock.distributions import STOCK
from tests.stock.fixtures import Both, serving
from tests.stock.test_served import pytestmark
from tests.stock.upstreams import ZONES, nsd

__all__ = ["pytestmark"]

WEB = f"web.shop.svc.{Z}"
LOCAL_DNS = STOCK["AKS LocalDNS"]


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("NodeLocal DNSCache", ["169.254.20.10", "10.96.0.10"]),
        ("AKS LocalDNS", ["169.254.10.10", "169.254.10.11"]),
    ],
)
async def test_every_address_answers(
    name: str, addresses: list[str], tmp_path: Path, upstreams: Both
) -> None:
    async with serving(STOCK[name], upstreams, tmp_path) as served:
        for address in addresses:
            for tcp in (False, True):
                assert await answer(served.machine.at(address, 53), WEB, tcp=tcp) == "10.96.0.80"


@pytest.mark.parametrize("name", ["NodeLocal DNSCache", "kubespray, nodelocaldns", "AKS LocalDNS"])
async def test_the_cluster_is_asked_over_tcp(name: str, tmp_path: Path, upstreams: Both) -> None:
    async with serving(STOCK[name], upstreams, tmp_path) as served:
        for host in ("web.shop", "db.shop", "nope.shop", "kubernetes.default"):
            await served.answer(f"{host}.svc.{Z}")
        misses = await served.counted("coredns_proxy_conn_cache_misses_total")
        hits = await served.counted("coredns_proxy_conn_cache_hits_total")
    cluster = upstreams["nsd"].cluster
    to = f"{cluster.address}:{cluster.port}"
    assert {proto for proto, _, there in misses | hits if there == to} == {"tcp"}
    assert hits["tcp", "forward", to] >= 3  # on one connection, not on one for each query


async def test_a_denial_is_kept_for_five_seconds(tmp_path: Path, upstreams: Both) -> None:
    """`denial 9984 5` where the cluster says 30; success has 30."""
    async with serving(STOCK["NodeLocal DNSCache"], upstreams, tmp_path) as served:
        denial = await served.ask(f"nope.shop.svc.{Z}")
        assert denial.authority[0].ttl == 5
        assert (await served.ask(WEB)).answer[0].ttl == 30


async def test_local_dns_answers_when_its_upstream_is_gone(tmp_path: Path, upstreams: Both) -> None:
    """serve_stale 3600s verify: the upstream is asked first, then what was known has TTL 0."""
    (tmp_path / "nsd").mkdir()
    with nsd(tmp_path / "nsd", ZONES) as foreign:
        known = {"nsd": replace(upstreams["nsd"], foreign=foreign)}
        node = replace(LOCAL_DNS, at=("169.254.10.10", 53))
        async with serving(node, known, tmp_path) as served:
            fresh = await served.ask("brief.example.org")
            assert fresh.answer[0].ttl == 5  # `cache` keeps nothing for less
            foreign.end()
            await asyncio.sleep(5.1)
            for tcp in (False, True):
                stale = await served.ask("brief.example.org", tcp=tcp)
                assert [each.to_text() for each in stale.answer] == [
                    "brief.example.org. 0 IN A 192.0.2.7"
                ]
            counted = await served.counted("coredns_cache_served_stale_total")
            assert sum(counted.values()) == 2
            assert await served.answer("www.example.org") == "SERVFAIL"


async def test_local_dns_says_who_it_is(tmp_path: Path, upstreams: Both) -> None:
    wanted = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    asked = dns.message.make_query("www.example.org", "A", use_edns=0, options=[wanted])
    async with serving(LOCAL_DNS, upstreams, tmp_path) as served:
        for _ in range(2):  # forwarded, and cached
            reply = await dns.asyncquery.udp(asked, served.at.address, 5.0, served.at.port)
            assert [option.to_wire() for option in reply.options] == [b"localdns"]


async def test_local_dns_health_check_and_templates(tmp_path: Path, upstreams: Both) -> None:
    async with serving(LOCAL_DNS, upstreams, tmp_path) as served:
        reply = await served.ask("health-check.localdns.local")
        assert [each.rdtype.name for each in reply.additional] == ["A", "SRV"]
        assert await served.answer("a.b.c.d.internal.cloudapp.net") == "NXDOMAIN"
        assert await served.answer("vm.reddog.microsoft.com", "AAAA") == "NXDOMAIN"
        for address in ("169.254.10.10", "169.254.10.11"):
            assert await served.page((address, 8181), "/ready") == (200, "OK")
