import asyncio
import logging
from functools import partial

import pytest
from aiohttp import web

from clusterdns import metrics
from clusterdns.web.app import listen, serve, text
from clusterdns.web.health import check, serve_health
from tests.beside import beside
from tests.metering import nothing_counted
from tests.web.client import asked, served

pytestmark = pytest.mark.usefixtures("nothing_counted")
__all__ = ["nothing_counted"]


async def test_health_is_ok() -> None:
    async with asked(serve_health) as client, client.get("/health") as reply:
        assert (reply.status, await reply.text()) == (200, "OK")


async def test_other_paths_are_not_found() -> None:
    async with asked(serve_health) as client, client.get("/ready") as reply:
        assert (reply.status, await reply.text()) == (404, "404 page not found\n")


async def checked(times: int) -> None:
    while metrics.health_duration.count() < times:  # noqa: ASYNC110  # metrics wake nobody
        await asyncio.sleep(0.005)


async def test_it_asks_itself() -> None:
    """3.5, 4.4."""
    async with served(partial(serve_health, check_every_s=0.01)):
        await checked(3)
    assert metrics.health_failures.total() == 0
    assert metrics.health_duration.bounds == (0.00025, 0.0025, 0.025, 0.25, 2.5)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "localhost"])
async def test_it_finds_itself_on_every_address(host: str) -> None:
    serve = partial(serve_health, listen(host, 0), check_every_s=0.01)
    async with asyncio.timeout(10), beside(serve):
        await checked(1)
    assert metrics.health_failures.total() == 0


async def test_a_failure_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with listen("127.0.0.1", 0) as gone:
        port = gone.getsockname()[1]
    url = f"http://127.0.0.1:{port}/health"
    async with asyncio.timeout(10), beside(lambda stopping: check(url, stopping, 0.01)):
        await checked(1)
    assert metrics.health_failures.total() == metrics.health_duration.count()
    (first, *_) = caplog.records
    assert first.levelno == logging.WARNING
    assert first.getMessage().startswith(
        f'Local health request to "http://127.0.0.1:{port}/health" failed: '
    )


async def test_a_slow_answer_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.web.health._SLOW_S", 0.01)

    async def slow(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.02)
        return text("OK")

    async with served(lambda sock, stop: serve(sock, {"/health": slow}, stop)) as port:
        url = f"http://127.0.0.1:{port}/health"
        async with beside(lambda stopping: check(url, stopping, 0.001)):
            await checked(1)
    assert "took more than" in caplog.records[0].getMessage()
    assert metrics.health_failures.total() == 0
