"""A zone of the cluster as a whole, for those who copy it: what CoreDNS transfers, in its order.

Services in the order of their names, with their addresses, ports and endpoints. Names that are
answered without an object of their own (pods, zonal names, dns-version) are left out.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter

from dnslib import QTYPE, RR, SRV, DNSLabel

from clusterdns.cluster.model import EndpointSlice, Port, Service, ServiceImport, parse_address
from clusterdns.zone import records
from clusterdns.zone.records import address_record, below
from clusterdns.zone.targets import endpoint_labels
from clusterdns.zone.view import View

WEIGHT = 100  # of the SRV records of a cluster IP; the addresses of a slice share it
GLUE_TTL = 0  # CoreDNS's: who has a copy of the zone asks for the names of its servers there

_order = attrgetter("name", "namespace")


def zone_records(view: View, zone: DNSLabel, imports: bool = False) -> Iterator[RR]:
    """Every record of the zone but its SOA record, as the cluster is now; made one by one later.

    zone: the owner at the top, and the end of all names.
    imports: the zone has ServiceImports in place of Services.
    """
    servers, _ = view.servers(zone)
    names, glue = records.server_records(zone, servers, view.options.ttl)
    for record in glue:
        record.ttl = GLUE_TTL
    still = View(view.index.at_rest(), view.options)
    return _records(still, zone, imports, [*names, *glue])


def _records(view: View, zone: DNSLabel, imports: bool, first: list[RR]) -> Iterator[RR]:
    yield from first
    index = view.index
    known = view.known_import if imports else view.known
    for each in sorted(index.imports() if imports else index.services(), key=_order):
        service, slices, _ = known(each.namespace, each.name)
        owner = service and below(zone, service.name, service.namespace, "svc")
        if service and owner:
            yield from _of_service(service, slices, owner, view)


def _of_service(
    service: Service, slices: Iterable[EndpointSlice], owner: DNSLabel, view: View
) -> Iterable[RR]:
    ttl = view.options.ttl
    if service.external_name:
        text = service.external_name
        target = None if parse_address(text) else records.domain_name(text)
        return [records.alias_record(owner, target, ttl)] if target else []
    if service.cluster_ips:
        return _of_cluster_ips(service, owner, ttl)
    several = isinstance(service, ServiceImport)
    return _of_endpoints(slices, owner, ttl, view.options.endpoint_pod_names, several)


def _of_cluster_ips(service: Service, owner: DNSLabel, ttl: int) -> Iterator[RR]:
    """Each port is at the Service's own name too, where peers look for each other."""
    for address in dict.fromkeys(service.cluster_ips):
        yield address_record(owner, address, ttl)
    seen = set()
    for port in service.ports:
        for name in (owner, _port_name(owner, port)):
            if name and _is_number(port) and (name.label, port.number) not in seen:
                seen.add((name.label, port.number))
                yield _service_record(name, ttl, WEIGHT, port, owner)


def _of_endpoints(
    slices: Iterable[EndpointSlice], owner: DNSLabel, ttl: int, pod_names: bool, several: bool
) -> Iterator[RR]:
    """What moves from one slice to another, and is in both for a while, is given once.

    several: names tell the cluster of an endpoint.
    """
    seen: set[object] = set()
    for piece in slices:
        weight = max(1, WEIGHT // max(1, len(piece)))
        for endpoint in piece.endpoints():
            host = below(owner, *endpoint_labels(endpoint, pod_names, several))
            for name in (owner, host):
                if name and (name.label, endpoint.address) not in seen:
                    seen.add((name.label, endpoint.address))
                    yield address_record(name, endpoint.address, ttl)
            for port in piece.ports:
                name = _port_name(owner, port)
                if not (host and name and _is_number(port)):
                    continue
                if (name.label, port.number, host.label) not in seen:
                    seen.add((name.label, port.number, host.label))
                    yield _service_record(name, ttl, weight, port, host)


def _port_name(owner: DNSLabel, port: Port) -> DNSLabel | None:
    """The name of a port below its Service; None for an unnamed one, specification 2.3.2."""
    if not port.name:
        return None
    return below(owner, f"_{port.name.lower()}", f"_{port.protocol}")


def _is_number(port: Port) -> bool:
    return port.number is not None and 0 <= port.number <= 0xFFFF


def _service_record(name: DNSLabel, ttl: int, weight: int, port: Port, target: DNSLabel) -> RR:
    rdata = SRV(priority=0, weight=weight, port=port.number, target=target)
    return RR(name, QTYPE.SRV, ttl=ttl, rdata=rdata)
