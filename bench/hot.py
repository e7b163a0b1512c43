"""CPU microseconds per query of the server, for hot names over UDP on one core.

    python -m bench.hot [--queries N] [--names N] [--server ADDRESS PORT PID]

Starts a server of its own with one block and a zone of toy names, unless one is given; a second
process asks it in bursts over loopback. What is measured is the server's CPU time, user and system,
from /proc, so the asking process and the waiting in between do not count.
"""

import argparse
import asyncio
import math
import multiprocessing
import os
import random
import socket
import struct
from multiprocessing.connection import Connection
from pathlib import Path

from dnslib import QTYPE, RR, A

from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.server.block import Block, Router
from clusterdns.server.listener import Listener

BURST = 32  # queries under way: a usual node's worth, and far below what socket buffers hold
WAIT_S = 1.0  # for a reply, before the burst counts as lost
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ZONE = "svc.cluster.local."


class Fixed(Plugin):
    """One address for every name."""

    name = "fixed"

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        record = RR(query.question.label, QTYPE.A, ttl=30, rdata=A((10, 96, 0, 10)))
        return Reply(answer=[record], authoritative=True, until=math.inf)


def query(name: str, with_opt: bool) -> bytes:
    """An A query as a stub resolver sends it, without its id."""
    labels = [label.encode() for label in name.strip(".").split(".")]
    question = b"".join([bytes([len(label)]) + label for label in labels]) + b"\0\0\1\0\1"
    opt = bytes.fromhex("00002904d0000000000000") if with_opt else b""
    return struct.pack("!5H", 0x0100, 1, 0, 0, with_opt) + question + opt


def ask(address: tuple[str, int], queries: list[bytes], count: int) -> tuple[int, int]:
    """Sends `count` queries, BURST at a time; gives how many were answered and how many lost."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    answered = lost = 0
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        sock.settimeout(WAIT_S)
        for start in range(0, count, BURST):
            for number in range(start, start + BURST):
                sock.send((number & 0xFFFF).to_bytes(2, "big") + random.choice(queries))
            try:
                for _ in range(BURST):
                    sock.recv(4096)
                    answered += 1
            except TimeoutError:
                lost += 1
    return answered, lost


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def serve(pipe: Connection) -> None:
    """A server on a free port; tells the port, ends when told to."""

    async def run() -> None:
        listener = Listener("127.0.0.1", 0, Router([Block([ZONE], [Fixed()])]))
        listener.open()
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stopping.set)
        pipe.send(listener.port)
        await listener.serve(stopping)

    asyncio.run(run())


def measure(address: tuple[str, int], pid: int, names: list[str], count: int) -> None:
    for with_opt in (False, True):
        queries = [query(name, with_opt) for name in names]
        ask(address, queries, len(queries) * 4)  # each is known then, nearly surely
        before = cpu_s(pid)
        answered, lost = ask(address, queries, count)
        used = cpu_s(pid) - before
        form = "with OPT" if with_opt else "plain"
        each = used / max(answered, 1) * 1e6
        print(f"{form:9} {answered} answered, {lost} bursts lost: {each:5.2f} us CPU per query")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=300_000)
    parser.add_argument("--names", type=int, default=1000)
    parser.add_argument("--server", nargs=3, metavar=("ADDRESS", "PORT", "PID"))
    parser.add_argument("--name", action="append", help="a name to ask instead of toy ones")
    given = parser.parse_args()
    names = given.name or [f"name-{number}.default.{ZONE}" for number in range(given.names)]
    if given.server:
        host, port, pid = given.server
        measure((host, int(port)), int(pid), names, given.queries)
        return
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()
    assert server.pid is not None
    try:
        measure(("127.0.0.1", ours.recv()), server.pid, names, given.queries)
    finally:
        ours.send(None)
        server.join()


if __name__ == "__main__":
    main()
