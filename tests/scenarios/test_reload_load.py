"""Reloads under load: twenty of them, good and broken, and no query is lost (3.7)."""

import asyncio
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest

from clusterdns import metrics
from clusterdns.app.reloading import _drawn
from clusterdns.plugins.base import ReloadTimes
from tests.scenarios.asking import At, answer
from tests.scenarios.test_manifests import WEB
from tests.scenarios.test_reload import CACHED, serving, upstream

RELOADS = 20
UNDER_WAY = 8  # queries that a client waits for at once
NAMES = [f"n{number}.example.org." for number in range(8)]
WAIT_S = 5.0  # for one reply; a client would have asked again


class Asker:
    """A client that always has some queries under way, and gives none up."""

    def __init__(self, at: At) -> None:
        self.at = at
        self.stop = asyncio.Event()
        self.count = 0

    async def run(self) -> None:
        """Asks until told to stop, and waits for what was asked."""
        raise NotImplementedError

    async def reaches(self, count: int) -> None:
        """Waits until so many were asked."""
        while self.count < count:  # noqa: ASYNC110 - each turn of the loop is some queries
            await asyncio.sleep(0)

    def next_query(self) -> tuple[dns.message.Message, str]:
        """A query with an id of its own, and the address that answers it."""
        self.count += 1
        is_ours = self.count % 2 == 0
        name = WEB if is_ours else NAMES[self.count // 2 % len(NAMES)]
        query = dns.message.make_query(name, "A", id=self.count & 0xFFFF)
        return query, "10.96.0.1" if is_ours else "192.0.2.9"


class OneByOne(Asker):
    """Asks by a socket, or a connection, of its own for each query."""

    def __init__(self, at: At, tcp: bool) -> None:
        super().__init__(at)
        self._send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp

    async def run(self) -> None:
        await asyncio.gather(*[self._ask_on() for _ in range(UNDER_WAY)])

    async def _ask_on(self) -> None:
        while not self.stop.is_set():
            query, expected = self.next_query()
            reply = await self._send(query, self.at.address, WAIT_S, self.at.port)
            check(reply, expected)


class Kept(Asker):
    """Asks over one TCP connection from the first reload to the last."""

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection(*self.at)
        under_way: dict[int, str] = {}
        while not self.stop.is_set() or under_way:
            while not self.stop.is_set() and len(under_way) < UNDER_WAY:
                query, expected = self.next_query()
                under_way[query.id] = expected
                wire = query.to_wire()
                writer.write(len(wire).to_bytes(2, "big") + wire)
            async with asyncio.timeout(WAIT_S):
                size = int.from_bytes(await reader.readexactly(2), "big")
                reply = dns.message.from_wire(await reader.readexactly(size))
            check(reply, under_way.pop(reply.id))
        writer.close()
        await writer.wait_closed()


def check(reply: dns.message.Message, expected: str) -> None:
    found = [str(each) for rrset in reply.answer for each in rrset]
    assert found == [expected], reply.to_text()


def changed(text: str, number: int) -> tuple[str, bool]:
    """What the Corefile is next, and whether it can be used. `cache` and what is behind it stay."""
    kinds = [
        (text.replace("errors", "errors\n    any"), True),
        (text.replace("errors", "erors"), False),
        (text + "extra.org:0 {\n    bind 127.0.0.1\n    whoami\n}\n", True),
        (text.replace("bind 127.0.0.1", "bind 127.0.0.1 192.0.2.1"), False),
        (text, True),
    ]
    return kinds[number % len(kinds)]


async def test_twenty_reloads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with upstream() as (port, asked):
        text = (CACHED % port).replace("errors", "errors\n    kubernetes cluster.local")
        async with serving(tmp_path, caplog, text) as server:
            for name in NAMES:
                assert await answer(server.at, name) == "192.0.2.9"
            failures = metrics.reload_failures.total()
            askers = [OneByOne(server.at, tcp=False), OneByOne(server.at, tcp=True)]
            kept = Kept(server.at)
            async with asyncio.TaskGroup() as tasks:
                for asker in (*askers, kept):
                    tasks.create_task(asker.run())
                broken = 0
                for number in range(RELOADS):
                    before = kept.count
                    following, good = changed(text, number)
                    line = "Reloading complete" if good else "Corefile changed but reload failed"
                    await server.to(following, line)
                    broken += not good
                    await kept.reaches(before + 2 * UNDER_WAY)
                for asker in (*askers, kept):
                    asker.stop.set()
            assert broken == RELOADS * 2 / 5
            assert metrics.reload_failures.total() == failures + broken
            assert all(asker.count > RELOADS for asker in askers)
    # The cache is kept: upstreams were asked once for each name, whatever was reloaded.
    assert sorted(name for name in asked if name in NAMES) == NAMES


@pytest.mark.parametrize(
    ("times", "least", "most"),
    [
        (ReloadTimes(30.0, 15.0), 22.5, 37.5),
        (ReloadTimes(2.0, 1.0), 1.5, 2.5),
        (ReloadTimes(2.0, 0.0), 2.0, 2.0),
    ],
)
def test_period(times: ReloadTimes, least: float, most: float) -> None:
    found = [_drawn(times) for _ in range(200)]
    assert least <= min(found) <= max(found) <= most
    assert (max(found) - min(found) > 0.8 * (most - least)) or least == most
