"""The cluster as YAML and JSON files tell it, read again as they change."""

import asyncio
import contextlib
import importlib
import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

import watchfiles

from clusterdns.cluster.documents import read_documents
from clusterdns.cluster.events import Event, Synced
from clusterdns.cluster.holdings import Holdings
from clusterdns.cluster.lists import Item, Unreadable
from clusterdns.cluster.manifest_files import STANDARD_INPUT, Files, State, state_of
from clusterdns.cluster.manifest_objects import Key, Reader, key_of
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.skipped import Skipped
from clusterdns.cluster.streams import Streams
from clusterdns.errors import Place, SourceError

with contextlib.suppress(ImportError):  # what watchfiles waits with imports this at its first use,
    importlib.import_module("anyio._backends._asyncio")  # and would hold the loop for 11 ms

log = logging.getLogger(__name__)

TURN_S = 0.002  # work in a row; then queries are answered. Twice that stays under the limit of 5 ms
BATCH = 64  # events in one call of the sink, at most: it does its own work on each
QUIET_MS = 100  # a file that was written to is read when nothing happened for this long ...
GROUP_MS = 300  # ... or when something has been happening for this long
RESCAN_MS = 10_000  # file systems that tell no changes (NFS, some mounts) are looked at this often
RETRY_S = 5.0  # until watching is tried again, when the system refused it

COUNTED = (
    "Service",
    "ServiceImport",
    "EndpointSlice",
    "Endpoints",
    "Pod",
    "Namespace",
)  # else the label is "other"

Sink = Callable[[Sequence[Event]], None]


class Manifests:
    """A source of events: files, directories of *.yaml, *.yml and *.json, standard input.

    Kinds are Service, ServiceImport, EndpointSlice, Pod, Namespace, Endpoints and Lists of them. A
    Service with a selector but without slices gets those that its Pods in the files make;
    namespaces that objects live in exist, declared or not.
    """

    def __init__(
        self, paths: Iterable[str], selection: Selection, streams: Streams | None = None
    ) -> None:
        """paths: `-` is standard input, read once. Raises SourceError where nothing is at a path.

        Of an object that is in several files, the last file's counts.
        streams: shared by sources of other selections that read the same pipes.
        """
        self._selection = selection
        self._files = Files(tuple(os.fspath(path) for path in paths))
        self._reader = Reader(selection)
        self._holdings = Holdings(selection, self._reader.exists, self._files.rank)
        self._states: dict[str, State] = {}  # of the files as they were last read
        self._changed: set[str] = set()  # paths that the system called changed
        self._streams: dict[str, bytes | None] = dict.fromkeys(self._files.streams())
        self._pipes = streams or Streams()
        self._skipped = Skipped()
        self._news = asyncio.Event()  # there may be something to read
        self._turn_ends = 0.0
        self._blind = False  # whether it was said that changes cannot be watched

    async def serve(self, stopping: asyncio.Event, sink: Sink) -> None:
        """Tells the sink all that the files hold, then Synced for each kind, then what changes.

        A call of the sink says what belongs together, as far as that fits into a batch.
        """
        self._sink = sink
        try:
            for path in self._streams:
                self._pipes.read(path, self._stream_ended)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(stopping))
                synced = False
                while await self._next_news(stopping):
                    await self._refresh()
                    if not synced and None not in self._streams.values():
                        synced = True
                        self._sink([Synced(kind) for kind in self._selection.kinds])
        finally:
            del self._sink  # whoever has it has us: only a collection of garbage would free both

    async def _next_news(self, stopping: asyncio.Event) -> bool:
        """Waits until there may be something to read; False when all is to end."""
        await self._news.wait()
        self._news.clear()
        return not stopping.is_set()

    async def _watch(self, stopping: asyncio.Event) -> None:
        """Says `news` at the start, whenever a directory changes, and once more at the end."""
        while not stopping.is_set():
            directories = self._files.watched()
            self._news.set()  # acted on when this task first waits: the watch then stands already
            if not directories:  # all is read from standard input
                await stopping.wait()
                break
            try:
                async for changes in watchfiles.awatch(
                    *sorted({path for path, _ in directories}),
                    watch_filter=None,
                    debounce=GROUP_MS,
                    step=QUIET_MS,
                    stop_event=stopping,
                    rust_timeout=RESCAN_MS,
                    yield_on_timeout=True,
                    recursive=False,
                    ignore_permission_denied=True,
                ):
                    self._changed.update(path for _, path in changes)
                    self._news.set()
                    if self._files.watched() != directories:
                        break
            except Exception as error:  # an edge: the system has no watches left, or no such thing
                if not self._blind:
                    log.warning("cannot watch files, they are read every %g s: %s", RETRY_S, error)
                self._blind = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), RETRY_S)
        self._news.set()

    async def _refresh(self) -> None:
        """Reads what is new or other than it was, and forgets files that are gone."""
        self._turn_ends = time.monotonic() + TURN_S
        changed, self._changed = self._changed, set()
        for path, octets in self._streams.items():
            if octets:
                self._streams[path] = b""
                await self._read(path, io.BytesIO(octets))
        present: set[str] = set()
        for file, state in self._files.present():
            present.add(file)
            if self._states.get(file) != state or _among(file, changed):
                self._states[file] = state
                await self._read_file(file)
            await self._turn()
        for file in self._states.keys() - present:
            del self._states[file]
            self._skipped.forget(file)
            await self._drop(file, self._holdings.keys(file).copy())
        for _ in self._holdings.settle():
            await self._turn()
        self._flush()

    async def _read_file(self, file: str) -> None:
        """Takes over what a file says; what it does not hold any more is dropped."""
        try:
            with open(file, "rb") as stream:  # noqa: ASYNC230  # a regular file keeps nobody waiting
                found = await self._read(file, stream)
        except OSError as error:  # what the file held before stays
            self._skipped.say(file, None, "file", error.strerror or str(error))
            return
        if found is not None and self._states[file] == state_of(file):  # else it is being written
            await self._drop(file, self._holdings.keys(file) - found)

    async def _read(self, file: str, stream: BinaryIO) -> set[Key] | None:
        """The objects of a file, taken over as far as they can be read: others stay as they were.

        None where it cannot be told which objects a part of the file holds.
        """
        self._skipped.begin(file)
        found: set[Key] = set()
        all_known = True
        for step in read_documents(stream, _label(file)):
            if isinstance(step, Item):
                all_known &= self._take(file, step, found)
            elif isinstance(step, Unreadable):
                all_known = False
                message = f"document {step.document}: {step.message}"
                self._skipped.say(file, step.place, "document", message)
            await self._turn()
        return found if all_known else None

    def _take(self, file: str, item: Item, found: set[Key]) -> bool:
        """Holds the object from now on. False where it cannot be told which object it is."""
        odd = ""
        try:
            reading = self._reader.read(item.value)
        except SourceError as error:
            key, odd = key_of(item.value), str(error)
        else:
            if reading is None:
                return True
            key, odd = reading.key, reading.odd
            other = self._holdings.put(file, key, reading.held)
            if other:
                odd = f"{_named(key)} is in {_label(other)} too, the last file's counts"
            elif key in found:
                odd = f"{_named(key)} is in this file twice, the last one counts"
        if odd:
            kind = key[0] if key and key[0] in COUNTED else "other"
            message = f"document {item.document}: {odd}"
            self._skipped.say(file, Place(_label(file), item.line, 1), kind, message)
        if key is None:
            return False
        found.add(key)
        return True

    async def _drop(self, file: str, keys: set[Key]) -> None:
        for key in keys:
            self._holdings.drop(file, key)
            await self._turn()

    async def _turn(self) -> None:
        """Lets others run when it is their turn; hands on what has come together."""
        if len(self._holdings.events) >= BATCH:
            self._flush()
        if time.monotonic() >= self._turn_ends:
            self._flush()
            await asyncio.sleep(0)
            self._turn_ends = time.monotonic() + TURN_S

    def _flush(self) -> None:
        events = self._holdings.events
        for start in range(0, len(events), BATCH):
            self._sink(events[start : start + BATCH])
        events.clear()

    def _stream_ended(self, path: str, octets: bytes, error: str) -> None:
        if error:
            self._skipped.say(path, None, "file", error)
        self._streams[path] = octets
        self._news.set()


def _among(file: str, paths: set[str]) -> bool:
    return bool(paths) and os.path.abspath(file) in paths


def _named(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _label(file: str) -> str:
    return "standard input" if file == STANDARD_INPUT else file
