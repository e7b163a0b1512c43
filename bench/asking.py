"""Askers: a steady one in a process of its own that sees every stall, and bursts for throughput."""

import contextlib
import multiprocessing
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

Address = tuple[str, int]
TYPES = {"A": 1, "PTR": 12, "AAAA": 28, "SRV": 33}
RATE = 1000  # questions a second
BURST = 32  # questions under way: a usual node's worth, and far below what socket buffers hold
WAIT_S = 1.0  # for a reply, before the rest of a burst counts as lost
SO_TIMESTAMPNS = 35  # Linux; the socket module does not name it
_STAMP = struct.Struct("=qq")
ANCILLARY = socket.CMSG_SPACE(_STAMP.size)


class Answered(NamedTuple):
    """One question of the steady asker. Times are Unix nanoseconds; after: until the reply."""

    asked: int
    after: int
    rcode: int


def query(name: str, qtype: str = "A") -> bytes:
    """A query as a stub resolver sends it, without its id."""
    labels = [label.encode() for label in name.strip(".").split(".")]
    wire = b"".join([bytes([len(label)]) + label for label in labels])
    return struct.pack("!5H", 0x0100, 1, 0, 0, 0) + wire + struct.pack("!BHH", 0, TYPES[qtype], 1)


def connected(address: Address) -> socket.socket:
    """A socket that asks this server. The kernel stamps what comes in, so that a late reader does
    not look like a late answer."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.connect(address)
    return sock


def received(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    """All that has come in: when, in Unix nanoseconds, and what."""
    while True:
        try:
            octets, ancillary, _, _ = sock.recvmsg(4096, ANCILLARY, socket.MSG_DONTWAIT)
        except OSError:  # nothing more, or nobody listens there (yet)
            return
        seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
        yield seconds * 1_000_000_000 + nanoseconds, octets


class Steady:
    """What the steady asker has seen so far."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def seen(self) -> list[Answered]:
        """The questions since the last call, the unanswered left out, and so are those from before
        anybody listened."""
        self._pipe.send(None)
        answers: list[Answered] = self._pipe.recv()
        return answers


@contextmanager
def steadily(address: Address, queries: Sequence[bytes], rate: int = RATE) -> Iterator[Steady]:
    """Asks these in turn, so many a second, until the block ends."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    asker = spawn.Process(target=_ask_steadily, args=(theirs, address, queries, rate), daemon=True)
    asker.start()
    ours.recv()  # it runs
    try:
        yield Steady(ours)
    finally:
        ours.send("end")
        asker.join()


def _ask_steadily(pipe: Connection, address: Address, queries: list[bytes], rate: int) -> None:
    asked = [0] * 65536
    seen: list[Answered] = []
    number, start = 0, time.monotonic()
    pipe.send(None)
    with connected(address) as sock:
        while True:
            wait = start + number / rate - time.monotonic()
            ready, _, _ = select.select([sock.fileno(), pipe.fileno()], [], [], max(0.0, wait))
            if pipe.fileno() in ready:
                if pipe.recv() == "end":
                    return
                pipe.send(seen)
                seen = []
            if sock.fileno() in ready:
                for at, octets in received(sock):
                    sent = asked[int.from_bytes(octets[:2], "big")]
                    seen.append(Answered(sent, at - sent, octets[3] & 15))
            if time.monotonic() >= start + number / rate:
                id = number & 0xFFFF
                asked[id] = time.time_ns()
                with contextlib.suppress(ConnectionRefusedError):  # nobody listens there yet
                    sock.send(id.to_bytes(2, "big") + queries[number % len(queries)])
                number += 1


class Told(NamedTuple):
    """What bursts of questions came to."""

    answered: int
    lost: int
    rcodes: dict[int, int]


def ask_each(address: Address, queries: Iterable[bytes]) -> Told:
    """Asks every question once, a burst at a time."""
    rcodes: dict[int, int] = {}
    lost = 0
    queries = list(queries)
    with connected(address) as sock:
        sock.settimeout(WAIT_S)
        for start in range(0, len(queries), BURST):
            burst = queries[start : start + BURST]
            for number, question in enumerate(burst):
                sock.send((start + number & 0xFFFF).to_bytes(2, "big") + question)
            try:
                for _ in burst:
                    rcode = sock.recv(65535)[3] & 15
                    rcodes[rcode] = rcodes.get(rcode, 0) + 1
            except TimeoutError:
                lost += 1
    return Told(sum(rcodes.values()), lost, rcodes)
