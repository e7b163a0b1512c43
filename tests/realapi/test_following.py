"""How the zone follows: namespaces, labels, and how long a change takes to be answered."""

import asyncio
import statistics
import time
from pathlib import Path

from tests.objects import Json, endpoint, endpoint_slice, namespace, port, service
from tests.realapi.admin import Admin, running_pod
from tests.realapi.control_plane import ControlPlane
from tests.realapi.dns_server import all_true, dns_following
from tests.truth import NODATA, NXDOMAIN, answers, owner_name

HTTP = port(80, "http")
CHANGES = 100


def labelled(obj: Json, **labels: str) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


async def test_namespaces_come_and_go(cluster: ControlPlane, admin: Admin, tmp_path: Path) -> None:
    """A namespace that is deleted takes its Services with it, one after the other."""
    names = [f"web-{n}" for n in range(20)]
    async with dns_following(cluster, tmp_path) as dns:
        assert await dns.answer("brief.svc.cluster.local") == NXDOMAIN
        await admin.create(namespace("brief"))
        await dns.until("brief.svc.cluster.local", "A", NODATA)
        await admin.make(*(service("brief", name, ports=[HTTP]) for name in names))
        await admin.make(
            *(endpoint_slice("brief", name, [endpoint("10.1.0.1")], [HTTP]) for name in names)
        )
        await all_true(dns, admin)
        await admin.delete("Namespace", "", "brief")
        await admin.until_gone("Namespace", "brief")
        await dns.until("brief.svc.cluster.local", "A", NXDOMAIN)
        await admin.create(namespace("brief"))
        await dns.until("brief.svc.cluster.local", "A", NODATA)
        for name in names:
            assert await dns.answer(owner_name("brief", name)) == NXDOMAIN
        await all_true(dns, admin)
        await admin.delete("Namespace", "", "brief")


async def test_labels(cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path) -> None:
    """A change of labels brings an object into view, and out of it."""
    name = owner_name(space, "web")
    await admin.make(
        labelled(service(space, "web", "10.96.2.1", [HTTP]), tier="front"),
        labelled(service(space, "db", "10.96.2.2", [HTTP]), tier="back"),
        service(space, "plain", "10.96.2.3", [HTTP]),
    )
    async with dns_following(cluster, tmp_path, "labels tier in (front, middle)") as dns:
        await dns.until_true(lambda: admin.truth(labels="tier in (front, middle)"))
        assert await dns.answer(owner_name(space, "plain")) == NXDOMAIN
        for tier, found in (("back", NXDOMAIN), ("middle", "10.96.2.1"), (None, NXDOMAIN)):
            change = {"metadata": {"labels": {"tier": tier}}}
            await admin.patch("Service", space, "web", change)
            await dns.until(name, "A", found)


async def test_namespace_labels(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    name = owner_name(space, "web")
    await admin.make(service(space, "web", "10.96.2.4", [HTTP]))
    async with dns_following(cluster, tmp_path, "namespace_labels shown=yes") as dns:
        assert await dns.answer(name) == NXDOMAIN
        for label, found in (("yes", "10.96.2.4"), ("no", NXDOMAIN), ("yes", "10.96.2.4")):
            await admin.patch("Namespace", "", space, {"metadata": {"labels": {"shown": label}}})
            await dns.until(name, "A", found)
        await dns.until_true(lambda: admin.truth(namespace_labels="shown=yes"))


async def test_namespaces_option(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    await admin.make(service(space, "web", "10.96.2.5", [HTTP]))
    async with dns_following(cluster, tmp_path, f"namespaces {space}") as dns:
        assert await dns.answer(owner_name(space, "web")) == "10.96.2.5"
        assert await dns.answer("kubernetes.default.svc.cluster.local") == NXDOMAIN
        shown = [obj for kind in ("Namespace", "Service") for obj in await admin.items(kind)]
        assert not await dns.wrong(answers(shown, exposed={space}))


async def test_no_endpoints(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    await admin.make(
        service(space, "web", "10.96.2.6", [HTTP]),
        endpoint_slice(space, "web", [endpoint("10.1.0.1")], [HTTP]),
    )
    async with dns_following(cluster, tmp_path, "noendpoints") as dns:
        assert set(dns.figures) == {"Service", "Namespace"}
        assert await dns.answer(owner_name(space, "web")) == "10.96.2.6"
        assert await dns.answer(f"10-1-0-1.{owner_name(space, 'web')}") == NXDOMAIN


async def test_endpoint_pod_names(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    await admin.make(
        {**service(space, "db", ports=[HTTP])},
        running_pod(space, "db-0", ["10.1.0.1"]),
    )
    await admin.patch("Service", space, "db", {"spec": {"selector": {"app": "db"}}})
    async with dns_following(cluster, tmp_path, "endpoint_pod_names") as dns:
        await dns.until(f"db-0.{owner_name(space, 'db')}", "A", "10.1.0.1")


async def test_change_to_answer(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path, tell: list[str]
) -> None:
    """From the moment at which the API server has said yes."""
    name = owner_name(space, "db")
    await admin.make(
        service(space, "db", ports=[HTTP]),
        endpoint_slice(space, "db", [endpoint("10.1.0.0")], [HTTP]),
    )
    async with dns_following(cluster, tmp_path) as dns:
        await all_true(dns, admin)
        taken = []
        for n in range(1, CHANGES + 1):
            change = {"endpoints": [{"addresses": [f"10.1.0.{n}"]}]}
            await admin.patch("EndpointSlice", space, "db-1", change)
            taken.append(await dns.until(name, "A", f"10.1.0.{n}"))
    taken.sort()
    middle, late = statistics.median(taken), taken[len(taken) * 99 // 100 - 1]
    tell.append(
        f"change to answer, {CHANGES} changes one by one: "
        f"p50 {middle * 1000:.1f} ms, p99 {late * 1000:.1f} ms, most {taken[-1] * 1000:.1f} ms"
    )
    assert middle < 0.2  # 3 ms on an idle machine


async def test_many_changes_at_once(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path, tell: list[str]
) -> None:
    """400 Services made, and half of them deleted, as fast as the API server takes them."""
    async with dns_following(cluster, tmp_path) as dns:
        start = time.perf_counter()
        for first in range(0, 400, 40):
            bodies = [
                {**service(space, f"w{n}"), "spec": {"ports": [HTTP]}}
                for n in range(first, first + 40)
            ]
            await admin.make(*bodies)
            gone = (admin.delete("Service", space, f"w{n}") for n in range(first, first + 20))
            await asyncio.gather(*gone)
        made = time.perf_counter()
        last = await admin.get("Service", space, "w399")
        await dns.until(owner_name(space, "w399"), "A", last["spec"]["clusterIP"])
        tell.append(
            f"600 changes in {made - start:.1f} s: the last one answered "
            f"{(time.perf_counter() - made) * 1000:.0f} ms after it was made"
        )
        await all_true(dns, admin)
        for n in range(20):
            assert await dns.answer(owner_name(space, f"w{n}")) == NXDOMAIN
