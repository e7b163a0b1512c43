"""Episodes of trouble with the simulated API server, and until when each may be felt."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.apiserver.faults import Call, Fault
from tests.apiserver.server import ApiServer

RESOURCES = ("services", "endpointslices", "namespaces")
RECOVERY_S = 8.0  # back-off of at most 5 s, up to 1 s before a list, and the list
HANG_S = 25.0 + RECOVERY_S  # the answer is waited for so long
SILENCE_S = 55.0 + RECOVERY_S  # a dead but open connection is noticed after so long

FAULTS = {
    "hangs": (Fault(hang=True), HANG_S),
    "says nothing": (Fault(mute=True), SILENCE_S),
    "401": (Fault(status=401), RECOVERY_S),
    "403": (Fault(status=403), RECOVERY_S),
    "404": (Fault(status=404), RECOVERY_S),
    "429": (Fault(status=429, retry_after=2), RECOVERY_S + 2),
    "500": (Fault(status=500), RECOVERY_S),
    "garbage": (Fault(body=b"<html>502 Bad Gateway</html>\n"), RECOVERY_S),
    "no body": (Fault(body=b""), RECOVERY_S),
    "cut after some": (Fault(lines=20, octets=20_000), RECOVERY_S),
    "cut at once": (Fault(lines=0, octets=0), RECOVERY_S),
}


class Outage(NamedTuple):
    """When a resource may be behind; monotonic seconds."""

    start: float
    end: float


class Troubles:
    """Makes trouble, one episode after the other, with calm in between."""

    def __init__(self, api: ApiServer, dice: random.Random) -> None:
        self._api, self._dice = api, dice
        self.outages: dict[str, Outage] = {}
        self.told: list[str] = []  # the episodes so far
        self.began = time.monotonic()

    def right_since(self, now: float) -> float:
        """What has not changed since then must be right: the last known state at least."""
        starts = [outage.start for outage in self.outages.values() if now < outage.end]
        return min([now, *starts])

    def left_s(self) -> float:
        """Seconds until nothing of it may be felt any more."""
        now = time.monotonic()
        return max([0.0, *(outage.end - now for outage in self.outages.values())])

    async def serve(self, stopping: asyncio.Event) -> None:
        """Ends with an API that is well again."""
        episodes: list[Callable[[], Awaitable[None]]] = [
            self._fault,
            self._fault,
            self._fault,
            self._restart,
            self._cuts,
            self._expire,
            self._inject,
            self._streams,
        ]
        bag: list[Callable[[], Awaitable[None]]] = []
        while not stopping.is_set():
            bag = bag or self._dice.sample(
                episodes, len(episodes)
            )  # each of them, in short runs too
            await bag.pop()()
            await asyncio.sleep(self._dice.uniform(1, 12))

    async def _fault(self) -> None:
        """Requests for one resource, or for all, fail in one way."""
        weights = [1 if length > RECOVERY_S + 2 else 3 for _, length in FAULTS.values()]
        (name,) = self._dice.choices(list(FAULTS), weights)
        fault, recovery = FAULTS[name]
        resources: tuple[str, ...] = (self._dice.choice(RESOURCES),)
        if recovery < HANG_S and self._dice.random() < 0.4:
            resources = RESOURCES
        seconds = self._dice.uniform(0.5, 8)

        def hook(call: Call) -> Fault | None:
            return fault if call.resource in resources else None

        self._begin(f"{', '.join(resources)}: {name}", resources, seconds + recovery)
        self._api.fault = hook
        if self._dice.random() < 0.8:
            for resource in resources:
                self._api.cut_watches(resource)
        await asyncio.sleep(seconds)
        self._api.fault = lambda call: None
        self._end(resources, recovery)

    async def _restart(self) -> None:
        seconds = self._dice.uniform(0.1, 6)
        self._begin("the API server restarts", RESOURCES, seconds + RECOVERY_S + 5)
        await self._api.__aexit__()
        await asyncio.sleep(seconds)
        if self._dice.random() < 0.5:
            self._api.expire_history()
        await self._api.__aenter__()
        self._end(RESOURCES, RECOVERY_S)

    async def _cuts(self) -> None:
        resource = self._dice.choice(RESOURCES)
        count = self._dice.randint(1, 20)
        self._begin(f"{resource}: {count} cuts", (resource,), count * 0.5 + RECOVERY_S)
        for _ in range(count):
            self._api.cut_watches(resource)
            await asyncio.sleep(self._dice.uniform(0, 0.5))
        self._end((resource,), RECOVERY_S)

    async def _expire(self) -> None:
        self._begin("the history is forgotten", RESOURCES, RECOVERY_S)
        self._api.gone_as_status = self._dice.random() < 0.5
        self._api.cut_watches()
        self._api.expire_history()

    async def _inject(self) -> None:
        """Old events again, nonsense, and an object that breaks every decoder."""
        resource = self._dice.choice(RESOURCES)
        self._begin(f"{resource}: nonsense", (resource,), RECOVERY_S)
        table = self._api.store.tables[resource]
        old = self._dice.choice(table.items() or [None])
        lines = [b"<html>\n", b'{"type":"ADDED"}\n', b'{"type":"NEWS","object":{}}\n']
        lines += [b'{"type":"MODIFIED","object":{"metadata":{"name":"x","namespace":"y"}}}\n']
        if old is not None:
            body = {"kind": table.resource.kind, **json.loads(old.at(2))}
            lines += [json.dumps({"type": "MODIFIED", "object": body}).encode() + b"\n"] * 3
        await self._api.inject(resource, self._dice.choice(lines))

    async def _streams(self) -> None:
        """From now on it streams lists, or does not."""
        self._api.streaming_lists = not self._api.streaming_lists
        word = "again" if self._api.streaming_lists else "not"
        self.told.append(f"{time.monotonic() - self.began:6.1f} s: lists are {word} streamed")

    def _begin(self, what: str, resources: tuple[str, ...], seconds: float) -> None:
        now = time.monotonic()
        self.told.append(f"{now - self.began:6.1f} s: {what}")
        for resource in resources:
            former = self.outages.get(resource)
            going_on = former is not None and now < former.end
            start = former.start if former is not None and going_on else now
            end = max(former.end if former is not None else 0.0, now + seconds)
            self.outages[resource] = Outage(start, end)

    def _end(self, resources: tuple[str, ...], recovery: float) -> None:
        """It lasted longer than was thought, perhaps."""
        for resource in resources:
            outage = self.outages[resource]
            end = max(outage.end, time.monotonic() + recovery)
            self.outages[resource] = outage._replace(end=end)
