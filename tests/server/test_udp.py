"""Datagrams, on real sockets."""

import asyncio
import errno
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from clusterdns import metrics
from clusterdns.server import source
from clusterdns.server.answers import Answers
from clusterdns.server.block import Block
from clusterdns.server.respond import Responder
from clusterdns.server.udp import DRAIN_LIMIT, MAX_QUERY, Udp
from clusterdns.server.underway import UnderWay
from tests.server.asking import opt, query, read, texts, udp
from tests.server.toys import ZONE, Drops, Gate, Toy, router, serving

A1 = f"a1.{ZONE}"


def blocks(*plugins: Any) -> Block:
    return Block([ZONE], [*plugins, Toy()])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_asked_twice(address: str) -> None:
    async with serving(blocks(), address=address) as listener, udp(listener.addresses[0]) as client:
        for number in (1, 2):
            reply = await client.ask(query(A1, id=number))
            assert read(reply).id == number
            assert texts(reply) == [f"{A1} 30 IN A 10.1.0.0"]
        assert listener.hits == 1


async def test_more_than_a_wake_up_takes() -> None:
    async with serving(blocks()) as listener, udp(listener.addresses[0]) as client:
        count = 3 * DRAIN_LIMIT
        await client.send(*[query(A1, id=number) for number in range(count)])
        assert [read(await client.receive()).id for _ in range(count)] == list(range(count))


SILENT = {
    "1.1.1 an empty datagram": b"",
    "1.1.1 shorter than a header": query()[:11],
    "1.1.1 a reply": query(flags=0x8000),
    "a plugin that drops": query(f"drop.{ZONE}"),
}


@pytest.mark.parametrize("octets", SILENT.values(), ids=SILENT)
async def test_no_reply(octets: bytes) -> None:
    """What is asked behind it is answered first."""
    async with serving(blocks(Drops())) as listener, udp(listener.addresses[0]) as client:
        await client.send(octets, query(A1, id=77))
        assert read(await client.receive()).id == 77


SIZES = {
    # padding in front of the last octets, whether the query is read whole
    "D7 over 512 octets": (1000, True),
    "D7 4096 octets": (MAX_QUERY - len(query(A1)) - 11 - 4, True),
    "D7 4097 octets": (MAX_QUERY - len(query(A1)) - 11 - 3, False),
}


@pytest.mark.parametrize(("padding", "whole"), SIZES.values(), ids=SIZES)
async def test_size_of_queries(padding: int, whole: bool) -> None:
    filled = b"\0\x0c" + padding.to_bytes(2, "big") + bytes(padding)
    octets = query(A1, opt=opt(options=filled))
    async with serving(blocks()) as listener, udp(listener.addresses[0]) as client:
        assert read(await client.ask(octets)).rcode() == (0 if whole else 1)


async def test_slow_queries_hold_nobody() -> None:
    gate = Gate(b"a2")
    async with serving(blocks(gate)) as listener, udp(listener.addresses[0]) as client:
        await client.send(query(f"a2.{ZONE}", id=1), query(A1, id=2))
        assert read(await client.receive()).id == 2
        gate.open.set()
        assert read(await client.receive()).id == 1


def endpoint(sock: Any, *plugins: Any, under_way: UnderWay) -> Udp:
    responder = Responder(router(*plugins, Toy()), Answers(), "udp", ("127.0.0.1", 53))
    return Udp(sock, responder._answers, responder, under_way)


class FakeSocket:
    """Gives datagrams or raises, then would block; send raises what it is told."""

    family = socket.AF_INET

    def __init__(self, *received: bytes | OSError, send: OSError | None = None) -> None:
        self.received = list(received)
        self.send = send
        self.sent: list[bytes] = []

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 53)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.received:
            raise BlockingIOError
        found = self.received.pop(0)
        if isinstance(found, OSError):
            raise found
        return found, ("192.0.2.1", 5353)

    def sendto(self, octets: bytes, peer: tuple[str, int]) -> None:
        if self.send is not None:
            raise self.send
        self.sent.append(octets)


SEND_ERRORS = [errno.EAGAIN, errno.ENOBUFS, errno.EPERM, errno.ENETUNREACH, errno.EINVAL]


@pytest.mark.parametrize("number", SEND_ERRORS, ids=errno.errorcode.get)
async def test_what_cannot_be_sent_is_counted_and_over(number: int) -> None:
    before = metrics.send_failures.total()
    sock = FakeSocket(query(A1), query(A1), query(A1), send=OSError(number, "no"))
    endpoint(sock, under_way=UnderWay())._drain()
    assert not sock.received, "the others had their turn"
    assert metrics.send_failures.total() == before + 3


async def test_errors_of_what_was_sent_before_disturb_nobody() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    sock = FakeSocket(refused, query(A1), OSError(errno.ENOMEM, "no"), query(A1))
    endpoint(sock, under_way=UnderWay())._drain()
    assert len(sock.sent) == 2


async def test_too_many_under_way_are_dropped_and_counted() -> None:
    before = metrics.overload_drops.total()
    gate, under_way = Gate(b"a2"), UnderWay(limit=2)
    sock = FakeSocket(*[query(f"a2.{ZONE}", id=number) for number in range(5)])
    drained = endpoint(sock, gate, under_way=under_way)
    drained._drain()
    assert (gate.waiting, len(under_way)) == (2, 2)
    assert metrics.overload_drops.total() == before + 3
    gate.open.set()
    await under_way.finish()
    assert len(sock.sent) == 2


class TestSource:
    """Replies from the address asked, on the wildcard of a host with several."""

    @pytest.fixture(autouse=True)
    def _several(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(source, "own_addresses", lambda version: ["a", "b"])

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
    async def test_wildcard(self, address: str) -> None:
        gate = Gate(b"a2")
        async with (
            serving(blocks(gate), address="") as listener,
            udp((address, listener.port)) as client,
        ):
            for _ in range(2):
                assert read(await client.ask(query(A1))).answer
            await client.send(query(f"a2.{ZONE}"))
            await asyncio.wait_for(gate.came.get(), 5)
            gate.open.set()
            assert read(await client.receive()).answer

    @pytest.mark.parametrize("addresses", [["a"], ["a", "b"]], ids=["a pod", "a node"])
    @pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.8.9.10", "::1"])
    async def test_the_host_asks_itself(
        self, address: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source, "own_addresses", lambda version: addresses)
        async with (
            serving(blocks(), address="") as listener,
            udp((address, listener.port)) as client,
        ):
            for _ in range(2):
                assert read(await client.ask(query(A1))).answer
            assert listener.hits == 1

    def test_only_on_the_wildcard(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            assert not source.needs_source(sock)

    def test_not_with_one_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(source, "own_addresses", lambda version: ["a"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("0.0.0.0", 0))
            assert not source.needs_source(sock)


@pytest.mark.parametrize("port_given", [False, True])
def test_loopback_socket(monkeypatch: pytest.MonkeyPatch, port_given: bool) -> None:
    monkeypatch.setattr(source, "own_addresses", lambda version: ["a"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(port_given))
        sock.bind(("0.0.0.0", 0))
        second = source.loopback_socket(sock)
        assert second is not None
        with second:
            assert second.getsockname() == sock.getsockname()
            assert source.needs_source(second)
            assert source.loopback_socket(second) is None
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"x", ("127.0.0.2", sock.getsockname()[1]))
            assert second.recv(9) == b"x"


def test_no_loopback_socket_where_the_interface_may_not_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "_LOOPBACK", b"no-such-device")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        assert source.loopback_socket(sock) is None


@pytest.mark.parametrize(("family", "address"), [(2, "127.0.0.1"), (10, "::"), (10, "::1")])
def test_no_loopback_socket_where_there_is_one_address(family: int, address: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        assert source.loopback_socket(sock) is None


ANCILLARY: dict[str, tuple[source.Ancillary, source.Ancillary]] = {
    "nothing told": ([], []),
    "IPv4": (
        [(0, 8, b"\2\0\0\0" + b"\x0a\0\0\1" + b"\x0a\0\0\1")],
        [(0, 8, b"\0\0\0\0" + b"\x0a\0\0\1" + b"\0\0\0\0")],
    ),
    "IPv4 broadcast": (
        [(0, 8, b"\2\0\0\0" + b"\x0a\0\0\1" + b"\x0a\0\0\xff")],
        [(0, 8, b"\0\0\0\0" + b"\x0a\0\0\1" + b"\0\0\0\0")],
    ),
    "IPv6": (
        [(41, 50, b"\xfd" + bytes(15) + b"\2\0\0\0")],
        [(41, 50, b"\xfd" + bytes(15) + b"\0\0\0\0")],
    ),
    "IPv6 multicast": ([(41, 50, b"\xff" + bytes(15) + b"\2\0\0\0")], []),
    "cut off": ([(0, 8, b"\2\0\0\0")], []),
    "something else": ([(1, 2, b"x")], []),
}


@pytest.mark.parametrize(("received", "expected"), ANCILLARY.values(), ids=ANCILLARY)
def test_reply_source(received: source.Ancillary, expected: source.Ancillary) -> None:
    assert source.reply_source(received) == expected


IPS: list[Any] = ["127.0.0.1", "10.0.0.1", "169.254.20.10"]
IPS += [("::1", 0, 0), ("fd00::1", 0, 0), ("fe80::1", 0, 2)]
OWN = {4: ["10.0.0.1", "169.254.20.10"], 6: ["fd00::1"]}


@pytest.mark.parametrize(("version", "expected"), OWN.items())
def test_own_addresses(version: int, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = SimpleNamespace(ips=[SimpleNamespace(ip=ip) for ip in IPS])
    monkeypatch.setattr("ifaddr.get_adapters", lambda: [adapter])
    assert list(source.own_addresses(version)) == expected
