"""What the cluster holds, as far as DNS can show it. Slim, frozen, comparable by value.

Addresses are packed: 4 octets for IPv4 (IPv4-mapped IPv6 is IPv4), 16 for IPv6. The structs hold no
reference cycles, so they are kept from the garbage collector (`gc=False`): at 150,000 endpoints
a collection takes 2 ms instead of 18.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from msgspec import Struct

Address = bytes

MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291 section 2.5.5.2


def parse_address(text: str) -> Address | None:
    """The address that this text spells, packed; None where it spells none.

    As strict as Go's parser: no leading zeros in IPv4 octets, no zone id. An IPv4-mapped address is
    the IPv4 address.
    """
    try:
        if ":" not in text:
            return inet_pton(AF_INET, text)
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):  # ValueError: a zero octet or a lone surrogate in the text
        return None
    return packed[12:] if packed.startswith(MAPPED) else packed


def address_text(packed: Address) -> str:
    """The canonical text of an address: RFC 5952 for IPv6."""
    if len(packed) == 4:
        return inet_ntop(AF_INET, packed)
    if packed.startswith(bytes(12)):  # the C library writes ::1:2 as ::0.1.0.2, which none expects
        return str(ipaddress.IPv6Address(packed))
    return inet_ntop(AF_INET6, packed)


class Port(Struct, frozen=True, gc=False):
    """A port of a Service or of a slice."""

    name: str = ""  # "": unnamed; spelled as in the API
    number: int | None = None  # None: a slice port without number; it has no SRV record
    protocol: str = "tcp"  # lower-case; "" where a slice names none


class Service(Struct, frozen=True, gc=False, tag="Service"):
    """A Service: with cluster IPs, or ExternalName, or headless when it has neither."""

    namespace: str
    name: str
    cluster_ips: tuple[Address, ...] = ()
    ports: tuple[Port, ...] = ()
    external_name: str = ""  # as in the API; set for type ExternalName only
    external_ips: tuple[Address, ...] = ()  # spec.externalIPs and status.loadBalancer.ingress[].ip
    external_hosts: tuple[str, ...] = ()  # status.loadBalancer.ingress[].hostname without ip

    @property
    def headless(self) -> bool:
        return not self.cluster_ips and not self.external_name


class ServiceImport(Service, frozen=True, gc=False, tag="ServiceImport"):
    """A Service of several clusters (multicluster.x-k8s.io): of type ClusterSetIP, or headless."""


class Endpoint(NamedTuple):
    """One ready address of a slice; a view, made as slices are walked."""

    address: Address
    text: str  # the address as the API spells it: endpoint names are made of it
    hostname: str = ""
    pod: str = ""  # targetRef.name; kept only where `endpoint_pod_names` asks for it
    topology_zone: str = ""  # kept only where `zonal` asks for it
    cluster: str = ""  # of the slice; kept only where `multicluster` asks for it


class EndpointSlice(Struct, frozen=True, gc=False, tag="EndpointSlice"):
    """The ready endpoints of one EndpointSlice, an address each, packed (see `pack`).

    Endpoints that are not ready are only counted: DNS never shows them.
    """

    namespace: str
    name: str
    service: str  # label kubernetes.io/service-name
    ports: tuple[Port, ...] = ()
    addresses: bytes = b""  # packed one after the other, each `width` octets
    width: int = 4  # 4, or 16 where one of them is IPv6; IPv4 is then mapped, ::ffff:a.b.c.d
    texts: tuple[str, ...] = ()  # () where each address is spelled canonically
    hostnames: tuple[str, ...] = ()  # () where none has one; else one an address, "" for none
    pods: tuple[str, ...] = ()
    topology_zones: tuple[str, ...] = ()
    unready: int = 0
    imported: str = (
        ""  # label multicluster.kubernetes.io/service-name; kept only for `multicluster`
    )
    cluster: str = ""  # label multicluster.kubernetes.io/source-cluster, likewise

    def __len__(self) -> int:
        """The number of ready addresses."""
        return len(self.addresses) // self.width

    def each_address(self) -> list[Address]:
        """Every ready address as it is kept elsewhere, in the slice's order; doubles stay."""
        packed, width = self.addresses, self.width
        addresses = [packed[start : start + width] for start in range(0, len(packed), width)]
        if width == 4:
            return addresses
        return [address[12:] if address.startswith(MAPPED) else address for address in addresses]

    def each_text(self) -> Iterable[str]:
        """Every ready address as the API spells it, in the slice's order."""
        return self.texts or map(address_text, self.each_address())

    def endpoints(self) -> Iterator[Endpoint]:
        """Every ready address, in the slice's order."""
        return map(self._endpoint, range(len(self)))

    def endpoints_at(self, address: Address) -> Iterator[Endpoint]:
        """Those with this address, in the slice's order."""
        packed = MAPPED + address if len(address) < self.width else address
        start = self.addresses.find(packed)
        while start >= 0:
            if start % self.width == 0 and len(packed) == self.width:
                yield self._endpoint(start // self.width)
            start = self.addresses.find(packed, start + 1)

    def _endpoint(self, number: int) -> Endpoint:
        start = number * self.width
        address = self.addresses[start : start + self.width]
        if address.startswith(MAPPED):
            address = address[12:]
        return Endpoint(
            address,
            self.texts[number] if self.texts else address_text(address),
            self.hostnames[number] if self.hostnames else "",
            self.pods[number] if self.pods else "",
            self.topology_zones[number] if self.topology_zones else "",
            self.cluster,
        )

    @staticmethod
    def pack(
        namespace: str,
        name: str,
        service: str,
        ports: tuple[Port, ...],
        endpoints: Iterable[Endpoint],
        unready: int = 0,
        imported: str = "",
        cluster: str = "",
    ) -> "EndpointSlice":
        """The slice with these ready endpoints."""
        ready = tuple(endpoints)
        wide = any(len(endpoint.address) != 4 for endpoint in ready)
        spelled = all(endpoint.text == address_text(endpoint.address) for endpoint in ready)
        return EndpointSlice(
            namespace,
            name,
            service,
            ports,
            b"".join(_widened(e.address) if wide else e.address for e in ready),
            16 if wide else 4,
            () if spelled else tuple(e.text for e in ready),
            _unless_empty(e.hostname for e in ready),
            _unless_empty(e.pod for e in ready),
            _unless_empty(e.topology_zone for e in ready),
            unready,
            imported,
            cluster,
        )


def _widened(address: Address) -> bytes:
    return MAPPED + address if len(address) == 4 else address


def _unless_empty(texts: Iterable[str]) -> tuple[str, ...]:
    """These, or () when all are empty."""
    kept = tuple(texts)
    return kept if any(kept) else ()


class Pod(Struct, frozen=True, gc=False, tag="Pod"):
    """A pod that runs; needed for `pods verified` only."""

    namespace: str
    name: str
    address: Address  # status.podIP
    labels: tuple[str, ...] = ()  # key, value, key, value ...; kept only where `metadata` asks


class Namespace(Struct, frozen=True, gc=False, tag="Namespace"):
    name: str


Object = Service | ServiceImport | EndpointSlice | Pod | Namespace
