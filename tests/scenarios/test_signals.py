"""How a server leaves: not ready at once, still answering, then gone, and nothing lost."""

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from clusterdns import lifecycle
from clusterdns.lifecycle import Lifecycle, Stage
from tests.ports import free_port
from tests.scenarios.asking import At, answer, becomes, get
from tests.scenarios.processes import Process, running
from tests.scenarios.servers import COREFILE, served, write
from tests.scenarios.test_manifests import WEB, web

LAMEDUCK_S = 0.4
ASK_EVERY_S = 0.05


class Leaving(NamedTuple):
    """A server's process, where it listens, and its pages."""

    process: Process
    at: At
    health: int
    ready: int


@asynccontextmanager
async def serving(folder: Path, *flags: str, lameduck: str = "400ms") -> AsyncIterator[Leaving]:
    """A process that serves WEB."""
    health, ready = free_port(), free_port()
    (folder / "Corefile").write_text(f"""\
.:0 {{
    bind 127.0.0.1
    health 127.0.0.1:{health} {{
        lameduck {lameduck}
    }}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local
}}
""")
    objects = write(folder / "objects.yaml", [web()])
    words = ("-conf", folder / "Corefile", "--manifests", objects)
    async with running(*words, *flags) as process:
        at = await process.listening()
        await process.line("dig @127.0.0.1")
        yield Leaving(process, at, health, ready)


class Client:
    """Asks every 50 ms, by UDP and TCP in turn.

    right: the monotonic second at which it asked what was answered. wrong: what else it heard.
    """

    def __init__(self, at: At) -> None:
        self.at = at
        self.right: list[float] = []
        self.wrong: list[str] = []

    async def ask_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            asked = time.monotonic()
            try:
                found = await answer(self.at, WEB, tcp=bool(len(self.right) % 2))
            except Exception as error:  # no answer at all
                found = repr(error)
            if found == "10.96.0.1":
                self.right.append(asked)
            else:
                self.wrong.append(found)
            await asyncio.sleep(ASK_EVERY_S)


async def test_sigterm_while_a_client_asks(tmp_path: Path) -> None:
    """A rollout: the client goes on for a while after /ready has said no."""
    async with serving(tmp_path) as (process, at, health, ready):
        done, client = asyncio.Event(), Client(at)
        asking = asyncio.create_task(client.ask_until(done))
        assert await get(ready, "/ready") == (200, "OK")
        start = time.monotonic()
        process.send(signal.SIGTERM)
        await process.line("SIGTERM: Shutting down servers then terminating")
        assert await get(ready, "/ready") == (503, "Shutting down")
        assert await get(health, "/health") == (200, "OK")
        await process.line("plugin/health: Going into lameduck mode for 400ms")
        await asyncio.sleep(2 * LAMEDUCK_S)  # the client keeps asking until after the lameduck
        done.set()
        await asking
        assert client.wrong == []
        assert len(client.right) > 5
        assert client.right[-1] - start > LAMEDUCK_S
        assert await process.exit_code() == 0
        assert time.monotonic() - client.right[-1] >= lifecycle.QUIET_S


@asynccontextmanager
async def asked_all_the_time(at: At) -> AsyncIterator[Client]:
    """A client that never goes."""
    client, enough = Client(at), asyncio.Event()
    asking = asyncio.create_task(client.ask_until(enough))
    try:
        yield client
    finally:
        enough.set()  # Python 3.11: `wait_for` in dnspython can swallow a cancellation
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_sigterm_with_a_client_that_never_goes(tmp_path: Path) -> None:
    """-drain is the longest wait."""
    async with (
        serving(tmp_path, "-drain=500ms", lameduck="100ms") as (process, at, *_),
        asked_all_the_time(at) as client,
    ):
        start = time.monotonic()
        process.send(signal.SIGTERM)
        await process.line("lameduck")
        assert await process.exit_code() == 0
        assert time.monotonic() - start >= 0.6
        assert client.right[-1] - start > 0.1  # past the lameduck


async def test_sigterm_twice_is_once(tmp_path: Path) -> None:
    async with serving(tmp_path, "-drain=0s", lameduck="100ms") as (process, *_):
        process.send(signal.SIGTERM)
        process.send(signal.SIGTERM)
        assert await process.exit_code() == 0
        assert process.text.count("lameduck") == 1


async def test_sigint_ends_after_the_lameduck(tmp_path: Path) -> None:
    """Whoever still asks: a person waits at the keyboard."""
    async with (
        serving(tmp_path, lameduck="200ms") as (process, at, *_),
        asked_all_the_time(at),
    ):
        start = time.monotonic()
        process.send(signal.SIGINT)
        await process.line("SIGINT: Shutting down")
        assert await answer(at, WEB) == "10.96.0.1"
        assert await process.exit_code() == 0
        assert time.monotonic() - start >= 0.2
        assert "Traceback" not in process.text


async def test_a_second_sigint_ends_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, lameduck="30s") as (process, *_):
        process.send(signal.SIGINT)
        await process.line("lameduck")
        process.send(signal.SIGINT)
        assert await process.exit_code() == 2


async def test_sigquit_stops_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, lameduck="30s") as (process, *_):
        process.send(signal.SIGQUIT)
        assert await process.exit_code() == 0
        assert "lameduck" not in process.text


async def test_sigquit_cuts_the_lameduck_short(tmp_path: Path) -> None:
    async with serving(tmp_path, lameduck="30s") as (process, *_):
        process.send(signal.SIGTERM)
        await process.line("lameduck")
        process.send(signal.SIGQUIT)
        assert await process.exit_code() == 0


async def test_sighup_does_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, "-drain=0s", lameduck="0s") as (process, at, _, ready):
        process.send(signal.SIGHUP)
        assert await answer(at, WEB) == "10.96.0.1"
        assert await get(ready, "/ready") == (200, "OK")
        process.send(signal.SIGTERM)
        assert await process.exit_code() == 0


async def test_sigterm_before_everything_is_known(tmp_path: Path) -> None:
    """A pipe that never ends keeps nobody alive."""
    (tmp_path / "Corefile").write_text(COREFILE)
    words = ("-conf", tmp_path / "Corefile", "--manifests", "-", "-drain", "0s")
    async with running(*words, stdin=subprocess.PIPE) as process:
        assert await answer(await process.listening(), WEB) == "SERVFAIL"
        process.send(signal.SIGTERM)
        assert await process.exit_code() == 0
        assert "Traceback" not in process.text


async def test_nothing_stays_open(tmp_path: Path) -> None:
    """Sockets of names and pages, connections of clients, the watch on files."""
    before = open_files()
    async with served(tmp_path, write(tmp_path / "objects.yaml", [web()])) as server:
        reader, writer = await asyncio.open_connection(*server.at)  # and never asks
        await answer(server.at, WEB, tcp=True)
        await get(server.ready, "/ready")
        assert open_files() - before
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()

    async def left() -> str:
        return " ".join(open_files() - before)

    await becomes("", left)  # a thread of watchfiles closes the watch


def open_files() -> Counter[str]:
    """The sockets and watches of this process."""
    found: Counter[str] = Counter()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # the listing's own
        if target.startswith(("socket:", "anon_inode:inotify")):
            found[target] += 1
    return found


WAITS = {
    # the last query comes so long after the signal, -drain, and the process stops after
    "the last query is long ago": (0.0, 60.0, 0.2),
    "until nobody has asked for a while": (0.5, 60.0, 0.6),
    "somebody asks all the time": (60.0, 0.3, 0.5),
    "without drain": (60.0, 0.0, 0.2),
}


@pytest.mark.parametrize(("asked_s", "drain_s", "stops_s"), WAITS.values(), ids=WAITS)
async def test_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, asked_s: float, drain_s: float, stops_s: float
) -> None:
    """A lameduck of 0.2 s, and a quiet time of 0.1 s."""
    monkeypatch.setattr(lifecycle, "QUIET_S", 0.1)
    life = Lifecycle()
    start = time.monotonic()

    def last_query() -> float:
        return min(time.monotonic(), start + asked_s) if asked_s else start - 60

    async with asyncio.timeout(stops_s + 10):
        await life.leave(0.2, drain_s, last_query)
    assert time.monotonic() - start >= stops_s


async def test_a_stop_ends_the_drain() -> None:
    """Whatever the sockets have seen at their end."""
    life = Lifecycle()
    leaving = asyncio.create_task(life.leave(0.0, 60.0, time.monotonic))
    await life.leaving.wait()
    life.stop()
    async with asyncio.timeout(1):
        await leaving


async def test_stages() -> None:
    life = Lifecycle()
    stages = [life.stage]
    for step in (life.synced, life.leaving.set, life.stop):
        step()
        stages.append(life.stage)
    assert stages == [Stage.STARTING, Stage.READY, Stage.LAMEDUCK, Stage.STOPPED]
