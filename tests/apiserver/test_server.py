"""The simulated API server does what clients that list and watch rely on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.apiserver.faults import Call, Fault
from tests.apiserver.selectors import selector
from tests.apiserver.server import ApiServer
from tests.apiserver.store import Json
from tests.objects import endpoint, endpoint_slice, namespace, pod, service

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
STREAMING = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


def objects() -> list[Json]:
    """A little of everything."""
    return [
        namespace("shop", tier="front"),
        namespace("other"),
        *(service("shop", f"web-{n}", f"10.0.0.{n}", labels={"n": str(n)}) for n in range(5)),
        endpoint_slice("shop", "web-1", [endpoint("10.1.0.1")]),
        pod("shop", "runs", "10.1.0.1"),
        pod("shop", "done", "10.1.0.2", phase="Succeeded"),
    ]


class Client:
    """Asks one simulated API server."""

    def __init__(self, api: ApiServer, session: aiohttp.ClientSession) -> None:
        self.api, self.session = api, session

    async def get(self, path: str, accept: str = "application/json") -> tuple[int, Any]:
        """Status and JSON of a reply."""
        async with self.session.get(self.api.url + path, headers={"Accept": accept}) as response:
            return response.status, await response.json()

    @asynccontextmanager
    async def watch(self, path: str) -> AsyncIterator["Events"]:
        """The events of a watch, which is open while this is entered."""
        async with self.session.get(self.api.url + path) as response:
            assert response.status == 200, await response.text()
            yield Events(response)


class Events:
    """A watch, line by line."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def line(self) -> bytes:
        """The next line; b"" at the end of the stream."""
        async with asyncio.timeout(5):
            return await self._response.content.readline()

    async def next(self) -> str:
        """The next event, as "TYPE name"."""
        event = msgspec.json.decode(await self.line())
        return f"{event['type']} {event['object']['metadata'].get('name', '')}".strip()

    async def take(self, count: int) -> list[str]:
        """The next events."""
        return [await self.next() for _ in range(count)]


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Client]:
    """A client of a server with `objects()`."""
    async with ApiServer(objects(), **options) as api, aiohttp.ClientSession() as session:
        yield Client(api, session)


SELECTED = {
    "/api/v1/services": 5,
    "/api/v1/services?labelSelector=n%3D3": 1,
    "/api/v1/services?labelSelector=n+in+(1,2),n!%3D2": 1,
    "/api/v1/namespaces?labelSelector=!tier": 1,
    "/api/v1/pods": 2,
    "/api/v1/pods?fieldSelector=status.phase!%3DFailed,status.phase!%3DSucceeded": 1,
    SLICES: 1,
}


@pytest.mark.parametrize(("path", "count"), SELECTED.items(), ids=SELECTED)
async def test_list(path: str, count: int) -> None:
    """What a selector leaves; items without kind, the list with its version."""
    async with serving() as client:
        status, found = await client.get(path)
    assert (status, len(found["items"])) == (200, count)
    assert found["metadata"]["resourceVersion"] == str(client.api.store.version)
    assert all("kind" not in item for item in found["items"])


async def test_pages() -> None:
    """Pages are of one moment; a token that is expired is 410."""
    async with serving() as client:
        _, first = await client.get("/api/v1/services?limit=2")
        await client.api.delete("Service", "shop", "web-4")
        token = first["metadata"]["continue"]
        _, second = await client.get(f"/api/v1/services?limit=2&continue={token}")
        assert (len(first["items"]), first["metadata"]["remainingItemCount"]) == (2, 3)
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        client.api.expire_history()
        token = second["metadata"]["continue"]
        status, gone = await client.get(f"/api/v1/services?limit=2&continue={token}")
    assert (status, gone["code"], gone["reason"]) == (410, 410, "Expired")


async def test_metadata_only() -> None:
    """A list of metadata has nothing else."""
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    async with serving() as client:
        _, found = await client.get("/api/v1/pods", accept)
    assert found["kind"] == "PartialObjectMetadataList"
    assert all(item.keys() == {"metadata"} for item in found["items"])


async def test_watch_goes_on_from_a_version() -> None:
    """Every change after it, in order, and none twice."""
    async with serving() as client:
        version = client.api.store.version
        await client.api.put(service("shop", "web-0", "10.0.0.9"))
        path = f"/api/v1/services?watch=true&resourceVersion={version}"
        async with client.watch(path) as events:
            assert await events.next() == "MODIFIED web-0"
            await client.api.put(service("shop", "new", "10.0.0.10"))
            await client.api.delete("Service", "shop", "web-1")
            assert await events.take(2) == ["ADDED new", "DELETED web-1"]


async def test_watch_with_a_selector() -> None:
    """What starts to match is added, what ceases to match is deleted."""
    async with serving() as client:
        path = "/api/v1/services?watch=true&labelSelector=n%3D3"
        async with client.watch(path) as events:
            assert await events.next() == "ADDED web-3"
            await client.api.put(service("shop", "web-1", labels={"n": "3"}))
            await client.api.put(service("shop", "web-3", labels={"n": "1"}))
            await client.api.put(service("shop", "web-2", labels={"n": "1"}))
            await client.api.delete("Service", "shop", "web-1")
            assert await events.take(3) == ["ADDED web-1", "DELETED web-3", "DELETED web-1"]


async def test_streaming_list() -> None:
    """All objects, then the bookmark that says so, then changes; or 422."""
    path = f"/api/v1/pods?{STREAMING}&allowWatchBookmarks=true"
    async with serving() as client:
        async with client.watch(path) as events:
            assert await events.take(2) == ["ADDED done", "ADDED runs"]
            end = msgspec.json.decode(await events.line())
            assert end["type"] == "BOOKMARK"
            assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
            await client.api.put(pod("shop", "more"))
            assert await events.next() == "ADDED more"
        client.api.streaming_lists = False
        assert (await client.get(path))[0] == 422


async def test_too_old() -> None:
    """410, as an event of a watch or as its status."""
    path = "/api/v1/services?watch=true&resourceVersion=3"
    async with serving() as client:
        async with client.watch(path) as events:
            error = msgspec.json.decode(await events.line())
            assert (error["type"], error["object"]["code"]) == ("ERROR", 410)
            assert await events.line() == b""
        client.api.gone_as_status = True
        assert (await client.get(path))[0] == 410


async def test_bounded_history() -> None:
    """Older versions than the history holds are too old."""
    async with serving(history=2) as client:
        version = client.api.store.version
        for n in range(3):
            await client.api.put(service("shop", f"new-{n}"))
        async with client.watch(f"/api/v1/services?watch=true&resourceVersion={version}") as events:
            assert b"ERROR" in await events.line()
        path = f"/api/v1/services?watch=true&resourceVersion={version + 1}"
        async with client.watch(path) as events:
            assert await events.take(2) == ["ADDED new-1", "ADDED new-2"]


async def test_bookmarks_and_end() -> None:
    """Bookmarks while nothing happens and at the end, when the client asked for them."""
    query = "watch=true&resourceVersion={}&timeoutSeconds=0.2&allowWatchBookmarks=true"
    async with serving(bookmark_s=0.05) as client:
        path = "/api/v1/pods?" + query.format(client.api.store.version)
        async with client.watch(path) as events:
            assert (await events.take(2)) == ["BOOKMARK", "BOOKMARK"]
            while await events.line():
                pass


FAULTS = {
    "status": (Fault(status=429, retry_after=7), 429),
    "body": (Fault(body=b"{garbage"), 200),
}


@pytest.mark.parametrize(("fault", "status"), FAULTS.values(), ids=FAULTS)
async def test_faults_instead_of_an_answer(fault: Fault, status: int) -> None:
    """The hook decides for each request."""
    async with serving() as client:
        client.api.fault = lambda call: fault if call.number == 1 else None
        url = f"{client.api.url}/api/v1/services"
        async with client.session.get(url) as response:
            assert response.status == status
            assert response.headers.get("Retry-After") == (str(7) if status == 429 else None)
            assert fault.body is None or await response.read() == fault.body
        assert (await client.get("/api/v1/services"))[0] == 200
    assert client.api.counts["services", "list"] == 2


async def test_faults_of_a_watch() -> None:
    """Cut after some events; mute; cut by the test; lines of the test's own."""
    faults = {1: Fault(lines=3), 2: Fault(mute=True)}

    def decide(call: Call) -> Fault | None:
        return faults.get(call.number) if call.verb == "watch" else None

    path = "/api/v1/services?watch=true"
    async with serving() as client:
        client.api.fault = decide
        async with client.watch(path) as events:
            assert len(await events.take(3)) == 3
            with pytest.raises(aiohttp.ClientError):
                await events.line()
        async with client.watch(path):
            assert client.api.open_watches() == 1
        async with client.watch(path) as events:
            await events.take(5)
            await client.api.inject("services", b"garbage\n")
            assert await events.line() == b"garbage\n"
            assert client.api.cut_watches("services") >= 1
            with pytest.raises(aiohttp.ClientError):
                await events.line()


async def test_hang() -> None:
    """A request that is never answered; the client gives up."""
    async with serving() as client:
        client.api.fault = lambda call: Fault(hang=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.get("/api/v1/pods")


async def test_started_again() -> None:
    """The same objects on the same port: an API server that restarts."""
    api = ApiServer(objects())
    async with api:
        before = api.url
    async with api, aiohttp.ClientSession() as session:
        assert api.url == before
        assert (await Client(api, session).get("/api/v1/pods"))[0] == 200


async def test_what_there_is_not() -> None:
    """404 for other resources, 400 for a selector that is none."""
    async with serving() as client:
        assert (await client.get("/api/v1/endpoints"))[0] == 404
        assert (await client.get("/api/v1/pods?labelSelector=a+b"))[0] == 400
        assert (await client.get("/version"))[1]["minor"] == "35"


SELECTORS = {
    "": True,
    "a": True,
    "!a": False,
    "b": False,
    "!b": True,
    "a=1": True,
    "a==1": True,
    "a!=1": False,
    "b!=1": True,
    "a in (1, 2)": True,
    "a notin (1,2)": False,
    "b notin (1)": True,
    "a in (2),c": False,
    "a=1,c=": True,
}


@pytest.mark.parametrize(("text", "matches"), SELECTORS.items(), ids=SELECTORS)
def test_selector(text: str, matches: bool) -> None:
    """Equality, sets and existence."""
    assert selector(text)({"a": "1", "c": ""}) is matches
