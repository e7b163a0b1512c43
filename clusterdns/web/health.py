"""The page of `health`: the process runs. It never says anything else."""

import asyncio
import socket

from aiohttp import web

from clusterdns.web.app import TIMEOUT_S, serve, text


async def serve_health(
    sock: socket.socket, stopping: asyncio.Event, timeout_s: float = TIMEOUT_S
) -> None:
    """Says OK on /health until `stopping` is set, through the lameduck too; closes the socket."""
    await serve(sock, {"/health": _health}, stopping, timeout_s)


async def _health(request: web.BaseRequest) -> web.Response:
    return text("OK")
