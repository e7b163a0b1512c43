"""Waits for what nobody tells us of."""

import asyncio
import time
from collections.abc import Awaitable, Callable

LOOK_S = 0.02
PATIENCE_S = 30.0  # for what a controller does; 0.1 s on an idle machine


async def until(
    what: str, now: Callable[[], Awaitable[object]], wanted: object, within_s: float = PATIENCE_S
) -> None:
    """Looks until it is as wanted. Raises AssertionError that says what was found last."""
    end = time.monotonic() + within_s
    while (found := await now()) != wanted:
        assert time.monotonic() < end, f"waited for {what}, found {found!r}"
        await asyncio.sleep(LOOK_S)
