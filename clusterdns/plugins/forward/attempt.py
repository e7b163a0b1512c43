"""A question sent to one upstream, until its reply or its failure; and the time it may take."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward.exchange import Asked
from clusterdns.plugins.forward.figures import Figures
from clusterdns.wire.received import Received

# One of the two is None.
Done = Callable[[Received | None, UpstreamError | None], object]


class Home(Protocol):
    """The socket that an attempt was sent by."""

    def leave(self, attempt: "Attempt", is_late: bool) -> None:
        """Its reply is waited for no longer. is_late: it did not come in time."""
        ...

    def failure(self, reason: str) -> UpstreamError:
        """`read udp FROM->TO: REASON`, as Go writes it: patterns of `errors` look for it."""
        ...


class Attempt:
    """A question under way.

    id: in its message, as octets. may_repeat: the connection was not opened for it, so that its end
    says nothing about the upstream.
    """

    __slots__ = ("_done", "_figures", "_started", "_timeouts", "asked", "home", "id", "may_repeat")

    def __init__(
        self, asked: Asked, figures: Figures, timeouts: "Timeouts", done: Done, now: float
    ) -> None:
        """now: monotonic seconds."""
        self.asked = asked
        self._figures = figures
        self._timeouts = timeouts
        self._done = done
        self._started = now
        self.home: Home | None = None  # None: not sent, or over
        self.id = b""
        self.may_repeat = False

    def replied(self, found: Received) -> None:
        """Its reply has come; the socket has forgotten it."""
        self.home = None
        self._timeouts.discard(self)
        self._figures.replied(found.rcode, time.monotonic() - self._started)
        self._done(found, None)

    def failed(self, error: UpstreamError) -> None:
        """There will be no reply; the socket has forgotten it."""
        self.home = None
        self._timeouts.discard(self)
        self._done(None, error)

    def timed_out(self) -> None:
        """There was no reply in time."""
        home = self.home
        assert home is not None  # else it would have been discarded
        error = home.failure("i/o timeout")
        home.leave(self, is_late=True)
        self.failed(error)

    def give_up(self) -> None:
        """Nobody wants the reply any more; `done` is not called. May be called when it is over."""
        if self.home is not None:
            self.home.leave(self, is_late=False)
            self.home = None
            self._timeouts.discard(self)


class Timeouts:
    """When attempts end. A timer for each would cost two microseconds and be cancelled nearly
    always; most last equally long, so that the first to come is the first to end."""

    def __init__(self, usual_s: float) -> None:
        self._usual_s = usual_s
        self._ends: dict[Attempt, float] = {}  # monotonic seconds, rising
        self._timer: asyncio.TimerHandle | None = None
        self._unusual: dict[Attempt, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._ends) + len(self._unusual)

    def add(self, attempt: Attempt, seconds: float, now: float) -> None:
        """Has `timed_out` called after so many seconds, unless it is discarded before.

        now: monotonic seconds, which are the loop's too.
        """
        if seconds != self._usual_s:
            loop = asyncio.get_running_loop()
            self._unusual[attempt] = loop.call_at(now + seconds, self._end, attempt)
            return
        self._ends[attempt] = now + seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(now + seconds, self._end_late)

    def discard(self, attempt: Attempt) -> None:
        """It is over. The timer stays: the next attempt will want one too."""
        if self._ends.pop(attempt, None) is None and self._unusual:
            handle = self._unusual.pop(attempt, None)
            if handle is not None:
                handle.cancel()

    def stop(self) -> None:
        """Ends what waits for nothing any more."""
        if self._timer is not None and not self._ends:
            self._timer.cancel()
            self._timer = None

    def _end(self, attempt: Attempt) -> None:
        attempt.timed_out()

    def _end_late(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        late = []
        for attempt, end in self._ends.items():
            if end > now:
                self._timer = loop.call_at(end, self._end_late)
                break
            late.append(attempt)
        for attempt in late:
            if attempt in self._ends:  # one before may have ended it
                attempt.timed_out()


class Ids:
    """Random ids, which nobody can tell from those before (RFC 5452 section 9.2)."""

    _AT_ONCE = 2048  # octets; the system call costs less than a microsecond for all of them

    def __init__(self) -> None:
        self._octets = b""
        self._at = 0

    def next(self) -> bytes:
        """Two random octets."""
        at = self._at
        if at == len(self._octets):
            self._octets = os.urandom(self._AT_ONCE)
            at = 0
        self._at = at + 2
        return self._octets[at : at + 2]

    def below(self, limit: int) -> int:
        """A random number below the limit, which is small."""
        return int.from_bytes(self.next(), "big") % limit
