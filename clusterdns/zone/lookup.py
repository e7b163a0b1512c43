"""A question -> what the zone says: Records, NoData, NxDomain, NotSynced or NotOurs.

Whether a name exists never depends on the type asked (RFC 8020): first the name is found, or
not, then its records of that type are made. Owners and the zone in targets are spelled as asked.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dnslib import QTYPE, RR, DNSLabel

from clusterdns.cluster.model import Address, EndpointSlice, Port, Service, parse_address
from clusterdns.wire.names import labels_of, wire_name
from clusterdns.zone import records, targets
from clusterdns.zone.found import (
    Found,
    NoData,
    NotOurs,
    NotSynced,
    NxDomain,
    Records,
    RRset,
)
from clusterdns.zone.grammar import (
    EndpointName,
    Fixed,
    Labels,
    Name,
    NamespaceName,
    PodName,
    ReverseName,
    ServiceName,
    ZonalName,
    parse,
    pod_address_text,
)
from clusterdns.zone.index import SYNCED, Index
from clusterdns.zone.names import wire_below
from clusterdns.zone.records import Glue, Target, soa
from clusterdns.zone.view import Keys, View, ZoneOptions

# CNAMEs of this zone that may follow the first one in an answer, as in CoreDNS since 1.12.1;
# bounds what one query can cost, as every chain of different names ends somewhere.
CHAIN_LIMIT = 10

_A, _AAAA, _SRV, _PTR, _TXT = QTYPE.A, QTYPE.AAAA, QTYPE.SRV, QTYPE.PTR, QTYPE.TXT
_NS, _SOA = QTYPE.NS, QTYPE.SOA
_ADDRESSES = (_A, _AAAA)
_WIDTHS = {_A: 4, _AAAA: 16}  # octets of an address

NO_KEYS: Keys = frozenset()
_NOT_OURS = NotOurs()


class _Asked(NamedTuple):
    """A question in one of our zones."""

    labels: Labels
    zone: DNSLabel
    qtype: int
    whole: Labels  # of the owner, lower-case
    depth: int  # how many of them are the zone's
    imports: bool = False  # the zone has ServiceImports in place of Services
    aliases: tuple[Labels, ...] = ()  # owners of the CNAMEs that led here

    @property
    def owner(self) -> DNSLabel:
        """The name as dnslib has it."""
        return DNSLabel(self.labels)


class Lookup:
    """The names of some zones, made of what the index knows at the moment of asking."""

    def __init__(self, index: Index, options: ZoneOptions) -> None:
        self._index = index
        self._options = options
        self._ttl = options.ttl
        folded = [tuple(map(bytes.lower, zone.label)) for zone in options.zones]
        self._zones = {zone: DNSLabel(zone) for zone in folded}
        self._trees = {zone: wire_name((b"svc", *zone)) for zone in folded}
        self._multicluster = frozenset(
            tuple(map(bytes.lower, zone.label)) for zone in options.multicluster
        )
        self._depths = sorted({len(zone) for zone in self._zones}, reverse=True)
        self._view = View(index, options)

    def find(self, labels: Labels, qtype: int) -> Found | RRset:
        """What the longest of our zones says about a name and type of class IN.

        labels: as sent, the root excluded. AXFR and IXFR are types like others here.
        """
        asked = self._asked(labels, qtype)
        return self._answer(asked) if asked else _NOT_OURS

    def serial(self, zone: DNSLabel) -> int:
        """The serial of one of our zones, in any letter case."""
        if self._multicluster and tuple(map(bytes.lower, zone.label)) in self._multicluster:
            return self._index.import_serial
        return self._index.serial

    def zone_of(self, labels: Labels) -> tuple[DNSLabel, bool] | None:
        """The longest of our zones that a name is in, and whether it has ServiceImports."""
        asked = self._asked(labels, QTYPE.SOA)
        return (asked.zone, asked.imports) if asked else None

    def _asked(self, labels: Labels, qtype: int) -> _Asked | None:
        whole = tuple(map(bytes.lower, labels))
        size = len(whole)
        for depth in self._depths:
            if depth <= size and (suffix := whole[size - depth :]) in self._zones:
                spelled = labels[size - depth :]
                zone = self._zones[suffix] if spelled == suffix else DNSLabel(spelled)
                return _Asked(labels, zone, qtype, whole, depth, suffix in self._multicluster)
        return None

    def _answer(self, asked: _Asked) -> Found | RRset:
        below = asked.whole[: len(asked.whole) - asked.depth]
        name: Name | None = parse(below, asked.whole, asked.imports)
        match name:
            case ServiceName():
                return self._service(asked, name)
            case EndpointName():
                return self._endpoint(asked, name)
            case ZonalName():
                return self._zonal(asked, name)
            case ReverseName(address):
                return self._reverse(asked, address)
            case PodName():
                return self._pod(asked, name)
            case NamespaceName():
                return self._namespace(asked, name)
            case None:
                return self._missing(asked, NO_KEYS)
            case _:
                return self._fixed(asked, name)

    def _fixed(self, asked: _Asked, name: Fixed) -> Found | RRset:
        if name is Fixed.APEX and asked.qtype == _SOA:
            return Records(
                asked.zone, NO_KEYS, [soa(asked.zone, self._ttl, self.serial(asked.zone))]
            )
        if name is Fixed.APEX and asked.qtype == _NS:
            servers, keys = self._view.servers(asked.zone)
            answer, glue = records.server_records(asked.zone, servers, self._ttl)
            return _records(asked, keys, answer, glue)
        if name is Fixed.NS_DNS and asked.qtype in _ADDRESSES:
            servers, keys = self._view.servers(asked.zone)
            return self._addresses(asked, keys, [address for _, address in servers])
        if name is Fixed.DNS_VERSION and asked.qtype == _TXT:
            return Records(asked.zone, NO_KEYS, [records.version_record(asked.owner)])
        return NoData(asked.zone, NO_KEYS)

    def _namespace(self, asked: _Asked, name: NamespaceName) -> Found:
        keys: Keys = frozenset({("namespace", name.namespace)})
        served = name.tree == "svc" or self._options.pods != "disabled"
        if served and self._view.exposed(name.namespace):
            return NoData(asked.zone, keys)
        return self._missing(asked, keys)

    def _known(
        self, asked: _Asked, namespace: str, name: str
    ) -> tuple[Service | None, tuple[EndpointSlice, ...], Keys]:
        known = self._view.known_import if asked.imports else self._view.known
        return known(namespace, name)

    def _service(self, asked: _Asked, name: ServiceName) -> Found | RRset:
        namespace, service_name, port, protocol = name
        service, slices, keys = self._known(asked, namespace, service_name)
        if service is None:
            return self._missing(asked, keys)
        if service.external_name and not port and not protocol:
            return self._alias(asked, keys, service.external_name)
        if asked.qtype == _SRV:
            above, pod_names = self._services(asked), self._options.endpoint_pod_names
            found = targets.targets(service, slices, port, protocol, above, pod_names)
            if found:
                return self._srv(asked, keys, found)
        addresses = targets.addresses(service, slices, port, protocol)
        if not addresses:
            return self._missing(asked, keys)
        return self._addresses(asked, keys, addresses)

    def _endpoint(self, asked: _Asked, name: EndpointName) -> Found | RRset:
        service, slices, keys = self._known(asked, name.namespace, name.service)
        if service is None:
            return self._missing(asked, keys)
        pod_names = self._options.endpoint_pod_names
        clusters = {piece.cluster.lower() for piece in slices} if asked.imports else ()
        if asked.imports:
            slices = tuple(each for each in slices if each.cluster.lower() == name.cluster)
        found = targets.named(service, slices, name.endpoint, pod_names)
        if found:
            return self._members(asked, keys, service, found)
        if name.cluster:
            return self._missing(asked, keys)
        if name.endpoint in clusters:
            return NoData(asked.zone, keys)  # endpoints of this cluster are below it
        zonal = self._options.zonal and not asked.imports
        if zonal and name.endpoint == "_zone" and service.headless:
            return NoData(asked.zone, keys)  # <topology zone>.pin is below it
        # Or else it is like _tcp, which has its ports' names below it: RFC 4592 section 2.2.2.
        ports = self._service(asked._replace(qtype=QTYPE.ANY), name.ports)
        return ports if isinstance(ports, NxDomain | NotSynced) else NoData(asked.zone, keys)

    def _zonal(self, asked: _Asked, name: ZonalName) -> Found | RRset:
        """Of a headless Service every topology zone has its names, though mostly no endpoints."""
        if not self._options.zonal:
            return self._missing(asked, NO_KEYS)
        service, slices, keys = self._view.known(name.namespace, name.service)
        if service is None or not service.headless:
            return self._missing(asked, keys)
        if not name.topology_zone:
            return NoData(asked.zone, keys)
        pod_names = self._options.endpoint_pod_names
        found = targets.zonal(slices, name.topology_zone, name.prefer, pod_names)
        if not found and not self._index.synced:
            return self._missing(asked, keys)
        return self._members(asked, keys, service, found)

    def _alias(self, asked: _Asked, keys: Keys, text: str) -> Found:
        """An ExternalName: its CNAME for every type, and for A and AAAA what stands behind it."""
        target = None if parse_address(text) else records.domain_name(text)
        if target is None:
            return self._missing(asked, keys)
        if len(asked.aliases) > CHAIN_LIMIT:
            return NoData(asked.zone, keys)
        found = Records(asked.zone, keys, [records.alias_record(asked.owner, target, self._ttl)])
        if asked.qtype not in _ADDRESSES:
            return found
        behind = self._asked(target.label, asked.qtype)
        if behind is None or behind.zone != asked.zone:
            found.chase = target
            return found
        aliases = (*asked.aliases, asked.whole)
        if behind.whole in aliases:
            return found
        return _joined(found, self._answer(behind._replace(aliases=aliases)))

    def _reverse(self, asked: _Asked, address: Address) -> Found | RRset:
        owners = self._view.owners(address)
        keys: Keys = frozenset(
            [("address", address), *[("namespace", owner.namespace) for owner in owners]]
        )
        exposed = self._view.exposed
        hosts = self._view.hosts([o for o in owners if exposed(o.namespace)], address)
        if not hosts:
            return self._missing(asked, keys)
        if asked.qtype != _PTR:
            return NoData(asked.zone, keys)
        if len(hosts) == 1:
            return RRset(asked.zone, keys, asked.labels, _PTR, self._ttl, hosts)
        names = [DNSLabel(labels_of(host)) for host in hosts]
        return Records(asked.zone, keys, records.pointer_records(asked.owner, names, self._ttl))

    def _pod(self, asked: _Asked, name: PodName) -> Found | RRset:
        text = pod_address_text(name.pod)
        address = parse_address(text)
        if address is None or self._options.pods == "disabled":
            return self._missing(asked, NO_KEYS)
        keys: Keys = frozenset((("namespace", name.namespace), ("pod", address)))
        if not self._view.exposed(name.namespace) or not self._view.runs(
            name.namespace, address, text
        ):
            return self._missing(asked, keys)
        if asked.qtype != _SRV:
            return self._addresses(asked, keys, [address])
        host = wire_below(wire_name(asked.zone.label), name.pod, name.namespace, "pod")
        return self._srv(asked, keys, [Target(host, address, _PORT_ZERO)] if host else [])

    def _members(
        self, asked: _Asked, keys: Keys, service: Service, found: Sequence[targets.Member]
    ) -> Found | RRset:
        if asked.qtype == _SRV:
            return self._srv(asked, keys, targets.hosts(service, found, self._services(asked)))
        return self._addresses(asked, keys, [address for _, address, _, _ in found])

    def _addresses(self, asked: _Asked, keys: Keys, addresses: Iterable[Address]) -> RRset | NoData:
        """A or AAAA, an address each, once, in the order given; the other family is left out."""
        width = _WIDTHS.get(asked.qtype)
        found = [each for each in dict.fromkeys(addresses) if len(each) == width]
        return self._rrset(asked, keys, found)

    def _services(self, asked: _Asked) -> bytes:
        """svc.<zone>, below which the names of Services are, in wire form."""
        zone = asked.zone.label
        return self._trees.get(zone) or wire_name((b"svc", *zone))

    def _srv(self, asked: _Asked, keys: Keys, found: list[Target]) -> RRset | NoData:
        return self._rrset(asked, keys, *records.service_rdatas(found))

    def _rrset(
        self, asked: _Asked, keys: Keys, rdatas: Sequence[bytes], glue: Sequence[Glue] = ()
    ) -> RRset | NoData:
        if not rdatas:
            return NoData(asked.zone, keys)
        return RRset(asked.zone, keys, asked.labels, asked.qtype, self._ttl, rdatas, glue)

    def _missing(self, asked: _Asked, keys: Keys) -> NxDomain | NotSynced:
        if self._index.synced:
            return NxDomain(asked.zone, keys)
        return NotSynced(asked.zone, keys | {SYNCED})


def _records(asked: _Asked, keys: Keys, answer: list[RR], glue: Sequence[RR] = ()) -> Found:
    return Records(asked.zone, keys, answer, list(glue)) if answer else NoData(asked.zone, keys)


def _joined(alias: Records, behind: Found | RRset) -> Found:
    """The CNAME with what its target gave; a dead target leaves it alone, NOERROR."""
    if isinstance(behind, NotOurs):
        return alias
    if isinstance(behind, RRset):
        behind = behind.records()
    alias.keys |= behind.keys
    if isinstance(behind, NotSynced):
        return NotSynced(alias.zone, alias.keys)
    if isinstance(behind, Records):
        alias.answer += behind.answer
        alias.chase = behind.chase
    return alias


_PORT_ZERO = (Port("", 0, ""),)  # a pod has no ports to name; its SRV record always said 0
