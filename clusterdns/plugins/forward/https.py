"""DNS over HTTPS to one upstream (RFC 8484): connections that stay, one query at a time on each, as
HTTP/1.1 has it. Imported for an upstream with https:// alone, as aiohttp's client is large."""

import asyncio
import base64
import logging
import os
import time
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import MalformedMessage, UpstreamError
from clusterdns.plugins.forward import figures
from clusterdns.plugins.forward.attempt import Attempt
from clusterdns.plugins.forward.exchange import reply_to
from clusterdns.plugins.forward.options import Options
from clusterdns.plugins.forward.proxies import proxy_for
from clusterdns.plugins.forward.targets import PORTS, Target, reason_of
from clusterdns.wire.patch import ttl_offsets, with_ttls
from clusterdns.wire.received import Received

PATH = "/dns-query"  # as in CoreDNS, and where nearly every server has it
MEDIA = "application/dns-message"
MOST_OCTETS = 65535  # of a reply, which has no length in front of it here
# Busy at a time. What comes on top waits for one of them, as long as its attempt may take.
CONNECTIONS = 64
NO_ID = b"\0\0"  # RFC 8484 section 4.1: equal questions are equal messages, which caches want
# RFC 8484 section 8.2: nothing is told of us that the answer does not need.
_UNSAID = ("Accept-Encoding", "User-Agent")

log = logging.getLogger(__name__)


class Https:
    """The connections to one upstream.

    url: what is asked. headers: with the name that the certificate has for Host, as servers with
    several names look for it there too.
    """

    def __init__(self, target: Target, options: Options) -> None:
        self.target = target
        self.method = options.doh_method
        # A port that is none is never reached: as 0, which is none either, but can be written.
        port = max(target.port, 0)
        self.url = URL.build(scheme="https", host=target.host, port=port, path=PATH)
        self.name = target.server_name or target.host
        self.proxy = proxy_for(target.host, self.name, os.environ)
        shown = host_and_port(self.name, port)
        self.headers = {"Accept": MEDIA, "Host": shown.removesuffix(f":{PORTS['https']}")}
        self._options = options
        self._counted = figures.Connections(target.address, "https")
        self._pool: Pool | None = None  # for the next queries
        self._requests: set[Request] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_stopped = False

    def send(self, attempt: Attempt, now: float) -> None:
        """Sends a question."""
        attempt.id = NO_ID
        attempt.home = request = Request(self, attempt)
        self._requests.add(request)
        request.task = self._begin(request.run())

    def pool(self) -> "Pool":
        """The connections for a query. When they are too old, or some may be, there are others."""
        most_s = self._options.max_age_s
        if self._pool is not None and 0 < most_s <= time.monotonic() - self._pool.opened:
            self.retire(self._pool)
        if self._pool is None:
            self._pool = Pool(self, self._options, self._counted)
        return self._pool

    def retire(self, pool: "Pool") -> None:
        """No more queries by these connections; they close when none is under way."""
        if pool is self._pool:
            self._pool = None
        if not pool.busy and not pool.is_closed:
            pool.is_closed = True
            self._begin(pool.close())

    def settle(self, pool: "Pool") -> None:
        """Nothing is under way by these connections: are they kept?"""
        if self.is_stopped or pool is not self._pool:
            self.retire(pool)

    def stop(self) -> None:
        """Keeps no connection any longer than a query needs it."""
        self.is_stopped = True
        if self._pool is not None:
            self.retire(self._pool)

    async def close(self) -> None:
        """Closes at once; what is under way fails."""
        self.stop()
        for request in list(self._requests):
            request.end("the server stops")
        while self._tasks:  # those that end leave connections to be closed
            await asyncio.wait(self._tasks)

    def ended(self, request: "Request") -> None:
        """A request is over."""
        self._requests.discard(request)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Pool:
    """Some connections, none of them older than `opened`.

    opened: monotonic second. busy: queries under way.
    """

    def __init__(self, owner: Https, options: Options, counted: figures.Connections) -> None:
        self.opened = time.monotonic()
        self.busy = 0
        self.is_closed = False
        self._owner = owner
        self._most_idle = options.max_idle_conns
        self._counted = counted
        stays = options.expire_s > 0
        source = options.source_address
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS,
                ssl=options.context or True,
                local_addr=(source, 0) if source is not None else None,
                force_close=not stays,
                keepalive_timeout=options.expire_s if stays else None,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),  # RFC 8484 section 8.2: none, they tell who asks
            skip_auto_headers=_UNSAID,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),  # attempts end by themselves
            trace_configs=[self._tracing()],
        )

    async def exchange(self, request: "Request", message: bytes) -> bytes:
        """What the upstream replies. Raises UpstreamError for what is no DNS message, and
        aiohttp.ClientError."""
        owner = self._owner
        headers = owner.headers
        if 0 < self._most_idle <= self.busy:  # so many stay when they are idle again
            headers = {**headers, "Connection": "close"}
        url, data = owner.url, None
        if owner.method == "POST":
            headers, data = {**headers, "Content-Type": MEDIA}, message
        else:
            url = url.with_query(dns=base64.urlsafe_b64encode(message).rstrip(b"=").decode())
        self.busy += 1
        try:
            async with self._session.request(
                owner.method,
                url,
                data=data,
                headers=headers,
                server_hostname=owner.name,
                proxy=owner.proxy,
                allow_redirects=False,
                trace_request_ctx=request,
            ) as response:
                return await _message(response)
        finally:
            self.busy -= 1
            if not self.busy:
                owner.settle(self)

    async def close(self) -> None:
        """Closes them."""
        await self._session.close()

    def _tracing(self) -> aiohttp.TraceConfig:
        """Tells by which sort of connection a request goes."""
        config = aiohttp.TraceConfig()

        async def opened(session: object, context: SimpleNamespace, params: object) -> None:
            self._counted.miss()

        async def found(session: object, context: SimpleNamespace, params: object) -> None:
            self._counted.hit()
            context.trace_request_ctx.may_repeat = True

        config.on_connection_create_start.append(opened)
        config.on_connection_reuseconn.append(found)
        return config


class Request:
    """One question on its way.

    may_repeat: by a connection that was there before, so that its end says nothing.
    """

    def __init__(self, owner: Https, attempt: Attempt) -> None:
        self._owner = owner
        self._attempt = attempt
        self.task: asyncio.Task[None] | None = None
        self.may_repeat = False

    def leave(self, attempt: Attempt, is_late: bool) -> None:
        """Ends it, and its connection: HTTP/1.1 cannot step over a reply."""
        self._owner.ended(self)
        if self.task is not None:
            self.task.cancel()

    def end(self, reason: str) -> None:
        """Ends it, and tells the attempt."""
        self.leave(self._attempt, is_late=False)
        self._attempt.failed(self.failure(reason))

    def failure(self, reason: str) -> UpstreamError:
        """As Go writes it: `Post "https://192.0.2.1/dns-query": i/o timeout`."""
        owner = self._owner
        return UpstreamError(f'{owner.method.capitalize()} "{owner.url}": {reason}')

    async def run(self) -> None:
        """Asks, and tells the attempt what came of it."""
        attempt = self._attempt
        try:
            found = await self._reply()
        except UpstreamError as error:
            attempt.failed(error)
        except Exception as error:  # an edge: one request may not leave its question waiting
            log.exception("asking %s", self._owner.url)
            attempt.failed(self.failure(f"{type(error).__name__}: {error}"))
        else:
            attempt.replied(found)
        finally:
            self._owner.ended(self)

    async def _reply(self) -> Received:
        """Raises UpstreamError."""
        asked = self._attempt.asked
        try:
            octets = await self._octets(NO_ID + asked.rest)
            found = reply_to(asked, octets)
        except MalformedMessage as error:
            raise self.failure(f"no usable reply: {error}") from error
        if found is None:
            figures.ignored_replies.add(self._owner.target.address)
            raise self.failure("a reply to another question")
        return found

    async def _octets(self, message: bytes) -> bytes:
        owner = self._owner
        while True:
            pool = owner.pool()
            try:
                return await pool.exchange(self, message)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if not self.may_repeat or owner.is_stopped:
                    raise self.failure(_reason(error, owner.target)) from error
                self.may_repeat = False
                owner.retire(pool)  # the others in it may have ended just so
            except (aiohttp.ClientError, UpstreamError) as error:
                raise self.failure(_reason(error, owner.target)) from error


async def _message(response: aiohttp.ClientResponse) -> bytes:
    """The DNS message in a response, its TTLs as low as they are by now.

    Raises UpstreamError if there is none, MalformedMessage if that shows.
    """
    if response.status // 100 != 2:  # RFC 8484 section 4.2.1: also SERVFAIL and such are 200
        raise UpstreamError(f"HTTP status {response.status}")
    if response.content_type != MEDIA:
        raise UpstreamError(f"content of type {response.content_type}, not {MEDIA}")
    octets = b""
    async for chunk in response.content.iter_any():
        octets += chunk
        if len(octets) > MOST_OCTETS:
            raise UpstreamError(f"a reply of more than {MOST_OCTETS} octets")
    age = response.headers.get("Age", "0")
    if age.isascii() and age.isdigit() and int(age[:10]):  # it was in a cache, section 5.1
        octets = with_ttls(octets, ttl_offsets(octets), int(age[:10]))
    return octets


def _reason(error: aiohttp.ClientError | UpstreamError, target: Target) -> str:
    """What went wrong, as far as possible in Go's words."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"the proxy says {error.status} {error.message}"
        case aiohttp.ClientProxyConnectionError():
            return f"proxyconnect tcp: {reason_of(error.os_error)}"
        case aiohttp.ClientConnectorCertificateError():
            return f"dial tcp {target.address}: {error.certificate_error}"
        case aiohttp.ClientConnectorSSLError():
            return f"dial tcp {target.address}: {error.os_error}"
        case aiohttp.ClientConnectorError():
            return f"dial tcp {target.address}: connect: {reason_of(error.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "EOF"
        case aiohttp.ClientOSError():
            return f"read: {reason_of(error)}"
        case _:
            return str(error) or type(error).__name__
