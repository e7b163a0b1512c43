"""Proxies of the environment: which one, and the way through it."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import Forward
from clusterdns.plugins.forward.proxies import proxy_for
from tests.plugins.forward.http2_server import doh2, http2_context
from tests.plugins.forward.stubs import ADDRESS, HOST, addresses, ask, forwarding, upstream
from tests.plugins.forward.test_https import doh
from tests.plugins.forward.test_streams import CA
from tests.ports import free_port
from tests.streams import listening

AWAY = "192.0.2.1"  # nobody has it
PROXY = "http://proxy.test:3128"

CASES: dict[str, tuple[str, dict[str, str], str | None]] = {
    "none": (AWAY, {}, None),
    "empty": (AWAY, {"HTTPS_PROXY": ""}, None),
    "for HTTP alone": (AWAY, {"HTTP_PROXY": PROXY}, None),
    "capitals": (AWAY, {"HTTPS_PROXY": PROXY}, PROXY),
    "small": (AWAY, {"https_proxy": PROXY}, PROXY),
    "both": (AWAY, {"HTTPS_PROXY": PROXY, "https_proxy": "http://other.test"}, PROXY),
    "without a scheme": (AWAY, {"HTTPS_PROXY": "proxy.test:3128"}, PROXY),
    "with a password": (AWAY, {"HTTPS_PROXY": "http://a:b@proxy.test"}, "http://a:b@proxy.test"),
    "loopback": (HOST, {"HTTPS_PROXY": PROXY}, None),
    "loopback, IPv6": ("::1", {"HTTPS_PROXY": PROXY}, None),
    "all spared": (AWAY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
    "the address": (AWAY, {"HTTPS_PROXY": PROXY, "NO_PROXY": f"10.0.0.1, {AWAY}"}, None),
    "its network": (AWAY, {"HTTPS_PROXY": PROXY, "no_proxy": "10.0.0.0/8,192.0.2.77/24"}, None),
    "another network": (AWAY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8,fd00::/8"}, PROXY),
    "IPv6": ("2001:db8::1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "2001:db8::/32"}, None),
    "the name": (AWAY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "DNS.test"}, None),
    "a name above": (AWAY, {"HTTPS_PROXY": PROXY, "NO_PROXY": ".cluster.local,.test"}, None),
    "another name": (AWAY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "s.test,,x.dns.test"}, PROXY),
}


@pytest.mark.parametrize(("address", "environ", "expected"), CASES.values(), ids=CASES)
def test_proxy_for(address: str, environ: dict[str, str], expected: str | None) -> None:
    assert proxy_for(address, "dns.test", environ) == expected


@asynccontextmanager
async def proxy(
    port: int, status: str = "200 OK", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[str]]]:
    """Leads to this port of loopback, whatever it is asked for: its port, and what that was."""
    asked: list[str] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while octets := await reader.read(65536):
                writer.write(octets)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.extend(head.decode().removesuffix("\r\n\r\n").split("\r\n"))
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if not status.startswith("200"):
            return
        there = await asyncio.open_connection(HOST, port)
        try:
            await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))
        finally:
            there[1].transport.abort()

    async with listening(connected, tls=tls) as own:
        yield own, asked


@asynccontextmanager
async def through(
    monkeypatch: pytest.MonkeyPatch, port: int, scheme: str = "", options: str = ""
) -> AsyncIterator[Forward]:
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}{HOST}:{port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    fixed = f"{CA}\n tls_servername dns.test\n max_fails 0\n max_connect_attempts 1"
    async with forwarding(f"forward . https://{AWAY} {{\n {fixed}\n {options}\n}}") as plugin:
        yield plugin


async def test_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        doh() as server,
        proxy(server.port) as (port, asked),
        through(monkeypatch, port) as plugin,
    ):
        for n in range(3):
            assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
    assert asked == [f"CONNECT {AWAY}:443 HTTP/1.1", f"Host: {AWAY}:443"]
    assert {each.headers["Host"] for each in server.requests} == {"dns.test"}


@pytest.mark.parametrize("scheme", ["http://", "https://", "http://me:p%40ss@", "https://me:@"])
async def test_http2_through_a_proxy(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """TLS to a proxy agrees to no HTTP/2, whatever the proxy could speak."""
    context = http2_context("h2", "http/1.1") if scheme.startswith("https") else None
    async with (
        doh2() as server,
        proxy(server.port, tls=context) as (port, asked),
        through(monkeypatch, port, scheme) as plugin,
    ):
        for n in range(3):
            assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
    expected = [f"CONNECT {AWAY}:443 HTTP/1.1", f"Host: {AWAY}:443"]
    if "@" in scheme:
        words = "me:p@ss" if "p%40ss" in scheme else "me:"
        encoded = base64.b64encode(words.encode()).decode()
        expected.append(f"Proxy-Authorization: Basic {encoded}")
    assert asked == expected
    assert {each.headers[":authority"] for each in server.exchanges} == {"dns.test"}


async def test_a_way_through_a_proxy_that_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets us in, to somebody who speaks no TLS."""
    async with (
        upstream() as other,
        proxy(other.port) as (port, _),
        through(monkeypatch, port, options="read_timeout 300ms") as plugin,
    ):
        with pytest.raises(ResolveError, match=r'^Post "https://.*": (dial tcp|i/o timeout)'):
            await ask(plugin)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"", "proxyconnect tcp: EOF"),
        (b"HTTP/1.1 200", "proxyconnect tcp: EOF"),
        (b"SSH-2.0-x\r\n\r\n", "proxyconnect tcp: malformed HTTP response: .*"),
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "the proxy says 407 Who are you"),
    ],
)
async def test_what_is_no_proxy(
    monkeypatch: pytest.MonkeyPatch, said: bytes, expected: str
) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with listening(connected) as port, through(monkeypatch, port) as plugin:
        with pytest.raises(ResolveError, match=f'^Post "https://{AWAY}/dns-query": {expected}$'):
            await ask(plugin)


async def test_a_proxy_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with through(monkeypatch, 1080, "socks5://") as plugin:
        with pytest.raises(ResolveError, match=f"socks5://{HOST} is no HTTP proxy"):
            await ask(plugin)


async def test_a_mute_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets nobody in: the query ends in time, and so does the connection."""
    gone = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        gone.set()

    async with (
        listening(connected) as port,
        through(monkeypatch, port, options="read_timeout 50ms") as plugin,
    ):
        with pytest.raises(ResolveError, match=r"i/o timeout$"):
            await ask(plugin)
        async with asyncio.timeout(2):
            await gone.wait()


async def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        proxy(0, "403 Forbidden") as (port, _),
        through(monkeypatch, port) as plugin,
    ):
        with pytest.raises(ResolveError, match="the proxy says 403 Forbidden"):
            await ask(plugin)


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with through(monkeypatch, free_port()) as plugin:
        with pytest.raises(ResolveError, match="proxyconnect tcp: connection refused"):
            await ask(plugin)
