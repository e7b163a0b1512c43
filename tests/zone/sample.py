"""Cluster objects in few words, and answers as master-file text, read by dnspython."""

from collections.abc import Iterable

import dns.message
import dns.rdatatype
import dns.rrset
from dnslib import RR, DNSHeader, DNSLabel, DNSRecord

from clusterdns.cluster.events import KINDS, Event, Synced, Upsert
from clusterdns.cluster.model import (
    Address,
    Endpoint,
    EndpointSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    parse_address,
)
from clusterdns.cluster.selection import Selection
from clusterdns.zone.found import Found, NoData, NotOurs, NotSynced, NxDomain, Records, RRset
from clusterdns.zone.index import Index
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.view import ZoneOptions

HTTP = Port("http", 80)
EVERYTHING = Selection(pods=True, pod_names=True)
WORDS = {NoData: "NODATA", NxDomain: "NXDOMAIN", NotSynced: "SERVFAIL", NotOurs: "NOT OURS"}


def zone(text: str) -> DNSLabel:
    return DNSLabel(labels(text))


def labels(text: str) -> tuple[bytes, ...]:
    """The labels of a name without escapes."""
    return tuple(label.encode() for label in text.split(".") if label)


def ip(text: str) -> Address:
    address = parse_address(text)
    assert address is not None, text
    return address


def ips(text: str) -> tuple[Address, ...]:
    return tuple(map(ip, text.split()))


def service(name: str, addresses: str = "", *ports: Port, namespace: str = "shop") -> Service:
    return Service(namespace, name, ips(addresses), ports)


def alias(name: str, target: str, *ports: Port, namespace: str = "shop") -> Service:
    return Service(namespace, name, ports=ports, external_name=target)


def endpoint(text: str, hostname: str = "", pod: str = "", topology_zone: str = "") -> Endpoint:
    return Endpoint(ip(text), text, hostname, pod, topology_zone)


def members(
    service: str,
    endpoints: str | Iterable[Endpoint],
    *ports: Port,
    suffix: str = "1",
    namespace: str = "shop",
    unready: int = 0,
) -> EndpointSlice:
    """The slice SERVICE-SUFFIX. endpoints: as text, addresses with spaces between."""
    if isinstance(endpoints, str):
        endpoints = map(endpoint, endpoints.split())
    name = f"{service}-{suffix}"
    return EndpointSlice.pack(namespace, name, service, ports, endpoints, unready)


def pod(name: str, address: str, namespace: str = "shop") -> Pod:
    return Pod(namespace, name, ip(address))


def index_of(
    things: Iterable[Object], *, synced: bool = True, selection: Selection = EVERYTHING
) -> Index:
    """An index that knows these objects; with namespace shop where they name none."""
    things = list(things)
    if not any(isinstance(thing, Namespace) for thing in things):
        things.append(Namespace("shop"))
    index = Index(selection)
    events: list[Event] = [Upsert(thing) for thing in things]
    if synced:
        events += map(Synced, KINDS)
    for event in events:
        index.apply(event, now=1_700_000_000)
    return index


def options(zones: str = "cluster.local in-addr.arpa ip6.arpa", **given: object) -> ZoneOptions:
    return ZoneOptions(tuple(map(zone, zones.split())), **given)  # type: ignore[arg-type]


def ask(lookup: Lookup, name: str, qtype: str) -> str:
    """The answer as text, see `described`."""
    return described(lookup.find(labels(name), dns.rdatatype.from_text(qtype)))


def described(found: Found | RRset) -> str:
    """A word, or the answer's records, then glue behind `+`, then `-> ` and a name to be chased."""
    if isinstance(found, RRset):
        found = found.records()
    if not isinstance(found, Records):
        return WORDS[type(found)]
    lines = master_lines(found.answer) + [f"+ {line}" for line in master_lines(found.additional)]
    return "\n".join([*lines, *([f"-> {found.chase}"] if found.chase else [])])


def master_lines(records: Iterable[RR]) -> list[str]:
    """The records as they would be sent, each a line of a master file, without the class."""
    octets = bytes(DNSRecord(DNSHeader(qr=1), rr=list(records)).pack())
    rrsets = dns.message.from_wire(octets, one_rr_per_rrset=True).answer
    return [_line(rrset) for rrset in rrsets]


def _line(rrset: dns.rrset.RRset) -> str:
    return rrset.to_text().replace(" IN ", " ")
