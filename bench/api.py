"""The simulated API server of the tests with a large cluster, in a process of its own."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench import cluster
from tests.apiserver.server import ApiServer

# Services of which each has one endpoint: its address tells how often it was changed.
CHANGING = [cluster.Site(10**6 + cluster.HEADLESS_EVERY * number) for number in range(100)]
LAST = cluster.Site(0, "zebra")  # the same; at the end of every list, to tell that one ended


class Due(NamedTuple):
    """A change that happened: of which Service, the address it brought, and Unix nanoseconds."""

    site: cluster.Site
    address: str
    at: int


class Api:
    """What the process behind the pipe does when it is told to."""

    def __init__(self, pipe: Connection, url: str) -> None:
        self._pipe = pipe
        self.url = url

    def expire(self, number: int) -> Due:
        """Cuts all watches, and answers 410 to those that want to go on; LAST changes meanwhile."""
        due: Due = self._ask("expire", number)
        return due

    def change(self, rate: float, first: int, count: int) -> None:
        """Begins to change one Service after the other, so many a second; `changed` says when.

        first: the number of the first change, from which its address follows.
        """
        self._pipe.send(("change", (rate, first, count)))

    def changed(self) -> list[Due]:
        """The changes that happened, once they all have."""
        found: list[Due] = self._pipe.recv()
        return found

    def _ask(self, verb: str, *arguments: Any) -> Any:
        self._pipe.send((verb, arguments))
        return self._pipe.recv()


def address(number: int) -> str:
    """What is the endpoint's after so many changes."""
    return f"10.250.{number >> 8}.{number & 255}"


def name(site: cluster.Site) -> str:
    """The domain name of a Service."""
    return f"{site.name}.{site.namespace}.svc.cluster.local"


@contextmanager
def simulated(shape: cluster.Shape) -> Iterator[Api]:
    """Serves such a cluster until the block ends."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_serve, args=(theirs, shape), daemon=True)
    process.start()
    try:
        yield Api(ours, ours.recv())
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection, shape: cluster.Shape) -> None:
    asyncio.run(_run(pipe, shape))


async def _run(pipe: Connection, shape: cluster.Shape) -> None:
    async with ApiServer(_objects(shape)) as api:
        told: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(pipe.fileno(), lambda: told.put_nowait(pipe.recv()))
        pipe.send(api.url)
        while True:
            verb, arguments = await told.get()
            pipe.send(
                _expire(api, *arguments) if verb == "expire" else await _change(api, *arguments)
            )


def _objects(shape: cluster.Shape) -> Iterator[cluster.Json]:
    yield from cluster.objects(shape)
    for site in (*CHANGING, LAST):
        yield cluster.namespace(cluster.seeded(), site.namespace)
        yield cluster.service(cluster.seeded(), site)
        yield _slice(site, address(0))


def _slice(site: cluster.Site, text: str) -> cluster.Json:
    return cluster.endpoint_slice(cluster.seeded(), site, addresses=[text])


def _expire(api: ApiServer, number: int) -> Due:
    text = address(number)
    api.cut_watches()
    api.store.put(_slice(LAST, text))
    api.expire_history()
    return Due(LAST, text, time.time_ns())


async def _change(api: ApiServer, rate: float, first: int, count: int) -> list[Due]:
    start = time.monotonic()
    done: list[Due] = []
    for number in range(first, first + count):
        site, text = CHANGING[number % len(CHANGING)], address(number)
        made = _slice(site, text)
        await asyncio.sleep(max(0.0, start + (number - first) / rate - time.monotonic()))
        done.append(Due(site, text, time.time_ns()))
        await api.put(made)
    return done
