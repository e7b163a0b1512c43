"""The page of `health`: the process runs. It never says anything else, and asks itself each second.

How long that takes tells how long the loop lets anybody wait: `coredns_health_request_*`.
"""

import asyncio
import socket

import aiohttp
from aiohttp import web

from clusterdns import metrics
from clusterdns.logs import plugin_logger
from clusterdns.web.app import TIMEOUT_S, serve, text

CHECK_EVERY_S = 1.0  # CoreDNS's, as the two below
_CHECK_TIMEOUT_S = 3.0
_SLOW_S = 1.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

log = plugin_logger("health")


async def serve_health(
    sock: socket.socket,
    stopping: asyncio.Event,
    timeout_s: float = TIMEOUT_S,
    check_every_s: float = CHECK_EVERY_S,
) -> None:
    """Says OK on /health until `stopping` is set, through the lameduck too; closes the socket."""
    host, port, *_ = sock.getsockname()
    host = _WILDCARDS.get(host, host)
    url = f"http://[{host}]:{port}/health" if ":" in host else f"http://{host}:{port}/health"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(sock, {"/health": _health}, stopping, timeout_s))
        tasks.create_task(check(url, stopping, check_every_s))


async def check(url: str, stopping: asyncio.Event, every_s: float = CHECK_EVERY_S) -> None:
    """Asks the page again and again until `stopping` is set; counts how long it took."""
    timeout = aiohttp.ClientTimeout(total=_CHECK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while not await _waited(stopping, every_s):
            await _ask(session, url)


async def _ask(session: aiohttp.ClientSession, url: str) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with session.get(url) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        metrics.health_failures.add()
        log.warning('Local health request to "%s" failed: %s', url, error or "timeout")
    took = loop.time() - began
    metrics.health_duration.observe(took)
    if took > _SLOW_S:
        log.warning('Local health request to "%s" took more than 1s: %.3fs', url, took)


async def _waited(stopping: asyncio.Event, seconds: float) -> bool:
    """Waits so long; whether `stopping` was set meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            return await stopping.wait()
    except TimeoutError:
        return False


async def _health(request: web.BaseRequest) -> web.Response:
    return text("OK")
