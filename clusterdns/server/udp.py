"""Drains datagrams: finished answers first, else the full path."""

import asyncio
import logging
import socket
import time
from functools import partial

from clusterdns import metrics
from clusterdns.server.answers import Answers
from clusterdns.server.relay import Relay
from clusterdns.server.respond import Responder
from clusterdns.server.source import SPACE, Ancillary, needs_source, reply_source
from clusterdns.server.steps import Steps
from clusterdns.server.underway import Send, UnderWay

# Octets read. Queries hold one question and an OPT record, with a TSIG and padding at most; what is
# longer is cut, does not parse then, and is FORMERR.
MAX_QUERY = 4096
DRAIN_LIMIT = 64  # datagrams a wake-up, so that TCP, watches and timers get their turn

log = logging.getLogger(__name__)


class Udp:
    """The datagrams of one socket.

    relay: takes what goes to an upstream and back as octets.
    last_query: monotonic second of the last wake-up by datagrams; 0.0: none yet.
    """

    def __init__(
        self, sock: socket.socket, answers: Answers, responder: Responder, under_way: UnderWay
    ) -> None:
        self._sock = sock
        self._answers = answers
        self._responder = responder
        self._under_way = under_way
        self.relay = Relay(responder, answers, under_way)
        self.last_query = 0.0
        self._others, self._others_s = 0, 0.0  # queries of this wake-up that were no hits, and time
        self._drain = self._drain_with_source if needs_source(sock) else self._drain_plain

    async def serve(self, stopping: asyncio.Event) -> None:
        """Answers until `stopping`, then what has arrived by then. The socket stays open, for the
        queries that wait."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._sock, self._drain)
        try:
            await stopping.wait()
        finally:
            loop.remove_reader(self._sock)
            self._drain()

    def _drain_plain(self) -> None:
        """Answers what has arrived; the kernel chooses the address that replies come from."""
        self.last_query = now = time.monotonic()
        receive, send, known = self._sock.recvfrom, self._sock.sendto, self._answers.reply
        for received in range(DRAIN_LIMIT):
            try:
                query, peer = receive(MAX_QUERY)
            except BlockingIOError:
                self._count(received, now)
                return
            except OSError as error:
                _not_received(error)
                self._others += 1
                continue
            if (reply := known(query, now)) is None:
                self._ask(query, peer[:2], partial(self._send, peer), now)
                continue
            try:
                send(reply, peer)
            except OSError as error:
                _not_sent(error)
        self._count(DRAIN_LIMIT, now)

    def _drain_with_source(self) -> None:
        """Answers what has arrived, each from the address that it was sent to: 0.8 microseconds
        more than to leave that to the kernel."""
        self.last_query = now = time.monotonic()
        receive, known = self._sock.recvmsg, self._answers.reply
        for received in range(DRAIN_LIMIT):
            try:
                query, info, _, peer = receive(MAX_QUERY, SPACE)
            except BlockingIOError:
                self._count(received, now)
                return
            except OSError as error:
                _not_received(error)
                self._others += 1
                continue
            source = reply_source(info)
            if (reply := known(query, now)) is None:
                self._ask(query, peer[:2], partial(self._send_from, source, peer), now)
            else:
                self._send_from(source, peer, reply)
        self._count(DRAIN_LIMIT, now)

    def _count(self, received: int, began: float) -> None:
        """Has the hits of a wake-up counted with its time, less what the others of it took."""
        if hits := received - self._others:
            self._answers.tally.batch(hits, time.monotonic() - began - self._others_s)
        self._others, self._others_s = 0, 0.0

    def _ask(self, query: bytes, peer: tuple[str, int], send: Send, now: float) -> None:
        """Takes the full path."""
        began = time.monotonic()
        self._others += 1
        if self._under_way.full:
            metrics.overload_drops.add("udp")
            return
        client = peer[0].partition("%")[0], peer[1]  # without the scope of a link-local address
        if not self.relay.takes(query, client, send, now):
            reply = self._responder.respond(query, client, now)
            if isinstance(reply, Steps):
                self._under_way.add(reply, send)
            else:
                send(reply)
        self._others_s += time.monotonic() - began

    def _send(self, peer: tuple[str, int], reply: bytes | None) -> None:
        if reply is None:
            return
        try:
            self._sock.sendto(reply, peer)
        except OSError as error:
            _not_sent(error)

    def _send_from(self, source: Ancillary, peer: tuple[str, int], reply: bytes | None) -> None:
        if reply is None:
            return
        try:
            self._sock.sendmsg([reply], source, 0, peer)
        except OSError as error:
            _not_sent(error)


def _not_received(error: OSError) -> None:
    """An ICMP error for what was sent before, or the kernel is short of memory: the next one."""
    log.debug("receiving a datagram: %s", error)


def _not_sent(error: OSError) -> None:
    """The buffer is full, no route, a packet filter, port 0: the client asks again or is none."""
    metrics.send_failures.add("udp")
    log.debug("sending a datagram: %s", error)
