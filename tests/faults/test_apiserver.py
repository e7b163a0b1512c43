"""API servers that fail in every way: survived, counted, said once, and the view is right after."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from clusterdns.cluster.events import Event, Kind
from clusterdns.cluster.figures import relists
from clusterdns.cluster.model import EndpointSlice
from clusterdns.cluster.requests import Timing
from clusterdns.cluster.selection import Selection
from clusterdns.metrics import skipped_objects
from clusterdns.zone.index import Index
from tests.apiserver.faults import Call, Fault
from tests.apiserver.server import ApiServer
from tests.cluster.following import IMPATIENT, QUICK, following, truth
from tests.objects import endpoint, endpoint_slice, namespace, pod, port, random_cluster, service
from tests.streams import listening

Json = dict[str, Any]
CLUSTER = [
    namespace("shop"),
    service("shop", "web", "10.0.0.1", [port(80, "http")]),
    service("shop", "db"),
    endpoint_slice("shop", "db", [endpoint("10.1.0.1", hostname="db-0")]),
    endpoint_slice("shop", "web", [endpoint("10.1.0.2")], [port(80, "http")]),
]
KINDS: tuple[Kind, ...] = ("Service", "EndpointSlice", "Namespace")


def first(count: int, fault: Fault, resource: str = "services", verb: str = "") -> Any:
    """A hook: the first requests for a resource fail so."""
    left = [count]

    def hook(call: Call) -> Fault | None:
        if call.resource != resource or verb not in ("", call.verb) or not left[0]:
            return None
        left[0] -= 1
        return fault

    return hook


def told(caplog: pytest.LogCaptureFixture, *parts: str) -> int:
    """How many warnings contain all of these."""
    return sum(
        record.levelno >= logging.WARNING and all(part in record.getMessage() for part in parts)
        for record in caplog.records
    )


FAULTS = {
    "hangs": (Fault(hang=True), "no answer within"),
    "accepts and falls silent": (Fault(mute=True), "nothing was heard for"),
    "garbage": (Fault(body=b"<html>gateway</html>\n"), "no watch event"),
    "garbage without end of line": (Fault(body=b"<html>"), "the list ended before its end"),
    "empty body": (Fault(body=b""), "the list ended before its end"),
    "401": (Fault(status=401), "Service: 401 a fault"),
    "403": (Fault(status=403), "Service: 403 a fault"),
    "404 for one resource": (Fault(status=404), "Service: 404 a fault"),
    "429": (Fault(status=429), "Service: 429 a fault"),
    "500": (Fault(status=500), "Service: 500 a fault"),
    "503": (Fault(status=503), "Service: 503 a fault"),
    "cut after one event": (Fault(lines=1), "the connection broke off"),
}


def timing(fault: Fault) -> Timing:
    """Only what is waited out is worth a short wait: a busy machine may take its time to answer."""
    return IMPATIENT if fault.hang or fault.mute else QUICK


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
async def test_faults_at_start(fault: Fault, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Other kinds do not wait for the broken one, and that one comes in the end."""
    async with ApiServer(CLUSTER) as api:
        api.fault = first(3, fault)
        async with following(api.url, timing=timing(fault)) as view:
            await view.until(lambda: len(view.synced) == 2)
            assert "Service" not in view.synced
            assert view.objects.keys() >= truth(api, KINDS[1:]).keys()
            await view.until_true(api)
            await view.until_synced()
            assert view.source.figures["Service"].reconnects in (2, 3)  # pages do not fail so
    assert told(caplog, "Service: ", said) == 1


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
async def test_faults_later(fault: Fault, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """What changed while the watch was broken is seen afterwards, by resuming alone."""
    async with ApiServer(CLUSTER) as api, following(api.url, timing=timing(fault)) as view:
        await view.until_synced()
        api.fault = first(2, fault)
        api.cut_watches("services")
        await api.put(service("shop", "new", "10.0.0.9"))
        await api.put(service("shop", "web", "10.0.0.10"))
        await api.delete("Service", "shop", "db")
        await view.until_true(api)
        assert view.source.figures["Service"].relists == 0
        lists = [
            c for c in api.calls if c.resource == "services" and "sendInitialEvents" in c.query
        ]
        assert len(lists) == 1


async def test_a_status_of_another_kind_than_the_server_sends() -> None:
    async with ApiServer(CLUSTER) as api:
        api.fault = first(1, Fault(status=418))
        async with following(api.url) as view:
            await view.until_true(api)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_faults_in_a_list_of_pages(fault: tuple[Fault, str]) -> None:
    async with ApiServer(CLUSTER, streaming_lists=False) as api:
        api.fault = first(2, fault[0], verb="list")
        async with following(api.url, timing=timing(fault[0])) as view:
            await view.until_true(api)
            await view.until_synced()


async def test_a_page_that_is_cut() -> None:
    async with ApiServer(CLUSTER, streaming_lists=False) as api:
        api.fault = first(2, Fault(octets=100), verb="list")
        async with following(api.url) as view:
            await view.until_true(api)
            assert view.source.figures["Service"].reconnects == 2


async def test_everything_is_gone_while_the_history_was_forgotten() -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        before = relists.values["Service",]
        api.cut_watches()
        for name in ("web", "db"):
            await api.delete("Service", "shop", name)
        await api.put(service("shop", "new", "10.0.0.9"))
        api.expire_history()
        await view.until_true(api)
        assert relists.values["Service",] == before + 1


@pytest.mark.parametrize("as_status", [True, False], ids=["HTTP status", "ERROR event"])
async def test_410(as_status: bool) -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        api.gone_as_status = as_status
        await api.put(namespace("unseen"))
        api.cut_watches()
        await api.delete("Service", "shop", "web")
        api.expire_history()
        await view.until_true(api)
        assert view.source.figures["Service"].relists == 1


async def test_a_list_in_pages_expires_in_the_middle() -> None:
    cluster = [service("shop", f"w{n}", f"10.0.{n >> 8}.{n & 255}") for n in range(1200)]
    async with ApiServer(cluster, streaming_lists=False) as api:
        left = [2]

        def hook(call: Call) -> None:
            if "continue" in call.query and left[0]:
                left[0] -= 1
                api.expire_history()

        api.fault = hook
        async with following(api.url) as view:
            await view.until_synced()
            await view.until_true(api)
            assert view.source.figures["Service"].reconnects == 2


async def test_a_watch_that_dies_all_the_time() -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        for n in range(30):
            api.cut_watches()
            await api.put(service("shop", f"w{n}", f"10.0.1.{n}"))
            if n % 3:
                await view.until_true(api)
        await view.until_true(api)
        assert view.source.figures["Service"].relists == 0


async def test_a_restart_of_the_api_with_changes_in_between() -> None:
    api = ApiServer(CLUSTER)
    async with api, following(api.url) as view:
        await view.until_synced()
        await api.__aexit__()
        api.store.put(service("shop", "new", "10.0.0.9"))
        api.store.delete("Service", "shop", "web")
        await view.until_failed(4)
        assert view.objects != truth(api, KINDS)
        await api.__aenter__()
        await view.until_true(api)
        assert view.source.figures["Service"].relists == 0


async def test_retry_after_is_waited_for() -> None:
    async with ApiServer(CLUSTER) as api:
        api.fault = first(1, Fault(status=429, retry_after=1))
        loop = asyncio.get_running_loop()
        async with following(api.url) as view:
            started = loop.time()
            await view.until_synced()
            assert loop.time() - started >= 1


def line_of(change: str, obj: Json) -> bytes:
    return json.dumps({"type": change, "object": obj}).encode() + b"\n"


def versioned(obj: Json, version: int) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}


async def test_events_repeated_and_out_of_order() -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        api.store.version += 10
        old = versioned(service("shop", "web", "10.0.0.66"), api.store.version - 5)
        await api.put(service("shop", "web", "10.0.0.2"))
        await api.inject("services", line_of("MODIFIED", old))
        await api.inject("services", line_of("ADDED", old) * 3)
        await api.put(service("shop", "last", "10.0.0.3"))
        await view.until_true(api)


async def test_a_deletion_overtaken_by_an_older_state() -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        api.store.version += 10
        await api.delete("Service", "shop", "web")
        old = versioned(service("shop", "web", "10.0.0.66"), api.store.version - 5)
        await api.inject("services", line_of("MODIFIED", old))
        await api.put(service("shop", "last", "10.0.0.3"))
        await view.until_true(api)


@pytest.mark.parametrize(
    "line", [b"<html>\n", b'{"type": "ADDED"}\n', b'{"type": "X", "object": 1}\n']
)
async def test_garbage_between_events(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        await api.inject("services", line)
        await api.put(service("shop", "new", "10.0.0.9"))
        await view.until_true(api)
    assert told(caplog, "Service: ", "watch event") == 1


BROKEN: dict[str, Callable[[Json], Any]] = {
    "spec is a text": lambda obj: {**obj, "spec": "x"},
    "ports are a number": lambda obj: {**obj, "spec": {"ports": 80}},
    "clusterIPs are numbers": lambda obj: {**obj, "spec": {"clusterIPs": [1]}},
    "an address that is none": lambda obj: {**obj, "spec": {"clusterIPs": ["10.0.0.1.2"]}},
    "a status of the wrong type": lambda obj: {**obj, "status": []},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_an_object_that_breaks_the_decoder(
    broken: Callable[[Json], Json], caplog: pytest.LogCaptureFixture
) -> None:
    """It keeps its old state, everything around it is followed, and it is named once."""
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        before = view.objects["Service", "shop", "web"]
        skipped = skipped_objects.values["Service",]
        for n in range(3):
            await api.put(broken(service("shop", "web", "10.0.0.66")))
            await api.put(service("shop", f"next-{n}", f"10.0.2.{n}"))
        await view.until(lambda: ("Service", "shop", "next-2") in view.objects)
        assert view.objects["Service", "shop", "web"] == before
        assert skipped_objects.values["Service",] == skipped + 3
        api.cut_watches()
        await api.delete("Service", "shop", "next-0")
        api.expire_history()  # listed again, still broken: still kept
        await view.until(lambda: ("Service", "shop", "next-0") not in view.objects)
        assert view.source.figures["Service"].decode_errors == 4
        assert view.objects["Service", "shop", "web"] == before
        await api.put(service("shop", "web", "10.0.0.77"))
        await view.until_true(api)
    assert told(caplog, "not used: Service shop/web") == 1


ABSENT: dict[str, Json] = {
    "nothing but metadata": {},
    "null everywhere": {"spec": None, "status": None},
    "null inside": {"spec": {"ports": None, "clusterIPs": None, "externalIPs": None}},
    "unknown fields": {"spec": {"clusterIPs": ["10.0.0.5"], "new": {"a": [1]}}, "future": [{}]},
}


@pytest.mark.parametrize("body", ABSENT.values(), ids=ABSENT)
async def test_absent_fields(body: Json) -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        await api.put({"kind": "Service", "metadata": {"namespace": "shop", "name": "web"}, **body})
        await api.put(service("shop", "last", "10.0.0.3"))
        await view.until_true(api)


async def test_objects_of_two_megabytes() -> None:
    large = service("shop", "large", "10.0.0.9")
    large["metadata"]["annotations"] = {"x": "y" * (2 << 20)}
    async with ApiServer([*CLUSTER, large]) as api, following(api.url) as view:
        await view.until_true(api)
        large["spec"]["clusterIPs"] = ["10.0.0.10"]
        await api.put(large)
        await view.until_true(api)
        assert view.source.figures["Service"].reconnects == 0


LOST: dict[str, Callable[[ApiServer], Awaitable[None]]] = {
    "an object": lambda api: api.put(service("shop", "new", "10.0.0.9")),
    "a deletion": lambda api: api.delete("Service", "shop", "web"),
}


@pytest.mark.parametrize("change", LOST.values(), ids=LOST)
async def test_a_sink_that_fails_is_told_everything_again(
    change: Callable[[ApiServer], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
        view.raises = ZeroDivisionError("a bug of ours")
        await change(api)
        await view.until_true(api)
    assert told(caplog, "the events were lost") == 1


async def test_a_sink_that_fails_at_the_end_of_a_list() -> None:
    async with ApiServer(CLUSTER) as api, following(api.url, Selection(endpoints=False)) as view:
        await view.until_synced()
        api.cut_watches("services")
        await api.delete("Service", "shop", "web")
        await api.delete("Service", "shop", "db")
        api.expire_history()
        view.raises = ZeroDivisionError("a bug of ours")
        await view.until_true(api)


async def test_a_sink_that_fails_at_start() -> None:
    async with ApiServer(CLUSTER) as api, following(api.url) as view:
        view.raises = ZeroDivisionError("a bug of ours")
        await view.until_synced()
        await view.until_true(api)


@asynccontextmanager
async def half_closing() -> AsyncIterator[tuple[str, list[int]]]:
    """A server that answers the start of a chunked body and closes its side of the connection."""
    requests = [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests[0] += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{")
        writer.write_eof()
        await reader.read()  # the other side stays open until the client leaves

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}", requests


async def test_a_half_closed_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with half_closing() as (url, requests), following(url) as view:
        await view.until_failed(3)
        assert requests[0] >= 3
        assert not view.objects
    assert told(caplog, "Service: the connection broke off") == 1


async def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    async with following("http://127.0.0.1:1") as view:
        await view.until_failed(5)
    assert told(caplog, "Service: ", "127.0.0.1:1") == 1


async def test_a_storm_of_changes_and_faults_ends_with_the_truth() -> None:
    """In the zone, too."""
    cluster = random_cluster(3, services=100)
    index = Index(Selection())
    async with ApiServer(cluster, history=50) as api, following(api.url) as view:

        def apply(events: Sequence[Event]) -> None:
            for event in events:
                index.apply(event, now=1.0)

        view.sinks.append(apply)
        await view.until_synced()
        for n in range(200):
            await api.put(service("team-0", f"w{n % 20}", f"10.9.{n >> 8}.{n & 255}"))
            if n % 7 == 0:
                api.cut_watches()
            if n % 31 == 0:
                api.expire_history()
            if n % 5 == 4:
                await api.delete("Service", "team-0", f"w{n % 20}")
            if n % 50 == 0:
                api.fault = first(2, Fault(status=500), "endpointslices")
        await view.until_true(api)
        assert index.synced
        held = truth(api, KINDS)
        for name in (f"w{n}" for n in range(20)):
            assert index.service("team-0", name) == held.get(("Service", "team-0", name))
        for thing in held.values():
            if isinstance(thing, EndpointSlice):
                assert thing in index.slices(thing.namespace, thing.service)


async def test_pods_are_followed_where_asked_for() -> None:
    async with (
        ApiServer([*CLUSTER, pod("shop", "p", "10.1.0.9")]) as api,
        following(api.url, Selection(pods=True)) as view,
    ):
        await view.until_true(api)
        done = pod("shop", "p", "10.1.0.9", phase="Succeeded")
        await api.put(done)
        await view.until(lambda: ("Pod", "shop", "p") not in view.objects)
