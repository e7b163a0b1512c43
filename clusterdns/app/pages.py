"""The pages that a configuration asks for: opened, served, and kept through a reload."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from clusterdns.app.ports import tell_moved
from clusterdns.corefile.lexer import Token
from clusterdns.lifecycle import Lifecycle
from clusterdns.plugins.base import HealthPage, MetricsPage, PprofPage, ReadyPage
from clusterdns.server.configuration import Configuration
from clusterdns.web import app as web
from clusterdns.web.health import serve_health
from clusterdns.web.ready import Readiness, serve_ready

Asked = HealthPage | ReadyPage | MetricsPage | PprofPage
Tells = Callable[[], list[Callable[[], None]]]


class Recipe(NamedTuple):
    """What decides how a page is served, but for its address."""

    tls: str | None = None  # what the file says that tells how to serve HTTPS, and where it is
    runtime: bool = False  # with more of the interpreter's own figures


class Page:
    """A socket, and what is served there. where: kind, host and port as configured."""

    def __init__(self, asked: Asked, sock: socket.socket, recipe: Recipe) -> None:
        self.where = (type(asked), asked.host, asked.port)
        self.recipe = recipe
        self.sock = sock
        self.port: int = sock.getsockname()[1]
        self.https: ssl.SSLContext | None = None
        self.readiness = Readiness(())


class Pages:
    """The pages of one configuration, in its order."""

    def __init__(self, lifecycle: Lifecycle, tells: Tells, next_free: bool) -> None:
        """tells: see `serve_metrics`. next_free: a port that is taken gives way to the next."""
        self._lifecycle = lifecycle
        self._tells = tells
        self._next_free = next_free

    def open(self, configuration: Configuration, known: Iterable[Page] = ()) -> list[Page]:
        """The pages that it asks for; each of the known ones that is as before is among them.

        One at the same place that is served in another way gets the same socket, so that nobody
        is turned away. Raises ConfigError; nothing new is open then.
        """
        old = {page.where: page for page in known}
        runtime = any(page.runtime for page in configuration.metrics)  # of the whole process
        with contextlib.ExitStack() as undo:
            pages = []
            for asked in _asked(configuration):
                recipe = Recipe()
                if isinstance(asked, MetricsPage):
                    recipe = Recipe(_told(asked.tls), runtime)
                page = old.get((type(asked), asked.host, asked.port))
                if page is None or page.recipe != recipe:
                    page = Page(asked, self._socket(asked, page), recipe)
                    undo.callback(page.sock.close)
                    page.https = _https(asked)
                pages.append(page)
            undo.pop_all()
        return pages

    def use(self, configuration: Configuration, pages: Iterable[Page]) -> None:
        """Has the opened pages tell of this configuration, and it of their ports."""
        for asked, page in zip(_asked(configuration), pages, strict=True):
            asked.port = page.port
            if isinstance(asked, ReadyPage):
                page.readiness = Readiness(configuration.plugins, asked.continuous)

    async def serve(self, page: Page, stopping: asyncio.Event) -> None:
        """Serves one page until `stopping` is set. What it needs is imported only then."""
        kind, _, _ = page.where
        if kind is HealthPage:
            await serve_health(page.sock, stopping)
        elif kind is ReadyPage:
            leaving = self._lifecycle.leaving
            await serve_ready(page.sock, lambda: page.readiness.waiting(), leaving, stopping)
        elif kind is MetricsPage:
            from clusterdns.web.metrics import serve_metrics

            await serve_metrics(page.sock, self._tells, stopping, page.recipe.runtime, page.https)
        else:
            from clusterdns.web.pprof import serve_pprof

            await serve_pprof(page.sock, stopping)

    def _socket(self, asked: Asked, known: Page | None) -> socket.socket:
        if known is not None:
            return known.sock.dup()
        sock = web.listen(asked.host, asked.port, asked.place, self._next_free)
        tell_moved(asked.port, sock.getsockname()[1])
        return sock


def _asked(configuration: Configuration) -> Iterator[Asked]:
    found = configuration
    return chain[Asked](found.health, found.ready, found.metrics, found.pprof)


def _told(file: Token | None) -> str | None:
    if file is None:
        return None
    try:
        return f"{file.text}\n{Path(file.text).read_text(encoding='utf-8', errors='replace')}"
    except OSError:
        return file.text  # `_https` says it


def _https(asked: Asked) -> ssl.SSLContext | None:
    if not isinstance(asked, MetricsPage) or asked.tls is None:
        return None
    from clusterdns.web.https import https

    return https(asked.tls.text, asked.tls.place)
