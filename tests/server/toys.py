"""Plugins and servers for the tests of this part."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dnslib import AAAA, CNAME, QTYPE, RR, SOA, TXT, A, DNSLabel

from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.server.block import Block, Router
from clusterdns.server.listener import Listener
from clusterdns.server.tcp import TcpLimits
from clusterdns.zone.index import Key
from tests.beside import beside

ZONE = "cluster.test."


def key_of_label(label: bytes) -> Key:
    """What an answer rests on: names of the toy zone have one label before the zone's two."""
    return ("service", "toy", label.lower().decode("latin-1"))


class Toy(Plugin):
    """A zone whose names say what their answer is.

    aN: N addresses; tN: N texts of 100 octets; c: an alias, spelled as asked; n: NODATA; others do
    not exist. `value`, or what `values` has for a label, stands in its records, `serial` in every
    SOA: changed as by an event.
    """

    name = "toy"

    def __init__(self) -> None:
        self.value = 1
        self.values: dict[bytes, int] = {}  # by label, lower-case
        self.serial = 1
        self.asked = 0

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        labels = query.question.labels
        if len(labels) != 3:
            return await next(query)
        self.asked += 1
        records = self._records(query.question.label, query.question.qtype)
        keys = frozenset({key_of_label(labels[0])})
        reply = Reply(authoritative=True, keys=keys, until=math.inf)
        if records:
            reply.answer = records
            return reply
        zone = DNSLabel(labels[1:])
        times = (self.serial, 7200, 1800, 86400, 30)
        soa = SOA(below(zone, b"ns", b"dns"), below(zone, b"hostmaster"), times)
        reply.authority = [RR(zone, QTYPE.SOA, ttl=30, rdata=soa)]
        reply.serial = lambda: self.serial
        reply.rcode = 3 if records is None else 0
        return reply

    def _records(self, owner: DNSLabel, qtype: int) -> list[RR] | None:
        label = owner.label[0].lower()
        kind, digits = label[:1], label[1:]
        if kind not in (b"a", b"t", b"c", b"n") or not (digits.isdigit() or not digits):
            return None
        count, value = int(digits or b"1"), self.values.get(label, self.value) & 0xFF
        if kind == b"a" and qtype == QTYPE.A:
            addresses = [A((10, value, i >> 8, i & 255)) for i in range(count)]
            return [RR(owner, QTYPE.A, ttl=30, rdata=address) for address in addresses]
        if kind == b"a" and qtype == QTYPE.AAAA:
            address = AAAA((0xFD, *[0] * 14, value))
            return [RR(owner, QTYPE.AAAA, ttl=30, rdata=address)]
        if kind == b"t" and qtype == QTYPE.TXT:
            texts = [TXT(f"{value:10} {i:89}") for i in range(count)]
            return [RR(owner, QTYPE.TXT, ttl=30, rdata=text) for text in texts]
        if kind == b"c":
            target = below(DNSLabel(owner.label[1:]), f"target-{value}".encode())
            return [RR(owner, QTYPE.CNAME, ttl=30, rdata=CNAME(target))]
        return []


class Gate(Plugin):
    """Names whose first label is in `waits` wait until `open` is set; in their own way."""

    name = "gate"

    def __init__(self, *waits: bytes) -> None:
        self.waits = waits
        self.open = asyncio.Event()
        self.waiting = 0
        self.came: asyncio.Queue[bytes] = asyncio.Queue()  # the labels of those that wait

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if query.question.labels[:1] and query.question.labels[0] in self.waits:
            self.came.put_nowait(query.question.labels[0])
            self.waiting += 1
            try:
                await self.open.wait()
            finally:
                self.waiting -= 1
        return await next(query)


class Raises(Plugin):
    """Raises for every name whose first label it is told, else passes on."""

    name = "raises"

    def __init__(self, **errors: Exception) -> None:
        self.errors = {label.encode(): error for label, error in errors.items()}

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if query.question.labels and (error := self.errors.get(query.question.labels[0])):
            raise error
        return await next(query)


class Drops(Plugin):
    """No reply to the name `drop`."""

    name = "drops"

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        return None if query.question.labels[:1] == (b"drop",) else await next(query)


def below(zone: DNSLabel, *labels: bytes) -> DNSLabel:
    return DNSLabel((*labels, *zone.label))


def router(*plugins: Plugin, zone: str = ZONE) -> Router:
    """One block of these plugins."""
    return Router([Block([zone], plugins)])


@asynccontextmanager
async def serving(
    *blocks: Block, limits: TcpLimits | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Listener]:
    """A listener on a free port, stopped at the end."""
    listener = Listener(address, 0, Router(blocks), limits)
    listener.open()
    async with beside(listener.serve):
        await asyncio.sleep(0)  # the endpoints' own tasks
        await asyncio.sleep(0)
        yield listener
