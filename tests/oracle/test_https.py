"""CoreDNS as an upstream with https://: Go's HTTP/2 on the other side, as it starts and ends."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import Forward
from tests.beside import until
from tests.oracle.servers import coredns_command, needs_coredns
from tests.plugins.forward.stubs import ADDRESS, HOST, addresses, ask, forwarding, upstream
from tests.plugins.forward.test_streams import CA, PKI
from tests.ports import free_port

pytestmark = needs_coredns

COREFILE = """\
https://.:{port} {{
    bind 127.0.0.1
    tls {pki}/server.crt {pki}/server.key
    template IN A fast.test {{
        answer "{{{{ .Name }}}} 30 IN A 192.0.2.1"
    }}
    template IN TXT large.test {{
        answer "{{{{ .Name }}}} 30 IN TXT {text}"
    }}
    forward slow.test 127.0.0.1:{behind} {{
        force_tcp
    }}
}}
"""
TEXT = " ".join(["x" * 250] * 200)


@asynccontextmanager
async def coredns(
    folder: Path, port: int, behind: int = 1
) -> AsyncIterator[asyncio.subprocess.Process]:
    """CoreDNS, which serves by HTTPS alone, until the block ends. behind: a port that it asks."""
    corefile = folder / "Corefile"
    corefile.write_text(COREFILE.format(port=port, pki=PKI, text=TEXT, behind=behind))
    log = folder / "log"
    with log.open("wb") as output:
        command = coredns_command(corefile, port)
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def asking(port: int, options: str) -> AsyncIterator[Forward]:
    line = f"forward . https://{HOST}:{port} {{\n {CA}\n max_fails 0\n {options}\n}}"
    async with forwarding(line) as plugin:
        await answers(plugin)
        yield plugin


async def answers(plugin: Forward) -> None:
    """Waits for it to be there."""
    async with asyncio.timeout(20):
        while True:
            try:
                assert addresses(await ask(plugin, "up.fast.test")) == [ADDRESS]
            except ResolveError:
                await asyncio.sleep(0.05)
            else:
                return


def streams(plugin: Forward) -> int:
    """How many connections there are."""
    return len(plugin.forwarders[0].upstreams[0]._streams._all)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_many_queries(tmp_path: Path, method: str) -> None:
    """More at a time than Go's 250 streams, and then one by one."""
    port = free_port()
    async with coredns(tmp_path, port), asking(port, f"doh_method {method}") as plugin:
        found = await asyncio.gather(*[ask(plugin, f"n{n}.fast.test") for n in range(600)])
        assert [addresses(each) for each in found] == [[ADDRESS]] * 600
        assert streams(plugin) <= 6
        for n in range(20):
            assert addresses(await ask(plugin, f"m{n}.fast.test")) == [ADDRESS]


async def test_large_replies(tmp_path: Path) -> None:
    port = free_port()
    async with coredns(tmp_path, port), asking(port, "read_timeout 5s") as plugin:
        asks = [ask(plugin, f"n{n}.large.test", qtype="TXT", transport="tcp") for n in range(40)]
        for found in await asyncio.gather(*asks):
            assert len(str(found.answer[0].rdata)) > 50_000
        assert streams(plugin) == 1


async def test_it_ends_and_comes_back(tmp_path: Path) -> None:
    """Its end is announced; what is under way is answered, and what comes then by the next one."""
    port = free_port()
    async with coredns(tmp_path, port) as process, asking(port, "expire 1m") as plugin:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        await until(lambda: streams(plugin) == 0)
        with pytest.raises(ResolveError, match="connection refused"):
            await ask(plugin, "gone.fast.test")
        async with coredns(tmp_path, port):
            await answers(plugin)


async def test_slow_queries_and_fast_ones(tmp_path: Path) -> None:
    """Those that are late are reset, and the connection stays."""
    port = free_port()
    async with (
        upstream() as slow,
        coredns(tmp_path, port, slow.port),
        asking(port, "read_timeout 300ms\n max_connect_attempts 1") as plugin,
    ):
        slow.held = asyncio.Event()
        before = list(plugin.forwarders[0].upstreams[0]._streams._open)  # type: ignore[attr-defined]
        late = [asyncio.create_task(ask(plugin, f"n{n}.slow.test")) for n in range(5)]
        while not all(each.done() for each in late):
            found = await asyncio.gather(*[ask(plugin, f"n{n}.fast.test") for n in range(5)])
            assert [addresses(each) for each in found] == [[ADDRESS]] * 5
        for error in await asyncio.gather(*late, return_exceptions=True):
            assert str(error).endswith("i/o timeout")
        slow.held.set()
        assert addresses(await ask(plugin, "m.slow.test")) == [ADDRESS]
        after = plugin.forwarders[0].upstreams[0]._streams._open  # type: ignore[attr-defined]
        assert after == before


async def test_it_ends_with_queries_under_way(tmp_path: Path) -> None:
    """Go's server says GOAWAY and answers what it has begun."""
    port = free_port()
    async with (
        upstream() as slow,
        coredns(tmp_path, port, slow.port) as process,
        asking(port, "read_timeout 5s\n max_connect_attempts 1") as plugin,
    ):
        slow.held = asyncio.Event()
        waiting = [asyncio.create_task(ask(plugin, f"n{n}.slow.test")) for n in range(5)]
        await until(lambda: len(slow.asked) == 5)
        process.send_signal(signal.SIGTERM)
        await until(lambda: not plugin.forwarders[0].upstreams[0]._streams._open)  # type: ignore[attr-defined]
        assert streams(plugin) == 1
        slow.held.set()
        found = await asyncio.gather(*waiting)
        assert [addresses(each) for each in found] == [[ADDRESS]] * 5
        await until(lambda: streams(plugin) == 0)
