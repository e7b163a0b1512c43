"""What must be known of the objects to say which difference of a PTR or SRV answer is meant.

Everything else about an answer is taken from CoreDNS itself.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.apiserver.selectors import selector
from tests.objects import SERVICE_LABEL, Json
from tests.oracle.variants import Variant


class Owners(NamedTuple):
    """The PTR targets of an address, and the rules why CoreDNS may answer something else."""

    targets: frozenset[str]
    rules: frozenset[str]


class Pair(NamedTuple):
    """An address and a port of a Service's slices: what SRV weights count."""

    endpoint: str
    address: str
    port: int
    port_name: str
    protocol: str


class Truth:
    """The objects as one Corefile shows them."""

    def __init__(self, objects: Iterable[Json], variant: Variant) -> None:
        held = list(objects)
        self._variant = variant
        self._exposed = _exposed(held, variant)
        chosen = selector(" ".join(variant.words("labels") or ()))
        shown = [obj for obj in held if chosen(obj["metadata"]["labels"])]
        self._services = [obj for obj in shown if obj["kind"] == "Service"]
        self._slices = [obj for obj in shown if obj["kind"] == "EndpointSlice"]
        if variant.words("noendpoints") is not None:
            self._slices = []
        self.reverse = dict(self._reverse())

    def pairs(self, namespace: str, name: str) -> list[Pair]:
        """Of a Service, as often as its slices hold them; names in lower case."""
        return [
            Pair(self.endpoint_name(member, text).lower(), text, number, port_name, protocol)
            for held in self._slices
            if _owner(held) == (namespace, name)
            for member, text in _ready(held)
            for number, port_name, protocol in _ports(held)
        ]

    def endpoint_name(self, endpoint: Json, address: str) -> str:
        """1.8.3: the label of an endpoint."""
        if endpoint.get("hostname"):
            return str(endpoint["hostname"])
        pod = endpoint.get("targetRef", {}).get("name", "")
        if pod and len(pod) < 64 and self._variant.words("endpoint_pod_names") is not None:
            return str(pod)
        if ":" not in address:
            return address.replace(".", "-")
        dashed = address.replace(":", "-")
        return f"{dashed}0" if dashed.endswith("-") else dashed

    def unusable(self) -> Iterator[str]:
        """D19: Services as no controller makes them, as NAMESPACE.svc below the zone."""
        for obj in self._services:
            spec, metadata = obj["spec"], obj["metadata"]
            fqdn = any(
                s["addressType"] == "FQDN"
                and _owner(s) == (metadata["namespace"], metadata["name"])
                for s in self._slices
            )
            no_target = spec["type"] == "ExternalName" and not spec["externalName"]
            if fqdn or no_target or spec.get("clusterIP") == "":
                yield f"{metadata['name']}.{metadata['namespace']}.svc."

    def _reverse(self) -> Iterator[tuple[str, Owners]]:
        """By the name of the PTR question."""
        by_service: dict[str, list[tuple[str, str, str]]] = {}
        for obj in self._services:
            for text in obj["spec"].get("clusterIPs") or [obj["spec"].get("clusterIP", "None")]:
                if (pointer := _pointer(text)) is not None:
                    owner = (obj["metadata"]["namespace"], obj["metadata"]["name"])
                    by_service.setdefault(pointer, []).append((*owner, text))
        by_endpoint: dict[str, list[tuple[str, str, str, str]]] = {}
        for held in self._slices:
            for member, text in _ready(held):
                if (pointer := _pointer(text)) is not None:
                    label = self.endpoint_name(member, text)
                    by_endpoint.setdefault(pointer, []).append((label, *_owner(held), text))
        for pointer in by_service.keys() | by_endpoint.keys():
            services, endpoints = by_service.get(pointer, []), by_endpoint.get(pointer, [])
            targets = {
                f"{name}.{space}.svc.{self._variant.primary}"
                for space, name, _ in services
                if space in self._exposed
            } or {
                f"{label}.{name}.{space}.svc.{self._variant.primary}"
                for label, space, name, _ in endpoints
                if space in self._exposed and name
            }
            spellings = [text for *_, text in services + endpoints]
            spaces = [space for space, _, _ in services] + [space for _, space, _, _ in endpoints]
            rules = {
                "D19": any(not name for _, _, name, _ in endpoints),
                "D20": any(str(ipaddress.ip_address(text)) != text for text in spellings),
                "D21": len(services) > 1,
                "D22": any(space not in self._exposed for space in spaces),
            }
            yield (
                pointer,
                Owners(frozenset(targets), frozenset(r for r, why in rules.items() if why)),
            )


def weight(count: int) -> int:
    """1.7.2: the weight of each SRV record when so many pairs were selected."""
    return max(1, 100 // count)


def _exposed(objects: Iterable[Json], variant: Variant) -> set[str]:
    chosen = selector(" ".join(variant.words("namespace_labels") or ()))
    existing = {
        obj["metadata"]["name"]
        for obj in objects
        if obj["kind"] == "Namespace" and chosen(obj["metadata"]["labels"])
    }
    listed = variant.words("namespaces")
    return existing if listed is None else existing & set(listed)


def _owner(held: Json) -> tuple[str, str]:
    return held["metadata"]["namespace"], held["metadata"]["labels"].get(SERVICE_LABEL, "")


def _ready(held: Json) -> Iterator[tuple[Json, str]]:
    for member in held["endpoints"]:
        if member.get("conditions", {}).get("ready") is not False:
            for text in member["addresses"]:
                yield member, text


def _ports(held: Json) -> Iterator[tuple[int, str, str]]:
    for p in held["ports"] or [{}]:
        yield p.get("port", -1), p.get("name", "").lower(), p.get("protocol", "").lower()


def _pointer(text: str) -> str | None:
    try:
        return f"{ipaddress.ip_address(text).reverse_pointer}."
    except ValueError:
        return None
