"""Streams: framing, pipelining, limits of time and number."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from clusterdns import metrics
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.waiter import Waiter
from clusterdns.server.block import Block
from clusterdns.server.listener import Listener
from clusterdns.server.tcp import TURN, TcpLimits
from tests.server.asking import TcpClient, framed, query, read, tcp, texts
from tests.server.toys import ZONE, Drops, Gate, Toy, router, serving

SOON_S = 0.05  # a limit that a test waits for


def name(label: str) -> str:
    return f"{label}.{ZONE}"


@asynccontextmanager
async def asking(*plugins: Plugin, **limits: float) -> AsyncIterator[tuple[TcpClient, Listener]]:
    """A client of a server with these plugins."""
    bounds = TcpLimits(**limits)  # type: ignore[arg-type]
    block = Block([ZONE], [*plugins, Toy()])
    async with serving(block, limits=bounds) as listener, tcp(listener.addresses[0]) as client:
        yield client, listener


async def test_one_after_the_other() -> None:
    async with asking() as (client, _):
        for number in range(3):
            reply = await client.ask(query(name("a1"), id=number))
            assert read(reply).id == number
            assert texts(reply) == [f"{name('a1')} 30 IN A 10.1.0.0"]


@pytest.mark.parametrize("count", [2, TURN, TURN + 1, 5 * TURN])
async def test_pipelined_in_one_segment(count: int) -> None:
    async with asking() as (client, listener):
        await client.ask(query(name("a1")))
        await client.send(*[query(name("a1"), id=number) for number in range(count)])
        got = [read(await client.receive()).id for _ in range(count)]
        assert sorted(got) == list(range(count))
        assert listener.hits == count


async def test_octet_by_octet() -> None:
    async with asking() as (client, _):
        for octet in framed(query(name("a1"))):
            await client.send_raw(bytes([octet]))
            await asyncio.sleep(0)
        assert texts(await client.receive()) == [f"{name('a1')} 30 IN A 10.1.0.0"]


async def test_long_replies_are_whole() -> None:
    async with asking() as (client, _):
        reply = await client.ask(query(name("a900")))
        assert len(texts(reply)) == 900


async def test_answers_come_as_they_are_ready() -> None:
    """D32."""
    gate = Gate(b"a2")
    async with asking(gate) as (client, _):
        await client.send(query(name("a2"), id=1), query(name("a1"), id=2))
        assert read(await client.receive()).id == 2
        gate.open.set()
        assert read(await client.receive()).id == 1


async def test_no_reply_means_the_next_one_is_answered() -> None:
    async with asking(Drops()) as (client, _):
        a_reply = query(name("a1"), flags=0x8000)
        await client.send(query(name("drop")), a_reply, query(name("a1"), id=5))
        assert read(await client.receive()).id == 5


SHORT = {
    "1.1.1 empty": b"",
    "1.1.1 five octets": query()[:5],
    "1.1.1 shorter than a header": query()[:11],
}


@pytest.mark.parametrize("octets", SHORT.values(), ids=SHORT)
async def test_a_frame_that_can_be_no_message_is_passed_over(octets: bytes) -> None:
    async with asking() as (client, _):
        await client.send(query(name("a1")), octets, query(name("a2"), id=2))
        assert read(await client.receive()).answer
        assert read(await client.receive()).id == 2


async def test_a_client_that_sends_no_more_gets_its_replies() -> None:
    gate = Gate(b"a2")
    async with asking(gate) as (client, _):
        await client.send(query(name("a1"), id=1), query(name("a2"), id=2))
        client.writer.write_eof()
        assert read(await client.receive()).id == 1
        gate.open.set()
        assert read(await client.receive()).id == 2
        assert await client.rest() == b""


async def test_pipelined_beyond_a_turn_and_no_more() -> None:
    async with asking() as (client, _):
        count = 3 * TURN + 7
        await client.send(*[query(name("a1"), id=number) for number in range(count)])
        client.writer.write_eof()
        got = [read(await client.receive()).id for _ in range(count)]
        assert got == list(range(count))
        assert await client.rest() == b""


class TestTime:
    async def test_nothing_read(self) -> None:
        async with asking(read_s=SOON_S, idle_s=60.0) as (client, _):
            assert await client.rest() == b""

    async def test_a_query_that_never_ends(self) -> None:
        async with asking(read_s=SOON_S, idle_s=60.0) as (client, _):
            await client.send_raw(framed(query())[:-1])
            assert await client.rest() == b""

    async def test_idle_after_a_query(self) -> None:
        async with asking(read_s=60.0, idle_s=SOON_S) as (client, listener):
            await client.ask(query(name("a1")))
            # the timer of the first read is still running: it is checked at the next one
            [connection] = listener._tcp[0].connections
            connection._check_time()
            assert await client.rest() == b""

    async def test_not_while_a_query_waits(self) -> None:
        gate = Gate(b"a2")
        async with asking(gate, read_s=SOON_S, idle_s=SOON_S) as (client, _):
            await client.send(query(name("a2")))
            await asyncio.sleep(3 * SOON_S)
            gate.open.set()
            assert read(await client.receive()).answer
            assert await client.rest() == b""

    async def test_replies_that_are_not_read(self) -> None:
        async with asking(write_s=SOON_S, read_s=60.0) as (client, listener):
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            ask = framed(*[query(name("a900"))] * 20)
            [endpoint] = listener._tcp
            try:
                async with asyncio.timeout(5):
                    while endpoint.connections:
                        await client.send_raw(ask)
                        await asyncio.sleep(0)
            except ConnectionError:
                pass
            assert not endpoint.connections


class TestNumbers:
    async def test_queries_of_a_connection(self) -> None:
        async with asking(queries=2) as (client, _):
            await client.send(*[query(name("a1"), id=number) for number in range(4)])
            assert [read(await client.receive()).id for _ in range(2)] == [0, 1]
            assert await client.rest() == b""

    async def test_no_more_than_they_may_be_are_waited_for(self) -> None:
        gate = Gate(b"a2")
        async with asking(gate, queries=2) as (client, _):
            await client.send(query(name("a2"), id=0))
            await client.send(query(name("a1"), id=1))
            assert read(await client.receive()).id == 1
            gate.open.set()
            assert read(await client.receive()).id == 0
            assert await client.rest() == b""

    async def test_queries_that_wait(self) -> None:
        gate = Gate(b"a2")
        async with asking(gate, under_way=2) as (client, _):
            slow = [query(name("a2"), id=number) for number in range(5)]
            await client.send(*slow, query(name("a1"), id=9))
            for _ in range(2):
                await asyncio.wait_for(gate.came.get(), 5)
            for _ in range(10):  # turns, in which more could come
                await asyncio.sleep(0)
            assert gate.waiting == 2, "the others are not read"
            gate.open.set()
            got = [read(await client.receive()).id for _ in range(6)]
            assert sorted(got) == [0, 1, 2, 3, 4, 9]

    async def test_the_longest_idle_connection_makes_room(self) -> None:
        before = metrics.closed_idle_connections.total()
        async with AsyncExitStack() as stack:
            first, listener = await stack.enter_async_context(asking(connections=2))
            second = await stack.enter_async_context(tcp(listener.addresses[0]))
            for client in (first, second, first):
                await client.ask(query(name("a1")))
            third = await stack.enter_async_context(tcp(listener.addresses[0]))
            assert read(await third.ask(query(name("a1")))).answer
            assert await second.rest() == b""
            assert read(await first.ask(query(name("a1")))).answer
        assert metrics.closed_idle_connections.total() == before + 1

    async def test_none_is_idle(self) -> None:
        before = metrics.refused_connections.total()
        gate = Gate(b"a2")
        async with asking(gate, connections=1) as (first, listener):
            await first.send(query(name("a2")))
            await asyncio.wait_for(gate.came.get(), 5)
            async with tcp(listener.addresses[0]) as second:
                assert await second.rest() == b""
            gate.open.set()
            assert read(await first.receive()).answer
        assert metrics.refused_connections.total() == before + 1


class TestStop:
    async def test_queries_that_wait_are_finished(self) -> None:
        gate = Gate(b"a2")
        listener = Listener("127.0.0.1", 0, router(gate, Toy()))
        listener.open()
        stopping = asyncio.Event()
        server = asyncio.create_task(listener.serve(stopping))
        await asyncio.sleep(0)
        async with tcp(listener.addresses[0]) as client, tcp(listener.addresses[0]) as idle:
            await client.send(query(name("a2")))
            await idle.ask(query(name("a1")))
            stopping.set()
            assert await idle.rest() == b""
            gate.open.set()
            assert read(await client.receive()).answer
            assert await client.rest() == b""
            async with asyncio.timeout(5):
                await server
        with pytest.raises(OSError, match="refused"), socket.socket() as sock:
            sock.connect(listener.addresses[0])


class Releases(Plugin):
    """The name a1 lets those go on that wait, inside of its own call."""

    name = "releases"

    def __init__(self) -> None:
        self.waiters: list[Waiter[None]] = []

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if query.question.labels[0] == b"a1":
            for waiter in self.waiters:
                waiter.set(None)
        else:
            self.waiters.append(waiter := Waiter[None]())
            await waiter
        return await next(query)


async def test_a_query_that_lets_another_of_its_segment_go_on() -> None:
    """Each is answered once: the buffer is not read anew while it is read."""
    async with asking(Releases()) as (client, _):
        await client.send(query(name("a2"), id=1), query(name("a1"), id=2), query(name("a1"), id=3))
        client.writer.write_eof()
        got = [read(await client.receive()).id for _ in range(3)]
        assert sorted(got) == [1, 2, 3]
        assert await client.rest() == b""
