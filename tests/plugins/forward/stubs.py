"""Upstreams on loopback that behave as they are told, and what asks them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from clusterdns.plugins.forward import Forward
from clusterdns.plugins.query import Reply
from tests.plugins.asking import Next, parsed, query
from tests.ports import free_port
from tests.streams import listening

HOST = "127.0.0.1"
ADDRESS = "192.0.2.1"


@dataclass
class Asked:
    """One query that came in: what, by which transport, from which port and address."""

    message: dns.message.Message
    octets: bytes
    transport: str
    port: int
    host: str = ""

    @property
    def name(self) -> str:
        return self.message.question[0].name.to_text()


# Octets to send, in their order; none for silence.
Behaviour = Callable[[Asked], Iterable[bytes]]


def reply(asked: Asked, *records: str, rcode: int = 0, flags: int = 0) -> bytes:
    """The right reply, with records in master-file text; an address unless some are given."""
    message = dns.message.make_response(asked.message, recursion_available=True)
    message.flags |= flags
    message.set_rcode(dns.rcode.Rcode(rcode))
    if not rcode and not records:
        records = (f"{asked.name} 30 IN A {ADDRESS}",)
    for record in records:
        if record:
            name, ttl, rclass, rtype, data = record.split(None, 4)
            message.answer.append(dns.rrset.from_text(name, int(ttl), rclass, rtype, data))
    return message.to_wire(max_size=65535)


def right(asked: Asked) -> list[bytes]:
    return [reply(asked)]


def silent(asked: Asked) -> list[bytes]:
    return []


def with_rcode(rcode: int) -> Behaviour:
    return lambda asked: [reply(asked, rcode=rcode)]


def with_address(text: str) -> Behaviour:
    return lambda asked: [reply(asked, f"{asked.name} 30 IN A {text}")]


def truncating(asked: Asked) -> list[bytes]:
    """TC by UDP, all by TCP."""
    if asked.transport == "udp":
        return [reply(asked, "", flags=dns.flags.TC)]
    return [reply(asked)]


@dataclass
class Stub:
    """A server on a port of its own, UDP and TCP.

    closes_after: each connection is closed behind so many replies.
    """

    behave: Behaviour = right
    closes_after: int | None = None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    held: asyncio.Event | None = None  # replies by TCP wait for it

    def names(self) -> list[str]:
        return [each.name for each in self.asked]

    def take(self, octets: bytes, transport: str, peer: tuple[str, int]) -> list[bytes]:
        """peer: address and port, and more of IPv6."""
        asked = Asked(dns.message.from_wire(octets), octets, transport, peer[1], peer[0])
        self.asked.append(asked)
        return list(self.behave(asked))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, stub: Stub) -> None:
        self.stub = stub

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        for octets in self.stub.take(data, "udp", peer):
            self.transport.sendto(octets, peer)


@asynccontextmanager
async def upstream(
    behave: Behaviour = right,
    *,
    closes_after: int | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = HOST,
) -> AsyncIterator[Stub]:
    """Runs a stub until the block ends."""
    stub = Stub(behave, closes_after)
    loop = asyncio.get_running_loop()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stub.connections += 1
        peer = writer.get_extra_info("peername")
        replies = 0
        while True:
            size = int.from_bytes(await reader.readexactly(2), "big")
            for octets in stub.take(await reader.readexactly(size), "tcp", peer):
                if stub.held:
                    await stub.held.wait()
                writer.write(len(octets).to_bytes(2, "big") + octets)
                replies += 1
                if replies == stub.closes_after:
                    return

    async with listening(connected, host, free_port(host), tls) as stub.port:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(stub), local_addr=(host, stub.port)
        )
        try:
            yield stub
        finally:
            transport.close()


@asynccontextmanager
async def forwarding(
    *lines: str, options: str = "", to: Iterable[Stub] = ()
) -> AsyncIterator[Forward]:
    """A `forward` of these lines, or of all names to these stubs, closed at the end."""
    if not lines:
        addresses = " ".join(f"{HOST}:{each.port}" for each in to)
        lines = (f"forward . {addresses} {{\n {options}\n}}",)
    plugin = parsed("\n".join(lines))
    assert isinstance(plugin, Forward)
    try:
        yield plugin
    finally:
        await plugin.close()


async def ask(plugin: Forward, name: str = "example.org.", **changed: object) -> Reply:
    """What it replies, with nobody behind it."""
    found = await plugin.resolve(query(name, **changed), Next())  # type: ignore[arg-type]
    assert found is not None
    return found


def addresses(found: Reply) -> list[str]:
    return [str(record.rdata) for record in found.answer]


def option(code: int, data: bytes) -> dns.edns.Option:
    """An EDNS option of dnspython's."""
    return dns.edns.GenericOption(dns.edns.OptionType.make(code), data)
