"""A cluster with every corner that its names can have; sections are those of the DNS behaviour.

No Service here has a selector and no two objects the same name, so that what is written is what
exists, for an API server and for manifests alike.
"""

from collections.abc import Iterator

from tests.objects import (
    Json,
    endpoint,
    endpoint_slice,
    external_name,
    load_balancer,
    namespace,
    pod,
    port,
    service,
)

HTTP = port(80, "http")
DNS = (port(53, "dns", "UDP"), port(53, "dns-tcp"), port(9153, "metrics"))
BLUE = {"track": "blue"}  # what label selectors of the tests look for


def corner_cases() -> list[Json]:
    """Everything that is valid, odd as it may be."""
    return [
        *_namespaces(),
        *_system(),
        *_cluster_ips(),
        *_families(),
        *_shared_addresses(),
        *_cluster_ip_endpoints(),
        *_headless(),
        *_topology_zones(),
        *_headless_families(),
        *_headless_crowds(),
        *_hidden(),
        *_outside_names(),
        *_inside_names(),
        *_chains(),
        *_pods(),
        *_odd_names(),
        *_spellings(),
    ]


def broken_cases() -> list[Json]:
    """Objects that an API server should not have let pass, or that no controller makes."""
    v4 = endpoint("10.99.0.1")
    return [
        namespace("broken"),
        endpoint_slice("broken", "", [v4], [HTTP]),
        service("broken", "fqdn"),
        endpoint_slice(
            "broken",
            "fqdn",
            [endpoint("a.example.com"), endpoint("b.example.com")],
            [HTTP],
            family="FQDN",
        ),
        service("broken", "no-address", ports=[HTTP], clusterIP="", clusterIPs=[""]),
        external_name("broken", "no-target", ""),
        endpoint_slice("broken", "no-service", [endpoint("10.99.0.2")], [HTTP]),
    ]


def _namespaces() -> Iterator[Json]:
    yield from (
        namespace(name) for name in ("default", "kube-system", "empty", "x-1", "svc", "pod")
    )
    yield namespace("shop", **BLUE)
    yield namespace("other", **BLUE)
    yield namespace("names")


def _system() -> Iterator[Json]:
    yield service("default", "kubernetes", "10.96.0.1", [port(443, "https")])
    yield endpoint_slice("default", "kubernetes", [endpoint("172.18.0.2")], [port(6443, "https")])
    yield service("kube-system", "kube-dns", "10.96.0.10", DNS)
    yield endpoint_slice(
        "kube-system",
        "kube-dns",
        [
            endpoint("10.244.0.2", pod="coredns-5dd5756b68-abcde"),
            endpoint("10.244.0.3", pod="coredns-5dd5756b68-fghij"),
        ],
        DNS,
    )


def _cluster_ips() -> Iterator[Json]:
    """1.7: ports of every sort, and every type with a cluster IP."""
    ports = [
        HTTP,
        port(443, "https"),
        port(53, "dns", "UDP"),
        port(53, "dns-tcp"),
        port(132, "sig", "SCTP"),
    ]
    yield service("shop", "web", "10.96.1.1", [HTTP], labels=BLUE)
    yield service("shop", "ports", "10.96.1.2", ports)
    yield service("shop", "unnamed", "10.96.1.3", [port(8080)])
    yield service("shop", "portless", "10.96.1.4")
    yield service(
        "shop", "mixed", "10.96.1.5", [HTTP, port(81, protocol="UDP"), port(82, "HTTP-Alt")]
    )
    yield service("shop", "same-name", "10.96.1.6", [port(53, "dns"), port(53, "dns", "UDP")])
    yield service("shop", "many", "10.96.1.8", [port(7000 + n, f"p{n}") for n in range(11)])
    yield service("shop", "crowd", "10.96.1.9", [port(7000 + n, f"p{n}") for n in range(105)])
    yield service("shop", "single", "10.96.1.10", [HTTP], clusterIPs=None)
    yield service("shop", "node-port", "10.96.1.11", [HTTP], type="NodePort")
    yield load_balancer("shop", "lb", "10.96.1.12", [HTTP], {"ip": "192.0.2.12"})
    yield load_balancer("shop", "lb-host", "10.96.1.13", [HTTP], {"hostname": "lb.example.com"})
    yield load_balancer("shop", "outer", "10.96.1.14", [HTTP], externalIPs=["198.51.100.14"])
    yield service("other", "web", "10.96.1.15", [port(8080, "http")])
    yield endpoint_slice("other", "web", [endpoint("10.244.1.15")], [port(8080, "http")])


def _families() -> Iterator[Json]:
    """1.7.1: addresses of both families."""
    yield service("shop", "six", "fd00:96::1", [HTTP])
    yield service("shop", "dual", "10.96.2.1 fd00:96::2:1", [HTTP])
    yield service("shop", "dual-six-first", "fd00:96::2:2 10.96.2.2", [HTTP, port(443, "https")])
    yield service("shop", "dual-portless", "10.96.2.3 fd00:96::2:3")


def _shared_addresses() -> Iterator[Json]:
    """1.11: an address that belongs to several Services."""
    yield service("shop", "twin-a", "10.96.3.1", [HTTP])
    yield service("other", "twin-b", "10.96.3.1", [HTTP])
    yield service("shop", "member-a")
    yield service("shop", "member-b")
    yield service("other", "member-c", "10.96.3.2", [HTTP])
    for space, name in (("shop", "member-a"), ("shop", "member-b"), ("other", "member-c")):
        yield endpoint_slice(space, name, [endpoint("10.244.3.1")], [HTTP])
    yield service("shop", "both-sides", "10.96.3.4", [HTTP])
    yield endpoint_slice("shop", "both-sides", [endpoint("10.96.1.1")], [HTTP])


def _cluster_ip_endpoints() -> Iterator[Json]:
    """1.7.4: endpoint names below Services with a cluster IP."""
    yield service("shop", "backed", "10.96.4.1 fd00:96::4:1", [HTTP], labels=BLUE)
    yield endpoint_slice(
        "shop",
        "backed",
        [
            endpoint("172.0.0.9", pod="backed-x7"),
            endpoint("172.0.0.10", hostname="named"),
            endpoint("172.0.0.11", ready=False),
        ],
        [port(8080, "http"), port(9090, "metrics")],
        labels=BLUE,
    )
    yield endpoint_slice(
        "shop", "backed", [endpoint("fd00:244::9")], [port(8080, "http")], suffix="6", labels=BLUE
    )
    yield service("shop", "unready", "10.96.4.2", [HTTP])
    yield endpoint_slice("shop", "unready", [endpoint("172.0.0.12", ready=False)], [HTTP])
    yield service("shop", "no-members", "10.96.4.3", [HTTP])
    yield endpoint_slice("shop", "no-members", [], [HTTP])


def _headless() -> Iterator[Json]:
    """1.8.2: which endpoints count, their names and their ports."""
    yield service("shop", "db", ports=[port(5432, "sql")], labels=BLUE)
    yield endpoint_slice(
        "shop",
        "db",
        [
            endpoint("10.244.5.1", hostname="db-0", pod="db-0"),
            endpoint("10.244.5.2", hostname="db-1", pod="db-1"),
            endpoint("10.244.5.3", hostname="db-2", pod="db-2", ready=False),
        ],
        [port(5432, "sql")],
        labels=BLUE,
    )
    yield service("shop", "dashed", ports=[HTTP])
    yield endpoint_slice(
        "shop",
        "dashed",
        [
            endpoint("10.244.5.11", pod="dashed-a"),
            endpoint("10.244.5.12", ready=None),
            endpoint("10.244.5.13", pod="p" * 64),
            endpoint("10.244.5.14", pod="pod.with.dots"),
            endpoint("10.244.5.15", "10.244.5.16"),
        ],
        [port(8080, "http"), port(9090)],
    )
    yield service("shop", "shared-hostname", ports=[HTTP])
    yield endpoint_slice(
        "shop",
        "shared-hostname",
        [endpoint(f"10.244.5.{n}", hostname="same") for n in (21, 22, 23)],
        [port(8080, "http")],
    )
    yield service("shop", "several", ports=[HTTP])
    yield endpoint_slice(
        "shop",
        "several",
        [endpoint("10.244.5.31", "10.244.5.32", hostname="a"), endpoint("10.244.5.33")],
        [port(8080, "http"), port(53, "dns", "UDP")],
    )
    yield service("shop", "capital", ports=[HTTP])
    yield endpoint_slice("shop", "capital", [endpoint("10.244.5.41", hostname="Node-A")], [HTTP])
    yield service("shop", "nil-ports")
    yield endpoint_slice("shop", "nil-ports", [endpoint("10.244.5.51")], None)
    yield service("shop", "no-ports")
    yield endpoint_slice("shop", "no-ports", [endpoint("10.244.5.52")], [])
    yield service("shop", "nil-number")
    yield endpoint_slice("shop", "nil-number", [endpoint("10.244.5.53")], [port(None, "any")])
    yield service("shop", "nil-and-number")
    yield endpoint_slice(
        "shop", "nil-and-number", [endpoint("10.244.5.54")], [port(None, "any"), port(80, "http")]
    )
    yield service("shop", "zero-port")
    yield endpoint_slice("shop", "zero-port", [endpoint("10.244.5.55")], [port(0, "zero")])
    yield service("shop", "unspoken-protocol")
    yield endpoint_slice(
        "shop", "unspoken-protocol", [endpoint("10.244.5.56")], [port(80, "http", None)]
    )


def _topology_zones() -> Iterator[Json]:
    """1.18: endpoints in topology zones, whose names may have dots and capitals; and of none."""
    yield service("shop", "zoned", ports=[HTTP])
    yield endpoint_slice(
        "shop",
        "zoned",
        [
            endpoint("10.244.5.61", topology_zone="west-2a"),
            endpoint("10.244.5.62", topology_zone="west-2b", hostname="b-0"),
            endpoint("10.244.5.63", topology_zone="west-2b"),
            endpoint("10.244.5.64", topology_zone="East.1C"),
            endpoint("10.244.5.65"),
        ],
        [HTTP, port(53, "dns", "UDP")],
    )
    members = [endpoint("fd00:5::61", topology_zone="west-2a")]
    yield endpoint_slice("shop", "zoned", members, [HTTP], suffix="6")
    yield service("shop", "zoned-ip", "10.96.1.61", [HTTP])
    members = [endpoint("10.244.5.67", topology_zone="west-2a")]
    yield endpoint_slice("shop", "zoned-ip", members, [HTTP])


def _headless_families() -> Iterator[Json]:
    """1.8.2 and 1.8.3: both families, and endpoint names of IPv6."""
    yield service("shop", "dual-headless", ports=[HTTP])
    yield endpoint_slice(
        "shop",
        "dual-headless",
        [endpoint("10.244.6.1", hostname="a"), endpoint("10.244.6.2")],
        [HTTP],
    )
    yield endpoint_slice(
        "shop",
        "dual-headless",
        [endpoint("fd00:244::6:1", hostname="a"), endpoint("fd00:244::6:2")],
        [HTTP],
        suffix="6",
    )
    yield service("shop", "six-only", ports=[HTTP])
    yield endpoint_slice(
        "shop",
        "six-only",
        [
            endpoint("fd00:1::"),
            endpoint("fd00:1::5"),
            endpoint("1:2:3:4:5:6:7:8"),
            endpoint("::6:3"),
        ],
        [HTTP],
    )
    yield service("shop", "four-only", ports=[HTTP])
    yield endpoint_slice("shop", "four-only", [endpoint("10.244.6.9")], [HTTP])


def _headless_crowds() -> Iterator[Json]:
    """1.8.2 and 1.2.2: many slices, doubled addresses, answers that do not fit."""
    yield service("shop", "sliced", ports=[HTTP])
    for n in range(4):
        yield endpoint_slice(
            "shop",
            "sliced",
            [endpoint(f"10.244.7.{n}", hostname=f"s{n}"), endpoint(f"10.244.7.{n + 100}")],
            [port(8080 + n, "http"), port(9000 + n, f"only-{n}")],
            suffix=str(n),
        )
    yield service("shop", "doubled", ports=[HTTP])
    yield endpoint_slice(
        "shop", "doubled", [endpoint("10.244.7.201"), endpoint("10.244.7.202")], [HTTP]
    )
    yield endpoint_slice(
        "shop", "doubled", [endpoint("10.244.7.202"), endpoint("10.244.7.203")], [HTTP], suffix="2"
    )
    yield service("shop", "nine", ports=[HTTP])
    yield endpoint_slice(
        "shop", "nine", [endpoint(f"10.244.8.{n}", hostname=f"nine-{n}") for n in range(9)], [HTTP]
    )
    yield service("shop", "legion", ports=[HTTP])
    for part in range(3):
        yield endpoint_slice(
            "shop",
            "legion",
            [endpoint(f"10.244.{part + 10}.{n}") for n in range(100)],
            [HTTP],
            suffix=str(part),
        )


def _hidden() -> Iterator[Json]:
    """1.6.6, 1.8: Services without anything to show, and namespaces that do not exist."""
    yield service("shop", "nobody", ports=[HTTP])
    yield service("shop", "nobody-ready", ports=[HTTP])
    yield endpoint_slice("shop", "nobody-ready", [endpoint("10.244.9.1", ready=False)], [HTTP])
    yield service("shop", "no-endpoints", ports=[HTTP])
    yield endpoint_slice("shop", "no-endpoints", [], [])
    yield service("nowhere", "web", "10.96.9.1", [HTTP])
    yield service("nowhere", "headless", ports=[HTTP])
    yield endpoint_slice("nowhere", "headless", [endpoint("10.244.9.2", hostname="h")], [HTTP])
    yield external_name("nowhere", "alias", "web.shop.svc.cluster.local")


def _outside_names() -> Iterator[Json]:
    """1.9: ExternalName Services that lead out of the zone, or nowhere."""
    for name, target in {
        "outside": "www.example.com",
        "dotted": "www.example.com.",
        "capitals": "WWW.Example.COM",
        "short": "intranet",
        "address": "192.0.2.53",
        "address-six": "2001:db8::53",
        "other-zone": "web.other.svc.other.test",
        "other-zone-dead": "nope.other.svc.other.test",
        "other-zone-capitals": "Web.Other.svc.Other.Test",
    }.items():
        yield external_name("names", name, target)
    yield external_name("names", "with-ports", "www.example.com", [HTTP])


def _inside_names() -> Iterator[Json]:
    """1.9: ExternalName Services that lead to names of the zone."""
    for name, target in {
        "to-service": "web.shop.svc.cluster.local",
        "to-dotted": "web.shop.svc.cluster.local.",
        "to-capitals": "Web.Shop.SVC.Cluster.Local",
        "to-dual": "dual.shop.svc.cluster.local",
        "to-six": "six.shop.svc.cluster.local",
        "to-headless": "dual-headless.shop.svc.cluster.local",
        "to-endpoint": "db-0.db.shop.svc.cluster.local",
        "to-port": "_http._tcp.web.shop.svc.cluster.local",
        "to-pod": "10-244-5-1.shop.pod.cluster.local",
        "to-legion": "legion.shop.svc.cluster.local",
        "to-nameserver": "ns.dns.cluster.local",
        "to-apex": "cluster.local",
        "to-namespace": "shop.svc.cluster.local",
        "to-version": "dns-version.cluster.local",
        "dead": "nope.shop.svc.cluster.local",
        "dead-empty": "nobody.shop.svc.cluster.local",
        "dead-namespace": "web.nowhere.svc.cluster.local",
        "itself": "itself.names.svc.cluster.local",
        "below-itself": "x.below-itself.names.svc.cluster.local",
    }.items():
        yield external_name("names", name, target)


def _chains() -> Iterator[Json]:
    """1.9: ExternalName Services one behind the other."""
    for n in range(12):
        yield external_name("names", f"chain-{n}", f"chain-{n + 1}.names.svc.cluster.local")
    yield external_name("names", "chain-12", "web.shop.svc.cluster.local")
    yield external_name("names", "hop", "hop-2.names.svc.cluster.local")
    yield external_name("names", "hop-2", "outside.names.svc.cluster.local")
    yield external_name("names", "dead-chain", "dead.names.svc.cluster.local")
    yield external_name("names", "loop-a", "loop-b.names.svc.cluster.local")
    yield external_name("names", "loop-b", "loop-c.names.svc.cluster.local")
    yield external_name("names", "loop-c", "loop-a.names.svc.cluster.local")
    yield external_name("names", "into-loop", "loop-a.names.svc.cluster.local")


def _pods() -> Iterator[Json]:
    """1.10: pods for `pods verified`."""
    yield pod("shop", "runner", "10.244.20.1", "fd00:244::20:1", labels=BLUE)
    yield pod("shop", "six-runner", "fd00:244::20:2")
    yield pod("shop", "pending", phase="Pending")
    yield pod("shop", "done", "10.244.20.3", phase="Succeeded")
    yield pod("shop", "failed", "10.244.20.4", phase="Failed")
    yield pod("other", "host-network", "172.18.0.2")
    yield pod("kube-system", "host-network", "172.18.0.2")
    yield pod("nowhere", "lost", "10.244.20.5")


def _odd_names() -> Iterator[Json]:
    """1.4: names that look like something else."""
    for n, name in enumerate(("svc", "pod", "dns", "ns", "x1", "w" * 63, "xn--bcher-kva", "any")):
        yield service(
            "x-1", name, f"10.96.10.{n + 1}", [HTTP, port(8000, "tcp"), port(8001, "svc")]
        )
    yield service("svc", "svc", "10.96.10.21", [HTTP])
    yield service("pod", "pod", "10.96.10.22", [HTTP])
    yield service("svc", "tcp", ports=[HTTP])
    yield endpoint_slice("svc", "tcp", [endpoint("10.244.21.1", hostname="http")], [HTTP])


def _spellings() -> Iterator[Json]:
    """1.8.3, 1.11: addresses that are not spelled canonically."""
    yield service("names", "upper-six", "FD00:96::AB", [HTTP])
    yield service("names", "long-six", "fd00:96:0:0:0:0:0:ac", [HTTP])
    yield service("names", "upper-members", ports=[HTTP])
    yield endpoint_slice(
        "names", "upper-members", [endpoint("FD00:244::AB"), endpoint("fd00:244:0:0::ad")], [HTTP]
    )
