"""The one place that builds the parts and runs them in a TaskGroup."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from clusterdns import logs, metrics
from clusterdns.cluster.connection import ApiOptions, AuditMode
from clusterdns.cluster.events import Event, Upsert
from clusterdns.cluster.model import EndpointSlice, Object
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.streams import Streams
from clusterdns.corefile.defaults import KUBEADM
from clusterdns.corefile.files import read_files
from clusterdns.corefile.parser import Corefile, load, parse
from clusterdns.errors import ConfigError
from clusterdns.lifecycle import Lifecycle
from clusterdns.logs import duration_text
from clusterdns.metrics import Labels, dns_programming_duration
from clusterdns.plugins.base import MetricsPage
from clusterdns.plugins.kubernetes import Kubernetes
from clusterdns.server.configuration import Configuration, configure
from clusterdns.server.listener import Listener
from clusterdns.server.privilege import use_net_bind_service
from clusterdns.tools.suggest import suggestions
from clusterdns.web import app as web
from clusterdns.web.health import serve_health
from clusterdns.web.ready import Readiness, serve_ready
from clusterdns.zone.index import Index, Key

PORTS_TRIED = 100  # how far the next free port may be; beyond, something else is wrong
SOCKET_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to ask a wildcard
INTERRUPTED = 2  # exit code when a second Ctrl-C cuts the shutdown short, as CoreDNS's

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What the command line says. port: of server blocks that name none."""

    corefile: str | None = None  # a path, or "stdin"
    port: int = 53
    manifests: tuple[str, ...] = ()
    pidfile: str | None = None
    quiet: bool = False
    drain_s: float = 20.0
    next_free_port: bool = False
    banner: str = ""  # printed at start, below the zones
    state: str | None = None  # folder of the last known state
    state_max_age_s: float = 86_400.0
    audit: AuditMode = "heal"


class Source(Protocol):
    """Where cluster objects come from: files, or a Kubernetes API."""

    async def serve(
        self, stopping: asyncio.Event, sink: Callable[[Sequence[Event]], None]
    ) -> None: ...


@dataclass
class Feed:
    """A source and the index that it fills."""

    index: Index
    source: Source
    synced: asyncio.Event = field(default_factory=asyncio.Event)


def run(options: Options) -> int:
    """Runs the server until it is told to stop; gives the exit code.

    Raises ClusterDnsError when it cannot start.
    """
    logs.install()
    server = App(options)
    gc.freeze()  # modules and configuration stay: 12 ms of every full collection while loading
    return asyncio.run(server.serve())


class App:
    """A server: everything that one Corefile asks for."""

    def __init__(self, options: Options) -> None:
        """Reads the configuration. Raises ConfigError, or SourceError for unusable manifests."""
        self._options = options
        self._feeds: dict[tuple[Selection, ApiOptions], Feed] = {}
        self._streams = Streams()
        self.configuration = self._configure(_corefile(options.corefile))
        self.lifecycle = Lifecycle()
        self.listeners = [
            Listener(each.address, each.port, each.router, each.limits, each.place, each.tls)
            for each in self.configuration.sockets
        ]
        self._health: list[socket.socket] = []
        self._ready: list[socket.socket] = []
        self._metrics: list[socket.socket] = []
        self._pprof: list[socket.socket] = []
        self._https: list[ssl.SSLContext | None] = []  # of each of these

    def _configure(self, corefile: Corefile) -> Configuration:
        found = configure(corefile, self._index, self._options.port, forget=self._forget)
        if self._options.manifests and not self._feeds:
            log.warning("--manifests: nobody reads them, there is no `kubernetes` in the Corefile")
        if self._options.manifests and self._options.state:
            log.warning("-state: nothing is kept with --manifests, the files are the state")
        for warning in found.warnings:
            log.warning("%s", warning)
        return found

    def _index(self, selection: Selection, api: ApiOptions) -> Index:
        key = (selection, api)
        if key not in self._feeds:
            index = Index(selection)
            self._feeds[key] = Feed(index, self._source(selection, api, index))
        return self._feeds[key].index

    def _source(self, selection: Selection, api: ApiOptions, index: Index) -> Source:
        """Files where there are any, else the API. What the other one needs is not imported."""
        if self._options.manifests:
            from clusterdns.cluster.manifests import Manifests

            return Manifests(self._options.manifests, selection, self._streams)
        from clusterdns.cluster.apiserver import ApiServer

        source = ApiServer(selection, api, audit=self._options.audit)
        if not self._options.state:
            return source
        from clusterdns.cluster.state import Kept, State

        folder, max_age = Path(self._options.state), self._options.state_max_age_s
        return Kept(source, State(folder, selection, api, max_age), index)

    async def serve(self) -> int:
        """Opens, answers until told to stop, and gives the exit code. Raises ConfigError."""
        try:
            with self._signals(), metrics.plugin_enabled.given_by(self._passed):
                self._open()
                if self._options.pidfile:
                    _write_pid(self._options.pidfile)
                await self._run()
        finally:
            for listener in self.listeners:
                listener.close()
            for sock in self._health + self._ready + self._metrics + self._pprof:
                sock.close()
        return 0

    def _open(self) -> None:
        """Opens every socket, so that whatever cannot be had is said before anything runs."""
        use_net_bind_service()
        for listener in self.listeners:
            self._open_listener(listener)
        next_free = self._options.next_free_port
        for pages, socks in (
            (self.configuration.health, self._health),
            (self.configuration.ready, self._ready),
            (self.configuration.metrics, self._metrics),
            (self.configuration.pprof, self._pprof),
        ):
            for page in pages:
                sock = web.listen(page.host, page.port, page.place, next_free)
                socks.append(sock)
                _tell_moved(page.port, sock.getsockname()[1])
                page.port = sock.getsockname()[1]
        self._https = [_https(page) for page in self.configuration.metrics]

    def _open_listener(self, listener: Listener) -> None:
        wanted = listener.port
        if self._options.next_free_port:
            listener.port = _next_free(listener.address, wanted)
        listener.open()
        _tell_moved(wanted, listener.port)

    async def _run(self) -> None:
        stopping, leaving = self.lifecycle.stopping, self.lifecycle.leaving
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for sock in self._health:
                tasks.create_task(serve_health(sock, stopping))
            for sock, page in zip(self._ready, self.configuration.ready, strict=True):
                waiting = Readiness(self.configuration.plugins, page.continuous).waiting
                tasks.create_task(serve_ready(sock, waiting, leaving, stopping))
            for sock, tls in zip(self._metrics, self._https, strict=True):
                tasks.create_task(self._serve_metrics(sock, tls))
            for sock in self._pprof:
                tasks.create_task(self._serve_pprof(sock))
            for listener in self.listeners:
                tasks.create_task(listener.serve(stopping))
            for plugin in self.configuration.plugins:
                tasks.create_task(plugin.serve(stopping))
            for feed in self._feeds.values():
                tasks.create_task(feed.source.serve(stopping, partial(self._apply, feed)))
            tasks.create_task(self._announce())

    def _forget(self, keys: Iterable[Key]) -> None:
        """Drops the answers that rest on one of these keys."""
        keys = set(keys)
        for plugin in self.configuration.plugins:
            plugin.forget(keys)
        for listener in self.listeners:
            listener.forget(keys)

    async def _serve_metrics(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """What it needs is imported only where some `prometheus` is."""
        from clusterdns.web.metrics import serve_metrics

        runtime = any(page.runtime for page in self.configuration.metrics)  # of the whole process
        await serve_metrics(sock, self._tells, self.lifecycle.stopping, runtime, tls)

    async def _serve_pprof(self, sock: socket.socket) -> None:
        """What it needs is imported only where some `pprof` is."""
        from clusterdns.web.pprof import serve_pprof

        await serve_pprof(sock, self.lifecycle.stopping)

    def _tells(self) -> list[Callable[[], None]]:
        """Each has one socket's counts told to metrics."""
        return [tell for listener in self.listeners for tell in listener.tells()]

    def _passed(self) -> dict[Labels, float]:
        """1 for each directive that queries pass, by its labels in metrics."""
        return {labels: 1.0 for listener in self.listeners for labels in listener.passed()}

    def _apply(self, feed: Feed, events: Sequence[Event]) -> None:
        """Takes what a source says into its index, and drops the answers that it changes."""
        now = time.time()
        touched: set[Key] = set()
        for event in events:
            keys = feed.index.apply(event, now)
            if keys and isinstance(event, Upsert) and event.triggered is not None:
                _note_programming(feed.index, event.object, now - event.triggered)
            touched |= keys
        if touched:
            self._forget(touched)
        if feed.index.synced:
            feed.synced.set()

    async def _announce(self) -> None:
        """Says what is served, and once all is synced, what to ask."""
        self._say(self._served())
        for feed in self._feeds.values():
            await _either(feed.synced, self.lifecycle.stopping)
        self.lifecycle.synced()
        # What was loaded stays: collections need not look at it again, DESIGN: 18 ms at 150,000.
        gc.collect()
        gc.freeze()
        if hints := list(self._hints()):
            self._say(["synced; try:", *hints])

    def _say(self, lines: Iterable[str]) -> None:
        """Prints for whoever started this; that they may have gone away is no reason to end."""
        if not self._options.quiet:
            with contextlib.suppress(OSError):
                print(*lines, sep="\n", flush=True)

    def _served(self) -> Iterator[str]:
        for listener, sock in zip(self.listeners, self.configuration.sockets, strict=True):
            for zone in sock.zones:
                where = f"{'tls://' if listener.tls else ''}{zone}:{listener.port}"
                yield where + (f" on {sock.address}" if sock.address else "")
        yield self._options.banner
        told = [f"health on {page.host}:{page.port}" for page in self.configuration.health]
        told += [f"readiness on {page.host}:{page.port}" for page in self.configuration.ready]
        if told:
            yield ", ".join(told)

    def _hints(self) -> Iterator[str]:
        """`dig` lines that this server answers with something to see."""
        plain = [listener for listener in self.listeners if not listener.tls]
        if not plain or self.lifecycle.leaving.is_set():
            return
        address, port = plain[0].addresses[0]
        at = f"@{LOOPBACK.get(address, address)} -p {port}"
        for plugin in self.configuration.plugins:
            if isinstance(plugin, Kubernetes):
                for question in suggestions(plugin.index, plugin.zone_options):
                    yield f"  dig {at} {question}"
                return

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT leave, SIGQUIT stops at once, SIGHUP does nothing."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._terminate,
            signal.SIGINT: self._interrupt,
            signal.SIGQUIT: self.lifecycle.stop,
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


def _note_programming(index: Index, thing: Object, seconds: float) -> None:
    """Notes how long after its cause a slice is served, if its Service is known (4.7)."""
    if not isinstance(thing, EndpointSlice):
        return
    service = index.service(thing.namespace, thing.service)
    if service is not None:
        kind = "cluster_ip" if service.cluster_ips else "headless_with_selector"
        dns_programming_duration.observe(max(0.0, seconds), kind)


def _https(page: MetricsPage) -> ssl.SSLContext | None:
    if page.tls is None:
        return None
    from clusterdns.web.https import https

    return https(page.tls.text, page.tls.place)


def _corefile(path: str | None) -> Corefile:
    """The Corefile at the path, or ./Corefile, or kubeadm's."""
    if path == "stdin":
        return parse(sys.stdin.read(), "stdin", os.environ, read_files)
    if not path and not os.path.isfile("Corefile"):
        return parse(KUBEADM, "default", os.environ)
    return load(path or "Corefile")


def _next_free(address: str, port: int) -> int:
    """The first port from this one on that nobody has, for UDP and TCP.

    With SO_REUSEPORT a port that another process of ours serves could be bound, and shared.
    """
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        if all(_is_free(address, candidate, kind) for kind in SOCKET_KINDS):
            return candidate
    return port  # opening it says why not


def _is_free(address: str, port: int, kind: socket.SocketKind) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as sock:
        try:
            sock.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        return True


def _tell_moved(wanted: int, port: int) -> None:
    if wanted not in (0, port):
        log.warning("port %d is taken; using %d", wanted, port)


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
