"""Slices that a cluster's controllers would write: from Pods, and from legacy Endpoints."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterdns.cluster.selection import Selection
from tests.cluster.source import World, documents, serving, world_of

OBJECTS = Path(__file__).parents[2] / "examples" / "real-cluster" / "objects.yaml"

WEB = "spec: {selector: {app: web}, clusterIP: None, ports: [{name: http, port: 80}]}"
POD = "Pod shop/p1 {labels: {app: web}, "
CASES: dict[str, tuple[list[str], set[str]]] = {
    "a pod without conditions is ready": (
        [f"Service shop/web {{{WEB}}}", POD + "status: {podIP: 10.1.0.1}}"],
        {"10.1.0.1 http:80/tcp"},
    ),
    "a pod without an address is none": (
        [f"Service shop/web {{{WEB}}}", POD + "status: {phase: Running}}", "Pod shop/p2"],
        set(),
    ),
    "pending without conditions": (
        [f"Service shop/web {{{WEB}}}", POD + "status: {phase: Pending, podIP: 10.1.0.1}}"],
        set(),
    ),
    "ready by its condition": (
        [
            f"Service shop/web {{{WEB}}}",
            POD + 'status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: "True"}]}}',
        ],
        {"10.1.0.1 http:80/tcp"},
    ),
    "not ready": (
        [
            f"Service shop/web {{{WEB}}}",
            POD + 'status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: "False"}]}}',
        ],
        set(),
    ),
    "conditions, but none called Ready": (
        [
            f"Service shop/web {{{WEB}}}",
            POD + 'status: {podIP: 10.1.0.1, conditions: [{type: Initialized, status: "True"}]}}',
        ],
        set(),
    ),
    "publishNotReadyAddresses": (
        [
            "Service shop/web {spec: {selector: {app: web}, clusterIP: None, "
            "publishNotReadyAddresses: true}}",
            POD + 'status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: "False"}]}}',
        ],
        {"10.1.0.1"},
    ),
    "ended": (
        [
            f"Service shop/web {{{WEB}}}",
            POD + "status: {phase: Succeeded, podIP: 10.1.0.1}}",
            "Pod shop/p2 {labels: {app: web}, status: {phase: Failed, podIP: 10.1.0.2}}",
        ],
        set(),
    ),
    "another namespace, another label, no label": (
        [
            f"Service shop/web {{{WEB}}}",
            "Pod lab/p1 {labels: {app: web}, status: {podIP: 10.1.0.1}}",
            "Pod shop/p2 {labels: {app: api}, status: {podIP: 10.1.0.2}}",
            "Pod shop/p3 {status: {podIP: 10.1.0.3}}",
        ],
        set(),
    ),
    "all labels of the selector are needed": (
        [
            "Service shop/web {spec: {selector: {app: web, tier: front}, clusterIP: None}}",
            POD + "status: {podIP: 10.1.0.1}}",
            "Pod shop/p2 {labels: {app: web, tier: front, x: y}, status: {podIP: 10.1.0.2}}",
        ],
        {"10.1.0.2"},
    ),
    "hostname and subdomain": (
        [
            "Service shop/web {spec: {selector: {app: web}, clusterIP: None}}",
            POD + "spec: {hostname: db-0, subdomain: web}, status: {podIP: 10.1.0.1}}",
            "Pod shop/p2 {labels: {app: web}, spec: {hostname: db-1}, status: {podIP: 10.1.0.2}}",
            "Pod shop/p3 {labels: {app: web}, spec: {hostname: db-2, subdomain: other}, "
            "status: {podIP: 10.1.0.3}}",
            "Pod shop/p4 {labels: {app: web}, spec: {subdomain: web}, status: {podIP: 10.1.0.4}}",
        ],
        {"10.1.0.1 db-0", "10.1.0.2", "10.1.0.3", "10.1.0.4"},
    ),
    "named target ports differ from pod to pod": (
        [
            "Service shop/web {spec: {selector: {app: web}, clusterIP: None, "
            "ports: [{name: http, port: 80, targetPort: www}, {name: m, port: 9, targetPort: 7}]}}",
            POD + "spec: {containers: [{}, {ports: [{name: www, containerPort: 8080}]}]}, "
            "status: {podIP: 10.1.0.1}}",
            "Pod shop/p2 {labels: {app: web}, spec: {initContainers: [{restartPolicy: Always, "
            "ports: [{name: www, containerPort: 8081}]}]}, status: {podIP: 10.1.0.2}}",
            "Pod shop/p3 {labels: {app: web}, spec: {containers: [{ports: "
            "[{name: www, protocol: UDP, containerPort: 8082}]}]}, status: {podIP: 10.1.0.3}}",
            "Pod shop/p4 {labels: {app: web}, spec: {initContainers: [{ports: "
            "[{name: www, containerPort: 8083}]}]}, status: {podIP: 10.1.0.4}}",
        ],
        {
            "10.1.0.1 http:8080/tcp,m:7/tcp",
            "10.1.0.2 http:8081/tcp,m:7/tcp",
            "10.1.0.3 m:7/tcp",
            "10.1.0.4 m:7/tcp",
        },
    ),
    "dual-stack by ipFamilies": (
        [
            "Service shop/web {spec: {selector: {app: web}, clusterIP: None, "
            "ipFamilies: [IPv4, IPv6]}}",
            POD + 'status: {podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: "fd00::1"}]}}',
        ],
        {"10.1.0.1", "fd00::1"},
    ),
    "one family by ipFamilies": (
        [
            "Service shop/web {spec: {selector: {app: web}, clusterIP: None, ipFamilies: [IPv6]}}",
            POD + 'status: {podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: "fd00::1"}]}}',
        ],
        {"fd00::1"},
    ),
    "one family by the cluster IP": (
        [
            "Service shop/web {spec: {selector: {app: web}, clusterIP: 10.3.0.1}}",
            POD + 'status: {podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: "fd00::1"}]}}',
        ],
        {"10.1.0.1"},
    ),
    "slices in the files come first": (
        [
            f"Service shop/web {{{WEB}}}",
            POD + "status: {podIP: 10.1.0.1}}",
            "EndpointSlice shop/x {labels: {kubernetes.io/service-name: web}, "
            "endpoints: [{addresses: [10.9.0.9]}]}",
        ],
        {"10.9.0.9"},
    ),
    "ExternalName": (
        [
            "Service shop/web "
            "{spec: {selector: {app: web}, type: ExternalName, externalName: a.b}}",
            POD + "status: {podIP: 10.1.0.1}}",
        ],
        set(),
    ),
    "D19 no clusterIP: no endpoints either": (
        [
            "Service shop/web {spec: {selector: {app: web}}}",
            POD + "status: {podIP: 10.1.0.1}}",
        ],
        set(),
    ),
    "D19 no clusterIP: no mirrored endpoints": (
        [
            "Service shop/web {spec: {ports: [{port: 80}]}}",
            "Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.1}]}]}",
        ],
        set(),
    ),
    "mirrored": (
        [
            "Service shop/web {spec: {clusterIP: 10.3.0.1}}",
            "Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.1, hostname: a}, "
            '{ip: "fd00::1"}],'
            " notReadyAddresses: [{ip: 10.1.0.2}], ports: [{name: http, port: 80}]},"
            " {addresses: [{ip: 10.1.0.3}, {ip: none}]}]}",
        ],
        {"10.1.0.1 a http:80/tcp", "fd00::1 http:80/tcp", "10.1.0.3"},
    ),
    "mirrored, other slices stand beside": (
        [
            "Service shop/web {spec: {clusterIP: 10.3.0.1}}",
            "Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.1}]}]}",
            "EndpointSlice shop/x {labels: {kubernetes.io/service-name: web}, "
            "endpoints: [{addresses: [10.9.0.9]}]}",
        ],
        {"10.1.0.1", "10.9.0.9"},
    ),
    "mirrored already": (
        [
            "Service shop/web {spec: {clusterIP: 10.3.0.1}}",
            "Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.1}]}]}",
            "EndpointSlice shop/x {labels: {kubernetes.io/service-name: web, "
            "endpointslice.kubernetes.io/managed-by: endpointslicemirroring-controller.k8s.io}, "
            "endpoints: [{addresses: [10.9.0.9]}]}",
        ],
        {"10.9.0.9"},
    ),
    "not mirrored: no Service": (
        ["Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.1}]}]}"],
        set(),
    ),
    "not mirrored: a selector": (
        [
            f"Service shop/web {{{WEB}}}",
            "Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.1}]}]}",
        ],
        set(),
    ),
    "not mirrored: the label says so": (
        [
            "Service shop/web {spec: {clusterIP: 10.3.0.1}}",
            'Endpoints shop/web {labels: {endpointslice.kubernetes.io/skip-mirror: "true"}, '
            "subsets: [{addresses: [{ip: 10.1.0.1}]}]}",
        ],
        set(),
    ),
}


@pytest.mark.parametrize(("lines", "expected"), CASES.values(), ids=CASES)
async def test_endpoints(lines: list[str], expected: set[str], tmp_path: Path) -> None:
    forwards = await world_of(documents(lines), folder=tmp_path)
    backwards = await world_of(documents(reversed(lines)), folder=tmp_path)
    assert forwards.endpoints() == ({"shop/web": expected} if expected else {})
    assert backwards.endpoints() == forwards.endpoints()


async def test_a_lock_is_not_mirrored(tmp_path: Path) -> None:
    world = await world_of(
        documents(["Service shop/web {spec: {clusterIP: 10.3.0.1}}"]),
        "{apiVersion: v1, kind: Endpoints, metadata: {name: web, namespace: shop, annotations: "
        "{control-plane.alpha.kubernetes.io/leader: '{}'}}, "
        "subsets: [{addresses: [{ip: 10.1.0.1}]}]}",
        folder=tmp_path,
    )
    assert world.endpoints() == {}


async def test_a_terminating_pod_is_not_ready(tmp_path: Path) -> None:
    pod = (
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop, labels: {app: web}, "
        "deletionTimestamp: '2026-01-01T00:00:00Z'}, status: {podIP: 10.1.0.1}}"
    )
    service = documents([f"Service shop/web {{{WEB}}}"])
    assert (await world_of(service, pod, folder=tmp_path)).endpoints() == {}


async def test_made_slices_know_their_pods(tmp_path: Path) -> None:
    lines = [f"Service shop/web {{{WEB}}}", POD + "status: {podIP: 10.1.0.1}}"]
    selection = Selection(pod_names=True)
    world = await world_of(documents(lines), folder=tmp_path, selection=selection)
    (slice_,) = (each for key, each in world.objects.items() if key[0] == "EndpointSlice")
    assert [each.pod for each in slice_.endpoints()] == ["p1"]  # type: ignore[union-attr]


async def test_controllers_of_a_real_cluster_made_the_same(tmp_path: Path) -> None:
    """Without the slices that its controllers wrote, we make the same ones from its pods."""
    items: list[dict[str, Any]] = yaml.load(OBJECTS.read_bytes(), yaml.CSafeLoader)["items"]
    written_by_hand = ("many-1", "many-6", "kubernetes")
    kept = [
        each
        for each in items
        if each["kind"] != "EndpointSlice" or each["metadata"]["name"] in written_by_hand
    ]
    (tmp_path / "all.yaml").write_text(yaml.dump({"kind": "List", "items": kept}))
    async with serving(OBJECTS) as real, serving(tmp_path) as ours:
        assert ours.endpoints() == real.endpoints()
        assert ours.names("Service") == real.names("Service")
        assert names_of_slices(real) == 12
        assert real.endpoints()["lab/tea"] == {
            "10.244.0.3 tea-0 http:8080/tcp",
            "10.244.0.6 tea-1 http:8080/tcp",
        }


def names_of_slices(world: World) -> int:
    return len(world.names("EndpointSlice"))
