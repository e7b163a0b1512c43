"""TCP and TLS: connections that stay, break, are refused, and say who they are."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward import figures, streams
from clusterdns.plugins.forward.options import read
from clusterdns.plugins.forward.streams import CONNECTIONS, Streams
from tests.beside import until
from tests.plugins.asking import lines, new_setup
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
)
from tests.ports import free_port

PKI = Path(__file__).parent / "pki"
TCP = "force_tcp\n max_fails 0"


async def test_a_connection_is_used_again() -> None:
    async with upstream() as stub, forwarding(to=[stub], options=TCP) as plugin:
        for n in range(5):
            assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
        to = plugin.forwarders[0].upstreams[0].address
    assert stub.connections == 1
    assert figures.connection_hits.values["forward", to, "tcp"] == 4
    assert figures.connection_misses.values["forward", to, "tcp"] == 1


async def test_many_queries_share_few_connections() -> None:
    async with upstream() as stub, forwarding(to=[stub], options=TCP) as plugin:
        found = await asyncio.gather(*[ask(plugin, f"n{n}.test") for n in range(100)])
        assert all(addresses(each) == [ADDRESS] for each in found)
        assert len(stub.asked) == 100
    assert stub.connections == CONNECTIONS


async def test_replies_in_another_order() -> None:
    """RFC 7766 section 6.2.1.1, on connections with several queries each."""
    held: list[Asked] = []
    count = 3 * CONNECTIONS

    def behave(asked: Asked) -> list[bytes]:
        held.append(asked)
        mine = [each for each in held if each.port == asked.port]
        return [reply(each, f"{each.name} 30 IN TXT {each.name}") for each in mine[::-1]][
            : len(mine) if len(mine) == count // CONNECTIONS else 0
        ]

    async with upstream(behave) as stub, forwarding(to=[stub], options=TCP) as plugin:
        found = await asyncio.gather(*[ask(plugin, f"n{n}.test") for n in range(count)])
    texts = [str(each.answer[0].rdata).strip('"') for each in found]
    assert texts == [f"n{n}.test." for n in range(count)]


async def test_a_connection_closed_by_the_peer_is_opened_again_silently() -> None:  # 3.3.3, 6
    async with (
        upstream(closes_after=2) as stub,
        forwarding(to=[stub], options=TCP + "\n max_connect_attempts 1") as plugin,
    ):
        for n in range(7):
            assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
    assert stub.connections >= 4


async def test_a_query_on_a_connection_that_dies_is_sent_again() -> None:
    names: list[str] = []

    def behave(asked: Asked) -> list[bytes]:
        names.append(asked.name)
        if names.count("b.test.") == 1 and asked.name == "b.test.":
            raise ConnectionError  # the stub closes instead of answering
        return [reply(asked)]

    async with (
        upstream(behave) as stub,
        forwarding(to=[stub], options=TCP + "\n max_connect_attempts 1") as plugin,
    ):
        await ask(plugin, "a.test")
        assert addresses(await ask(plugin, "b.test")) == [ADDRESS]
    assert names == ["a.test.", "b.test.", "b.test."]
    assert stub.connections == 2


async def test_a_new_connection_that_dies_is_a_failure() -> None:
    def behave(asked: Asked) -> list[bytes]:
        raise ConnectionError

    async with upstream(behave) as stub, forwarding(to=[stub], options=TCP) as plugin:
        with pytest.raises(ResolveError, match=r"^read tcp .*->.*: (EOF|read: connection reset)"):
            await ask(plugin)
    assert stub.connections == 2  # attempts


async def test_nobody_listens() -> None:
    port = free_port()
    async with forwarding(f"forward . {HOST}:{port} {{\n {TCP}\n}}") as plugin:
        expected = rf"^dial tcp 127\.0\.0\.1:{port}: connect: connection refused$"
        with pytest.raises(ResolveError, match=expected):
            await ask(plugin)


async def test_silence() -> None:
    options = TCP + "\n read_timeout 50ms"
    async with upstream(silent) as stub, forwarding(to=[stub], options=options) as plugin:
        with pytest.raises(ResolveError, match=r"^read tcp .*: i/o timeout$"):
            await ask(plugin)
    assert stub.connections == 2  # none that left a query unanswered is used again


LIES: dict[str, Callable[[Asked], bytes]] = {
    "another id": lambda asked: b"\xff\xfe" + reply(asked)[2:],
    "half": lambda asked: reply(asked)[:-2],
    "a length of 0": lambda asked: b"",
}


@pytest.mark.parametrize("name", ["another id", "a length of 0"])
async def test_lies_are_ignored(name: str) -> None:
    lie = LIES[name]

    def behave(asked: Asked) -> list[bytes]:
        return [lie(asked), reply(asked)]

    async with upstream(behave) as stub, forwarding(to=[stub], options=TCP) as plugin:
        assert addresses(await ask(plugin)) == [ADDRESS]


async def test_half_a_reply_is_a_failure() -> None:
    async with (
        upstream(lambda asked: [LIES["half"](asked)]) as stub,
        forwarding(to=[stub], options=TCP) as plugin,
    ):
        with pytest.raises(ResolveError, match="no usable reply"):
            await ask(plugin)


@pytest.mark.parametrize("option", ["expire 0s", "expire 30ms", "expire 20ms\n max_age 30ms"])
async def test_old_connections_are_not_used(option: str) -> None:
    options = f"{TCP}\n {option}"
    async with upstream() as stub, forwarding(to=[stub], options=options) as plugin:
        await ask(plugin, "a.test")
        await asyncio.sleep(0.05)
        await ask(plugin, "b.test")
    assert stub.connections == 2


async def test_max_age_ends_a_busy_connection() -> None:
    options = f"{TCP}\n expire 50ms\n max_age 60ms"
    async with upstream() as stub, forwarding(to=[stub], options=options) as plugin:
        async with asyncio.timeout(5):
            while stub.connections < 3:
                await ask(plugin, f"n{time.monotonic_ns()}.test")
                await asyncio.sleep(0.01)


async def test_max_idle_conns() -> None:
    options = f"{TCP}\n max_idle_conns 2"
    async with upstream() as stub, forwarding(to=[stub], options=options) as plugin:
        await asyncio.gather(*[ask(plugin, f"n{n}.test") for n in range(8)])
        streams = plugin.forwarders[0].upstreams[0]._streams
        assert isinstance(streams, Streams)
        assert len(streams._open) == 2


def server_context(client_certificates: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PKI / "server.crt", PKI / "server.key")
    if client_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(PKI / "ca.crt")
    return context


CA = f"tls {PKI}/ca.crt"
CLIENT = f"tls {PKI}/client.crt {PKI}/client.key {PKI}/ca.crt"


@pytest.mark.parametrize(
    ("to", "options"),
    [
        ("tls://127.0.0.1", CA),  # by its address
        ("tls://127.0.0.1%dns.test", CA),
        ("tls://127.0.0.1", f"{CA}\n tls_servername dns.test"),
        ("tls://127.0.0.1", f"{CA}\n force_tcp"),
        ("tls://127.0.0.1", f"{CA}\n prefer_udp"),
    ],
)
async def test_tls(to: str, options: str) -> None:
    async with (
        upstream(tls=server_context()) as stub,
        forwarding(f"forward . {to}:{stub.port} {{\n {options}\n}}") as plugin,
    ):
        for n in range(3):
            assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
        label = plugin.forwarders[0].upstreams[0].address
    assert [each.transport for each in stub.asked] == ["tcp"] * 3
    assert stub.connections == 1
    assert figures.connection_hits.values["forward", label, "tcp-tls"] == 2


async def test_a_client_certificate() -> None:
    async with (
        upstream(tls=server_context(client_certificates=True)) as stub,
        forwarding(f"forward . tls://127.0.0.1:{stub.port} {{\n {CLIENT}\n}}") as plugin,
    ):
        assert addresses(await ask(plugin)) == [ADDRESS]


@pytest.mark.parametrize(
    ("words", "shows_one"),
    [("", False), ("ca.crt", False), ("client.crt client.key", True)],
)
async def test_fewer_files(words: str, shows_one: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tls` has none to three: CERT KEY CA, CERT KEY, CA; without a CA it is the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(PKI / ("none.crt" if words == "ca.crt" else "ca.crt")))
    files = " ".join(str(PKI / word) for word in words.split())
    for asks in (False, True):
        async with (
            upstream(tls=server_context(client_certificates=asks)) as stub,
            forwarding(
                f"forward . tls://{HOST}:{stub.port} {{\n max_fails 0\n tls {files}\n}}"
            ) as plugin,
        ):
            if asks and not shows_one:
                with pytest.raises(ResolveError):
                    await ask(plugin)
            else:
                assert addresses(await ask(plugin)) == [ADDRESS]


@pytest.mark.parametrize(
    ("to", "options", "expected"),
    [
        ("tls://127.0.0.1%other.test", CA, "certificate"),
        ("tls://127.0.0.1", "", "certificate"),  # by a CA that the system does not know
    ],
)
async def test_a_certificate_of_somebody_else(to: str, options: str, expected: str) -> None:
    async with (
        upstream(tls=server_context()) as stub,
        forwarding(f"forward . {to}:{stub.port} {{\n max_fails 0\n {options}\n}}") as plugin,
    ):
        with pytest.raises(ResolveError, match=f"^dial tcp-tls .*{expected}"):
            await ask(plugin)
    assert not stub.asked


async def test_a_mute_connection_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read on the other side, not even TLS's good-bye."""
    monkeypatch.setattr(streams, "CLOSE_S", 0.05)
    over = threading.Event()

    def mute(door: socket.socket) -> None:
        with server_context().wrap_socket(door.accept()[0], server_side=True) as peer:
            octets = peer.recv(512)[2:]
            answer = reply(Asked(dns.message.from_wire(octets), octets, "tcp", 0, HOST))
            peer.sendall(len(answer).to_bytes(2, "big") + answer)
            over.wait()

    with socket.create_server((HOST, 0)) as door:
        serving = asyncio.create_task(asyncio.to_thread(mute, door))
        line = f"forward . tls://{HOST}:{door.getsockname()[1]} {{\n expire 0s\n {CA}\n}}"
        try:
            async with forwarding(line) as plugin:
                assert addresses(await ask(plugin)) == [ADDRESS]
                kept = plugin.forwarders[0].upstreams[0]._streams
                assert isinstance(kept, Streams)
                await until(lambda: not kept._all)
        finally:
            over.set()
            await serving


async def test_tls_files_are_relative_to_root() -> None:
    setup = new_setup()
    setup.root = str(PKI)
    (directive,) = lines("forward . tls://127.0.0.1 {\n tls client.crt client.key ca.crt\n}")
    assert read(directive, setup).context is not None
    assert setup.faults == []
