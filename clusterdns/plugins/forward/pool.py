"""What is kept open to one upstream for the next queries: sockets, or connections."""

import asyncio
import time
from collections.abc import Sized
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

CLOSE_S = 1.0  # for TLS to say good-bye; asyncio would give 30 s to a peer that is mute


async def emptied(some: Sized, gone: asyncio.Event, seconds: float) -> None:
    """Waits until there are none left, or so long. gone: is set when the last one goes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while some:
                gone.clear()
                await gone.wait()


class Member(Protocol):
    """A socket, or a connection.

    used: monotonic second of the last query by it. attempts: those under way.
    """

    used: float

    @property
    def attempts(self) -> Sized: ...


Kept = TypeVar("Kept", bound=Member)


class Pool(Generic[Kept]):
    """Some of a kind, which are retired when they were idle for too long."""

    def __init__(self, expire_s: float) -> None:
        self.expire_s = expire_s
        self.is_stopped = False
        self._open: list[Kept] = []  # those for the next queries
        self._timer: asyncio.TimerHandle | None = None

    def retire(self, one: Kept) -> None:
        """No more queries by this one; it closes when none is under way."""
        raise NotImplementedError

    def stop(self) -> None:
        """Keeps none any longer than a query needs it."""
        self.is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for one in self._open[:]:
            self.retire(one)

    def _keep(self, one: Kept) -> None:
        """Takes in a new one."""
        self._open.append(one)
        if self._timer is None and not self.is_stopped:
            self._look_later()

    def _is_old(self, one: Kept, now: float) -> bool:
        return not one.attempts and now - one.used >= self.expire_s

    def _look_later(self) -> None:
        later = max(self.expire_s, 1.0)
        self._timer = asyncio.get_running_loop().call_later(later, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        for one in self._open[:]:
            if self._is_old(one, now):
                self.retire(one)
        if self._open:
            self._look_later()
