"""DNS over HTTPS by HTTP/2: a real server, whose streams end late, are refused or forgotten."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from aiohttp import web
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import Forward, figures, https, https_connection, tunnel
from tests.beside import until
from tests.plugins.forward.http2_server import Doh2, Exchange, doh2, http2_context
from tests.plugins.forward.stubs import (
    ADDRESS,
    HOST,
    Asked,
    addresses,
    ask,
    forwarding,
    reply,
)
from tests.plugins.forward.test_https import FAILURES, MEDIA, doh, said
from tests.plugins.forward.test_streams import CA, CLIENT, server_context
from tests.streams import listening

ONCE = "max_connect_attempts 1\n max_fails 0"


@asynccontextmanager
async def asking(server: Doh2, options: str = ONCE, name: str = "") -> AsyncIterator[Forward]:
    to = f"https://{HOST}{name and '%' + name}:{server.port}"
    async with forwarding(f"forward . {to} {{\n {CA}\n {options}\n}}") as plugin:
        yield plugin


def asks(plugin: Forward, count: int, prefix: str = "n") -> list[asyncio.Task[list[str]]]:
    """So many different questions at the same time."""

    async def one(name: str) -> list[str]:
        return addresses(await ask(plugin, name))

    return [asyncio.create_task(one(f"{prefix}{n}.test")) for n in range(count)]


@contextmanager
def held(server: Doh2) -> Iterator[list[Exchange]]:
    """Requests wait until the block ends."""
    waiting: list[Exchange] = []
    before, server.take = server.take, waiting.append
    yield waiting
    server.take = before


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_asks(method: str) -> None:
    async with doh2() as server, asking(server, f"doh_method {method}") as plugin:
        for n in range(3):
            found = await ask(plugin, f"n{n}.test", transport="tcp" if n else "udp")
            assert addresses(found) == [ADDRESS]
            assert found.recursion
        label = plugin.forwarders[0].upstreams[0].address
    assert [each.headers[":method"] for each in server.exchanges] == [method] * 3
    assert [each.name for each in server.asked] == ["n0.test.", "n1.test.", "n2.test."]
    assert len(server.connections) == 1
    assert figures.connection_misses.values["forward", label, "https"] == 1
    assert figures.connection_hits.values["forward", label, "https"] == 2


@pytest.mark.parametrize(
    ("name", "options"), [("", ""), ("dns.test", ""), ("", "tls_servername dns.test")]
)
async def test_what_is_sent(name: str, options: str) -> None:  # RFC 8484 sections 4.1, 8.2
    async with doh2() as server, asking(server, options, name) as plugin:
        for _ in range(2):
            await ask(plugin, "ExAmple.test")
    for each in server.exchanges:
        octets = each.asked.octets
        assert octets[:2] == b"\0\0"
        assert each.asked.message.question[0].name.to_text() == "ExAmple.test."
        assert each.headers == {
            ":method": "POST",
            ":scheme": "https",
            ":authority": f"{'dns.test' if name or options else HOST}:{server.port}",
            ":path": "/dns-query",
            "accept": MEDIA,
            "content-type": MEDIA,
            "content-length": str(len(octets)),
        }


@pytest.mark.parametrize(
    ("versions", "spoken"),
    [(["h2"], 2), (["h3", "h2", "http/1.1"], 2), (["http/1.1", "h2"], 1), (["dot"], 1), ([], 1)],
)
async def test_the_version_is_chosen_by_alpn(versions: list[str], spoken: int) -> None:
    """The server takes what it likes best; where it takes nothing, it is HTTP/1.1."""
    context = server_context()
    if versions:
        context.set_alpn_protocols(versions)
    async with doh2(context=context) if spoken == 2 else doh(context=context) as server:
        line = f"forward . https://{HOST}:{server.port} {{\n {CA}\n}}"
        async with forwarding(line) as plugin:
            assert addresses(await ask(plugin)) == [ADDRESS]
        assert len(server.asked) == 1


async def test_a_client_certificate() -> None:
    context = server_context(client_certificates=True)
    context.set_alpn_protocols(["h2"])
    async with doh2(context=context) as server:
        line = f"forward . https://{HOST}:{server.port} {{\n {CLIENT}\n}}"
        async with forwarding(line) as plugin:
            assert addresses(await ask(plugin)) == [ADDRESS]


@pytest.mark.parametrize("warm", [False, True])
async def test_many_queries_share_one_connection(warm: bool) -> None:
    """Those too that come before it is there; and replies come in another order."""
    async with doh2() as server, asking(server) as plugin:
        if warm:
            await ask(plugin)
        with held(server) as waiting:
            tasks = asks(plugin, 100)
            await until(lambda: len(waiting) == 100)
            for each in waiting[::-1]:
                each.answer()
        assert await asyncio.gather(*tasks) == [[ADDRESS]] * 100
        assert [each.most for each in server.connections] == [100]


async def test_no_more_streams_than_the_server_wants() -> None:
    async with (
        doh2(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 3}) as server,
        asking(server) as plugin,
    ):
        await ask(plugin)
        with held(server) as waiting:
            tasks = asks(plugin, 3)
            await until(lambda: len(waiting) == 3)
            assert len(server.connections) == 1
            for each in waiting:
                each.answer()
        assert await asyncio.gather(*tasks) == [[ADDRESS]] * 3


async def test_what_does_not_fit_goes_by_another_connection() -> None:
    async with doh2() as server, asking(server) as plugin:
        with held(server) as waiting:
            tasks = asks(plugin, 250)
            await until(lambda: len(waiting) == 250)
            assert sorted(each.most for each in server.connections) == [50, 100, 100]
            for each in waiting:
                each.answer()
        assert await asyncio.gather(*tasks) == [[ADDRESS]] * 250


async def test_connections_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "CONNECTIONS", 2)
    async with doh2() as server, asking(server) as plugin:
        with held(server) as waiting:
            tasks = asks(plugin, 250)
            await until(lambda: len(waiting) == 200)
            for each in waiting:
                each.answer()
        assert await asyncio.gather(*tasks) == [[ADDRESS]] * 250
        assert [each.most for each in server.connections] == [100, 100]


async def test_a_refused_stream_is_sent_again() -> None:  # RFC 9113 section 8.7
    async with doh2() as server, asking(server) as plugin:
        with held(server) as waiting:
            tasks = asks(plugin, 10)
            await until(lambda: len(waiting) == 10)
            server.take = Exchange.answer
            for n, each in enumerate(waiting):
                each.reset(ErrorCodes.REFUSED_STREAM) if n % 3 else each.answer()
        assert await asyncio.gather(*tasks) == [[ADDRESS]] * 10
        assert len(server.asked) == 16
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("code", "times"),
    [
        (ErrorCodes.REFUSED_STREAM, 2),
        (ErrorCodes.INTERNAL_ERROR, 1),
        (ErrorCodes.CANCEL, 1),
        (ErrorCodes.HTTP_1_1_REQUIRED, 1),
    ],
)
async def test_a_stream_that_is_reset(code: ErrorCodes, times: int) -> None:
    async with doh2() as server, asking(server) as plugin:
        assert addresses(await ask(plugin, "good.test")) == [ADDRESS]
        server.take = lambda each: each.reset(code)
        stream = 2 * times + 1
        expected = f"stream error: stream ID {stream}; {code.name}; received from peer"
        with pytest.raises(ResolveError, match=expected):
            await ask(plugin, "bad.test")
        assert len(server.asked) == 1 + times
        server.take = Exchange.answer
        assert addresses(await ask(plugin, "fine.test")) == [ADDRESS]
        assert len(server.connections) == 1


async def test_a_server_that_goes_away_ends_what_it_has_begun() -> None:
    """RFC 9113 section 6.8: what it did not look at goes by another connection, once."""
    async with doh2() as server, asking(server) as plugin:
        await ask(plugin)
        with held(server) as waiting:
            tasks = asks(plugin, 6)
            await until(lambda: len(waiting) == 6)
            old = server.connections[0]
            old.go_away(waiting[2].stream)
            await until(lambda: len(waiting) == 9)
            assert {each.connection for each in waiting[:6]} == {old}
            assert {each.connection for each in waiting[6:]} == {server.connections[1]}
            late = asks(plugin, 2, "m")
            await until(lambda: len(waiting) == 11)
            assert {each.connection for each in waiting[9:]} == {server.connections[1]}
            for each in waiting:
                if each not in waiting[3:6]:
                    each.answer()
        assert await asyncio.gather(*tasks, *late) == [[ADDRESS]] * 8
        await until(lambda: server.open == [server.connections[1]])


async def test_a_server_that_goes_away_twice() -> None:
    """First it tells that it will, then of the last stream, as Go's does."""
    async with doh2() as server, asking(server) as plugin:
        with held(server) as waiting:
            tasks = asks(plugin, 4)
            await until(lambda: len(waiting) == 4)
            server.connections[0].go_away((1 << 31) - 1)
            server.connections[0].go_away(waiting[-1].stream)
            streams = plugin.forwarders[0].upstreams[0]._streams
            await until(lambda: not streams._open)  # type: ignore[attr-defined]
            more = asks(plugin, 1, "m")
            await until(lambda: len(waiting) == 5)
            assert len(server.connections) == 2
            for each in waiting:
                each.answer()
        assert await asyncio.gather(*tasks, *more) == [[ADDRESS]] * 5


async def test_a_server_that_only_goes_away() -> None:
    """No query is sent for ever."""
    async with doh2() as server, asking(server) as plugin:
        server.take = lambda each: each.connection.go_away(0)
        with pytest.raises(ResolveError, match="server sent GOAWAY; NO_ERROR"):
            await ask(plugin)
        assert len(server.asked) == 2


async def test_a_connection_that_ends_is_opened_again_silently() -> None:
    async with doh2() as server, asking(server) as plugin:
        await ask(plugin, "a.test")
        with held(server) as waiting:
            tasks = asks(plugin, 5)
            await until(lambda: len(waiting) == 5)
            server.connections[0].transport.abort()
            await until(lambda: len(waiting) == 10)
            for each in waiting[5:]:
                each.answer()
        assert await asyncio.gather(*tasks) == [[ADDRESS]] * 5
        assert len(server.connections) == 2


async def test_a_new_connection_that_dies_is_a_failure() -> None:
    async with doh2() as server, asking(server, "max_fails 0") as plugin:
        server.take = lambda each: each.connection.transport.abort()
        with pytest.raises(ResolveError, match=r'^Post ".*": (EOF|read: connection reset by peer)'):
            await ask(plugin)
        assert len(server.asked) == 2  # attempts


async def test_one_slow_query_ends_no_other() -> None:
    async with doh2() as server, asking(server, f"read_timeout 300ms\n {ONCE}") as plugin:
        await ask(plugin, "before.test")
        with held(server) as slow:
            (late,) = asks(plugin, 1, "slow")
            await until(lambda: len(slow) == 1)
        while not late.done():
            assert await asyncio.gather(*asks(plugin, 3)) == [[ADDRESS]] * 3
        with pytest.raises(ResolveError, match=r'^Post "https://.*": i/o timeout$'):
            await late
        await until(lambda: [each.stream_id for each in server.resets] == [slow[0].stream])
        assert server.resets[0].error_code is ErrorCodes.CANCEL
        assert server.connections[0].pings == 0  # others had replies meanwhile
        assert addresses(await ask(plugin, "after.test")) == [ADDRESS]
        assert len(server.connections) == 1


async def test_what_comes_too_late_is_stepped_over() -> None:
    """As it was on its way when its stream was left."""
    async with doh2() as server, asking(server, f"read_timeout 250ms\n {ONCE}") as plugin:
        with held(server) as slow, pytest.raises(ResolveError, match="i/o timeout"):
            await ask(plugin, "slow.test")
        frame = DataFrame(slow[0].stream)
        frame.data = bytes(1000)
        slow[0].connection.send(frame)
        assert addresses(await ask(plugin, "after.test")) == [ADDRESS]
        assert len(server.connections) == 1


async def test_a_quiet_connection_is_asked_for_a_word() -> None:
    """It had only one query, which came to nothing; it answers the PING and goes on."""
    async with doh2() as server, asking(server, f"read_timeout 250ms\n {ONCE}") as plugin:
        await ask(plugin, "before.test")
        with held(server), pytest.raises(ResolveError, match="i/o timeout"):
            await ask(plugin, "slow.test")
        connection = server.connections[0]
        await until(lambda: connection.pings == 1)
        (home,) = plugin.forwarders[0].upstreams[0]._streams._open  # type: ignore[attr-defined]
        await until(lambda: home.has_room)
        assert addresses(await ask(plugin, "after.test")) == [ADDRESS]
        assert server.connections == [connection]


async def test_a_mute_connection_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read on the other side, not even TLS's good-bye; no socket waits for one."""
    monkeypatch.setattr(https_connection, "PROBE_S", 0.05)
    async with doh2() as server, asking(server, f"read_timeout 200ms\n {ONCE}") as plugin:
        await ask(plugin, "before.test")
        (mute,) = server.connections
        mute.is_mute = True
        mute.transport.pause_reading()
        with pytest.raises(ResolveError, match="i/o timeout"):
            await ask(plugin, "lost.test")
        assert addresses(await ask(plugin, "after.test")) == [ADDRESS]
        assert len(server.connections) == 2
        streams = plugin.forwarders[0].upstreams[0]._streams
        await until(lambda: len(streams._all) == 1)  # type: ignore[attr-defined]
        mute.transport.resume_reading()
        await until(lambda: server.open == server.connections[1:])


async def test_what_a_mute_connection_had_goes_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https_connection, "PROBE_S", 0.05)
    async with doh2() as server, asking(server, f"read_timeout 300ms\n {ONCE}") as plugin:
        await ask(plugin, "before.test")
        server.connections[0].is_mute = True
        (first,) = asks(plugin, 1, "lost")
        await asyncio.sleep(0.2)
        assert await asyncio.gather(*asks(plugin, 2)) == [[ADDRESS]] * 2
        with pytest.raises(ResolveError, match="i/o timeout"):
            await first


async def test_a_mute_handshake() -> None:
    """Somebody listens and says nothing: queries end in time, and leave no socket."""
    with socket.create_server((HOST, 0)) as sock:
        sock.setblocking(False)
        to = f"https://{HOST}:{sock.getsockname()[1]}"
        options = f"{CA}\n read_timeout 60ms\n {ONCE}"
        async with forwarding(f"forward . {to} {{\n {options}\n}}") as plugin:
            results = await asyncio.gather(*asks(plugin, 50), return_exceptions=True)
            assert all(str(each).endswith("i/o timeout") for each in results)
            assert sum(figures.connection_misses.values.values()) < 10
            streams = plugin.forwarders[0].upstreams[0]._streams
            await until(lambda: not streams._tasks)  # type: ignore[attr-defined]
            assert not streams._all  # type: ignore[attr-defined]
        loop = asyncio.get_running_loop()
        accepted, _ = sock.accept()
        with accepted:
            accepted.setblocking(False)
            async with asyncio.timeout(1):
                while await loop.sock_recv(accepted, 65536):
                    pass  # its hello, and the end


async def test_a_handshake_lasts_as_long_as_a_query() -> None:
    """One after the other gives up; each has a handshake that was not cut short by those before."""
    hellos: list[float] = []
    loop = asyncio.get_running_loop()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begin = loop.time()
        while await reader.read(65536):
            pass
        hellos.append(loop.time() - begin)

    async with listening(connected) as port:
        options = f"{CA}\n read_timeout 200ms\n {ONCE}"
        async with forwarding(f"forward . https://{HOST}:{port} {{\n {options}\n}}") as plugin:
            tasks = []
            for n in range(50):
                tasks += asks(plugin, 1, f"m{n}")
                await asyncio.sleep(0.01)
            for each in await asyncio.gather(*tasks, return_exceptions=True):
                assert str(each).endswith("i/o timeout")
            streams = plugin.forwarders[0].upstreams[0]._streams
            await until(lambda: not streams._tasks)  # type: ignore[attr-defined]
            assert 3 <= sum(figures.connection_misses.values.values()) <= 5
        await until(lambda: len(hellos) >= 3)
    assert min(hellos[:2]) > 0.15


async def test_a_good_bye_to_somebody_mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for as long as TLS would."""
    monkeypatch.setattr(tunnel, "CLOSE_S", 0.05)
    async with doh2() as server, asking(server, "expire 30ms") as plugin:
        await ask(plugin, "a.test")
        (mute,) = server.connections
        mute.is_mute = True
        mute.transport.pause_reading()
        await asyncio.sleep(0.05)
        assert addresses(await ask(plugin, "b.test")) == [ADDRESS]
        streams = plugin.forwarders[0].upstreams[0]._streams
        async with asyncio.timeout(1):
            await until(lambda: len(streams._all) == 1)  # type: ignore[attr-defined]


async def test_large_replies() -> None:
    """More at a time than the connection's window holds, each in many frames."""
    size = 60_000

    def answer(asked: Asked) -> web.Response:
        text = " ".join(["x" * 250] * 4)
        records = [f"{asked.name} 30 IN TXT y{n} {text}" for n in range(size // 1020)]
        octets = reply(asked, *records)
        assert 59_000 < len(octets) < 65536
        return said(octets)

    async with doh2(answer) as server, asking(server, f"read_timeout 5s\n {ONCE}") as plugin:

        async def one(n: int) -> int:
            return len((await ask(plugin, f"n{n}.test", transport="tcp")).answer)

        assert await asyncio.gather(*[one(n) for n in range(40)]) == [size // 1020] * 40
        assert len(server.connections) == 1


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_server_that_takes_few_octets_at_a_time(method: str) -> None:  # section 5.2
    settings = {SettingCodes.INITIAL_WINDOW_SIZE: 7, SettingCodes.HEADER_TABLE_SIZE: 0}
    async with doh2(settings=settings) as server, asking(server, f"doh_method {method}") as plugin:
        for _ in range(3):
            assert await asyncio.gather(*asks(plugin, 5)) == [[ADDRESS]] * 5
        assert len(server.connections) == 1


@pytest.mark.parametrize(("answer", "expected"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_failures(
    answer: Callable[[Asked], web.Response], expected: str, method: str
) -> None:
    async with doh2(answer) as server, asking(server, f"doh_method {method}\n {ONCE}") as plugin:
        url = f"https://{HOST}:{server.port}/dns-query"
        with pytest.raises(ResolveError) as raised:
            await ask(plugin, "example.test")
        assert str(raised.value) == f'{method.capitalize()} "{url}": {expected}'
        assert len(server.connections) == len(server.asked) == 1


@pytest.mark.parametrize(("age", "ttl"), [("", 30), ("12", 18), ("9" * 30, 0), ("x", 30)])
async def test_what_a_cache_kept_is_older(age: str, ttl: int) -> None:  # RFC 8484 section 5.1
    async with (
        doh2(lambda asked: said(reply(asked), age=age)) as server,
        asking(server) as plugin,
    ):
        assert [record.ttl for record in (await ask(plugin)).answer] == [ttl]


@pytest.mark.parametrize("option", ["expire 0s", "expire 30ms", "expire 20ms\n max_age 30ms"])
async def test_old_connections_are_not_used(option: str) -> None:
    async with doh2() as server, asking(server, option) as plugin:
        await ask(plugin, "a.test")
        await asyncio.sleep(0.05)
        await ask(plugin, "b.test")
        assert len(server.connections) == 2
        await until(lambda: server.connections[0].is_lost)
    assert server.connections[0].ended is not None  # it was told
    assert server.connections[0].ended.error_code is ErrorCodes.NO_ERROR


async def test_max_age_ends_a_busy_connection() -> None:
    """What is under way by it is not lost."""
    async with doh2() as server, asking(server, "expire 50ms\n max_age 60ms") as plugin:
        with held(server) as waiting:
            (slow,) = asks(plugin, 1, "slow")
            await until(lambda: len(waiting) == 1)
        for _ in range(20):
            assert await asyncio.gather(*asks(plugin, 2)) == [[ADDRESS]] * 2
            await asyncio.sleep(0.01)
        assert not server.connections[0].is_lost
        waiting[0].answer()
        assert await slow == [ADDRESS]
        await until(lambda: server.connections[0].is_lost)
        assert len(server.connections) >= 3


async def test_the_end_while_many_wait() -> None:
    async with doh2() as server, asking(server) as plugin:
        with held(server) as waiting:
            tasks = asks(plugin, 5)
            await until(lambda: len(waiting) == 5)
            async with asyncio.timeout(1):
                await plugin.close()
            for each in await asyncio.gather(*tasks, return_exceptions=True):
                assert "the server stops" in str(each)
        await until(lambda: not server.open)


async def test_queries_under_way_as_it_stops_end_well() -> None:
    async with doh2() as server, asking(server) as plugin:
        with held(server) as waiting:
            tasks = asks(plugin, 5)
            await until(lambda: len(waiting) == 5)
            stopping = asyncio.Event()
            stopping.set()
            serving = asyncio.create_task(plugin.serve(stopping))
            await asyncio.sleep(0)
            for each in waiting:
                each.answer()
        assert await asyncio.gather(*tasks) == [[ADDRESS]] * 5
        await serving
        await until(lambda: not server.open)


async def test_a_client_that_goes_resets_its_stream() -> None:
    """Nobody else asked the same."""
    async with doh2() as server, asking(server) as plugin:
        with held(server) as waiting:
            (task,) = asks(plugin, 1)
            await until(lambda: len(waiting) == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert addresses(await ask(plugin, "after.test")) == [ADDRESS]
        assert len(server.connections) == 1


async def test_sessions_are_resumed() -> None:
    context = http2_context()
    async with doh2(context=context) as server, asking(server, "expire 0s") as plugin:
        for n in range(4):
            assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
    assert context.session_stats()["hits"] == 3
