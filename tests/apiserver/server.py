"""The simulated API server itself: lists, pages, watches and streaming lists over HTTP.

JSON only, no authentication. But for what it is told to do wrong (faults.py) it keeps to what
kube-apiserver does, as far as a client that lists and watches can see it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from aiohttp import web

from tests.apiserver.faults import Call, Fault, FaultHook
from tests.apiserver.lists import Pages, list_parts
from tests.apiserver.selectors import Test, selector
from tests.apiserver.store import RESOURCES, Json, Store, TooOld
from tests.apiserver.watches import GONE, Watch

VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.0", "platform": "linux/amd64"}
METADATA_ONLY = "as=PartialObjectMetadataList"  # in Accept: metadata of each item is enough


class ApiServer:
    """Serves objects on a loopback port from `async with` on; `url` is where.

    Entered again after its end it serves the same objects on the same port. Objects change
    through `put` and `delete`; what goes wrong is decided by `fault`, asked for each request.
    """

    def __init__(
        self,
        objects: Iterable[Json] = (),
        *,
        port: int = 0,
        history: int = 10_000,
        streaming_lists: bool = True,
        bookmark_s: float = 60.0,
    ) -> None:
        """objects: API JSON. history: changes kept of each resource, for watches that resume.

        streaming_lists: False answers 422 to sendInitialEvents, as servers before 1.32 do.
        """
        self.store = Store(objects, history)
        self.streaming_lists = streaming_lists
        self.bookmark_s = bookmark_s
        self.gone_as_status = False  # True: too old a watch is HTTP 410, not an ERROR event
        self.fault: FaultHook = lambda call: None
        self.calls: list[Call] = []
        self.counts: Counter[tuple[str, str]] = Counter()  # requests by resource and verb
        self.url = ""
        self._port = port
        self._pages = Pages()
        self._watches: set[Watch] = set()

    async def __aenter__(self) -> Self:
        app = web.Application()
        for name, resource in RESOURCES.items():
            app.router.add_get(resource.path, self._handler(name))
        app.router.add_route("*", "/{rest:.*}", self._other)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut_watches()
        await self._runner.cleanup()

    async def put(self, obj: Json) -> None:
        """Creates or replaces an object; open watches are written to before this returns."""
        self.store.put(obj)
        await _turns()

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Deletes an object. Raises KeyError when there is none."""
        self.store.delete(kind, namespace, name)
        await _turns()

    def expire_history(self) -> None:
        """Answers 410 to every older resourceVersion and continue token, as after a compaction.

        Watches that are open go on.
        """
        self.store.forget()
        self._pages.forget()

    def cut_watches(self, resource: str = "") -> int:
        """Aborts the connections of open watches, of one resource or of all; says how many."""
        cut = [watch for watch in self._watches if resource in ("", watch.resource)]
        for watch in cut:
            watch.abort()
        return len(cut)

    async def inject(self, resource: str, line: bytes) -> None:
        """Sends a line of the caller's own on every open watch of a resource."""
        for watch in [watch for watch in self._watches if watch.resource == resource]:
            await watch.write(line)

    def open_watches(self, resource: str = "") -> int:
        """How many watches are open, of one resource or of all."""
        return sum(resource in ("", watch.resource) for watch in self._watches)

    def _handler(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, name)

        return handle

    async def _answer(self, request: web.Request, name: str) -> web.StreamResponse:
        watching = request.query.get("watch") in ("true", "1")
        fault = self._decide(request, name, "watch" if watching else "list")
        if fault.hang:
            await asyncio.Event().wait()  # until the client goes away
        if fault.status:
            return status(fault.status, "a fault that a test asked for", fault.retry_after)
        if fault.body is not None:
            return web.Response(body=fault.body, content_type="application/json")
        try:
            selected = _selected(request)
        except ValueError as error:
            return status(400, str(error))
        if watching:
            return await self._watch(request, name, selected, fault)
        return await self._list(request, name, selected, fault)

    def _decide(self, request: web.Request, name: str, verb: str) -> Fault:
        self.counts[name, verb] += 1
        call = Call(name, verb, request.query, request.headers, self.counts[name, verb])
        self.calls.append(call)
        return self.fault(call) or Fault()

    async def _watch(
        self, request: web.Request, name: str, selected: Test, fault: Fault
    ) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            if not self.streaming_lists:
                return status(422, "sendInitialEvents is forbidden for watch")
            if request.query.get("resourceVersionMatch") != "NotOlderThan":
                return status(422, "resourceVersionMatch must be NotOlderThan")
        watch = Watch(name, self.store.tables[name], request, selected, fault)
        if self.gone_as_status and watch.too_old():
            return status(410, GONE["message"])
        self._watches.add(watch)
        try:
            return await watch.serve(self.store, self.bookmark_s)
        finally:
            self._watches.discard(watch)

    async def _list(
        self, request: web.Request, name: str, selected: Test, fault: Fault
    ) -> web.StreamResponse:
        token = request.query.get("continue", "")
        try:
            listing = (
                self._pages.resume(token)
                if token
                else self._pages.start(self.store, name, selected)
            )
        except TooOld:
            return status(410, "the provided continue parameter is too old")
        page, rest = listing.split(int(request.query.get("limit", "0")))
        parts = list_parts(
            RESOURCES[name],
            page,
            self._pages.keep(rest) if rest.items else "",
            len(rest.items),
            metadata_only=METADATA_ONLY in request.headers.get("Accept", ""),
        )
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for part in parts:
            await response.write(part if fault.octets is None else part[: fault.octets])
            if fault.octets is not None and request.transport is not None:
                request.transport.abort()
        return response

    async def _other(self, request: web.Request) -> web.StreamResponse:
        fault = self._decide(request, request.path, "get")
        if fault.status:
            return status(fault.status, "a fault that a test asked for", fault.retry_after)
        if request.path == "/version":
            return web.json_response(VERSION)
        return status(404, "the server could not find the requested resource")


def status(code: int, message: str, retry_after: int | None = None) -> web.Response:
    """The reply to a request that failed: a Status object, as the API's clients expect it."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.json_response(
        {**GONE, "message": message, "code": code}, status=code, headers=headers
    )


def _selected(request: web.Request) -> Test:
    """Raises ValueError for a selector that is none."""
    labels = selector(request.query.get("labelSelector", ""))
    fields = selector(request.query.get("fieldSelector", ""))
    return lambda values: labels(values) and fields(values)


async def _turns() -> None:
    """Enough turns of the loop for an event to wake a watch, and for the watch to write."""
    for _ in range(3):
        await asyncio.sleep(0)
