"""What single distributions have beside kubeadm's Corefile: hosts, stub domains, templates ..."""

import socket
import ssl
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import pytest

from tests import streams
from tests.scenarios.asking import becomes
from tests.stock.cluster import Z
from tests.stock.distributions import STOCK
from tests.stock.fixtures import Both, serving
from tests.stock.test_served import pytestmark
from tests.stock.upstreams import SECURE_NAME

__all__ = ["pytestmark"]

WEB = f"web.shop.svc.{Z}"
REVERSE = ".".join([*"0800" + "0" * 16, *"6900", *"0100", *"00df"]) + ".ip6.arpa."
CORP = {("intra.corp.example.", "A"): "10.150.9.9", ("nope.corp.example.", "A"): "NXDOMAIN"}
FEATURES: dict[str, dict[tuple[str, str], str]] = {
    "minikube": {
        ("host.minikube.internal.", "A"): "192.168.49.1",
        ("1.49.168.192.in-addr.arpa.", "PTR"): "host.minikube.internal.",
    },
    "k3s": {
        ("server-0.", "A"): "192.168.122.11",
        ("agent-0.", "AAAA"): "NODATA",
        ("12.122.168.192.in-addr.arpa.", "PTR"): "agent-0.",
    },
    "k3s with custom files": {
        ("server-0.", "A"): "192.168.122.11",
        ("api.old.example.", "A"): "10.96.0.80",
        **CORP,
    },
    "AKS": {
        ("a.b.c.d.internal.cloudapp.net.", "A"): "NXDOMAIN",
        ("a.b.c.d.e.internal.cloudapp.net.", "MX"): "NXDOMAIN",
        ("b.c.d.internal.cloudapp.net.", "A"): "REFUSED",  # falls through, and nsd has no such zone
        ("any.reddog.microsoft.com.", "AAAA"): "NXDOMAIN",
    },
    "AKS with custom files": {
        ("registry.example.", "A"): "10.224.0.9",
        ("web.shop.example.", "A"): "10.96.0.80",
        ("any.reddog.microsoft.com.", "A"): "NXDOMAIN",
        **CORP,
    },
    "GKE": CORP,
    "OpenShift": {("vault.secure.example.", "A"): "10.150.8.8", **CORP},
    "OpenShift, on a node": {
        ("console.apps.ocp.example.", "A"): "192.168.10.4",
        ("console.apps.ocp.example.", "AAAA"): "NODATA",
        ("api.ocp.example.", "A"): "192.168.10.5",
        ("api.ocp.example.", "AAAA"): "NODATA",
        ("api-int.ocp.example.", "A"): "192.168.10.5",
        ("node.ocp.example.", "A"): "REFUSED",
    },
    "kubespray": {
        ("web.shop.svc.old.local.", "A"): "10.96.0.80",
        ("_http._tcp.web.shop.svc.old.local.", "SRV"): "0 50 80 web.shop.svc.old.local.",
        (f"db-b.db.shop.svc.{Z}", "A"): "10.244.0.8",  # endpoint_pod_names
        ("gate.shop.apps.example.", "A"): "198.51.100.81",
        ("nope.shop.apps.example.", "A"): "NXDOMAIN",
        ("storage.lan.", "A"): "10.10.3.1",
        ("intra.lab.example.", "A"): "10.150.9.9",
        ("lab.example.", "MX"): "REFUSED",  # `.lab.example` has a dot in front: not rewritten
        ("mail.lab.example.", "MX"): "10 intra.lab.example.",
        **CORP,
    },
    "kubespray, nodelocaldns": CORP,
    "NodeLocal DNSCache": CORP,
    "deployment script": {(REVERSE, "PTR"): WEB, **CORP},
    "Helm chart with zoneFiles": {
        ("www.zone.example.", "A"): "192.0.2.80",
        ("any.wild.zone.example.", "AAAA"): "2001:db8::80 www.zone.example.",
        ("nope.zone.example.", "A"): "NXDOMAIN",
    },
    "Alibaba ACK": {  # `autopath`: this process asks from the address of a pod
        ("www.example.org.shop.svc.cluster.local.", "A"): "192.0.2.10 www.example.org.",
        ("kubernetes.default.shop.svc.cluster.local.", "A"): "10.96.0.1 kubernetes.default."
        f"svc.{Z}",
        ("nope.example.org.shop.svc.cluster.local.", "A"): "NXDOMAIN",
    },
    "what people add": {
        ("legacy.example.", "A"): "10.96.0.80",
        ("localhost.", "A"): "127.0.0.1",
        (WEB, "HTTPS"): "NODATA",
        ("kubernetes.default.svc.cluster.local.", "ANY"): '"ANY obsoleted" "See RFC 8482"',
        ("x.v4only.example.", "AAAA"): "NODATA",
        ("ip-10-1-2-3.dyn.example.", "A"): "10.1.2.3",
        ("printer.lan.", "A"): "10.20.0.5",
        ("scanner.lan.", "A"): "10.20.0.6",
        (f"db-b.db.shop.svc.{Z}", "A"): "10.244.0.8",
        **CORP,
    },
    "Gardener": {("web.shop.svc.cluster.local.svc.cluster.local.", "A"): "10.96.0.80", **CORP},
}


@pytest.mark.parametrize("name", FEATURES)
async def test_names(name: str, tmp_path: Path, upstreams: Both) -> None:
    """Over UDP and TCP, and the owners are as asked, so that stubs take them."""
    async with serving(STOCK[name], upstreams, tmp_path) as served:
        for tcp in (False, True):
            for (asked, qtype), expected in FEATURES[name].items():
                assert (asked, await served.answer(asked, qtype, tcp)) == (asked, expected)
                for each in (await served.ask(asked, qtype, tcp)).answer[:1]:
                    assert each.name.to_text() == asked


@pytest.mark.parametrize("name", ["kubeadm, kind", "kubeadm, older"])
async def test_a_change_is_answered_at_once(name: str, tmp_path: Path, upstreams: Both) -> None:
    """With `disable success` as without it: `cache` drops what it has of the cluster."""
    async with serving(STOCK[name], upstreams, tmp_path) as served:
        for tcp in (False, True):
            assert await served.answer(WEB, tcp=tcp) == "10.96.0.80"
        path = served.machine.folder / "objects.json"
        path.write_text(path.read_text().replace("10.96.0.80", "10.96.0.90"))
        await becomes("10.96.0.90", lambda: served.answer(WEB))


LOGGED = {  # the classes of `log`: what is said of a success, a denial and an error
    "minikube": "success denial error",
    "k3s with custom files": "denial",
    "AKS with custom files": "success denial error",
    "OpenShift": "error",
    "OpenShift, Debug": "denial error",
    "OpenShift, Trace": "success denial error",
    "MicroK8s": "error",
    "Talos": "error",
    "Alibaba ACK": "success denial error",
    "Gardener": "error",
}
OF_CLASS = {  # a question of each class
    "success": (WEB, "AAAA", "NOERROR"),
    "denial": (f"nope.shop.svc.{Z}", "TXT", "NXDOMAIN"),
    "error": (f"web.shop.svc.{Z}", "AXFR", "REFUSED"),
}


@pytest.mark.parametrize("name", LOGGED)
async def test_lines_by_class(name: str, tmp_path: Path, upstreams: Both) -> None:
    async with serving(STOCK[name], upstreams, tmp_path) as served:
        for asked, qtype, rcode in OF_CLASS.values():
            assert await served.answer(asked, qtype, tcp=True) in (rcode, "fd00:10:96::80")
        last = OF_CLASS[LOGGED[name].split()[-1]]
        await served.process.line(f'"{last[1]} IN {last[0]} tcp')
        asked_here = [line for line in served.queries() if "HINFO" not in line]  # `loop` asks too
    assert asked_here == [
        f"{qtype} {asked} {rcode}"
        for kind, (asked, qtype, rcode) in OF_CLASS.items()
        if kind in LOGGED[name].split()
    ]


async def test_openshift_says_its_host_name(tmp_path: Path, upstreams: Both) -> None:
    asked = dns.message.make_query("hostname.bind", "TXT", "CH")
    async with serving(STOCK["OpenShift"], upstreams, tmp_path) as served:
        reply = await dns.asyncquery.udp(asked, served.at.address, 5.0, served.at.port)
    assert reply.answer[0].to_text() == f'hostname.bind. 0 CH TXT "{socket.gethostname()}"'


async def test_openshift_limits_datagrams(tmp_path: Path, upstreams: Both) -> None:
    asked = dns.message.make_query("many.example.org", "TXT", use_edns=0, payload=4096)
    for name, size in (("OpenShift", 1232), ("OpenShift, on a node", 512)):
        async with serving(STOCK[name], upstreams, tmp_path / name) as served:
            reply = await dns.asyncquery.udp(asked, served.at.address, 5.0, served.at.port)
        assert reply.payload == size
        assert bool(reply.flags & dns.flags.TC) == (size == 512)


async def test_openshift_forwards_over_tls(tmp_path: Path, upstreams: Both) -> None:
    async with serving(STOCK["OpenShift"], upstreams, tmp_path) as served:
        assert await served.answer("vault.secure.example") == "10.150.8.8"
        made = await served.counted("coredns_proxy_conn_cache_misses_total")
    secure = upstreams["nsd"].secure
    assert made["tcp-tls", "forward", f"{secure.address}:{secure.port}"] >= 1


async def test_helm_serves_dns_over_tls(tmp_path: Path, upstreams: Both) -> None:
    context = ssl.create_default_context(cafile=upstreams["nsd"].authority / "ca.crt")
    asked = dns.message.make_query(WEB, "A")
    async with serving(STOCK["Helm chart with zoneFiles"], upstreams, tmp_path) as served:
        at = served.machine.at("", 853)
        reply = await streams.ask(asked, *at, ssl=context, server_hostname=SECURE_NAME)
    assert reply.answer[0].to_text() == f"{WEB} 30 IN A 10.96.0.80"


async def test_autopath_is_counted(tmp_path: Path, upstreams: Both) -> None:
    async with serving(STOCK["Alibaba ACK"], upstreams, tmp_path) as served:
        await served.answer("www.example.org.shop.svc.cluster.local")
        counted = await served.counted("coredns_autopath_success_total")
    assert sum(counted.values()) == 1
