"""Length-prefixed messages on a stream: pipelined, answered as they are ready (RFC 7766)."""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from clusterdns import metrics
from clusterdns.errors import ClusterDnsError
from clusterdns.server.answers import Answers
from clusterdns.server.respond import Responder
from clusterdns.server.sockets import BACKLOG
from clusterdns.server.steps import Steps
from clusterdns.server.underway import UnderWay
from clusterdns.wire.transfer import Begun

# Frames that are answered before the loop gets its turn: with none of them known, 5 ms.
TURN = 64
# Accepted at a wake-up; each costs 100 microseconds, and UDP waits meanwhile.
ACCEPTED = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What a client may do on a connection, and what all may together. CoreDNS's where it has one.

    read_s: from the connection's begin to its first whole query.
    idle_s: from the last reply or query to the next whole query.
    write_s: for the client to read what waits for it.
    queries: on one connection; -1: any number.
    under_way: queries on one connection that wait for something; more are not read meanwhile.
    connections: at the bound the longest idle one is closed for a new one, and if every one
        waits for a reply, the new one is. 1000 take about 10 MB and stay below 1024 files, a
        usual limit.
    """

    read_s: float = 3.0
    idle_s: float = 10.0
    write_s: float = 5.0
    queries: int = -1
    under_way: int = 64
    connections: int = 960


class Tcp:
    """The connections to one listening socket.

    last_query: monotonic second of the last read; 0.0: none yet.
    """

    def __init__(
        self,
        sock: socket.socket,
        answers: Answers,
        responder: Responder,
        under_way: UnderWay,
        limits: TcpLimits,
    ) -> None:
        self._sock = sock
        self.answers = answers
        self.responder = responder
        self.under_way = under_way
        self.limits = limits
        self.last_query = 0.0
        self.connections: set[Connection] = set()
        self._none = asyncio.Event()
        self._sending: deque[Connection] = deque()  # long replies, that can go on at once
        self._next_piece: asyncio.Handle | None = None

    async def serve(self, stopping: asyncio.Event) -> None:
        """Answers until `stopping`, then takes no more connections, nor queries from those there
        are. Queries that wait are the caller's to finish, `close` comes after."""
        loop = asyncio.get_running_loop()
        server = await self._listen(loop)
        self._sock.listen(BACKLOG)  # `backlog` was how many to accept at once, and set both
        try:
            await stopping.wait()
        finally:
            server.close()
            for connection in list(self.connections):
                connection.finish()

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        return await loop.create_server(lambda: Connection(self), sock=self._sock, backlog=ACCEPTED)

    async def close(self) -> None:
        """Waits until clients have read what was sent, at most `write_s`, and closes the rest."""
        try:
            async with asyncio.timeout(self.limits.write_s):
                await self._all_gone()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await self._all_gone()

    async def _all_gone(self) -> None:
        while self.connections:
            self._none.clear()
            await self._none.wait()

    def admit(self, connection: "Connection") -> bool:
        """Makes room for a new connection if need be; False: there is none."""
        if len(self.connections) >= self.limits.connections and not self._close_longest_idle():
            metrics.refused_connections.add()
            return False
        self.connections.add(connection)
        return True

    def go_on_sending(self, connection: "Connection") -> None:
        """Has the next piece of its long reply sent, after those of others: all of them together
        take one piece each time that the loop comes round, so that nothing else waits for long."""
        if connection not in self._sending:
            self._sending.append(connection)
        if self._next_piece is None:
            self._next_piece = asyncio.get_running_loop().call_soon(self._send_piece)

    def _send_piece(self) -> None:
        self._next_piece = None
        connection = self._sending.popleft()
        connection.send_piece()
        if self._sending:
            self.go_on_sending(self._sending[0])

    def leave(self, connection: "Connection") -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._none.set()

    def _close_longest_idle(self) -> bool:
        idle = [each for each in self.connections if each.is_idle]
        if not idle:
            return False
        longest = min(idle, key=lambda each: each.last)
        self.leave(longest)
        longest.abort()
        metrics.closed_idle_connections.add()
        return True


class Connection(asyncio.Protocol):
    """One client's stream.

    last: loop time of its begin, its last whole query, or its last reply.
    """

    def __init__(self, tcp: Tcp) -> None:
        self._tcp = tcp
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None  # None: not begun, or ended
        self._peer = ("", 0)
        self._buffer = b""  # read and not answered
        self._under_way = 0
        self._rests: deque[Iterator[bytes]] = deque()  # of long replies, one after the other
        self._queries = 0
        self._others, self._others_s = 0, 0.0  # queries of this turn that were no hits, their time
        self._finishing = False  # no more queries are taken; closes after the last reply
        self._turn: asyncio.Handle | None = None  # the next TURN frames of the buffer
        self._answering = False  # frames are being taken: a query may let an earlier one go on
        self._reading = True
        self._stuck_since: float | None = None  # loop time; the client does not read its replies
        self._timer: asyncio.TimerHandle | None = None
        self.last = self._loop.time()

    @property
    def is_idle(self) -> bool:
        """Whether no query waits for its reply, or the rest of it."""
        return not self._under_way and self._turn is None and not self._rests

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._tcp.admit(self):
            transport.abort()
            return
        host, port, *_ = transport.get_extra_info("peername") or self._peer
        self._peer = (host.partition("%")[0], port)  # without the scope of a link-local address
        self._timer = self._loop.call_later(self._tcp.limits.read_s, self._check_time)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._buffer = b""
        self._rests.clear()
        for handle in (self._timer, self._turn):
            if handle is not None:
                handle.cancel()
        self._tcp.leave(self)

    def data_received(self, data: bytes) -> None:
        if self._finishing:
            return
        self._tcp.last_query = time.monotonic()
        self._buffer += data
        if self._turn is None:
            self._answer()

    def eof_received(self) -> bool:
        """The client sends no more; it may still wait for replies."""
        self.finish()
        return True

    def pause_writing(self) -> None:
        self._stuck_since = self._loop.time()
        self._check_time()

    def resume_writing(self) -> None:
        self._stuck_since = None
        if self._rests:
            self._tcp.go_on_sending(self)
        self._go_on()

    def finish(self) -> None:
        """Reads no more, answers what it has read, and closes when all replies are written."""
        self._finishing = True
        self._set_reading(False)
        self._close_if_finished()

    def abort(self) -> None:
        """Ends at once; what is not sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def _is_held(self) -> bool:
        """Whether the client must read its replies, or wait for them, before it may ask more."""
        is_full = self._under_way >= self._tcp.limits.under_way
        return is_full or self._stuck_since is not None or bool(self._rests)

    def _answer(self) -> None:
        """Takes whole frames from the buffer, at most TURN; their replies are written at once."""
        self._turn, self._answering = None, True
        now = time.monotonic()
        known = self._tcp.answers.reply
        replies: list[bytes] = []
        buffer, at, before = self._buffer, 0, self._queries
        while not self._is_held and self._queries - before < TURN:
            start = at + 2
            end = start + int.from_bytes(buffer[at:start], "big")
            if len(buffer) < end:
                break
            query, at = buffer[start:end], end
            self._queries += 1
            reply = known(query, now) or self._ask(query, now)
            if reply is not None:
                replies += (len(reply).to_bytes(2, "big"), reply)
            if self._queries == self._tcp.limits.queries:
                at, self._finishing = len(buffer), True
                break
        self._answering = False
        self._count(self._queries - before, now)
        self._buffer = buffer[at:]
        if at:
            self.last = self._loop.time()
        self._write(replies)
        if self._queries - before == TURN and self._buffer:
            self._turn = self._loop.call_soon(self._answer)
        self._set_reading(self._turn is None and not self._is_held and not self._finishing)
        self._close_if_finished()

    def _count(self, queries: int, began: float) -> None:
        """Has the hits of a turn counted with its time, less what the others of it took."""
        if hits := queries - self._others:
            self._tcp.answers.tally.batch(hits, time.monotonic() - began - self._others_s)
        self._others, self._others_s = 0, 0.0

    def _ask(self, query: bytes, now: float) -> bytes | None:
        """Takes the full path; None: there is no reply, or it comes later."""
        began = time.monotonic()
        self._others += 1
        if self._tcp.under_way.full:
            metrics.overload_drops.add("tcp")
            return None
        reply = self._tcp.responder.respond(query, self._peer, now)
        self._others_s += time.monotonic() - began
        if not isinstance(reply, Steps):
            self._begin(reply)
            return reply
        self._under_way += 1
        self._tcp.under_way.add(reply, self._answered)
        return None

    def _answered(self, reply: bytes | None) -> None:
        """A query that waited has its reply, or None."""
        self._under_way -= 1
        self.last = self._loop.time()
        if reply is not None:
            self._begin(reply)
            self._write([len(reply).to_bytes(2, "big"), reply])
        self._go_on()

    def _begin(self, reply: bytes | None) -> None:
        """Has the rest of a long reply sent after this first message of it."""
        if isinstance(reply, Begun) and self._transport is not None:
            self._rests.append(reply.rest)
            if len(self._rests) == 1:
                self._tcp.go_on_sending(self)

    def send_piece(self) -> None:
        """Sends the next piece of a long reply, unless the client has to read first."""
        if not self._rests or self._stuck_since is not None:
            return
        try:
            piece = next(self._rests[0], None)
        except Exception as error:  # an edge; the client sees that it does not have all
            is_bug = not isinstance(error, ClusterDnsError)
            log.error("a reply to %s ends in the middle: %s", self._peer[0], error, exc_info=is_bug)
            self.abort()
            return
        if piece is None:
            self._rests.popleft()
            self.last = self._loop.time()
        elif piece:
            self._write([len(piece).to_bytes(2, "big"), piece])
        if not self._rests:
            self._go_on()
        elif self._stuck_since is None:
            self._tcp.go_on_sending(self)

    def _go_on(self) -> None:
        """Takes up the frames that were held back."""
        if self._turn is None and not self._answering and self._transport is not None:
            self._answer()

    def _write(self, replies: list[bytes]) -> None:
        if replies and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(replies))

    def _set_reading(self, reading: bool) -> None:
        transport = self._transport
        if reading == self._reading or transport is None or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _close_if_finished(self) -> None:
        if self._finishing and self.is_idle and not self._is_held:
            self._close()

    def _close(self) -> None:
        """Closes once the client has read what waits for it, within `write_s`."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.close()
        self._stuck_since = self._loop.time()
        self._check_time()

    def _check_time(self) -> None:
        """Ends the connection if its time is over; else comes again when it may be."""
        limits, now = self._tcp.limits, self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        if self._stuck_since is not None:
            end = self._stuck_since + limits.write_s
            if end <= now:
                self.abort()
                return
        elif not self.is_idle:
            end = now + limits.idle_s
        else:
            end = self.last + (limits.idle_s if self._queries else limits.read_s)
            if end <= now:
                self._close()
                return
        self._timer = self._loop.call_at(end, self._check_time)
