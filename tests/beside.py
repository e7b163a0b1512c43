"""What goes on beside a test: the `serve` of parts, and waiting for what comes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

PATIENCE_S = 10.0  # for a part that stops, and for what is waited for; only a broken one needs it


@asynccontextmanager
async def beside(
    *serves: Callable[[asyncio.Event], Coroutine[Any, Any, object]],
) -> AsyncIterator[None]:
    """Runs these until the block ends, has them stop, and waits for them."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(serve(stopping)) for serve in serves]
        try:
            yield
        finally:
            stopping.set()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*tasks, return_exceptions=True)  # the group raises theirs


async def until(holds: Callable[[], object]) -> None:
    """Lets others run until this holds. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.002)
