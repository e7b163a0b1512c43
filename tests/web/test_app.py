import asyncio
import socket

import pytest
from aiohttp import web

from clusterdns.errors import ConfigError, Place
from clusterdns.web.app import listen, serve, text
from tests.streams import connection
from tests.web.client import asked, served

PLACE = Place("Corefile", 3, 5)


REQUEST = b"GET /hello HTTP/1.1\r\nHost: pages\r\n\r\n"


async def hello(request: web.BaseRequest) -> web.Response:
    return text("hello")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/hello", 200, "hello"),
        ("/hello?verbose=1", 200, "hello"),
        ("/%68ello", 200, "hello"),
        ("/hello/", 404, "404 page not found\n"),
        ("/Hello", 404, "404 page not found\n"),
        ("/", 404, "404 page not found\n"),
    ],
)
async def test_page(method: str, path: str, status: int, body: str) -> None:
    async with (
        asked(lambda sock, stop: serve(sock, {"/hello": hello}, stop)) as client,
        client.request(method, path) as reply,
    ):
        assert (reply.status, await reply.text()) == (status, body)
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert reply.headers["Content-Length"] == str(len(body))
        assert ("X-Content-Type-Options" in reply.headers) == (status == 404)


async def test_head_has_the_headers_only() -> None:
    async with (
        asked(lambda sock, stop: serve(sock, {"/hello": hello}, stop)) as client,
        client.head("/hello") as reply,
    ):
        assert reply.status == 200
        assert reply.headers["Content-Length"] == "5"
        assert await reply.read() == b""


async def test_connection_is_kept_between_requests() -> None:
    async with (
        served(lambda sock, stop: serve(sock, {"/hello": hello}, stop)) as port,
        connection("127.0.0.1", port) as (reader, writer),
    ):
        for _ in range(3):
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(5) == b"hello"


@pytest.mark.parametrize("sent", [b"", b"GET /hello HT", REQUEST])
async def test_silent_connection_is_closed(sent: bytes) -> None:
    async with (
        served(lambda sock, stop: serve(sock, {"/hello": hello}, stop, 0.05)) as port,
        connection("127.0.0.1", port) as (reader, writer),
    ):
        writer.write(sent)
        async with asyncio.timeout(2):
            said = await reader.read()
        assert said.startswith(b"HTTP/1.1 200" if sent.endswith(b"\r\n\r\n") else b"")


async def test_garbage_is_a_bad_request(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        served(lambda sock, stop: serve(sock, {"/hello": hello}, stop)) as port,
        connection("127.0.0.1", port) as (reader, writer),
    ):
        writer.write(b"\x00\x01garbage\r\n\r\n")
        said = await reader.read()
        assert said.split(b"\r\n")[0].split()[1] == b"400"
    assert caplog.records == []


async def test_socket_is_closed_at_the_end() -> None:
    sock = listen("127.0.0.1", 0)
    stopping = asyncio.Event()
    stopping.set()
    await serve(sock, {}, stopping)
    assert sock.fileno() == -1


def test_taken_port_is_said_with_its_place() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as fault:
            listen("127.0.0.1", port, PLACE)
    assert str(fault.value) == (
        f"Corefile:3:5: cannot listen on 127.0.0.1:{port}: Address already in use"
    )


def test_next_free_port() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port, next_free=True) as sock:
            assert port < sock.getsockname()[1] <= port + 100


@pytest.mark.parametrize(
    ("host", "where"),
    [("192.0.2.199", "192.0.2.199:9"), ("2001:db8::99", "[2001:db8::99]:9")],
)
def test_foreign_address_is_not_tried_again(host: str, where: str) -> None:
    with pytest.raises(ConfigError, match="cannot listen on ") as fault:
        listen(host, 9, next_free=True)
    assert where in str(fault.value)


def test_no_host_is_every_address_of_both_families() -> None:
    with listen("", 0) as sock:
        port = sock.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        if socket.has_dualstack_ipv6():
            socket.create_connection(("::1", port)).close()


def test_name_prefers_ipv4() -> None:
    with listen("localhost", 0) as sock:
        assert sock.family == socket.AF_INET
