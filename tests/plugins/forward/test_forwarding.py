"""Several upstreams, several `forward`, several who ask the same."""

import asyncio
import gc
import logging
import time
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import Forward, figures
from clusterdns.plugins.forward.attempt import Attempt
from clusterdns.plugins.forward.flight import Flight
from clusterdns.plugins.query import Reply
from tests.beside import until
from tests.plugins.asking import Next, edns, query
from tests.plugins.forward.stubs import (
    ADDRESS,
    HOST,
    Asked,
    addresses,
    ask,
    forwarding,
    reply,
    silent,
    upstream,
    with_address,
    with_rcode,
)
from tests.ports import free_port

FAST = "read_timeout 50ms\n max_fails 0"
ONE, TWO, THREE = "192.0.2.1", "192.0.2.2", "192.0.2.3"


async def ask_times(plugin: Forward, times: int) -> list[str]:
    return [addresses(await ask(plugin, f"n{n}.test"))[0] for n in range(times)]


async def test_policies() -> None:
    async with (
        upstream(with_address(ONE)) as one,
        upstream(with_address(TWO)) as two,
        upstream(with_address(THREE)) as three,
    ):
        to = [one, two, three]
        async with forwarding(to=to, options="policy sequential") as plugin:
            assert await ask_times(plugin, 4) == [ONE] * 4
        async with forwarding(to=to, options="policy round_robin") as plugin:
            assert await ask_times(plugin, 4) == [TWO, THREE, ONE, TWO]
        async with forwarding(to=to) as plugin:
            assert set(Counter(await ask_times(plugin, 60))) == {ONE, TWO, THREE}


async def test_the_next_upstream_when_one_is_silent_or_gone() -> None:
    port = free_port()
    async with upstream(silent) as dead, upstream() as stub:
        lines = (
            f"forward . {HOST}:{port} {HOST}:{dead.port} {HOST}:{stub.port} {{\n"
            f" policy sequential\n {FAST}\n}}"
        )
        async with forwarding(lines) as plugin:
            assert addresses(await ask(plugin)) == [ADDRESS]
        assert (len(dead.asked), len(stub.asked)) == (1, 1)


async def test_attempts_are_bounded() -> None:
    async with upstream(silent) as one, upstream(silent) as two:
        options = f"{FAST}\n max_connect_attempts 3"
        async with forwarding(to=[one, two], options=options) as plugin:
            with pytest.raises(ResolveError):
                await ask(plugin)
        assert sorted([len(one.asked), len(two.asked)]) == [1, 2]


@pytest.mark.parametrize(
    ("rcodes", "expected"),
    [
        ([2, 0], (0, ONE)),
        ([5, 2, 0], (0, ONE)),
        ([2, 5, 2], (2, None)),  # the last one's, when all are like this
        ([3, 0], (3, None)),  # not one of those given
    ],
)
async def test_failover(rcodes: list[int], expected: tuple[int, str | None]) -> None:
    options = "policy sequential\n failover SERVFAIL REFUSED"
    async with AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(upstream(with_rcode(each))) for each in rcodes]
        plugin = await stack.enter_async_context(forwarding(to=stubs, options=options))
        found = await ask(plugin)
    assert (found.rcode, next(iter(addresses(found)), None)) == expected


async def test_without_failover_an_error_is_a_reply() -> None:  # 8.1: since 1.13
    async with upstream(with_rcode(2)) as one, upstream() as two:
        async with forwarding(to=[one, two], options="policy sequential") as plugin:
            assert (await ask(plugin)).rcode == 2
        assert not two.asked


async def test_an_upstream_that_is_down_is_left_out_until_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "clusterdns")
    behaviour = [with_rcode(2)]

    def behave(asked: Asked) -> list[bytes]:
        return list(behaviour[0](asked))

    port = free_port()
    lines = f"forward . {HOST}:{port} {HOST}:%d {{\n policy sequential\n health_check 50ms\n}}"
    async with upstream(behave) as stub, forwarding(lines % stub.port) as plugin:
        first = plugin.forwarders[0].upstreams[0]
        assert (await ask(plugin)).rcode == 2
        await until(lambda: first.health.fails >= 3)
        assert first.is_down
        assert not first.is_usable
        failures = figures.healthcheck_failures.values["forward", f"{HOST}:{port}"]
        assert failures >= 3
        loop = asyncio.get_running_loop()
        back: list[bytes] = []

        class Back(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
                back.append(data)
                octets = data[:2] + b"\x81\x85" + data[4:]  # REFUSED will do
                self.transport.sendto(octets, peer)  # type: ignore[attr-defined]

        transport, _ = await loop.create_datagram_endpoint(Back, local_addr=(HOST, port))
        await until(lambda: first.is_usable)
        transport.close()
    assert back[0][2:] == bytes.fromhex("010000010000000000000000020001")  # . NS, RD
    counted = {labels[2] for labels in figures.durations.buckets if labels[1] == first.address}
    assert not counted  # 4.4: probes are no queries
    texts = [each.message for each in caplog.records]
    assert texts[0].startswith(f"upstream {HOST}:{port} is down: read udp ")
    assert texts[1] == f"upstream {HOST}:{port} is back"


async def test_pauses_between_probes_differ() -> None:
    """Replicas that lose an upstream at the same time do not ask it at the same time ever after."""
    async with forwarding(f"forward . {HOST}") as plugin:
        upstream = plugin.forwarders[0].upstreams[0]
        now, pauses = asyncio.get_running_loop().time(), set()
        for _ in range(50):
            upstream._probe_later(10)
            assert upstream._pause is not None
            pauses.add(round(upstream._pause.when() - now, 2))
            upstream._pause.cancel()
        assert 7.9 < min(pauses) < 9.5
        assert 10.5 < max(pauses) < 12.1


async def test_probes_are_as_configured() -> None:
    asked: list[bytes] = []

    def behave(each: Asked) -> list[bytes]:
        asked.append(each.octets)
        return [reply(each)] if each.name == "probe.test." else []

    options = "read_timeout 30ms\n health_check 10ms no_rec domain probe.test\n force_tcp"
    async with upstream(behave) as stub, forwarding(to=[stub], options=options) as plugin:
        with pytest.raises(ResolveError):
            await ask(plugin)
        await until(lambda: "probe.test." in stub.names())
        probes = [each for each in stub.asked if each.name == "probe.test."]
    assert probes
    assert {each.transport for each in probes} == {"tcp"}
    assert {each.octets[2:4] for each in probes} == {b"\0\0"}


async def test_when_all_are_down_one_is_tried_all_the_same() -> None:
    async with upstream() as stub, forwarding(to=[stub]) as plugin:
        first = plugin.forwarders[0].upstreams[0]
        first.health.fails = 3
        first._judge()
        before = figures.healthcheck_broken.total()
        assert addresses(await ask(plugin)) == [ADDRESS]
        assert figures.healthcheck_broken.total() == before + 1


async def test_fail_fast() -> None:
    options = "failfast_all_unhealthy_upstreams"
    async with upstream() as stub, forwarding(to=[stub], options=options) as plugin:
        first = plugin.forwarders[0].upstreams[0]
        first.health.fails = 3
        first._judge()
        with pytest.raises(ResolveError, match=r"^no healthy proxies$"):
            await ask(plugin)
    assert not stub.asked


async def test_upstreams_set_aside_are_not_asked() -> None:
    async with (
        upstream(with_address(ONE)) as one,
        upstream(with_address(TWO)) as two,
        forwarding(to=[one, two], options="policy sequential") as plugin,
    ):
        first, second = plugin.forwarders[0].upstreams
        first.is_aside = True
        assert await ask_times(plugin, 3) == [TWO] * 3
        second.is_aside = True
        with pytest.raises(ResolveError, match="every upstream is set aside"):
            await ask(plugin)
        first.is_aside = False
        assert await ask_times(plugin, 1) == [ONE]


async def test_equal_questions_under_way_are_asked_once() -> None:
    async with upstream() as stub, forwarding(to=[stub]) as plugin:
        before = figures.shared_questions.total()
        names = ["example.org.", "EXAMPLE.org.", "example.ORG."]
        found = await asyncio.gather(*[ask(plugin, name) for name in names * 3])
        assert [addresses(each) for each in found] == [[ADDRESS]] * 9
        assert len(stub.asked) == 1
        assert figures.shared_questions.total() == before + 8
        await asyncio.gather(
            ask(plugin), ask(plugin, flags=0x0110), ask(plugin, edns=edns()), ask(plugin, "b.")
        )
        assert len(stub.asked) == 5
        await ask(plugin)
        assert len(stub.asked) == 6  # nothing is kept
        assert not any(plugin.forwarders[0]._flights)


async def test_replies_that_are_shared_are_each_ones_own() -> None:
    async with upstream() as stub, forwarding(to=[stub]) as plugin:
        one, two = await asyncio.gather(ask(plugin), ask(plugin))
        one.answer.clear()
        assert addresses(two) == [ADDRESS]


async def test_failures_are_shared_too() -> None:
    async with upstream(silent) as stub, forwarding(to=[stub], options=FAST) as plugin:
        found = await asyncio.gather(*[ask(plugin) for _ in range(5)], return_exceptions=True)
        assert len({str(each) for each in found}) == 1
        assert all(isinstance(each, ResolveError) for each in found)
        assert len(stub.asked) == 2
        assert not any(plugin.forwarders[0]._flights)


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    held = asyncio.Event()
    options = "force_tcp"
    async with upstream() as stub, forwarding(to=[stub], options=options) as plugin:
        stub.held = held
        tasks = [asyncio.create_task(ask(plugin)) for _ in range(3)]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        await asyncio.sleep(0)
        held.set()
        assert addresses(await tasks[1]) == [ADDRESS]
        assert addresses(await tasks[2]) == [ADDRESS]
        assert tasks[0].cancelled()


async def test_when_all_leave_the_question_is_given_up() -> None:
    async with upstream(silent) as stub, forwarding(to=[stub]) as plugin:
        task = asyncio.create_task(ask(plugin))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        forwarder = plugin.forwarders[0]
        assert (len(forwarder._timeouts), forwarder._waiting) == (0, 0)
        assert not any(forwarder._flights)


async def test_max_concurrent() -> None:
    async with (
        upstream(silent) as stub,
        forwarding(to=[stub], options=f"{FAST}\n max_concurrent 2") as plugin,
    ):
        before = figures.max_concurrent_rejects.total()
        asks = [ask(plugin, f"n{n}.test") for n in range(3)]
        *_, last = await asyncio.gather(*asks, return_exceptions=True)
        assert isinstance(last, ResolveError)
        assert (last.rcode, str(last)) == (5, "concurrent queries exceeded maximum 2")
        assert figures.max_concurrent_rejects.total() == before + 1
        with pytest.raises(ResolveError, match="i/o timeout"):
            await ask(plugin)  # there is room again


NAMES = {
    "example.org": ONE,
    "a.Example.org": ONE,
    "internal.example.org": None,
    "a.internal.example.org": None,
    "xinternal.example.org": ONE,
    "example.com": None,
    "org": None,
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items(), ids=NAMES)
async def test_from_and_except(name: str, expected: str | None) -> None:
    async with upstream() as stub:
        names = "INTERNAL.example.org example.org"
        line = f"forward Example.org {HOST}:{stub.port} {{\n except {names}\n}}"
        behind = Reply(rcode=3)
        excepted = line.replace(" example.org\n", "\n")
        async with forwarding(excepted) as plugin:
            found = await plugin.resolve(query(name), Next(behind))
            assert (found is behind) == (expected is None)
        async with forwarding(line) as plugin:  # FROM itself cannot be excepted
            found = await plugin.resolve(query(name), Next(behind))
            assert (found is behind) == (name.lower() != "example.org")


async def test_several_forwards_in_the_files_order() -> None:
    async with upstream(with_address(ONE)) as one, upstream(with_address(TWO)) as two:
        lines = (f"forward a.test {HOST}:{one.port}", f"forward . {HOST}:{two.port}")
        async with forwarding(*lines) as plugin:
            assert addresses(await ask(plugin, "x.a.test")) == [ONE]
            assert addresses(await ask(plugin, "x.b.test")) == [TWO]
        async with forwarding(*lines[::-1]) as plugin:
            assert addresses(await ask(plugin, "x.a.test")) == [TWO]


NEXT = {
    ("next NXDOMAIN", 3): TWO,
    ("next NXDOMAIN", 2): None,
    ("next NXDOMAIN SERVFAIL", 2): TWO,
    ("next_on_nodata", 0): TWO,
    ("next_on_nodata", 3): None,
    ("next NXDOMAIN", 0): None,
}


@pytest.mark.parametrize(("given", "expected"), NEXT.items(), ids=map(str, NEXT))
async def test_next(given: tuple[str, int], expected: str | None) -> None:
    option, rcode = given

    def behave(asked: Asked) -> list[bytes]:
        return [reply(asked, "", rcode=rcode)]

    async with upstream(behave) as one, upstream(with_address(TWO)) as two:
        first = f"forward . {HOST}:{one.port} {{\n {option}\n}}"
        async with forwarding(first, f"forward . {HOST}:{two.port}") as plugin:
            found = await ask(plugin)
            assert next(iter(addresses(found)), None) == expected
        async with forwarding(first) as plugin:  # nobody is next: the reply counts
            assert (await ask(plugin)).rcode == rcode
        async with forwarding(first, f"forward other. {HOST}:{two.port}") as plugin:
            assert (await ask(plugin)).rcode == rcode


async def test_what_stops_ends_when_its_queries_have() -> None:
    held = asyncio.Event()
    async with (
        upstream() as stub,
        forwarding(to=[stub], options="force_tcp") as plugin,
    ):
        stub.held = held
        stopping = asyncio.Event()
        serving = asyncio.create_task(plugin.serve(stopping))
        asking = asyncio.create_task(ask(plugin))
        await asyncio.sleep(0.02)
        stopping.set()
        await asyncio.sleep(0.02)
        assert not serving.done()
        late = asyncio.create_task(ask(plugin, "late.test"))  # had arrived already
        await asyncio.sleep(0)
        held.set()
        assert addresses(await asking) == [ADDRESS]
        assert addresses(await late) == [ADDRESS]
        async with asyncio.timeout(1):
            await serving


async def test_what_does_not_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterdns.plugins.forward.plugin.DRAIN_S", 0.05)
    for options in ("", "force_tcp"):
        async with upstream(silent) as stub, forwarding(to=[stub], options=options) as plugin:
            stopping = asyncio.Event()
            asking = asyncio.create_task(ask(plugin))
            await asyncio.sleep(0.02)
            stopping.set()
            started = time.monotonic()
            await plugin.serve(stopping)
            assert time.monotonic() - started < 1
            with pytest.raises(ResolveError):
                await asking


@pytest.mark.parametrize("options", ["", "force_tcp"])
async def test_nothing_is_left_for_the_garbage_collector(options: str) -> None:
    """Collections of what queries leave behind cost 2 us of each."""
    async with upstream() as stub, forwarding(to=[stub], options=options) as plugin:
        gc.collect()
        gc.disable()
        try:
            await asyncio.gather(*[ask(plugin, f"n{n}.test") for n in range(10)])
            left = [each for each in gc.get_objects() if isinstance(each, Flight | Attempt)]
        finally:
            gc.enable()
    assert left == []
