"""What `kubernetes` can tell of a query to `metadata`: who asks, and the parts of the name."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from clusterdns.corefile.names import parse_address
from clusterdns.plugins.base import Label, Query
from clusterdns.zone.index import Index

KINDS = ("svc", "pod")
Labels = tuple[bytes, ...]


def client_labels(query: Query, index: Index) -> Iterator[tuple[str, Label]]:
    """The pod that asks, where pods are known (`pods verified`)."""
    address = parse_address(query.peer[0])
    for pod in index.pods(address.packed)[:1] if address else ():
        yield "kubernetes/client-namespace", partial(str, pod.namespace)
        yield "kubernetes/client-pod-name", partial(str, pod.name)


def name_labels(name: Labels, zones: Iterable[Labels]) -> Iterator[tuple[str, Label]]:
    """The parts of a name in one of the zones, in lower case; nothing of one outside."""
    name = _lower(name)
    sizes = [len(zone) for zone in zones if name[len(name) - len(zone) :] == _lower(zone)]
    if not sizes:
        return
    below = [label.decode(errors="backslashreplace") for label in name[: len(name) - max(sizes)]]
    parts = _parts(below)
    if parts is None:
        yield "kubernetes/parse-error", partial(str, "invalid query name")
        return
    for kind, value in zip(NAMES, parts, strict=True):
        yield f"kubernetes/{kind}", partial(str, value)


NAMES = ("port-name", "protocol", "endpoint", "service", "namespace", "kind")


def _parts(below: Sequence[str]) -> tuple[str, str, str, str, str, str] | None:
    """In the order of NAMES, "" where there is none; None for what is no name of the zone."""
    if not below or tuple(below) in (("svc",), ("pod",)):
        return "", "", "", "", "", ""
    *left, kind = below
    if kind not in KINDS or len(left) > 4:
        return None
    port = protocol = endpoint = ""
    if len(left) == 4:
        port, protocol = (label.removeprefix("_") for label in left[:2])
    elif len(left) == 3:
        endpoint = left[0]
    service = left[-2] if len(left) > 1 else ""
    return port, protocol, endpoint, service, left[-1], kind


def _lower(name: Labels) -> Labels:
    return tuple(map(bytes.lower, name))
