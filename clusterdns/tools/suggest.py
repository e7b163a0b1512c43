"""Questions worth asking: what to type after `dig` to see the cluster answer."""

from collections.abc import Iterator
from ipaddress import ip_address

from clusterdns.cluster.model import Service
from clusterdns.zone.index import Index
from clusterdns.zone.lookup import ZoneOptions

SYSTEM = "kube-system"  # its Services are everybody's; others tell more


def suggestions(index: Index, options: ZoneOptions) -> Iterator[str]:
    """Up to four, each the words for `dig`: an address, a headless name, a port, a reverse name.

    Every one of them has records in this zone.
    """
    zone = next((str(zone) for zone in options.zones if not _is_reverse(str(zone))), None)
    if zone is None:
        return
    exposed = [each for each in index.services() if index.has_namespace(each.namespace)]
    exposed.sort(key=lambda each: (each.namespace == SYSTEM, each.namespace, each.name))
    addressed = [each for each in exposed if each.cluster_ips and each.name != "kubernetes"]
    for service in addressed[:1]:
        yield f"{_name(service, zone)} {'A' if len(service.cluster_ips[0]) == 4 else 'AAAA'}"
    for service in [each for each in exposed if each.headless and _has_endpoints(index, each)][:1]:
        yield f"{_name(service, zone)} A"
    ports = [(port, each) for each in addressed for port in each.ports if port.name]
    for port, service in ports[:1]:
        yield f"_{port.name}._{port.protocol}.{_name(service, zone)} SRV"
    if any(_is_reverse(str(zone)) for zone in options.zones):
        for service in addressed[:1]:
            yield f"-x {ip_address(service.cluster_ips[0])}"


def _name(service: Service, zone: str) -> str:
    return f"{service.name}.{service.namespace}.svc.{zone.rstrip('.')}"


def _has_endpoints(index: Index, service: Service) -> bool:
    return any(len(piece) for piece in index.slices(service.namespace, service.name))


def _is_reverse(zone: str) -> bool:
    return zone.rstrip(".").endswith(("in-addr.arpa", "ip6.arpa"))
