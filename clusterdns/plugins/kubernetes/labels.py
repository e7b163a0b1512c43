"""What `kubernetes` can tell of a query to `metadata`: who asks, and the parts of the name."""

from collections.abc import Iterator, Sequence
from functools import partial

from dnslib import DNSLabel

from clusterdns.corefile.names import parse_address
from clusterdns.plugins.query import Label, Query
from clusterdns.zone.index import Index
from clusterdns.zone.view import ZoneOptions

KINDS = (b"svc", b"pod")
Labels = tuple[bytes, ...]


def client_labels(query: Query, index: Index) -> Iterator[tuple[str, Label]]:
    """The pod that asks, where pods are known (`pods verified`)."""
    address = parse_address(query.peer[0])
    for pod in index.pods(address.packed)[:1] if address else ():
        yield "kubernetes/client-namespace", partial(str, pod.namespace)
        yield "kubernetes/client-pod-name", partial(str, pod.name)
        for key, value in zip(pod.labels[::2], pod.labels[1::2], strict=True):
            yield f"kubernetes/client-label/{key}", partial(str, value)


def name_labels(name: Labels, options: ZoneOptions) -> Iterator[tuple[str, Label]]:
    """The parts of a name in one of the zones, in lower case; nothing of one outside."""
    zones = [_lower(zone) for zone in options.zones]
    name = _lower(name)
    found = [zone for zone in zones if name[len(name) - len(zone) :] == zone]
    if not found:
        return
    zone = max(found, key=len)
    is_multicluster = zone in [_lower(each) for each in options.multicluster]
    parts = _parts(name[: len(name) - len(zone)], is_multicluster, options.zonal)
    if parts is None:
        yield "kubernetes/parse-error", partial(str, "invalid query name")
        return
    for part, value in parts.items():
        yield f"kubernetes/{part}", partial(str, value.decode(errors="backslashreplace"))


def _parts(below: Sequence[bytes], is_multicluster: bool, zonal: bool) -> dict[str, bytes] | None:
    """Each part, b"" where there is none; None for what is no name of the zone."""
    parts = dict.fromkeys(
        ("port-name", "protocol", "endpoint", "service", "namespace", "kind"), b""
    )
    if is_multicluster:
        parts["cluster"] = b""
    if zonal:
        parts["zone"] = b""
    if not below or tuple(below) in ((b"svc",), (b"pod",)):
        return parts
    *left, parts["kind"] = below
    if parts["kind"] not in KINDS:
        return None
    for part in ("namespace", "service"):
        if left:
            parts[part] = left.pop()
    match left:
        case []:
            pass
        case [endpoint]:
            parts["endpoint"] = endpoint
        case [endpoint, cluster] if is_multicluster and b"_" not in (endpoint[:1], cluster[:1]):
            parts["endpoint"], parts["cluster"] = endpoint, cluster
        case [port, protocol]:
            parts["port-name"], parts["protocol"] = map(_without_underscore, (port, protocol))
        case [*zone, b"pin" | b"prefer", b"_zone"] if zonal and not is_multicluster:
            if parts["kind"] != b"svc":
                return None
            parts["zone"] = b".".join(zone)
        case _:
            return None
    return parts


def _without_underscore(label: bytes) -> bytes:
    return label.removeprefix(b"_")


def _lower(name: Labels | DNSLabel) -> Labels:
    labels = name.label if isinstance(name, DNSLabel) else name
    return tuple(map(bytes.lower, labels))
