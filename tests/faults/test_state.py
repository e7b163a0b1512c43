"""A last known state among faults: of the API, of the disk, and of the processes that share it."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from clusterdns.cluster import snapshot
from clusterdns.cluster.apiserver import ApiServer as Source
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.events import Event
from clusterdns.cluster.requests import Timing
from clusterdns.cluster.schedule import Pace
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.state import Kept, State, writes
from clusterdns.zone.index import Index
from tests.apiserver.faults import Call, Fault
from tests.apiserver.server import ApiServer
from tests.beside import PATIENCE_S, beside, until
from tests.cluster.following import IMPATIENT, View, truth
from tests.objects import endpoint, endpoint_slice, namespace, random_cluster, service

CLUSTER = [
    namespace("shop"),
    service("shop", "web", "10.0.0.1"),
    service("shop", "db"),
    endpoint_slice("shop", "db", [endpoint("10.1.0.1", hostname="db-0")]),
]
EAGER = Pace(quiet=0.0, latest=0.0, spacing=0.0)
KINDS = Selection().kinds


class KeptView(View):
    """What a source and its state say together, and the index that holds it."""

    def __init__(self, source: Source, index: Index) -> None:
        super().__init__(source)
        self.index = index
        self.sinks.append(self._apply)

    def _apply(self, events: Sequence[Event]) -> None:
        for event in events:
            self.index.apply(event, 1.0)

    @property
    def web(self) -> bool:
        return self.index.service("shop", "web") is not None


@asynccontextmanager
async def kept(url: str, folder: Path, timing: Timing = IMPATIENT) -> AsyncIterator[KeptView]:
    """A source with a state, until the block ends."""
    options, index = ApiOptions(endpoint=url), Index(Selection())
    source = Source(Selection(), options, timing, audit="off")
    view = KeptView(source, index)
    kept = Kept(source, State(folder, Selection(), options, pace=EAGER), index)
    async with beside(partial(kept.serve, sink=view.sink)):
        yield view


def contents(folder: Path) -> dict[str, bytes]:
    """The files that are whole, by their names."""
    return {path.name: path.read_bytes() for path in folder.glob("*.state")}


async def leave_state(api: ApiServer, folder: Path) -> None:
    """A run that saw everything and wrote it."""
    async with kept(api.url, folder) as view:
        await view.until_synced()
    assert view.index.synced
    assert len(contents(folder)) == 1


FAULTS = {
    "hangs": Fault(hang=True),
    "garbage": Fault(body=b"<html>gateway</html>\n"),
    "empty list": Fault(body=b'{"kind":"ServiceList","metadata":{},"items":[]}'),
    "401": Fault(status=401),
    "403": Fault(status=403),
    "500": Fault(status=500),
    "cut": Fault(lines=0, octets=60),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_an_api_that_is_there_and_no_use(tmp_path: Path, fault: Fault) -> None:
    """The old state stands until a whole list is there, and what is gone goes then."""
    async with ApiServer(CLUSTER) as api:
        await leave_state(api, tmp_path)
        await api.delete("Service", "shop", "web")
        api.fault = lambda call: fault
        async with kept(api.url, tmp_path) as view:
            await view.until_failed(4)
            assert view.index.stale
            assert not view.index.synced
            assert view.web
            api.fault = lambda call: None
            await view.until_true(api)
            await view.until_synced()
            assert view.index.synced
            assert not view.index.stale
            assert not view.web


async def test_one_kind_that_cannot_be_listed(tmp_path: Path) -> None:
    """A role that lost its right on slices: those of the state stay, all else follows the API."""

    def forbidden(call: Call) -> Fault | None:
        return Fault(status=403) if call.resource == "endpointslices" else None

    async with ApiServer(CLUSTER) as api:
        await leave_state(api, tmp_path)
        before = contents(tmp_path)
        api.fault = forbidden
        async with kept(api.url, tmp_path) as view:
            await api.delete("Service", "shop", "web")
            await view.until_failed(3, "EndpointSlice")
            await view.until(lambda: not view.web)
            assert len(view.index.slices("shop", "db")) == 1
            assert view.index.stale
        assert contents(tmp_path) == before


def cut_after(lines: int, call: Call) -> Fault:
    return Fault(lines=lines, octets=lines * 100)


async def test_an_api_that_dies_while_it_is_listed(tmp_path: Path) -> None:
    cluster = random_cluster(3, 100)
    async with ApiServer(cluster) as api:
        await leave_state(api, tmp_path)
        whole = truth(api, KINDS)
        for lines in (1, 20, 90, 3):
            api.fault = partial(cut_after, lines)
            async with kept(api.url, tmp_path) as view:
                await view.until_failed(3)
                assert view.objects == whole
        api.fault = lambda call: None
        async with kept(api.url, tmp_path) as view:
            await view.until_synced()
            assert view.objects == whole


async def test_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are taken, and so queries answered, while it writes."""
    writing, go_on = threading.Event(), threading.Event()

    def stuck(number: int) -> None:
        writing.set()
        assert go_on.wait(PATIENCE_S), "nobody had a turn meanwhile"

    monkeypatch.setattr(os, "fsync", stuck)
    async with ApiServer(CLUSTER) as api, kept(api.url, tmp_path) as view:
        try:
            await until(writing.is_set)
            for number in range(50):
                await api.put(service("shop", f"w{number}", "10.0.0.9"))
            await view.until_true(api)
            assert not contents(tmp_path)
        finally:
            go_on.set()
        await until(lambda: contents(tmp_path))


WRITER = """
import asyncio, sys
from pathlib import Path
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.model import Namespace
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.schedule import Pace
from clusterdns.cluster.state import Contents, State

state = State(Path(sys.argv[1]), Selection(), ApiOptions(endpoint="http://a"),
              pace=Pace(0.0, 0.0, 0.0))
objects = [Namespace(f"{sys.argv[2]}-{n}") for n in range(5000)]

def contents():
    state.changed()
    return Contents(objects, 1, 0.0)

async def main():
    state.changed()
    print("ready", flush=True)
    await state.serve(asyncio.Event(), contents)

asyncio.run(main())
"""


def writer(folder: Path, name: str) -> "subprocess.Popen[str]":
    """A process that writes a state over and over, and has begun to."""
    words = (sys.executable, "-c", WRITER, str(folder), name)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def is_whole(path: Path) -> bool:
    head, payloads = snapshot.check(path.read_bytes())
    objects = [each for payload in payloads for each in snapshot.decode(payload)]
    names = {each.name.partition("-")[0] for each in objects}
    return len(objects) == head.objects == 5000 and len(names) == 1


def test_killed_while_it_writes_beside_another(tmp_path: Path) -> None:
    """Two replicas with one folder, each killed at any moment: what is there is whole, always."""
    dice = random.Random(1)
    path = tmp_path / (
        snapshot.source_of(Selection(), ApiOptions(endpoint="http://a"))[0] + ".state"
    )
    steady = writer(tmp_path, "steady")
    try:
        for _ in range(3):
            killed = writer(tmp_path, "killed")
            time.sleep(0.05 + dice.random() * 0.1)
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
            for _ in range(20):
                assert is_whole(path)
    finally:
        steady.kill()
        steady.communicate()
    assert is_whole(path)
    assert len(list(tmp_path.iterdir())) <= 5  # itself, and what each killed process left


async def test_the_folder_goes_away_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with ApiServer(CLUSTER) as api, kept(api.url, folder) as view:
        await view.until_synced()
        before = writes.values["failed",]
        await until(lambda: contents(folder))
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        folder.symlink_to("/proc/nowhere")
        await api.put(service("shop", "new", "10.0.0.9"))
        for _ in range(1000):
            if writes.values["failed",] > before:
                break
            await asyncio.sleep(0.005)
        folder.unlink()
        await until(lambda: contents(folder))
        await view.until_true(api)
