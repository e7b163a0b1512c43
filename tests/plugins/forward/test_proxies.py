"""Proxies of the environment: which one, and the way through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import Forward
from clusterdns.plugins.forward.proxies import proxy_for
from tests.plugins.forward.stubs import ADDRESS, HOST, addresses, ask, forwarding
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
async def proxy(port: int, status: str = "200 OK") -> AsyncIterator[tuple[int, list[str]]]:
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
        asked.append(head.split(b"\r\n")[0].decode())
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if not status.startswith("200"):
            return
        there = await asyncio.open_connection(HOST, port)
        try:
            await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))
        finally:
            there[1].transport.abort()

    async with listening(connected) as own:
        yield own, asked


@asynccontextmanager
async def through(monkeypatch: pytest.MonkeyPatch, port: int) -> AsyncIterator[Forward]:
    monkeypatch.setenv("HTTPS_PROXY", f"{HOST}:{port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    options = f"{CA}\n tls_servername dns.test\n max_fails 0\n max_connect_attempts 1"
    async with forwarding(f"forward . https://{AWAY} {{\n {options}\n}}") as plugin:
        yield plugin


async def test_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        doh() as server,
        proxy(server.port) as (port, asked),
        through(monkeypatch, port) as plugin,
    ):
        for n in range(3):
            assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
    assert asked == [f"CONNECT {AWAY}:443 HTTP/1.1"]
    assert {each.headers["Host"] for each in server.requests} == {"dns.test"}


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
