"""Replies of several messages over a connection (RFC 5936), and NOTIFY's way (RFC 1996)."""

import asyncio
import gc
import logging
import math
import socket
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from dnslib import QTYPE, RR, A, DNSLabel

from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import LongReply, Query, Reply, Resolve
from clusterdns.server.block import Block
from clusterdns.server.listener import Listener
from clusterdns.server.tcp import TcpLimits
from clusterdns.wire.transfer import SLICE
from tests.server.asking import Path, TcpClient, query, read, tcp, texts, udp
from tests.server.toys import ZONE, Gate, Toy, router, serving

AXFR = query(ZONE, "AXFR", id=5)


class Records:
    """Addresses, so many; `fails` has the last one fail."""

    def __init__(self, count: int, fails: Exception | None = None) -> None:
        self.left = count
        self.fails = fails

    def __iter__(self) -> Iterator[RR]:
        return self

    def __next__(self) -> RR:
        if not self.left and self.fails:
            raise self.fails
        if not self.left:
            raise StopIteration
        self.left -= 1
        address = A((10, self.left >> 16, self.left >> 8 & 255, self.left & 255))
        return RR(DNSLabel(f"h{self.left}.{ZONE}"), QTYPE.A, ttl=30, rdata=address)


class Long(Plugin):
    """Answers AXFR with these records, and passes everything else on."""

    name = "long"

    def __init__(self, *records: Iterable[RR]) -> None:
        self.records = list(records)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if query.question.qtype != QTYPE.AXFR:
            return await next(query)
        return LongReply(authoritative=True, rest=self.records.pop(0))


@asynccontextmanager
async def asking(*plugins: Plugin, **limits: float) -> AsyncIterator[tuple[TcpClient, Listener]]:
    block = Block([ZONE], [*plugins, Toy()])
    bounds = TcpLimits(**limits)  # type: ignore[arg-type]
    async with serving(block, limits=bounds) as listener, tcp(listener.addresses[0]) as client:
        yield client, listener


async def asked_by_one_who_does_not_read(client: TcpClient, listener: Listener) -> None:
    """Asks for all records, with small buffers on the way: those of the kernel hold megabytes."""
    await client.ask(query(f"a1.{ZONE}"))  # so that the server has the connection
    [connection] = listener._tcp[0].connections
    assert connection._transport is not None
    for end in (client.writer.transport, connection._transport):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 1 << 14)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(AXFR)


async def received(client: TcpClient, count: int) -> int:
    """The number of messages that so many records came in."""
    messages = got = 0
    while got < count:
        message = await client.receive()  # dnspython takes 50 ms for a full one
        assert (message[:2], message[3]) == (b"\0\5", 0)
        got += int.from_bytes(message[6:8], "big")
        messages += 1
    assert got == count
    return messages


@pytest.mark.parametrize("count", [1, SLICE, SLICE + 1, 5000])
async def test_all_of_it_and_the_next_query(count: int) -> None:
    async with asking(Long(Records(count))) as (client, _):
        await client.send(AXFR)
        assert (await received(client, count) > 1) == (count > SLICE)
        assert texts(await client.ask(query(f"a1.{ZONE}")))


async def test_what_comes_behind_waits_for_its_end() -> None:
    async with asking(Long(Records(3000), Records(200))) as (client, _):
        await client.send(AXFR, query(f"a1.{ZONE}", id=6), AXFR, query(f"a2.{ZONE}", id=7))
        await received(client, 3000)
        assert read(await client.receive()).id == 6
        await received(client, 200)
        assert read(await client.receive()).id == 7


async def test_of_queries_that_waited_one_comes_after_the_other() -> None:
    gate = Gate(ZONE.split(".")[0].encode())
    async with asking(gate, Long(Records(1000), Records(1000))) as (client, _):
        await client.send(AXFR, AXFR)
        for _ in range(2):
            await gate.came.get()
        gate.open.set()
        await received(client, 2000)


async def test_others_are_answered_meanwhile() -> None:
    """All transfers together get one turn of the loop at a time."""
    count = 10_000
    long = Long(*[Records(count) for _ in range(3)])
    async with AsyncExitStack() as stack:
        first, listener = await stack.enter_async_context(asking(long))
        address = listener.addresses[0]
        clients = [first, *[await stack.enter_async_context(tcp(address)) for _ in range(2)]]
        for client in clients:
            await client.send(AXFR)
        tasks = [asyncio.ensure_future(received(client, count)) for client in clients]
        other = await stack.enter_async_context(udp(address))
        answered = 0
        while not any(task.done() for task in tasks):
            assert texts(await other.ask(query(f"a1.{ZONE}")))
            answered += 1
        await asyncio.gather(*tasks)
    assert answered > count / SLICE


async def test_a_client_that_sends_no_more_gets_all() -> None:
    async with asking(Long(Records(3000))) as (client, _):
        await client.send(AXFR)
        client.writer.write_eof()
        await received(client, 3000)
        assert await client.rest() == b""


async def test_nothing_is_made_for_a_client_that_does_not_read() -> None:
    records = Records(10_000_000)
    async with asking(Long(records), write_s=60.0) as (client, listener):
        await asked_by_one_who_does_not_read(client, listener)
        left = -1
        while left != records.left:
            left = records.left
            await asyncio.sleep(0.05)
        assert 0 < left < 10_000_000 - SLICE
        [connection] = listener._tcp[0].connections
        assert not connection.is_idle


async def test_a_client_that_does_not_read_is_left() -> None:
    async with asking(Long(Records(10_000_000)), write_s=0.05) as (client, listener):
        await asked_by_one_who_does_not_read(client, listener)
        async with asyncio.timeout(5):
            await listener._tcp[0]._all_gone()


async def test_what_is_left_of_it_goes_with_the_client() -> None:
    records = Records(10_000_000)
    gone = weakref.ref(records)
    async with asking(Long(records)) as (client, listener):
        del records
        await client.send(AXFR)
        await client.receive()
        client.close()
        async with asyncio.timeout(5):
            await listener._tcp[0]._all_gone()
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None


@pytest.mark.parametrize("error", [ResolveError("no such record"), ValueError("a bug")])
async def test_a_fault_in_the_middle_ends_the_connection(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with asking(Long(Records(1000, error))) as (client, _):
        await client.send(AXFR)
        assert len(read(await client.receive()).answer) == SLICE
        await client.rest()
    [told] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert told.getMessage() == f"a reply to 127.0.0.1 ends in the middle: {error}"
    assert bool(told.exc_info) == isinstance(error, ValueError)


def test_a_fault_at_its_begin_is_servfail() -> None:
    reply = Path(router(Long(Records(3, ResolveError("no such record")))), "tcp").ask(AXFR)
    assert read(reply).rcode() == dns.rcode.SERVFAIL


def test_it_is_not_kept() -> None:
    path = Path(router(Long(Records(3), Records(4))), "tcp")
    assert [len(read(path.ask(AXFR)).answer) for _ in range(2)] == [3, 4]


async def test_it_is_waited_for_when_the_server_stops() -> None:
    listener = Listener("127.0.0.1", 0, router(Long(Records(20_000))))
    listener.open()
    stopping = asyncio.Event()
    server = asyncio.create_task(listener.serve(stopping))
    await asyncio.sleep(0)
    async with tcp(listener.addresses[0]) as client:
        await client.send(AXFR)
        first = read(await client.receive())
        stopping.set()
        await received(client, 20_000 - len(first.answer))
        assert await client.rest() == b""
        async with asyncio.timeout(5):
            await server


class Takes(Plugin):
    """Takes NOTIFY for the zone itself."""

    name = "takes"
    passes_notify = takes_notify = True

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if len(query.question.labels) == 2:
            return Reply(authoritative=True)
        return await next(query)


class Guards(Plugin):
    """In front of it; answers for the name `guarded` itself."""

    name = "guards"
    passes_notify = True

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if query.question.labels[0] == b"guarded":
            return None
        return await next(query)


class Answers(Plugin):
    """Would answer everything with data."""

    name = "answers"

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        return Reply(answer=RR.fromZone(f"a.{ZONE} 5 IN A 10.0.0.1"), until=math.inf)


NOTIFIED = {
    "D28 nobody takes it": ([Answers()], ZONE, "REFUSED"),
    "RFC 1996 it is taken": ([Guards(), Answers(), Takes()], ZONE, "NOERROR"),
    "D28 of another zone": ([Guards(), Answers(), Takes()], f"a.{ZONE}", "REFUSED"),
    "D28 in no server block": ([Takes()], "example.org.", "REFUSED"),
    "who stands in front decides": ([Guards(), Takes()], f"guarded.{ZONE}", None),
}


@pytest.mark.parametrize(("plugins", "name", "rcode"), NOTIFIED.values(), ids=NOTIFIED)
def test_notify(plugins: list[Plugin], name: str, rcode: str | None) -> None:
    path = Path(router(*plugins))
    path.ask(query(name, "SOA"))  # what is known of a query says nothing of a NOTIFY
    notify = query(name, "SOA", flags=4 << 11 | dns.flags.AA)
    for _ in range(2):
        reply = path.ask(notify)
        if rcode is None:
            assert reply is None
            continue
        message = read(reply)
        assert dns.rcode.to_text(message.rcode()) == rcode
        assert message.opcode() == dns.opcode.NOTIFY
        assert bool(message.flags & dns.flags.AA) == (rcode == "NOERROR")
        assert not message.answer
