"""Runs coroutines without an asyncio Task: a query that never waits pays for a plain call.

A Task and a timeout object cost 13 microseconds per query, twice what answering a known question
costs, and nearly no query waits for anything. So a coroutine is stepped on the spot; when it waits,
what it waits for calls back and the next step follows.

What cannot work here, because it looks for the Task it runs in: `asyncio.timeout()`, `wait_for()`,
`TaskGroup`. A plugin that needs one awaits `asyncio.ensure_future(...)` of a coroutine that does.
Futures, tasks, events, locks, queues, `gather` and `sleep` are fine.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar, cast

from clusterdns.plugins.waiter import Waiter

T = TypeVar("T")


class _Awaited(Protocol):
    """What a coroutine may wait for: asyncio's future-like objects."""

    _asyncio_future_blocking: bool

    def add_done_callback(self, callback: Callable[[Any], object]) -> None: ...

    def cancel(self) -> bool: ...


def start(coroutine: Coroutine[Any, Any, T]) -> "T | Steps[T]":
    """Its result, or what it raises, if it ends without waiting; else Steps, under way."""
    try:
        awaited = coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    return Steps(coroutine, awaited)


class Steps(Generic[T]):
    """A coroutine that waits. Made by `start`; each wake-up runs it on to its next wait or end."""

    __slots__ = ("_awaited", "_coroutine", "_error", "_result", "_then", "_throw")

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: object) -> None:
        self._coroutine: Coroutine[Any, Any, T] | None = coroutine  # None: it ended
        self._then: Callable[[T | None, BaseException | None], object] | None = None
        self._result: T | None = None
        self._error: BaseException | None = None
        self._throw: BaseException | None = None  # to be raised in it at the next wake-up
        self._wait(awaited)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._coroutine is None

    def then(self, callback: Callable[[T | None, BaseException | None], object]) -> None:
        """Has callback(result, error) called once, at the end; at once if that has been.

        error: what the coroutine raised; None: it gave the result.
        """
        self._then = callback
        if self.done:
            self._tell()

    def cancel(self) -> None:
        """Raises CancelledError in it where it waits, as Task.cancel does; it may clean up, wait
        again for that, and still give a result."""
        if self.done:
            return
        awaited = self._awaited
        if isinstance(awaited, Waiter):
            awaited.cancel()
        elif awaited is None or not awaited.cancel():  # its wake-up is on its way already
            self._throw = asyncio.CancelledError()

    def _wait(self, awaited: object) -> None:
        self._awaited: _Awaited | Waiter[Any] | None = None
        if isinstance(awaited, Waiter):
            self._awaited = awaited
            awaited.resumes(self._wake)
        elif getattr(awaited, "_asyncio_future_blocking", None):
            self._awaited = future = cast("_Awaited", awaited)
            future._asyncio_future_blocking = False  # what a Task does too: the wait is taken up
            future.add_done_callback(self._wake)
        else:
            if awaited is not None:  # None: a bare yield, as in sleep(0), asks for the next turn
                self._throw = RuntimeError(f"a query cannot wait for {awaited!r}")
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self, _: object = None) -> None:
        coroutine, throw = self._coroutine, self._throw
        assert coroutine is not None  # one wake-up for each wait
        self._throw = None
        try:
            awaited = coroutine.send(None) if throw is None else coroutine.throw(throw)
        except StopIteration as stop:
            self._end(stop.value, None)
        except (KeyboardInterrupt, SystemExit):
            self._coroutine = None
            raise
        except BaseException as error:  # an edge: handed to whoever asked
            self._end(None, error)
        else:
            self._wait(awaited)

    def _end(self, result: T | None, error: BaseException | None) -> None:
        self._coroutine = self._awaited = None
        self._result, self._error = result, error
        if self._then is not None:
            self._tell()

    def _tell(self) -> None:
        assert self._then is not None
        then, self._then = self._then, None
        then(self._result, self._error)
