import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from clusterdns.plugins import loop
from clusterdns.plugins.loop import Loop, loops
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import Question
from tests.plugins.asking import Next, fault, new_setup, parsed, query

HINFO = 13


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loop x", "1:6: loop takes no argument; 'x' is too much"),
        ("loop\nloop", "2:1: loop can only be used once per server block"),
        ("loop {\n}", "1:1: loop takes no block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


@pytest.mark.parametrize(("zones", "expected"), [((".",), "."), (("a.test.", "."), "a.test.")])
def test_the_first_zone_of_the_block_counts(zones: tuple[str, ...], expected: str) -> None:
    found = parsed("loop", new_setup(zones))
    assert isinstance(found, Loop)
    assert found.zone == expected


@dataclass
class Upstream:
    """Replies or not, by turns; sends questions back to `server` while it loops.

    behaviour: one of "r" (replies), "s" (silent), "l" (loops) for each probe, the last for all.
    """

    behaviour: str
    address: str = "10.0.0.2:53"
    zone: str = "."
    is_aside: bool = False
    server: Loop | None = None
    asked: list[str] = field(default_factory=list)
    replied: list[Reply | None] = field(default_factory=list)
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(self, question: Question) -> bool:
        turn = self.behaviour[min(len(self.asked), len(self.behaviour) - 1)]
        self.asked.append(question.text)
        self.seen.set()
        assert question.qtype == HINFO
        if turn == "l":
            assert self.server is not None
            upper = Question(question.name.upper(), question.qtype)
            self.replied.append(await self.server.resolve(query(question=upper), Next()))
        return turn != "s"


async def served(*upstreams: Upstream, zone: str = ".", probes: int = 1) -> Loop:
    """Serves until the last upstream has been probed so often, or none is probed any more."""
    plugin = Loop(zone, upstreams)
    for each in upstreams:
        each.server = plugin
    stopping = asyncio.Event()
    serving = asyncio.create_task(plugin.serve(stopping))
    async with asyncio.timeout(5):
        last = upstreams[-1]
        while len(last.asked) < probes and not serving.done():
            last.seen.clear()
            seen = asyncio.create_task(last.seen.wait())
            await asyncio.wait([seen, serving], return_when=asyncio.FIRST_COMPLETED)
            seen.cancel()
        stopping.set()
        await serving
    return plugin


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(loop, "PAUSE_S", 0.001)
    monkeypatch.setattr(loop, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(loop, "LAST_PAUSE_S", 0.002)
    caplog.set_level(logging.INFO, "clusterdns")


async def test_an_upstream_that_replies_is_probed_once(caplog: pytest.LogCaptureFixture) -> None:
    upstream = Upstream("r")
    await served(upstream, probes=2)
    assert len(upstream.asked) == 1
    assert not upstream.is_aside
    assert caplog.records == []


async def test_the_name_is_nobodys() -> None:
    """3.4: two random numbers below 2^62, in the block's first zone."""
    one, two = Upstream("r"), Upstream("r", zone="b.a.test.")
    await served(one, two, zone="a.test.")
    first, second, *zone = one.asked[0].split(".")
    assert zone == ["a", "test", ""]
    assert two.asked[0].endswith(".b.a.test.")
    numbers = {int(first), int(second), *map(int, two.asked[0].split(".")[:2])}
    assert len(numbers) == 4
    assert max(numbers) < 2**62


async def test_a_silent_upstream_is_probed_again_until_it_replies() -> None:
    upstream = Upstream("sssr")
    await served(upstream, probes=9)
    assert len(upstream.asked) == 4
    assert len(set(upstream.asked)) == 4


async def test_a_silent_upstream_is_not_probed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TRY_S", 0.0)
    upstream = Upstream("s")
    await served(upstream, probes=9)
    assert len(upstream.asked) == 1


async def test_a_loop_sets_the_upstream_aside(caplog: pytest.LogCaptureFixture) -> None:  # D16
    good, bad = Upstream("r", "10.0.0.1:53"), Upstream("l", "10.0.0.9:53")
    await served(good, bad, probes=3)
    assert (good.is_aside, bad.is_aside) == (False, True)
    assert all(each is not None and each.rcode == 5 for each in bad.replied)
    assert loops.values["10.0.0.9:53",] == 1
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.name == "clusterdns.plugins.loop"
    assert record.message == (
        'Loop (10.240.0.1:40212 -> :53) detected for zone ".": upstream 10.0.0.9:53 sends queries '
        "back to this server. It gets none until that has ended; cluster names go on. "
        f'Query: "HINFO {bad.asked[0]}"'
    )


async def test_it_is_used_again_once_it_does_not_loop(caplog: pytest.LogCaptureFixture) -> None:
    upstream = Upstream("llslr")
    await served(upstream, probes=9)
    assert len(upstream.asked) == 5
    assert not upstream.is_aside
    assert caplog.records[-1].message == (
        "upstream 10.0.0.2:53 does not loop any more, and is used again"
    )


async def test_silence_does_not_bring_it_back() -> None:
    upstream = Upstream("ls")
    await served(upstream, probes=4)
    assert upstream.is_aside


@pytest.mark.parametrize("qtype", ["HINFO", "A", "ANY"])
async def test_other_queries_pass(qtype: str) -> None:
    plugin = Loop(".", [])
    behind = Reply()
    assert await plugin.resolve(query("1.2.", qtype), Next(behind)) is behind
    waiting = Upstream("r")
    plugin = await served(waiting)
    assert await plugin.resolve(query(waiting.asked[0], "HINFO"), Next(behind)) is behind
