"""What DNS must say of API objects, worked out from their JSON by no code of the server's.

Answers are texts like those of `tests.scenarios.asking.answer`: rdata, sorted, with spaces between.
"""

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Json = dict[str, Any]
Answers = dict[tuple[str, str], str]  # by name and type

ZONE = "cluster.local."
OWNER = "kubernetes.io/service-name"
NXDOMAIN, NODATA = "NXDOMAIN", "NODATA"
GONE_PODS = ("Succeeded", "Failed", "Unknown")


class Target(NamedTuple):
    """An address that a Service leads to, and one port there. port 0: none."""

    label: str  # of the endpoint; "" where the Service itself is meant
    address: str
    port_name: str
    protocol: str
    port: int


def answers(objects: Iterable[Json], exposed: Collection[str] | None = None) -> Answers:
    """Every name that these objects make, and some types of each.

    Pods count where there are any: `pods verified`. exposed: the option `namespaces`.
    """
    held = list(objects)
    found: Answers = {}
    spaces = {_name(obj) for obj in held if obj["kind"] == "Namespace"}
    spaces &= spaces if exposed is None else set(exposed)
    found |= {(f"{space}.svc.{ZONE}", "A"): NODATA for space in spaces}
    slices: dict[tuple[str, str], list[Json]] = {}
    for obj in held:
        if obj["kind"] == "EndpointSlice":
            owner = (obj["metadata"].get("labels") or {}).get(OWNER, "")
            slices.setdefault((_space(obj), owner), []).append(obj)
    for obj in held:
        if obj["kind"] == "Service" and _space(obj) in spaces:
            found |= service_answers(obj, slices.get((_space(obj), _name(obj)), ()))
        elif obj["kind"] == "Service":
            found[owner_name(_space(obj), _name(obj)), "A"] = NXDOMAIN
        elif obj["kind"] == "Pod":
            found |= _pod_answers(obj, spaces)
    return found | _pointers(held, slices, spaces)


def service_answers(service: Json, slices: Iterable[Json]) -> Answers:
    """The names at and below one Service. slices: those that are labelled with it."""
    owner = owner_name(_space(service), _name(service))
    if service["spec"].get("type") == "ExternalName":
        target = service["spec"]["externalName"].rstrip(".")
        return {(owner, "CNAME"): f"{target}.", (f"x.{owner}", "A"): NXDOMAIN}
    endpoints = list(endpoint_targets(slices))
    targets = endpoints if _headless(service) else list(_cluster_targets(service))
    if not targets:
        return {(owner, kind): NXDOMAIN for kind in ("A", "AAAA", "SRV")}
    found = _address_answers(owner, targets)
    found[owner, "SRV"] = _srv(owner, targets)
    for name, protocol in {(t.port_name, t.protocol) for t in targets if t.port_name}:
        chosen = [t for t in targets if (t.port_name, t.protocol) == (name, protocol)]
        found[f"_{name}._{protocol}.{owner}", "SRV"] = _srv(owner, chosen)
    for label in {target.label for target in endpoints}:
        those = [target for target in endpoints if target.label == label]
        found |= _address_answers(f"{label}.{owner}", those)
    return found


def owner_name(space: str, name: str) -> str:
    return f"{name}.{space}.svc.{ZONE}"


def endpoint_targets(slices: Iterable[Json]) -> Iterator[Target]:
    """Ready endpoints, each address with each port, once."""
    found: dict[Target, None] = {}
    for held in slices:
        for endpoint in held.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for address in endpoint["addresses"]:
                label = endpoint.get("hostname") or _dashed(address)
                for port in _ports(held):
                    found[Target(label, address, *port)] = None
    yield from found


def pointer(address: str) -> str:
    """The name to ask for the PTR of an address."""
    return f"{ipaddress.ip_address(address).reverse_pointer}."


def _cluster_targets(service: Json) -> Iterator[Target]:
    for address in _cluster_ips(service):
        for port in _ports(service["spec"]):
            yield Target("", address, *port)


def _ports(held: Json) -> Iterator[tuple[str, str, int]]:
    """Name, protocol and number of each; one of nothing where there are none."""
    ports: list[Json] = held.get("ports") or [{}]
    for port in ports:
        protocol = (port.get("protocol") or "").lower()
        yield port.get("name") or "", protocol, port.get("port") or 0


def _address_answers(owner: str, targets: Iterable[Target]) -> Answers:
    addresses = {ipaddress.ip_address(target.address) for target in targets}
    return {
        (owner, kind): " ".join(sorted(str(a) for a in addresses if a.version == version)) or NODATA
        for kind, version in (("A", 4), ("AAAA", 6))
    }


def _srv(owner: str, targets: Collection[Target]) -> str:
    weight = max(1, 100 // len(targets))
    names = {(t.port, f"{t.label}.{owner}" if t.label else owner) for t in targets if t.port}
    return " ".join(sorted(f"0 {weight} {port} {name}" for port, name in names)) or NODATA


def _pointers(
    held: Iterable[Json], slices: Mapping[tuple[str, str], Iterable[Json]], spaces: Collection[str]
) -> Answers:
    """PTR records. A Service's address has one of that Service, and none of an endpoint there.

    Endpoints have theirs while their slice is there, whatever has become of the Service.
    """
    found: dict[str, set[str]] = {}
    for obj in held:
        if obj["kind"] == "Service" and _space(obj) in spaces:
            for address in _cluster_ips(obj):
                found.setdefault(pointer(address), set()).add(owner_name(_space(obj), _name(obj)))
    services = set(found)
    for (space, name), those in slices.items():
        for target in endpoint_targets(those) if name and space in spaces else ():
            if (at := pointer(target.address)) not in services:
                found.setdefault(at, set()).add(f"{target.label}.{owner_name(space, name)}")
    return {(name, "PTR"): " ".join(sorted(to)) for name, to in found.items()}


def _pod_answers(pod: Json, spaces: Collection[str]) -> Answers:
    address = pod.get("status", {}).get("podIP", "")
    leaving = pod["metadata"].get("deletionTimestamp")  # there for those who knew it before
    gone = leaving or pod.get("status", {}).get("phase") in GONE_PODS
    if not address or gone or _space(pod) not in spaces:
        return {}
    name = f"{_dashed(address)}.{_space(pod)}.pod.{ZONE}"
    return _address_answers(name, [Target("", address, "", "", 0)])


def _dashed(address: str) -> str:
    dashed = address.replace(".", "-").replace(":", "-")
    return f"{dashed}0" if dashed.endswith("-") else dashed


def _cluster_ips(service: Json) -> list[str]:
    return [ip for ip in service["spec"].get("clusterIPs") or () if ip != "None"]


def _headless(service: Json) -> bool:
    return bool(service["spec"].get("clusterIPs") == ["None"])


def _space(obj: Json) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _name(obj: Json) -> str:
    return str(obj["metadata"]["name"])
