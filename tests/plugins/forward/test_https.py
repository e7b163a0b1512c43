"""DNS over HTTPS: a real server with a certificate, which answers, lies, is slow or goes away."""

import asyncio
import base64
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import pytest
from aiohttp import web

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import Forward, figures, http_message, https
from clusterdns.plugins.forward.upstream import NS
from tests.beside import until
from tests.plugins.asking import parsed
from tests.plugins.forward.stubs import (
    ADDRESS,
    HOST,
    Asked,
    addresses,
    ask,
    forwarding,
    reply,
    upstream,
    with_address,
)
from tests.plugins.forward.test_streams import CA, CLIENT, server_context
from tests.ports import free_port

MEDIA = "application/dns-message"


@dataclass
class Doh:
    """A DoH server on a port of its own.

    answer: the response to each question. gate: responses wait for it. requests: what came.
    """

    answer: Callable[[Asked], web.Response]
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[web.Request] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    peers: set[int] = field(default_factory=set)
    port: int = 0
    most: int = 0  # at the same time
    _now: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            assert request.content_type == MEDIA
            octets = await request.read()
        else:
            text = request.query["dns"]
            assert "=" not in text
            octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        assert request.transport is not None
        peer = request.transport.get_extra_info("peername")[1]
        self.peers.add(peer)
        self.requests.append(request)
        asked = Asked(dns.message.from_wire(octets), octets, "https", peer)
        self.asked.append(asked)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self.gate.wait()
            return self.answer(asked)
        finally:
            self._now -= 1


def good(asked: Asked) -> web.Response:
    return said(reply(asked))


def said(octets: bytes, status: int = 200, media: str = MEDIA, age: str = "") -> web.Response:
    headers = {"Age": age} if age else {}
    if status // 100 == 3:
        headers["Location"] = "https://127.0.0.1/dns-query"
    return web.Response(body=octets, status=status, content_type=media, headers=headers)


@asynccontextmanager
async def doh(
    answer: Callable[[Asked], web.Response] = good, context: ssl.SSLContext | None = None
) -> AsyncIterator[Doh]:
    """Runs a server until the block ends."""
    server = Doh(answer)
    server.gate.set()
    application = web.Application()
    application.router.add_route("*", http_message.PATH, server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=context or server_context())
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        server.gate.set()
        await runner.cleanup()


@asynccontextmanager
async def asking(
    server: Doh, options: str = "max_fails 0", name: str = ""
) -> AsyncIterator[Forward]:
    to = f"https://{HOST}{name and '%' + name}:{server.port}"
    async with forwarding(f"forward . {to} {{\n {CA}\n {options}\n}}") as plugin:
        yield plugin


@pytest.mark.parametrize("method", ["", "POST", "GET"])
async def test_asks(method: str) -> None:
    async with doh() as server, asking(server, f"doh_method {method}" if method else "") as plugin:
        for n in range(3):
            found = await ask(plugin, f"n{n}.test", transport="tcp" if n else "udp")
            assert addresses(found) == [ADDRESS]
            assert found.recursion
        label = plugin.forwarders[0].upstreams[0].address
    assert [each.method for each in server.requests] == [method or "POST"] * 3
    assert [each.name for each in server.asked] == ["n0.test.", "n1.test.", "n2.test."]
    assert len(server.peers) == 1  # a connection is used again
    assert figures.connection_misses.values["forward", label, "https"] == 1
    assert figures.connection_hits.values["forward", label, "https"] == 2
    assert label == f"{HOST}:{server.port}"
    [(labels, buckets)] = figures.durations.buckets.items()
    assert labels == ("forward", label, "NOERROR")
    assert sum(buckets) == 3


async def test_what_is_sent() -> None:  # RFC 8484 sections 4.1, 8.2
    async with doh() as server, asking(server) as plugin:
        await ask(plugin, "ExAmple.test")
    [request], [asked] = server.requests, server.asked
    assert asked.octets[:2] == b"\0\0"
    assert asked.message.question[0].name.to_text() == "ExAmple.test."
    assert request.path_qs == "/dns-query"
    assert set(request.headers) == {"Host", "Accept", "Content-Type", "Content-Length"}
    assert request.headers["Accept"] == MEDIA


@pytest.mark.parametrize(
    ("to", "options", "host"),
    [
        ("https://127.0.0.1", "", "127.0.0.1"),
        ("https://127.0.0.1%dns.test", "", "dns.test"),
        ("https://127.0.0.1", "tls_servername dns.test", "dns.test"),
        ("https://127.0.0.1%other.test", "tls_servername dns.test", "dns.test"),
        ("https://127.0.0.1", "force_tcp", "127.0.0.1"),
        ("https://127.0.0.1", "prefer_udp", "127.0.0.1"),
        ("https://127.0.0.1", "source_address 127.0.0.2", "127.0.0.1"),
    ],
)
async def test_names(to: str, options: str, host: str) -> None:
    async with doh() as server:
        lines = f"forward . {to}:{server.port} {{\n {CA}\n {options}\n}}"
        async with forwarding(lines) as plugin:
            assert addresses(await ask(plugin)) == [ADDRESS]
    assert [each.headers["Host"] for each in server.requests] == [f"{host}:{server.port}"]
    if "source" in options:
        assert {each.remote for each in server.requests} == {"127.0.0.2"}


async def test_a_host_name() -> None:
    """Its address by a nameserver of `resolver`, its name in the certificate."""
    async with doh() as server, upstream(with_address(HOST)) as resolver:
        line = f"forward . https://dns.test:{server.port} {{\n {CA}\n"
        line += f" resolver {HOST}:{resolver.port}\n}}"

        def read() -> Forward:
            plugin = parsed(line)
            assert isinstance(plugin, Forward)
            return plugin

        plugin = await asyncio.to_thread(read)
        try:
            assert addresses(await ask(plugin)) == [ADDRESS]
        finally:
            await plugin.close()
    assert server.requests[0].headers["Host"] == f"dns.test:{server.port}"


async def test_a_client_certificate() -> None:
    async with doh(context=server_context(client_certificates=True)) as server:
        line = f"forward . https://{HOST}:{server.port} {{\n {CLIENT}\n}}"
        async with forwarding(line) as plugin:
            assert addresses(await ask(plugin)) == [ADDRESS]


@pytest.mark.parametrize(
    ("name", "options"), [("other.test", CA), ("", "")]
)  # of somebody else; by a CA that the system does not know
async def test_a_wrong_certificate(name: str, options: str) -> None:
    async with doh() as server:
        to = f"https://{HOST}{name and '%' + name}:{server.port}"
        line = f"forward . {to} {{\n max_fails 0\n {options}\n}}"
        async with forwarding(line) as plugin:
            with pytest.raises(ResolveError, match=r'^Post "https://.*": dial tcp .*certificate'):
                await ask(plugin)
    assert not server.requests


FAILURES: dict[str, tuple[Callable[[Asked], web.Response], str]] = {
    "HTTP error": (lambda asked: said(b"", status=503), "HTTP status 503"),
    "not this path": (lambda asked: said(b"", status=404), "HTTP status 404"),
    "elsewhere": (
        lambda asked: said(reply(asked), status=307),
        "HTTP status 307",
    ),
    "a page": (
        lambda asked: said(b"<html>", media="text/html"),
        f"content of type text/html, not {MEDIA}",
    ),
    "no type": (
        lambda asked: web.Response(body=reply(asked)),
        f"content of type application/octet-stream, not {MEDIA}",
    ),
    "nothing": (lambda asked: said(b""), "a reply to another question"),
    "another question": (
        lambda asked: said(reply(asked).replace(b"\7example", b"\7exampel")),
        "a reply to another question",
    ),
    "the question": (lambda asked: said(asked.octets), "a reply to another question"),
    "half": (lambda asked: said(reply(asked)[:-2]), "no usable reply: the last record is cut off"),
    "too much": (lambda asked: said(bytes(65536)), "a reply of more than 65535 octets"),
}


@pytest.mark.parametrize(("answer", "expected"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_failures(
    answer: Callable[[Asked], web.Response], expected: str, method: str
) -> None:
    async with (
        doh(answer) as server,
        asking(server, f"doh_method {method}\n max_fails 0\n max_connect_attempts 1") as plugin,
    ):
        url = f"https://{HOST}:{server.port}/dns-query"
        with pytest.raises(ResolveError) as raised:
            await ask(plugin, "example.test")
        assert str(raised.value) == f'{method.capitalize()} "{url}": {expected}'
    assert len(server.requests) == 1


@pytest.mark.parametrize("rcode", [2, 3, 5])
async def test_an_rcode_is_a_reply(rcode: int) -> None:
    async with (
        doh(lambda asked: said(reply(asked, rcode=rcode))) as server,
        asking(server) as plugin,
    ):
        assert (await ask(plugin)).rcode == rcode


@pytest.mark.parametrize(
    ("age", "ttl"), [("", 30), ("0", 30), ("12", 18), ("31", 0), ("9" * 30, 0), ("x", 30)]
)
async def test_what_a_cache_kept_is_older(age: str, ttl: int) -> None:  # RFC 8484 section 5.1
    async with (
        doh(lambda asked: said(reply(asked), age=age)) as server,
        asking(server, "doh_method GET") as plugin,
    ):
        assert [record.ttl for record in (await ask(plugin)).answer] == [ttl]


async def test_nobody_listens() -> None:
    port = free_port()
    line = f"forward . https://{HOST}:{port} {{\n max_fails 0\n}}"
    async with forwarding(line) as plugin:
        expected = f'Post "https://{HOST}:{port}/dns-query": dial tcp {HOST}:{port}: connect: '
        with pytest.raises(ResolveError) as raised:
            await ask(plugin)
        assert str(raised.value) == expected + "connection refused"


async def test_no_port_at_all() -> None:
    line = f"forward . https://{HOST}:99999 {{\n max_fails 0\n}}"
    async with forwarding(line) as plugin:
        with pytest.raises(ResolveError, match=f'^Post "https://{HOST}:0/dns-query": dial tcp'):
            await ask(plugin)


async def test_silence() -> None:
    async with (
        doh() as server,
        asking(server, "read_timeout 50ms\n max_fails 0") as plugin,
    ):
        server.gate.clear()
        with pytest.raises(ResolveError, match=r'^Post "https://.*": i/o timeout$'):
            await ask(plugin)
        assert len(server.peers) == 2  # the connection of what came too late is not used again
        server.gate.set()
        assert addresses(await ask(plugin)) == [ADDRESS]


async def test_a_late_reply_leaves_no_socket() -> None:
    """Nothing is said to it, since TLS would wait for an answer."""
    async with doh() as server, asking(server, "read_timeout 150ms\n max_fails 0") as plugin:
        server.gate.clear()
        with pytest.raises(ResolveError, match="i/o timeout"):
            await ask(plugin)
        streams = plugin.forwarders[0].upstreams[0]._streams
        async with asyncio.timeout(0.7):
            await until(lambda: not streams._all)  # type: ignore[attr-defined]


async def test_many_at_once() -> None:
    async with doh() as server, asking(server, "read_timeout 5s") as plugin:
        server.gate.clear()
        asks = [asyncio.create_task(ask(plugin, f"n{n}.test")) for n in range(100)]
        await until(lambda: server.most == https.CONNECTIONS)
        server.gate.set()
        found = await asyncio.gather(*asks)
        assert all(addresses(each) == [ADDRESS] for each in found)
    assert server.most == https.CONNECTIONS == len(server.peers)


async def test_a_connection_closed_by_the_server_is_opened_again_silently() -> None:  # 3.3.3, 6
    async with doh() as server, asking(server, "max_connect_attempts 1\n max_fails 0") as plugin:
        await asyncio.gather(*[ask(plugin, f"n{n}.test") for n in range(4)])
        server.gate.clear()
        under_way = asyncio.create_task(ask(plugin, "m.test"))
        await until(lambda: len(server.asked) == 5)
        assert server.requests[-1].transport is not None
        for request in server.requests:
            if request.transport is not None:
                request.transport.abort()
        server.gate.set()
        assert addresses(await under_way) == [ADDRESS]
        assert addresses(await ask(plugin, "o.test")) == [ADDRESS]


async def test_a_new_connection_that_dies_is_a_failure() -> None:
    def answer(asked: Asked) -> web.Response:
        transport = server.requests[-1].transport
        assert transport is not None
        transport.abort()
        return good(asked)

    async with doh(answer) as server, asking(server) as plugin:
        with pytest.raises(ResolveError, match=r'^Post ".*": (EOF|read: connection reset by peer)'):
            await ask(plugin)
        assert len(server.asked) == 2  # attempts


@pytest.mark.parametrize("option", ["expire 0s", "expire 30ms", "expire 20ms\n max_age 30ms"])
async def test_old_connections_are_not_used(option: str) -> None:
    async with doh() as server, asking(server, option) as plugin:
        await ask(plugin, "a.test")
        await asyncio.sleep(0.05)
        await ask(plugin, "b.test")
    assert len(server.peers) == 2


async def test_max_age_ends_a_busy_connection() -> None:
    async with doh() as server, asking(server, "expire 50ms\n max_age 60ms") as plugin:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            while len(server.peers) < 3:
                await ask(plugin, f"n{int(loop.time() * 1e6)}.test")
                await asyncio.sleep(0.01)


async def test_max_idle_conns() -> None:
    async with doh() as server, asking(server, "max_idle_conns 2") as plugin:
        server.gate.clear()
        asks = [asyncio.create_task(ask(plugin, f"n{n}.test")) for n in range(8)]
        await until(lambda: server.most == 8)
        server.gate.set()
        await asyncio.gather(*asks)
        kept = set(server.peers)
        for n in range(4):
            await asyncio.gather(*[ask(plugin, f"m{n}{k}.test") for k in range(2)])
        assert len(kept) == 8
        assert len(server.peers) == 8  # the two that stayed


async def test_health_probes() -> None:
    """As for others: begun by a failure, ended by a reply, of whatever rcode (3.3.4)."""
    broken = True

    def answer(asked: Asked) -> web.Response:
        return said(b"", status=502) if broken else said(reply(asked, rcode=5))

    options = "health_check 50ms\n max_fails 1\n max_connect_attempts 1"
    async with doh(answer) as server, asking(server, options) as plugin:
        upstream = plugin.forwarders[0].upstreams[0]
        with pytest.raises(ResolveError):
            await ask(plugin)
        await until(lambda: upstream.is_down)
        assert figures.healthcheck_failures.values["forward", upstream.address] >= 2
        broken = False
        await until(lambda: not upstream.is_down)
        probes = [each.message.question[0] for each in server.asked[1:]]
        assert {(each.name.to_text(), int(each.rdtype)) for each in probes} == {(".", NS)}
        assert {each.method for each in server.requests} == {"POST"}


async def test_the_end_while_it_waits() -> None:
    async with doh() as server, asking(server) as plugin:
        server.gate.clear()
        waiting = asyncio.create_task(ask(plugin))
        await until(lambda: bool(server.asked))
        await plugin.close()
        with pytest.raises(ResolveError, match="the server stops"):
            await waiting


async def test_the_end_before_it_has_begun() -> None:
    async with doh() as server, asking(server) as plugin:
        waiting = asyncio.create_task(ask(plugin))
        await asyncio.sleep(0)
        assert not server.asked
        await plugin.close()
        with pytest.raises(ResolveError, match=r"the server stops|not asked any more"):
            await waiting


async def test_a_fault_of_ours_ends_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*any: object) -> None:
        raise KeyError("a bug")

    async with doh() as server, asking(server, "max_connect_attempts 1\n max_fails 0") as plugin:
        with monkeypatch.context() as patch:
            patch.setattr(https, "reply_to", broken)
            with pytest.raises(ResolveError, match="KeyError: 'a bug'"):
                await ask(plugin)
        assert addresses(await ask(plugin)) == [ADDRESS]


async def test_a_query_under_way_as_it_stops_ends_well() -> None:
    async with doh() as server, asking(server) as plugin:
        await ask(plugin, "a.test")
        server.gate.clear()
        waiting = asyncio.create_task(ask(plugin, "b.test"))
        await until(lambda: len(server.asked) == 2)
        stopping = asyncio.Event()
        stopping.set()
        serving = asyncio.create_task(plugin.serve(stopping))
        await asyncio.sleep(0)
        server.gate.set()
        assert addresses(await waiting) == [ADDRESS]
        await serving


async def test_many_kinds_of_upstreams() -> None:
    """A dead DoH server is stepped over, to one that is asked by UDP."""
    async with upstream() as stub:
        to = f"https://{HOST}:{free_port()} {HOST}:{stub.port}"
        async with forwarding(f"forward . {to} {{\n policy sequential\n}}") as plugin:
            assert addresses(await ask(plugin)) == [ADDRESS]
            assert stub.asked[0].transport == "udp"


def test_http_is_for_those_who_need_it() -> None:
    """Without https:// it is not imported, and aiohttp (14 MB, 0.2 s) for none of them."""
    code = """
import sys
from clusterdns.corefile.parser import parse
from clusterdns.plugins.base import Setup
from clusterdns.plugins.order import build
(block,) = parse(sys.argv[1], "Corefile").blocks
build(block, Setup(zones=(".",), cluster=None))
print([name for name in ("h11", "hpack", "aiohttp") if name in sys.modules])
"""
    for to, expected in (
        ("127.0.0.1 tls://127.0.0.1", "[]"),
        ("https://127.0.0.1", "['h11', 'hpack']"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, f". {{\n forward . {to}\n}}\n"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        )
        assert done.stdout.strip() == expected
