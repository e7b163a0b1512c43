"""What of an object decides names and addresses: where that is equal, DNS shows no difference."""

from clusterdns.cluster.model import Address, EndpointSlice, Service
from clusterdns.zone.tables import Name


def cluster_ips(service: Service | None) -> set[Address]:
    return set(service.cluster_ips) if service else set()


def external_ips(service: Service | None) -> set[Address]:
    return set(service.external_ips) if service else set()


def external(service: Service | None) -> tuple[object, ...] | None:
    """What decides a Service's names outside of the cluster; None for most, who have none."""
    if service is None or not (service.external_ips or service.external_hosts):
        return None
    return service.external_ips, service.external_hosts, service.ports


def shown(service: Service | None) -> tuple[object, ...] | None:
    """What decides the names at and below a Service, as far as the Service itself does."""
    if service is None:
        return None
    ports = service.ports if service.cluster_ips and not service.external_name else ()
    return service.cluster_ips, service.external_name, ports


def ownership(piece: EndpointSlice | None) -> set[Name]:
    """The Service that a slice belongs to; a slice that names none has no records."""
    return {(piece.namespace, piece.service)} if piece and piece.service else set()


def import_of(piece: EndpointSlice | None) -> set[Name]:
    return {(piece.namespace, piece.imported)} if piece and piece.imported else set()


def addresses(piece: EndpointSlice | None) -> set[Address]:
    return set(piece.each_address()) if piece and piece.service else set()


def members(piece: EndpointSlice | None) -> tuple[object, ...] | None:
    """What decides the names at and below its Service; None when that is nothing."""
    if not piece or not piece.service or not piece.addresses:
        return None
    return (piece.service, *_contents(piece))


def imported_members(piece: EndpointSlice | None) -> tuple[object, ...] | None:
    """The same of a ServiceImport."""
    if not piece or not piece.imported or not piece.addresses:
        return None
    return (piece.imported, piece.cluster, *_contents(piece))


def _contents(piece: EndpointSlice) -> tuple[object, ...]:
    return (
        piece.ports,
        piece.addresses,
        piece.width,
        piece.texts,
        piece.hostnames,
        piece.pods,
        piece.topology_zones,
    )


def renamed(old: EndpointSlice | None, new: EndpointSlice | None) -> set[Address]:
    """The addresses whose endpoint came, went or has another name: whose PTR records differ."""
    if old and new and ownership(old) == ownership(new) != set():
        return {endpoint.address for endpoint in set(old.endpoints()) ^ set(new.endpoints())}
    return addresses(old) | addresses(new)
