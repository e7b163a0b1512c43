"""A server: everything that one Corefile asks for, and what takes its place."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from clusterdns import logs, metrics
from clusterdns.app.announcing import hints, served
from clusterdns.app.corefiles import Corefiles
from clusterdns.app.feeds import Feed, Feeds
from clusterdns.app.options import Options
from clusterdns.app.pages import Page, Pages
from clusterdns.app.parts import Parts
from clusterdns.app.ports import next_free, tell_moved
from clusterdns.app.reloading import NotYet, Reloader
from clusterdns.cluster.streams import Streams
from clusterdns.corefile.parser import Corefile
from clusterdns.errors import ConfigError
from clusterdns.lifecycle import Lifecycle
from clusterdns.logs import duration_text
from clusterdns.metrics import Labels
from clusterdns.plugins.base import Plugin, ReloadTimes
from clusterdns.server.configuration import Configuration, Socket, configure
from clusterdns.server.listener import Listener, open_keylog
from clusterdns.server.privilege import use_net_bind_service
from clusterdns.server.respond import QUERY_TIME_S
from clusterdns.zone.index import Key

INTERRUPTED = 2  # exit code when a second Ctrl-C cuts the shutdown short, as CoreDNS's
# How long a new configuration that needs other objects of the cluster waits for them, while the old
# one answers. A large cluster is listed in seconds.
SYNC_S = 60.0

T = TypeVar("T")

log = logging.getLogger(__name__)


def run(options: Options) -> int:
    """Runs the server until it is told to stop; gives the exit code.

    Raises ClusterDnsError when it cannot start.
    """
    logs.install()
    server = App(options)
    gc.freeze()  # modules and configuration stay: 12 ms of every full collection while loading
    # A full collection looks at every reply that is kept: 30 ms for 10,000 names, and it finds
    # nothing, as what lives long is in no cycles. Ten times as rare as usual.
    gc.set_threshold(*gc.get_threshold()[:2], 100)
    return asyncio.run(server.serve())


class App:
    """A server.

    configuration, listeners: what answers now.
    """

    def __init__(self, options: Options) -> None:
        """Reads the configuration. Raises ConfigError, or SourceError for unusable manifests."""
        self._options = options
        self._streams = Streams()
        self.lifecycle = Lifecycle()
        self._pages = Pages(self.lifecycle, self._tells, options.next_free_port)
        self._served: list[Page] = []
        self._corefiles = Corefiles(options.corefile, options.last_good)
        self._reloader = Reloader(self._corefiles, self._reload_times, self._exchange)
        self._feeds = Feeds(options, self._streams, self._forget)
        self.configuration = Configuration()
        self.listeners: list[Listener] = []
        refused: Corefile | ConfigError | None = None
        try:
            refused = self._corefile = self._corefiles.read()
            self._take(self._corefile)
        except ConfigError as fault:
            self._fall_back(refused or fault, fault)

    def _take(self, corefile: Corefile) -> None:
        """Configures what is to be opened. Raises ConfigError."""
        feeds = Feeds(self._options, self._streams, self._forget)
        self.configuration = self._configured(corefile, feeds)
        self.listeners = [_listener(sock) for sock in self.configuration.sockets]
        self._feeds, self._corefile = feeds, corefile
        self._reloader.uses(corefile)

    def _fall_back(self, refused: Corefile | ConfigError, fault: ConfigError) -> None:
        """Takes the last good Corefile instead. Raises the fault if there is none."""
        corefile = self._corefiles.last_good(fault)
        try:
            self._take(corefile)
        except ConfigError as other:
            log.error("the last good Corefile cannot be used either: %s", other)
            raise fault from other
        self._reloader.uses(corefile, refused)

    def _configured(
        self,
        corefile: Corefile,
        feeds: Feeds,
        before: Configuration | None = None,
        anew: bool = False,
    ) -> Configuration:
        """before: what runs; with `anew` none of its server blocks goes on as it is."""
        options = self._options
        found = configure(
            corefile, feeds.index, options.port, forget=self._forget, before=before, anew=anew
        )
        if options.manifests and not feeds.by_wanted:
            log.warning("--manifests: nobody reads them, there is no `kubernetes` in the Corefile")
        if options.manifests and options.state:
            log.warning("-state: nothing is kept with --manifests, the files are the state")
        for warning in found.warnings:
            log.warning("%s", warning)
        return found

    async def serve(self) -> int:
        """Opens, answers until told to stop, and gives the exit code. Raises ConfigError."""
        try:
            with self._signals(), metrics.plugin_enabled.given_by(self._passed):
                self._open()
                if self._options.pidfile:
                    _write_pid(self._options.pidfile)
                if not self._reloader.runs_last_good:
                    self._corefiles.keep(self._corefile)
                await self._run()
        finally:
            for listener in self.listeners:
                listener.close()
            for page in self._served:
                page.sock.close()
        return 0

    def _open(self) -> None:
        """Opens every socket, so that whatever cannot be had is said before anything runs."""
        use_net_bind_service()
        try:
            self._open_all()
        except ConfigError as fault:
            if self._reloader.runs_last_good:
                raise
            self._fall_back(self._corefile, fault)
            self._open_all()

    def _open_all(self) -> None:
        with contextlib.ExitStack() as undo:
            for listener in self.listeners:
                undo.callback(listener.close)
                self._open_listener(listener)
            self._served = self._pages.open(self.configuration)
            undo.pop_all()
        self._pages.use(self.configuration, self._served)

    def _open_listener(self, listener: Listener) -> None:
        wanted = listener.port
        if self._options.next_free_port:
            listener.port = next_free(listener.address, wanted)
        listener.open()
        tell_moved(wanted, listener.port)

    async def _run(self) -> None:
        stopping = self.lifecycle.stopping
        async with asyncio.TaskGroup() as self._tasks:
            self._parts = Parts(self._tasks, stopping)
            self._start_parts()
            self._tasks.create_task(self._reloader.serve(stopping))
            self._tasks.create_task(self._announce())

    def _start_parts(self) -> None:
        """Starts all that does not run yet."""
        for page in self._served:
            self._parts.start(page, partial(self._pages.serve, page))
        feeds = self._feeds.by_wanted.values()
        parts: list[Listener | Plugin | Feed] = [*self.listeners, *self.configuration.plugins]
        for part in (*parts, *feeds):
            self._parts.start(part, part.serve)

    def _reload_times(self) -> ReloadTimes | None:
        return self.configuration.reload[-1] if self.configuration.reload else None

    async def _exchange(self, corefile: Corefile, anew: bool) -> None:
        """Puts the configuration of a Corefile in the place of the one that runs, without a moment
        in which nobody answers: sockets stay open or are opened before, and what is the same in
        both goes on.

        anew: server blocks that are the same are built again (certificates, resolv.conf).
        Raises ClusterDnsError, and nothing has changed then.
        """
        if self.lifecycle.leaving.is_set():
            raise NotYet("the server leaves")
        feeds = Feeds(self._options, self._streams, self._forget, known=self._feeds)
        configuration = await asyncio.to_thread(
            self._configured, corefile, feeds, self.configuration, anew
        )
        with contextlib.ExitStack() as undo:
            listeners = self._opened(configuration, undo)
            pages = self._pages.open(configuration, self._served)
            for page in _without(pages, self._served):
                undo.callback(page.sock.close)
            await self._synced(feeds)
            undo.pop_all()
        self._swap(configuration, listeners, pages, feeds)

    def _opened(self, configuration: Configuration, undo: contextlib.ExitStack) -> list[Listener]:
        """Its listeners: those that are open already, and new ones."""
        use_net_bind_service()
        before = zip(self.configuration.sockets, self.listeners, strict=True)
        known = {sock.where: listener for sock, listener in before}
        listeners = []
        for sock in configuration.sockets:
            listener = known.get(sock.where)
            if listener is None:
                listener = _listener(sock)
                undo.callback(listener.close)
                self._open_listener(listener)
            elif sock.tls is not None:
                open_keylog(sock.tls, sock.place)
            listeners.append(listener)
        return listeners

    async def _synced(self, feeds: Feeds) -> None:
        """Waits until new feeds have what old ones have: cluster names go on meanwhile (D36).

        Raises NotYet when that takes too long.
        """
        old = list(self._feeds.by_wanted.values())
        new = _without(feeds.by_wanted.values(), old)
        for feed in new:
            self._parts.start(feed, feed.serve)
        if not any(feed.synced.is_set() for feed in old):
            return
        try:
            async with asyncio.timeout(SYNC_S):
                for feed in new:
                    await _either(feed.synced, self.lifecycle.stopping)
        except BaseException as error:
            for feed in new:
                self._parts.end(feed)
            if isinstance(error, TimeoutError):
                raise NotYet(
                    f"the cluster's objects were not listed within {SYNC_S:.0f}s; "
                    "the configuration that runs has them"
                ) from error
            raise

    def _swap(
        self,
        configuration: Configuration,
        listeners: list[Listener],
        pages: list[Page],
        feeds: Feeds,
    ) -> None:
        """From here on everything is the new configuration's. Nothing in it can fail."""
        gone: list[Listener | Page | Feed] = [
            *_without(self.listeners, listeners),
            *_without(self._served, pages),
            *_without(self._feeds.by_wanted.values(), feeds.by_wanted.values()),
        ]
        plugins = _without(self.configuration.plugins, configuration.plugins)
        self.configuration, self.listeners = configuration, listeners
        self._served, self._feeds = pages, feeds
        for listener, sock in zip(listeners, configuration.sockets, strict=True):
            listener.route(sock.router, sock.limits, sock.tls)
        self._pages.use(configuration, pages)
        self._start_parts()
        for each in gone:
            self._parts.end(each)
            if isinstance(each, Feed):
                each.synced.set()  # nobody is to wait for it
        self._tasks.create_task(self._retire(plugins))

    async def _retire(self, plugins: Iterable[Plugin]) -> None:
        """Ends plugins once the queries that they have are over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUERY_TIME_S):
                await self.lifecycle.stopping.wait()
        for plugin in plugins:
            self._parts.end(plugin)

    def _forget(self, keys: Iterable[Key]) -> None:
        """Drops the answers that rest on one of these keys."""
        keys = set(keys)
        for plugin in self.configuration.plugins:
            plugin.forget(keys)
        for listener in self.listeners:
            listener.forget(keys)

    def _tells(self) -> list[Callable[[], None]]:
        """Each has one socket's counts told to metrics."""
        return [tell for listener in self.listeners for tell in listener.tells()]

    def _passed(self) -> dict[Labels, float]:
        """1 for each directive that queries pass, by its labels in metrics."""
        return {labels: 1.0 for listener in self.listeners for labels in listener.passed()}

    async def _announce(self) -> None:
        """Says what is served, and once all is synced, what to ask."""
        self._say(served(self.configuration, self.listeners, self._options.banner))
        while waited := [
            each for each in self._feeds.by_wanted.values() if not each.synced.is_set()
        ]:
            await _either(waited[0].synced, self.lifecycle.stopping)
            if self.lifecycle.stopping.is_set():
                break
        self.lifecycle.synced()
        # What was loaded stays: collections need not look at it again, DESIGN: 18 ms at 150,000.
        gc.collect()
        gc.freeze()
        lines = list(hints(self.configuration, self.listeners))
        if lines and not self.lifecycle.leaving.is_set():
            self._say(["synced; try:", *lines])

    def _say(self, lines: Iterable[str]) -> None:
        """Prints for whoever started this; that they may have gone away is no reason to end."""
        if not self._options.quiet:
            with contextlib.suppress(OSError):
                print(*lines, sep="\n", flush=True)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT leave, SIGQUIT stops at once, SIGUSR1 reloads, SIGHUP does nothing."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._terminate,
            signal.SIGINT: self._interrupt,
            signal.SIGQUIT: self.lifecycle.stop,
            signal.SIGUSR1: self._reloader.tell,
            signal.SIGHUP: lambda: None,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _terminate(self) -> None:
        if not self.lifecycle.leaving.is_set():
            self.lifecycle.leaving.set()
            log.info("SIGTERM: Shutting down servers then terminating")
            self._tasks.create_task(self._leave(self._options.drain_s))

    def _interrupt(self) -> None:
        if self.lifecycle.leaving.is_set():
            sys.stdout.flush()
            os._exit(INTERRUPTED)  # the loop may be what hangs
        self.lifecycle.leaving.set()
        log.info("SIGINT: Shutting down")
        self._tasks.create_task(self._leave(drain_s=0.0))

    async def _leave(self, drain_s: float) -> None:
        lameduck_s = max((page.lameduck for page in self.configuration.health), default=0.0)
        if lameduck_s:
            logs.plugin_logger("health").info(
                "Going into lameduck mode for %s", duration_text(lameduck_s)
            )
        await self.lifecycle.leave(lameduck_s, drain_s, self._last_query)

    def _last_query(self) -> float:
        return max((listener.last_query for listener in self.listeners), default=0.0)


def _listener(sock: Socket) -> Listener:
    return Listener(sock.address, sock.port, sock.router, sock.limits, sock.place, sock.tls)


def _without(things: Iterable[T], others: Iterable[object]) -> list[T]:
    """The things that are none of the others."""
    known = {id(each) for each in others}
    return [each for each in things if id(each) not in known]


def _write_pid(path: str) -> None:
    try:
        Path(path).write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise ConfigError(f"cannot write the pidfile {path}: {error.strerror}") from error


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    """Waits until one of two events is set."""
    waits = [asyncio.ensure_future(each.wait()) for each in (first, second)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
