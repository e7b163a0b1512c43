"""Another Corefile takes the place of the one that runs: what goes on, what is refused."""

import asyncio
import gc
import re
import signal
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import dns.message
import pytest

from clusterdns import metrics
from clusterdns.app import App, Options, reloading
from clusterdns.app.corefiles import Corefiles
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import ReloadTimes
from clusterdns.plugins.cache import Cache
from clusterdns.plugins.forward import hostnames
from tests.apiserver.server import ApiServer
from tests.beside import until
from tests.objects import namespace, service
from tests.plugins.forward import stubs
from tests.ports import free_port
from tests.scenarios.asking import At, answer, ask, becomes, get
from tests.scenarios.processes import running
from tests.scenarios.servers import Server, served, started, write
from tests.scenarios.test_manifests import WEB, web

OBJECTS = [web(), service("shop", "two", "10.96.0.2")]
COREFILE = """\
.:0 {
    bind 127.0.0.1
    errors
    ready 127.0.0.1:0
    kubernetes cluster.local
}
"""
CACHED = """\
.:0 {
    bind 127.0.0.1
    errors
    cache 30
    forward . 127.0.0.1:%d {
        prefer_udp
    }
}
"""


class Reloaded:
    """A server whose Corefile is changed."""

    def __init__(self, server: Server, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.server = server
        self.app = server.app
        self.at = server.at
        self._path = folder / "Corefile"
        self._log = caplog

    def write(self, text: str) -> None:
        self._path.write_text(text)

    async def to(self, text: str, line: str = "Reloading complete") -> str:
        """Writes the Corefile and sends SIGUSR1; gives the log lines until the one awaited."""
        self.write(text)
        self._log.clear()
        signal.raise_signal(signal.SIGUSR1)
        await becomes(line, self._said(line), within_s=20)
        return self._log.text

    def _said(self, line: str) -> Callable[[], Awaitable[str]]:
        async def said() -> str:
            await asyncio.sleep(0)
            return line if line in self._log.text else self._log.text

        return said


@asynccontextmanager
async def serving(
    folder: Path, caplog: pytest.LogCaptureFixture, corefile: str = COREFILE
) -> AsyncIterator[Reloaded]:
    caplog.set_level("INFO", "clusterdns")
    objects = write(folder / "objects.yaml", OBJECTS)
    async with served(folder, objects, corefile=corefile) as server:
        yield Reloaded(server, folder, caplog)


async def test_another_corefile(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """3.7, 4.8: the lines that tests and people look for."""
    async with serving(tmp_path, caplog) as server:
        assert await answer(server.at, "web.shop.svc.other.local") == "SERVFAIL"
        told = await server.to(COREFILE.replace("cluster.local", "other.local\n    reload"))
        assert await answer(server.at, "web.shop.svc.other.local") == "10.96.0.1"
        assert await answer(server.at, WEB) == "SERVFAIL"
        assert server.server.at == server.at
    lines = [record.getMessage() for record in caplog.records][-10:]
    assert "SIGUSR1: Reloading" in told
    assert re.search(r"Running configuration SHA512 = [0-9a-f]{128}$", told, re.MULTILINE)
    assert lines.index("Reloading") < lines.index("Reloading complete")


async def test_looks_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "_drawn", lambda times: times.interval_s / 100)
    look, looks = reloading.Reloader._look, []

    async def noted(reloader: reloading.Reloader, is_told: bool) -> None:
        await look(reloader, is_told)
        looks.append(is_told)

    monkeypatch.setattr(reloading.Reloader, "_look", noted)
    corefile = COREFILE.replace("errors", "errors\n    reload 2s 0s")
    async with serving(tmp_path, caplog, corefile) as server:
        server.write(f"# a comment on top, D37\n\n{corefile}")
        seen = len(looks)
        await until(lambda: looks[seen:] == [False, False])  # the first may have begun before
        assert "Reloading" not in caplog.text
        server.write(corefile.replace("cluster.local", "other.local"))
        await becomes("10.96.0.1", lambda: answer(server.at, "web.shop.svc.other.local"))


async def test_the_time_between_looks_is_drawn_once_a_load(tmp_path: Path) -> None:
    """As in CoreDNS: a replica keeps its distance to the others."""

    async def exchange(corefile: object, anew: bool) -> None:
        return

    times = ReloadTimes(30.0, 15.0)
    path = tmp_path / "Corefile"
    path.write_text(COREFILE)
    reloader = reloading.Reloader(Corefiles(str(path)), lambda: times, exchange)
    periods = {reloader._period(times) for _ in range(50)}
    assert len(periods) == 1
    assert 22.5 <= min(periods) <= 37.5
    assert reloader._period(ReloadTimes(2.0, 0.0)) == 2.0
    await reloader._look(is_told=True)
    assert reloader._pace is None


BROKEN = {
    "unknown directive": (
        COREFILE.replace("errors", "erors"),
        "Corefile:3:5: unknown directive 'erors'; did you mean 'errors'?",
    ),
    "an address that nobody has": (
        COREFILE.replace("bind 127.0.0.1", "bind 127.0.0.1 192.0.2.1"),
        "Corefile:1:1: cannot listen on 192.0.2.1:0 (udp): Cannot assign requested address",
    ),
    "a page that cannot be opened": (
        COREFILE.replace("errors", "health 192.0.2.1:8080"),
        "Corefile:3:12: cannot listen on 192.0.2.1:8080: Cannot assign requested address",
    ),
    "the same zone twice": (COREFILE + ".:0 {\n    whoami\n}\n", "Corefile:7:1: "),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_refused(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, expected = BROKEN[name]
    async with serving(tmp_path, caplog) as server:
        before = metrics.reload_failures.total()
        plugins = list(server.app.configuration.plugins)
        told = await server.to(text, "Corefile changed but reload failed")
        assert f"Restart failed: {tmp_path}/{expected}" in told
        assert metrics.reload_failures.total() == before + 1
        assert await answer(server.at, WEB) == "10.96.0.1"
        assert server.app.configuration.plugins == plugins
        await server.to(COREFILE)
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_unparsable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, caplog) as server:
        before = metrics.reload_failures.total()
        for _ in range(2):  # counted once, said each time
            told = await server.to(f"{COREFILE}.:0 {{\n", "Corefile parse failed")
            assert f"Corefile parse failed: {tmp_path}/Corefile:" in told
            assert f"Restart failed: {tmp_path}/Corefile:" in told  # for whoever told it
        assert metrics.reload_failures.total() == before + 1
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_a_fault_of_ours_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, caplog) as server:
        monkeypatch.setattr(App, "_configured", lambda *_: 1 / 0)
        await server.to(COREFILE, "Corefile changed but reload failed: division by zero")
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_the_cluster_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D36: with the source gone, what is known is answered on."""
    async with serving(tmp_path, caplog) as server:
        (feed,) = server.app._feeds.by_wanted.values()
        await server.to(COREFILE.replace("cluster.local", "cluster.local {\n        ttl 7\n    }"))
        assert list(server.app._feeds.by_wanted.values()) == [feed]
        reply = await ask(server.at, WEB)
        assert reply.answer[0].ttl == 7
        # and events still come
        write(tmp_path / "objects.yaml", [web("10.96.0.9")])
        await becomes("10.96.0.9", lambda: answer(server.at, WEB))


async def test_other_objects_are_there_before_they_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another selection is another feed; its first answer is no SERVFAIL."""
    async with serving(tmp_path, caplog) as server:
        (feed,) = server.app._feeds.by_wanted.values()
        verified = COREFILE.replace("cluster.local", "cluster.local {\n  pods verified\n }")
        reload = asyncio.create_task(server.to(verified))
        while not reload.done():
            assert await answer(server.at, WEB) == "10.96.0.1"
        (other,) = server.app._feeds.by_wanted.values()
        assert other is not feed
        assert await answer(server.at, WEB) == "10.96.0.1"


@pytest.mark.parametrize("source", ["files", "api"])
async def test_objects_that_nobody_wants_any_more_go(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By themselves: a collection of garbage looks at what lives long once in hours."""
    monkeypatch.setattr("clusterdns.app.server.QUERY_TIME_S", 0.01)
    caplog.set_level("INFO", "clusterdns")
    objects = [namespace("shop"), web()]
    async with AsyncExitStack() as opened:
        files, option = [], ""
        if source == "api":
            api = await opened.enter_async_context(ApiServer(objects))
            option = f"endpoint {api.url}"
        else:
            files.append(write(tmp_path / "objects.yaml", objects))
        block = f"cluster.local {{\n {option}\n %s\n }}"
        corefile = COREFILE.replace("cluster.local", block)
        running = served(tmp_path, *files, corefile=corefile % "")
        server = Reloaded(await opened.enter_async_context(running), tmp_path, caplog)
        (feed,) = server.app._feeds.by_wanted.values()
        index = weakref.ref(feed.index)
        del feed
        gc.disable()
        try:
            await server.to(corefile % "pods verified")

            async def held() -> str:
                await asyncio.sleep(0.01)
                return str(index() is not None)

            await becomes("False", held)
        finally:
            gc.enable()
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_objects_that_do_not_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.app.server.SYNC_S", 0.05)

    async def silent(self: object, stopping: asyncio.Event) -> None:
        await stopping.wait()

    async with serving(tmp_path, caplog) as server:
        (feed,) = server.app._feeds.by_wanted.values()
        monkeypatch.setattr("clusterdns.app.feeds.Feed.serve", silent)
        verified = COREFILE.replace("cluster.local", "cluster.local {\n  pods verified\n }")
        told = await server.to(verified, "Corefile changed but reload failed")
        assert "were not listed within 0s" in told
        assert await answer(server.at, WEB) == "10.96.0.1"
        assert list(server.app._feeds.by_wanted.values()) == [feed]


async def test_sockets_come_and_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = free_port(), free_port()
    async with serving(tmp_path, caplog) as server:
        more = COREFILE + f"example.org:{one} {{\n    bind 127.0.0.1\n    whoami\n}}\n"
        await server.to(more)
        assert len((await ask(At("127.0.0.1", one), "example.org")).additional) == 2
        await server.to(more.replace(str(one), str(two)))
        assert len((await ask(At("127.0.0.1", two), "example.org", tcp=True)).additional) == 2
        assert server.server.at == server.at
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", one)


async def test_pages_stay_and_move(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_pages = COREFILE.replace("errors", "errors\n    health 127.0.0.1:0\n    prometheus :0")
    async with serving(tmp_path, caplog, with_pages) as server:
        health, ready = server.server.health, server.server.ready
        metrics_port = server.app.configuration.metrics[0].port
        await server.to(with_pages.replace("cluster.local", "other.local"))
        assert (server.server.health, server.server.ready) == (health, ready)
        assert await get(health, "/health") == (200, "OK")
        assert await get(ready, "/ready") == (200, "OK")
        status, text = await get(metrics_port, "/metrics")
        assert status == 200
        assert 'coredns_reload_version_info{hash="sha512",value="' in text
        await server.to(with_pages.replace("    health 127.0.0.1:0\n", ""))
        with pytest.raises(OSError, match=r"."):
            await get(health, "/health")
        assert await get(ready, "/ready") == (200, "OK")


async def test_a_page_served_in_another_way_keeps_its_socket(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    plain = COREFILE.replace("errors", f"prometheus 127.0.0.1:{port}")
    async with serving(tmp_path, caplog, plain) as server:
        await server.to(plain.replace(str(port), f"{port} {{\n  runtime_metrics\n }}"))
        assert (await get(port, "/metrics"))[0] == 200


async def test_server_blocks_that_say_the_same_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = "example.org:0 {\n    bind 127.0.0.1\n    whoami\n}\n"
    async with serving(tmp_path, caplog, COREFILE + other) as server:
        before = list(server.app.configuration.plugins)
        server.write(COREFILE + other.replace("whoami", "whoami\n    errors"))
        await server.app._exchange(server.app._corefiles.read(), False)
        after = server.app.configuration.plugins
        assert after[: len(before) - 2] == before[: len(before) - 2]
        assert not {id(each) for each in before[-2:]} & {id(each) for each in after}


@asynccontextmanager
async def upstream() -> AsyncIterator[tuple[int, list[str]]]:
    """A server that has an address for every name: its port, and what it was asked."""
    asked: list[str] = []

    class Answering(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
            reply: dns.message.Message = dns.message.make_response(dns.message.from_wire(data))
            name = reply.question[0].name
            asked.append(str(name))
            reply.answer.append(dns.rrset.from_text(name, 300, "IN", "A", "192.0.2.9"))
            self.transport.sendto(reply.to_wire(), peer)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Answering, ("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1], asked
    finally:
        transport.close()


KEPT: dict[
    str, tuple[Callable[[str], str], bool]
] = {  # what is changed, and whether the cache's replies stay
    "nothing, but all is made anew": (lambda text: text, True),
    "a directive before it": (lambda text: text.replace("errors", "errors\n    any"), True),
    "its own line": (lambda text: text.replace("cache 30", "cache 31"), False),
    "a directive behind it": (lambda text: text.replace("forward", "minimal\n    forward"), False),
    "the server block's zone": (lambda text: text.replace(".:0 {", "org:0 {", 1), False),
}


@pytest.mark.parametrize("name", KEPT)
async def test_replies_stay(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    change, stays = KEPT[name]
    async with upstream() as (port, asked), serving(tmp_path, caplog, CACHED % port) as server:
        assert await answer(server.at, "www.example.org") == "192.0.2.9"
        await server.to(change(CACHED % port))
        assert await answer(server.server.at, "www.example.org") == "192.0.2.9"
        names = [name for name in asked if name == "www.example.org."]
        assert len(names) == (1 if stays else 2)
        assert [each for each in server.app.configuration.plugins if isinstance(each, Cache)]


async def test_no_query_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Under load, over UDP and TCP, for names of the cluster and of an upstream, through reloads
    that change what they can."""
    async with upstream() as (port, _):
        text = (CACHED % port).replace("errors", "errors\n    kubernetes cluster.local")
        async with serving(tmp_path, caplog, text) as server:
            stop = asyncio.Event()
            askers = [
                asyncio.create_task(_ask_on(server.at, stop, number, tcp=number % 2 == 1))
                for number in range(4)
            ]
            for number in range(12):
                changed = text.replace("cache 30", f"cache {30 + number % 3}")
                changed = changed.replace("errors", "errors\n    any" if number % 2 else "errors")
                more = "extra.org:0 {\n    bind 127.0.0.1\n    whoami\n}\n" * (number % 2)
                await server.to(changed + more)
                await asyncio.sleep(0.05)  # of load
            stop.set()
            counts = await asyncio.gather(*askers)
    assert all(count > 12 for count in counts)  # some for each reload


async def _ask_on(at: At, stop: asyncio.Event, number: int, tcp: bool) -> int:
    """Asks without a pause; every query is answered, and rightly. Gives how many there were."""
    count = 0
    while not stop.is_set():
        count += 1
        name, expected = (
            (WEB, "10.96.0.1")
            if count % 2
            else (f"n{number}-{count % 50}.example.org", "192.0.2.9")
        )
        assert await answer(at, name, tcp=tcp) == expected
    return count


async def test_last_good(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D17: kept when it is used, and used when the one that is configured cannot be."""
    kept = tmp_path / "kept" / "deeper"
    objects = write(tmp_path / "objects.yaml", OBJECTS)
    snippet = f"(all) {{\n    errors\n}}\n{COREFILE.replace('errors', 'import all')}"
    async with served(tmp_path, objects, corefile=snippet, last_good=str(kept)) as server:
        assert await answer(server.at, WEB) == "10.96.0.1"
        assert metrics.last_good.values() == {(): 0.0}
    assert "import" not in (kept / "Corefile").read_text()

    caplog.set_level("INFO", "clusterdns")
    for broken in (COREFILE.replace("errors", "erors"), f"{COREFILE}.:0 {{"):
        caplog.clear()
        async with served(tmp_path, objects, corefile=broken, last_good=str(kept)) as server:
            assert "RUNNING THE LAST GOOD COREFILE" in caplog.text
            assert f"the Corefile cannot be used: {tmp_path}/Corefile:" in caplog.text
            assert metrics.last_good.values() == {(): 1.0}
            assert await answer(server.at, WEB) == "10.96.0.1"
            reloaded = Reloaded(server, tmp_path, caplog)
            await reloaded.to(COREFILE.replace("cluster.local", "other.local"))
            assert await answer(server.at, "web.shop.svc.other.local") == "10.96.0.1"
            assert metrics.last_good.values() == {(): 0.0}
            await becomes("other.local", lambda: _zone(kept))
            await reloaded.to(COREFILE)
            await becomes("cluster.local", lambda: _zone(kept))


async def _zone(kept: Path) -> str:
    return (kept / "Corefile").read_text().partition("kubernetes ")[2].split()[0]


async def test_last_good_for_what_cannot_be_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, objects = tmp_path / "kept", write(tmp_path / "objects.yaml", OBJECTS)
    async with served(tmp_path, objects, corefile=COREFILE, last_good=str(kept)):
        pass
    nobody = COREFILE.replace("bind 127.0.0.1", "bind 192.0.2.1")
    async with served(tmp_path, objects, corefile=nobody, last_good=str(kept)) as server:
        assert await answer(server.at, WEB) == "10.96.0.1"
    assert "cannot listen on 192.0.2.1:0" in caplog.text


@pytest.mark.parametrize("what", ["nothing", "broken", "unreadable"])
def test_no_last_good(what: str, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n erors\n}")
    if what == "broken":
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / "Corefile").write_text(". {\n erorrs\n}")
    elif what == "unreadable":
        (tmp_path / "kept" / "Corefile").mkdir(parents=True)
    options = Options(corefile=str(tmp_path / "Corefile"), last_good=str(tmp_path / "kept"))
    with pytest.raises(ConfigError, match="unknown directive 'erors'"):
        App(options)


async def test_last_good_that_cannot_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    objects = write(tmp_path / "objects.yaml", OBJECTS)
    folder = str(tmp_path / "file")
    async with started(tmp_path, objects, corefile=COREFILE, last_good=folder) as server:
        assert f"cannot keep the Corefile in {folder}/Corefile: " in caplog.text
        await server.synced()
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_while_it_leaves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, caplog) as server:
        server.app.lifecycle.leaving.set()
        with pytest.raises(reloading.NotYet):
            await server.app._exchange(server.app._corefiles.read(), True)


async def test_process(tmp_path: Path) -> None:
    """SIGUSR1 to the program itself, with a file that is replaced as a ConfigMap's is."""
    corefile = tmp_path / "Corefile"
    corefile.write_text(". {\n    bind 127.0.0.1\n    whoami\n}\n")
    port = free_port()
    async with running("-conf", corefile, "-p", str(port)) as process:
        at = await process.listening()
        assert len((await ask(at, "a.example.org")).additional) == 2
        corefile.with_name("next").write_text(
            ". {\n    bind 127.0.0.1\n    reload\n    hosts {\n    192.0.2.3 h\n    }\n}\n"
        )
        corefile.with_name("next").rename(corefile)
        process.send(signal.SIGUSR1)
        await process.line("[INFO] Reloading complete")
        await process.line("[INFO] plugin/reload: Running configuration SHA512 = ")
        assert await answer(at, "h") == "192.0.2.3"
        corefile.write_text(". {\n    hoss\n}\n")
        process.send(signal.SIGUSR1)
        await process.line(f"[ERROR] Restart failed: {corefile}:2:5: unknown directive 'hoss'")
        await process.line("[ERROR] plugin/reload: Corefile changed but reload failed: ")
        assert await answer(at, "h") == "192.0.2.3"


async def test_looking_up_an_upstream_delays_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nameserver runs in this loop, and the first one says nothing at all."""
    monkeypatch.setattr(hostnames, "RESOLVE_S", 0.5)
    corefile = COREFILE.replace("errors", "errors\n    forward . %s")
    async with (
        stubs.upstream(stubs.silent) as quiet,
        stubs.upstream(stubs.with_address("127.0.0.1")) as resolver,
        stubs.upstream() as stub,
        serving(tmp_path, caplog) as server,
    ):
        options = f" {{\n resolver 127.0.0.1:{quiet.port} 127.0.0.1:{resolver.port}\n}}"
        reload = asyncio.create_task(server.to(corefile % f"dns.test:{stub.port}{options}"))
        meanwhile = 0
        while not reload.done():
            assert await answer(server.at, WEB) == "10.96.0.1"
            meanwhile += bool(quiet.asked and not resolver.asked)
        assert len(quiet.asked) == 1
        assert meanwhile > 5  # in the half second that is waited for the first
        assert await answer(server.at, "example.org") == "192.0.2.1"
        # One that cannot be looked up is refused, and what runs goes on.
        options = f" {{\n resolver 127.0.0.1:{quiet.port}\n}}"
        text = corefile % f"dns.test:{stub.port}{options}"
        told = await server.to(text, f"127.0.0.1#{quiet.port}: timed out")
        assert f"{tmp_path / 'Corefile'}:4:15: failed to resolve 'dns.test'" in told
        assert await answer(server.at, "example.com") == "192.0.2.1"
