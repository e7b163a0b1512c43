"""`forward` beside CoreDNS: whom it asks, how many at a time, and what becomes of upstreams that
are down."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.metering import SERIES, series
from tests.oracle.asking import Question
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import Side, sides
from tests.oracle.upstreams import SILENT, Said, Script, Upstream

pytestmark = needs_coredns

GOOD: Script = {"": Said("@ 300 A 192.0.2.1")}
FAILING: Script = {"": Said(rcode="SERVFAIL")}
REFUSING: Script = {"": Said(rcode="REFUSED")}
DEAD: Script = {"": SILENT}
QUICK = "read_timeout 200ms"
# Options, and what upstreams say
Case = tuple[tuple[str, ...], Sequence[Script]]


@dataclass
class Zone:
    """A zone of one server, with the upstreams for its names."""

    side: Side
    name: str
    upstreams: list[Upstream]

    async def rcodes(self, number: int, label: str) -> list[str]:
        """What comes of so many names, each asked for when the one before is answered."""
        found = []
        for each in range(number):
            question = Question(f"{label}-{each}.{self.name}.", 1)
            answers, _ = await self.side.answers([question])
            answer = answers[question]
            found.append(answer.rcode if answer else "no reply")
        return found

    def turns(self) -> list[list[int]]:
        """The upstreams that were asked for each name, in order, since the last look."""
        heard = sorted(
            (second, number, name)
            for number, upstream in enumerate(self.upstreams)
            for second, name in upstream.heard
        )
        found: dict[str, list[int]] = {}
        for _, number, name in heard:
            if name.endswith(".test."):
                found.setdefault(name, []).append(number)
        for upstream in self.upstreams:
            upstream.heard.clear()
        return list(found.values())

    async def asked(self, number: int, label: str) -> tuple[list[str], list[list[int]]]:
        """Both."""
        rcodes = await self.rcodes(number, label)
        return rcodes, self.turns()

    async def asked_until(self, turns: list[list[int]], within_s: float = 20.0) -> None:
        """Asks for one name after the other until these are asked for it."""
        async with asyncio.timeout(within_s):
            while True:
                await self.rcodes(1, "until")
                if self.turns() == turns:
                    return
                await asyncio.sleep(0.05)

    def say(self, *scripts: Script) -> None:
        """Has its upstreams, from the first on, reply so."""
        for upstream, script in zip(self.upstreams, scripts, strict=False):
            upstream.script = script

    def probes(self) -> set[tuple[str, str, str, str]]:
        """The health checks that its first upstream saw, letter for letter."""
        return {
            (seen.name, seen.qtype, seen.flags, seen.transport)
            for seen in self.upstreams[0].seen
            if seen.qtype == "NS"
        }


@asynccontextmanager
async def zones(
    cases: Mapping[str, Case], folder: Path
) -> AsyncIterator[dict[str, tuple[Zone, Zone]]]:
    """A zone for each case, CoreDNS's and ours."""
    text, slices = "", {}
    scripts: list[Script] = []
    for number, (name, (lines, said)) in enumerate(cases.items()):
        slices[name] = f"z{number}.test", slice(len(scripts), len(scripts) + len(said))
        to = " ".join(f"@{each}" for each in range(len(scripts), len(scripts) + len(said)))
        scripts += said
        options = "\n ".join([QUICK, *lines])
        text += f"z{number}.test {{\n bind 127.0.0.1\n prometheus @page\n"
        text += f" forward . {to} {{\n {options}\n }}\n}}\n"
    async with sides(text, folder, scripts) as pair:
        yield {
            name: (
                Zone(pair[0], zone, pair[0].upstreams[part]),
                Zone(pair[1], zone, pair[1].upstreams[part]),
            )
            for name, (zone, part) in slices.items()
        }


async def both(
    pair: tuple[Zone, Zone], number: int, label: str
) -> list[tuple[list[str], list[list[int]]]]:
    """What each of them answers, and whom it asks for that."""
    return list(await asyncio.gather(*[zone.asked(number, label) for zone in pair]))


ORDERS: dict[str, Case] = {
    "sequential": (("policy sequential",), [GOOD] * 3),
    "round robin": (("policy round_robin",), [GOOD] * 3),
    "sequential, the first is dead": (("policy sequential", "max_fails 0"), [DEAD, GOOD, GOOD]),
    "sequential, two are dead": (("policy sequential", "max_fails 0"), [DEAD, DEAD, GOOD]),
    "round robin, the second is dead": (("policy round_robin", "max_fails 0"), [GOOD, DEAD, GOOD]),
    "all are dead": (("policy sequential", "max_fails 0"), [DEAD] * 3),
    "one attempt": (("policy sequential", "max_fails 0", "max_connect_attempts 1"), [DEAD, GOOD]),
    "two attempts": (
        ("policy round_robin", "max_fails 0", "max_connect_attempts 2"),
        [DEAD, DEAD, GOOD],
    ),
    "attempts of which there are more": (
        ("policy sequential", "max_fails 0", "max_connect_attempts 7"),
        [DEAD] * 2,
    ),
    "failover": (("policy sequential", "failover SERVFAIL"), [FAILING, FAILING, GOOD]),
    "failover round robin": (("policy round_robin", "failover SERVFAIL"), [FAILING, FAILING, GOOD]),
    "failover of all": (("policy sequential", "failover SERVFAIL REFUSED"), [FAILING, REFUSING]),
    "failover to the dead": (
        ("policy sequential", "failover SERVFAIL", "max_fails 0"),
        [FAILING, DEAD, GOOD],
    ),
    "failover to none": (
        ("policy sequential", "failover SERVFAIL", "max_fails 0"),
        [FAILING, DEAD, DEAD],
    ),
    "no failover of others": (("policy sequential", "failover REFUSED"), [FAILING, GOOD]),
    "failover of one": (("failover SERVFAIL",), [FAILING]),
}


async def test_order(tmp_path: Path) -> None:
    """The same upstreams for each question, in the same order, and the same rcodes."""
    async with zones(ORDERS, tmp_path) as found:
        for name, pair in found.items():
            theirs, ours = await both(pair, 5, "a")
            assert ours == theirs, name


RANDOM: dict[str, Case] = {"two": ((), [GOOD] * 2), "three": (("policy random",), [GOOD] * 3)}


async def test_random(tmp_path: Path) -> None:
    """Each as often, in both; the bounds are missed once in many millions of runs."""
    async with zones(RANDOM, tmp_path) as found:
        for pair in found.values():
            number = len(pair[0].upstreams)
            for rcodes, turns in await both(pair, 300, "a"):
                assert rcodes == ["NOERROR"] * 300
                first = Counter(each[0] for each in turns)
                assert all(abs(first[each] - 300 / number) < 50 for each in range(number)), first


FEW = "test {\n bind 127.0.0.1\n prometheus @page\n forward . @0 {\n max_concurrent 3\n }\n}\n"


@pytest.mark.parametrize("same", [True, False], ids=["one name", "many names"])
async def test_max_concurrent(same: bool, tmp_path: Path) -> None:
    """Beyond it REFUSED, at once; and it is counted. By UDP, because of D32."""
    script = {"": Said("@ 300 A 192.0.2.1", after_s=0.5)}
    asked = [
        Question("a.test." if same else f"a-{each}.test.", 1, flags=each << 4 | 0x100)
        for each in range(8)
    ]
    found = []
    async with sides(FEW, tmp_path, [script]) as pair:
        for side in pair:
            answers, _ = await side.answers(asked)
            rcodes = Counter(answer.rcode if answer else "" for answer in answers.values())
            refused = [each for each in answers.values() if each and each.rcode == "REFUSED"]
            assert {(each.answer, each.opt) for each in refused} <= {((), None)}
            counted = series(await side.metrics(), "coredns_forward_max_concurrent_rejects_total")
            found.append((rcodes, counted))
    assert found[0] == found[1]


CHECK = ("policy sequential", "health_check 100ms")
HEALTH: dict[str, Case] = {
    "usual": (CHECK, [GOOD] * 2),
    "no_rec": ((*CHECK[:1], "health_check 100ms no_rec"), [GOOD] * 2),
    "domain": ((*CHECK[:1], "health_check 100ms domain probe.example"), [GOOD] * 2),
    "both": ((*CHECK[:1], "health_check 100ms no_rec domain Probe.example."), [GOOD] * 2),
    "by TCP": ((*CHECK, "force_tcp"), [GOOD] * 2),
    "one fail": ((*CHECK, "max_fails 1"), [GOOD] * 2),
}


async def test_down_and_back(tmp_path: Path) -> None:
    """An upstream that is down is left out until it answers a probe, whatever that says."""

    async def one(pair: tuple[Zone, Zone]) -> None:
        assert await both(pair, 3, "up") == [(["NOERROR"] * 3, [[0]] * 3)] * 2
        for zone in pair:
            zone.say(DEAD)
        await asyncio.gather(*[zone.asked_until([[1]]) for zone in pair])
        assert await both(pair, 3, "down") == [(["NOERROR"] * 3, [[1]] * 3)] * 2
        assert pair[1].probes() == pair[0].probes() != set()
        for zone in pair:
            zone.say(REFUSING)
        await asyncio.gather(*[zone.asked_until([[0]]) for zone in pair])
        assert await both(pair, 3, "back") == [(["REFUSED"] * 3, [[0]] * 3)] * 2

    async with zones(HEALTH, tmp_path) as found, asyncio.TaskGroup() as group:
        for pair in found.values():
            group.create_task(one(pair))


ALL_DOWN: dict[str, Case] = {
    "any of them is asked": (CHECK, [DEAD] * 2),
    "fail fast": ((*CHECK, "failfast_all_unhealthy_upstreams"), [DEAD] * 2),
    "never down": ((*CHECK, "max_fails 0"), [DEAD] * 2),
    "one": (CHECK, [DEAD]),
}
DOWN_S = 4.5  # three probes of a second each, and what is between them


async def test_all_down(tmp_path: Path) -> None:
    """What is answered, how many are asked for that, and what is counted."""
    async with zones(ALL_DOWN, tmp_path) as found:
        for pair in found.values():
            await both(pair, 1, "first")
        await asyncio.sleep(DOWN_S)
        for name, pair in found.items():
            before = [await _broken(zone) for zone in pair]
            theirs, ours = await both(pair, 4, "down")
            assert ours[0] == theirs[0] == ["SERVFAIL"] * 4, name
            assert list(map(len, ours[1])) == list(map(len, theirs[1])), name
            after = [await _broken(zone) for zone in pair]
            assert after[1] - before[1] == after[0] - before[0], name
        failed = [await _figures(zone, "coredns_proxy_healthcheck_failures_total") for zone in pair]
        assert failed[0].keys() == failed[1].keys()
        assert all(abs(failed[0][each] - failed[1][each]) <= 2 for each in failed[0]), failed


async def _broken(zone: Zone) -> float:
    return sum((await _figures(zone, "coredns_forward_healthcheck_broken_total")).values())


async def _figures(zone: Zone, sample: str) -> SERIES:
    return series(await zone.side.metrics(), sample)


KEPT: dict[str, Case] = {
    "usual": (("force_tcp",), [GOOD]),
    "expire": (("force_tcp", "expire 1s"), [GOOD]),
    "max_age": (("force_tcp", "expire 1s", "max_age 1s"), [GOOD]),
    "max_age alone": (("force_tcp", "max_age 12s"), [GOOD]),
    "max_idle_conns": (("force_tcp", "max_idle_conns 1"), [GOOD]),
    "of TCP clients only": ((), [GOOD]),
}
STEPS = (0, 0.4, 0.4, 1.6, 0)  # pauses before a question


async def test_connections(tmp_path: Path) -> None:
    """As many connections: each is used again until it was idle for too long, or is too old."""

    async def opened(zone: Zone) -> list[int]:
        found = []
        for number, pause_s in enumerate(STEPS):
            await asyncio.sleep(pause_s)
            await zone.rcodes(1, f"a{number}")
            found.append(zone.upstreams[0].connections)
        return found

    async with zones(KEPT, tmp_path) as found:
        pairs = await asyncio.gather(
            *[asyncio.gather(*map(opened, pair)) for pair in found.values()]
        )
        for name, (theirs, ours) in zip(found, pairs, strict=True):
            assert ours == theirs, name
