"""When the Corefile is read again, and what is told of it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from clusterdns import metrics
from clusterdns.app.corefiles import Corefiles, digest
from clusterdns.corefile.parser import Corefile
from clusterdns.errors import ClusterDnsError, ConfigError
from clusterdns.logs import plugin_logger
from clusterdns.metrics import Labels
from clusterdns.plugins.base import ReloadTimes

log = logging.getLogger(__name__)
plugin_log = plugin_logger("reload")


class NotYet(ClusterDnsError):
    """What a new configuration needs is not there yet: the next time may do."""


class Reloader:
    """Looks for another Corefile from time to time, and when it is told to.

    times: of the configuration that runs; None: only when told to.
    exchange: puts a Corefile in the place of the one that runs; with True, all of it is made anew.
        Raises ClusterDnsError, and nothing has changed then.
    """

    def __init__(
        self,
        corefiles: Corefiles,
        times: Callable[[], ReloadTimes | None],
        exchange: Callable[[Corefile, bool], Awaitable[None]],
    ) -> None:
        self._corefiles = corefiles
        self._times = times
        self._exchange = exchange
        self._running = ""  # digests
        self._tried: str | None = None  # or the error of what could not be read
        self._told = asyncio.Event()
        self._pace: Pace | None = None  # None: not drawn since the last load
        self.runs_last_good = False  # and not what is configured

    def tell(self) -> None:
        """Has the Corefile read and used now, changed or not (SIGUSR1)."""
        self._told.set()

    def uses(self, corefile: Corefile, refused: Corefile | ConfigError | None = None) -> None:
        """Notes what runs from the start on. refused: what was to run, or why it cannot be read."""
        self._running = digest(corefile)
        self._tried = self._running
        if refused is not None:
            self.runs_last_good = True
            self._tried = digest(refused) if isinstance(refused, Corefile) else str(refused)
        self._tell_running()

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set."""
        with (
            metrics.reload_version.given_by(self._version),
            metrics.last_good.given_by(lambda: {(): float(self.runs_last_good)}),
        ):
            while True:
                is_told = await self._wait(stopping)
                if stopping.is_set():
                    return
                await self._look(is_told)

    async def _wait(self, stopping: asyncio.Event) -> bool:
        """Waits for the next look; whether somebody wants it."""
        times = self._times()
        told = asyncio.ensure_future(self._told.wait())
        stop = asyncio.ensure_future(stopping.wait())
        try:
            period = None if times is None else self._period(times)
            await asyncio.wait((told, stop), timeout=period, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            stop.cancel()
        is_told = self._told.is_set()
        self._told.clear()
        return is_told

    def _period(self, times: ReloadTimes) -> float:
        """Seconds until the next look: drawn once for each load, as in CoreDNS."""
        if self._pace is None or self._pace.times != times:
            self._pace = Pace(times, _drawn(times))
        return self._pace.period_s

    async def _look(self, is_told: bool) -> None:
        """Reads the Corefile, and uses it if it is another one."""
        if is_told:
            log.info("SIGUSR1: Reloading")
        try:
            corefile = await asyncio.to_thread(self._corefiles.read)
        except ConfigError as error:
            if self._tried != str(error):
                metrics.reload_failures.add()
            self._tried = str(error)
            if is_told:
                log.error("Restart failed: %s", error)
            plugin_log.warning("Corefile parse failed: %s", error)
            return
        found = digest(corefile)
        if found != self._tried or is_told:
            self._tried = found
            await self._use(corefile, is_told)

    async def _use(self, corefile: Corefile, is_told: bool) -> None:
        log.info("Reloading")
        try:
            await self._exchange(corefile, is_told)
        except NotYet as error:
            self._tried = None
            self._refuse(error)
        except ClusterDnsError as error:
            self._refuse(error)
        except Exception as error:  # an edge: what runs goes on, whatever a new configuration does
            log.exception("reloading failed")
            self._refuse(error)
        else:
            self._running = digest(corefile)
            self._pace = None
            self.runs_last_good = False
            self._tell_running()
            log.info("Reloading complete")
            await asyncio.to_thread(self._corefiles.keep, corefile)

    def _refuse(self, error: Exception) -> None:
        metrics.reload_failures.add()
        log.error("Restart failed: %s", error)
        plugin_log.error("Corefile changed but reload failed: %s", error)

    def _tell_running(self) -> None:
        if self._times() is not None:
            plugin_log.info("Running configuration SHA512 = %s", self._running)

    def _version(self) -> dict[Labels, float]:
        return {("sha512", self._running): 1.0}


class Pace(NamedTuple):
    """What was drawn of the times that a Corefile asks for."""

    times: ReloadTimes
    period_s: float


def _drawn(times: ReloadTimes) -> float:
    """Seconds between two looks; replicas that start together spread."""
    return times.interval_s + random.uniform(-times.jitter_s, times.jitter_s) / 2
