"""Names below a zone: what each label asks for.

Labels are read from the right, as the DNS specification for Kubernetes builds them:

    <service>.<namespace>.svc.<zone>                     a Service
    <port>.<protocol>.<service>.<namespace>.svc.<zone>   its ports, underscores optional
    <endpoint>.<service>.<namespace>.svc.<zone>          one of its endpoints, by host name
    <topology zone>.pin._zone.<service>.<namespace>.svc.<zone>     those of its endpoints there,
    <topology zone>.prefer._zone.<service>.<namespace>.svc.<zone>  or all where none is
    <endpoint>.<cluster>.<service>.<namespace>.svc.<zone>          in zones of several clusters
    <address>.<namespace>.pod.<zone>                     a pod, dots and colons as dashes

and beside them the apex, `ns.dns`, `dns-version` and reverse names. `parse` says what a name asks
for, whether or not it exists; the number of labels left of the Service picks the rule from
`_SERVICE_RULES`; a topology zone may have dots, so what has more labels is one of those names.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from clusterdns.cluster.model import Address

Labels = tuple[bytes, ...]  # of a name, leftmost first, the root excluded


class Fixed(Enum):
    """Names that every zone has, whatever the cluster holds."""

    APEX = "apex"
    EMPTY = "empty non-terminal"  # svc, pod, dns: no records, names below (RFC 4592 section 2.2.2)
    NS_DNS = "ns.dns"
    DNS_VERSION = "dns-version"


class NamespaceName(NamedTuple):
    """<namespace>.svc or <namespace>.pod: an empty non-terminal while the namespace exists."""

    namespace: str
    tree: str  # "svc" or "pod"


class ServiceName(NamedTuple):
    """A Service, or those of its ports that match; "" matches every port or protocol."""

    namespace: str
    service: str
    port: str = ""
    protocol: str = ""


class EndpointName(NamedTuple):
    """What stands directly below a Service: an endpoint, or a protocol with ports below it."""

    namespace: str
    service: str
    endpoint: str
    cluster: str = ""  # in zones of several clusters: where it is, or "" for a name without that

    @property
    def ports(self) -> ServiceName:
        """The ports below this name, if it is a protocol's: _tcp has _http._tcp below it."""
        return ServiceName(self.namespace, self.service, "", without_underscore(self.endpoint))


class ZonalName(NamedTuple):
    """The endpoints of a headless Service in a topology zone; "" for the name above all of them."""

    namespace: str
    service: str
    topology_zone: str  # in lower case; its dots are those of the name
    prefer: bool  # True: all endpoints where the zone has none; False: then there are none


class PodName(NamedTuple):
    namespace: str
    pod: str  # the label, as 10-1-2-3


class ReverseName(NamedTuple):
    address: Address


Name = Fixed | NamespaceName | ServiceName | EndpointName | ZonalName | PodName | ReverseName


def parse(below: Labels, whole: Labels, multicluster: bool = False) -> Name | None:
    """What a name asks for; None where no such name can exist in any cluster.

    below: the labels left of the zone, lower-case.
    whole: all labels, lower-case; the end of them tells reverse names, in any zone (even the root).
    multicluster: it is a zone of several clusters.
    """
    if below and (rule := _TREES.get(below[-1])) and not is_reverse(whole):
        return rule(below, multicluster)
    fixed = _FIXED.get(below)
    if fixed is None and is_reverse(whole) and (address := reverse_address(whole)):
        return ReverseName(address)
    return fixed


def is_reverse(labels: Labels) -> bool:
    """Whether these lower-case labels are in-addr.arpa, ip6.arpa or below."""
    return labels[-2:] in _REVERSE


def reverse_address(labels: Labels) -> Address | None:
    """The address of a complete reverse name in lower case; None where it is not one."""
    left = labels[:-2]
    if labels[-2:-1] == (b"in-addr",):
        return _reverse_ipv4(left)
    # Labels are taken in groups of four from the right: up to three in front do no harm.
    return _reverse_ipv6(left[-32:]) if 32 <= len(left) < 36 else None


def _reverse_ipv4(labels: Labels) -> Address | None:
    if len(labels) != 4:
        return None
    try:
        return bytes([_OCTETS[label] for label in reversed(labels)])
    except KeyError:
        return None


def _reverse_ipv6(labels: Labels) -> Address | None:
    """RFC 3596 section 2.5: a label for each nibble, the lowest first."""
    nibbles = b"".join(reversed(labels))
    if not _NIBBLES.fullmatch(nibbles):
        return None
    address = bytes.fromhex(nibbles.decode())
    return address[12:] if address.startswith(_MAPPED) else address


def _service_tree(below: Labels, multicluster: bool) -> Name | None:
    if multicluster:
        if len(below) == 5 and not below[0].startswith(b"_") and not below[1].startswith(b"_"):
            endpoint, cluster, service, namespace = map(label_text, below[:-1])
            return EndpointName(namespace, service, endpoint, cluster)
    elif below[-4:-3] == _ZONE and below[-5:-4] in _ZONE_WORDS:
        return _zonal(tuple(map(label_text, below[:-1])))
    rule = _SERVICE_RULES.get(len(below))
    return rule(tuple(map(label_text, below[:-1]))) if rule else None


def _zonal(labels: Sequence[str]) -> Name:
    *topology_zone, word, _, service, namespace = labels
    return ZonalName(namespace, service, ".".join(topology_zone), word == "prefer")


def _pod_tree(below: Labels, multicluster: bool) -> Name | None:
    """As in the tree of Services, up to two labels may stand in front; they say nothing here."""
    if not 1 < len(below) < 6:
        return Fixed.EMPTY if len(below) == 1 else None
    namespace = label_text(below[-2])
    return (
        PodName(namespace, label_text(below[-3]))
        if len(below) > 2
        else NamespaceName(namespace, "pod")
    )


def pod_address_text(label: str) -> str:
    """The text of the address that a pod's label stands for; it may be none.

    Three dashes apart from each other are the dots of IPv4; else dashes are colons.
    """
    ipv4 = label.count("-") == 3 and "--" not in label
    return label.replace("-", "." if ipv4 else ":")


def _ports(labels: Sequence[str]) -> Name:
    port, protocol, service, namespace = labels
    port, protocol = without_underscore(port), without_underscore(protocol)
    return ServiceName(namespace, service, port, protocol)


def without_underscore(label: str) -> str:
    return label.removeprefix("_")


def label_text(label: bytes) -> str:
    """The label as text; one that would be written with an escape equals no object's name."""
    return "\\" if label.translate(None, _PLAIN) else label.decode("ascii")


_ZONE = (b"_zone",)
_ZONE_WORDS = ((b"pin",), (b"prefer",))
_SERVICE_RULES: dict[int, Callable[[tuple[str, ...]], Name]] = {  # by labels, `svc` included
    1: lambda _: Fixed.EMPTY,
    2: lambda labels: NamespaceName(labels[0], "svc"),
    3: lambda labels: ServiceName(labels[1], labels[0]),
    4: lambda labels: EndpointName(labels[2], labels[1], labels[0]),
    5: _ports,
}
_TREES = {b"svc": _service_tree, b"pod": _pod_tree}
_FIXED = {
    (): Fixed.APEX,
    (b"dns",): Fixed.EMPTY,
    (b"ns", b"dns"): Fixed.NS_DNS,
    (b"dns-version",): Fixed.DNS_VERSION,
}
_REVERSE = {(b"in-addr", b"arpa"), (b"ip6", b"arpa")}
_OCTETS = {str(octet).encode(): octet for octet in range(256)}  # without leading zeros
_NIBBLES = re.compile(rb"[0-9a-f]{32}")
_MAPPED = b"\0" * 10 + b"\xff\xff"  # ::ffff:a.b.c.d is a.b.c.d, as in the model
_PLAIN = bytes(octet for octet in range(0x21, 0x7F) if octet not in b".'@;()\"\\")
