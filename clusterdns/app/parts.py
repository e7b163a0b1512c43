"""What runs beside the queries, each part with an end of its own."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Serve = Callable[[asyncio.Event], Coroutine[Any, Any, None]]  # until the event is set


class Parts:
    """Parts that run until they are told to end, one alone, or all together by `stopping`."""

    def __init__(self, tasks: asyncio.TaskGroup, stopping: asyncio.Event) -> None:
        self._tasks = tasks
        self._running: dict[int, tuple[object, asyncio.Event]] = {}  # by id: parts may be equal
        tasks.create_task(self._end_all(stopping))

    def start(self, part: object, serve: Serve) -> None:
        """Runs a part, unless it runs already."""
        if id(part) not in self._running:
            end = asyncio.Event()
            self._running[id(part)] = part, end
            self._tasks.create_task(serve(end))

    def end(self, part: object) -> None:
        """Tells a part to end; it may take its time for that."""
        _, end = self._running.pop(id(part))
        end.set()

    async def _end_all(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        for _, end in self._running.values():
            end.set()
