"""Every stock Corefile is served: loaded, asked over UDP and TCP, scraped and reloaded.

nsd and unbound are what it forwards to: a name server that refuses what is not its own, and a
resolver. Each distribution's own features are in `test_features.py`.
"""

import signal
import sys
from pathlib import Path

import dns.flags
import pytest

from clusterdns.tools.check import check_corefile
from tests.scenarios.asking import answer
from tests.stock.cluster import ANSWERS, Z
from tests.stock.distributions import STOCK, Stock
from tests.stock.fixtures import Both, Served, serving
from tests.stock.machine import ENVIRON, Machine
from tests.stock.upstreams import needs_upstreams

pytestmark = [
    needs_upstreams,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8"),
]

HAS_IPV6 = Path("/proc/net/if_inet6").exists()
PODS = {  # 1.10: a name by an address that a pod of the namespace has, and by one that none has
    "insecure": ("10.244.0.7", "10.9.9.9"),
    "verified": ("10.244.0.7", "NXDOMAIN"),
    "disabled": ("NXDOMAIN", "NXDOMAIN"),
}


@pytest.mark.parametrize("name", STOCK)
async def test_stock(name: str, tmp_path: Path, upstreams: Both) -> None:
    stock = STOCK[name]
    async with serving(stock, upstreams, tmp_path) as served:
        await times_to_live(served)  # first: what `cache` has counts down
        for tcp in (False, True):
            await asked(served, tcp)
        await truncated(served)
        await pages(served)
        if stock.metrics:
            await cached(served)
        await reloaded(served)
        quiet(served)


async def asked(served: Served, tcp: bool) -> None:
    """Cluster names where there are any, and foreign ones, the same over UDP and TCP."""
    stock = served.stock
    own = {key: text for key, text in ANSWERS.items() if stock.cluster or key[0].endswith("org.")}
    if stock.cluster:
        for dashed, text in zip(("10-244-0-7", "10-9-9-9"), PODS[stock.pods], strict=True):
            own[f"{dashed}.shop.pod.{Z}", "A"] = text
    found = {key: await answer(served.at, *key, tcp=tcp) for key in own}
    assert found == own
    if HAS_IPV6 and not stock.at[0]:
        assert await answer(served.at._replace(address="::1"), "www.example.org") == "192.0.2.10"


async def times_to_live(served: Served) -> None:
    """TTLs, and the flags that differ on purpose: D9, D33."""
    stock = served.stock
    alias = await served.ask("alias.example.org")
    assert {each.ttl for each in alias.answer} == {stock.keeps}
    again = await served.ask("alias.example.org")
    assert [each.name for each in again.answer] == [each.name for each in alias.answer]
    assert not again.flags & dns.flags.AA
    if stock.cluster:
        web = await served.ask(f"web.shop.svc.{Z}")
        assert web.answer[0].ttl == stock.ttl
        if not stock.on_node:
            assert web.flags & dns.flags.AA
            assert web.flags & dns.flags.RA


async def truncated(served: Served) -> None:
    """What is too long for a datagram of 512 octets comes over TCP."""
    assert (await served.ask("many.example.org", "TXT")).flags & dns.flags.TC
    whole = await served.ask("many.example.org", "TXT", tcp=True)
    assert len(str(whole.answer[0][0])) > 750


async def pages(served: Served) -> None:
    """4.6: the pages that liveness and readiness probes ask for."""
    for where, path in ((served.stock.health, "/health"), (served.stock.ready, "/ready")):
        if where:
            assert await served.page(where, path) == (200, "OK")


async def cached(served: Served) -> None:
    """A foreign name is asked for once; the metrics tell of it."""

    async def hits() -> float:
        found = await served.counted("coredns_cache_hits_total")
        return sum(number for labels, number in found.items() if "success" in labels)

    await served.ask("ns.example.org")
    before = await hits()
    for tcp in (False, True, False):
        assert await answer(served.at, "ns.example.org", tcp=tcp) == "192.0.2.1"
    assert await hits() == before + 3
    for name in ("coredns_dns_requests_total", "coredns_proxy_request_duration_seconds_count"):
        assert sum((await served.counted(name)).values()) > 0


async def reloaded(served: Served) -> None:
    """The file, unchanged, is accepted again, and serves on."""
    served.process.send(signal.SIGUSR1)
    await served.process.line("Reloading complete")
    assert await answer(served.at, "www.example.org") == "192.0.2.10"


def quiet(served: Served) -> None:
    """Nothing is warned of but imports that match no file."""
    told = [line for line in served.process.lines if "[WARNING]" in line or "[ERROR]" in line]
    expected = served.stock.unmatched
    assert {line for line in told if not line.endswith("nothing imported")} == set()
    assert [any(part in line for line in told) for part in expected] == [True] * len(expected)


@pytest.mark.parametrize("stock", STOCK.values(), ids=STOCK)
def test_check_is_silent(
    stock: Stock, tmp_path: Path, upstreams: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`clusterdns check` has nothing to say but of imports that match no file."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    machine = Machine(tmp_path, upstreams[stock.foreign])
    report = check_corefile(str(machine.write(stock.corefile, stock.files)), machine.port(53))
    assert report.errors == []
    told = [line.split(" pattern: ")[1].removeprefix(f"{tmp_path}/") for line in report.warnings]
    assert told == [f"{part}: nothing imported" for part in stock.unmatched]
