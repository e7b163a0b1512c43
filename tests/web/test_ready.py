import asyncio
import logging

import pytest

from clusterdns.plugins.base import Plugin
from clusterdns.web.ready import Readiness, serve_ready
from tests.web.client import asked


class Toy(Plugin):
    """A plugin that is as ready as it is told."""

    def __init__(self, name: str, ready: bool = False) -> None:
        self.name = name  # type: ignore[misc]  # several of one class, for the test
        self.is_ready = ready

    def ready(self) -> bool:
        return self.is_ready


@pytest.mark.parametrize(
    ("waiting", "leaving", "status", "body"),
    [
        ([], False, 200, "OK"),
        (["kubernetes"], False, 503, "kubernetes"),
        (["erratic", "kubernetes"], False, 503, "erratic,kubernetes"),
        ([], True, 503, "Shutting down"),
        (["kubernetes"], True, 503, "Shutting down"),
    ],
)
async def test_page(waiting: list[str], leaving: bool, status: int, body: str) -> None:
    left = asyncio.Event()
    if leaving:
        left.set()
    async with (
        asked(lambda sock, stop: serve_ready(sock, lambda: waiting, left, stop)) as client,
        client.get("/ready") as reply,
    ):
        assert (reply.status, await reply.text()) == (status, body)
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_each_no_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "clusterdns")
    left = asyncio.Event()
    async with asked(
        lambda sock, stop: serve_ready(sock, lambda: ["erratic", "kubernetes"], left, stop)
    ) as client:
        for _ in range(2):
            async with client.get("/ready") as reply:
                await reply.read()
    assert [(each.name, each.levelname, each.message) for each in caplog.records] == [
        ("clusterdns.plugins.ready", "INFO", 'Plugins not ready: "erratic,kubernetes"')
    ] * 2


async def test_leaving_is_noticed_at_once_on_a_kept_connection() -> None:
    left = asyncio.Event()
    async with asked(lambda sock, stop: serve_ready(sock, list, left, stop)) as client:
        async with client.get("/ready") as reply:
            assert reply.status == 200
        left.set()
        async with client.get("/ready") as reply:
            assert reply.status == 503


def test_until_ready_does_not_ask_again() -> None:
    kubernetes, erratic = Toy("kubernetes"), Toy("erratic")
    readiness = Readiness([kubernetes, erratic])
    assert readiness.waiting() == ["erratic", "kubernetes"]
    kubernetes.is_ready = True
    assert readiness.waiting() == ["erratic"]
    kubernetes.is_ready = False
    assert readiness.waiting() == ["erratic"]


def test_continuously_asks_again() -> None:
    kubernetes = Toy("kubernetes", ready=True)
    readiness = Readiness([kubernetes], continuous=True)
    assert readiness.waiting() == []
    kubernetes.is_ready = False
    assert readiness.waiting() == ["kubernetes"]


def test_a_name_waits_for_all_its_blocks_and_is_said_once() -> None:
    first, second, third = Toy("kubernetes", ready=True), Toy("kubernetes"), Toy("kubernetes")
    readiness = Readiness([first, second, third])
    assert readiness.waiting() == ["kubernetes"]
    second.is_ready = True
    assert readiness.waiting() == ["kubernetes"]
    third.is_ready = True
    assert readiness.waiting() == []


def test_nobody_to_wait_for() -> None:
    assert Readiness([]).waiting() == []
