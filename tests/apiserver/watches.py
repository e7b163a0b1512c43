"""WATCH: one open watch, its events and bookmarks as lines of JSON."""

import asyncio
import math
from collections.abc import Iterable, Iterator

import msgspec
from aiohttp import web

from tests.apiserver.faults import Fault
from tests.apiserver.selectors import Test
from tests.apiserver.store import Change, Json, Resource, Store, Table, TooOld

CHUNK = 500  # events written at once; the loop gets its turn after each


class Cut(Exception):
    """The stream ends here because a fault says so."""


class Watch:
    """One watch from its request to its end."""

    def __init__(
        self, resource: str, table: Table, request: web.Request, selected: Test, fault: Fault
    ) -> None:
        """selected: of an object's labels and fields, whether this watch shows it."""
        self.resource = resource
        self._table = table
        self._request = request
        self._query = request.query
        self._selected = selected
        self._fault = fault
        self._lines_left = math.inf if fault.lines is None else fault.lines
        self._response = web.StreamResponse(headers={"Content-Type": "application/json"})

    async def serve(self, store: Store, bookmark_s: float) -> web.StreamResponse:
        """Sends until timeoutSeconds are over, the client leaves or a fault ends it."""
        await self._response.prepare(self._request)
        if self._fault.mute:
            await asyncio.Event().wait()  # until the client goes away
        try:
            async with asyncio.timeout(float(self._query.get("timeoutSeconds", "1800"))):
                await self._follow(await self._begin(store), store, bookmark_s)
        except TimeoutError:
            await self._bookmark(store.version)
        except TooOld:
            await self.write(_line("ERROR", GONE))
        except Cut:
            self.abort()
        return self._response

    def too_old(self) -> bool:
        """Whether it asks to go on from a version that is forgotten."""
        version = self._version()
        try:
            self._table.since(version or 0)
        except TooOld:
            return version is not None
        return False

    async def write(self, octets: bytes) -> None:
        """Sends octets as they are, whatever they are."""
        await self._response.write(octets)

    def abort(self) -> None:
        """Closes the connection without an end of the stream."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _begin(self, store: Store) -> int:
        """Sends what a new watch is sent first; gives the version from which to go on."""
        if (resumed := self._version()) is not None:
            return resumed
        if self._query.get("sendInitialEvents") == "false":
            return store.version
        version, items = store.version, self._table.items()
        await self._send(Change(item.version, None, item) for item in items)
        if self._query.get("sendInitialEvents") == "true":
            await self._bookmark(version, {"k8s.io/initial-events-end": "true"})
        return version

    def _version(self) -> int | None:
        """From where it asks to go on; None: it wants to see everything first."""
        wanted = self._query.get("resourceVersion", "")
        if wanted in ("", "0") or self._query.get("sendInitialEvents") == "true":
            return None
        return int(wanted)

    async def _follow(self, version: int, store: Store, bookmark_s: float) -> None:
        while True:
            changed = self._table.changed
            if changes := self._table.since(version):
                await self._send(changes)
                version = changes[-1].version
                continue
            try:
                async with asyncio.timeout(bookmark_s):
                    await changed.wait()
            except TimeoutError:
                version = store.version
                await self._bookmark(version)

    async def _send(self, changes: Iterable[Change]) -> None:
        lines: list[bytes] = []
        for line in self._events(changes):
            if self._lines_left <= 0:
                await self.write(b"".join(lines))
                raise Cut
            self._lines_left -= 1
            lines.append(line)
            if len(lines) == CHUNK:
                await self.write(b"".join(lines))
                lines.clear()
        if lines:
            await self.write(b"".join(lines))

    def _events(self, changes: Iterable[Change]) -> Iterator[bytes]:
        for change in changes:
            before = change.old is not None and self._selected(change.old.values)
            after = change.new is not None and self._selected(change.new.values)
            if after and change.new is not None:
                yield self._event("MODIFIED" if before else "ADDED", change.new.body)
            elif before and change.old is not None:
                yield self._event("DELETED", change.old.at(change.version))

    def _event(self, kind: str, body: bytes) -> bytes:
        return b'{"type":"%s","object":%s%s}\n' % (
            kind.encode(),
            _head(self._table.resource),
            body[1:],
        )

    async def _bookmark(self, version: int, annotations: dict[str, str] | None = None) -> None:
        if self._query.get("allowWatchBookmarks") != "true":
            return
        metadata: Json = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = annotations
        body = msgspec.json.encode({"metadata": metadata})
        await self.write(self._event("BOOKMARK", body))


def _head(resource: Resource) -> bytes:
    """What an object starts with outside of a list, up to its other fields."""
    return msgspec.json.encode({"kind": resource.kind, "apiVersion": resource.version})[:-1] + b","


def _line(kind: str, obj: Json) -> bytes:
    return msgspec.json.encode({"type": kind, "object": obj}) + b"\n"


GONE: Json = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "too old resource version",
    "reason": "Expired",
    "code": 410,
}
