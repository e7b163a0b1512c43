"""Connections of tests, over TCP and TLS: each has ended when its block has.

What is not waited for is collected in some later test, and fails that one: sockets that are open,
and goodbyes over TLS that nobody has answered.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import dns.message

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Streams:
    """A server that gives each connection to `serve`; clients may leave in the middle."""

    def __init__(self, serve: Serve) -> None:
        self.port = 0
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Listens; 0: on a port that the kernel gives."""
        self._server = await asyncio.start_server(self._connected, host, port, ssl=tls)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Refuses new connections and breaks off those that are there."""
        if self._server is None:
            return
        self._server.close()
        await asyncio.sleep(0)  # those just accepted begin
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)
        await asyncio.sleep(0)  # sockets that were aborted are closed
        await self._server.wait_closed()
        self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # only `close` cancels it
        finally:
            writer.transport.abort()
            self._tasks.discard(task)


@asynccontextmanager
async def listening(
    serve: Serve, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port of a server that gives each connection to `serve`, until the block ends."""
    streams = Streams(serve)
    await streams.open(host, port, tls)
    try:
        yield streams.port
    finally:
        await streams.close()


@asynccontextmanager
async def connection(
    host: str, port: int, **options: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client's connection, whose end is waited for. options: those of `open_connection`."""
    reader, writer = await asyncio.open_connection(host, port, **options)
    try:
        yield reader, writer
        writer.close()
    finally:
        if not writer.is_closing():
            writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def ask(
    message: dns.message.Message, host: str, port: int, **options: Any
) -> dns.message.Message:
    """What the server says on a connection of its own.

    dnspython's own `tls` ends its connection without waiting for that.
    """
    octets = message.to_wire()
    async with connection(host, port, **options) as (reader, writer), asyncio.timeout(5):
        writer.write(len(octets).to_bytes(2, "big") + octets)
        size = int.from_bytes(await reader.readexactly(2), "big")
        reply: dns.message.Message = dns.message.from_wire(await reader.readexactly(size))
    assert message.is_response(reply)
    return reply
