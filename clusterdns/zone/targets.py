"""What stands behind a Service's names: its own addresses, or those of its ready endpoints.

A port and a protocol, "" for any, choose among the ports of the Service, or of each slice: a slice
may name other ports than its neighbour. What has no port at all answers as if it had one
without name, number and protocol (that is how CoreDNS finds its addresses).
"""

from collections.abc import Iterable, Iterator

from dnslib import DNSLabel

from clusterdns.cluster.model import (
    Address,
    Endpoint,
    EndpointSlice,
    Port,
    Service,
    ServiceImport,
)
from clusterdns.zone.records import Target, below

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
    zone: DNSLabel,
    pod_names: bool,
) -> list[Target]:
    """The same as targets of SRV records: the Service's own name, or each endpoint's."""
    if not service.cluster_ips:
        members = endpoints(slices, port, protocol)
        return _named(service, members, zone, pod_names)
    host = below(zone, service.name, service.namespace, "svc")
    ports = chosen(service.ports, port, protocol)
    return [Target(host, address, ports) for address in service.cluster_ips] if host else []


def endpoint_targets(
    service: Service,
    slices: Iterable[EndpointSlice],
    name: str,
    zone: DNSLabel,
    pod_names: bool,
) -> list[Target]:
    """The endpoints of a Service that have this name, in lower case; an ExternalName has none."""
    members = [
        (endpoint, ports)
        for endpoint, ports in endpoints(slices, "", "")
        if not service.external_name and endpoint_name(endpoint, pod_names).lower() == name
    ]
    return _named(service, members, zone, pod_names)


def zonal_targets(
    service: Service,
    slices: Iterable[EndpointSlice],
    topology_zone: str,
    prefer: bool,
    zone: DNSLabel,
    pod_names: bool,
) -> list[Target]:
    """The endpoints of a headless Service in this topology zone, under their ordinary names.

    topology_zone: in lower case. prefer: all endpoints where none is there.
    """
    members = list(endpoints(slices, "", ""))
    there = [each for each in members if each[0].topology_zone.lower() == topology_zone]
    return _named(service, there or (members if prefer else []), zone, pod_names)


Member = tuple[Endpoint, tuple[Port, ...]]  # and its ports that were asked for


def endpoints(slices: Iterable[EndpointSlice], port: str, protocol: str) -> Iterator[Member]:
    """Every ready address with such a port."""
    for piece in slices:
        if ports := chosen(piece.ports, port, protocol):
            for endpoint in piece.endpoints():
                yield endpoint, ports


def endpoint_name(endpoint: Endpoint, pod_names: bool) -> str:
    """The name of an endpoint below its Service, as spelled in the API: specification 2.4.1.

    pod_names: the option `endpoint_pod_names`. An IPv6 text that ends in a colon gets a 0 behind,
    because no host name ends in a dash.
    """
    if endpoint.hostname:
        return endpoint.hostname
    if pod_names and 0 < len(endpoint.pod) <= POD_NAME_LIMIT:
        return endpoint.pod
    dashed = endpoint.text.replace("." if "." in endpoint.text else ":", "-")
    return dashed + "0" if dashed.endswith("-") else dashed


def _named(
    service: Service, members: Iterable[Member], zone: DNSLabel, pod_names: bool
) -> list[Target]:
    above = service.name, service.namespace, "svc"
    several = isinstance(service, ServiceImport)
    hosts = (
        (
            below(zone, *endpoint_labels(endpoint, pod_names, several), *above),
            endpoint,
            ports,
        )
        for endpoint, ports in members
    )
    return [Target(host, endpoint.address, ports) for host, endpoint, ports in hosts if host]


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
        each
        for each in declared
        if (not port or each.name.lower() == port)
        and (not protocol or each.protocol.lower() == protocol)
    )


_NO_PORT = (Port("", None, ""),)
