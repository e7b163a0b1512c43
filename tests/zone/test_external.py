"""Names outside of the cluster: section 3.20, by the tables of CoreDNS and beyond."""

from typing import Any

import dns.rdatatype
import pytest
from msgspec.structs import replace

from clusterdns.cluster.events import Upsert
from clusterdns.cluster.model import Namespace, Object, Port, Service
from clusterdns.zone.external import External, ExternalOptions, Hosted, NxServer
from clusterdns.zone.found import NotOurs, NxDomain
from clusterdns.zone.view import View
from tests.zone.sample import (
    HTTP,
    described,
    endpoint,
    index_of,
    ip,
    ips,
    labels,
    master_lines,
    members,
    options,
    zone,
)

Z = "example.com."
NS = f"testns.{Z}"


def service(name: str, outside: str = "", inside: str = "10.0.0.1", **given: Any) -> Service:
    """outside: external IPs; inside: cluster IPs, "" for a headless Service."""
    fields = {"ports": (HTTP,), "external_ips": ips(outside)} | given
    return replace(Service("testns", name, ips(inside)), **fields)


CLUSTER: list[Object] = [
    Namespace("testns"),
    Namespace("kube-system"),
    service("svc1", "1.2.3.4"),
    service("svc6", "1:2::5"),
    service("svc11", "2.3.4.5"),
    service("svc12", external_hosts=("dummy.hostname",)),
    service("svc-headless", "", ""),
    members(
        "svc-headless",
        [endpoint("1.2.3.4", "endpoint-svc-0"), endpoint("1.2.3.5", "endpoint-svc-1")],
        HTTP,
        namespace="testns",
    ),
    service("inner"),
    members("inner", [endpoint("10.1.0.1", "e")], HTTP, namespace="testns"),
    service("both", "2.3.4.6", external_hosts=("a.test", "B.test.", "192.0.2.9")),
    service("twin", "1.2.3.4 1.2.3.4", ports=(HTTP, Port("dns", 53, "udp"))),
    service("portless", "2.3.4.7", ports=()),
    service("exposed-headless", "2.3.4.8", ""),
    replace(service("lost", "2.3.4.9"), namespace="nowhere"),
]


def external(*things: Object, synced: bool = True, **given: Any) -> External:
    shown = given.pop("shown", {})
    view = View(index_of(things or CLUSTER, synced=synced), options(**shown))
    zones = given.pop("zones", (zone("example.com"), zone("in-addr.arpa")))
    given.setdefault("headless", True)
    return External(view, ExternalOptions(zones, **given))


WITH_HEADLESS, PLAIN = external(), external(headless=False)


def ask(name: str, qtype: str, of: External = WITH_HEADLESS) -> str:
    found = of.find(labels(name), dns.rdatatype.from_text(qtype))
    text = described(found) if not isinstance(found, NxServer | Hosted) else ""
    if isinstance(found, NxServer):
        return "NO SERVER"
    if isinstance(found, Hosted):
        lines = [*master_lines(found.answer)]
        lines += [f"+ {line}" for line in master_lines(found.additional)]
        return "\n".join([*lines, *(f"-> {host}" for host in found.hosts)])
    return text


def srv(name: str, weight: int, *hosts: str) -> str:
    return "\n".join(f"{name} 5 SRV 0 {weight} 80 {host}" for host in hosts)


HEADLESS = f"svc-headless.{NS}"
E0, E1 = f"endpoint-svc-0.{HEADLESS}", f"endpoint-svc-1.{HEADLESS}"
SERVICE_CASES = [  # the 29 of external_test.go of the plugin
    ("4.3.2.1.in-addr.arpa.", "PTR", f"4.3.2.1.in-addr.arpa. 5 PTR svc1.{NS}"),
    (f"svc1.{NS}", "PTR", "NODATA"),
    (f"not-existing.{NS}", "PTR", "NXDOMAIN"),
    (f"svc1.{NS}", "A", f"svc1.{NS} 5 A 1.2.3.4"),
    (f"svc1.{NS}", "SRV", f"{srv(f'svc1.{NS}', 100, f'svc1.{NS}')}\n+ svc1.{NS} 5 A 1.2.3.4"),
    (f"*._not-udp-or-tcp.svc1.{NS}", "SRV", "NXDOMAIN"),
    (
        f"_http._tcp.svc1.{NS}",
        "SRV",
        f"{srv(f'_http._tcp.svc1.{NS}', 100, f'svc1.{NS}')}\n+ svc1.{NS} 5 A 1.2.3.4",
    ),
    (f"svc1.{NS}", "AAAA", "NODATA"),
    (f"svc0.{NS}", "AAAA", "NXDOMAIN"),
    (f"svc0.{NS}", "A", "NXDOMAIN"),
    (f"svc0.svc-nons.{Z}", "A", "NXDOMAIN"),
    (f"svc6.{NS}", "AAAA", f"svc6.{NS} 5 AAAA 1:2::5"),
    (
        f"_http._tcp.svc6.{NS}",
        "SRV",
        f"{srv(f'_http._tcp.svc6.{NS}', 100, f'svc6.{NS}')}\n+ svc6.{NS} 5 AAAA 1:2::5",
    ),
    (f"svc6.{NS}", "SRV", f"{srv(f'svc6.{NS}', 100, f'svc6.{NS}')}\n+ svc6.{NS} 5 AAAA 1:2::5"),
    (NS, "A", "NODATA"),
    (NS, "SOA", "NODATA"),
    (f"svc11.{NS}", "A", f"svc11.{NS} 5 A 2.3.4.5"),
    (
        f"_http._tcp.svc11.{NS}",
        "SRV",
        f"{srv(f'_http._tcp.svc11.{NS}', 100, f'svc11.{NS}')}\n+ svc11.{NS} 5 A 2.3.4.5",
    ),
    (f"svc11.{NS}", "SRV", f"{srv(f'svc11.{NS}', 100, f'svc11.{NS}')}\n+ svc11.{NS} 5 A 2.3.4.5"),
    (f"svc12.{NS}", "A", f"svc12.{NS} 5 CNAME dummy.hostname.\n-> dummy.hostname."),
    (
        f"_http._tcp.svc12.{NS}",
        "SRV",
        f"{srv(f'_http._tcp.svc12.{NS}', 100, 'dummy.hostname.')}\n-> dummy.hostname.",
    ),
    (
        f"svc12.{NS}",
        "SRV",
        f"{srv(f'svc12.{NS}', 100, 'dummy.hostname.')}\n-> dummy.hostname.",
    ),
    (HEADLESS, "A", f"{HEADLESS} 5 A 1.2.3.4\n{HEADLESS} 5 A 1.2.3.5"),
    (HEADLESS, "SRV", f"{srv(HEADLESS, 50, E0, E1)}\n+ {E0} 5 A 1.2.3.4\n+ {E1} 5 A 1.2.3.5"),
    (
        f"_http._tcp.{HEADLESS}",
        "SRV",
        f"{srv(f'_http._tcp.{HEADLESS}', 50, E0, E1)}\n+ {E0} 5 A 1.2.3.4\n+ {E1} 5 A 1.2.3.5",
    ),
    (E0, "SRV", f"{srv(E0, 100, E0)}\n+ {E0} 5 A 1.2.3.4"),
    (E1, "SRV", f"{srv(E1, 100, E1)}\n+ {E1} 5 A 1.2.3.5"),
    (E0, "A", f"{E0} 5 A 1.2.3.4"),
    (E1, "A", f"{E1} 5 A 1.2.3.5"),
]


@pytest.mark.parametrize(("name", "qtype", "expected"), SERVICE_CASES)
def test_services(name: str, qtype: str, expected: str) -> None:
    things = [thing for thing in CLUSTER if getattr(thing, "name", "") != "twin"]
    assert ask(name, qtype, external(*things)) == expected


SOA = f"{Z} 5 SOA ns1.dns.{Z} hostmaster.dns.{Z} 0 7200 1800 86400 5"
APEX_CASES = [  # the 9 of apex_test.go
    (Z, "SOA", SOA),
    (Z, "NS", f"{Z} 5 NS ns1.dns.{Z}\n+ ns1.dns.{Z} 5 A 192.0.2.53"),
    (Z, "SRV", "NODATA"),
    (f"dns.{Z}", "SRV", "NODATA"),
    (f"dns.{Z}", "NS", "NODATA"),
    (f"ns1.dns.{Z}", "SRV", "NODATA"),
    (f"ns1.dns.{Z}", "NS", "NODATA"),
    (f"ns1.dns.{Z}", "AAAA", "NODATA"),
    (f"ns1.dns.{Z}", "A", f"ns1.dns.{Z} 5 A 192.0.2.53"),
    # and more
    (f"ns2.dns.{Z}", "A", "NO SERVER"),
    (f"x.ns1.dns.{Z}", "A", "NO SERVER"),
    (f"NS1.Dns.{Z}", "A", f"NS1.Dns.{Z} 5 A 192.0.2.53"),
]
LOCAL: dict[str, Any] = {"shown": {"local_addresses": (ip("192.0.2.53"),)}}


@pytest.mark.parametrize(("name", "qtype", "expected"), APEX_CASES)
def test_apex(name: str, qtype: str, expected: str) -> None:
    assert ask(name, qtype, external(**LOCAL)) == expected


def test_the_apex_label() -> None:
    found = external(apex="Edge", **LOCAL)
    assert ask(Z, "NS", found).startswith(f"{Z} 5 NS ns1.edge.{Z}")
    assert ask(f"edge.{Z}", "A", found) == "NODATA"
    assert ask(f"ns1.edge.{Z}", "A", found) == f"ns1.edge.{Z} 5 A 192.0.2.53"
    assert ask(f"ns1.dns.{Z}", "A", found) == "NXDOMAIN"


DNS = members("dns", "10.1.0.53", HTTP, namespace="kube-system")
SERVER_CASES = {
    "external IPs of the Service in front": (
        service("dns", "203.0.113.53 2001:db8::53", namespace="kube-system"),
        ["203.0.113.53"],
    ),
    "a Service without them": (service("dns", namespace="kube-system"), []),
    "a headless Service": (service("dns", "", "", namespace="kube-system"), ["10.1.0.53"]),
    "no Service": (service("other"), []),
}


@pytest.mark.parametrize(("before", "expected"), SERVER_CASES.values(), ids=SERVER_CASES)
def test_servers(before: Service, expected: list[str]) -> None:
    shown = {"local_addresses": (ip("10.1.0.53"),)}
    found = ask(f"ns1.dns.{Z}", "A", external(before, DNS, Namespace("kube-system"), shown=shown))
    assert found == ("\n".join(f"ns1.dns.{Z} 5 A {text}" for text in expected) or "NODATA")


KUBERNETES_CASES = [  # the 8 of external_test.go of kubernetes: who exists, with which addresses
    (f"svc1.{NS}", ["1.2.3.4"]),
    (f"svc6.{NS}", ["1:2::5"]),
    (f"_http._tcp.svc1.{NS}", ["1.2.3.4"]),
    (f"svc0.{NS}", None),
    (f"svc0.svc-nons.{Z}", None),
    (f"svc-headless.{NS}", ["1.2.3.4", "1.2.3.5"]),
    (f"endpoint-svc-0.svc-headless.{NS}", ["1.2.3.4"]),
    (f"endpoint-1.svc-nons.{NS}", None),
]


@pytest.mark.parametrize(("name", "expected"), KUBERNETES_CASES)
def test_addresses(name: str, expected: list[str] | None) -> None:
    if expected is None:
        assert ask(name, "A") == ask(name, "AAAA") == "NXDOMAIN"
        return
    texts = [ask(name, qtype) for qtype in ("A", "AAAA")]
    lines = [line for text in texts if text != "NODATA" for line in text.splitlines()]
    assert [line.split()[-1] for line in lines] == expected


CASES = [
    # without `headless`
    (PLAIN, f"svc-headless.{NS}", "A", "NXDOMAIN"),
    (PLAIN, E0, "A", "NXDOMAIN"),
    (PLAIN, f"exposed-headless.{NS}", "A", f"exposed-headless.{NS} 5 A 2.3.4.8"),
    # with it: external addresses are preferred, endpoints of other Services have names too
    (WITH_HEADLESS, f"exposed-headless.{NS}", "A", f"exposed-headless.{NS} 5 A 2.3.4.8"),
    (WITH_HEADLESS, f"inner.{NS}", "A", "NXDOMAIN"),
    (WITH_HEADLESS, f"e.inner.{NS}", "A", f"e.inner.{NS} 5 A 10.1.0.1"),
    (WITH_HEADLESS, f"f.inner.{NS}", "A", "NXDOMAIN"),
    (WITH_HEADLESS, f"_tcp.svc-headless.{NS}", "A", "NODATA"),  # D2
    (WITH_HEADLESS, f"_udp.svc-headless.{NS}", "A", "NXDOMAIN"),
    # one label in front of a Service that has external addresses
    (PLAIN, f"any.svc1.{NS}", "A", f"any.svc1.{NS} 5 A 1.2.3.4"),
    (PLAIN, f"a.b.c.svc1.{NS}", "A", "NXDOMAIN"),
    (PLAIN, f"http.tcp.svc1.{NS}", "A", f"http.tcp.svc1.{NS} 5 A 1.2.3.4"),
    (PLAIN, f"_dns._tcp.twin.{NS}", "A", "NXDOMAIN"),
    (PLAIN, f"_dns._udp.twin.{NS}", "A", f"_dns._udp.twin.{NS} 5 A 1.2.3.4"),
    (PLAIN, f"portless.{NS}", "A", f"portless.{NS} 5 A 2.3.4.7"),
    (PLAIN, f"portless.{NS}", "SRV", "NODATA"),
    # types
    (PLAIN, f"svc1.{NS}", "TXT", "NODATA"),
    (PLAIN, f"svc12.{NS}", "CNAME", "NODATA"),
    (PLAIN, f"svc0.{NS}", "TXT", "NXDOMAIN"),
    # reverse names: D3, D12, D22
    (PLAIN, "4.3.2.1.in-addr.arpa.", "A", "NODATA"),
    (PLAIN, "1.0.0.10.in-addr.arpa.", "PTR", "NXDOMAIN"),  # a cluster IP
    (PLAIN, "9.4.3.2.in-addr.arpa.", "PTR", "NXDOMAIN"),  # its namespace does not exist
    (
        PLAIN,
        "4.3.2.1.in-addr.arpa.",
        "PTR",
        f"4.3.2.1.in-addr.arpa. 5 PTR svc1.{NS}\n4.3.2.1.in-addr.arpa. 5 PTR twin.{NS}",
    ),
    # spelled as asked
    (PLAIN, "SVC1.TestNS.Example.Com.", "A", "SVC1.TestNS.Example.Com. 5 A 1.2.3.4"),
    (PLAIN, "svc1.testns.cluster.local.", "A", "NOT OURS"),
]


@pytest.mark.parametrize(("of", "name", "qtype", "expected"), CASES)
def test_more(of: External, name: str, qtype: str, expected: str) -> None:
    assert ask(name, qtype, of) == expected


def test_addresses_and_hosts() -> None:
    name = f"both.{NS}"
    assert ask(name, "A") == "\n".join(
        [
            f"{name} 5 CNAME a.test.",
            f"{name} 5 CNAME B.test.",
            f"{name} 5 A 2.3.4.6",
            f"{name} 5 A 192.0.2.9",  # a host name that is an address
            "-> a.test.",
            "-> B.test.",
        ]
    )
    lines = ask(name, "SRV").splitlines()
    assert lines[:3] == srv(name, 25, name, "a.test.", "B.test.").splitlines()


def test_ttls() -> None:
    """What leads to a name has the TTL of `kubernetes`."""
    found = external(ttl=60, shown={"ttl": 7})
    assert ask(f"svc1.{NS}", "A", found) == f"svc1.{NS} 60 A 1.2.3.4"
    assert ask(f"svc12.{NS}", "A", found).startswith(f"svc12.{NS} 7 CNAME ")
    lines = ask(f"svc1.{NS}", "SRV", found).splitlines()
    assert [line.split()[-5] for line in lines[:1]] == ["SRV"]
    assert lines == [f"svc1.{NS} 7 SRV 0 100 80 svc1.{NS}", f"+ svc1.{NS} 60 A 1.2.3.4"]
    assert ask(Z, "SOA", found) == SOA.replace(" 5", " 60")


def test_before_everything_is_known() -> None:
    """D13."""
    found = external(*CLUSTER, synced=False)
    assert ask(f"svc1.{NS}", "A", found) == f"svc1.{NS} 5 A 1.2.3.4"
    assert ask(f"svc0.{NS}", "A", found) == "SERVFAIL"
    assert ask("9.9.9.9.in-addr.arpa.", "PTR", found) == "SERVFAIL"


@pytest.mark.parametrize(
    ("name", "qtype", "after"),
    [
        (f"svc1.{NS}", "A", service("svc1", "9.9.9.9")),
        (f"new.{NS}", "A", service("new", "9.9.9.9")),
        (f"svc12.{NS}", "A", service("svc12", external_hosts=("other.test",))),
        ("9.9.9.9.in-addr.arpa.", "PTR", service("svc1", "9.9.9.9")),
        ("4.3.2.1.in-addr.arpa.", "PTR", service("svc1", "9.9.9.9")),
        (f"svc0.later.{Z}", "A", Namespace("later")),
        (f"svc-headless.{NS}", "A", members("svc-headless", "9.9.9.9", HTTP, namespace="testns")),
        (f"svc1.{NS}", "SRV", service("svc1", "1.2.3.4", ports=(Port("http", 81),))),
    ],
)
def test_what_changes_an_answer_touches_its_keys(name: str, qtype: str, after: Object) -> None:
    index = index_of(CLUSTER)
    of = External(View(index, options()), WITH_HEADLESS._options)
    found = of.find(labels(name), dns.rdatatype.from_text(qtype))
    assert not isinstance(found, NotOurs)
    assert found.keys & index.apply(Upsert(after), now=1_700_000_009)


def test_longest_zone() -> None:
    found = external(zones=(zone("example.com"), zone("testns.example.com")))
    assert isinstance(found.find(labels(f"svc1.{NS}"), 1), NxDomain)  # svc1 is a namespace there
