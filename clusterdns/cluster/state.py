"""The last known state on disk: read at the start, written in quiet moments and at the end.

Nothing here ends the process or keeps it from starting: a folder that cannot be used is counted and
told, and the API's list makes up for it.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from clusterdns.cluster import snapshot
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.events import Event, Kind, Upsert
from clusterdns.cluster.model import Object
from clusterdns.cluster.schedule import Pace, Schedule
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.snapshot import Head, Refused
from clusterdns.cluster.whole_files import replace
from clusterdns.errors import ConfigError
from clusterdns.logs import duration_text
from clusterdns.metrics import Counter, Gauge

MAX_AGE_S = 86_400.0  # what was right a day ago helps more than SERVFAIL; much later it may not
TURN_S = 0.001  # applying without a pause, as for events of the API
TURN_OBJECTS = 20  # handed over at once

log = logging.getLogger(__name__)

refusals = Counter(
    "clusterdns_state_refused_total", "States on disk that were not used.", ("reason",)
)
writes = Counter("clusterdns_state_writes_total", "States written to disk, or not.", ("result",))
served_age = Gauge(
    "clusterdns_state_served_age_seconds",
    "Age of the last known state while answers come from it; absent otherwise.",
)


class Contents(NamedTuple):
    """What there is to write."""

    objects: Sequence[Object]  # in the order in which they are to be taken again
    serial: int
    lag: float  # seconds since the API was heard of every kind


Sink = Callable[[Sequence[Event]], None]


class Source(Protocol):
    """A source that can be told what existed before it is asked."""

    async def serve(self, stopping: asyncio.Event, sink: Sink) -> None: ...

    def assume(self, objects: Iterable[Object]) -> None: ...

    def lags(self) -> dict[Kind, float]: ...


class Holder(Protocol):
    """Who holds what the events say."""

    synced: bool
    stale: bool
    serial: int

    def objects(self) -> Sequence[Object]: ...

    def restore(self, serial: int) -> None: ...


class Kept:
    """A source whose last known state is on disk: that speaks first, then the source itself."""

    def __init__(self, source: Source, state: "State", holder: Holder) -> None:
        """holder: who gets the events that `serve` is given a sink for."""
        self._source, self._state, self._holder = source, state, holder
        self._confirmed = 0.0  # of the state that was restored, Unix seconds

    async def serve(self, stopping: asyncio.Event, sink: Sink) -> None:
        """As the source's; what existed once and is not listed any more is deleted then."""

        def begin(head: Head) -> None:
            self._confirmed = head.confirmed
            self._holder.restore(head.serial)

        def take(objects: Sequence[Object]) -> None:
            sink([Upsert(each) for each in objects])
            self._source.assume(objects)

        def taken(events: Sequence[Event]) -> None:
            sink(events)
            if self._holder.synced:
                self._state.changed()

        with served_age.given_by(self._age):
            await self._state.restore(begin, take)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._source.serve(stopping, taken))
                tasks.create_task(self._state.serve(stopping, self._contents))

    def _contents(self) -> "Contents | None":
        if not self._holder.synced:
            return None
        lag = max(self._source.lags().values())
        return Contents(self._holder.objects(), self._holder.serial, lag)

    def _age(self) -> dict[tuple[str, ...], float]:
        return {(): time.time() - self._confirmed} if self._holder.stale else {}


class State:
    """The last known state of one source, as a file in a folder."""

    def __init__(
        self,
        folder: Path,
        selection: Selection,
        api: ApiOptions,
        max_age: float = MAX_AGE_S,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ConfigError when the options name no API, or the folder is something else.

        max_age: seconds since the API was last heard; an older state is not used.
        """
        self._selection, self._api = selection, api
        self._max_age, self._clock = max_age, clock
        self._schedule = Schedule(pace or Pace())
        self._news = asyncio.Event()  # something is to be written that was not before
        self._confirmed = -math.inf  # of what was written last
        self._told = ""
        self.path = _made(folder) / f"{snapshot.source_of(selection, api)[0]}.state"

    async def restore(
        self, begin: Callable[[Head], None], take: Callable[[Sequence[Object]], None]
    ) -> bool:
        """Hands over what the file holds, if it may be used; all of it or nothing.

        begin: called once, before `take` gets the objects in small batches.
        """
        began = time.perf_counter()
        try:
            head, age, objects = await self._load()
        except FileNotFoundError:
            log.info("state: there is none yet in %s", self.path)
            return False
        except Refused as refusal:
            self._refuse(refusal.reason, str(refusal))
            return False
        except Exception as error:  # an edge: the server starts without it
            self._refuse("unreadable", f"cannot be read: {error}")
            return False
        begin(head)
        await _in_turns(objects, take)
        log.info(
            "state: answering from %d objects that were right %s ago, until the API is listed "
            "(%s, read in %.0f ms)",
            len(objects),
            duration_text(round(age)),
            self.path,
            1000 * (time.perf_counter() - began),
        )
        return True

    def changed(self) -> None:
        """What is listed may differ from the file."""
        if self._schedule.changed(time.monotonic()):
            self._news.set()

    async def serve(self, stopping: asyncio.Event, contents: Callable[[], Contents | None]) -> None:
        """Writes in quiet moments until `stopping` is set, and then what is not written yet.

        contents: None while not everything is listed: what came from a file is not written again.
        """
        while not stopping.is_set():
            left = self._schedule.due() - time.monotonic()
            if left <= 0:
                await self._save(contents())
            else:
                self._news.clear()
                await _first((stopping, self._news), left)
        if self._schedule.unsaved:
            await self._save(contents())

    async def _load(self) -> tuple[Head, float, list[Object]]:
        octets = await asyncio.to_thread(self.path.read_bytes)
        head, payloads = await asyncio.to_thread(snapshot.check, octets)
        source = snapshot.source_of(self._selection, self._api)[1]
        age = snapshot.judge(head, source, self._clock(), self._max_age)
        objects: list[Object] = []
        for payload in payloads:
            objects += snapshot.decode(payload)
            await asyncio.sleep(0)
        if len(objects) != head.objects:
            raise Refused("damaged", f"has {len(objects)} objects instead of {head.objects}")
        return head, age, objects

    def _refuse(self, reason: str, text: str) -> None:
        refusals.add(reason)
        log.warning("state: not used: %s %s", self.path, text)

    async def _save(self, contents: Contents | None) -> None:
        """Encodes in turns and writes in a thread: disks may take seconds."""
        now, unsaved = self._clock(), self._schedule.unsaved
        self._schedule.taken(time.monotonic())
        if contents is None:
            return
        confirmed = now - contents.lag
        if not unsaved and confirmed <= self._confirmed:
            return  # nothing was heard since
        try:
            source = snapshot.source_of(self._selection, self._api)[1]
            head = Head(source, now, confirmed, contents.serial, 0)
            pieces: list[bytes] = []
            for piece in snapshot.encode(head, contents.objects):
                pieces.append(piece)
                await asyncio.sleep(0)
            await asyncio.to_thread(replace, self.path, pieces)
        except Exception as error:  # an edge: the server goes on, and so does the trying
            self._failed(error)
        else:
            writes.add("ok")
            self._confirmed, self._told = confirmed, ""

    def _failed(self, error: Exception) -> None:
        writes.add("failed")
        self._schedule.changed(time.monotonic())  # tried again after `spacing`
        # Without the name in an OSError, which is another one each time.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        if self._told != reason:
            self._told = reason
            log.warning("state: cannot be written: %s: %s", self.path, reason)


async def _in_turns(objects: Iterable[Object], take: Callable[[Sequence[Object]], None]) -> None:
    """Hands objects over in batches, and gives the loop its turn every millisecond."""
    ends = time.perf_counter() + TURN_S
    for batch in _batches(list(objects), TURN_OBJECTS):
        take(batch)
        if time.perf_counter() > ends:
            await asyncio.sleep(0)
            ends = time.perf_counter() + TURN_S


def _batches(objects: Sequence[Object], size: int) -> Iterator[Sequence[Object]]:
    for start in range(0, len(objects), size):
        yield objects[start : start + size]


async def _first(events: Iterable[asyncio.Event], seconds: float) -> None:
    """Waits until one of the events is set, and no longer than this; math.inf for ever."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    limit = seconds if seconds < math.inf else None
    try:
        await asyncio.wait(waits, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _made(folder: Path) -> Path:
    """The folder, made if need be. What cannot be made is told and left to each write."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError(f"-state {folder}: is no folder") from error
    except NotADirectoryError as error:
        raise ConfigError(f"-state {folder}: {error.filename} is no folder") from error
    except OSError as error:
        log.warning("state: cannot make %s: %s", folder, error.strerror)
    return folder
