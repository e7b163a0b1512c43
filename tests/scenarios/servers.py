"""A whole server in the loop of a test: real sockets on free ports, no process to wait for."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from clusterdns.app import LOOPBACK, App, Options
from tests.scenarios.asking import At

START_S = 10.0  # until the files are served; only a broken server takes so long

COREFILE = """\
.:0 {
    bind 127.0.0.1
    errors
    health 127.0.0.1:0
    ready 127.0.0.1:0
    kubernetes cluster.local in-addr.arpa ip6.arpa
}
"""


class Server:
    """A server that runs."""

    def __init__(self, app: App) -> None:
        self.app = app

    @property
    def at(self) -> At:
        """Where the first server block listens."""
        return self.all_at[0]

    @property
    def all_at(self) -> list[At]:
        """Where to ask each address and port, in the order of the Corefile."""
        return [
            At(LOOPBACK.get(address, address), port)
            for each in self.app.listeners
            for address, port in each.addresses
        ]

    @property
    def health(self) -> int:
        return self.app.configuration.health[0].port

    @property
    def ready(self) -> int:
        return self.app.configuration.ready[0].port

    @property
    def hits(self) -> int:
        """Queries that were answered without asking a plugin."""
        return sum(each.hits for each in self.app.listeners)

    async def synced(self) -> None:
        async with asyncio.timeout(START_S):
            await self.app.lifecycle.ready.wait()


@asynccontextmanager
async def started(
    folder: Path, *manifests: str | Path, corefile: str = COREFILE, **options: Any
) -> AsyncIterator[Server]:
    """A server that has opened its sockets; stopped, without lameduck, afterwards.

    folder: the Corefile is written there.
    """
    (folder / "Corefile").write_text(corefile)
    app = App(
        Options(
            corefile=str(folder / "Corefile"),
            manifests=tuple(map(str, manifests)),
            quiet=True,
            **options,
        )
    )
    task = asyncio.create_task(app.serve())
    try:
        await asyncio.sleep(0)  # its first step opens the sockets, or fails
        if task.done():
            task.result()
        yield Server(app)
    finally:
        app.lifecycle.stop()
        async with asyncio.timeout(START_S):
            assert await task == 0


@asynccontextmanager
async def served(
    folder: Path, *manifests: str | Path, corefile: str = COREFILE, **options: Any
) -> AsyncIterator[Server]:
    """As `started`, once everything in the manifests is served."""
    async with started(folder, *manifests, corefile=corefile, **options) as server:
        await server.synced()
        yield server


def write(path: Path, objects: Iterable[Any]) -> Path:
    """A file with these objects, a document each, in place of what is there, at once."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(yaml.safe_dump_all(objects))
    return aside.rename(path)
