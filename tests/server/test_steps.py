import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from clusterdns.plugins.waiter import Waiter
from clusterdns.server.steps import Steps, start


class Ends:
    """Collects what `then` is told."""

    def __init__(self, steps: Any) -> None:
        assert isinstance(steps, Steps)
        self.steps: Steps[Any] = steps
        self.told: list[tuple[Any, BaseException | None]] = []
        self.end = asyncio.Event()
        steps.then(self._tell)

    def _tell(self, result: Any, error: BaseException | None) -> None:
        self.told.append((result, error))
        self.end.set()

    async def result(self) -> Any:
        async with asyncio.timeout(5):
            await self.end.wait()
        assert self.steps.done
        [(result, error)] = self.told
        if error is not None:
            raise error
        return result


async def at_once(value: int) -> int:
    return value


async def raises_at_once() -> int:
    raise ValueError("no")


async def nested() -> int:
    return await at_once(1) + await at_once(2)


def test_without_waiting_it_is_a_plain_call() -> None:
    assert start(nested()) == 3  # and needs no loop
    with pytest.raises(ValueError, match="no"):
        start(raises_at_once())


async def waits_for_future() -> int:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, 1)
    return 1 + await future  # type: ignore[no-any-return]


async def waits_for_failing_future() -> int:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_exception, ValueError("late"))
    return await future  # type: ignore[no-any-return]


async def waits_for_task() -> int:
    return await asyncio.ensure_future(nested())


async def waits_for_next_turn() -> int:
    for _ in range(3):
        await asyncio.sleep(0)
    return 3


async def sleeps() -> int:
    return await asyncio.sleep(0.001, 5)


async def gathers() -> int:
    return sum(await asyncio.gather(at_once(1), at_once(2)))


async def waits_for_event_and_lock_and_queue() -> int:
    event, lock, queue = asyncio.Event(), asyncio.Lock(), asyncio.Queue[int]()
    asyncio.get_running_loop().call_soon(event.set)
    asyncio.get_running_loop().call_soon(queue.put_nowait, 7)
    async with lock:
        await event.wait()
        return await queue.get()


async def waits_with_limit_in_a_task() -> int:
    async def limited() -> int:
        async with asyncio.timeout(5):
            return await asyncio.sleep(0.001, 9)

    return await asyncio.ensure_future(limited())


async def waits_for_done_future() -> int:
    future = asyncio.get_running_loop().create_future()
    future.set_result(4)
    return await asyncio.shield(future)


WAITS: dict[str, tuple[Callable[[], Coroutine[Any, Any, int]], int]] = {
    "future": (waits_for_future, 2),
    "task": (waits_for_task, 3),
    "bare yields": (waits_for_next_turn, 3),
    "sleep": (sleeps, 5),
    "gather": (gathers, 3),
    "event, lock, queue": (waits_for_event_and_lock_and_queue, 7),
    "a time limit inside a task": (waits_with_limit_in_a_task, 9),
}


@pytest.mark.parametrize(("function", "expected"), WAITS.values(), ids=WAITS)
async def test_waiting(function: Callable[[], Coroutine[Any, Any, int]], expected: int) -> None:
    assert await Ends(start(function())).result() == expected


async def test_what_is_done_already_needs_no_steps() -> None:
    assert start(waits_for_done_future()) == 4


async def test_exception_after_waiting() -> None:
    with pytest.raises(ValueError, match="late"):
        await Ends(start(waits_for_failing_future())).result()


async def test_a_result_is_told_to_who_asks_late() -> None:
    steps = start(waits_for_next_turn())
    for _ in range(5):
        await asyncio.sleep(0)
    assert isinstance(steps, Steps)
    assert steps.done
    assert await Ends(steps).result() == 3


async def test_what_cannot_be_waited_for_is_an_error_in_the_coroutine() -> None:
    class Odd:
        def __await__(self) -> Any:
            yield "odd"

    async def wait() -> str:
        try:
            await Odd()
        except RuntimeError as error:
            return str(error)
        return "nothing raised"

    assert await Ends(start(wait())).result() == "a query cannot wait for 'odd'"


class Cleanup:
    """A coroutine that waits for something and notes how that ended."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.what = what
        self.seen: list[str] = []

    async def run(self) -> None:
        try:
            await self.what()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)  # cleaning up may wait
            self.seen.append("cleaned up")


CANCELLED: dict[str, Callable[[], Any]] = {
    "future": lambda: asyncio.get_running_loop().create_future(),
    "task": lambda: asyncio.ensure_future(asyncio.Event().wait()),
    "waiter": lambda: Waiter[int](),
    "bare yield": lambda: asyncio.sleep(0),
}


@pytest.mark.parametrize("what", CANCELLED.values(), ids=CANCELLED)
async def test_cancel(what: Callable[[], Any]) -> None:
    cleanup = Cleanup(what)
    ends = Ends(start(cleanup.run()))
    ends.steps.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ends.result()
    assert cleanup.seen == ["cancelled", "cleaned up"]
    ends.steps.cancel()  # nothing left to cancel


async def test_cancel_between_the_result_and_its_wake_up() -> None:
    future = asyncio.get_running_loop().create_future()
    cleanup = Cleanup(lambda: future)
    ends = Ends(start(cleanup.run()))
    future.set_result(None)
    ends.steps.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ends.result()
    assert cleanup.seen == ["cancelled", "cleaned up"]


async def test_a_cancelled_coroutine_may_still_answer() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late"
        return "never"

    ends = Ends(start(stubborn()))
    ends.steps.cancel()
    assert await ends.result() == "late"


async def test_waiter_goes_on_inside_set() -> None:
    waiter = Waiter[int]()
    told: list[list[tuple[Any, BaseException | None]]] = []

    async def wait() -> int:
        return 1 + await waiter

    def outside_of_any_task() -> None:
        ends = Ends(start(wait()))
        told.append(list(ends.told))
        waiter.set(1)
        told.append(list(ends.told))
        waiter.set(5)
        waiter.fail(ValueError())
        told.append(list(ends.told))

    asyncio.get_running_loop().call_soon(outside_of_any_task)
    await asyncio.sleep(0)
    assert told == [[], [(2, None)], [(2, None)]]


async def test_waiter_cancelled_outside_of_any_task() -> None:
    told: list[list[tuple[Any, BaseException | None]]] = []

    async def wait() -> str:
        try:
            return await Waiter[str]()
        except asyncio.CancelledError:
            return "cancelled"

    def outside_of_any_task() -> None:
        ends = Ends(start(wait()))
        ends.steps.cancel()
        told.append(ends.told)

    asyncio.get_running_loop().call_soon(outside_of_any_task)
    await asyncio.sleep(0)
    assert told == [[("cancelled", None)]]


async def test_waiter_fails() -> None:
    waiter = Waiter[int]()

    async def wait() -> int:
        return await waiter

    ends = Ends(start(wait()))
    waiter.fail(ValueError("upstream"))
    with pytest.raises(ValueError, match="upstream"):
        await ends.result()


async def test_waiter_set_before_it_is_awaited() -> None:
    waiter = Waiter[int]()
    waiter.set(3)

    async def wait() -> int:
        return await waiter

    assert start(wait()) == 3


async def test_waiter_in_a_task() -> None:
    waiter = Waiter[int]()

    async def wait() -> int:
        return await waiter

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiter.set(4)
    assert await task == 4


async def test_waiter_outlives_its_cancelled_task() -> None:
    waiter = Waiter[int]()

    async def wait() -> int:
        return await waiter

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    waiter.set(4)  # a reply that comes late disturbs nobody
