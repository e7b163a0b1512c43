"""Questions about the names of the large cluster, by what answering them takes."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from bench import cluster
from bench.asking import query

ZONE = "svc.cluster.local"


class Kind(NamedTuple):
    """Questions of one kind, each about another name, as a stub resolver sends them without id."""

    text: str
    rcode: int
    queries: list[bytes]


def kinds(shape: cluster.Shape) -> Iterator[Kind]:
    """Every kind of questions that a cluster asks."""
    sites = [cluster.Site(number) for number in range(shape.services)]
    plain = [site for site in sites if not site.headless]
    headless = [site for site in sites if site.headless]
    stateful = [site for site in sites if site.stateful]
    each = shape.endpoints
    yield Kind("A, cluster IP", 0, [query(_name(site)) for site in plain])
    yield Kind("AAAA, cluster IP: no data", 0, [query(_name(site), "AAAA") for site in plain])
    yield Kind(f"A, headless, {each} endpoints", 0, [query(_name(site)) for site in headless])
    yield Kind(
        "A, endpoint by its name",
        0,
        [query(f"{site.name}-{n}.{_name(site)}") for site in stateful for n in range(each)],
    )
    yield Kind("SRV, cluster IP", 0, [query(f"_http._tcp.{_name(site)}", "SRV") for site in plain])
    yield Kind(
        f"SRV, headless, {each} endpoints",
        0,
        [query(f"_http._tcp.{_name(site)}", "SRV") for site in headless],
    )
    yield Kind("PTR, cluster IP", 0, [_pointer(site.cluster_ip) for site in plain])
    yield Kind(
        "PTR, endpoint",
        0,
        [_pointer(site.endpoint_ip(n, each)) for site in headless for n in range(min(each, 10))],
    )
    yield Kind("A, no such Service", 3, [query(f"junk-{n}.team-0.{ZONE}") for n in range(10_000)])
    yield Kind(
        "A, search list: no such namespace",
        3,
        [query(f"www.shop-{n}.test.{ZONE}") for n in range(10_000)],
    )


def _name(site: cluster.Site) -> str:
    return f"{site.name}.{site.namespace}.{ZONE}"


def _pointer(text: str) -> bytes:
    return query(ip_address(text).reverse_pointer, "PTR")
