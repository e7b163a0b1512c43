"""Follows a Kubernetes API server: sends what the reflectors ask for and hands them what comes.

The raw calls of `kubernetes.aio` are used, and neither its models (25 MB, 0.7 s) nor its Watch,
which gives up at 410 and builds dictionaries of everything. Only list and watch are asked for.
"""

import asyncio
import logging
import platform
import random
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import aiohttp

import clusterdns.cluster.slim_kubernetes  # noqa: F401  # before what it makes slim

# isort: split
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config

from clusterdns import __version__, metrics
from clusterdns.cluster.audit import Auditor
from clusterdns.cluster.connection import ApiOptions, AuditMode, Kubeconfig, TokenBucket, signature
from clusterdns.cluster.events import Event, Kind
from clusterdns.cluster.figures import Figures
from clusterdns.cluster.frames import Lines
from clusterdns.cluster.model import Namespace, Object
from clusterdns.cluster.reflector import Reflector
from clusterdns.cluster.requests import (
    Request,
    Timing,
    Wait,
)
from clusterdns.cluster.selection import Selection
from clusterdns.errors import ClusterDnsError, SourceError
from clusterdns.metrics import api_lag, event_to_answer

log = logging.getLogger(__name__)

Sink = Callable[[Sequence[Event]], None]

TURN_S = 0.001  # decoding without a pause; applying what comes of it takes as long again
TURN_EVENTS = 100  # handed over at once: applied in less than 2 ms
READ_OCTETS = 1 << 16  # buffered for a connection; twice that stops the server from sending
MOST_PAGE = 256 << 20  # octets of a page; one as large as this is no list
MOST_REFUSAL = 8192  # octets read of what is said with a refusal
EXPIRY_S = 60.0  # credentials of a plugin are asked for again so long before their end
KEEPALIVE = {  # a host that is gone is noticed within 30 s, and closed connections stay in NATs
    "TCP_KEEPIDLE": 15,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,  # milliseconds
}
FAILURES = (aiohttp.ClientError, OSError, ssl.SSLError, ConfigException, ClusterDnsError)
USER_AGENT = (
    f"clusterdns/{__version__} ({platform.system().lower()}/{platform.machine()}; "
    f"python/{platform.python_version()})"
)


class ApiServer:
    """The objects of a cluster, from its API."""

    def __init__(
        self,
        selection: Selection,
        options: ApiOptions,
        timing: Timing | None = None,
        dice: random.Random | None = None,
        audit: AuditMode = "heal",
    ) -> None:
        """Raises ConfigError when no connection can come of the options, whatever the network does.

        timing, dice: for tests.
        """
        options.check()
        self._timing = timing or Timing()
        dice = dice or random.Random()
        self.reflectors: dict[Kind, Reflector] = {
            kind: Reflector(kind, selection, dice, self._timing) for kind in selection.kinds
        }
        self._connection = Connection(options, self._timing)
        self._responses: dict[Kind, aiohttp.ClientResponse] = {}  # what each kind reads now
        self._auditor = Auditor(self, selection, audit, dice, self._timing)
        self._working = asyncio.Lock()  # one kind at a time: else turns of all would add up
        self._slots = asyncio.Semaphore(options.max_inflight or len(self.reflectors))

    @property
    def figures(self) -> dict[Kind, Figures]:
        """How each kind is doing; times are those of the running loop."""
        return {kind: reflector.figures for kind, reflector in self.reflectors.items()}

    def lags(self) -> dict[Kind, float]:
        """Seconds since each kind was heard of; those that never were are left out."""
        now = asyncio.get_running_loop().time()
        figures = self.figures.items()
        return {kind: now - each.heard for kind, each in figures if each.heard is not None}

    def assume(self, objects: Iterable[Object]) -> None:
        """These existed once; called before `serve`, which deletes what does not exist any more."""
        for each in objects:
            kind: Kind = type(each).__name__  # type: ignore[assignment]  # the classes are named so
            namespace = "" if isinstance(each, Namespace) else each.namespace
            self.reflectors[kind].known.assume(namespace, each.name)

    async def serve(self, stopping: asyncio.Event, sink: Sink) -> None:
        """Hands batches of events to the sink until `stopping` is set, whatever the API does.

        Of each kind comes everything that exists, then Synced, then what changes. A batch is
        applied when the call returns.
        """
        try:
            with api_lag.given_by(lambda: {(kind,): lag for kind, lag in self.lags().items()}):
                await self._serve(stopping, sink)
        finally:
            await self._connection.close()

    async def _serve(self, stopping: asyncio.Event, sink: Sink) -> None:
        async with asyncio.TaskGroup() as tasks:
            followers = [
                tasks.create_task(self._auditor.serve()),
                *(
                    tasks.create_task(self._follow(reflector, sink))
                    for reflector in self.reflectors.values()
                ),
            ]
            await stopping.wait()
            for follower in followers:
                follower.cancel()

    async def page(self, request: Request) -> bytes:
        """One page beside what is followed. Raises SourceError when it cannot be had."""
        try:
            async with self._slots:
                await self._connection.turn()
                response = await self._connection.get(request)
                try:
                    if response.status != 200:
                        body = await self._connection.refusal(response)
                        raise SourceError(f"{response.status} {body[:200]!r}")
                    return await self._page(response)
                finally:
                    self._connection.release(response)
        except SourceError:
            raise
        except (TimeoutError, *FAILURES) as error:
            raise SourceError(f"{type(error).__name__}: {error}") from error

    async def work(self, steps: Iterable[None]) -> None:
        """Goes through the steps of something long, with a turn for the loop now and then."""
        await self._hand_over(steps, lambda events: None)

    def relist(self, kind: Kind) -> None:
        """Lists everything of this kind again, now, beside what is known."""
        self.reflectors[kind].relist()
        if response := self._responses.get(kind):
            response.close()  # wakes whoever reads it

    async def _follow(self, reflector: Reflector, sink: Sink) -> None:
        now = asyncio.get_running_loop().time
        while True:
            step = reflector.next(now())
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                continue
            try:
                await self._exchange(reflector, step, sink)
            except TimeoutError as error:
                reflector.broken(str(error) or "the API is silent", now())
            except aiohttp.ClientPayloadError:  # its own text is three errors deep
                reflector.broken("the connection broke off", now())
            except FAILURES as error:
                reflector.broken(f"{type(error).__name__}: {error}", now())
            except Exception as error:  # an edge: the other kinds, and this one, live on
                log.exception("%s: the events were lost", reflector.kind)
                reflector.restart(f"listing again after {error!r}", now())

    async def _exchange(self, reflector: Reflector, request: Request, sink: Sink) -> None:
        """One request and its answer. Raises what the network and the sink raise."""
        now = asyncio.get_running_loop().time
        async with AsyncExitStack() as slot:
            await slot.enter_async_context(self._slots)
            await self._connection.turn()
            response = await self._connection.get(request)
            self._responses[reflector.kind] = response
            try:
                if response.status != 200:
                    body = await self._connection.refusal(response)
                    retry_after = _seconds(response.headers.get("Retry-After", ""))
                    reflector.refused(response.status, body, retry_after, now())
                elif request.lines:
                    reflector.accepted(now())
                    await self._read_lines(reflector, response, slot, sink)
                else:
                    reflector.accepted(now())
                    page = await self._page(response)
                    await self._hand_over(reflector.page(page, now()), sink)
            finally:
                del self._responses[reflector.kind]
                self._connection.release(response)

    async def _read_lines(
        self,
        reflector: Reflector,
        response: aiohttp.ClientResponse,
        slot: AsyncExitStack,
        sink: Sink,
    ) -> None:
        now = asyncio.get_running_loop().time
        lines = Lines()
        while reflector.reading:
            if not reflector.listing:
                await slot.aclose()
            try:
                octets = await self._octets(response)
            except TimeoutError:
                reflector.silent(self._timing.silence, now())
                return
            if not octets:
                reflector.ended(now())
                return
            taker = sink if reflector.listing else _timed(sink, reflector.kind)
            await self._hand_over(_events(reflector, lines.feed(octets), now()), taker)

    async def _hand_over(self, events: Iterable[Event | None], sink: Sink) -> None:
        """Gives events to the sink in batches, and the loop its turn after each."""
        rest, more = iter(events), True
        while more:
            async with self._working:
                more = _work(rest, sink)
                await asyncio.sleep(0)

    async def _page(self, response: aiohttp.ClientResponse) -> bytes:
        page = bytearray()
        while octets := await self._octets(response):
            page += octets
            if len(page) > MOST_PAGE:
                raise SourceError(f"a page of more than {MOST_PAGE} octets")
        return bytes(page)

    async def _octets(self, response: aiohttp.ClientResponse) -> bytes:
        """What came, b"" at the end. Raises TimeoutError when nothing comes."""
        limit = self._timing.silence
        try:
            async with asyncio.timeout(limit):
                return await response.content.readany()
        except TimeoutError:
            raise TimeoutError(f"nothing was heard for {limit:g} s") from None


def _events(reflector: Reflector, lines: Iterable[bytes], now: float) -> Iterator[Event | None]:
    for line in lines:
        if not reflector.reading:
            return
        yield from reflector.line(line, now) or (None,)


def _timed(sink: Sink, kind: Kind) -> Sink:
    """The sink for what came just now, which notes how long it took until that was served."""
    came = perf_counter()

    def timed(events: Sequence[Event]) -> None:
        sink(events)
        event_to_answer.observe(perf_counter() - came, kind, times=len(events))

    return timed


def _work(events: Iterator[Event | None], sink: Sink) -> bool:
    """Takes events for a turn and gives them to the sink; False when there are no more."""
    batch: list[Event] = []
    ends = perf_counter() + TURN_S
    for event in events:
        if event is not None:
            batch.append(event)
        if perf_counter() > ends or len(batch) == TURN_EVENTS:
            break
    else:
        ends = 0.0
    if batch:
        sink(batch)
    return bool(ends)


class Connection:
    """Sends requests with the credentials of the moment; files are read again as they change."""

    def __init__(self, options: ApiOptions, timing: Timing) -> None:
        self._options, self._timing = options, timing
        self._rate = TokenBucket(options.qps, options.burst)
        self._loading = asyncio.Lock()
        self._api: ApiClient | None = None
        self._identity: tuple[object, ...] = ()
        self._files: tuple[Path, ...] = ()
        self._signature: tuple[object, ...] | None = None  # of the files; None: to be loaded
        self._expires: datetime | None = None
        self._open: set[aiohttp.ClientResponse] = set()

    @property
    def _host(self) -> str:
        """What metrics call the API, host and port; "" before anything is known of it."""
        return urlsplit(self._api.configuration.host).netloc if self._api else ""

    async def turn(self) -> None:
        """Waits until the rate limit allows another request."""
        seconds = self._rate.take(asyncio.get_running_loop().time())
        if self._host:
            metrics.rest_waits.observe(seconds, "GET", self._host)
        if seconds:
            await asyncio.sleep(seconds)

    async def get(self, request: Request) -> aiohttp.ClientResponse:
        """The response with its headers read; the caller closes it.

        Raises TimeoutError, and any of FAILURES.
        """
        limit = self._timing.answer
        began, code = perf_counter(), "<error>"
        try:
            async with asyncio.timeout(limit):
                response = await self._get(request)
            code = str(response.status)
        except aiohttp.ServerTimeoutError as error:
            raise TimeoutError(str(error)) from error
        except TimeoutError:
            raise TimeoutError(f"no answer within {limit:g} s") from None
        finally:
            metrics.rest_requests.add(code, "GET", self._host)
            metrics.rest_duration.observe(perf_counter() - began, "GET", self._host)
        if response.status == 401:
            self._signature = None
        _keep_alive(response)
        self._open.add(response)
        return response

    def release(self, response: aiohttp.ClientResponse) -> None:
        """The response is done with; its connection is kept where it was read to its end."""
        response.close()
        self._open.discard(response)

    async def refusal(self, response: aiohttp.ClientResponse) -> bytes:
        """The start of the body that explains a status; b"" where it does not come."""
        try:
            async with asyncio.timeout(self._timing.answer):
                return await response.content.read(MOST_REFUSAL)
        except (TimeoutError, aiohttp.ClientError):
            return b""

    async def close(self) -> None:
        """Ends every open response; whoever reads one gets a ClientConnectionError."""
        for response in self._open:
            response.close()  # closing the session alone would leave them waiting for ever
        if self._api is not None:
            await self._api.close()  # type: ignore[no-untyped-call]
            self._api, self._signature = None, None

    async def _get(self, request: Request) -> aiohttp.ClientResponse:
        async with self._loading:
            api = await self._client()
        call = await api.param_serialize(
            "GET", request.path, query_params=list(request.query), auth_settings=["BearerToken"]
        )
        call[2]["Accept"] = request.accept  # a header given above would be overridden
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._timing.connect)
        answer = await api.call_api(*call, _request_timeout=limits, _preload_content=False)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _client(self) -> ApiClient:
        """The client for what the files say now."""
        expired = self._expires is not None and datetime.now(UTC) >= self._expires
        if self._api is not None and self._signature == signature(self._files) and not expired:
            return self._api
        self._options.check()  # names the file that is missing, which a library would not
        self._files = self._options.files()
        found = signature(self._files)  # from before they are read: what changes meanwhile is new
        configuration = await self._configuration()
        identity = _identity(configuration)
        if self._api is not None and identity == self._identity:
            self._api.configuration.api_key = configuration.api_key  # watches stay open
        else:
            api = await asyncio.to_thread(_new_client, configuration)  # reads every CA there is
            if self._api is not None:
                log.info("the way to the API changed: all connections are made anew")
                await self.close()
            self._api, self._identity = api, identity
        self._signature = found
        return self._api

    async def _configuration(self) -> Configuration:
        configuration = Configuration()
        # As every other client: CAs of many clusters lack what RFC 5280 wants and 3.13 checks.
        configuration.disable_strict_ssl_verification = True
        options = self._options
        if options.kubeconfig:
            await self._load_kubeconfig(configuration)
        elif options.endpoint:
            configuration.host = options.endpoint.rstrip("/")
            certificate, key, ca = options.tls or ("", "", "")
            configuration.cert_file = certificate or None
            configuration.key_file = key or None
            configuration.ssl_ca_cert = ca or None
        else:
            account = options.service_account
            configuration.host = options.in_cluster_url()
            configuration.ssl_ca_cert = str(account / "ca.crt")
            token = (account / "token").read_text().strip()
            configuration.api_key["BearerToken"] = f"Bearer {token}"
        return configuration

    async def _load_kubeconfig(self, configuration: Configuration) -> None:
        file, context = self._options.kubeconfig, self._options.context
        try:
            loader = await load_kube_config(  # type: ignore[no-untyped-call]
                file, context or None, configuration, persist_config=False
            )
        except ConfigException:
            raise
        except Exception as error:  # the library has many ways to say no
            raise SourceError(f"kubeconfig {file}: {error!r}") from error
        expiry = getattr(loader, "exec_plugin_expiry", None)
        self._expires = expiry and expiry - timedelta(seconds=EXPIRY_S)
        runs_plugin = Kubeconfig.read(file, context).runs_plugin
        if runs_plugin and not (configuration.api_key or configuration.cert_file):
            raise SourceError(f"kubeconfig {file}: the exec plugin gave no credentials")


def _new_client(configuration: Configuration) -> ApiClient:
    configuration.client_session_kwargs = {"read_bufsize": READ_OCTETS}
    api = ApiClient(configuration)
    api.user_agent = USER_AGENT
    api.default_headers["Accept"] = "application/json"
    api.default_headers["Accept-Encoding"] = "identity"  # nothing is far, and unzipping costs time
    return api


def _identity(configuration: Configuration) -> tuple[object, ...]:
    """What a connection is made of; as long as it is the same, open ones are good."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return (
        configuration.host,
        configuration.verify_ssl,
        configuration.tls_server_name,
        configuration.proxy,
        *(_content(file) for file in files),
    )


def _content(file: str | None) -> bytes:
    if not file:
        return b""
    with open(file, "rb") as stream:
        return stream.read()


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    """Has the kernel look after a connection on which we only listen."""
    transport = response.connection.transport if response.connection else None
    if transport is None:  # the whole answer is here already
        return
    found = transport.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)


def _seconds(retry_after: str) -> float:
    """Of a Retry-After header; a date counts as 0, the API server sends none."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else 0.0
