"""Builders of Kubernetes API objects as JSON, and whole clusters of them made at random."""

import ipaddress
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Json = dict[str, Any]
SERVICE_LABEL = "kubernetes.io/service-name"


def namespace(name: str, **labels: str) -> Json:
    """A Namespace."""
    metadata = {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata,
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def port(number: int | None, name: str = "", protocol: str | None = "TCP") -> Json:
    """A port of a Service or of a slice; number None and protocol None leave the field out."""
    found: Json = {}
    if name:
        found["name"] = name
    if number is not None:
        found["port"] = number
    if protocol is not None:
        found["protocol"] = protocol
    return found


def service(
    namespace: str,
    name: str,
    ips: str = "",
    ports: Iterable[Json] = (),
    *,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> Json:
    """A Service with cluster IPs.

    ips: with spaces between; "" for a headless one. spec: further fields of it, `type` ones too.
    """
    addresses = ips.split() or ["None"]
    body = {
        "type": "ClusterIP",
        "clusterIP": addresses[0],
        "clusterIPs": addresses,
        "ipFamilies": ["IPv6" if ":" in ip else "IPv4" for ip in addresses],
        "ports": [{**p, "targetPort": p.get("port")} for p in ports],
        "sessionAffinity": "None",
        **spec,
    }
    if not body["ports"]:
        del body["ports"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name, "labels": labels or {}},
        "spec": body,
        "status": {"loadBalancer": {}},
    }


def external_name(namespace: str, name: str, target: str, ports: Iterable[Json] = ()) -> Json:
    """An ExternalName Service."""
    made = service(namespace, name, ports=ports, type="ExternalName", externalName=target)
    for field in ("clusterIP", "clusterIPs", "ipFamilies"):
        del made["spec"][field]
    return made


def load_balancer(
    namespace: str, name: str, ips: str, ports: Iterable[Json], *ingress: Json, **spec: Any
) -> Json:
    """A LoadBalancer Service. ingress: like {"ip": "192.0.2.1"} or {"hostname": "lb.test"}."""
    made = service(namespace, name, ips, ports, type="LoadBalancer", **spec)
    made["status"]["loadBalancer"]["ingress"] = list(ingress)
    return made


def endpoint(
    *addresses: str,
    ready: bool | None = True,
    hostname: str = "",
    pod: str = "",
    topology_zone: str = "",
) -> Json:
    """An endpoint of a slice; ready None leaves the conditions out."""
    found: Json = {"addresses": list(addresses)}
    if ready is not None:
        found["conditions"] = {"ready": ready, "serving": ready, "terminating": False}
    if hostname:
        found["hostname"] = hostname
    if pod:
        found["targetRef"] = {"kind": "Pod", "name": pod, "uid": f"uid-of-{pod}"}
    if topology_zone:
        found["zone"] = topology_zone
    return found


def endpoint_slice(
    namespace: str,
    service: str,
    endpoints: Sequence[Json],
    ports: Iterable[Json] | None = (),
    *,
    suffix: str = "1",
    family: str = "",
    labels: dict[str, str] | None = None,
) -> Json:
    """An EndpointSlice of a Service, named SERVICE-SUFFIX.

    service: "" leaves the label out. ports: None gives `null`. family: by the first address.
    """
    first = endpoints[0]["addresses"][0] if endpoints else ""
    owner = {SERVICE_LABEL: service} if service else {}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace,
            "name": f"{service or 'ownerless'}-{suffix}",
            "labels": {**owner, **(labels or {})},
        },
        "addressType": family or ("IPv6" if ":" in first else "IPv4"),
        "endpoints": list(endpoints),
        "ports": None if ports is None else list(ports),
    }


def pod(
    namespace: str,
    name: str,
    *ips: str,
    phase: str = "Running",
    labels: dict[str, str] | None = None,
) -> Json:
    """A Pod. ips: the first is status.podIP."""
    status: Json = {"phase": phase}
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels or {}},
        "spec": {"containers": [{"name": "main", "image": "example.test/main"}]},
        "status": status,
    }


def random_cluster(seed: int, services: int = 200, endpoints: int = 15) -> list[Json]:
    """A cluster like those in the field; the same for the same seed.

    endpoints: of each Service with a slice, about; a slice holds at most 100.
    Every cluster IP and every endpoint address is given once.
    """
    return list(_random_objects(random.Random(seed), services, endpoints))


def _random_objects(dice: random.Random, services: int, endpoints: int) -> Iterator[Json]:
    spaces = [f"team-{n}" for n in range(max(1, services // 50))]
    yield from (namespace(name) for name in spaces)
    addresses = _addresses()
    for n in range(services):
        space, name = dice.choice(spaces), f"{dice.choice(['web', 'db', 'api', 'cache'])}-{n}"
        ports = _random_ports(dice)
        match dice.randrange(20):
            case 0:
                yield external_name(space, name, _random_target(dice, services))
                continue
            case 1 | 2 | 3 | 4 | 5:
                yield service(space, name, ports=ports)
                hostname = f"{name}-" if dice.random() < 0.5 else ""
            case _:
                yield service(space, name, _random_ips(dice, n), ports)
                hostname = ""
        count = dice.randint(0, 2 * endpoints)
        for start in range(0, count, 100):
            members = [
                _random_endpoint(
                    dice, next(addresses), f"{name}-{i}", f"{hostname}{i}" * bool(hostname)
                )
                for i in range(start, min(count, start + 100))
            ]
            yield endpoint_slice(space, name, members, ports, suffix=str(start))


def _addresses() -> Iterator[str]:
    first = int(ipaddress.ip_address("10.128.0.1"))
    return (str(ipaddress.ip_address(first + n)) for n in range(1 << 22))


def _random_ports(dice: random.Random) -> list[Json]:
    names = dice.sample(["http", "https", "metrics", "grpc", "dns"], dice.randint(1, 3))
    if len(names) == 1 and dice.random() < 0.3:
        return [port(80)]
    protocols = ["TCP", "TCP", "TCP", "UDP", "SCTP"]
    return [port(8000 + n, name, dice.choice(protocols)) for n, name in enumerate(names)]


def _random_ips(dice: random.Random, n: int) -> str:
    v4, v6 = ipaddress.ip_address("10.64.0.1") + n, ipaddress.ip_address("fd00:64::1") + n
    return dice.choice([f"{v4}", f"{v4}", f"{v4}", f"{v6}", f"{v4} {v6}", f"{v6} {v4}"])


def _random_target(dice: random.Random, services: int) -> str:
    inside = f"web-{dice.randrange(services)}.team-0.svc.cluster.local"
    return dice.choice([inside, "www.example.com", "db.example.org."])


def _random_endpoint(dice: random.Random, address: str, pod: str, hostname: str) -> Json:
    ready = dice.choices([True, None, False], [18, 1, 1])[0]
    return endpoint(address, ready=ready, hostname=hostname, pod=pod)
