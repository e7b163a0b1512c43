"""A Service with a selector, and Pods -> the slices that the endpoint slice controller would write.

What it decides: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/ and, for
host names, https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/.
"""

from collections.abc import Iterable, Iterator, Mapping
from sys import intern

from msgspec import Struct

from clusterdns.cluster import api
from clusterdns.cluster.decode import endpoint_of, shared
from clusterdns.cluster.mirroring import slice_of
from clusterdns.cluster.model import Endpoint, EndpointSlice, Port, parse_address
from clusterdns.cluster.selection import Selection

Pairs = tuple[tuple[str, str], ...]  # labels, sorted


class TargetPort(Struct, frozen=True, gc=False):
    """A port of a Service, and which port of its pods stands behind it."""

    name: str
    protocol: str  # lower-case
    number: int | None  # None: the port that the pod gives this name
    target: str = ""


class Wanted(Struct, frozen=True, gc=False):
    """What a Service asks of pods."""

    selector: Pairs
    ports: tuple[TargetPort, ...]
    widths: tuple[int, ...]  # of addresses: 4, 16 or both; () for ExternalName
    not_ready_too: bool = False  # publishNotReadyAddresses

    def selects(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.selector)


class Backend(Struct, frozen=True, gc=False):
    """A pod, as far as a Service may want it."""

    labels: Pairs
    addresses: tuple[str, ...]  # as the API spells them; () while it has none
    ports: tuple[Port, ...] = ()
    ready: bool = True
    hostname: str = ""  # with `subdomain` only: pods without are named by their address
    subdomain: str = ""


def wanted(service: api.Service) -> Wanted | None:
    """None for a Service without a selector: somebody else writes its slices."""
    spec = service.spec or api.ServiceSpec()
    if not spec.selector:
        return None
    ports = tuple(_target_port(port) for port in spec.ports or ())
    return Wanted(
        _pairs(spec.selector),
        _TARGETS.setdefault(ports, ports) if len(_TARGETS) < _MOST_TARGETS else ports,
        _widths(spec),
        bool(spec.publish_not_ready_addresses),
    )


def backend(pod: api.Pod) -> Backend | None:
    """None for a pod that has ended.

    A pod is ready when its condition Ready says so. One without any conditions has never seen a
    kubelet: somebody wrote it by hand, and means it to be there, unless its phase is Pending.
    """
    spec, status = pod.spec or api.PodSpec(), pod.status or api.PodStatus()
    if status.phase in ("Succeeded", "Failed"):
        return None
    conditions = {each.type: each.status for each in status.conditions or ()}
    ready = conditions.get("Ready") == "True" if conditions else status.phase != "Pending"
    spelled = [each.ip for each in status.pod_ips or ()] or [status.pod_ip]
    return Backend(
        _pairs(pod.metadata.labels or {}),
        tuple(text for text in spelled if text),
        shared(tuple(_container_ports(spec))),
        ready and not pod.metadata.deletion_timestamp,
        spec.hostname or "" if spec.subdomain else "",
        intern(spec.subdomain or "") if spec.hostname else "",
    )


def derived(
    namespace: str,
    service: str,
    wants: Wanted,
    pods: Iterable[tuple[str, Backend]],
    selection: Selection,
) -> tuple[EndpointSlice, ...]:
    """The slices of a Service: pods with the same ports and address family share one.

    pods: name and pod of each that the selector selects; their order is kept.
    """
    groups: dict[tuple[int, tuple[Port, ...]], tuple[list[Endpoint], list[Endpoint]]] = {}
    for name, pod in pods:
        hostname = pod.hostname if pod.subdomain == service else ""
        ports = tuple(_ports(wants, pod))
        for text in pod.addresses:
            endpoint = endpoint_of(text, hostname, name, None, selection)
            if endpoint and (width := len(endpoint.address)) in wants.widths:
                ready, unready = groups.setdefault((width, ports), ([], []))
                (ready if pod.ready or wants.not_ready_too else unready).append(endpoint)
    return tuple(
        slice_of(namespace, service, number, shared(ports), ready, len(unready))
        for number, ((_, ports), (ready, unready)) in enumerate(groups.items())
    )


_TARGETS: dict[tuple[TargetPort, ...], tuple[TargetPort, ...]] = {}  # so that equal ones are one
_MOST_TARGETS = 4096  # beyond it they are kept one by one, which costs memory only


def _target_port(port: api.ServicePort) -> TargetPort:
    target = port.target_port or port.port  # absent, 0 and "" mean the same port
    name, protocol = intern(port.name or ""), intern((port.protocol or "TCP").lower())
    if isinstance(target, str):
        return TargetPort(name, protocol, None, intern(target))
    return TargetPort(name, protocol, target)


def _widths(spec: api.ServiceSpec) -> tuple[int, ...]:
    """The address families of a Service; both for a headless one that names none."""
    if spec.type == "ExternalName":
        return ()
    if spec.ip_families:
        return tuple(4 if family == "IPv4" else 16 for family in spec.ip_families)
    spelled = spec.cluster_ips or [spec.cluster_ip or ""]
    addresses = [parse_address(text) for text in spelled]
    return tuple(len(address) for address in addresses if address) or (4, 16)


def _pairs(labels: Mapping[str, str]) -> Pairs:
    return tuple(sorted((intern(key), intern(value)) for key, value in labels.items()))


def _container_ports(spec: api.PodSpec) -> Iterator[Port]:
    """Ports of containers, and of those init containers that stay (sidecars)."""
    sidecars = (each for each in spec.init_containers or () if each.restart_policy == "Always")
    for container in (*(spec.containers or ()), *sidecars):
        for port in container.ports or ():
            protocol = intern((port.protocol or "TCP").lower())
            yield Port(intern(port.name or ""), port.container_port, protocol)


def _ports(wants: Wanted, pod: Backend) -> Iterator[Port]:
    """The slice ports for this pod; one whose name the pod does not know is left out."""
    for port in wants.ports:
        number = port.number
        if number is None:
            number = _named(pod, port)
        if number is not None:
            yield Port(port.name, number, port.protocol)


def _named(pod: Backend, wanted: TargetPort) -> int | None:
    for port in pod.ports:
        if (port.name, port.protocol) == (wanted.target, wanted.protocol):
            return port.number
    return None
