"""A question on its way: from upstream to upstream until one has the reply."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Protocol

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward import figures
from clusterdns.plugins.forward.attempt import Attempt
from clusterdns.plugins.forward.exchange import Asked, Walk
from clusterdns.plugins.forward.options import Options
from clusterdns.plugins.forward.upstream import Upstream
from clusterdns.plugins.passage import Told
from clusterdns.wire.received import Received

# Before everybody is asked again. With an upstream that refuses at once and any number of attempts
# allowed, nothing else would slow this down.
ROUND_S = 0.05


class Owner(Protocol):
    """Who sends a question on its way."""

    options: Options
    upstreams: list[Upstream]

    def over(self, flight: "Flight") -> None:
        """It has ended; those who wait are told next."""
        ...


class Flight:
    """One question, and all who wait for its reply.

    prefers_stream: it is asked by TCP or TLS, whatever the upstream.
    """

    __slots__ = (
        "_attempt",
        "_by_stream",
        "_deadline",
        "_error",
        "_fallback",
        "_is_over",
        "_order",
        "_owner",
        "_pause",
        "_upstream",
        "_waiters",
        "_walk",
        "asked",
        "prefers_stream",
    )

    def __init__(self, owner: Owner, asked: Asked, by_stream: bool, deadline: float) -> None:
        """deadline: monotonic seconds; with no reply by then it has failed."""
        self._owner = owner
        self.asked = asked
        self._order: Sequence[Upstream] = owner.options.policy(owner.upstreams)
        self.prefers_stream = by_stream
        self._by_stream = by_stream  # the attempt under way
        self._deadline = deadline
        self._waiters: list[Told] = []
        self._walk: Walk[Upstream] | None = None  # None: not needed yet
        self._attempt: Attempt | None = None
        self._upstream: Upstream | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._error: UpstreamError | None = None  # the last
        self._fallback: Received | None = None  # truncated, better than none
        self._is_over = False

    @property
    def to(self) -> str:
        """The address of the upstream that was asked last; "": none was."""
        return self._upstream.address if self._upstream is not None else ""

    def join(self, told: Told) -> None:
        """Has `told` called once with the reply, or with why there is none."""
        self._waiters.append(told)

    def leave(self, told: Told) -> None:
        """Somebody waits no longer; with the last one the question is given up."""
        if not self._is_over:
            self._waiters.remove(told)
            if not self._waiters:
                self._end()

    def start(self, now: float) -> None:
        """Asks the first upstream, at this monotonic second. May be over when it returns."""
        first = self._order[0]
        if first.is_usable:  # nearly always, and then there is nearly never a second
            self._upstream = first
            if self._ask(self.prefers_stream, now):
                return
        self._ask_next()

    def _walking(self) -> Walk[Upstream]:
        """Whom to ask behind the first one."""
        if self._walk is None:
            options = self._owner.options
            self._walk = Walk(
                [each for each in self._order if not each.is_aside],
                _is_down,
                random.choice,
                options.attempts,
                fail_fast=options.fail_fast,
                begun=self._upstream is not None,
            )
        return self._walk

    def _ask_next(self) -> None:
        """Asks upstreams in turn until a question is on its way."""
        walk = self._walking()
        while not self._is_over:
            knew = walk.all_down
            upstream = walk.next()
            if walk.all_down and not knew:
                figures.healthcheck_broken.add()
            if upstream is None:
                self._give_up()
                return
            self._upstream = upstream
            if walk.wrapped and not self._owner.options.attempts:
                self._pause = asyncio.get_running_loop().call_later(ROUND_S, self._ask_again)
                return
            if self._ask(self.prefers_stream, time.monotonic()):
                return

    def _ask_again(self) -> None:
        self._pause = None
        if not self._ask(self.prefers_stream, time.monotonic()):
            self._ask_next()

    def _ask(self, by_stream: bool, now: float) -> bool:
        """Whether the question is on its way to the upstream, or the time is over."""
        upstream = self._upstream
        assert upstream is not None
        seconds = min(self._owner.options.read_timeout_s, self._deadline - now)
        if seconds <= 0:
            self._give_up()
            return True
        self._by_stream = by_stream or upstream.is_stream
        try:
            self._attempt = upstream.ask(self.asked, by_stream, seconds, self._done, now)
        except UpstreamError as error:
            self._failed(error)
            return False
        return True

    def _done(self, found: Received | None, error: UpstreamError | None) -> None:
        self._attempt = None  # no cycle is left, which only the garbage collector could free
        if found is None:
            assert error is not None
            self._failed(error)
            self._ask_next()
            return
        options = self._owner.options
        if found.truncated and options.prefer_udp and not self._by_stream:
            self._fallback = found
            if not self._ask(True, time.monotonic()):
                self._ask_next()
            return
        if options.failover and found.rcode in options.failover and self._walking().fails_over():
            self._ask_next()
            return
        self._end()
        for told in self._waiters:
            told(found, None)

    def _failed(self, error: UpstreamError) -> None:
        """The upstream did not answer: others may, and is it down?"""
        self._error = error
        self._walking().failed()
        assert self._upstream is not None
        self._upstream.health.suspect()

    def _give_up(self) -> None:
        self._end()
        found, error = self._fallback, None
        if found is None:
            error = UpstreamError(str(self._error or self._why_nobody()))
        for told in self._waiters:
            told(found, error)

    def _why_nobody(self) -> str:
        if all(each.is_aside for each in self._order):
            return "every upstream is set aside: it sends queries back to this server"
        return "no healthy proxies"

    def _end(self) -> None:
        self._is_over = True
        if self._pause is not None:
            self._pause.cancel()
        if self._attempt is not None:
            self._attempt.give_up()
            self._attempt = None
        self._owner.over(self)


def _is_down(upstream: Upstream) -> bool:
    return upstream.is_down
