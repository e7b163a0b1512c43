"""Services and endpoints as the real API server and controllers make them."""

from pathlib import Path

import pytest

from tests.objects import Json, endpoint, endpoint_slice, external_name, port, service
from tests.realapi.admin import Admin, running_pod
from tests.realapi.control_plane import ControlPlane
from tests.realapi.dns_server import all_true, dns_following
from tests.truth import NODATA, NXDOMAIN, owner_name, pointer

HTTP = port(80, "http")


def asked(space: str, name: str, ports: list[Json] | None = None, **spec: object) -> Json:
    """A Service as people write it: what is not said is filled in by the server."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": space, "name": name},
        "spec": {"ports": [HTTP] if ports is None else ports, **spec},
    }


def headless(space: str, name: str, ports: list[Json] | None = None, **spec: object) -> Json:
    return asked(space, name, ports, clusterIP="None", selector={"app": name}, **spec)


ADDRESSED: dict[str, tuple[Json, int, int]] = {
    "ClusterIP": ({}, 1, 0),
    "NodePort": ({"type": "NodePort"}, 1, 0),
    "LoadBalancer": ({"type": "LoadBalancer"}, 1, 0),
    "IPv6": ({"ipFamilies": ["IPv6"]}, 0, 1),
    "dual-stack": ({"ipFamilyPolicy": "RequireDualStack"}, 1, 1),
    "dual-stack, IPv6 first": (
        {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]},
        1,
        1,
    ),
    "external IPs do not show": ({"externalIPs": ["192.0.2.1"]}, 1, 0),
}


async def test_services_with_addresses(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    names = {f"s{n}": case for n, case in enumerate(ADDRESSED.values())}
    await admin.make(*(asked(space, name, **spec) for name, (spec, _, _) in names.items()))
    await admin.patch(
        "Service",
        space,
        "s2",
        {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}},
        "/status",
    )
    async with dns_following(cluster, tmp_path) as dns:
        expected = await all_true(dns, admin)
        for name, (_, v4, v6) in names.items():
            for qtype, count in (("A", v4), ("AAAA", v6)):
                found = expected[owner_name(space, name), qtype]
                assert len(found.replace(NODATA, "").split()) == count
                assert "192.0.2." not in found


async def test_the_api_server_is_there_from_the_start(
    cluster: ControlPlane, admin: Admin, tmp_path: Path
) -> None:
    async with dns_following(cluster, tmp_path) as dns:
        assert await dns.answer("kubernetes.default.svc.cluster.local") == "10.96.0.1"
        name = pointer("10.96.0.1")
        assert await dns.answer(name, "PTR") == "kubernetes.default.svc.cluster.local."


PORTS = {
    "one without a name": [port(80)],
    "two": [port(80, "http"), port(443, "https")],
    "one number for two protocols": [port(53, "dns", "UDP"), port(53, "dns-tcp", "TCP")],
    "SCTP": [port(9999, "sig", "SCTP")],
}


async def test_ports(cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path) -> None:
    for n, ports in enumerate(PORTS.values()):
        await admin.make(
            asked(space, f"s{n}", ports),
            headless(space, f"h{n}", ports),
            running_pod(space, f"h{n}-0", [f"10.1.0.{n + 1}"]),
        )
        await admin.until_slices(space, f"h{n}", ready=1)
    async with dns_following(cluster, tmp_path) as dns:
        expected = await all_true(dns, admin)
        assert expected[f"_dns._udp.{owner_name(space, 'h2')}", "SRV"].startswith("0 100 53 ")
        assert expected[f"_sig._sctp.{owner_name(space, 's3')}", "SRV"].startswith("0 100 9999 ")


async def test_external_names(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    await admin.make(
        external_name(space, "out", "www.example.com"),
        external_name(space, "in", f"web.{space}.svc.cluster.local"),
        asked(space, "web"),
    )
    async with dns_following(cluster, tmp_path) as dns:
        expected = await all_true(dns, admin)
        address = expected[owner_name(space, "web"), "A"]
        assert address in await dns.answer(owner_name(space, "in"))
        await admin.patch("Service", space, "out", {"spec": {"type": "ClusterIP", "ports": [HTTP]}})
        await dns.until(owner_name(space, "out"), "CNAME", NODATA)
        assert (await all_true(dns, admin))[owner_name(space, "out"), "A"].startswith("10.96.")


async def test_headless_with_slices_by_the_controller(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """Pods come, become ready, stop being so, and go."""
    name = owner_name(space, "db")
    async with dns_following(cluster, tmp_path) as dns:
        await admin.make(headless(space, "db"), running_pod(space, "db-0", ["10.1.0.1"]))
        await dns.until(name, "A", "10.1.0.1")
        await admin.make(running_pod(space, "db-1", ["10.1.0.2"], ready=False))
        await admin.make(running_pod(space, "db-2", ["10.1.0.3"], hostname="two", subdomain="db"))
        await dns.until(name, "A", "10.1.0.1 10.1.0.3")
        assert await dns.answer(f"two.{name}") == "10.1.0.3"
        await all_true(dns, admin)
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        await admin.patch("Pod", space, "db-1", ready, "/status")
        await dns.until(name, "A", "10.1.0.1 10.1.0.2 10.1.0.3")
        await admin.delete("Pod", space, "db-0")
        await dns.until(name, "A", "10.1.0.2 10.1.0.3")
        await all_true(dns, admin)
        for pod in ("db-1", "db-2"):
            await admin.delete("Pod", space, pod)
        await dns.until(name, "A", NXDOMAIN)
        await all_true(dns, admin)


async def test_dual_stack_endpoints(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """The controller makes a slice for each family."""
    await admin.make(
        headless(space, "db", ipFamilyPolicy="RequireDualStack"),
        *(running_pod(space, f"db-{n}", [f"10.1.0.{n}", f"fd00::{n}"]) for n in (1, 2)),
    )
    await admin.until_slices(space, "db", ready=4)
    async with dns_following(cluster, tmp_path) as dns:
        expected = await all_true(dns, admin)
        assert expected[owner_name(space, "db"), "A"] == "10.1.0.1 10.1.0.2"
        assert expected[owner_name(space, "db"), "AAAA"] == "fd00::1 fd00::2"


async def test_more_endpoints_than_a_slice_holds(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    await admin.make(
        headless(space, "db"),
        *(running_pod(space, f"db-{n}", [f"10.1.1.{n}"]) for n in range(1, 121)),
    )
    async with dns_following(cluster, tmp_path) as dns:
        await admin.until_slices(space, "db", ready=120)
        expected = await all_true(dns, admin)
        assert len(expected[owner_name(space, "db"), "A"].split()) == 120


async def test_endpoints_that_are_not_ready_are_published_where_asked_for(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    name = owner_name(space, "db")
    await admin.make(
        headless(space, "db", publishNotReadyAddresses=True),
        running_pod(space, "db-0", ["10.1.0.1"], ready=False),
    )
    async with dns_following(cluster, tmp_path) as dns:
        await dns.until(name, "A", "10.1.0.1")
        await all_true(dns, admin)
        change = {"spec": {"publishNotReadyAddresses": False}}
        await admin.patch("Service", space, "db", change)
        await dns.until(name, "A", NXDOMAIN)


async def test_endpoints_are_mirrored(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """A Service without a selector, and Endpoints as people wrote them before there were slices."""
    name = owner_name(space, "legacy")
    body = asked(space, "legacy", clusterIP="None")
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"namespace": space, "name": "legacy"},
        "subsets": [
            {
                "addresses": [{"ip": "192.0.2.10", "hostname": "ten"}],
                "notReadyAddresses": [{"ip": "192.0.2.11"}],
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            }
        ],
    }
    await admin.make(body, endpoints)
    async with dns_following(cluster, tmp_path) as dns:
        await dns.until(name, "A", "192.0.2.10")
        expected = await all_true(dns, admin)
        assert expected[f"_http._tcp.{name}", "SRV"] == f"0 100 8080 ten.{name}"
        await admin.delete("Endpoints", space, "legacy")
        await dns.until(name, "A", NXDOMAIN)


async def test_slices_made_by_hand(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """One address in two slices for a while; one endpoint with several; no readiness said."""
    await admin.make(
        asked(space, "db", clusterIP="None"),
        endpoint_slice(space, "db", [endpoint("10.1.0.1"), endpoint("10.1.0.2")], [HTTP]),
        endpoint_slice(space, "db", [endpoint("10.1.0.2", ready=None)], [HTTP], suffix="2"),
        endpoint_slice(space, "db", [endpoint("fd00::5", hostname="six")], [HTTP], suffix="3"),
        endpoint_slice(space, "", [endpoint("10.1.0.99")], [HTTP]),
    )
    async with dns_following(cluster, tmp_path) as dns:
        expected = await all_true(dns, admin)
        assert expected[owner_name(space, "db"), "A"] == "10.1.0.1 10.1.0.2"
        assert await dns.answer(pointer("10.1.0.99"), "PTR") == NXDOMAIN
        await admin.delete("EndpointSlice", space, "db-1")
        await dns.until(owner_name(space, "db"), "A", "10.1.0.2")
        await all_true(dns, admin)


@pytest.mark.parametrize("pods", ["insecure", "verified"])
async def test_pods(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path, pods: str
) -> None:
    name = f"10-1-2-3.{space}.pod.cluster.local."
    async with dns_following(cluster, tmp_path, f"pods {pods}") as dns:
        unknown = "10.1.2.3" if pods == "insecure" else NXDOMAIN
        assert await dns.answer(name) == unknown
        await admin.make(running_pod(space, "db-0", ["10.1.2.3"]))
        await dns.until(name, "A", "10.1.2.3")
        await dns.until_true(lambda: admin.truth("Pod"))
        done = {"status": {"phase": "Succeeded"}}
        await admin.patch("Pod", space, "db-0", done, "/status")
        await dns.until(name, "A", unknown)
        await admin.make(running_pod(space, "db-1", ["10.1.2.3"]))
        await dns.until(name, "A", "10.1.2.3")
        await admin.delete("Pod", space, "db-1")
        await dns.until(name, "A", unknown)


async def test_a_service_is_made_again_with_another_address(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    name = owner_name(space, "web")
    async with dns_following(cluster, tmp_path) as dns:
        for last in range(100, 120):
            address = f"10.96.7.{last}"
            await admin.make(service(space, "web", address, [HTTP]))
            await dns.until(name, "A", address)
            assert await dns.answer(pointer(address), "PTR") == name
            await admin.delete("Service", space, "web")
            await dns.until(name, "A", NXDOMAIN)
            assert await dns.answer(pointer(address), "PTR") == NXDOMAIN
