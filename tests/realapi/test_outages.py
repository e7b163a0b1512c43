"""What happens to the API server, and to the way to it, while the zone follows."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clusterdns.cluster.audit import audits
from clusterdns.cluster.requests import Timing
from tests.objects import endpoint, endpoint_slice, namespace, port, service
from tests.realapi.admin import Admin
from tests.realapi.control_plane import ControlPlane
from tests.realapi.dns_server import (
    Dns,
    all_true,
    dns_following,
    dns_starting,
    lasting,
)
from tests.realapi.proxy import proxied
from tests.realapi.waiting import until
from tests.scenarios.asking import get
from tests.truth import NXDOMAIN, owner_name

HTTP = port(80, "http")
RECOVERY_S = 30.0  # from an API that is back to a zone that is right; 5 s is the longest back-off


@pytest.fixture
def plain(cluster: ControlPlane) -> Iterator[None]:
    """For tests that start the API server with flags: it has none again afterwards."""
    yield
    if cluster.options:
        cluster.stop_api()
        cluster.start_api()


async def stop(cluster: ControlPlane) -> None:
    await asyncio.to_thread(cluster.stop_api)


async def start(cluster: ControlPlane, *options: str) -> None:
    await asyncio.to_thread(cluster.start_api, *options)


async def some_objects(admin: Admin, space: str) -> None:
    await admin.make(
        *(service(space, f"db-{n}", ports=[HTTP]) for n in range(5)),
        *(endpoint_slice(space, f"db-{n}", [endpoint(f"10.1.2.{n}")], [HTTP]) for n in range(5)),
        *({**service(space, f"web-{n}"), "spec": {"ports": [HTTP]}} for n in range(5)),
    )


async def change_them(admin: Admin, space: str) -> None:
    """Of each kind: one deleted, one changed, one new."""
    await admin.delete("Service", space, "web-0")
    await admin.delete("Service", space, "db-0")
    await admin.delete("EndpointSlice", space, "db-1-1")
    change = {"endpoints": [{"addresses": ["10.1.3.3"]}]}
    await admin.patch("EndpointSlice", space, "db-2-1", change)
    await admin.make(
        service(space, "new", ports=[HTTP]),
        endpoint_slice(space, "new", [endpoint("10.1.3.4")], [HTTP]),
        namespace(f"{space}-new"),
    )


async def changes_are_seen(dns: Dns, admin: Admin, space: str) -> None:
    await dns.until_true(admin.truth, RECOVERY_S)
    for name in ("web-0", "db-0", "db-1"):
        assert await dns.answer(owner_name(space, name)) == NXDOMAIN
    assert await dns.answer(owner_name(space, "db-2")) == "10.1.3.3"
    assert await dns.answer(owner_name(space, "new")) == "10.1.3.4"
    await admin.delete("Namespace", "", f"{space}-new")


def relists(dns: Dns) -> int:
    return sum(figures.relists for figures in dns.figures.values())


async def test_the_way_to_the_api_is_cut(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """Watches resume where they were: nothing is listed again, whatever was missed."""
    await some_objects(admin, space)
    await admin.until_quiet()
    async with proxied(cluster.port) as way, dns_following(cluster, tmp_path, port=way.port) as dns:
        before = lasting(await all_true(dns, admin), space)
        await way.close()
        await change_them(admin, space)
        assert not await dns.wrong(before)  # the last known state
        assert (await get(dns.server.ready, "/ready"))[0] == 200
        await way.open()
        await changes_are_seen(dns, admin, space)
        assert relists(dns) == 0
        for _ in range(5):
            way.cut()
            await admin.patch("Service", space, "new", {"metadata": {"labels": {"a": "b"}}})
            await all_true(dns, admin)
        assert relists(dns) == 0


async def test_a_start_without_an_api(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    await some_objects(admin, space)
    async with proxied(cluster.port) as way:
        await way.close()
        async with dns_starting(cluster, tmp_path, port=way.port) as dns:
            assert await dns.answer("kubernetes.default.svc.cluster.local") == "SERVFAIL"
            assert (await get(dns.server.ready, "/ready"))[0] == 503
            await asyncio.sleep(1)
            await way.open()
            await dns.server.synced()
            await all_true(dns, admin)


async def outage(cluster: ControlPlane, admin: Admin, space: str) -> None:
    """The API server restarts; what its watch cache knew is gone, so versions are too old."""
    await change_them(admin, space)
    await stop(cluster)
    await start(cluster)


async def without_streams(cluster: ControlPlane, admin: Admin, space: str) -> None:
    """The server that comes back cannot stream lists: they are read in pages, of Services two."""
    await change_them(admin, space)
    for first in range(0, 600, 50):
        names = [f"page-{n}" for n in range(first, first + 50)]
        await admin.make(*(service(space, name, ports=[HTTP]) for name in names))
    await stop(cluster)
    await start(cluster, "--feature-gates=WatchList=false")


async def without_cache(cluster: ControlPlane, admin: Admin, space: str) -> None:
    """Watches and lists go to etcd, which has forgotten the changes, and says so in its own way."""
    await change_them(admin, space)
    await asyncio.to_thread(cluster.compact)
    await stop(cluster)
    await start(cluster, "--watch-cache=false")


OUTAGES = [outage, without_streams, without_cache]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("happens", OUTAGES, ids=lambda happens: happens.__name__)
async def test_the_api_server_restarts_with_changes_in_between(
    cluster: ControlPlane,
    admin: Admin,
    space: str,
    tmp_path: Path,
    happens: Callable[[ControlPlane, Admin, str], Awaitable[None]],
) -> None:
    """What was deleted while nobody looked disappears; then changes are followed as before."""
    await some_objects(admin, space)
    async with proxied(cluster.port) as way, dns_following(cluster, tmp_path, port=way.port) as dns:
        before = lasting(await all_true(dns, admin), space)
        await way.close()
        await happens(cluster, admin, space)
        assert not await dns.wrong(before)
        await way.open()
        await changes_are_seen(dns, admin, space)
        assert 1 <= relists(dns) <= 9  # one for each kind, and a retry or two
        await admin.delete("Service", space, "web-2")
        await dns.until(owner_name(space, "web-2"), "A", NXDOMAIN)
        await all_true(dns, admin)
    async with dns_following(cluster, tmp_path) as late:
        await all_true(late, admin)


async def test_the_api_server_is_away_without_changes(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """Straight at the server, no proxy: its watches end, connections are refused, it is back."""
    await some_objects(admin, space)
    async with dns_following(cluster, tmp_path) as dns:
        before = lasting(await all_true(dns, admin), space)
        await stop(cluster)
        assert not await dns.wrong(before)
        await asyncio.sleep(2)
        assert not await dns.wrong(before)
        await start(cluster)
        await change_them(admin, space)
        await changes_are_seen(dns, admin, space)


async def test_etcd_is_away(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """The API server lives, and can say nothing new."""
    await some_objects(admin, space)
    async with proxied(cluster.port) as way, dns_following(cluster, tmp_path, port=way.port) as dns:
        before = lasting(await all_true(dns, admin), space)
        await asyncio.to_thread(cluster.stop_etcd)
        way.cut()
        assert not await dns.wrong(before)
        await asyncio.to_thread(cluster.start_etcd)
        await change_them(admin, space)
        await changes_are_seen(dns, admin, space)


async def test_connections_that_are_open_and_dead(
    cluster: ControlPlane,
    admin: Admin,
    space: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A firewall that lost them: silence is noticed. Ten times as fast as in earnest."""
    quick = partial(Timing, watch=(3.0, 4.0), silence=5.5, answer=2.5)
    monkeypatch.setattr("clusterdns.cluster.apiserver.Timing", quick)
    await some_objects(admin, space)
    async with proxied(cluster.port) as way, dns_following(cluster, tmp_path, port=way.port) as dns:
        before = lasting(await all_true(dns, admin), space)
        way.stall()
        await change_them(admin, space)
        assert not await dns.wrong(before)
        await changes_are_seen(dns, admin, space)
        assert relists(dns) == 0


async def test_an_audit_finds_what_was_lost_and_nothing_else(
    cluster: ControlPlane,
    admin: Admin,
    space: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While things change all the time, it is silent. Then an event never comes."""
    quick = partial(Timing, audit=(0.1, 0.2), settle=0.3)
    monkeypatch.setattr("clusterdns.cluster.apiserver.Timing", quick)
    await some_objects(admin, space)
    async with dns_following(cluster, tmp_path) as dns:
        await all_true(dns, admin)
        good: list[tuple[str, str]] = [(kind, "same") for kind in dns.figures]
        before = Counter({key: audits.values[key] for key in good})
        for n in range(40):
            change = {"endpoints": [{"addresses": [f"10.1.4.{n}"]}]}
            await admin.patch("EndpointSlice", space, "db-1-1", change)
            await admin.make(service(space, f"brief-{n}", ports=[HTTP]))
            await admin.delete("Service", space, f"brief-{n}")
        await until("audits", lambda: completed(before, audits.values), True)
        assert relists(dns) == 0
        name = owner_name(space, "web-1")
        right = await dns.answer(name)
        dns.lose("Service", space, "web-1")
        await dns.until(name, "A", NXDOMAIN)
        await dns.until(name, "A", right)
        assert relists(dns) == 1
        assert "audit: Service: 1 held otherwise" in caplog.text
        assert f"{space}/web-1 (not held)" in caplog.text
        await all_true(dns, admin)


async def completed(before: Counter[tuple[str, str]], now: Mapping[Any, float]) -> bool:
    """Whether each of these has happened three times since."""
    return all(now[key] >= count + 3 for key, count in before.items())


async def test_etcd_is_restored_from_a_backup(
    cluster: ControlPlane, admin: Admin, space: str, tmp_path: Path
) -> None:
    """Versions go back; what was made since the backup does not exist any more."""
    await some_objects(admin, space)
    await asyncio.to_thread(cluster.back_up, tmp_path / "backup")
    async with dns_following(cluster, tmp_path) as dns:
        await change_them(admin, space)
        await changes_are_seen(dns, admin, space)
        await asyncio.to_thread(cluster.restore, tmp_path / "backup")
        await dns.until_true(admin.truth, RECOVERY_S)
        assert await dns.answer(owner_name(space, "db-0")) == "10.1.2.0"
