"""What stands behind a Service's names: its own addresses, or those of its ready endpoints.

A port and a protocol, "" for any, choose among the ports of the Service, or of each slice: a slice
may name other ports than its neighbour. What has no port at all answers as if it had one
without name, number and protocol (that is how CoreDNS finds its addresses).
"""

from collections.abc import Iterable, Iterator, Sequence

from clusterdns.cluster.model import (
    Address,
    Endpoint,
    EndpointSlice,
    Port,
    Service,
    ServiceImport,
)
from clusterdns.zone.names import below_one, wire_below
from clusterdns.zone.records import Target

POD_NAME_LIMIT = 63  # octets of a label, RFC 1035 section 2.3.4; a longer pod name is no label


def addresses(
    service: Service, slices: Iterable[EndpointSlice], port: str, protocol: str
) -> list[Address]:
    """The addresses behind these ports, doubles included; [] where there is no such name.

    slices: all of its slices; asked only when it is headless. An ExternalName has no addresses.
    """
    if service.external_name:
        return []
    if service.cluster_ips:
        return list(service.cluster_ips) if chosen(service.ports, port, protocol) else []
    return [
        address
        for piece in slices
        if chosen(piece.ports, port, protocol)
        for address in piece.each_address()
    ]


def targets(
    service: Service,
    slices: Iterable[EndpointSlice],
    port: str,
    protocol: str,
    services: bytes,
    pod_names: bool,
) -> list[Target]:
    """The same as targets of SRV records: the Service's own name, or each endpoint's.

    services: svc.<zone> in wire form, as are the targets' names.
    An ExternalName has none.
    """
    if service.external_name:
        return []
    if not service.cluster_ips:
        return hosts(service, members(slices, port, protocol, pod_names), services)
    ports = chosen(service.ports, port, protocol)
    host = wire_below(services, service.name, service.namespace) if ports else None
    return [Target(host, address, ports) for address in service.cluster_ips] if host else []


# An endpoint: its name below the Service, its address, the ports that were asked for, and the
# cluster that it is in, if that is known.
Member = tuple[str, Address, tuple[Port, ...], str]


def members(
    slices: Iterable[EndpointSlice], port: str, protocol: str, pod_names: bool
) -> Iterator[Member]:
    """Every ready address with such a port."""
    for piece in slices:
        if ports := chosen(piece.ports, port, protocol):
            names = endpoint_names(piece, pod_names)
            for name, address in zip(names, piece.each_address(), strict=True):
                yield name, address, ports, piece.cluster


def named(
    service: Service, slices: Iterable[EndpointSlice], name: str, pod_names: bool
) -> list[Member]:
    """The endpoints of a Service that have this name, in lower case; an ExternalName has none."""
    if service.external_name:
        return []
    return [
        (spelled, piece.each_address()[number], chosen(piece.ports, "", ""), piece.cluster)
        for piece in slices
        for number, spelled in enumerate(endpoint_names(piece, pod_names))
        if spelled.lower() == name and spelled.isascii()
    ]


def zonal(
    slices: Iterable[EndpointSlice], topology_zone: str, prefer: bool, pod_names: bool
) -> list[Member]:
    """The endpoints in this topology zone, under their ordinary names.

    topology_zone: in lower case. prefer: all endpoints where none is there.
    """
    found = list(endpoints(slices, "", ""))
    there = [each for each in found if each[0].topology_zone.lower() == topology_zone]
    return [
        (endpoint_name(endpoint, pod_names), endpoint.address, ports, endpoint.cluster)
        for endpoint, ports in there or (found if prefer else [])
    ]


def hosts(service: Service, members: Iterable[Member], services: bytes) -> list[Target]:
    """The same as targets of SRV records, in wire form; what would be no domain name is left out.

    With ServiceImports a name tells in which of several clusters the endpoint is.
    """
    above = wire_below(services, service.name, service.namespace)
    if above is None:
        return []
    several = isinstance(service, ServiceImport)
    found = []
    for name, address, ports, cluster in members:
        host = wire_below(above, name, cluster) if several and cluster else below_one(above, name)
        if host:
            found.append(Target(host, address, ports))
    return found


def endpoint_names(piece: EndpointSlice, pod_names: bool) -> Sequence[str]:
    """The name of each endpoint below its Service, see `endpoint_name`."""
    if piece.hostnames and all(piece.hostnames):
        return piece.hostnames
    if piece.hostnames or (pod_names and piece.pods):
        return [endpoint_name(endpoint, pod_names) for endpoint in piece.endpoints()]
    return list(map(_dashed, piece.each_text()))


def endpoint_name(endpoint: Endpoint, pod_names: bool) -> str:
    """The name of an endpoint below its Service, as spelled in the API: specification 2.4.1.

    pod_names: the option `endpoint_pod_names`.
    """
    if endpoint.hostname:
        return endpoint.hostname
    if pod_names and 0 < len(endpoint.pod) <= POD_NAME_LIMIT:
        return endpoint.pod
    return _dashed(endpoint.text)


def _dashed(text: str) -> str:
    """The label that stands for an address. One of IPv6 that ends in a colon gets a 0 behind,
    because no host name ends in a dash."""
    label = text.replace("." if "." in text else ":", "-")
    return label + "0" if label.endswith("-") else label


def endpoints(
    slices: Iterable[EndpointSlice], port: str, protocol: str
) -> Iterator[tuple[Endpoint, tuple[Port, ...]]]:
    """Every ready address with such a port, whole, and its ports that were asked for."""
    for piece in slices:
        if ports := chosen(piece.ports, port, protocol):
            for endpoint in piece.endpoints():
                yield endpoint, ports


def endpoint_labels(endpoint: Endpoint, pod_names: bool, several: bool) -> tuple[str, ...]:
    """several: its name tells in which of several clusters it is."""
    name = endpoint_name(endpoint, pod_names)
    return (name, endpoint.cluster) if several and endpoint.cluster else (name,)


def chosen(ports: tuple[Port, ...], port: str, protocol: str) -> tuple[Port, ...]:
    """The ports that match, "" matching any; both words are in lower case."""
    declared = ports or _NO_PORT
    if not port and not protocol:
        return declared
    return tuple(
        [
            each
            for each in declared
            if (not port or each.name.lower() == port)
            and (not protocol or each.protocol.lower() == protocol)
        ]
    )


_NO_PORT = (Port("", None, ""),)
