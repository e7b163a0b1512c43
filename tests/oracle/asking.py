"""Asks a server many questions at once, over UDP or one TCP connection; replies as octets."""

import asyncio
import struct
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import dns.name
import dns.rdatatype

from tests.oracle.ages import Span

WINDOW = 48  # queries under way at once: less than any server's socket buffer holds
PATIENCE_S = 1.5  # for a reply; a server on loopback needs milliseconds
RD = 0x0100  # RFC 1035 section 4.1.1
TRIES = 2  # UDP: sent again once, so that one lost datagram is not a difference


class Edns(NamedTuple):
    """The OPT record of a query."""

    size: int = 1232
    flags: int = 0
    version: int = 0
    options: bytes = b""  # RDATA


class Question(NamedTuple):
    """A question as it is sent."""

    name: str  # absolute; presentation form
    qtype: int
    tcp: bool = False
    edns: Edns | None = None
    qclass: int = 1
    flags: int = RD

    def __str__(self) -> str:
        kind = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.qtype))
        words = [self.name, kind, "TCP" if self.tcp else "UDP"]
        words += [f"class {self.qclass}"] * (self.qclass != 1)
        words += [f"flags {self.flags:04x}"] * (self.flags != RD)
        return " ".join([*words, str(self.edns)] if self.edns else words)

    def octets(self) -> bytes:
        """The query, with id 0."""
        head = struct.pack("!6H", 0, self.flags, 1, 0, 0, int(self.edns is not None))
        asked = _wire(self.name) + struct.pack("!2H", self.qtype, self.qclass)
        return head + asked + (opt_record(self.edns) if self.edns else b"")


def opt_record(edns: Edns) -> bytes:
    """RFC 6891 section 6.1.2."""
    fixed = struct.pack(
        "!BHHBBHH", 0, 41, edns.size, 0, edns.version, edns.flags, len(edns.options)
    )
    return fixed + edns.options


class Replies(NamedTuple):
    """What came back for each query, in order, and when it was asked and answered; None: nothing
    came."""

    octets: list[bytes | None]
    spans: list[Span]
    client_port: int


async def ask(
    port: int, queries: Sequence[bytes], *, tcp: bool, patience_s: float = PATIENCE_S
) -> Replies:
    """Sends the queries to 127.0.0.1 with ids of our own; a reply keeps the id 0 here."""
    exchange = await (_Tcp if tcp else _Udp).open(port)
    slots = asyncio.Semaphore(WINDOW)

    async def tried(number: int, query: bytes) -> bytes | None:
        for _ in range(1 if tcp else TRIES):
            try:
                async with asyncio.timeout(patience_s):
                    return await exchange.exchange(number & 0xFFFF, query)
            except TimeoutError:
                continue
        return None

    async def one(number: int, query: bytes) -> tuple[bytes | None, Span]:
        async with slots:
            begin = time.monotonic()
            return await tried(number, query), Span(begin, time.monotonic())

    try:
        found = await asyncio.gather(*(one(n, query) for n, query in enumerate(queries)))
    finally:
        await exchange.close()
    return Replies([reply for reply, _ in found], [span for _, span in found], exchange.client_port)


class _Exchange:
    """Queries under way, by id. The window is far smaller than the number of ids."""

    client_port: int

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    async def exchange(self, number: int, query: bytes) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self.send(struct.pack("!H", number) + query[2:])
        try:
            return await future
        finally:
            del self._waiting[number]

    def send(self, query: bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def received(self, octets: bytes) -> None:
        future = self._waiting.get(int.from_bytes(octets[:2]))
        if future is not None and not future.done():
            future.set_result(b"\0\0" + octets[2:])


class _Udp(_Exchange, asyncio.DatagramProtocol):
    @classmethod
    async def open(cls, port: int) -> "_Udp":
        loop = asyncio.get_running_loop()
        address = ("127.0.0.1", port)
        transport, exchange = await loop.create_datagram_endpoint(cls, remote_addr=address)
        exchange._transport = transport
        exchange.client_port = transport.get_extra_info("sockname")[1]
        return exchange

    def __init__(self) -> None:
        super().__init__()
        self._transport: asyncio.DatagramTransport

    def send(self, query: bytes) -> None:
        self._transport.sendto(query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.received(data)

    async def close(self) -> None:
        self._transport.close()


class _Tcp(_Exchange):
    @classmethod
    async def open(cls, port: int) -> "_Tcp":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._writer = writer
        self.client_port = writer.get_extra_info("sockname")[1]
        self._reading = asyncio.create_task(self._read(reader))

    def send(self, query: bytes) -> None:
        self._writer.write(struct.pack("!H", len(query)) + query)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                self.received(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # what is still waited for gets no reply

    async def close(self) -> None:
        self._writer.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@lru_cache(maxsize=20_000)
def _wire(name: str) -> bytes:
    found = dns.name.from_text(name).to_wire()
    assert found is not None
    return found
