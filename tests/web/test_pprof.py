import asyncio

import pytest

from clusterdns.web.pprof import serve_pprof
from tests.web.client import asked


async def page(path: str) -> tuple[int, str]:
    async with asked(serve_pprof) as client, client.get(path) as reply:
        return reply.status, await reply.text()


async def test_figures() -> None:
    status, body = await page("/debug/pprof/")
    assert status == 200
    figures = dict(line.split("  ", 1) for line in body.splitlines() if "  " in line)
    assert {"python", "cpu user", "largest memory", "tasks", "gc counts"} <= set(figures)
    assert int(figures["tasks"]) >= 2
    for name in ("cmdline", "gc", "tasks", "threads"):
        assert f"\n/debug/pprof/{name}\n" in body


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cmdline", "pytest"),
        ("gc", "generation 0: collections "),
        ("tasks", "Stack for <Task "),
        ("threads", "Thread MainThread:\n"),
    ],
)
async def test_pages(name: str, expected: str) -> None:
    status, body = await page(f"/debug/pprof/{name}")
    assert status == 200
    assert expected in body


async def test_other_paths_are_not_found() -> None:
    assert (await page("/debug/pprof/heap"))[0] == 404


async def test_a_task_is_shown_where_it_waits() -> None:
    async def waits_for_long() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(waits_for_long())
    _, body = await page("/debug/pprof/tasks")
    assert "await asyncio.Event().wait()" in body
    task.cancel()
