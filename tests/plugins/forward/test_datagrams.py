"""UDP upstreams that are right, silent, slow, lying, gone."""

import asyncio
import time
from itertools import pairwise

import dns.flags
import dns.message
import pytest

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import datagrams, figures
from clusterdns.plugins.forward.datagrams import SOCKETS, USES
from tests.plugins.asking import edns, query
from tests.plugins.forward.stubs import (
    ADDRESS,
    HOST,
    Asked,
    Behaviour,
    addresses,
    ask,
    forwarding,
    reply,
    silent,
    truncating,
    upstream,
    with_address,
    with_rcode,
)
from tests.ports import free_port

FAST = "read_timeout 50ms\n max_fails 0"


async def test_the_reply_is_the_upstreams() -> None:
    async with upstream() as stub, forwarding(to=[stub]) as plugin:
        found = await ask(plugin)
    assert addresses(found) == [ADDRESS]
    assert (found.rcode, found.recursion, found.authoritative) == (0, True, False)
    assert found.until == 0.0  # kept by nobody but `cache`


async def test_bits_and_rcode_are_the_upstreams() -> None:
    def behave(asked: Asked) -> list[bytes]:
        return [reply(asked, rcode=3, flags=dns.flags.AA | dns.flags.AD)]

    async with upstream(behave) as stub, forwarding(to=[stub]) as plugin:
        found = await ask(plugin)
    assert (found.rcode, found.authoritative, found.authentic) == (3, True, True)


async def test_an_extended_rcode() -> None:
    async with upstream(with_rcode(23)) as stub, forwarding(to=[stub]) as plugin:
        assert (await ask(plugin, edns=edns())).rcode == 23


async def test_over_ipv6() -> None:
    async with (
        upstream(host="::1") as stub,
        forwarding(f"forward . [::1]:{stub.port}") as plugin,
    ):
        assert addresses(await ask(plugin)) == [ADDRESS]
        assert addresses(await ask(plugin, transport="tcp")) == [ADDRESS]


@pytest.mark.parametrize(("host", "source"), [(HOST, "127.0.0.9"), ("::1", "::1")])
async def test_a_source_address(host: str, source: str) -> None:
    async with upstream(host=host) as stub:
        line = f"forward . {host_and_port(host, stub.port)} {{\n source_address {source}\n}}"
        async with forwarding(line) as plugin:
            assert addresses(await ask(plugin)) == [ADDRESS]
            assert addresses(await ask(plugin, transport="tcp")) == [ADDRESS]
    assert [(each.transport, each.host) for each in stub.asked] == [
        ("udp", source),
        ("tcp", source),
    ]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_source_address_is_for_upstreams_of_its_family(transport: str) -> None:
    async with upstream(host="::1") as other, upstream() as stub:
        to = f"[::1]:{other.port} {HOST}:{stub.port}"
        options = "policy sequential\n max_fails 0\n source_address 127.0.0.9"
        async with forwarding(f"forward . {to} {{\n {options}\n}}") as plugin:
            assert addresses(await ask(plugin, transport=transport)) == [ADDRESS]
    assert (len(other.asked), [each.host for each in stub.asked]) == (0, ["127.0.0.9"])


async def test_a_source_address_that_is_not_ours() -> None:
    async with (
        upstream() as stub,
        forwarding(to=[stub], options=f"source_address 192.0.2.77\n {FAST}") as plugin,
    ):
        for transport in ("udp", "tcp"):
            with pytest.raises(ResolveError, match="cannot assign requested address"):
                await ask(plugin, transport=transport)


async def test_ids_and_ports_cannot_be_told() -> None:
    count = 2 * SOCKETS * USES
    async with upstream() as stub, forwarding(to=[stub]) as plugin:
        for start in range(0, count, 32):
            await asyncio.gather(*[ask(plugin, f"n{start + n}.test") for n in range(32)])
    ids = [int.from_bytes(each.octets[:2], "big") for each in stub.asked]
    ports = [each.port for each in stub.asked]
    assert len(set(ids)) > count * 0.97
    assert sum(b - a == 1 for a, b in pairwise(ids)) < 5
    assert len(set(ports)) >= count // (2 * USES)
    assert max(ports.count(port) for port in set(ports)) <= 2 * USES


async def test_sockets_are_bounded_and_closed() -> None:
    async with upstream(silent) as stub, forwarding(to=[stub], options=FAST) as plugin:
        asks = [ask(plugin, f"n{n}.test") for n in range(400)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert all(isinstance(each, ResolveError) for each in results)
        assert len({each.port for each in stub.asked}) <= 2 * datagrams.MOST
        owner = plugin.forwarders[0].upstreams[0]._datagrams
        assert not owner._retired
        assert not plugin.forwarders[0]._timeouts


def shifted(asked: Asked, by: int = 1) -> bytes:
    octets = reply(asked, "example.org. 30 IN A 203.0.113.66")
    return (int.from_bytes(octets[:2], "big") + by & 0xFFFF).to_bytes(2, "big") + octets[2:]


def about_another(asked: Asked) -> bytes:
    message = dns.message.make_query("example.com", "A", id=asked.message.id)
    return dns.message.make_response(message).to_wire()


LIES: dict[str, Behaviour] = {
    "another id": lambda asked: [shifted(asked)],
    "another question": lambda asked: [about_another(asked)],  # D31
    "a query": lambda asked: [asked.octets],
    "an octet": lambda asked: [b"\0"],
    "octets": lambda asked: [b"\xff" * 40, asked.octets[:2], asked.octets[:12]],
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_lies_are_ignored_and_the_right_reply_is_waited_for(lie: Behaviour) -> None:
    def behave(asked: Asked) -> list[bytes]:
        return [*lie(asked), reply(asked), *lie(asked)]

    async with upstream(behave) as stub, forwarding(to=[stub]) as plugin:
        label = (plugin.forwarders[0].upstreams[0].address,)
        before = figures.ignored_replies.values[label]
        for n in range(3):
            assert addresses(await ask(plugin, f"n{n}.example.org")) == [ADDRESS]
        assert figures.ignored_replies.values[label] > before


async def test_what_somebody_else_sends_is_not_even_seen() -> None:
    """The right id and question from another port: RFC 5452 section 9.1."""
    loop = asyncio.get_running_loop()
    liar, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(HOST, 0))

    def behave(asked: Asked) -> list[bytes]:
        false = reply(asked, "example.org. 30 IN A 203.0.113.66")
        liar.sendto(false, (HOST, asked.port))
        return [reply(asked)]

    async with upstream(behave) as stub, forwarding(to=[stub]) as plugin:
        assert addresses(await ask(plugin)) == [ADDRESS]
    liar.close()


async def test_one_that_only_lies_is_a_timeout() -> None:
    async with (
        upstream(LIES["another question"]) as stub,
        forwarding(to=[stub], options=FAST) as plugin,
    ):
        with pytest.raises(ResolveError, match="i/o timeout"):
            await ask(plugin)
    assert len(stub.asked) == 2  # max_connect_attempts


async def test_garbage_is_a_failure_at_once() -> None:
    def behave(asked: Asked) -> list[bytes]:
        return [reply(asked)[:-2]]

    async with upstream(behave) as stub, forwarding(to=[stub], options="max_fails 0") as plugin:
        started = time.monotonic()
        with pytest.raises(ResolveError, match="no usable reply"):
            await ask(plugin)
        assert time.monotonic() - started < 1


async def test_silence_ends_as_in_coredns() -> None:
    """3.3.3: two attempts, and the words that patterns of `errors` look for."""
    async with upstream(silent) as stub, forwarding(to=[stub], options=FAST) as plugin:
        expected = rf"^read udp 127\.0\.0\.1:\d+->127\.0\.0\.1:{stub.port}: i/o timeout$"
        with pytest.raises(ResolveError, match=expected) as raised:
            await ask(plugin)
    assert raised.value.rcode == 2
    assert len(stub.asked) == 2
    assert len({each.port for each in stub.asked}) == 2  # another port after a timeout


async def test_a_port_where_nobody_listens_is_known_at_once() -> None:
    port = free_port()
    async with forwarding(f"forward . {HOST}:{port} {{\n max_fails 0\n}}") as plugin:
        started = time.monotonic()
        expected = rf"^read udp .*->127\.0\.0\.1:{port}: read: connection refused$"
        with pytest.raises(ResolveError, match=expected):
            await ask(plugin)
        assert time.monotonic() - started < 1


async def test_all_who_asked_where_nobody_listens_know_it_at_once() -> None:
    """The network tells it once for a socket, to a read or to a write of another question."""
    to = f"forward . {HOST}:{free_port()} {{\n max_fails 0\n}}"
    async with forwarding(to) as plugin:
        started = time.monotonic()
        asked = [ask(plugin, f"n{number}.example.org.") for number in range(60)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert time.monotonic() - started < 1
    assert all("connection refused" in str(error) for error in found)


@pytest.mark.parametrize("port", ["99999", "x", "0"])  # 7.5, 28
async def test_a_port_that_is_none_is_servfail(port: str) -> None:
    async with forwarding(f"forward . {HOST}:{port} {{\n max_fails 0\n}}") as plugin:
        for transport in ("udp", "tcp"):
            with pytest.raises(ResolveError) as raised:
                await ask(plugin, transport=transport)
            assert raised.value.rcode == 2


async def test_any_number_of_attempts_with_one_that_refuses_is_not_a_busy_loop() -> None:
    port = free_port()
    options = "max_fails 0\n max_connect_attempts 0"
    async with forwarding(f"forward . {HOST}:{port} {{\n {options}\n}}") as plugin:
        started, cpu = time.monotonic(), time.process_time()
        with pytest.raises(ResolveError, match="connection refused"):
            await ask(plugin, deadline=started + 0.5)
        assert 0.3 < time.monotonic() - started < 2
        assert time.process_time() - cpu < 0.2


async def test_the_deadline_ends_it_whatever_attempts_are_left() -> None:
    options = "read_timeout 5s\n max_fails 0"
    took = []
    async with upstream(silent) as stub, forwarding(to=[stub], options=options) as plugin:
        for _ in range(3):  # the best counts: a busy machine adds to each
            started = time.monotonic()
            with pytest.raises(ResolveError, match="i/o timeout"):
                await ask(plugin, deadline=started + 0.3)
            took.append(time.monotonic() - started)
            if took[-1] < 0.3:
                break
    assert min(took) < 0.3  # inside the client's own time


async def test_a_truncated_reply_goes_to_the_client() -> None:
    """Who asks by UDP asks again by TCP, and so do we for it."""
    async with upstream(truncating) as stub, forwarding(to=[stub]) as plugin:
        found = await ask(plugin)
        assert (found.truncated, addresses(found)) == (True, [])
        found = await ask(plugin, transport="tcp")
        assert (found.truncated, addresses(found)) == (False, [ADDRESS])
    assert [each.transport for each in stub.asked] == ["udp", "tcp"]


TRANSPORTS = {
    ("", "udp"): ["udp"],
    ("", "tcp"): ["tcp"],
    ("", "tls"): ["tcp"],
    ("force_tcp", "udp"): ["tcp"],
    ("prefer_udp", "udp"): ["udp"],
    ("prefer_udp", "tcp"): ["udp"],
    ("prefer_udp\n force_tcp", "udp"): ["tcp"],
}


@pytest.mark.parametrize(("given", "expected"), TRANSPORTS.items(), ids=map(str, TRANSPORTS))
async def test_transports(given: tuple[str, str], expected: list[str]) -> None:
    options, transport = given
    async with upstream() as stub, forwarding(to=[stub], options=options) as plugin:
        assert addresses(await ask(plugin, transport=transport)) == [ADDRESS]
    assert [each.transport for each in stub.asked] == expected


async def test_prefer_udp_asks_again_by_tcp() -> None:
    async with upstream(truncating) as stub, forwarding(to=[stub], options="prefer_udp") as plugin:
        found = await ask(plugin)
    assert addresses(found) == [ADDRESS]
    assert [each.transport for each in stub.asked] == ["udp", "tcp"]


async def test_a_truncated_reply_is_better_than_none() -> None:
    def behave(asked: Asked) -> list[bytes]:
        return truncating(asked) if asked.transport == "udp" else []

    options = f"prefer_udp\n {FAST}"
    async with upstream(behave) as stub, forwarding(to=[stub], options=options) as plugin:
        found = await ask(plugin)
    assert found.truncated


async def test_classes_and_types_go_as_they_are() -> None:  # D8
    async with upstream(with_rcode(0)) as stub, forwarding(to=[stub]) as plugin:
        octets = query("version.bind", "TXT").question
        chaos = type(octets)(octets.name, 16, 3)
        await plugin.resolve(query(question=chaos), next=None)  # type: ignore[arg-type]
    assert stub.asked[0].message.question[0].to_text() == "version.bind. CH TXT"


async def test_metrics() -> None:
    async with upstream(with_address("192.0.2.9")) as stub, forwarding(to=[stub]) as plugin:
        to = plugin.forwarders[0].upstreams[0].address
        for n in range(3):
            await ask(plugin, f"n{n}.test")
    assert figures.durations.count("forward", to, "NOERROR") == 3
    hits = figures.connection_hits.values["forward", to, "udp"]
    misses = figures.connection_misses.values["forward", to, "udp"]
    assert hits + misses == 3
