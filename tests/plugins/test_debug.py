import asyncio
import logging
from collections.abc import Iterator

import pytest

from clusterdns.plugins.debug import OURS
from tests.plugins.asking import fault, parsed


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = OURS.level
    OURS.setLevel(logging.INFO)
    yield
    OURS.setLevel(before)


async def test_level_while_somebody_serves() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    plugin = parsed("debug\ndebug")
    assert OURS.level == logging.INFO
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(plugin.serve(first))
        tasks.create_task(parsed("debug").serve(second))
        await asyncio.sleep(0)
        assert OURS.level == logging.DEBUG
        first.set()
        await one
        assert OURS.level == logging.DEBUG
        second.set()
    assert OURS.level == logging.INFO


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debug off", "1:7: debug takes no argument"),
        ("debug\ndebug off", "2:7: debug takes no argument"),
        ("debug {\n x\n}", "1:1: debug takes no block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_queries_do_not_pass_it() -> None:
    assert not parsed("debug").in_chain()
