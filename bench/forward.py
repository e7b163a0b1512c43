"""CPU microseconds per query that is forwarded, each about another name, over UDP.

    python -m bench.forward [--queries N] [--profile]

The upstream is a process of its own that echoes what it is asked with one address; the server's CPU
time counts, user and system, and neither the asker's nor the upstream's. CoreDNS is asked the same
where its binary is on PATH or in $COREDNS.

--profile: shows where the time goes, in this process, with the upstream still in its own.
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import pstats
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench.asking import Address, Told, ask_each, query
from bench.figures import machine
from bench.processes import HOST, Server, clusterdns_with, coredns_binary, coredns_with
from clusterdns.corefile.parser import parse
from clusterdns.server.configuration import configure
from clusterdns.server.listener import Listener
from clusterdns.zone.index import Index

QUERIES = 40_000
WARM_UP = 2_000
ADDRESS = bytes.fromhex("c00c000100010000001e00040a000001")  # an A record of the question's name
ROUNDS = 3  # the machine is shared: the best one is the least disturbed


@contextmanager
def answering(answer: Callable[..., None], *details: object) -> Iterator[Address]:
    """A server in a process of its own. answer: serves there, and puts its address into a pipe that
    it gets before the details."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=answer, args=(theirs, *details), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def upstream() -> AbstractContextManager[Address]:
    """A server that has an address for every name."""
    return answering(_answer)


def _answer(pipe: Connection) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((HOST, 0))
        pipe.send(sock.getsockname())
        while True:
            octets, peer = sock.recvfrom(4096)
            end = octets.index(b"\0", 12) + 5
            header = octets[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
            sock.sendto(header + octets[12:end] + ADDRESS, peer)


def corefile(to: Address) -> str:
    """Directives of the server block."""
    return f"errors\n forward . {to[0]}:{to[1]}"


def names(start: int, count: int) -> list[bytes]:
    """Queries for so many names that were not asked for before."""
    return [query(f"host-{number}.example.org") for number in range(start, start + count)]


def rounds(server: Server, count: int) -> tuple[list[float], list[Told]]:
    """Microseconds for each query that was answered, and what became of them, by round."""
    server.until_ready()
    ask_each(server.address, names(0, WARM_UP))
    costs, told = [], []
    for number in range(ROUNDS):
        before = server.cpu_s
        told.append(ask_each(server.address, names(WARM_UP + number * count, count)))
        costs.append((server.cpu_s - before) / told[-1].answered * 1e6)
    return costs, told


def measure(count: int) -> None:
    """Prints what a query costs each server."""
    servers = [clusterdns_with, *([coredns_with] if coredns_binary() else [])]
    for run in servers:
        with (
            upstream() as to,
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            run(Path(folder), corefile(to)) as server,
        ):
            costs, told = rounds(server, count)
            lost = sum(each.lost for each in told)
            each = ", ".join(f"{cost:.1f}" for cost in costs)
            print(f"{server.name:12}{min(costs):8.1f} us  ({each}; {lost} bursts with losses)")


async def _profiled(to: Address, count: int) -> None:
    parsed = parse(f". {{\n bind {HOST}\n {corefile(to)}\n}}", "bench", {})
    found = configure(parsed, lambda selection, api: Index(selection), 0)
    listener = Listener(HOST, 0, found.sockets[0].router)
    listener.open()
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.serve(stopping))
        for plugin in found.plugins:
            tasks.create_task(plugin.serve(stopping))
        ask = asyncio.to_thread(ask_each, (HOST, listener.port), names(0, count))
        with cProfile.Profile() as profile:
            await ask
        stopping.set()
    pstats.Stats(profile).sort_stats("tottime").print_stats(32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.profile:
        with upstream() as to:
            asyncio.run(_profiled(to, given.queries))
        return
    print(machine())
    measure(given.queries)


if __name__ == "__main__":
    main()
