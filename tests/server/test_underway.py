"""Queries that wait: their bound, their time, and the end."""

import asyncio
from typing import Any

from clusterdns.server.steps import Steps, start
from clusterdns.server.underway import UnderWay

SOON_S = 0.02


class Waiting:
    """A query that waits until `end` is set; cancelled it says so, or not, as told."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.end = asyncio.Event()
        self.stubborn = stubborn
        self.told: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def run(self) -> bytes | None:
        while True:
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    return b"cancelled"
            else:
                return b"answered"

    def add_to(self, under_way: UnderWay) -> None:
        steps: Any = start(self.run())
        assert isinstance(steps, Steps)
        under_way.add(steps, self.told.put_nowait)

    async def reply(self) -> bytes | None:
        return await asyncio.wait_for(self.told.get(), 5)


async def test_to_the_end() -> None:
    under_way, query = UnderWay(), Waiting()
    query.add_to(under_way)
    assert len(under_way) == 1
    query.end.set()
    assert await query.reply() == b"answered"
    assert len(under_way) == 0


async def test_bound() -> None:
    under_way, queries = UnderWay(limit=2), [Waiting(), Waiting()]
    queries[0].add_to(under_way)
    assert not under_way.full
    queries[1].add_to(under_way)
    assert under_way.full
    for query in queries:
        query.end.set()
    await under_way.finish()
    assert not under_way.full


async def test_too_late_is_cancelled_and_the_others_are_not() -> None:
    under_way, late = UnderWay(query_time_s=SOON_S), Waiting()
    late.add_to(under_way)
    assert await late.reply() == b"cancelled"
    next_late, in_time = Waiting(), Waiting()
    next_late.add_to(under_way)
    in_time.add_to(under_way)
    in_time.end.set()
    assert await in_time.reply() == b"answered"
    assert await next_late.reply() == b"cancelled"


async def test_finish_waits() -> None:
    under_way, query = UnderWay(), Waiting()
    query.add_to(under_way)
    finished = asyncio.create_task(under_way.finish(60.0))
    await asyncio.sleep(0)
    assert not finished.done()
    query.end.set()
    await asyncio.wait_for(finished, 5)
    assert await query.reply() == b"answered"


async def test_finish_cancels_what_takes_too_long() -> None:
    under_way, query = UnderWay(), Waiting()
    query.add_to(under_way)
    await asyncio.wait_for(under_way.finish(SOON_S), 5)
    assert await query.reply() == b"cancelled"


async def test_finish_ends_without_those_that_cannot_be_cancelled() -> None:
    under_way, query = UnderWay(), Waiting(stubborn=True)
    query.add_to(under_way)
    await asyncio.wait_for(under_way.finish(SOON_S), 5)
    assert len(under_way) == 1
    query.end.set()
    assert await query.reply() == b"answered"
