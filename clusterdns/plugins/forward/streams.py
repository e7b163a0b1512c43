"""TCP and TLS to one upstream: connections that stay, with several queries on each (RFC 7766)."""

import asyncio
import ssl
import time

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import MalformedMessage, UpstreamError
from clusterdns.plugins.forward import figures
from clusterdns.plugins.forward.attempt import Attempt, Ids
from clusterdns.plugins.forward.exchange import reply_to
from clusterdns.plugins.forward.pool import CLOSE_S, Pool, emptied
from clusterdns.plugins.forward.targets import Target, reason_of

# A query takes an idle connection, else opens one, else joins the least busy: many servers answer
# what is on one connection one after the other.
CONNECTIONS = 8
# For TCP's and TLS's handshakes. Longer than a query waits, so that a slow way, once there, serves
# the queries after the one that it was opened for.
CONNECT_S = 4.0


class Streams(Pool["Connection"]):
    """The connections to one upstream."""

    def __init__(
        self,
        target: Target,
        context: ssl.SSLContext | None,
        source: str | None,
        expire_s: float,
        max_age_s: float,
        most_idle: int,
        ids: Ids,
    ) -> None:
        """context: None for TCP without TLS. source: as for Datagrams.

        expire_s: how long a connection may be idle. max_age_s: how old it may be for another
        query; 0: any age. most_idle: so many idle ones are kept; 0: all.
        """
        super().__init__(expire_s)
        self.target = target
        self.ids = ids
        self.proto = "tcp" if context is None else "tcp-tls"
        self._context = context
        self._source = source
        self._max_age_s = max_age_s
        self._most_idle = most_idle
        self._all: set[Connection] = set()
        self._counted = figures.Connections(target.address, self.proto)
        self._connecting: set[asyncio.Task[None]] = set()
        self._gone = asyncio.Event()

    def send(self, attempt: Attempt, now: float) -> None:
        """Sends a question."""
        self._send(attempt, self._choose(now))

    def repeat(self, attempt: Attempt) -> None:
        """Sends a question by a connection opened for it: the one it had has ended."""
        self._send(attempt, None)

    def _send(self, attempt: Attempt, connection: "Connection | None") -> None:
        if connection is None:
            self._counted.miss()
            connection = self._new()
        else:
            self._counted.hit()
        connection.send(attempt)
        if self.is_stopped:
            self.retire(connection)

    def retire(self, one: "Connection") -> None:
        if one in self._open:
            self._open.remove(one)
        if not one.attempts:
            one.close()

    def settle(self, connection: "Connection") -> None:
        """A connection has no query under way: is it kept?"""
        if connection not in self._open:
            connection.close()
            return
        idle = sum(not each.attempts for each in self._open)
        if self.expire_s <= 0 or (self._most_idle and idle > self._most_idle):
            self.retire(connection)

    def lost(self, connection: "Connection") -> None:
        """A connection has ended."""
        self._all.discard(connection)
        if connection in self._open:
            self._open.remove(connection)
        if not self._all:
            self._gone.set()

    async def close(self) -> None:
        """Closes at once; what is under way fails."""
        self.stop()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._all):
            connection.abort()
        # The sockets of those that take longer are closed with the loop.
        await emptied(self._all, self._gone, CLOSE_S)

    def _choose(self, now: float) -> "Connection | None":
        best = None
        for connection in self._open[:]:
            if self._is_old(connection, now):
                self.retire(connection)
            elif best is None or len(connection.attempts) < len(best.attempts):
                best = connection
        if best is not None and best.attempts and len(self._open) < CONNECTIONS:
            return None
        return best

    def _is_old(self, one: "Connection", now: float) -> bool:
        return super()._is_old(one, now) or 0 < self._max_age_s <= now - one.opened

    def _new(self) -> "Connection":
        connection = Connection(self)
        self._keep(connection)
        self._all.add(connection)
        task = asyncio.get_running_loop().create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return connection

    async def _connect(self, connection: "Connection") -> None:
        target, context = self.target, self._context
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    target.host,
                    target.port,
                    ssl=context,
                    server_hostname=(target.server_name or target.host) if context else None,
                    local_addr=(self._source, 0) if self._source is not None else None,
                    ssl_shutdown_timeout=CLOSE_S if context else None,
                )
        except asyncio.CancelledError:
            connection.fail(self._not_connected("the server stops"))
            raise
        except TimeoutError:
            connection.fail(self._not_connected("i/o timeout"))
        except (OSError, OverflowError) as error:
            is_tls = isinstance(error, ssl.SSLError)
            reason = str(error) if is_tls else f"connect: {reason_of(error)}"
            connection.fail(self._not_connected(reason))

    def _not_connected(self, reason: str) -> UpstreamError:
        return UpstreamError(f"dial {self.proto} {self.target.address}: {reason}")


class Connection(asyncio.Protocol):
    """One connection, from before it is there.

    opened, used: monotonic seconds of its begin, and of the last query.
    """

    def __init__(self, owner: Streams) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None  # None: not yet there, or ended
        self._unsent: list[bytes] = []
        self._buffer = b""
        self._has_replied = False
        self._ours = ""
        self._is_over = False
        self.attempts: dict[bytes, Attempt] = {}  # by id
        self.opened = self.used = time.monotonic()

    def send(self, attempt: Attempt) -> None:
        """Sends a question under an id of its own, once it is connected."""
        ids = self._owner.ids
        while (id := ids.next()) in self.attempts:
            pass
        self.attempts[id] = attempt
        attempt.id = id
        attempt.home = self
        attempt.may_repeat = self._has_replied
        self.used = time.monotonic()
        frame = (len(attempt.asked.rest) + 2).to_bytes(2, "big") + id + attempt.asked.rest
        if self._transport is None:
            self._unsent.append(frame)
        else:
            self._transport.write(frame)

    def leave(self, attempt: Attempt, is_late: bool) -> None:
        """Forgets a question. After a late one there is none more: the way may lead nowhere."""
        self.attempts.pop(attempt.id, None)
        if is_late:
            self._owner.retire(self)
        elif not self.attempts:
            self._owner.settle(self)

    def failure(self, reason: str) -> UpstreamError:
        owner = self._owner
        if self._transport is None and not self._ours:
            return UpstreamError(f"dial {owner.proto} {owner.target.address}: {reason}")
        return UpstreamError(f"read {owner.proto} {self._ours}->{owner.target.address}: {reason}")

    def fail(self, error: UpstreamError) -> None:
        """It has come to nothing, or ended: so do its questions, unless it was there before them.
        Those are sent once more, by a new connection."""
        self._is_over = True
        attempts, self.attempts = list(self.attempts.values()), {}
        self._owner.lost(self)
        for attempt in attempts:
            if attempt.home is not self:
                continue  # given up by one before it
            if attempt.may_repeat and not self._owner.is_stopped:
                self._owner.repeat(attempt)
            else:
                attempt.failed(error)

    def close(self) -> None:
        """Ends it; nothing is under way."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._is_over:
            transport.abort()
            return
        self._transport = transport
        self._ours = host_and_port(*transport.get_extra_info("sockname")[:2])
        transport.write(b"".join(self._unsent))
        self._unsent.clear()
        if not self.attempts:  # nobody waited so long
            self._owner.settle(self)

    def connection_lost(self, error: Exception | None) -> None:
        reason = "EOF" if error is None else f"read: {error}"
        if isinstance(error, OSError):
            reason = f"read: {reason_of(error)}"
        failure = self.failure(reason)
        self._transport = None
        self._buffer = b""
        if not self._is_over:
            self.fail(failure)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while len(buffer) - at >= 2:
            start = at + 2
            end = start + int.from_bytes(buffer[at:start], "big")
            if len(buffer) < end:
                break
            self._take(buffer[start:end])
            at = end
        self._buffer = buffer[at:]

    def _take(self, octets: bytes) -> None:
        """One message of the upstream."""
        attempt = self.attempts.get(octets[:2])
        found = None
        if attempt is not None:
            try:
                found = reply_to(attempt.asked, octets)
            except MalformedMessage as error:
                del self.attempts[attempt.id]
                attempt.failed(self.failure(f"no usable reply: {error}"))
                self._owner.retire(self)
                return
        if attempt is None or found is None:
            figures.ignored_replies.add(self._owner.target.address)
            return
        self._has_replied = True
        del self.attempts[attempt.id]
        attempt.replied(found)
        if not self.attempts:
            self._owner.settle(self)
