"""Something to await that does without asyncio's Future."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Waiter(Generic[T]):
    """Something to await that goes on inside the call of `set`: no turn of the loop between.

    A Future's callbacks wait for the loop's next turn, 1 to 2 microseconds and a batch of
    datagrams later. Awaited once; in a Task it works too, with that turn.
    """

    __slots__ = ("_done", "_error", "_resume", "_value")

    def __init__(self) -> None:
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._resume: Callable[[], object] | None = None

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done:
            if asyncio.current_task() is None:
                yield self
            else:
                yield from self._future()
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def set(self, value: T) -> None:
        """Ends the wait with a value. Later calls change nothing."""
        self._finish(value, None)

    def fail(self, error: BaseException) -> None:
        """Ends the wait with an exception. Later calls change nothing."""
        self._finish(None, error)

    def cancel(self) -> None:
        """Ends the wait with CancelledError. Later calls change nothing."""
        self._finish(None, asyncio.CancelledError())

    def resumes(self, callback: Callable[[], object]) -> None:
        """Has callback called at the end of the wait; for whoever drives the coroutine."""
        self._resume = callback

    def _finish(self, value: T | None, error: BaseException | None) -> None:
        if self._done:
            return
        self._done, self._value, self._error = True, value, error
        if self._resume is not None:
            self._resume()

    def _future(self) -> Generator[Any, None, None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def resume() -> None:
            if not future.done():
                future.set_result(None)

        self.resumes(resume)
        yield from future
