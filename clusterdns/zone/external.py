"""Names of Services outside of the cluster, for `k8s_external`: a zone of their external addresses.

    <service>.<namespace>.<zone>                     external IPs and load balancers of a Service
    <port>.<protocol>.<service>.<namespace>.<zone>   its ports, underscores optional
    <endpoint>.<service>.<namespace>.<zone>          with `headless`, one of its endpoints
    ns1.dns.<zone>                                   the name server; `dns` is the option `apex`

What is said is said as by `lookup`: whether a name exists never depends on the type asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dnslib import CNAME, NS, QTYPE, RR, SOA, DNSLabel

from clusterdns.cluster.model import Address, EndpointSlice, Port, Service, parse_address
from clusterdns.wire.names import wire_name
from clusterdns.zone import records
from clusterdns.zone.found import Found, NoData, NotOurs, NotSynced, NxDomain, Records
from clusterdns.zone.grammar import (
    Labels,
    is_reverse,
    label_text,
    reverse_address,
    without_underscore,
)
from clusterdns.zone.index import SYNCED
from clusterdns.zone.names import wire_below
from clusterdns.zone.records import Target, below, under
from clusterdns.zone.targets import chosen, endpoint_name, endpoints
from clusterdns.zone.view import Keys, View, primary_zone

_ADDRESSES = (QTYPE.A, QTYPE.AAAA)
_SERVER = b"ns1"  # of the zone's name server
_NOT_OURS = NotOurs()
_NO_KEYS: Keys = frozenset()


@dataclass(frozen=True)
class ExternalOptions:
    """What the directive `k8s_external` says about names. ttl: seconds."""

    zones: tuple[DNSLabel, ...]
    ttl: int = 5
    apex: str = "dns"  # below the zone, above the name server
    headless: bool = False


@dataclass(slots=True)
class Hosted(Records):
    """Records that lead to host names of load balancers, whose addresses belong to the reply."""

    hosts: tuple[DNSLabel, ...] = ()


@dataclass(slots=True)
class NxServer(NxDomain):
    """No such name, and nobody else is to be asked: the zone's own servers stand beside it."""


class _Asked(NamedTuple):
    owner: DNSLabel
    zone: DNSLabel
    qtype: int


class _Wanted(NamedTuple):
    """What the labels left of the Service choose; "" is any."""

    endpoint: str = ""
    port: str = ""
    protocol: str = ""


class External:
    """The names of some zones, made of what a view shows at the moment of asking."""

    def __init__(self, view: View, options: ExternalOptions) -> None:
        self._view = view
        self._options = options
        self._apex = tuple(options.apex.lower().encode().split(b"."))
        self._primary = primary_zone(options.zones)
        self._zones = frozenset(tuple(map(bytes.lower, zone.label)) for zone in options.zones)
        self._depths = sorted({len(zone) for zone in self._zones}, reverse=True)

    def find(self, labels: Labels, qtype: int, most_ttl: int = 1 << 31) -> Found:
        """What the longest of our zones says about a name and type of class IN.

        labels: as sent, the root excluded. most_ttl: records may have no higher one.
        """
        whole = tuple([label.lower() for label in labels])
        size = len(whole)
        for depth in self._depths:
            if depth <= size and whole[size - depth :] in self._zones:
                asked = _Asked(DNSLabel(labels), DNSLabel(labels[size - depth :]), qtype)
                found = _Answer(self._view, self._options, asked, most_ttl)
                return self._answer(found, whole, whole[: size - depth])
        return _NOT_OURS

    def soa(self, zone: DNSLabel, most_ttl: int = 1 << 31) -> RR:
        """The SOA record of the zone, spelled as asked, for its apex and negative answers."""
        ttl = min(self._options.ttl, most_ttl)
        server, mailbox = under(zone, _SERVER, *self._apex), under(zone, b"hostmaster", *self._apex)
        serial = self._view.index.external_serial
        times = (serial, records.REFRESH, records.RETRY, records.EXPIRE, ttl)
        return RR(zone, QTYPE.SOA, ttl=ttl, rdata=SOA(server, mailbox, times))

    def _answer(self, found: "_Answer", whole: Labels, left: Labels) -> Found:
        """left: the labels below the zone."""
        if not left:
            return self._apex_answer(found)
        if left[-len(self._apex) :] == self._apex:
            return found.server(left[: -len(self._apex)])
        if is_reverse(whole) and (address := reverse_address(whole)):
            return found.pointers(address, self._primary)
        return found.named([label_text(label) for label in left])

    def _apex_answer(self, found: "_Answer") -> Found:
        zone, qtype = found.asked.zone, found.asked.qtype
        if qtype == QTYPE.SOA:
            return Records(zone, _NO_KEYS, [self.soa(zone, found.ttl)])
        if qtype != QTYPE.NS:
            return NoData(zone, _NO_KEYS)
        host = under(zone, _SERVER, *self._apex)
        addresses, keys = found.server_addresses()
        glue = [records.address_record(host, address, found.ttl) for address in addresses]
        return Records(zone, keys, [RR(zone, QTYPE.NS, ttl=found.ttl, rdata=NS(host))], glue)


class _Answer:
    """One question, on its way to an answer."""

    def __init__(self, view: View, options: ExternalOptions, asked: _Asked, most_ttl: int) -> None:
        self.asked = asked
        self.ttl = min(options.ttl, most_ttl)
        # CoreDNS: what is no address, but leads to one, has the TTL of `kubernetes`.
        self._alias_ttl = min(view.options.ttl, most_ttl)
        self._view, self._index = view, view.index
        self._headless = options.headless
        self._zone = wire_name(asked.zone.label)

    def named(self, labels: list[str]) -> Found:
        """labels: below the zone, in lower case; at least one."""
        *left, namespace = labels
        keys: Keys = frozenset({("namespace", namespace)})
        if not self._view.exposed(namespace):
            return self._missing(keys)
        if not left:
            return NoData(self.asked.zone, keys)
        *left, name = left
        keys |= {("service", namespace, name), ("external", namespace, name)}
        service = self._index.service(namespace, name)
        if service is None or len(left) > 2:
            return self._missing(keys)
        wanted = _Wanted(*map(without_underscore, ("", *left) if len(left) == 2 else left))
        outside = service.external_ips or service.external_hosts
        if self._headless and not outside and (service.headless or wanted.endpoint):
            return self._inside(service, wanted, keys)
        # A label in front of the Service that is no port says nothing here, as in CoreDNS.
        ports = chosen(service.ports, wanted.port, wanted.protocol)
        return self._outside(service, ports, keys) if outside and ports else self._missing(keys)

    def _outside(self, service: Service, ports: tuple[Port, ...], keys: Keys) -> Found:
        """What the Service has outside of the cluster, behind these ports."""
        spelled = [parse_address(text) for text in service.external_hosts]
        addresses = (*service.external_ips, *filter(None, spelled))
        hosts = tuple(
            dict.fromkeys(
                host
                for text, address in zip(service.external_hosts, spelled, strict=True)
                if not address and (host := records.domain_name(text))
            )
        )
        if self.asked.qtype == QTYPE.SRV:
            name = wire_below(self._zone, service.name, service.namespace)
            found = [Target(name, address, ports) for address in addresses] if name else []
            return self._srv(
                [*found, *(Target(wire_name(host.label), b"", ports) for host in hosts)],
                hosts,
                keys,
            )
        if self.asked.qtype not in _ADDRESSES:
            return NoData(self.asked.zone, keys)
        answer = [
            RR(self.asked.owner, QTYPE.CNAME, ttl=self._alias_ttl, rdata=CNAME(host))
            for host in hosts
        ]
        return self._records(answer + self._address_records(addresses), [], hosts, keys)

    def _inside(self, service: Service, wanted: _Wanted, keys: Keys) -> Found:
        """The endpoints of a Service that has nothing outside of the cluster."""
        slices: tuple[EndpointSlice, ...] = ()
        if not self._view.options.noendpoints and not service.external_name:
            slices = self._index.slices(service.namespace, service.name)
        found = list(self._members(service, slices, wanted))
        if not found:
            # Or else it is like _tcp, which has its ports' names below it: RFC 4592 section 2.2.2.
            ports = wanted.endpoint and [
                port for piece in slices for port in chosen(piece.ports, "", wanted.endpoint)
            ]
            return NoData(self.asked.zone, keys) if ports else self._missing(keys)
        if self.asked.qtype == QTYPE.SRV:
            return self._srv(found, (), keys)
        if self.asked.qtype not in _ADDRESSES:
            return NoData(self.asked.zone, keys)
        return self._records(self._address_records([each.address for each in found]), [], (), keys)

    def _members(
        self, service: Service, slices: Iterable[EndpointSlice], wanted: _Wanted
    ) -> Iterable[Target]:
        pod_names = self._view.options.endpoint_pod_names
        for endpoint, ports in endpoints(slices, wanted.port, wanted.protocol):
            label = endpoint_name(endpoint, pod_names)
            if wanted.endpoint in ("", label.lower()) and (
                host := wire_below(self._zone, label, service.name, service.namespace)
            ):
                yield Target(host, endpoint.address, ports)

    def pointers(self, address: Address, primary: DNSLabel) -> Found:
        """The Services with this external address, in the primary zone."""
        owners = self._index.external_owners(address)
        keys: Keys = frozenset(
            (("external address", address), *(("namespace", each.namespace) for each in owners))
        )
        exposed = [each for each in owners if self._view.exposed(each.namespace)]
        hosts = [below(primary, each.name, each.namespace) for each in exposed]
        if not any(hosts):
            return self._missing(keys)
        if self.asked.qtype != QTYPE.PTR:
            return NoData(self.asked.zone, keys)
        targets = [host for host in hosts if host]
        answer = records.pointer_records(self.asked.owner, targets, self.ttl)
        return Records(self.asked.zone, keys, answer)

    def server(self, left: Labels) -> Found:
        """The name server, and the name above it. left: the labels below that one."""
        if not left:
            return NoData(self.asked.zone, _NO_KEYS)
        if left != (_SERVER,):
            return NxServer(self.asked.zone, _NO_KEYS)
        if self.asked.qtype not in _ADDRESSES:
            return NoData(self.asked.zone, _NO_KEYS)
        addresses, keys = self.server_addresses()
        return self._records(self._address_records(addresses), [], (), keys)

    def server_addresses(self) -> tuple[list[Address], Keys]:
        """How this process is reached from outside: by its Services, else by its own addresses."""
        keys: set[tuple[str, ...] | tuple[str, bytes]] = set()
        found: list[Address] = []
        pieces: list[EndpointSlice] = []
        for local in self._view.local:
            keys.add(("address", local))
            pieces += (o for o in self._view.owners(local) if isinstance(o, EndpointSlice))
        for piece in pieces:
            owner = piece.namespace, piece.service
            keys |= {("service", *owner), ("external", *owner)}
            service = self._index.service(*owner)
            if service and self._headless and service.headless:
                found += piece.each_address()
            elif service:
                found += service.external_ips
        return list(dict.fromkeys(found if pieces else self._view.local)), frozenset(keys)

    def _address_records(self, addresses: Iterable[Address]) -> list[RR]:
        return records.address_records(self.asked.owner, addresses, self.asked.qtype, self.ttl)

    def _srv(self, found: list[Target], hosts: tuple[DNSLabel, ...], keys: Keys) -> Found:
        answer, glue = records.service_records(
            self.asked.owner, found, self._alias_ttl, glue_ttl=self.ttl
        )
        return self._records(answer, glue, hosts, keys)

    def _records(
        self, answer: list[RR], glue: list[RR], hosts: tuple[DNSLabel, ...], keys: Keys
    ) -> Found:
        if not answer:
            return NoData(self.asked.zone, keys)
        return Hosted(self.asked.zone, keys, answer, glue, None, hosts)

    def _missing(self, keys: Keys) -> NxDomain | NotSynced:
        if self._index.synced:
            return NxDomain(self.asked.zone, keys)
        return NotSynced(self.asked.zone, keys | {SYNCED})
