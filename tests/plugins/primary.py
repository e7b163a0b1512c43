"""For tests of `secondary`: a primary server that does as it is told, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from clusterdns.plugins.base import Setup
from clusterdns.plugins.query import Reply
from clusterdns.plugins.secondary import Secondary, follower
from tests.beside import beside
from tests.plugins.asking import Next, parsed, query, texts
from tests.streams import listening

ZONE = """\
@ 300 SOA ns admin {serial} {refresh} {retry} {expire} 60
@ 300 NS ns
a 300 A 10.0.0.{serial}
{more}
"""
AXFR, SOA = dns.rdatatype.AXFR, dns.rdatatype.SOA


class Master:
    """A primary server on TCP, which does as it is told.

    zone: text of example.org; None: REFUSED. asked: the types that it was asked for.
    spoil: changes the messages of a transfer.
    """

    def __init__(self) -> None:
        self.serial = 1
        self.refresh, self.retry, self.expire = 3600, 600, 86400
        self.more = ""
        self.origin = "example.org."
        self.serves = True
        self.asked: list[str] = []
        self.spoil: Callable[[list[bytes]], list[bytes]] = lambda sent: sent
        self.port = 0

    def text(self) -> str:
        return ZONE.format(
            serial=self.serial,
            refresh=self.refresh,
            retry=self.retry,
            expire=self.expire,
            more=self.more,
        )

    def zone(self) -> dns.zone.Zone:
        return dns.zone.from_text(self.text(), self.origin, relativize=False)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = int.from_bytes(await reader.readexactly(2), "big")
            asked = dns.message.from_wire(await reader.readexactly(size))
            self.asked.append(dns.rdatatype.to_text(asked.question[0].rdtype))
            for octets in self.replies(asked):
                writer.write(len(octets).to_bytes(2, "big") + octets)
            await writer.drain()

    def replies(self, asked: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.AA
        name, rtype = asked.question[0].name, asked.question[0].rdtype
        if not self.serves or name.to_text() != self.origin:
            reply.set_rcode(dns.rcode.REFUSED)
            return [reply.to_wire()]
        zone = self.zone()
        soa = zone.get_rrset(self.origin, SOA)
        assert soa is not None
        reply.answer.append(soa)
        if rtype != AXFR:
            return [reply.to_wire()]
        sent = [reply.to_wire()]
        for owner, rdataset in zone.iterate_rdatasets():
            if rdataset.rdtype != SOA:
                reply.answer = [zone.get_rrset(owner, rdataset.rdtype)]
                sent.append(reply.to_wire())
        reply.answer = [soa]
        return self.spoil([*sent, reply.to_wire()])


@asynccontextmanager
async def master(*, serves: bool = True) -> AsyncIterator[Master]:
    made = Master()
    made.serves = serves
    async with listening(made.answer) as made.port:
        yield made


def secondary(text: str, setup: Setup | None = None) -> Secondary:
    found = parsed(text, setup)
    assert isinstance(found, Secondary)
    return found


def of(*servers: Master, more: str = "") -> str:
    addresses = " ".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"secondary example.org {{\n transfer from {addresses}\n {more}\n}}"


@asynccontextmanager
async def running(plugin: Secondary) -> AsyncIterator[Secondary]:
    async with beside(plugin.serve):
        yield plugin


async def ask(plugin: Secondary, name: str = "a.example.org.", qtype: str = "A") -> str:
    """The answer's records; `next` if the next directive was asked; else the rcode."""
    behind = Next(Reply())
    reply = await plugin.resolve(query(name, qtype), behind)
    assert reply is not None
    if behind.asked:
        return "next"
    if reply.answer:
        assert reply.authoritative
        return "\n".join(texts(reply.answer))
    return dns.rcode.to_text(dns.rcode.Rcode(reply.rcode))


async def becomes(plugin: Secondary, expected: str, name: str = "a.example.org.") -> None:
    for _ in range(1000):
        if (found := await ask(plugin, name)) == expected:
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"still {found!r}, not {expected!r}")


def version(serial: int) -> str:
    return f"a.example.org. 300 IN A 10.0.0.{serial}"


NOTIFY = 4 << 11


async def notify(
    plugin: Secondary, host: str = "127.0.0.1", name: str = "example.org."
) -> Reply | None:
    behind = Next(Reply(5))
    asked = query(name, "SOA", flags=NOTIFY, peer=(host, 40000))
    return await plugin.resolve(asked, behind)


async def asked(server: Master, count: int) -> None:
    """Waits until a primary has been asked so often."""
    for _ in range(1000):
        if len(server.asked) >= count:
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"asked for {server.asked} only")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of tests: fifty looks in a second of a SOA record. Expiry takes as long as it says."""
    monkeypatch.setattr(follower, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(follower, "LONGEST_PAUSE", 2.5)
    monkeypatch.setattr(follower, "NOTIFY_GAP", 0.05)
    monkeypatch.setattr(follower, "_jittered", lambda seconds, most: seconds / 50)
