"""Upstreams that answer by a script and remember what they were asked.

Each server under comparison has upstreams of its own, all of one script: what they were asked is
compared as well as what the client got.
"""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.oracle.answers import Opt, opt_of
from tests.ports import free_port
from tests.streams import listening

RA = int(dns.flags.RA)
Mangle = Callable[[bytes], list[bytes]]


@dataclass(frozen=True)
class Said:
    """What is replied; records are lines of a master file, where @ is the name as it was asked."""

    answer: str = ""
    authority: str = ""
    additional: str = ""
    rcode: str = "NOERROR"
    flags: int = RA  # beside QR, and the RD and CD of the query
    edns: bytes | None = None  # rdata of an OPT record of size 1400; None: there is none
    mangle: Mangle | None = None  # what is sent instead of the octets
    after_s: float = 0.0
    only: str = ""  # a transport, the other one gets no reply


SILENT = Said(mangle=lambda octets: [])
Script = Mapping[str, Said]  # by the first label up to a dash; "" for all others


class Seen(NamedTuple):
    """One query as an upstream saw it, id apart."""

    name: str
    qtype: str
    qclass: int
    flags: str
    opt: Opt | None
    transport: str


class Key(NamedTuple):
    """All of a question that decides what a cache has for it."""

    name: str  # in lower case
    qtype: int
    qclass: int
    is_unchecked: bool  # CD
    is_secure: bool  # DO


@dataclass
class Upstream:
    """One upstream on a port of its own.

    replied: the monotonic second of each reply. heard: that of each query, with its name.
    """

    script: Script
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    replied: dict[Key, list[float]] = field(default_factory=dict)
    heard: list[tuple[float, str]] = field(default_factory=list)
    connections: int = 0  # so many were opened

    def replies(self, octets: bytes, transport: str) -> tuple[float, list[bytes]]:
        """When, and what: none, one or several messages."""
        try:
            query = dns.message.from_wire(octets, ignore_trailing=True)
        except Exception:  # whatever it was, it is told
            self.seen.append(Seen(octets.hex(), "unreadable", 0, "", None, transport))
            return 0.0, []
        asked = query.question[0]
        kind = dns.rdatatype.to_text(asked.rdtype)
        flags = dns.flags.to_text(query.flags)
        seen = Seen(str(asked.name), kind, int(asked.rdclass), flags, opt_of(query), transport)
        self.seen.append(seen)
        self.heard.append((time.monotonic(), seen.name.lower()))
        label = str(asked.name).lower().partition(".")[0].partition("-")[0]
        said = self.script.get(f"{label} {kind}") or self.script.get(label) or self.script[""]
        if said.only and said.only != transport:
            return 0.0, []
        made = _message(query, said)
        self.replied.setdefault(_key(query), []).append(time.monotonic() + said.after_s)
        return said.after_s, said.mangle(made) if said.mangle else [made]

    def asked(self) -> list[Seen]:
        """What clients made it be asked: health checks and probes of `loop` apart."""
        return [s for s in self.seen if s.name != "." and s.qtype != "HINFO"]


def _key(query: dns.message.Message) -> Key:
    asked = query.question[0]
    is_unchecked = bool(query.flags & dns.flags.CD)
    is_secure = bool(query.ednsflags & dns.flags.DO)
    name = str(asked.name).lower()
    return Key(name, int(asked.rdtype), int(asked.rdclass), is_unchecked, is_secure)


def _message(query: dns.message.Message, said: Said) -> bytes:
    asked = query.question[0]
    reply = dns.message.Message(query.id)
    kept = query.flags & (dns.flags.RD | dns.flags.CD)
    reply.flags = dns.flags.Flag(int(dns.flags.QR) | int(kept) | said.flags)
    reply.question = list(query.question)
    reply.set_rcode(dns.rcode.from_text(said.rcode))
    parts = (said.answer, said.authority, said.additional)
    for section, text in zip((reply.answer, reply.authority, reply.additional), parts, strict=True):
        section += [_rrset(line.replace("@", str(asked.name))) for line in text.splitlines()]
    octets = reply.to_wire(max_size=65535)
    if said.edns is None:
        return octets
    opt = struct.pack("!BHHIH", 0, 41, 1400, 0, len(said.edns)) + said.edns
    count = int.from_bytes(octets[10:12]) + 1
    return octets[:10] + count.to_bytes(2) + octets[12:] + opt


def _rrset(line: str) -> dns.rrset.RRset:
    owner, ttl, kind, data = line.split(None, 3)
    return dns.rrset.from_text(owner, int(ttl), "IN", kind, data)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        after_s, octets = self._upstream.replies(data, "udp")
        asyncio.get_running_loop().call_later(after_s, self._send, octets, addr)

    def _send(self, octets: list[bytes], addr: tuple[str, int]) -> None:
        for one in octets:
            self._transport.sendto(one, addr)


async def _stream(
    upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    upstream.connections += 1
    while True:
        size = int.from_bytes(await reader.readexactly(2))
        after_s, octets = upstream.replies(await reader.readexactly(size), "tcp")
        await asyncio.sleep(after_s)
        writer.writelines(len(one).to_bytes(2) + one for one in octets)


@asynccontextmanager
async def upstream(script: Script) -> AsyncIterator[Upstream]:
    """An upstream on 127.0.0.1, over UDP and TCP."""
    made = Upstream(script, free_port())
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", made.port)
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(made), address)
    try:
        async with listening(partial(_stream, made), *address):
            yield made
    finally:
        transport.close()
