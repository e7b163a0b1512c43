"""Pages on real sockets, asked by aiohttp's client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from socket import socket
from typing import Any

import aiohttp

from clusterdns.web.app import listen
from tests.beside import beside

Serve = Callable[[socket, asyncio.Event], Coroutine[Any, Any, None]]


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[int]:
    """The port on 127.0.0.1 that `serve` serves; ended afterwards."""
    sock = listen("127.0.0.1", 0)
    async with asyncio.timeout(10), beside(partial(serve, sock)):
        yield sock.getsockname()[1]


@asynccontextmanager
async def asked(serve: Serve) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of what `serve` serves: its paths are enough."""
    async with (
        served(serve) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        yield client
