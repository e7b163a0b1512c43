"""starting -> ready -> lameduck -> stopped, and the events that others wait on."""

import asyncio
import logging
import time
from collections.abc import Callable
from enum import Enum

QUIET_S = 2.0  # a client that still knows us asks again within its 1 to 5 s timeout or has moved on

log = logging.getLogger(__name__)


class Stage(Enum):
    STARTING = "starting"  # sources are not synced
    READY = "ready"
    LAMEDUCK = "lameduck"  # not ready any more, still answering
    STOPPED = "stopped"


class Lifecycle:
    """How far the process is.

    ready: set once every source is synced. leaving: set on the way into lameduck, `stopping` at
    its end.
    """

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.leaving = asyncio.Event()
        self.stopping = asyncio.Event()

    @property
    def stage(self) -> Stage:
        if self.stopping.is_set():
            return Stage.STOPPED
        if self.leaving.is_set():
            return Stage.LAMEDUCK
        return Stage.READY if self.ready.is_set() else Stage.STARTING

    def synced(self) -> None:
        """Every source has listed everything once."""
        self.ready.set()

    def stop(self) -> None:
        """Ends now: no lameduck, no drain."""
        self.leaving.set()
        self.stopping.set()

    async def leave(
        self, lameduck_s: float, drain_s: float, last_query: Callable[[], float]
    ) -> None:
        """Not ready at once; stops after `lameduck_s`, and not before clients are gone.

        drain_s: at most so long after the lameduck we wait for QUIET_S without any query.
        last_query: the monotonic second at which the last query came in.
        """
        self.leaving.set()
        await self._wait(lameduck_s)
        end = time.monotonic() + drain_s
        while not self.stopping.is_set():
            now = time.monotonic()
            wait = min(last_query() + QUIET_S, end) - now
            if wait <= 0:
                break
            await self._wait(wait)
        self.stop()

    async def _wait(self, seconds: float) -> None:
        """Sleeps so long, or until the process stops."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            pass
