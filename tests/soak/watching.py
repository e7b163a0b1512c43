"""Asks the server about what must be right by now, and looks at its memory."""

import asyncio
import random
import time
from collections import deque
from pathlib import Path

import dns.exception

from tests.scenarios.asking import At, answer
from tests.soak.troubles import Troubles
from tests.soak.world import Slot, World
from tests.truth import Answers

SETTLE_S = 3.0  # a change that is older must be answered
QUESTIONS = 4  # asked about one slot in a row
PAUSE_S = 0.005
LOOK_S = 0.5
MOST_TOLD = 20  # wrong answers that are told in full


class Watcher:
    """Keeps count of right and wrong answers."""

    def __init__(self, world: World, troubles: Troubles, at: At, dice: random.Random) -> None:
        self._world, self._troubles, self._at, self._dice = world, troubles, at, dice
        self.right = self.in_trouble = self.unsettled = 0
        self.wrong: deque[str] = deque(maxlen=MOST_TOLD)
        self.wrong_count = 0

    async def serve(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._sample(self._dice.choice(self._world.slots))
            await asyncio.sleep(PAUSE_S)

    async def everything(self, within_s: float) -> float:
        """Waits until all is right, while nothing changes; gives the seconds that took.

        What is still wrong then is counted.
        """
        start = time.monotonic()
        expected: Answers = {}
        for slot in self._world.slots:
            expected |= self._world.answers(slot)
        while expected:
            found = {asked: await self._answer(*asked) for asked in expected}
            self.right += sum(found[asked] == expected[asked] for asked in expected)
            expected = {asked: text for asked, text in expected.items() if found[asked] != text}
            if time.monotonic() - start > within_s:
                break
        for (name, qtype), wanted in expected.items():
            self._note(f"at the end: {name} {qtype}: {found[name, qtype]}, not {wanted}")
        return time.monotonic() - start

    async def _sample(self, slot: Slot) -> None:
        now = time.monotonic()
        since = self._troubles.right_since(now)
        settled = slot.changed < since - SETTLE_S
        changed, expected = slot.changed, self._world.answers(slot)
        for name, qtype in self._dice.sample(list(expected), min(QUESTIONS, len(expected))):
            found = await self._answer(name, qtype)
            place = f"{time.monotonic() - self._troubles.began:6.1f} s: {name} {qtype}"
            if found.startswith("SERVFAIL"):
                self._note(f"{place}: {found}")
            elif not settled or slot.changed != changed:
                self.unsettled += 1
            elif found != expected[name, qtype]:
                age = now - changed
                wanted = expected[name, qtype]
                self._note(f"{place}: {found}, not {wanted}, unchanged for {age:.1f} s")
            else:
                self.right += 1
                self.in_trouble += since != now

    async def _answer(self, name: str, qtype: str) -> str:
        try:
            return await answer(self._at, name, qtype, tcp=True)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return f"SERVFAIL, or nothing: {error!r}"

    def _note(self, text: str) -> None:
        self.wrong_count += 1
        self.wrong.append(text)


class Memory:
    """Resident memory of a process over time."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.mb: list[float] = []

    async def serve(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            self.mb.append(self._now())
            await asyncio.sleep(LOOK_S)

    @property
    def growth_mb(self) -> float:
        """From the most of the second quarter to the most of the last one."""
        quarter = max(1, len(self.mb) // 4)
        return max(self.mb[-quarter:]) - max(self.mb[quarter : 2 * quarter] or self.mb)

    def _now(self) -> float:
        """10^6 octets; 0 where the kernel does not tell."""
        try:
            lines = self._status.read_text().splitlines()
        except OSError:
            return 0.0
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))
