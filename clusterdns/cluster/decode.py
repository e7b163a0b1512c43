"""API objects -> the model: what DNS can show of them.

Each kind is read from the octets of one JSON object (`decode_service`), as a watch delivers them,
or from what `api` has made of a parsed document (`service_change`). Neither does any I/O.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from sys import intern
from typing import NamedTuple

from msgspec import Raw

from clusterdns.cluster import api
from clusterdns.cluster.events import Delete, Upsert
from clusterdns.cluster.model import (
    Address,
    Endpoint,
    EndpointSlice,
    Namespace,
    Pod,
    Port,
    Service,
    ServiceImport,
    parse_address,
)
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError

SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_LABEL = "multicluster.kubernetes.io/service-name"
CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
TRIGGER_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


class NoRecords(NamedTuple):
    """An object that DNS shows nothing of: whoever held an earlier form of it says `delete`."""

    delete: Delete
    reason: str = ""  # set where the data are odd: to be counted, and said once

    def __str__(self) -> str:
        return f"{self.delete.kind} {self.delete.namespace}/{self.delete.name} {self.reason}"


Change = Upsert | NoRecords | None  # None: leave whatever was known of this object as it is


def decode_service(octets: bytes | Raw) -> Upsert | NoRecords:
    """From JSON. Raises SourceError that names object and field, as the others do."""
    return service_change(api.from_json(api.Service, octets))


def decode_import(octets: bytes | Raw) -> Upsert | NoRecords:
    """From JSON."""
    return import_change(api.from_json(api.ServiceImport, octets))


def decode_slice(octets: bytes | Raw, selection: Selection) -> Upsert | NoRecords:
    """From JSON; the selection says which fields of endpoints are kept."""
    return slice_change(api.from_json(api.EndpointSlice, octets), selection)


def decode_pod(octets: bytes | Raw, selection: Selection) -> Change:
    """From JSON; the selection says whether labels are kept.

    None for a terminating pod: its record stays until it is deleted.
    """
    return pod_change(api.from_json(api.Pod, octets), selection)


def decode_namespace(octets: bytes | Raw) -> Upsert:
    """From JSON."""
    return namespace_change(api.from_json(api.Namespace, octets))


def service_change(service: api.Service) -> Upsert | NoRecords:
    """Services without an address, a None or a host name have no records."""
    metadata, spec = service.metadata, service.spec or api.ServiceSpec()
    namespace, name = intern(metadata.namespace), intern(metadata.name)
    external = spec.type == "ExternalName"
    spelled = _without_empty(spec.cluster_ips) or _without_empty([spec.cluster_ip])
    if external and not spec.external_name:
        return NoRecords(Delete("Service", namespace, name), "has an empty externalName")
    if not external and not spelled:
        return NoRecords(Delete("Service", namespace, name), "has no clusterIP")
    where = f"Service {namespace}/{name}: "
    headless = not external and spelled[0] == "None"
    ingress = _ingress(service)
    return Upsert(
        Service(
            namespace,
            name,
            () if external or headless else _addresses(spelled, where + "spec.clusterIPs"),
            () if external else _service_ports(spec.ports or ()),
            (spec.external_name or "") if external else "",
            _addresses(_without_empty(spec.external_ips), where + "spec.externalIPs")
            + _addresses(
                _without_empty(each.ip for each in ingress),
                where + "status.loadBalancer.ingress[].ip",
            ),
            _without_empty(each.hostname for each in ingress if not each.ip),
        )
    )


def import_change(imported: api.ServiceImport) -> Upsert | NoRecords:
    """A ServiceImport of type ClusterSetIP that has no IP yet has no records."""
    metadata, spec = imported.metadata, imported.spec or api.ImportSpec()
    namespace, name = intern(metadata.namespace), intern(metadata.name)
    headless = spec.type == "Headless"
    spelled = _without_empty(spec.ips)
    if not headless and not spelled:
        return NoRecords(Delete("ServiceImport", namespace, name), "has no IP")
    where = f"ServiceImport {namespace}/{name}: spec.ips"
    addresses = () if headless else _addresses(spelled, where)
    return Upsert(ServiceImport(namespace, name, addresses, _service_ports(spec.ports or ())))


def slice_change(slice_: api.EndpointSlice, selection: Selection) -> Upsert | NoRecords:
    """Slices of no Service, or with host names instead of addresses, have no records."""
    metadata = slice_.metadata
    namespace, name = intern(metadata.namespace), metadata.name
    labels = metadata.labels or {}
    service = labels.get(SERVICE_LABEL, "") if selection.endpoints else ""
    imported = labels.get(IMPORT_LABEL, "") if selection.multicluster else ""
    if not service and not imported:
        return NoRecords(Delete("EndpointSlice", namespace, name), f"has no label {SERVICE_LABEL}")
    if slice_.address_type == "FQDN":
        return NoRecords(Delete("EndpointSlice", namespace, name), "has the address type FQDN")
    endpoints = slice_.endpoints or []
    packed = EndpointSlice.pack(
        namespace,
        name,
        intern(service),
        slice_ports(slice_.ports or ()),
        _ready_endpoints(endpoints, selection, f"EndpointSlice {namespace}/{name}: "),
        sum(len(endpoint.addresses) for endpoint in endpoints if not _is_ready(endpoint)),
        intern(imported),
        intern(labels.get(CLUSTER_LABEL, "")) if imported else "",
    )
    return Upsert(packed, trigger_time(metadata.annotations))


def pod_change(pod: api.Pod, selection: Selection) -> Change:
    """A pod that has ended, or has no address yet, has no record."""
    metadata, status = pod.metadata, pod.status or api.PodStatus()
    namespace = intern(metadata.namespace)
    if metadata.deletion_timestamp:
        return None
    if status.phase in ("Succeeded", "Failed", "Unknown") or not status.pod_ip:
        return NoRecords(Delete("Pod", namespace, metadata.name))
    where = f"Pod {namespace}/{metadata.name}: status.podIP"
    address = _addresses([status.pod_ip], where)[0]
    labels = (metadata.labels or {}) if selection.pod_labels else {}
    flat = tuple([intern(text) for pair in sorted(labels.items()) for text in pair])
    return Upsert(Pod(namespace, metadata.name, address, flat))


def namespace_change(namespace: api.Namespace) -> Upsert:
    """A Namespace exists until it is deleted, while it terminates too."""
    return Upsert(Namespace(intern(namespace.metadata.name)))


def slice_ports(ports: Iterable[api.SlicePort]) -> tuple[Port, ...]:
    """The ports of a slice; no number and no protocol stay as they are."""
    return shared(
        tuple(
            Port(intern(port.name or ""), port.port, intern((port.protocol or "").lower()))
            for port in ports
        )
    )


def endpoint_of(
    text: str, hostname: str | None, pod: str | None, zone: str | None, selection: Selection
) -> Endpoint | None:
    """The endpoint with this address; None where the text is no address.

    pod, zone: kept as far as the selection asks for them.
    """
    address = parse_address(text)
    if address is None:
        return None
    return Endpoint(
        address,
        text,
        hostname or "",
        (pod or "") if selection.pod_names else "",
        intern(zone or "") if selection.topology_zones else "",
    )


def trigger_time(annotations: dict[str, str] | None) -> float | None:
    """When the change that led to this slice happened, in Unix seconds; None when unsaid."""
    text = (annotations or {}).get(TRIGGER_ANNOTATION)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def shared(ports: tuple[Port, ...]) -> tuple[Port, ...]:
    """The same ports, as the one tuple that all who have these ports hold."""
    if len(_PORTS) >= _MAX_PORTS:
        _PORTS.clear()  # those in use live on where they are held
    return _PORTS.setdefault(ports, ports)


_PORTS: dict[tuple[Port, ...], tuple[Port, ...]] = {}
_MAX_PORTS = 4096  # a cluster has some hundred different port lists; 4096 are under 1 MB


def _service_ports(ports: Iterable[api.ServicePort]) -> tuple[Port, ...]:
    return shared(
        tuple(
            Port(intern(port.name or ""), port.port, intern((port.protocol or "TCP").lower()))
            for port in ports
        )
    )


def _ingress(service: api.Service) -> list[api.Ingress]:
    balancer = service.status.load_balancer if service.status else None
    return (balancer.ingress if balancer else None) or []


def _without_empty(texts: Iterable[str | None] | None) -> tuple[str, ...]:
    return tuple(text for text in texts or () if text)


def _addresses(texts: Iterable[str], where: str) -> tuple[Address, ...]:
    return tuple(_address(text, where) for text in texts)


def _address(text: str, where: str) -> Address:
    address = parse_address(text)
    if address is None:
        raise SourceError(f"{where}: expected an IP address, got {text[:80]!r}")
    return address


def _is_ready(endpoint: api.SliceEndpoint) -> bool:
    """Ready unless said otherwise, as the API defines it."""
    return endpoint.conditions is None or endpoint.conditions.ready is not False


def _ready_endpoints(
    endpoints: list[api.SliceEndpoint], selection: Selection, where: str
) -> Iterator[Endpoint]:
    for index, endpoint in enumerate(endpoints):
        if not _is_ready(endpoint):
            continue
        pod = endpoint.target_ref.name if endpoint.target_ref else None
        for text in endpoint.addresses:
            found = endpoint_of(text, endpoint.hostname, pod, endpoint.zone, selection)
            if found is None:
                raise SourceError(
                    f"{where}endpoints[{index}].addresses: "
                    f"expected an IP address, got {text[:80]!r}"
                )
            yield found
