"""The page of `ready`: traffic may come here. It says no as soon as the process leaves."""

import asyncio
import socket
from collections.abc import Callable, Iterable

from aiohttp import web

from clusterdns.logs import plugin_logger
from clusterdns.plugins.base import Plugin
from clusterdns.web.app import TIMEOUT_S, serve, text

log = plugin_logger("ready")


class Readiness:
    """Which plugins are not ready, by name.

    A plugin used in several server blocks is ready when it is in all of them.
    continuous: whether a plugin that was ready once is asked again (`monitor continuously`).
    """

    def __init__(self, plugins: Iterable[Plugin], continuous: bool = False) -> None:
        self._asked = list(plugins)
        self._continuous = continuous

    def waiting(self) -> list[str]:
        """The names of those that are not ready, sorted, each once."""
        waiting = [plugin for plugin in self._asked if not plugin.ready()]
        if not self._continuous:
            self._asked = waiting
        return sorted({plugin.name for plugin in waiting})


async def serve_ready(
    sock: socket.socket,
    waiting: Callable[[], list[str]],
    leaving: asyncio.Event,
    stopping: asyncio.Event,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Tells on /ready whether nobody is `waiting`, until `stopping` is set; closes the socket.

    leaving: once set the answer is no, so that traffic goes elsewhere during the lameduck.
    """

    async def ready(request: web.BaseRequest) -> web.Response:
        if leaving.is_set():
            return text("Shutting down", 503)
        if names := ",".join(waiting()):
            log.info('Plugins not ready: "%s"', names)
            return text(names, 503)
        return text("OK")

    await serve(sock, {"/ready": ready}, stopping, timeout_s)
