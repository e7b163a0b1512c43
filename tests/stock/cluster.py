"""The cluster that every Corefile is asked about."""

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

Z = "cluster.local."
DNS = (port(53, "dns", "UDP"), port(53, "dns-tcp"), port(9153, "metrics"))
HTTP = port(80, "http")


def objects(client: str = "127.0.0.1") -> list[Json]:
    """Services of every sort. client: the address of a pod of the namespace shop that asks."""
    return [
        *(namespace(name) for name in ("default", "kube-system", "shop")),
        service("default", "kubernetes", "10.96.0.1", [port(443, "https")]),
        endpoint_slice("default", "kubernetes", [endpoint("172.18.0.2")], [port(6443, "https")]),
        service("kube-system", "kube-dns", "10.96.0.10", DNS),
        endpoint_slice("kube-system", "kube-dns", [endpoint("10.244.0.2", pod="dns-1")], DNS),
        service("shop", "web", "10.96.0.80 fd00:10:96::80", [HTTP]),
        service("shop", "db", ports=[port(5432, "sql")]),
        endpoint_slice(
            "shop",
            "db",
            [endpoint("10.244.0.7", hostname="db-0"), endpoint("10.244.0.8", pod="db-b")],
            [port(5432, "sql")],
        ),
        external_name("shop", "outside", "www.example.org"),
        load_balancer("shop", "gate", "10.96.0.81", [HTTP], {"ip": "198.51.100.81"}),
        pod("shop", "asking", client),
        pod("shop", "db-a", "10.244.0.7"),
    ]


# Name and type, and what everybody says of it: rdata, sorted, with spaces between.
ANSWERS = {
    (f"kubernetes.default.svc.{Z}", "A"): "10.96.0.1",
    (f"web.shop.svc.{Z}", "A"): "10.96.0.80",
    (f"web.shop.svc.{Z}", "AAAA"): "fd00:10:96::80",
    (f"web.shop.svc.{Z}", "TXT"): "NODATA",
    (f"_http._tcp.web.shop.svc.{Z}", "SRV"): f"0 50 80 web.shop.svc.{Z}",
    (f"db.shop.svc.{Z}", "A"): "10.244.0.7 10.244.0.8",
    (f"db.shop.svc.{Z}", "AAAA"): "NODATA",
    (f"db-0.db.shop.svc.{Z}", "A"): "10.244.0.7",
    (f"outside.shop.svc.{Z}", "CNAME"): "www.example.org.",
    (f"nope.shop.svc.{Z}", "A"): "NXDOMAIN",
    (f"nope.svc.{Z}", "AAAA"): "NXDOMAIN",
    (f"svc.{Z}", "A"): "NODATA",
    (f"dns-version.{Z}", "TXT"): '"1.1.0"',
    ("80.0.96.10.in-addr.arpa.", "PTR"): f"web.shop.svc.{Z}",
    ("7.0.244.10.in-addr.arpa.", "PTR"): f"db-0.db.shop.svc.{Z}",
    ("10.2.0.192.in-addr.arpa.", "PTR"): "www.example.org.",  # not ours: fallthrough, and forward
    ("www.example.org.", "A"): "192.0.2.10",
    ("www.example.org.", "AAAA"): "2001:db8::10",
    ("www.example.org.", "MX"): "NODATA",
    ("nope.example.org.", "A"): "NXDOMAIN",
}
