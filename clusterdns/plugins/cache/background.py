"""Work beside the queries: one task for each reply that is asked for anew."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from clusterdns import metrics

# What is beyond waits for the next query of its name: so many questions of 5 s each is what a
# silent upstream may cost.
MOST = 1024

T = TypeVar("T")
log = logging.getLogger(__name__)


class Background:
    """Tasks of a plugin, which end with it."""

    def __init__(self, most: int = MOST) -> None:
        """most: how many at once."""
        self._most = most
        self._group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[Any]] = set()

    async def serve(self, stopping: asyncio.Event) -> None:
        """Lets tasks run until `stopping` is set; those that run then are cancelled."""
        async with asyncio.TaskGroup() as self._group:
            try:
                await stopping.wait()
            finally:
                self._group = None
                for task in self._running:
                    task.cancel()

    @property
    def has_room(self) -> bool:
        """Whether a task may be started now."""
        return self._group is not None and len(self._running) < self._most

    def start(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T | None]":
        """Runs it; gives None where it fails, which is logged. Only if `has_room`."""
        assert self._group is not None
        task = self._group.create_task(_guarded(coroutine))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


async def _guarded(coroutine: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await coroutine
    except Exception:  # an edge: one question may not end the server
        metrics.panics.add()
        log.exception("asking for a reply anew failed")
        return None
