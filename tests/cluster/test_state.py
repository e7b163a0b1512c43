"""The last known state on disk: when it is written, and what comes of files that are not right."""

import asyncio
import errno
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from clusterdns.cluster import snapshot, state
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.model import Namespace, Object, Service
from clusterdns.cluster.schedule import Pace, Schedule
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.snapshot import Head
from clusterdns.cluster.state import Contents, State, refusals, writes
from clusterdns.errors import ConfigError
from tests.beside import beside, until
from tests.cluster.test_snapshot import framed

OBJECTS: list[Object] = [Service("shop", "web", (bytes(4),)), Namespace("shop")]
API = ApiOptions(endpoint="https://10.0.0.1")
AT_ONCE = Pace(quiet=0.0, latest=0.0, spacing=0.0)
PACE = Pace(quiet=2.0, latest=60.0, spacing=15.0, refresh=1800.0)

# Changes (a number) and writes (w and a number), and when the next write is due.
SCHEDULES = {
    "nothing was listed": ("", math.inf),
    "one change": ("100", 102.0),
    "changes that go on": ("100 101 102.5", 104.5),
    "changes that never end": ("100 101.9 130 159.5", 160.0),
    "soon after a write": ("100 w102 103", 117.0),
    "long after a write": ("100 w102 200", 202.0),
    "no change after a write": ("100 w102", 1902.0),
    "many changes after a write": ("100 w102 103 104 130", 132.0),
}


@pytest.mark.parametrize(("said", "due"), SCHEDULES.values(), ids=SCHEDULES)
def test_schedule(said: str, due: float) -> None:
    schedule = Schedule(PACE)
    for word in said.split():
        if word.startswith("w"):
            schedule.taken(float(word[1:]))
            assert not schedule.unsaved
        else:
            schedule.changed(float(word))
            assert schedule.unsaved
    assert schedule.due() == due


def test_only_the_first_change_is_news() -> None:
    schedule = Schedule(PACE)
    assert [schedule.changed(1.0), schedule.changed(2.0)] == [True, False]
    schedule.taken(3.0)
    assert schedule.changed(4.0)


class Saved:
    """A state in a folder, written to and read by hand."""

    def __init__(self, folder: Path, pace: Pace = AT_ONCE, max_age: float = 86_400.0) -> None:
        self.now = 2000.0
        self.lag = 10.0
        self.objects: Sequence[Object] | None = OBJECTS
        self.state = State(folder, Selection(), API, max_age, pace, clock=lambda: self.now)
        self.path = self.state.path

    def contents(self) -> Contents | None:
        if self.objects is None:
            return None
        return Contents(self.objects, 1234, self.lag)

    async def write(self) -> None:
        """What is unsaved at the end is written."""
        stopping = asyncio.Event()
        stopping.set()
        self.state.changed()
        await self.state.serve(stopping, self.contents)

    async def read(self) -> tuple[list[Head], list[Object]] | None:
        heads: list[Head] = []
        objects: list[Object] = []
        found = await self.state.restore(heads.append, objects.extend)
        return (heads, objects) if found else None


def outcome(result: str) -> int:
    return writes.values[result,]


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_what_is_written_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    saved = Saved(tmp_path / "made" / "for us")
    assert await saved.read() is None
    assert "there is none yet in" in caplog.text
    before = outcome("ok")
    await saved.write()
    assert outcome("ok") == before + 1
    saved.now += 50.0
    found = await saved.read()
    assert found is not None
    (head,), objects = found
    assert objects == OBJECTS
    assert (head.written, head.confirmed, head.serial) == (2000.0, 1990.0, 1234)
    assert "answering from 2 objects that were right 1m0s ago" in caplog.text
    assert saved.path.stat().st_mode & 0o777 == 0o600
    assert names(saved.path.parent) == {saved.path.name}


async def test_it_is_handed_over_in_turns(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    saved.objects = [Namespace(f"n{n}") for n in range(2000)]
    await saved.write()
    sizes: list[int] = []
    turns = [0]

    async def others() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    def take(batch: Sequence[Object]) -> None:
        sizes.append(len(batch))
        time.sleep(0.0002)

    beside = asyncio.create_task(others())
    assert await saved.state.restore(lambda head: None, take)
    beside.cancel()
    assert sum(sizes) == 2000
    assert max(sizes) <= state.TURN_OBJECTS
    assert turns[0] >= 10  # 100 batches of 0.2 ms, a turn for every millisecond


def damage(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def age(path: Path) -> None:
    head, pieces = snapshot.check(path.read_bytes())
    old = Head(head.source, 0.0, 2000.0 - 86_401, 0, 0)
    objects = [each for piece in pieces for each in snapshot.decode(piece)]
    path.write_bytes(b"".join(snapshot.encode(old, objects)))


def another_cluster(path: Path) -> None:
    path.write_bytes(b"".join(snapshot.encode(Head("elsewhere", 2000.0, 2000.0, 0, 0), OBJECTS)))


def another_version(path: Path) -> None:
    octets = path.read_bytes()
    path.write_bytes(snapshot.MAGIC + b"\0\x63" + octets[len(snapshot.MAGIC) + 2 :])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


REFUSED = {
    "damaged": (damage, "damaged", "is damaged within"),
    "cut off": (cut, "damaged", "is cut off at octet"),
    "too old": (age, "age", "is 86401 s old, and at most 86400 s are allowed"),
    "of another cluster": (another_cluster, "foreign", "is of elsewhere, and wanted is https://"),
    "of another version": (another_version, "version", "has format 99, and this program reads 1"),
    "unreadable": (folder, "unreadable", "cannot be read: [Errno 21] Is a directory"),
    "empty": (lambda path: path.write_bytes(b""), "damaged", "is no state of clusterdns"),
}


@pytest.mark.parametrize(("spoil", "reason", "said"), REFUSED.values(), ids=REFUSED)
async def test_refused(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], object],
    reason: str,
    said: str,
) -> None:
    saved = Saved(tmp_path)
    await saved.write()
    spoil(saved.path)
    before = refusals.values[reason,]
    assert await saved.read() is None
    assert refusals.values[reason,] == before + 1
    assert f"state: not used: {saved.path} {said}" in caplog.text


async def test_nothing_of_it_is_taken_when_the_end_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An object that cannot be read stands behind thousands that can."""
    saved = Saved(tmp_path)
    source = snapshot.source_of(Selection(), API)[1]
    head = msgspec.msgpack.encode(Head(source, 0.0, 2000.0, 0, 3))
    good = msgspec.msgpack.encode(OBJECTS)
    taken: list[object] = []
    for payloads, said in (
        ((head, good, b"\xc1"), "has objects that cannot be read"),
        ((head, good), "has 2 objects instead of 3"),
    ):
        saved.path.write_bytes(framed(payloads))
        assert not await saved.state.restore(taken.append, taken.extend)
        assert said in caplog.text
    assert not taken


async def test_a_state_that_is_not_synced_is_not_written(tmp_path: Path) -> None:
    """Else a state that came from a file would look young again."""
    saved = Saved(tmp_path)
    saved.objects = None
    await saved.write()
    assert not saved.path.exists()


async def test_it_is_written_while_serving_and_refreshed(tmp_path: Path) -> None:
    """Only if the API was heard meanwhile: its age is since then."""
    saved = Saved(tmp_path, Pace(quiet=0.0, latest=0.0, spacing=0.0, refresh=0.01))
    async with beside(partial(saved.state.serve, contents=saved.contents)):
        await asyncio.sleep(0)
        assert not saved.path.exists()
        before = outcome("ok")
        saved.state.changed()
        await until(lambda: outcome("ok") != before)
        for _ in range(5):  # due again and again, but nothing was heard
            saved.now, saved.lag = saved.now + 1.0, saved.lag + 1.0
            await asyncio.sleep(0.01)
        assert outcome("ok") == before + 1
        saved.lag = 0.0
        await until(lambda: outcome("ok") != before + 1)
    assert snapshot.check(saved.path.read_bytes())[0].confirmed == saved.now


async def test_a_folder_that_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Told once, counted each time; nothing else happens, and a change is not forgotten."""
    saved = Saved(tmp_path / "state")
    (tmp_path / "state").rmdir()
    (tmp_path / "state").touch()
    before = outcome("failed")
    async with beside(partial(saved.state.serve, contents=saved.contents)):
        saved.state.changed()
        await until(lambda: outcome("failed") >= before + 3)
        (tmp_path / "state").unlink()
        await until(saved.path.exists)
    told = [each for each in caplog.messages if "cannot be written" in each]
    assert told == [f"state: cannot be written: {saved.path}: File exists"]


async def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there stays as it is, and no part of a file is left."""
    saved = Saved(tmp_path)
    await saved.write()
    before = saved.path.read_bytes()

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        saved.objects = []
        await saved.write()
    assert saved.path.read_bytes() == before
    assert names(tmp_path) == {saved.path.name}
    await saved.write()
    assert await saved.read() == ([snapshot.check(saved.path.read_bytes())[0]], [])


async def test_what_killed_processes_left_behind_is_removed(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    old, young, foreign = (
        tmp_path / name for name in (f".{saved.path.name}.a", f".{saved.path.name}.b", ".x.state.c")
    )
    for each in (old, young, foreign):
        each.touch()
    os.utime(old, (0, 0))
    os.utime(foreign, (0, 0))
    await saved.write()
    assert names(tmp_path) == {each.name for each in (saved.path, young, foreign)}


@pytest.mark.parametrize("below", ["", "/below"])
def test_a_file_where_the_folder_should_be(tmp_path: Path, below: str) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(ConfigError, match=rf"-state {tmp_path}/state{below}: .*is no folder"):
        State(Path(f"{tmp_path}/state{below}"), Selection(), API)
