"""What of the cluster the options of `kubernetes` let a zone show."""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dnslib import DNSLabel

from clusterdns.cluster.model import Address, Endpoint, EndpointSlice, Service, address_text
from clusterdns.wire.names import labels_of, wire_name
from clusterdns.zone import records
from clusterdns.zone.grammar import is_reverse
from clusterdns.zone.index import Index, Key, Owner
from clusterdns.zone.names import wire_below
from clusterdns.zone.records import below
from clusterdns.zone.targets import endpoint_name

Keys = frozenset[Key]
STALE_TTL = 5  # the most, in seconds, of what comes from an earlier run; RFC 8767 would allow 30


@dataclass(frozen=True)
class ZoneOptions:
    """What the directive `kubernetes` says about names.

    zones: forward and reverse ones; PTR records lead into the first forward one.
    namespaces: those exposed; None for all. ttl: seconds.
    multicluster: those of the zones that have ServiceImports in place of Services.
    local_addresses: this host's own, for the NS records; () with `bind`. What is not `presentable`
        among them is left out.
    """

    zones: tuple[DNSLabel, ...]
    ttl: int = 5
    pods: Literal["disabled", "insecure", "verified"] = "disabled"
    namespaces: frozenset[str] | None = None
    ignore_empty: bool = False
    noendpoints: bool = False
    endpoint_pod_names: bool = False
    zonal: bool = False
    multicluster: tuple[DNSLabel, ...] = ()
    local_addresses: tuple[Address, ...] = ()


class View:
    """An index seen through a zone's options. Whatever an answer rests on comes with its keys."""

    def __init__(self, index: Index, options: ZoneOptions) -> None:
        self.index = index
        self.options = options
        self._namespaces = options.namespaces
        self._services = wire_name((b"svc", *primary_zone(options.zones).label))
        self.local = presentable(options.local_addresses)

    def exposed(self, namespace: str) -> bool:
        chosen = self._namespaces
        return self.index.has_namespace(namespace) and (chosen is None or namespace in chosen)

    def known(
        self, namespace: str, name: str
    ) -> tuple[Service | None, tuple[EndpointSlice, ...], Keys]:
        """The Service and its slices; None when there is no name at or below it."""
        if not self.exposed(namespace):
            return None, (), frozenset((("namespace", namespace),))
        keys: Keys = frozenset((("namespace", namespace), ("service", namespace, name)))
        service = self.index.service(namespace, name)
        if service is None:
            return None, (), keys
        slices = () if self.options.noendpoints else self.index.slices(namespace, name)
        if self.options.ignore_empty and service.cluster_ips and not service.external_name:
            return (service if any(map(len, slices)) else None), slices, keys
        return service, slices, keys

    def known_import(
        self, namespace: str, name: str
    ) -> tuple[Service | None, tuple[EndpointSlice, ...], Keys]:
        """The same of a ServiceImport, whose slices `noendpoints` does not take away."""
        if not self.exposed(namespace):
            return None, (), frozenset((("namespace", namespace),))
        keys: Keys = frozenset((("namespace", namespace), ("import", namespace, name)))
        service = self.index.imported(namespace, name)
        slices = self.index.imported_slices(namespace, name) if service else ()
        if service and service.cluster_ips and self.options.ignore_empty:
            return (service if any(map(len, slices)) else None), slices, keys
        return service, slices, keys

    def runs(self, namespace: str, address: Address, text: str) -> bool:
        """Whether a pod there has this address, spelled like this, as far as that matters."""
        if self.options.pods == "insecure":
            return True
        pods = self.index.pods(address)
        return text == address_text(address) and any(pod.namespace == namespace for pod in pods)

    def owners(self, address: Address) -> tuple[Owner, ...]:
        """The Services and slices with this address, exposed or not."""
        owners = self.index.owners(address)
        if self.options.noendpoints:
            return tuple(owner for owner in owners if isinstance(owner, Service))
        return owners

    def hosts(self, owners: Iterable[Owner], address: Address) -> list[bytes]:
        """Names that this address has, in the primary zone: Services', else endpoints'; in wire
        form, by their labels."""
        services = self._services
        found = [
            wire_below(services, each.name, each.namespace)
            for each in owners
            if isinstance(each, Service)
        ]
        if not any(found):
            pod_names = self.options.endpoint_pod_names
            found = [
                wire_below(
                    services, endpoint_name(endpoint, pod_names), each.service, each.namespace
                )
                for each in owners
                if isinstance(each, EndpointSlice)
                for endpoint in each.endpoints_at(address)
            ]
        hosts = [host for host in found if host]
        return hosts if len(hosts) < 2 else sorted(hosts, key=labels_of)

    def _endpoint_host(
        self, piece: EndpointSlice, endpoint: Endpoint, zone: DNSLabel
    ) -> DNSLabel | None:
        name = endpoint_name(endpoint, self.options.endpoint_pod_names)
        return below(zone, name, piece.service, piece.namespace, "svc")

    def servers(self, zone: DNSLabel) -> tuple[list[tuple[DNSLabel, Address]], Keys]:
        """Names and addresses of the Services in front of this process, else of itself."""
        keys: set[Key] = set()
        servers: list[tuple[DNSLabel, Address]] = []
        for local in self.local:
            keys.add(("address", local))
            for owner in self.owners(local):
                if isinstance(owner, EndpointSlice):
                    keys.add(("service", owner.namespace, owner.service))
                    servers += self._servers_behind(owner, zone)
        itself = records.under(zone, b"ns", b"dns")
        return servers or [(itself, local) for local in self.local], frozenset(keys)

    def _servers_behind(
        self, piece: EndpointSlice, zone: DNSLabel
    ) -> Iterator[tuple[DNSLabel, Address]]:
        service = self.index.service(piece.namespace, piece.service)
        if service and service.headless:
            for endpoint in piece.endpoints():
                if host := self._endpoint_host(piece, endpoint, zone):
                    yield host, endpoint.address
        elif service and (host := below(zone, service.name, service.namespace, "svc")):
            yield from ((host, address) for address in service.cluster_ips)


def presentable(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Those that others can reach this host by: global and private unicast addresses."""
    return tuple(address for address in addresses if _unicast(ipaddress.ip_address(address)))


def _unicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address == _BROADCAST
    )


def primary_zone(zones: tuple[DNSLabel, ...]) -> DNSLabel:
    """The first forward zone, in lower case; the first of all where only reverse ones are served.

    It is where PTR records lead.
    """
    folded = [DNSLabel(tuple(map(bytes.lower, zone.label))) for zone in zones]
    return next((zone for zone in folded if not is_reverse(zone.label)), folded[0])


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
