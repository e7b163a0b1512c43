"""Follows an API server as the DNS server does, and waits for what the events then say exists."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from clusterdns.cluster.apiserver import ApiServer, Sink
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.events import Event, Kind, Synced, Upsert
from clusterdns.cluster.known import DECODE
from clusterdns.cluster.model import Object
from clusterdns.cluster.reflector import Reflector
from clusterdns.cluster.requests import (
    Request,
    Timing,
    Wait,
)
from clusterdns.cluster.selection import Selection
from tests.apiserver.server import ApiServer as Simulated
from tests.apiserver.store import BY_KIND
from tests.beside import beside

Objects = dict[tuple[Kind, str, str], Object]
PATIENCE_S = 10.0  # what has not happened by then never will; nothing waits for it in vain

QUICK = Timing(
    backoff_first=0.005,
    backoff_most=0.05,
    steady=0.5,
    relist=0.01,
    connect=2.0,
    answer=2.0,
    silence=5.0,
)
IMPATIENT = replace(QUICK, answer=0.4, silence=0.5)


class View:
    """What the events said so far. What is in `sinks` gets every batch as well."""

    def __init__(self, source: ApiServer) -> None:
        self.source = source
        self.objects: Objects = {}
        self.synced: list[Kind] = []
        self.sizes: list[int] = []  # of the batches
        self.sinks: list[Sink] = []
        self.raises: Exception | None = None  # what the next batch runs into
        self._changed = asyncio.Event()
        for reflector in source.reflectors.values():
            self._notice_steps(reflector)

    def sink(self, events: Sequence[Event]) -> None:
        self._changed.set()
        self.sizes.append(len(events))
        if self.raises:
            error, self.raises = self.raises, None
            raise error
        for sink in self.sinks:
            sink(events)
        for event in events:
            if isinstance(event, Synced):
                self.synced.append(event.kind)
            elif isinstance(event, Upsert):
                self.objects[_key(event.object)] = event.object
            else:
                self.objects.pop((event.kind, event.namespace, event.name), None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until it holds after some batch, or before a request. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_failed(self, times: int, kind: Kind = "Service") -> None:
        """Waits until so many requests for a kind have failed in all."""
        await self.until(lambda: self.source.figures[kind].reconnects >= times)

    async def until_synced(self) -> None:
        await self.until(lambda: set(self.synced) == set(self.source.reflectors))

    async def until_holds(self, kind: Kind, namespace: str, name: str) -> None:
        await self.until(lambda: (kind, namespace, name) in self.objects)

    async def until_true(self, api: Simulated) -> None:
        """Waits until every kind is as the API server has it."""
        kinds = tuple(self.source.reflectors)
        await self.until(lambda: self.objects == truth(api, kinds))

    def _notice_steps(self, reflector: Reflector) -> None:
        original = reflector.next

        def noticed(now: float) -> Request | Wait:
            self._changed.set()
            return original(now)

        reflector.next = noticed  # type: ignore[method-assign]


def truth(api: Simulated, kinds: Sequence[Kind], selection: Selection | None = None) -> Objects:
    """What DNS can show of the objects that the API server holds now."""
    found: Objects = {}
    for kind in kinds:
        decode = DECODE[kind](selection or Selection())
        for stored in api.store.tables[BY_KIND[kind]].items():
            change = decode(stored.body)
            if isinstance(change, Upsert):
                found[_key(change.object)] = change.object
    return found


@asynccontextmanager
async def following(
    options: ApiOptions | str, selection: Selection | None = None, timing: Timing = QUICK
) -> AsyncIterator[View]:
    """A source that serves until the block ends. options: or the URL of an API server."""
    if isinstance(options, str):
        options = ApiOptions(endpoint=options)
    source = ApiServer(selection or Selection(), options, timing)
    view = View(source)
    async with beside(partial(source.serve, sink=view.sink)):
        yield view


def _key(thing: Object) -> tuple[Kind, str, str]:
    kind: Kind = type(thing).__name__  # type: ignore[assignment]  # the classes are named so
    return kind, getattr(thing, "namespace", ""), thing.name
