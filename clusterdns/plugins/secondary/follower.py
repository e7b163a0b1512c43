"""A zone of other servers, and when to look whether they have another version of it.

By the times of its SOA record (RFC 1035 section 3.3.13): every `refresh`, after a failure every
`retry`, and after `expire` without success it is no answer any more. A NOTIFY (RFC 1996) brings the
next look forward.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Sequence

from clusterdns.corefile.names import parse_address
from clusterdns.errors import SourceError, UpstreamError
from clusterdns.plugins.secondary.primaries import Primary
from clusterdns.zone.authority import Authority
from clusterdns.zone.index import Key
from clusterdns.zone.masterfile import Zone

# Seconds. All are CoreDNS's but the last one.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0  # between tries before there is a zone; doubled each time
REFRESH_JITTER, RETRY_JITTER = 5.0, 2.0  # at most, and never more than half of the time itself
NOTIFY_GAP = 1.0  # anybody can send NOTIFY in a primary's name: no more looks than this for it

HALF = 1 << 31  # RFC 1982: a serial is newer if it is less than half of all ahead

log = logging.getLogger(__name__)


class Follower:
    """One zone.

    authority: what answers; None before the first transfer, and once the zone has expired.
    key: what answers rest on. zone: as it was transferred last, expired or not.
    """

    def __init__(
        self,
        origin: str,
        primaries: Sequence[Primary],
        changed: Callable[["Follower", bool], None],
        check: Callable[[Zone], object] = lambda zone: None,
    ) -> None:
        """changed: is told when there are other answers, and whether it is by another version.

        check: raises SourceError for a version that is not to be used.
        """
        self.origin = origin
        self.primaries = tuple(primaries)
        self.key: Key = ("secondary zone", origin)
        self.authority: Authority | None = None
        self.zone: Zone | None = None
        self._changed = changed
        self._check = check
        self._first: Primary | None = None  # who is asked first
        self._expires = math.inf  # monotonic seconds
        self._next = 0.0  # when to look, and when that was the last time, likewise
        self._last = -math.inf
        self._notified = False
        self._pause = FIRST_PAUSE
        self._fault = ""  # what the log has been told
        self._woken = asyncio.Event()
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None  # of the expiry
        self._task: asyncio.Task[None] | None = None

    def take_over(self, before: "Follower") -> None:
        """Goes on with the version that another one has; looks for a newer one at once."""
        self.zone, self.authority = before.zone, before.authority
        self._expires = before._expires

    def notify(self, client: str) -> bool:
        """This address says that there is another version; False: it is no primary's."""
        address = parse_address(client)
        named = [primary for primary in self.primaries if primary.address == address]
        if not named:
            return False
        if not self._notified:
            log.info("Notify from %s for %s: checking transfer", client, self.origin)
        self._first, self._notified = named[0], True
        self._woken.set()
        return True

    def start(self) -> asyncio.Task[None]:
        """Keeps the zone up to date from now on. The task ends after `stop`."""
        if self.authority is not None:
            self._expire_later()
        self._task = asyncio.ensure_future(self._follow())
        return self._task

    def stop(self) -> None:
        """Ends that at once."""
        self._stopped = True
        self._woken.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        while not self._stopped:  # Python 3.11: `wait_for` in dnspython can swallow a cancellation
            if time.monotonic() >= self._due:
                self._notified = False
                pause = await self._look()
                self._last = time.monotonic()
                self._next = self._last + pause
            await self._sleep()

    @property
    def _due(self) -> float:
        """When to look, in monotonic seconds."""
        return min(self._next, self._last + NOTIFY_GAP) if self._notified else self._next

    async def _sleep(self) -> None:
        """Until there is something to do."""
        try:
            async with asyncio.timeout(max(0.0, self._due - time.monotonic())):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _look(self) -> float:
        """Fetches another version if there is one; gives the seconds to the next look."""
        try:
            if self.zone is None or await self._is_outdated():
                await self._transfer()
        except (UpstreamError, SourceError) as error:
            return self._failed(str(error))
        except Exception as error:  # an edge: one zone may not end the others
            log.exception("zone %s", self.origin)
            return self._failed(repr(error))
        return self._confirmed()

    async def _is_outdated(self) -> bool:
        """Whether the first primary that says its serial has a newer one."""
        assert self.zone is not None
        faults = []
        for primary in self._in_order():
            try:
                serial = await primary.serial(self.origin)
            except UpstreamError as error:
                faults.append(str(error))
                continue
            self._first = primary
            return is_newer(serial, self.zone.serial)
        raise UpstreamError("; ".join(faults))

    async def _transfer(self) -> None:
        """Takes the zone from the first primary that gives one of use."""
        faults = []
        for primary in self._in_order():
            try:
                zone = await primary.zone(self.origin)
                self._take(zone, primary)
                return
            except (UpstreamError, SourceError) as error:
                faults.append(str(error))
        raise UpstreamError("; ".join(faults))

    def _in_order(self) -> list[Primary]:
        """The primaries, that which is known to have the newest version first."""
        return sorted(self.primaries, key=lambda primary: primary != self._first)

    def _take(self, zone: Zone, primary: Primary) -> None:
        if self.zone is not None and not is_newer(zone.serial, self.zone.serial):
            raise UpstreamError(f"{primary}: serial {zone.serial} is not newer than what is here")
        self._check(zone)
        log.info("Transferred: %s from %s, serial %d", self.origin, primary, zone.serial)
        self.zone, self.authority = zone, Authority(zone)
        self._changed(self, True)

    def _confirmed(self) -> float:
        """The version that is here is that of the primaries."""
        assert self.zone is not None
        _, refresh, _, expire, _ = self.zone.soa.rdata.times
        self._fault, self._pause = "", FIRST_PAUSE
        self._expires = time.monotonic() + max(1, expire)
        self._expire_later()
        if self.authority is None:  # it had expired
            self.authority = Authority(self.zone)
            self._changed(self, False)
        return _jittered(max(1, refresh), REFRESH_JITTER)

    def _failed(self, fault: str) -> float:
        if fault != self._fault:
            log.warning("zone %s cannot be transferred: %s", self.origin, fault)
        self._fault = fault
        if self.zone is not None:
            return _jittered(max(1, self.zone.soa.rdata.times[2]), RETRY_JITTER)
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return _jittered(pause, RETRY_JITTER)

    def _expire_later(self) -> None:
        """Even while a primary takes its time."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._expires - time.monotonic()), self._expire)

    def _expire(self) -> None:
        log.error("Zone %s is expired", self.origin)
        self.authority = self._timer = None
        self._changed(self, False)


def is_newer(serial: int, than: int) -> bool:
    """RFC 1982 section 3.2."""
    return 0 < (serial - than) % (1 << 32) < HALF


def _jittered(seconds: float, most: float) -> float:
    return seconds + random.uniform(0, min(most, seconds / 2))
