"""The way to an upstream with https://: straight, or through the proxy of the environment."""

import asyncio
import base64
import ssl
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import h11

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward.pool import CLOSE_S
from clusterdns.plugins.forward.targets import Target, reason_of

_PORTS = {"http": 80, "https": 443}


class Way(NamedTuple):
    """How an upstream is reached.

    name: in its certificate. context: of TLS to it. source: the address to come from; None: any.
    proxy: its URL; None: there is none. to_proxy: of TLS to a proxy.
    """

    target: Target
    name: str
    context: ssl.SSLContext
    source: str | None
    proxy: str | None
    to_proxy: ssl.SSLContext


async def connect(way: Way, connection: asyncio.Protocol) -> None:
    """Has a connection begin, TLS and all. Raises UpstreamError."""
    if way.proxy is not None:
        await _through(way, way.proxy, connection)
        return
    # A port that is none is never reached: as 0, which is none either, but can be written.
    host, port = way.target.host, max(way.target.port, 0)
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            host,
            port,
            ssl=way.context,
            server_hostname=way.name,
            local_addr=_from(way.source),
            ssl_shutdown_timeout=CLOSE_S,
        )
    except OSError as error:
        raise _not_reached(way, error) from error


async def _through(way: Way, proxy: str, connection: asyncio.Protocol) -> None:
    url = urlsplit(proxy)
    if url.scheme not in _PORTS or not url.hostname:
        raise UpstreamError(f"proxyconnect tcp: {url.scheme}://{url.hostname} is no HTTP proxy")
    loop = asyncio.get_running_loop()
    door = _Door(host_and_port(way.target.host, max(way.target.port, 0)), _credentials(proxy))
    is_tls = url.scheme == "https"
    try:
        transport, _ = await loop.create_connection(
            lambda: door,
            url.hostname,
            url.port or _PORTS[url.scheme],
            ssl=way.to_proxy if is_tls else None,
            local_addr=_from(way.source),
            ssl_shutdown_timeout=CLOSE_S if is_tls else None,
        )
    except OSError as error:
        reason = _reason(error).removeprefix("connect: ")
        raise UpstreamError(f"proxyconnect tcp: {reason}") from error
    try:
        await door.opened
        secured = await loop.start_tls(
            transport,
            connection,
            way.context,
            server_hostname=way.name,
            ssl_shutdown_timeout=CLOSE_S,
        )
    except BaseException as error:
        transport.abort()
        if isinstance(error, OSError):
            raise _not_reached(way, error) from error
        raise
    assert secured is not None
    connection.connection_made(secured)  # which start_tls leaves to us


class _Door(asyncio.Protocol):
    """What a proxy is asked, and whether it lets us through.

    opened: when it does; an UpstreamError when it does not.
    """

    def __init__(self, to: str, credentials: str | None) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._http = h11.Connection(h11.CLIENT)
        fields = [("Host", to)]
        if credentials is not None:
            fields.append(("Proxy-Authorization", f"Basic {credentials}"))
        self._request = h11.Request(method="CONNECT", target=to, headers=fields)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._http.send(self._request) or b"")
        self._http.send(h11.EndOfMessage())

    def data_received(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            self._look(self._http.next_event())
        except h11.RemoteProtocolError as error:
            self._end(UpstreamError(f"proxyconnect tcp: malformed HTTP response: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(UpstreamError("proxyconnect tcp: EOF"))

    def _look(self, event: object) -> None:
        while isinstance(event, h11.InformationalResponse):
            event = self._http.next_event()
        if not isinstance(event, h11.Response):
            return
        if event.status_code // 100 == 2:
            self._end(None)
        else:
            said = event.reason.decode("ascii", "replace")
            self._end(UpstreamError(f"the proxy says {event.status_code} {said}"))

    def _end(self, error: UpstreamError | None) -> None:
        if self.opened.done():
            return
        if error is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(error)


def _credentials(proxy: str) -> str | None:
    """Of a URL like http://user:password@host, as Proxy-Authorization has them."""
    url = urlsplit(proxy)
    if url.username is None:
        return None
    words = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return base64.b64encode(words.encode()).decode()


def _from(source: str | None) -> tuple[str, int] | None:
    return (source, 0) if source is not None else None


def _not_reached(way: Way, error: OSError) -> UpstreamError:
    return UpstreamError(f"dial tcp {way.target.address}: {_reason(error)}")


def _reason(error: OSError) -> str:
    return str(error) if isinstance(error, ssl.SSLError) else f"connect: {reason_of(error)}"
