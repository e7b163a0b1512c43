"""Legacy Endpoints -> the EndpointSlices that the slice mirroring controller would write for them.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#endpointslice-mirroring
"""

from collections.abc import Iterable, Iterator

from clusterdns.cluster import api
from clusterdns.cluster.decode import endpoint_of, slice_ports
from clusterdns.cluster.model import Endpoint, EndpointSlice, Port
from clusterdns.cluster.selection import Selection

SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"  # an election's lock, no endpoints
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MIRRORING = "endpointslicemirroring-controller.k8s.io"
MOST_ADDRESSES = 1000  # of one subset; the controller's default


def mirrored(endpoints: api.Endpoints, selection: Selection) -> tuple[EndpointSlice, ...]:
    """One slice for each subset and address family; () where the object says "do not mirror".

    Whether there is a Service of that name, without a selector, is for the caller to see.
    Addresses that are none are left out, as the controller does it.
    """
    metadata = endpoints.metadata
    if (metadata.labels or {}).get(SKIP_LABEL) == "true":
        return ()
    if LEADER_ANNOTATION in (metadata.annotations or {}):
        return ()
    subsets = endpoints.subsets or []
    every = (each for subset in subsets for each in _families(subset, selection))
    return tuple(
        slice_of(metadata.namespace, metadata.name, number, ports, ready, unready)
        for number, (ports, ready, unready) in enumerate(every)
    )


def slice_of(
    namespace: str,
    service: str,
    number: int,
    ports: tuple[Port, ...],
    ready: Iterable[Endpoint],
    unready: int,
) -> EndpointSlice:
    """A slice that no file holds; its name, with a `/`, can be none of the API's."""
    return EndpointSlice.pack(namespace, f"{service}/{number}", service, ports, ready, unready)


Family = tuple[tuple[Port, ...], list[Endpoint], int]  # ports, ready endpoints, how many are not


def _families(subset: api.EndpointSubset, selection: Selection) -> Iterator[Family]:
    for port in subset.ports or ():
        port.protocol = port.protocol or "TCP"  # the API server's default, before they are mirrored
    ports = slice_ports(subset.ports or ())
    ready = (subset.addresses or [])[:MOST_ADDRESSES]
    unready = (subset.not_ready_addresses or [])[: MOST_ADDRESSES - len(ready)]
    shown = list(_endpoints(ready, selection))
    hidden = list(_endpoints(unready, selection))
    for width in (4, 16):
        mine = [each for each in shown if len(each.address) == width]
        others = sum(len(each.address) == width for each in hidden)
        if mine or others:
            yield ports, mine, others


def _endpoints(
    addresses: Iterable[api.EndpointAddress], selection: Selection
) -> Iterator[Endpoint]:
    for address in addresses:
        pod = address.target_ref.name if address.target_ref else None
        if endpoint := endpoint_of(address.ip, address.hostname, pod, None, selection):
            yield endpoint
