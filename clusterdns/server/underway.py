"""Queries that wait for something: how many, for how long, and what becomes of them at the end."""

import asyncio
from collections.abc import Callable
from functools import partial

from clusterdns.server.respond import QUERY_TIME_S
from clusterdns.server.steps import Steps

Send = Callable[[bytes | None], object]

# Each holds about 5 kB. With upstreams silent and 5 s for each query, 800 queries a second wait.
LIMIT = 4096
STOP_S = 5.0  # CoreDNS's time for queries in flight when it stops
_LATE_S = 1.0  # a plugin that keeps the query's deadline itself gets so long to say so
_LAST_WORD_S = 0.5  # for cancelled queries to clean up


class UnderWay:
    """The queries of one listener that wait. One that is too late is cancelled: SERVFAIL."""

    def __init__(self, limit: int = LIMIT, query_time_s: float = QUERY_TIME_S + _LATE_S) -> None:
        self._limit = limit
        self._query_time_s = query_time_s
        self._ends: dict[Steps[bytes | None], float] = {}  # loop time; the first to end first
        self._timer: asyncio.TimerHandle | None = None
        self._relayed = 0  # queries that keep their time themselves
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._ends) + self._relayed

    @property
    def full(self) -> bool:
        """Whether the next query must be dropped. Its client asks again; a queue grows old."""
        return len(self._ends) + self._relayed >= self._limit

    def enter(self) -> None:
        """Counts a query that ends by itself, in time."""
        self._relayed += 1
        if self._relayed == 1:
            self._none.clear()

    def leave(self) -> None:
        """It has ended."""
        self._relayed -= 1
        self._settle()

    def add(self, steps: Steps[bytes | None], send: Send) -> None:
        """Follows a query to its end, and has `send` called with its reply."""
        loop = asyncio.get_running_loop()
        self._ends[steps] = end = loop.time() + self._query_time_s
        self._none.clear()
        if self._timer is None:
            self._timer = loop.call_at(end, self._cancel_late)
        steps.then(partial(self._ended, steps, send))

    async def finish(self, seconds: float = STOP_S) -> None:
        """Waits until none is left; cancels those that are after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._none.wait()
        except TimeoutError:
            for steps in list(self._ends):
                steps.cancel()
            try:
                async with asyncio.timeout(_LAST_WORD_S):
                    await self._none.wait()
            except TimeoutError:
                pass  # a plugin that swallows its cancellation cannot hold the process
        finally:
            self._stop_timer()

    def _ended(
        self, steps: Steps[bytes | None], send: Send, reply: bytes | None, error: object
    ) -> None:
        del self._ends[steps]
        if not self._ends:
            self._stop_timer()
        self._settle()
        send(reply)

    def _settle(self) -> None:
        if not self._relayed and not self._ends:
            self._none.set()

    def _cancel_late(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [steps for steps, end in self._ends.items() if end <= now]
        for steps in late:
            self._ends[steps] = now + self._query_time_s  # it may need another word
            steps.cancel()
        self._timer = None
        if self._ends:
            self._timer = loop.call_at(min(self._ends.values()), self._cancel_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
