"""Which metrics there are when: all of CoreDNS's families, as its 1.14.7 shows them (4.3, 4.4).

Of whole processes, since what a directive counts is there from when its module is imported.
"""

import asyncio
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
from prometheus_client.metrics_core import Metric

from tests.families import FROM_THE_START, OF_DIRECTIVES, OF_QUERIES
from tests.metering import read
from tests.objects import service
from tests.ports import free_port
from tests.scenarios.asking import TIMEOUT_S, At, ask
from tests.scenarios.processes import running
from tests.scenarios.servers import write
from tests.scenarios.test_reload import upstream

# As soon as the Corefile that counts them runs.
STARTED = {"coredns_hosts_entries": ("gauge", "hostsfile", "")}
# What CoreDNS has not, or later: see docs/metrics.md, "Names of old" and `reload`.
FORMER = {
    *("coredns_dns_request_count", "coredns_dns_request_type_count"),
    *("coredns_dns_request_do_count", "coredns_dns_response_rcode_count", "coredns_panic_count"),
    *("coredns_cache_size", "coredns_forward_requests", "coredns_forward_responses"),
    *("coredns_forward_request_duration_seconds", "coredns_forward_request_count"),
    *("coredns_forward_response_rcode_count", "coredns_forward_conn_cache_hits"),
    "coredns_forward_conn_cache_misses",
}
OURS = {"coredns_reload_version_info"}

SMALL = """\
. {
    bind 127.0.0.1
    prometheus 127.0.0.1:%d
    whoami
}
"""
LARGE = """\
. {
    bind 127.0.0.1
    metadata
    cancel
    reload
    nsid
    bufsize
    prometheus 127.0.0.1:%(page)d
    errors
    log
    local
    dns64 {
        allow_ipv4
    }
    any
    chaos
    loadbalance
    rewrite name old.test h.hosts.test
    autopath %(folder)s/resolv.conf
    acl {
        block type MX net *
        filter type TXT net *
        drop type NAPTR net *
    }
    cache
    header {
        response set ra
    }
    minimal
    template IN A good.test {
        answer "{{ .Name }} 5 IN A 192.0.2.1"
    }
    template IN A record.test {
        answer "{{ .Name }} nonsense"
    }
    template IN A made.test {
        answer "{{ index .Match 7 }}"
    }
    hosts %(folder)s/hosts {
        fallthrough
    }
    kubernetes cluster.local
    loop
    forward . 127.0.0.1:%(upstream)d
}
"""
QUESTIONS = """\
web.shop.svc.cluster.local. A
www.up.test. A
www.up.test.search.test. A
www.v6.test. AAAA
x.test. MX
x.test. TXT
a.good.test. A
a.record.test. A
a.made.test. A
"""
Facts = dict[str, tuple[str, str, str]]


async def scraped(page: int) -> dict[str, Metric]:
    """CoreDNS's families of the page."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{page}/metrics") as reply,
    ):
        found = read(await reply.text())
    return {name: family for name, family in found.items() if name.startswith("coredns_")}


def facts(families: dict[str, Metric], expected: Facts) -> Facts:
    """What the page says of families, with labels in the order that is expected."""
    found: Facts = {}
    for name, family in families.items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        order = [label for label in expected[name][1].split() if label in labels]
        bounds = {float(each.labels["le"]) for each in family.samples if "le" in each.labels}
        text = " ".join(f"{bound:g}" for bound in sorted(bounds - {float("inf")}))
        found[name] = family.type, " ".join([*order, *sorted(labels - set(order))]), text
    return found


async def test_from_the_start(tmp_path: Path) -> None:
    page = free_port()
    (tmp_path / "Corefile").write_text(SMALL % page)
    async with running("-conf", str(tmp_path / "Corefile"), "-dns.port", str(free_port())) as one:
        await one.listening()
        families = await scraped(page)
    theirs = {name: each for name, each in families.items() if name not in FORMER | OURS}
    assert facts(theirs, FROM_THE_START) == FROM_THE_START
    for name, family in theirs.items():
        if name not in {"coredns_build_info", "coredns_plugin_enabled"}:
            assert {sample.value for sample in family.samples} == {0.0}, name


async def test_with_every_directive(tmp_path: Path) -> None:
    page, port = free_port(), free_port()
    (tmp_path / "hosts").write_text("192.0.2.7 h.hosts.test\n")
    (tmp_path / "resolv.conf").write_text("search search.test\n")
    objects = write(tmp_path / "objects.yaml", [service("shop", "web", "10.96.0.1")])
    async with upstream() as (up, _):
        text = LARGE % {"page": page, "folder": tmp_path, "upstream": up}
        (tmp_path / "Corefile").write_text(text)
        options = ("-conf", str(tmp_path / "Corefile"), "-dns.port", str(port))
        async with running(*options, "--manifests", str(objects)) as one:
            await one.listening()
            await one.line("synced; try:")
            before = await scraped(page)
            await _ask_everything(At("127.0.0.1", port))
            after = await scraped(page)
    expected = FROM_THE_START | STARTED
    theirs = {name: each for name, each in before.items() if name not in FORMER | OURS}
    # `loop` has asked its upstream already, in CoreDNS too.
    theirs = {name: each for name, each in theirs.items() if "_proxy_" not in name}
    assert facts(theirs, expected) == expected
    expected |= OF_QUERIES | OF_DIRECTIVES
    theirs = {name: each for name, each in after.items() if name not in FORMER | OURS}
    assert facts(theirs, expected) == expected
    assert after.keys() >= FORMER


async def _ask_everything(at: At) -> None:
    for line in QUESTIONS.splitlines() * 2:
        name, qtype = line.split()
        await ask(at, name, qtype)
    for number in range(64):  # more than there are sockets to the upstream
        await ask(at, f"n{number}.up.test.")
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=at)
    transport.sendto(dns.message.make_query("x.test.", "NAPTR").to_wire())  # which is dropped
    secure = dns.message.make_query("x.test.", "A", want_dnssec=True)
    await dns.asyncquery.udp(secure, at.address, TIMEOUT_S, at.port)
    await ask(at, "x.test.", "A", tcp=True)
    transport.close()
