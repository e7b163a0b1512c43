"""Small web servers: a listening socket, and pages by path.

aiohttp's low-level server, without router and middlewares: a path either has a page or is 404,
whatever the method. Pages answer at once from memory.
"""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from clusterdns import __version__
from clusterdns.corefile.names import host_and_port
from clusterdns.errors import ConfigError, Place

Page = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

TIMEOUT_S = 5.0  # CoreDNS's, for reading a request, for an idle connection, and for the end
PORTS_TRIED = 100  # how far `next_free` looks; when so many in a row are taken, something is wrong

log = logging.getLogger(__name__)


def listen(
    host: str, port: int, place: Place | None = None, next_free: bool = False
) -> socket.socket:
    """A socket that listens there; the caller closes it, or gives it to `serve`, which does.

    host: "" for every address of both families. A name is looked up, its IPv4 address preferred,
        and waited for: only at start.
    port: 0 for any free one.
    next_free: where the port is taken, the next one that is free.
    Raises ConfigError, with the place that asks for it.
    """
    for tried in range(port, min(port + PORTS_TRIED if next_free and port else port + 1, 65536)):
        try:
            return _listen(host, tried)
        except OSError as error:
            failure = error
            if error.errno != errno.EADDRINUSE:
                break
    reason = os.strerror(failure.errno) if failure.errno and failure.errno > 0 else failure.strerror
    raise ConfigError(f"cannot listen on {host_and_port(host, port)}: {reason}", place) from failure


async def serve(
    sock: socket.socket,
    pages: Mapping[str, Page],
    stopping: asyncio.Event,
    timeout_s: float = TIMEOUT_S,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serves the pages by their path until `stopping` is set; closes the socket.

    timeout_s: a connection that brings no whole request for so long is closed.
    tls: for HTTPS; None serves plain HTTP.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        page = pages.get(request.path)
        return await page(request) if page else _not_found()

    server = web.Server(answer, keepalive_timeout=timeout_s, lingering_time=timeout_s, logger=log)
    runner = web.ServerRunner(server, access_log=None, shutdown_timeout=timeout_s)
    await runner.setup()
    try:
        await web.SockSite(runner, sock, ssl_context=tls).start()
        await stopping.wait()
    finally:
        await runner.cleanup()
        sock.close()


def text(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A page of plain text."""
    return web.Response(
        text=body,
        status=status,
        headers=server_header() | dict(headers or {}),
        content_type="text/plain",
        charset="utf-8",
    )


def server_header() -> dict[str, str]:
    """What a page says of who serves it."""
    return {"Server": f"clusterdns/{__version__}"}


def _not_found() -> web.Response:
    """What Go's servers say, word for word: probes and tests look for it."""
    return text("404 page not found\n", 404, {"X-Content-Type-Options": "nosniff"})


def _listen(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    if not host:  # a kernel without IPv6
        return socket.create_server(("", port))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return socket.create_server(address, family=family)
