"""The objects of a large cluster, as an API server writes them; the same ones each time.

    python -m bench.cluster [FOLDER] [--services N] [--endpoints N]

Writes 10,000 Services, a slice each and 150,000 endpoints in all, as JSON lists of 71 MB. One
Service in ten is headless, and half of those name their endpoints, as a StatefulSet does.
"""

import argparse
import random
import tempfile
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]

SERVICES, ENDPOINTS = 10_000, 15  # endpoints of each Service
SEED = 1
SERVICES_EACH = 50  # in a namespace
HEADLESS_EVERY = 10
STAMP = "2026-01-15T10:20:30Z"
NODES, ZONES = 2000, "abc"
LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # what names made by controllers are of


class Shape(NamedTuple):
    """How large the cluster is."""

    services: int = SERVICES
    endpoints: int = ENDPOINTS


class Site(NamedTuple):
    """Where the n-th Service is found."""

    number: int
    team: str = "team"

    @property
    def namespace(self) -> str:
        return f"{self.team}-{self.number // SERVICES_EACH}"

    @property
    def name(self) -> str:
        return f"{('web', 'db', 'api', 'cache')[self.number % 4]}-{self.number}"

    @property
    def headless(self) -> bool:
        return self.number % HEADLESS_EVERY == 0

    @property
    def stateful(self) -> bool:
        return self.number % (2 * HEADLESS_EVERY) == 0

    @property
    def cluster_ip(self) -> str:
        return "None" if self.headless else str(IPv4Address("10.64.0.1") + self.number)

    def endpoint_ip(self, index: int, each: int = ENDPOINTS) -> str:
        return str(IPv4Address("10.128.0.1") + self.number * each + index)


def lists(shape: Shape) -> Iterator[tuple[str, list[Json]]]:
    """File names and the objects in each, in the order in which a server reads them."""
    dice = seeded()
    sites = [Site(number) for number in range(shape.services)]
    spaces = dict.fromkeys(site.namespace for site in sites)
    yield "1-namespaces.json", [namespace(dice, name) for name in spaces]
    yield "2-services.json", [service(dice, site) for site in sites]
    yield "3-endpointslices.json", [endpoint_slice(dice, site, shape.endpoints) for site in sites]


def objects(shape: Shape) -> Iterator[Json]:
    """All of them, one after the other."""
    for _, found in lists(shape):
        yield from found


def seeded() -> random.Random:
    """The dice that every cluster starts with."""
    return random.Random(SEED)


def write(folder: Path, shape: Shape) -> int:
    """Writes the lists into the folder; gives the octets written."""
    return sum(write_list(folder / name, found) for name, found in lists(shape))


def write_list(file: Path, found: Iterable[Json]) -> int:
    """Puts a List in place of the file at once, as a careful writer does; gives its octets."""
    text = msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": list(found)})
    beside = file.with_suffix(".new")
    beside.write_bytes(text)
    beside.replace(file)
    return len(text)


def namespace(dice: random.Random, name: str) -> Json:
    """A Namespace."""
    labels = {"kubernetes.io/metadata.name": name}
    managed = _managed("kubectl-create", "v1", {"f:metadata": {"f:labels": _fields(labels)}})
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": _metadata(dice, name, labels=labels, managedFields=[managed]),
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def service(dice: random.Random, site: Site) -> Json:
    """A ClusterIP Service, or a headless one."""
    labels = _labels(site)
    spec = {
        "clusterIP": site.cluster_ip,
        "clusterIPs": [site.cluster_ip],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [
            {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080},
            {"name": "metrics", "port": 9090, "protocol": "TCP", "targetPort": "metrics"},
        ],
        "selector": {"app.kubernetes.io/name": site.name},
        "sessionAffinity": "None",
        "type": "ClusterIP",
    }
    written = {"f:metadata": {"f:labels": _fields(labels)}, "f:spec": _fields(spec)}
    managed = _managed("kubectl-client-side-apply", "v1", written)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(
            dice,
            site.name,
            namespace=site.namespace,
            labels=labels,
            annotations={"meta.helm.sh/release-name": site.name},
            managedFields=[managed],
        ),
        "spec": spec,
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(
    dice: random.Random, site: Site, count: int = ENDPOINTS, addresses: Iterable[str] = ()
) -> Json:
    """The slice of a Service. addresses: of its endpoints, instead of so many of its own."""
    texts = list(addresses) or [site.endpoint_ip(index, count) for index in range(count)]
    own = {
        **_labels(site),
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": site.name,
    }
    if site.headless:
        own["service.kubernetes.io/headless"] = ""
    written = {
        "f:addressType": {},
        "f:endpoints": {},
        "f:metadata": {
            "f:annotations": {".": {}, "f:endpoints.kubernetes.io/last-change-trigger-time": {}},
            "f:generateName": {},
            "f:labels": _fields(own),
            "f:ownerReferences": {".": {}, f'k:{{"uid":"{_uid(dice)}"}}': {}},
        },
        "f:ports": {},
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata(
            dice,
            f"{site.name}-{_text(dice, 5)}",
            generateName=f"{site.name}-",
            namespace=site.namespace,
            labels=own,
            annotations={"endpoints.kubernetes.io/last-change-trigger-time": STAMP},
            ownerReferences=[_owner(dice, site)],
            managedFields=[
                _managed("kube-controller-manager", "discovery.k8s.io/v1", written),
            ],
        ),
        "addressType": "IPv4",
        "endpoints": [_endpoint(dice, site, n, text) for n, text in enumerate(texts)],
        "ports": [
            {"name": "http", "port": 8080, "protocol": "TCP"},
            {"name": "metrics", "port": 9090, "protocol": "TCP"},
        ],
    }


def _endpoint(dice: random.Random, site: Site, index: int, address: str) -> Json:
    pod = f"{site.name}-{index}" if site.stateful else f"{site.name}-7d9c5b7f6d-{_text(dice, 5)}"
    node = dice.randrange(NODES)
    return {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        **({"hostname": pod} if site.stateful else {}),
        "nodeName": f"node-{node:04}",
        "targetRef": {
            "kind": "Pod",
            "name": pod,
            "namespace": site.namespace,
            "uid": _uid(dice),
        },
        "zone": f"region-1{ZONES[node % len(ZONES)]}",
    }


def _owner(dice: random.Random, site: Site) -> Json:
    return {
        "apiVersion": "v1",
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": "Service",
        "name": site.name,
        "uid": _uid(dice),
    }


def _metadata(dice: random.Random, name: str, **more: Any) -> Json:
    return {
        "creationTimestamp": STAMP,
        "generation": 1,
        "name": name,
        "resourceVersion": str(dice.randrange(10**7, 10**8)),
        "uid": _uid(dice),
        **more,
    }


def _labels(site: Site) -> dict[str, str]:
    return {
        "app.kubernetes.io/instance": site.name,
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/name": site.name,
        "app.kubernetes.io/version": "2.4.1",
        "helm.sh/chart": "microservice-3.11.0",
    }


def _managed(manager: str, version: str, fields: Json) -> Json:
    return {
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "manager": manager,
        "operation": "Update",
        "time": STAMP,
    }


def _fields(values: Iterable[str]) -> Json:
    return {".": {}, **{f"f:{value}": {} for value in values}}


def _uid(dice: random.Random) -> str:
    digits = f"{dice.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _text(dice: random.Random, length: int) -> str:
    return "".join(dice.choices(LETTERS, k=length))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="a temporary one, which stays")
    add_shape(parser)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.mkdir(parents=True, exist_ok=True)
    octets = write(folder, shape_of(given))
    print(f"{folder}: {octets / 1e6:.1f} MB")


def add_shape(parser: argparse.ArgumentParser) -> None:
    """The options that say how large a cluster is."""
    parser.add_argument("--services", type=int, default=SERVICES, metavar="N")
    parser.add_argument("--endpoints", type=int, default=ENDPOINTS, metavar="N", help="of each")


def shape_of(given: argparse.Namespace) -> Shape:
    return Shape(given.services, given.endpoints)


if __name__ == "__main__":
    main()
