"""Sections 1.6.2 and 1.6.3: the zone's NS records and ns.dns."""

from collections.abc import Sequence

import pytest

from clusterdns.cluster.model import Namespace, Object, Port
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.view import presentable
from tests.zone.sample import (
    HTTP,
    alias,
    ask,
    endpoint,
    index_of,
    ips,
    members,
    options,
    service,
)

Z = "cluster.local."
DNS = f"kube-dns.kube-system.svc.{Z}"
SYSTEM = Namespace("kube-system")
KUBE_DNS: list[Object] = [
    SYSTEM,
    service("kube-dns", "10.96.0.10 fd00:96::a", Port("dns", 53), namespace="kube-system"),
    members("kube-dns", "10.244.0.2 10.244.0.3", Port("dns", 53), namespace="kube-system"),
]
METRICS: list[Object] = [
    service("metrics", namespace="kube-system"),
    members(
        "metrics",
        [endpoint("10.244.0.2"), endpoint("10.244.0.3", "second")],
        HTTP,
        namespace="kube-system",
    ),
]
SELF = (f"{Z} 5 NS ns.dns.{Z}", f"+ ns.dns.{Z} 5 A 10.244.0.2")


def case(
    things: Sequence[Object], local: str, name: str, qtype: str, *lines: str
) -> tuple[Sequence[Object], str, str, str, str]:
    return things, local, name, qtype, "\n".join(lines)


CASES = {
    "1.6.2 the Service in front": case(
        KUBE_DNS,
        "10.244.0.2",
        Z,
        "NS",
        f"{Z} 5 NS {DNS}",
        f"+ {DNS} 5 A 10.96.0.10",
        f"+ {DNS} 5 AAAA fd00:96::a",
    ),
    "1.6.2 D4 letters of the zone": case(
        KUBE_DNS,
        "10.244.0.2",
        "Cluster.LOCAL.",
        "NS",
        "Cluster.LOCAL. 5 NS kube-dns.kube-system.svc.Cluster.LOCAL.",
        "+ kube-dns.kube-system.svc.Cluster.LOCAL. 5 A 10.96.0.10",
        "+ kube-dns.kube-system.svc.Cluster.LOCAL. 5 AAAA fd00:96::a",
    ),
    "1.6.2 headless: each endpoint of the slice": case(
        [SYSTEM, *METRICS],
        "10.244.0.2",
        Z,
        "NS",
        f"{Z} 5 NS 10-244-0-2.metrics.kube-system.svc.{Z}",
        f"{Z} 5 NS second.metrics.kube-system.svc.{Z}",
        f"+ 10-244-0-2.metrics.kube-system.svc.{Z} 5 A 10.244.0.2",
        f"+ second.metrics.kube-system.svc.{Z} 5 A 10.244.0.3",
    ),
    "1.6.2 two local addresses, the Service is given once": case(
        KUBE_DNS,
        "10.244.0.2 10.244.0.3",
        Z,
        "NS",
        f"{Z} 5 NS {DNS}",
        f"+ {DNS} 5 A 10.96.0.10",
        f"+ {DNS} 5 AAAA fd00:96::a",
    ),
    "1.6.2 not behind a Service": case(
        KUBE_DNS,
        "10.9.9.9 fe80::1 fd00::9",
        Z,
        "NS",
        f"{Z} 5 NS ns.dns.{Z}",
        f"+ ns.dns.{Z} 5 A 10.9.9.9",
        f"+ ns.dns.{Z} 5 AAAA fd00::9",
    ),
    "1.6.2 a slice without its Service": case(KUBE_DNS[2:], "10.244.0.2", Z, "NS", *SELF),
    "1.6.2 a Service's address is no endpoint": case(
        [service("web", "10.244.0.2", HTTP)],
        "10.244.0.2",
        Z,
        "NS",
        *SELF,
    ),
    "1.6.2 an ExternalName with slices": case(
        [alias("web", "www.example.com"), members("web", "10.244.0.2", HTTP)],
        "10.244.0.2",
        Z,
        "NS",
        *SELF,
    ),
    "1.6.2 `bind`: no address of our own": case(KUBE_DNS, "", Z, "NS", "NODATA"),
    "1.6.2 a reverse zone": case(
        KUBE_DNS,
        "10.244.0.2",
        "in-addr.arpa.",
        "NS",
        "in-addr.arpa. 5 NS kube-dns.kube-system.svc.in-addr.arpa.",
        "+ kube-dns.kube-system.svc.in-addr.arpa. 5 A 10.96.0.10",
        "+ kube-dns.kube-system.svc.in-addr.arpa. 5 AAAA fd00:96::a",
    ),
    "1.6.3 ns.dns A": case(
        KUBE_DNS,
        "10.244.0.2",
        f"ns.dns.{Z}",
        "A",
        f"ns.dns.{Z} 5 A 10.96.0.10",
    ),
    "1.6.3 D4 ns.dns AAAA, letters as asked": case(
        KUBE_DNS,
        "10.244.0.2",
        "NS.DNS.Cluster.Local.",
        "AAAA",
        "NS.DNS.Cluster.Local. 5 AAAA fd00:96::a",
    ),
    "1.6.3 ns.dns, the other family": case(KUBE_DNS, "10.9.9.9", f"ns.dns.{Z}", "AAAA", "NODATA"),
    "1.6.3 ns.dns of a reverse zone": case(
        KUBE_DNS,
        "10.244.0.2",
        "ns.dns.in-addr.arpa.",
        "A",
        "ns.dns.in-addr.arpa. 5 A 10.96.0.10",
    ),
    "1.6.3 `bind`": case(KUBE_DNS, "", f"ns.dns.{Z}", "A", "NODATA"),
    "7.5, 10: an ExternalName to ns.dns": case(
        [*KUBE_DNS, alias("server", f"ns.dns.{Z}", namespace="kube-system")],
        "10.244.0.2",
        f"server.kube-system.svc.{Z}",
        "A",
        f"server.kube-system.svc.{Z} 5 CNAME ns.dns.{Z}",
        f"ns.dns.{Z} 5 A 10.96.0.10",
    ),
}


@pytest.mark.parametrize(
    ("things", "local", "name", "qtype", "expected"),
    CASES.values(),
    ids=CASES,
)
def test_servers(
    things: Sequence[Object], local: str, name: str, qtype: str, expected: str
) -> None:
    lookup = Lookup(index_of(things), options(local_addresses=ips(local)))
    assert ask(lookup, name, qtype) == expected


def test_servers_without_endpoints() -> None:
    given = options(local_addresses=ips("10.244.0.2"), noendpoints=True)
    assert ask(Lookup(index_of(KUBE_DNS), given), Z, "NS") == "\n".join(SELF)


ADDRESSES = {
    "10.0.0.1": True,
    "100.64.0.1": True,
    "192.0.2.1": True,
    "8.8.8.8": True,
    "fd00::1": True,
    "2001:db8::1": True,
    "127.0.0.1": False,
    "169.254.20.10": False,
    "224.0.0.1": False,
    "255.255.255.255": False,
    "0.0.0.0": False,
    "::1": False,
    "::": False,
    "fe80::1": False,
    "ff02::1": False,
}


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.items(), ids=ADDRESSES)
def test_presentable(text: str, expected: bool) -> None:
    assert presentable(ips(text)) == (ips(text) if expected else ())
