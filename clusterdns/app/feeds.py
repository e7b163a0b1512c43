"""Sources of cluster objects, and the indexes that they fill."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from clusterdns.app.options import Options
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.events import Event, Upsert
from clusterdns.cluster.model import EndpointSlice, Object
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.streams import Streams
from clusterdns.metrics import dns_programming_duration
from clusterdns.zone.index import Index, Key

Wanted = tuple[Selection, ApiOptions]


class Source(Protocol):
    """Where cluster objects come from: files, or a Kubernetes API."""

    async def serve(
        self, stopping: asyncio.Event, sink: Callable[[Sequence[Event]], None]
    ) -> None: ...


@dataclass(eq=False)
class Feed:
    """A source and the index that it fills. touched: is told which keys changed."""

    index: Index
    source: Source
    touched: Callable[[set[Key]], None]
    synced: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, stopping: asyncio.Event) -> None:
        await self.source.serve(stopping, self._apply)

    def _apply(self, events: Iterable[Event]) -> None:
        """Takes what the source says into the index, and tells of the answers that it changes."""
        now = time.time()
        touched: set[Key] = set()
        for event in events:
            keys = self.index.apply(event, now)
            if keys and isinstance(event, Upsert) and event.triggered is not None:
                _note_programming(self.index, event.object, now - event.triggered)
            touched |= keys
        if touched:
            self.touched(touched)
        if self.index.synced:
            self.synced.set()


class Feeds:
    """The feeds of one configuration: one for each selection of what one API has, or files have."""

    def __init__(
        self,
        options: Options,
        streams: Streams,
        touched: Callable[[set[Key]], None],
        known: "Feeds | None" = None,
    ) -> None:
        """known: those that run; what is wanted of them is taken from there."""
        self._options = options
        self._streams = streams
        self._touched = touched
        # Weak, as nobody else may want them: an index of 150,000 endpoints takes 40 MB.
        self._known: WeakValueDictionary[Wanted, Feed] = WeakValueDictionary()
        if known is not None:
            self._known.update(known.by_wanted)
        self.by_wanted: dict[Wanted, Feed] = {}

    def index(self, selection: Selection, api: ApiOptions) -> Index:
        """The index that is kept up to date for a selection."""
        wanted = selection, api
        feed = self.by_wanted.get(wanted) or self._known.get(wanted) or self._new(*wanted)
        self.by_wanted[wanted] = feed
        return feed.index

    def _new(self, selection: Selection, api: ApiOptions) -> Feed:
        index = Index(selection)
        return Feed(index, self._source(selection, api, index), self._touched)

    def _source(self, selection: Selection, api: ApiOptions, index: Index) -> Source:
        """Files where there are any, else the API. What the other one needs is not imported."""
        if self._options.manifests:
            from clusterdns.cluster.manifests import Manifests

            return Manifests(self._options.manifests, selection, self._streams)
        from clusterdns.cluster.apiserver import ApiServer

        source = ApiServer(selection, api, audit=self._options.audit)
        if not self._options.state:
            return source
        from clusterdns.cluster.state import Kept, State

        folder, max_age = Path(self._options.state), self._options.state_max_age_s
        return Kept(source, State(folder, selection, api, max_age), index)


def _note_programming(index: Index, thing: Object, seconds: float) -> None:
    """Notes how long after its cause a slice is served, if its Service is known (4.7)."""
    if not isinstance(thing, EndpointSlice):
        return
    service = index.service(thing.namespace, thing.service)
    if service is not None:
        kind = "cluster_ip" if service.cluster_ips else "headless_with_selector"
        dns_programming_duration.observe(max(0.0, seconds), kind)
