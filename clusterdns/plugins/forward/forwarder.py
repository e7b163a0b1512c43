"""One `forward` of the Corefile: which names it takes, and how its upstreams are asked."""

import asyncio
import time
from functools import partial

from clusterdns.errors import ResolveError, UpstreamError
from clusterdns.plugins.forward import figures
from clusterdns.plugins.forward.attempt import Timeouts
from clusterdns.plugins.forward.exchange import Asked, asked, asked_plain, is_empty
from clusterdns.plugins.forward.flight import Flight
from clusterdns.plugins.forward.options import Options
from clusterdns.plugins.forward.upstream import Upstream
from clusterdns.plugins.passage import Told
from clusterdns.plugins.query import Query, Reply
from clusterdns.plugins.waiter import Waiter
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import REFUSED
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question
from clusterdns.wire.received import Received

# The client must have SERVFAIL before its own 5 s are over (resolv.conf, `timeout`).
MARGIN_S = 0.1


class Forwarder:
    """Some upstreams for the names in one zone.

    upstreams: in the order of the Corefile.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._timeouts = Timeouts(options.read_timeout_s)
        self.upstreams = [Upstream(each, options, self._timeouts) for each in options.targets]
        self._zone = Zones([options.zone])
        self._excepted = Zones(options.excepted)
        self._takes_all = options.zone == "." and not options.excepted
        self._most = options.max_concurrent
        self._udp_by_stream = options.force_tcp
        self._tcp_by_stream = options.force_tcp or not options.prefer_udp
        # By key, for those sent by UDP and those sent by streams.
        self._flights: tuple[dict[bytes, Flight], dict[bytes, Flight]] = {}, {}
        self._waiting = 0  # queries
        self._idle = asyncio.Event()

    def takes(self, question: Question) -> bool:
        """Whether a question is sent to these upstreams. `except` cannot take out FROM itself."""
        if self._takes_all:
            return True
        if question not in self._zone:
            return False
        return question not in self._excepted or question.text == self.options.zone

    async def reply(self, query: Query) -> Reply:
        """What an upstream says. Raises ResolveError: none says anything, or too many ask."""
        if query.came is not None and query.came.way is self:
            came, query.came = query.came, None
            return _reply(came.found, came.error)
        if self._is_full:
            figures.max_concurrent_rejects.add()
            raise ResolveError(f"concurrent queries exceeded maximum {self._most}", REFUSED)
        by_stream = self._udp_by_stream if query.transport == "udp" else self._tcp_by_stream
        waiter = Waiter[tuple[Received | None, UpstreamError | None]]()

        def told(found: Received | None, error: UpstreamError | None) -> None:
            waiter.set((found, error))

        flight = self._ask(asked(query), by_stream, time.monotonic(), query.deadline, told)
        self._waiting += 1
        try:
            return _reply(*await waiter)
        finally:
            if query.labels is not None and flight.to:
                query.labels["forward/upstream"] = partial(str, flight.to)
            flight.leave(told)
            self._ended()

    def send(self, question: Plain, flags: int, now: float, deadline: float, told: Told) -> bool:
        """Whether the question of a UDP client is on its way; see `passage.Way`."""
        if self._is_full:
            return False

        def ended(found: Received | None, error: UpstreamError | None) -> None:
            self._ended()
            told(found, error)

        self._waiting += 1
        self._ask(asked_plain(question, flags), self._udp_by_stream, now, deadline, ended)
        return True

    def goes_on(self, reply: Reply) -> bool:
        """Whether the next `forward` is asked instead (`next`, `next_on_nodata`)."""
        if reply.rcode in self.options.next_rcodes:
            return True
        found = reply.received
        return self.options.next_on_nodata and found is not None and is_empty(found)

    async def drain(self, seconds: float) -> None:
        """Keeps no sockets any longer than queries need them, and waits for those under way."""
        for upstream in self.upstreams:
            upstream.stop()
        try:
            async with asyncio.timeout(seconds):
                while self._waiting:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            pass  # `close` ends them

    async def close(self) -> None:
        """Closes everything; queries under way fail."""
        await asyncio.gather(*[upstream.close() for upstream in self.upstreams])
        self._timeouts.stop()

    def over(self, flight: Flight) -> None:
        """A question has ended: who asks it from now on has it asked anew."""
        key, flights = flight.asked.key, self._flights[flight.prefers_stream]
        if key is not None and flights.get(key) is flight:
            del flights[key]

    @property
    def _is_full(self) -> bool:
        return 0 < self._most <= self._waiting

    def _ask(
        self, question: Asked, by_stream: bool, now: float, deadline: float, told: Told
    ) -> Flight:
        """Sends it on its way, or waits with those who ask the same."""
        flights, key = self._flights[by_stream], question.key
        flight = None if key is None else flights.get(key)
        if flight is not None:
            figures.shared_questions.add()
            flight.join(told)
            return flight
        flight = Flight(self, question, by_stream, deadline - MARGIN_S)
        if key is not None:
            flights[key] = flight
        flight.join(told)
        flight.start(now)
        return flight

    def _ended(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._idle.set()


def _reply(found: Received | None, error: UpstreamError | None) -> Reply:
    """Raises ResolveError."""
    if found is None:
        raise ResolveError(str(error)) from error
    return Reply.of(found)
