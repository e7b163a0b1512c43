"""What the cluster holds, as far as DNS can show it. Slim, frozen, comparable by value.

Addresses are packed: 4 octets for IPv4 (IPv4-mapped IPv6 is IPv4), 16 for IPv6. The structs hold no
reference cycles, so they are kept from the garbage collector (`gc=False`): at 150,000 endpoints
a collection takes 2 ms instead of 18.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct

Address = bytes


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
    external_hosts: tuple[str, ...] = ()  # status.loadBalancer.ingress[].hostname

    @property
    def headless(self) -> bool:
        return not self.cluster_ips and not self.external_name


class Endpoint(NamedTuple):
    """One ready address of a slice; a view, made as slices are walked."""

    address: Address
    text: str  # the address as the API spells it: endpoint names are made of it
    hostname: str = ""
    pod: str = ""  # targetRef.name; kept only where `endpoint_pod_names` asks for it
    topology_zone: str = ""  # kept only where `zonal` asks for it


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

    def __len__(self) -> int:
        """The number of ready addresses."""
        return len(self.addresses) // self.width

    def endpoints(self) -> Iterator[Endpoint]:
        """Every ready address, in the slice's order."""
        raise NotImplementedError

    @staticmethod
    def pack(
        namespace: str,
        name: str,
        service: str,
        ports: tuple[Port, ...],
        endpoints: Iterable[Endpoint],
        unready: int = 0,
    ) -> "EndpointSlice":
        """The slice with these ready endpoints."""
        raise NotImplementedError


class Pod(Struct, frozen=True, gc=False, tag="Pod"):
    """A pod that runs; needed for `pods verified` only."""

    namespace: str
    name: str
    address: Address  # status.podIP


class Namespace(Struct, frozen=True, gc=False, tag="Namespace"):
    name: str


Object = Service | EndpointSlice | Pod | Namespace
