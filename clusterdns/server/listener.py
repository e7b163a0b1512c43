"""One address and port: its sockets, its server blocks and its finished answers."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import ConfigError, Place
from clusterdns.server.answers import Answers
from clusterdns.server.block import Router
from clusterdns.server.certificates import Following
from clusterdns.server.counting import Tally
from clusterdns.server.respond import Responder
from clusterdns.server.sockets import Bound, bind
from clusterdns.server.source import loopback_socket
from clusterdns.server.tcp import Tcp, TcpLimits
from clusterdns.server.udp import Udp
from clusterdns.server.underway import STOP_S, UnderWay
from clusterdns.zone.index import Key


class Listener:
    """Answers over UDP and TCP. First `open`, then `serve`, which closes.

    address: as configured; "" is the wildcard, IPv4 and IPv6.
    port: as configured; 0 until `open` has found a free one.
    """

    def __init__(
        self,
        address: str,
        port: int,
        router: Router,
        limits: TcpLimits | None = None,
        place: Place | None = None,
        tls: Following | None = None,
    ) -> None:
        """limits: of TCP connections (`timeouts`). place: to be named when it cannot be bound.

        tls: for DNS over TLS (RFC 7858) instead of UDP and TCP.
        """
        self.address = address
        self.port = port
        self._router = router
        self._limits = limits or TcpLimits()
        self._place = place
        self.tls = tls
        self._bound: list[Bound] = []
        self._loopback: list[socket.socket] = []
        self._answers: list[Answers] = []  # of each socket
        self._under_way = UnderWay()
        self._responders: list[Responder] = []
        self._udp: list[Udp] = []
        self._tcp: list[Tcp] = []

    @property
    def last_query(self) -> float:
        """Monotonic second in which the last query came in; 0.0: none yet."""
        udp = [each.last_query for each in self._udp]
        return max(udp + [each.last_query for each in self._tcp], default=0.0)

    @property
    def hits(self) -> int:
        """How many queries were answered without asking a plugin."""
        return sum(answers.hits for answers in self._answers)

    @property
    def server(self) -> str:
        """What metrics call it, CoreDNS's way: dns://:53 on the wildcard, dns://[fd00::a]:53."""
        return f"{'tls' if self.tls else 'dns'}://{host_and_port(self.address, self.port)}"

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """What it listens on: "0.0.0.0" and "::" for the wildcard, as far as the host has them."""
        return [(bound.address, bound.port) for bound in self._bound]

    def open(self) -> None:
        """Binds. Queries wait in the kernel until `serve`. Raises ConfigError if it cannot."""
        if self.tls is not None:
            open_keylog(self.tls, self._place)
        self._bound = bind(self.address, self.port, self._place, with_udp=self.tls is None)
        self.port = self._bound[0].port
        for bound in self._bound:
            self._add(bound)

    def close(self) -> None:
        """Closes the sockets of a listener that does not serve (any more)."""
        for bound in self._bound:
            bound.close()
        for sock in self._loopback:
            sock.close()

    async def serve(self, stopping: asyncio.Event) -> None:
        """Answers until `stopping`. Queries that wait are finished then, for up to 5 seconds."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for udp in self._udp:
                    tasks.create_task(udp.serve(stopping))
                for tcp in self._tcp:
                    tasks.create_task(tcp.serve(stopping))
        finally:
            await self._under_way.finish(STOP_S)
            await asyncio.gather(*[tcp.close() for tcp in self._tcp])
            self.close()
            for tell in self.tells():
                tell()

    def tells(self) -> Iterator[Callable[[], None]]:
        """Each adds to the metrics what came in by one of the sockets since the last time."""
        return (answers.tell for answers in self._answers)

    def passed(self) -> Iterator[tuple[str, str, str, str]]:
        """Server, zone, view and directive of all that queries pass in blocks that are counted."""
        for block in self._router.blocks:
            if block.listed is not None:
                for name in block.chain:
                    yield self.server, block.listed, block.view, name

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops exactly the finished answers that rest on one of these keys."""
        keys = set(keys)
        for answers in self._answers:
            answers.forget(keys)

    def route(
        self, router: Router, limits: TcpLimits | None = None, tls: Following | None = None
    ) -> None:
        """Answers by these blocks from now on; queries under way stay with those they came to.

        limits, tls: of connections from now on; None: as before.
        """
        self._router = router
        if self.tls is not None and tls is not None:
            self.tls.exchange(tls)
        for tcp in self._tcp:
            tcp.limits = limits or tcp.limits
        for responder in self._responders:
            responder.router = router
        for udp in self._udp:
            udp.relay.route(router)
        for answers in self._answers:
            answers.clear()

    def _add(self, bound: Bound) -> None:
        local = (bound.address, bound.port)
        family = "2" if bound.tcp.family == socket.AF_INET6 else "1"
        if bound.udp is not None:
            self._add_udp(bound.udp, local, family)
        answers = Answers(tally=Tally(self.server, "tcp", family))
        responder = Responder(self._router, answers, "tls" if self.tls else "tcp", local)
        self._answers.append(answers)
        self._responders.append(responder)
        if self.tls is None:
            self._tcp.append(Tcp(bound.tcp, answers, responder, self._under_way, self._limits))
            return
        from clusterdns.server.tls import Tls

        self._tcp.append(
            Tls(bound.tcp, answers, responder, self._under_way, self._limits, self.tls)
        )

    def _add_udp(self, sock: socket.socket, local: tuple[str, int], family: str) -> None:
        answers = Answers(tally=Tally(self.server, "udp", family))
        responder = Responder(self._router, answers, "udp", local)
        self._answers.append(answers)
        self._responders.append(responder)
        self._udp.append(Udp(sock, answers, responder, self._under_way))
        if (loopback := loopback_socket(sock)) is not None:
            self._loopback.append(loopback)
            self._udp.append(Udp(loopback, answers, responder, self._under_way))


def open_keylog(tls: Following, place: Place | None) -> None:
    """Begins to write the secrets of connections, if `tls` says so. Raises ConfigError."""
    try:
        tls.open()
    except OSError as error:
        raise ConfigError(f"keylog {error.filename}: {error.strerror}", place) from error
