"""One connection to an upstream with https://: TLS, and HTTP/2 or HTTP/1.1 as it chose."""

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward import http1, http2
from clusterdns.plugins.forward.http_message import Form, Outcome, Refused, Response
from clusterdns.plugins.forward.targets import reason_of

if TYPE_CHECKING:
    from clusterdns.plugins.forward.https import Https, Request

# Without a word on a connection for as long as a request takes, it is asked for one (PING): more
# than a round trip, and less than the next request would take to notice.
PROBE_S = 1.0
# Unsent octets of a connection, hundreds of questions: whoever reads none of them is not there.
MOST_UNSENT = 1 << 20


class Speaker(Protocol):
    """HTTP in one of its versions, without I/O.

    limit: requests at a time. is_over: there can be no more of them. leaves_usable: a request that
    is left alone does not end the others.
    """

    limit: int
    is_over: bool
    leaves_usable: bool

    def ask(self, message: bytes) -> int:
        """Begins a request; its number."""
        ...

    def leave(self, number: int) -> None:
        """The response is waited for no longer."""
        ...

    def probe(self) -> None:
        """Has the other side say something."""
        ...

    def end(self) -> None:
        """Says good-bye."""
        ...

    def outgoing(self) -> bytes:
        """What is to be sent by now."""
        ...

    def received(self, data: bytes) -> list[tuple[int, Outcome]]:
        """What came of requests, by number; data: b"" at the end. Raises UpstreamError."""
        ...


def speaker(chosen: str | None, form: Form) -> Speaker:
    """For what was chosen by ALPN; None, nothing, is HTTP/1.1."""
    return http2.Http2(form) if chosen == http2.ALPN else http1.Http1(form)


class Connection(asyncio.Protocol):
    """One connection, from before it is there.

    opened, made, used: monotonic seconds of its begin, of the end of the handshakes, and of the
    last request. attempts: requests under way, by number. is_fresh: there were none yet.
    has_replied: to any of them.
    """

    def __init__(self, owner: "Https", now: float) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None  # None: not yet there, or ended
        self._speaker: Speaker | None = None
        self._early = b""  # what came before we were told of the transport
        self._is_flushing = False
        self._is_over = False
        self._heard = 0.0
        self._doubt: asyncio.TimerHandle | None = None
        self.attempts: dict[int, Request] = {}
        self.opened = self.made = self.used = now
        self.is_fresh = True
        self.has_replied = False

    @property
    def limit(self) -> int:
        """Requests at a time, by this version of HTTP and this upstream."""
        return self._speaker.limit if self._speaker is not None else 0

    @property
    def has_room(self) -> bool:
        """Whether it takes another request now."""
        speaker = self._speaker
        if speaker is None or self._transport is None or self._is_over or speaker.is_over:
            return False
        return self._doubt is None and len(self.attempts) < speaker.limit

    def send(self, request: "Request") -> None:
        """Sends a request; it is connected, and has room."""
        assert self._speaker is not None
        self.is_fresh = False
        self.used = time.monotonic()
        number = self._speaker.ask(request.message)
        self.attempts[number] = request
        request.sent(self, number, self.used)
        self._flush_soon()

    def leave(self, request: "Request", is_late: bool) -> None:
        """Forgets a request. When there was no word since it was sent, the way may lead nowhere."""
        assert self._speaker is not None
        if self.attempts.pop(request.number, None) is None:
            return  # it ends just now
        self._speaker.leave(request.number)
        if not self._speaker.leaves_usable:
            self.abort(UpstreamError("EOF"))
            return
        if is_late and self._doubt is None and self._heard < request.begun:
            self._speaker.probe()
            loop = asyncio.get_running_loop()
            self._doubt = loop.call_later(PROBE_S, self.abort, UpstreamError("read: i/o timeout"))
        self._flush_soon()
        self._owner.settle(self)

    def close(self) -> None:
        """Ends it; nothing is under way."""
        if self._transport is None or self._speaker is None:
            return
        if self._doubt is not None:  # it would not answer a good-bye
            self.abort(UpstreamError("EOF"))
            return
        self._speaker.end()
        self._flush()
        self._transport.close()

    def abort(self, error: UpstreamError) -> None:
        """Ends it at once, and its requests as `Https.lost` tells."""
        if self._transport is not None:
            self._transport.abort()
        self._end(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._is_over:
            transport.abort()
            return
        self.made = self.used = time.monotonic()
        tls = transport.get_extra_info("ssl_object")
        self._speaker = speaker(tls.selected_alpn_protocol(), self._owner.form)
        self._flush_soon()
        self._owner.connected(self)
        if self._early:
            self.data_received(self._early)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._speaker is not None and not self._is_over and error is None:
            self._take(b"")  # which is the end of some responses
        reason = f"read: {reason_of(error)}" if isinstance(error, OSError) else "EOF"
        self._end(UpstreamError(reason))
        self._owner.gone(self)

    def data_received(self, data: bytes) -> None:
        if self._speaker is None:
            self._early += data
            return
        if self._is_over:
            return
        self._heard = time.monotonic()
        if self._doubt is not None:
            self._doubt.cancel()
            self._doubt = None
        self._take(data)
        self._flush_soon()

    def _take(self, data: bytes) -> None:
        assert self._speaker is not None
        try:
            outcomes = self._speaker.received(data)
        except UpstreamError as error:
            self._flush()
            self.abort(error)
            return
        for number, outcome in outcomes:
            request = self.attempts.pop(number, None)
            if request is None:
                continue
            match outcome:
                case Response():
                    self.has_replied = True
                    request.answered(outcome)
                case Refused(reason=reason):
                    again = not request.is_repeated
                    self._owner.repeat_or_fail(request, UpstreamError(reason), may_repeat=again)
                case UpstreamError():
                    request.failed(outcome)
        if self._speaker.is_over:
            self._owner.retire(self)
        else:
            self._owner.settle(self)

    def _flush_soon(self) -> None:
        """Sends what there is when the loop comes round: several requests in one go."""
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        if self._transport is None or self._speaker is None or self._transport.is_closing():
            return
        if octets := self._speaker.outgoing():
            self._transport.write(octets)
            if self._transport.get_write_buffer_size() > MOST_UNSENT:
                self.abort(UpstreamError("write: i/o timeout"))

    def _end(self, error: UpstreamError) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._doubt is not None:
            self._doubt.cancel()
            self._doubt = None
        requests, self.attempts = list(self.attempts.values()), {}
        self._owner.lost(self, requests, error)
