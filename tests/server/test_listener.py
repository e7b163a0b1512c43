"""A whole listener, asked by dnspython over both transports."""

import asyncio
import random
import socket
import time

import dns.asyncquery
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.errors import ConfigError, ResolveError
from clusterdns.server.block import Block
from clusterdns.server.listener import Listener
from clusterdns.server.tcp import TcpLimits
from tests.server.asking import framed, query, read, tcp, texts, udp
from tests.server.toys import ZONE, Gate, Raises, Toy, key_of_label, router, serving

A1 = f"a1.{ZONE}"


async def ask(listener: Listener, message: dns.message.Message) -> list[str]:
    """The answer over UDP, which over TCP must be the same."""
    host, port = listener.addresses[0]
    over_udp = await dns.asyncquery.udp(message, host, 5, port)
    over_tcp = await dns.asyncquery.tcp(message, host, 5, port)
    assert over_udp.answer == over_tcp.answer
    assert over_udp.rcode() == over_tcp.rcode()
    return [str(rrset) for rrset in over_udp.answer]


async def test_answers_change_with_events_and_not_before() -> None:
    toy = Toy()
    message = dns.message.make_query(A1, "A", use_edns=True)
    async with serving(Block([ZONE], [toy])) as listener:
        assert await ask(listener, message) == [f"{A1} 30 IN A 10.1.0.0"]
        toy.value = 2
        assert await ask(listener, message) == [f"{A1} 30 IN A 10.1.0.0"]
        listener.forget({key_of_label(b"a2")})
        assert await ask(listener, message) == [f"{A1} 30 IN A 10.1.0.0"]
        listener.forget(key for key in [key_of_label(b"a1")])
        assert await ask(listener, message) == [f"{A1} 30 IN A 10.2.0.0"]
        assert (toy.asked, listener.hits) == (4, 4)


async def test_truncated_over_udp_and_whole_over_tcp() -> None:
    message = dns.message.make_query(f"a100.{ZONE}", "A")
    async with serving(Block([ZONE], [Toy()])) as listener:
        host, port = listener.addresses[0]
        reply, used_tcp = await dns.asyncquery.udp_with_fallback(message, host, 5, port)
        assert used_tcp
        assert len(reply.answer[0]) == 100


async def test_each_name_has_its_block() -> None:
    first, second = Toy(), Toy()
    second.value = 9
    blocks = Block([ZONE], [first]), Block(["cluster.example.", "sub.cluster.test."], [second])
    async with serving(*blocks) as listener:
        other = dns.message.make_query("a1.cluster.example.", "A")
        assert await ask(listener, dns.message.make_query(A1, "A")) == [f"{A1} 30 IN A 10.1.0.0"]
        assert await ask(listener, other) == ["a1.cluster.example. 30 IN A 10.9.0.0"]


async def test_other_blocks_from_now_on() -> None:
    first, second = Toy(), Toy()
    second.value = 9
    message = dns.message.make_query(A1, "A")
    async with serving(Block([ZONE], [first])) as listener:
        assert await ask(listener, message) == [f"{A1} 30 IN A 10.1.0.0"]
        listener.route(router(second))
        assert await ask(listener, message) == [f"{A1} 30 IN A 10.9.0.0"]


async def test_last_query() -> None:
    async with serving(Block([ZONE], [Toy()])) as listener:
        assert listener.last_query == 0.0
        before = time.monotonic()
        async with udp(listener.addresses[0]) as client:
            await client.ask(query(A1))
        by_udp = listener.last_query
        assert before <= by_udp <= time.monotonic()
        async with tcp(listener.addresses[0]) as client_tcp:
            assert listener.last_query == by_udp, "a connection is no query yet"
            await client_tcp.ask(query(A1))
        assert by_udp < listener.last_query <= time.monotonic()


async def test_wildcard_has_both_families() -> None:
    async with serving(Block([ZONE], [Toy()]), address="") as listener:
        assert listener.addresses == [("0.0.0.0", listener.port), ("::", listener.port)]
        for host in ("127.0.0.1", "::1"):
            async with udp((host, listener.port)) as client:
                assert texts(await client.ask(query(A1))) == [f"{A1} 30 IN A 10.1.0.0"]
            async with tcp((host, listener.port)) as stream:
                assert texts(await stream.ask(query(A1))) == [f"{A1} 30 IN A 10.1.0.0"]


def is_open(port: int) -> bool:
    """Whether somebody has the port, over UDP or TCP."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            if kind == socket.SOCK_STREAM:  # connections that have ended do not count
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return True
    return False


class TestStop:
    async def test_queries_that_wait_are_finished(self) -> None:
        gate = Gate(b"a2")
        listener = Listener("127.0.0.1", 0, router(gate, Toy()))
        listener.open()
        stopping = asyncio.Event()
        server = asyncio.create_task(listener.serve(stopping))
        async with udp(listener.addresses[0]) as datagrams, tcp(listener.addresses[0]) as stream:
            await datagrams.send(query(f"a2.{ZONE}"))
            await stream.send(query(f"a2.{ZONE}"))
            for _ in range(2):
                await asyncio.wait_for(gate.came.get(), 5)
            stopping.set()
            await asyncio.sleep(0)
            gate.open.set()
            assert read(await datagrams.receive()).answer
            assert read(await stream.receive()).answer
        await asyncio.wait_for(server, 5)
        assert not is_open(listener.port)

    async def test_what_has_arrived_is_answered(self) -> None:
        listener = Listener("127.0.0.1", 0, router(Toy()))
        listener.open()
        stopping = asyncio.Event()
        stopping.set()
        async with udp(listener.addresses[0]) as client:
            await client.send(query(A1))  # before anybody reads
            await asyncio.wait_for(listener.serve(stopping), 5)
            assert read(await client.receive()).answer

    async def test_cancelled(self) -> None:
        gate = Gate(b"a2")
        listener = Listener("127.0.0.1", 0, router(gate, Toy()))
        listener.open()
        server = asyncio.create_task(listener.serve(asyncio.Event()))
        async with udp(listener.addresses[0]) as client:
            await client.send(query(f"a2.{ZONE}"))
            await asyncio.wait_for(gate.came.get(), 5)
            server.cancel()
            gate.open.set()
            assert read(await client.receive()).answer
        with pytest.raises(asyncio.CancelledError):
            await server
        assert not is_open(listener.port)

    async def test_a_client_that_does_not_read_holds_nobody(self) -> None:
        listener = Listener("127.0.0.1", 0, router(Toy()), TcpLimits(write_s=0.05))
        listener.open()
        stopping = asyncio.Event()
        server = asyncio.create_task(listener.serve(stopping))
        async with tcp(listener.addresses[0]) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.writer.write(framed(*[query(f"a900.{ZONE}")] * 500))
            await asyncio.sleep(0.02)
            stopping.set()
            await asyncio.wait_for(server, 5)
        assert not is_open(listener.port)

    def test_close_without_serving(self) -> None:
        listener = Listener("127.0.0.1", 0, router(Toy()))
        listener.open()
        listener.close()
        assert not is_open(listener.port)


def test_an_address_that_cannot_be_bound() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.99"):
        Listener("192.0.2.99", 0, router(Toy())).open()


def junk(seed: int) -> bytes:
    """A query with some octets changed, or cut, or no query at all."""
    chance = random.Random(seed)
    octets = bytearray(query(A1, id=seed & 0xFFFF))
    for _ in range(chance.randint(0, 4)):
        octets[chance.randrange(2, len(octets))] = chance.choice((0, 1, 0xC0, 0xFF, 41))
    return bytes(octets[: chance.randint(0, 2 * len(octets))])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2**16 - 1), max_size=40))
def test_whatever_comes_the_next_query_is_answered(seeds: list[int]) -> None:
    async def run() -> None:
        broken = Raises(a2=ResolveError("no"))
        async with serving(Block([ZONE], [broken, Toy()])) as listener:
            async with udp(listener.addresses[0]) as client:
                await client.send(*map(junk, seeds), query(A1, id=4))
                while (reply := read(await client.receive())).id != 4 or not reply.answer:
                    pass
            async with tcp(listener.addresses[0]) as stream:
                await stream.send(*[octets for octets in map(junk, seeds) if len(octets) >= 12])
                await stream.send(query(A1, id=4))
                while (reply := read(await stream.receive())).id != 4 or not reply.answer:
                    pass

    asyncio.run(run())
