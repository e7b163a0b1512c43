"""Follows a Kubernetes API server: sends what the reflectors ask for and hands them what comes.

Only list and watch are asked for.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from time import perf_counter

import aiohttp

from clusterdns.cluster.audit import Auditor
from clusterdns.cluster.client import FAILURES, Connection
from clusterdns.cluster.connection import ApiOptions, AuditMode
from clusterdns.cluster.events import Event, Kind
from clusterdns.cluster.figures import Figures
from clusterdns.cluster.frames import Lines
from clusterdns.cluster.model import Namespace, Object
from clusterdns.cluster.reflector import Reflector
from clusterdns.cluster.requests import Request, Timing, Wait
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError
from clusterdns.metrics import api_lag, event_to_answer

log = logging.getLogger(__name__)

Sink = Callable[[Sequence[Event]], None]

TURN_S = 0.001  # decoding without a pause; applying what comes of it takes as long again
TURN_EVENTS = 100  # handed over at once: applied in less than 2 ms
MOST_PAGE = 256 << 20  # octets of a page; one as large as this is no list


class ApiServer:
    """The objects of a cluster, from its API."""

    def __init__(
        self,
        selection: Selection,
        options: ApiOptions,
        timing: Timing | None = None,
        dice: random.Random | None = None,
        audit: AuditMode = "heal",
    ) -> None:
        """Raises ConfigError when no connection can come of the options, whatever the network does.

        timing, dice: for tests.
        """
        options.check()
        self._timing = timing or Timing()
        dice = dice or random.Random()
        self.reflectors: dict[Kind, Reflector] = {
            kind: Reflector(kind, selection, dice, self._timing) for kind in selection.kinds
        }
        self._connection = Connection(options, self._timing)
        self._responses: dict[Kind, aiohttp.ClientResponse] = {}  # what each kind reads now
        self._auditor = Auditor(self, selection, audit, dice, self._timing)
        self._working = asyncio.Lock()  # one kind at a time: else turns of all would add up
        self._slots = asyncio.Semaphore(options.max_inflight or len(self.reflectors))

    @property
    def figures(self) -> dict[Kind, Figures]:
        """How each kind is doing; times are those of the running loop."""
        return {kind: reflector.figures for kind, reflector in self.reflectors.items()}

    def lags(self) -> dict[Kind, float]:
        """Seconds since each kind was heard of; those that never were are left out."""
        now = asyncio.get_running_loop().time()
        figures = self.figures.items()
        return {kind: now - each.heard for kind, each in figures if each.heard is not None}

    def assume(self, objects: Iterable[Object]) -> None:
        """These existed once; called before `serve`, which deletes what does not exist any more."""
        for each in objects:
            kind: Kind = type(each).__name__  # type: ignore[assignment]  # the classes are named so
            namespace = "" if isinstance(each, Namespace) else each.namespace
            self.reflectors[kind].known.assume(namespace, each.name)

    async def serve(self, stopping: asyncio.Event, sink: Sink) -> None:
        """Hands batches of events to the sink until `stopping` is set, whatever the API does.

        Of each kind comes everything that exists, then Synced, then what changes. A batch is
        applied when the call returns.
        """
        try:
            with api_lag.given_by(lambda: {(kind,): lag for kind, lag in self.lags().items()}):
                await self._serve(stopping, sink)
        finally:
            await self._connection.close()

    async def _serve(self, stopping: asyncio.Event, sink: Sink) -> None:
        async with asyncio.TaskGroup() as tasks:
            followers = [
                tasks.create_task(self._auditor.serve()),
                *(
                    tasks.create_task(self._follow(reflector, sink))
                    for reflector in self.reflectors.values()
                ),
            ]
            await stopping.wait()
            for follower in followers:
                follower.cancel()

    async def page(self, request: Request) -> bytes:
        """One page beside what is followed. Raises SourceError when it cannot be had."""
        try:
            async with self._slots:
                await self._connection.turn()
                response = await self._connection.get(request)
                try:
                    if response.status != 200:
                        body = await self._connection.refusal(response)
                        raise SourceError(f"{response.status} {body[:200]!r}")
                    return await self._page(response)
                finally:
                    self._connection.release(response)
        except SourceError:
            raise
        except (TimeoutError, *FAILURES) as error:
            raise SourceError(f"{type(error).__name__}: {error}") from error

    async def work(self, steps: Iterable[None]) -> None:
        """Goes through the steps of something long, with a turn for the loop now and then."""
        await self._hand_over(steps, lambda events: None)

    def relist(self, kind: Kind) -> None:
        """Lists everything of this kind again, now, beside what is known."""
        self.reflectors[kind].relist()
        if response := self._responses.get(kind):
            self._connection.release(response)  # wakes whoever reads it

    async def _follow(self, reflector: Reflector, sink: Sink) -> None:
        now = asyncio.get_running_loop().time
        while True:
            step = reflector.next(now())
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                continue
            try:
                await self._exchange(reflector, step, sink)
            except TimeoutError as error:
                reflector.broken(str(error) or "the API is silent", now())
            except aiohttp.ClientPayloadError:  # its own text is three errors deep
                reflector.broken("the connection broke off", now())
            except FAILURES as error:
                reflector.broken(f"{type(error).__name__}: {error}", now())
            except Exception as error:  # an edge: the other kinds, and this one, live on
                log.exception("%s: the events were lost", reflector.kind)
                reflector.restart(f"listing again after {error!r}", now())

    async def _exchange(self, reflector: Reflector, request: Request, sink: Sink) -> None:
        """One request and its answer. Raises what the network and the sink raise."""
        now = asyncio.get_running_loop().time
        async with AsyncExitStack() as slot:
            await slot.enter_async_context(self._slots)
            await self._connection.turn()
            response = await self._connection.get(request)
            self._responses[reflector.kind] = response
            try:
                if response.status != 200:
                    body = await self._connection.refusal(response)
                    retry_after = _seconds(response.headers.get("Retry-After", ""))
                    reflector.refused(response.status, body, retry_after, now())
                elif request.lines:
                    reflector.accepted(now())
                    await self._read_lines(reflector, response, slot, sink)
                else:
                    reflector.accepted(now())
                    page = await self._page(response)
                    await self._hand_over(reflector.page(page, now()), sink)
            finally:
                del self._responses[reflector.kind]
                self._connection.release(response)

    async def _read_lines(
        self,
        reflector: Reflector,
        response: aiohttp.ClientResponse,
        slot: AsyncExitStack,
        sink: Sink,
    ) -> None:
        now = asyncio.get_running_loop().time
        lines = Lines()
        while reflector.reading:
            if not reflector.listing:
                await slot.aclose()
            try:
                octets = await self._octets(response)
            except TimeoutError:
                reflector.silent(self._timing.silence, now())
                return
            if not octets:
                reflector.ended(now())
                return
            taker = sink if reflector.listing else _timed(sink, reflector.kind)
            await self._hand_over(_events(reflector, lines.feed(octets), now()), taker)

    async def _hand_over(self, events: Iterable[Event | None], sink: Sink) -> None:
        """Gives events to the sink in batches, and the loop its turn after each."""
        rest, more = iter(events), True
        while more:
            async with self._working:
                more = _work(rest, sink)
                await asyncio.sleep(0)

    async def _page(self, response: aiohttp.ClientResponse) -> bytes:
        page = bytearray()
        while octets := await self._octets(response):
            page += octets
            if len(page) > MOST_PAGE:
                raise SourceError(f"a page of more than {MOST_PAGE} octets")
        return bytes(page)

    async def _octets(self, response: aiohttp.ClientResponse) -> bytes:
        """What came, b"" at the end. Raises TimeoutError when nothing comes."""
        limit = self._timing.silence
        try:
            async with asyncio.timeout(limit):
                return await response.content.readany()
        except TimeoutError:
            raise TimeoutError(f"nothing was heard for {limit:g} s") from None


def _events(reflector: Reflector, lines: Iterable[bytes], now: float) -> Iterator[Event | None]:
    for line in lines:
        if not reflector.reading:
            return
        yield from reflector.line(line, now) or (None,)


def _timed(sink: Sink, kind: Kind) -> Sink:
    """The sink for what came just now, which notes how long it took until that was served."""
    came = perf_counter()

    def timed(events: Sequence[Event]) -> None:
        sink(events)
        event_to_answer.observe(perf_counter() - came, kind, times=len(events))

    return timed


def _work(events: Iterator[Event | None], sink: Sink) -> bool:
    """Takes events for a turn and gives them to the sink; False when there are no more."""
    batch: list[Event] = []
    ends = perf_counter() + TURN_S
    for event in events:
        if event is not None:
            batch.append(event)
        if perf_counter() > ends or len(batch) == TURN_EVENTS:
            break
    else:
        ends = 0.0
    if batch:
        sink(batch)
    return bool(ends)


def _seconds(retry_after: str) -> float:
    """Of a Retry-After header; a date counts as 0, the API server sends none."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else 0.0
