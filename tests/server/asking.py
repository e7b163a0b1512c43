"""Queries as octets, and the two ways to ask: without sockets, and over UDP and TCP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import dns.message
import dns.rdatatype

from clusterdns.server.answers import Answers
from clusterdns.server.block import Router
from clusterdns.server.relay import Relay
from clusterdns.server.respond import Responder
from clusterdns.server.steps import Steps
from clusterdns.server.underway import UnderWay
from clusterdns.wire.question import Question
from tests.server.toys import ZONE

CLIENT = ("192.0.2.7", 40212)
LOCAL = ("127.0.0.1", 53)
ID = 0x1234
NOW = 1000.0  # monotonic seconds

RD, AD, CD = 0x0100, 0x0020, 0x0010  # header bits
DO = 0x8000

WAIT_S = 5.0  # for what must come
SILENCE_S = 0.05  # in which what must not come would have come over loopback


def opt(size: int = 1232, *, do: bool = False, version: int = 0, options: bytes = b"") -> bytes:
    """An OPT record, RFC 6891 section 6.1.2."""
    fixed = b"\0\0\x29" + size.to_bytes(2, "big") + bytes([0, version])
    return fixed + (DO * do).to_bytes(2, "big") + len(options).to_bytes(2, "big") + options


def option(code: int, data: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def query(
    name: str = f"a.{ZONE}",
    qtype: str = "A",
    *,
    id: int = ID,
    flags: int = RD,
    qclass: int = 1,
    opt: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """A query as a stub resolver sends it. opt: the OPT record. more: octets behind the message."""
    header = id.to_bytes(2, "big") + flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0"
    question = Question.of(name, 0).name + int(dns.rdatatype.from_text(qtype)).to_bytes(2, "big")
    return header + bytes([bool(opt)]) + question + qclass.to_bytes(2, "big") + opt + more


def read(reply: bytes | None) -> dns.message.Message:
    """A reply as dnspython has it, every record by itself, in the order sent."""
    assert reply is not None
    return dns.message.from_wire(reply, one_rr_per_rrset=True)


def texts(reply: bytes | None, section: str = "answer") -> list[str]:
    """A section as master-file text, in its order."""
    return [rrset.to_text() for rrset in getattr(read(reply), section)]


class Path:
    """Octets in, octets out, as a socket would have it: known answers first, then what is answered
    at once (not over TCP), else all plugins."""

    def __init__(
        self, router: Router, transport: str = "udp", hot: int = 100, cold: int = 100
    ) -> None:
        self.answers = Answers(hot, cold)
        self._transport = transport
        self.responder = Responder(router, self.answers, transport, LOCAL)
        self.relay = Relay(self.responder, self.answers, UnderWay())
        self.was_raw = False  # whether the last reply was found by the query's octets
        self.was_relayed = False  # whether it did not take the full path

    def ask(self, octets: bytes, now: float = NOW) -> bytes | None:
        """The reply; None for none. Nothing may wait here."""
        reply = self.answers.reply(octets, now)
        self.was_raw, self.was_relayed = reply is not None, False
        if reply is not None:
            return reply
        sent: list[bytes | None] = []
        self.was_relayed = self._transport == "udp" and self.relay.takes(
            octets, CLIENT, sent.append, now
        )
        if self.was_relayed:
            [reply] = sent
            return reply
        found = self.responder.respond(octets, CLIENT, now)
        assert not isinstance(found, Steps)
        return found


class UdpClient:
    """Datagrams to one address and back."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            await asyncio.get_running_loop().sock_sendall(self._sock, datagram)

    async def receive(self, seconds: float = WAIT_S) -> bytes:
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().sock_recv(self._sock, 65535)

    async def ask(self, datagram: bytes) -> bytes:
        await self.send(datagram)
        return await self.receive()


@asynccontextmanager
async def udp(address: tuple[str, int]) -> AsyncIterator[UdpClient]:
    """A client whose replies must come from the very address that it asks."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        yield UdpClient(sock)


def framed(*messages: bytes) -> bytes:
    """Messages as they go over a stream, RFC 1035 section 4.2.2."""
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


class TcpClient:
    """Messages over one stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *messages: bytes) -> None:
        """All in one write."""
        await self.send_raw(framed(*messages))

    async def send_raw(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def receive(self, seconds: float = WAIT_S) -> bytes:
        async with asyncio.timeout(seconds):
            length = int.from_bytes(await self.reader.readexactly(2), "big")
            return await self.reader.readexactly(length)

    async def ask(self, message: bytes) -> bytes:
        await self.send(message)
        return await self.receive()

    async def rest(self, seconds: float = WAIT_S) -> bytes:
        """What comes until the server closes; b"" also for a reset."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def tcp(address: tuple[str, int]) -> AsyncIterator[TcpClient]:
    reader, writer = await asyncio.open_connection(*address)
    client = TcpClient(reader, writer)
    try:
        yield client
    finally:
        client.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
