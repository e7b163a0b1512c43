"""UDP to one upstream: sockets with random ports, few queries on each."""

import asyncio
import random
import socket

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import MalformedMessage, UpstreamError
from clusterdns.plugins.forward import figures
from clusterdns.plugins.forward.attempt import Attempt, Ids
from clusterdns.plugins.forward.exchange import reply_to
from clusterdns.plugins.forward.pool import Pool
from clusterdns.plugins.forward.targets import Target, reason_of

MOST_OCTETS = 65535
SOCKETS = 8  # open at a time, one of them chosen at random for each query
# A socket carries so many queries, and at most as many more: then its port is another. Opening one
# costs 20 microseconds, so a query pays a fraction of one for its port to be worth nothing soon.
USES = 64
FEW = 32  # under way on one socket; with more another one is opened, up to MOST
MOST = 64  # sockets, so that a silent upstream cannot take every file there is
DRAIN_LIMIT = 32  # datagrams a wake-up and socket


class Datagrams(Pool["Socket"]):
    """The sockets to one upstream. Each is connected: the kernel drops what others send to it, and
    tells at once of a host or port that is not there."""

    def __init__(
        self, target: Target, source: str | None, expire_s: float, most_idle: int, ids: Ids
    ) -> None:
        """source: the address to send from; None: the kernel's choice.

        expire_s: how long a socket may be idle. most_idle: sockets that are kept; 0: SOCKETS.
        """
        super().__init__(expire_s)
        self.target = target
        self._source = source
        self._usual = min(most_idle or SOCKETS, SOCKETS)
        self.ids = ids
        self._retired: set[Socket] = set()  # those that only wait for replies
        self._counted = figures.Connections(target.address, "udp")

    def send(self, attempt: Attempt, now: float) -> None:
        """Sends a question. Raises UpstreamError if that is not possible."""
        sock = self._choose(now)
        try:
            sock.send(attempt, now)
        except OSError as error:
            self.retire(sock)
            if (
                sock.attempts
            ):  # what it says is of these: the network tells it once, to whoever asks
                asyncio.get_running_loop().call_soon(sock.fail, f"read: {reason_of(error)}")
            raise sock.failure(f"write: {reason_of(error)}", "write") from error
        if self.is_stopped:
            self.retire(sock)

    def retire(self, one: "Socket") -> None:
        if not one.is_retired:
            one.is_retired = True
            self._open.remove(one)
            self._retired.add(one)
        if not one.attempts:
            self._retired.discard(one)
            one.close()

    def close(self) -> None:
        """Closes at once; what is under way fails."""
        self.stop()
        for sock in list(self._retired):
            sock.fail("the server stops")

    def _choose(self, now: float) -> "Socket":
        while len(self._open) >= self._usual:
            # Ports are the secret, and the kernel's; which of them is none, and this is fast.
            sock = self._open[int(random.random() * len(self._open))]
            if len(sock.attempts) >= FEW and len(self._open) < MOST:
                break
            if sock.attempts or now - sock.used < self.expire_s:
                self._counted.hit()
                return sock
            self.retire(sock)
        self._counted.miss()
        return self._new()

    def _new(self) -> "Socket":
        """Raises UpstreamError if there cannot be one."""
        target = self.target
        sock = socket.socket(target.family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if self._source is not None:
                sock.bind((self._source, 0))
            sock.connect((target.host, target.port))
        except (OSError, OverflowError) as error:
            sock.close()
            text = f"dial udp {target.address}: connect: {reason_of(error)}"
            raise UpstreamError(text) from error
        found = Socket(self, sock, USES + self.ids.below(USES))
        self._keep(found)
        return found


class Socket:
    """One port of ours, and the queries under way from it.

    used: monotonic second of the last one. is_retired: there will be no more.
    """

    __slots__ = ("_left", "_owner", "_receive", "_sock", "attempts", "is_retired", "used")

    def __init__(self, owner: Datagrams, sock: socket.socket, uses: int) -> None:
        """uses: how many queries it may carry."""
        self._owner = owner
        self._sock = sock
        self._receive = sock.recv
        self._left = uses
        self.attempts: dict[bytes, Attempt] = {}  # by id
        self.used = 0.0
        self.is_retired = False
        asyncio.get_running_loop().add_reader(sock, self._readable)

    def send(self, attempt: Attempt, now: float) -> None:
        """Sends a question under an id of its own. Raises OSError; it is forgotten then."""
        ids, attempts = self._owner.ids, self.attempts
        while (id := ids.next()) in attempts:
            pass
        self._sock.send(id + attempt.asked.rest)
        attempts[id] = attempt
        attempt.id = id
        attempt.home = self
        self.used = now
        self._left -= 1
        if not self._left:
            self._owner.retire(self)

    def leave(self, attempt: Attempt, is_late: bool) -> None:
        """Forgets a question. After a late one the port is another: one that leads nowhere, as by
        a stale entry of a connection tracker, is not used again."""
        self.attempts.pop(attempt.id, None)
        if is_late:
            self._owner.retire(self)
        self._settle()

    def failure(self, reason: str, what: str = "read") -> UpstreamError:
        try:
            ours = host_and_port(*self._sock.getsockname()[:2])
        except OSError:
            ours = ""
        return UpstreamError(f"{what} udp {ours}->{self._owner.target.address}: {reason}")

    def fail(self, reason: str) -> None:
        """Ends every question under way, and the socket."""
        error = self.failure(reason)
        attempts, self.attempts = list(self.attempts.values()), {}
        self._owner.retire(self)
        for attempt in attempts:
            attempt.failed(error)

    def close(self) -> None:
        """Closes; may be called again."""
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()

    def _readable(self) -> None:
        attempts = self.attempts
        for _ in range(DRAIN_LIMIT):
            try:
                octets = self._receive(MOST_OCTETS)
            except BlockingIOError:
                return
            except OSError as error:  # what the network told of an earlier datagram
                self.fail(f"read: {reason_of(error)}")
                return
            attempt = attempts.get(octets[:2])
            if attempt is None:
                figures.ignored_replies.add(self._owner.target.address)
                continue
            try:
                found = reply_to(attempt.asked, octets)
            except MalformedMessage as error:
                del attempts[attempt.id]
                attempt.failed(self.failure(f"no usable reply: {error}"))
                found = None
            else:
                if found is None:
                    figures.ignored_replies.add(self._owner.target.address)
                    continue
                del attempts[attempt.id]
                attempt.replied(found)
            if not attempts:  # nothing more to come: the look that finds nothing is saved
                break
        self._settle()

    def _settle(self) -> None:
        """Closes, if nothing is under way and nothing will be."""
        if not self.attempts and (self.is_retired or self._owner.expire_s <= 0):
            self._owner.retire(self)
