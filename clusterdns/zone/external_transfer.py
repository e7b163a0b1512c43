"""A zone of names outside of the cluster as a whole: what `external` answers, name by name."""

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter

from dnslib import QTYPE, RR, DNSLabel

from clusterdns.cluster.model import Service
from clusterdns.zone.external import External, ExternalOptions
from clusterdns.zone.found import Records
from clusterdns.zone.records import below
from clusterdns.zone.targets import endpoint_name
from clusterdns.zone.view import View

Types = tuple[int, ...]
_ALL: Types = (QTYPE.A, QTYPE.AAAA, QTYPE.SRV)
_SRV: Types = (QTYPE.SRV,)
_order = attrgetter("name", "namespace")


def external_records(view: View, options: ExternalOptions, zone: DNSLabel) -> Iterator[RR]:
    """Every record of the zone but its SOA record, as the cluster is now; made one by one later."""
    servers = External(view, options).find(zone.label, QTYPE.NS)
    first = [*servers.answer, *servers.additional] if isinstance(servers, Records) else []
    return _records(View(view.index.at_rest(), view.options), options, zone, first)


def _records(view: View, options: ExternalOptions, zone: DNSLabel, first: list[RR]) -> Iterator[RR]:
    yield from first
    external = External(view, replace(options, zones=(zone,)))
    for service in sorted(view.index.services(), key=_order):
        is_outside = service.external_ips or service.external_hosts
        if is_outside or (options.headless and service.headless):
            yield from _of_service(external, view, service, zone)


def _of_service(external: External, view: View, service: Service, zone: DNSLabel) -> Iterator[RR]:
    """What is at and below its name."""
    owner = below(zone, service.name, service.namespace)
    if owner is None or not view.exposed(service.namespace):
        return
    for name, types in _names(view, service, owner):
        answers = [external.find(name.label, qtype) for qtype in types]
        found = [each for said in answers if isinstance(said, Records) for each in said.answer]
        # A CNAME record stands alone (RFC 1034 section 3.6.2): a secondary would refuse the zone.
        aliases = [record for record in found if record.rtype == QTYPE.CNAME]
        yield from aliases[:1] or found


def _names(view: View, service: Service, owner: DNSLabel) -> Iterator[tuple[DNSLabel, Types]]:
    """Its own name, its ports', and its endpoints' where it has nothing outside, with the types of
    their records. Some may be none. What ports share is at the Service's name, as in CoreDNS."""
    yield owner, _ALL
    is_outside = service.external_ips or service.external_hosts
    pieces = () if is_outside else view.index.slices(service.namespace, service.name)
    ports = [*service.ports, *(port for piece in pieces for port in piece.ports)]
    names: dict[tuple[str, ...], Types] = {
        (f"_{port.name.lower()}", f"_{port.protocol}"): _SRV for port in ports if port.name
    }
    for endpoint in (each for piece in pieces for each in piece.endpoints()):
        names[(endpoint_name(endpoint, view.options.endpoint_pod_names),)] = _ALL
    for labels, types in names.items():
        if (name := below(owner, *labels)) is not None:
            yield name, types
