"""One upstream: how it is asked, and whether it is well."""

import asyncio
import logging
import random
import time
from typing import Protocol

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward import exchange
from clusterdns.plugins.forward.attempt import Attempt, Done, Ids, Timeouts
from clusterdns.plugins.forward.datagrams import Datagrams
from clusterdns.plugins.forward.exchange import Asked
from clusterdns.plugins.forward.figures import Figures, Probes
from clusterdns.plugins.forward.healthcheck import PROBE_S, HealthCheck
from clusterdns.plugins.forward.options import Options
from clusterdns.plugins.forward.streams import Streams
from clusterdns.plugins.forward.targets import Target
from clusterdns.plugins.waiter import Waiter
from clusterdns.wire.question import Question
from clusterdns.wire.received import Received

NS = 2  # qtype of health probes
JITTER = 0.2  # of the pause between two of them: replicas lose an upstream all at once

log = logging.getLogger(__name__)


class Connections(Protocol):
    """What sends questions by connections: TCP, TLS or HTTPS."""

    def send(self, attempt: Attempt, now: float) -> None:
        """Sends a question."""
        ...

    def stop(self) -> None:
        """Keeps no connection any longer than a query needs it."""
        ...

    async def close(self) -> None:
        """Closes at once; what is under way fails."""
        ...


class Upstream:
    """A server that questions are sent to.

    is_usable: it is neither down nor aside.
    address: as in metrics, logs and `loop`: 10.0.0.2:53.
    is_stream: it is never asked by UDP.
    """

    def __init__(self, target: Target, options: Options, timeouts: Timeouts) -> None:
        """timeouts: of all attempts that may last options.read_timeout_s."""
        ids = Ids()
        self.address = target.address
        self.zone = options.zone
        self._target = target
        self.is_stream = options.force_tcp or target.is_tls or target.is_https
        self._timeouts = timeouts
        self._figures = Figures(target.address)
        self._probes = Probes(target.address)
        self._datagrams = Datagrams(
            target, options.source_address, options.expire_s, options.max_idle_conns, ids
        )
        self._streams = _streams(target, options, ids)
        self.is_usable = True
        self._is_aside = False
        self._is_closed = False
        self._pause: asyncio.TimerHandle | None = None
        self._probe = exchange.probe(
            Question.of(options.probe_name, NS), recursive=options.probe_recursive
        )
        self._probing: Attempt | None = None
        self.health = HealthCheck(
            options.max_fails, options.health_check_s, self._send_probe, self._probe_later
        )

    @property
    def is_down(self) -> bool:
        """Whether it left too many probes without a reply."""
        return self.health.is_down

    @property
    def is_aside(self) -> bool:
        """Whether it gets probes only, since what it is sent comes back to us (`loop`)."""
        return self._is_aside

    @is_aside.setter
    def is_aside(self, is_aside: bool) -> None:
        self._is_aside = is_aside
        self._judge()

    def ask(
        self,
        question: Asked,
        by_stream: bool,
        seconds: float,
        done: Done,
        now: float,
        figures: Figures | None = None,
    ) -> Attempt:
        """Sends a question; `done` is called with the reply or what went wrong, and never before
        this returns. Raises UpstreamError if it cannot even be sent.

        seconds: for the reply. now: monotonic seconds. figures: what counts it, if not as a query.
        """
        if self._is_closed:
            raise UpstreamError(f"{self.address} is not asked any more: the server stops")
        attempt = Attempt(question, figures or self._figures, self._timeouts, done, now)
        if by_stream or self.is_stream:
            self._streams.send(attempt, now)
        else:
            self._datagrams.send(attempt, now)
        self._timeouts.add(attempt, seconds, now)
        return attempt

    async def probe(self, question: Question) -> bool:
        """Whether it replied to this question, whatever it said."""
        waiter: Waiter[bool] = Waiter()

        def done(found: Received | None, error: UpstreamError | None) -> None:
            waiter.set(found is not None)

        try:
            attempt = self._ask_soon(exchange.probe(question), done)
        except UpstreamError:
            return False
        try:
            return await waiter
        finally:
            attempt.give_up()

    def stop(self) -> None:
        """Probes no more, and keeps no socket any longer than a query needs it."""
        self.health.stop()
        if self._pause is not None:
            self._pause.cancel()
        if self._probing is not None:
            self._probing.give_up()
            self._probing = None
        self._datagrams.stop()
        self._streams.stop()

    async def close(self) -> None:
        """Closes everything; what is under way fails."""
        self._is_closed = True
        self.stop()
        self._datagrams.close()
        await self._streams.close()

    def _ask_soon(self, question: Asked, done: Done) -> Attempt:
        return self.ask(question, False, PROBE_S, done, time.monotonic(), self._probes)

    def _send_probe(self) -> None:
        try:
            self._probing = self._ask_soon(self._probe, self._probed)
        except UpstreamError as error:
            self._probed(None, error)

    def _probed(self, found: Received | None, error: UpstreamError | None) -> None:
        self._probing = None
        was_down = self.is_down
        if found is not None:
            self.health.replied()
            self._judge()
            if was_down:
                log.info("upstream %s is back", self.address)
            return
        self._probes.probe_failed()
        self.health.failed()
        self._judge()
        if self.is_down and not was_down:
            log.warning("upstream %s is down: %s", self.address, error)

    def _judge(self) -> None:
        self.is_usable = not (self._is_aside or self.is_down)

    def _probe_later(self, seconds: float) -> None:
        seconds *= random.uniform(1 - JITTER, 1 + JITTER)
        self._pause = asyncio.get_running_loop().call_later(seconds, self.health.due)


def _streams(target: Target, options: Options, ids: Ids) -> Connections:
    if target.is_https:
        # HTTP is for those who need it.
        from clusterdns.plugins.forward.https import Https

        return Https(target, options)
    return Streams(
        target,
        options.context if target.is_tls else None,
        options.source_address,
        options.expire_s,
        options.max_age_s,
        options.max_idle_conns,
        ids,
    )
