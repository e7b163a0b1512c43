"""Server blocks with tls://: real connections, asked by dnspython (RFC 7858)."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import pytest

from clusterdns.corefile.parser import parse
from clusterdns.errors import ConfigError
from clusterdns.server.configuration import Configuration, configure
from clusterdns.server.listener import Listener
from clusterdns.zone.index import Index
from tests import streams
from tests.beside import beside
from tests.certificates import client_context, make, make_ca, needs_openssl
from tests.streams import connection

pytestmark = needs_openssl

PAIR = "tls tls.crt tls.key"
VERIFIED = "tls tls.crt tls.key ca.crt {\n client_auth require_and_verify\n}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, a server's pair and a client's."""
    folder = tmp_path_factory.mktemp("pki")
    make_ca(folder)
    make(folder, "tls")
    make(folder, "client", "clientAuth")
    return folder


def configuration(text: str) -> Configuration:
    return configure(parse(text, "Corefile"), lambda selection, api: Index(selection), 53)


@asynccontextmanager
async def serving(folder: Path, tls: str = PAIR, more: str = "") -> AsyncIterator[Listener]:
    """tls:// on a free port, with `whoami`."""
    text = f"tls://.:0 {{\n bind 127.0.0.1\n root {folder}\n {tls}\n {more}\n whoami\n}}"
    (sock,) = configuration(text).sockets
    listener = Listener(sock.address, sock.port, sock.router, sock.limits, sock.place, sock.tls)
    listener.open()
    async with beside(listener.serve):
        yield listener


async def ask(listener: Listener, context: ssl.SSLContext) -> dns.message.Message:
    message = dns.message.make_query("example.org.", "A")
    return await streams.ask(
        message, "127.0.0.1", listener.port, ssl=context, server_hostname="localhost"
    )


async def subject(listener: Listener, context: ssl.SSLContext) -> str:
    async with connection("127.0.0.1", listener.port, ssl=context, server_hostname="localhost") as (
        _,
        writer,
    ):
        found = dict(each[0] for each in writer.get_extra_info("peercert")["subject"])
    return str(found["commonName"])


async def test_answers(made: Path) -> None:
    async with serving(made) as listener:
        reply = await ask(listener, client_context(made))
        assert "_tcp.example.org." in reply.additional[1].to_text()
        assert listener.server == f"tls://127.0.0.1:{listener.port}"
        assert len(list(listener.tells())) == 1  # no UDP


async def test_several_queries_on_one_connection(made: Path) -> None:
    async with (
        serving(made) as listener,
        connection("127.0.0.1", listener.port, ssl=client_context(made)) as (reader, writer),
    ):
        queries = [dns.message.make_query(f"a{i}.example.", "A", id=i) for i in range(200)]
        for query in queries:
            wire = query.to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
        seen = set()
        for _ in queries:
            size = int.from_bytes(await reader.readexactly(2), "big")
            seen.add(dns.message.from_wire(await reader.readexactly(size)).id)
        assert seen == set(range(200))


async def test_plain_octets_are_no_query(made: Path) -> None:
    async with serving(made) as listener:
        async with connection("127.0.0.1", listener.port) as (reader, writer):
            wire = dns.message.make_query("example.org.", "A").to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
            said = await reader.read()
        assert said[:1] in {b"", b"\x15"}  # nothing, or a TLS alert
        assert (await ask(listener, client_context(made))).answer == []


async def test_no_version_before_1_2(made: Path) -> None:
    context = client_context(made)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(made) as listener:
        assert (await ask(listener, context)).flags & dns.flags.QR
    (sock,) = configuration(f"tls://.:0 {{\n root {made}\n {PAIR}\n whoami\n}}").sockets
    assert sock.tls is not None
    assert sock.tls.current.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_clients_must_show_a_certificate(made: Path) -> None:
    async with serving(made, VERIFIED) as listener:
        assert (await ask(listener, client_context(made, with_pair=True))).flags & dns.flags.QR
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            await ask(listener, client_context(made))


async def test_renewed_certificate(made: Path, tmp_path: Path) -> None:
    for name in ("ca.crt", "ca.key"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    make(tmp_path, "tls")
    async with serving(tmp_path) as listener:
        assert await subject(listener, client_context(tmp_path)) == "localhost"
        make(tmp_path, "tls", subject="renewed")
        assert await subject(listener, client_context(tmp_path)) == "renewed"


async def test_keylog(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(made, "tls tls.crt tls.key {\n keylog secrets\n}") as listener:
        await ask(listener, client_context(made))
    secrets = made / "secrets"
    assert "CLIENT_" in secrets.read_text() or "SECRET" in secrets.read_text()
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert "Writing TLS Key Log" in caplog.text


async def test_idle_connections_end(made: Path) -> None:
    async with (
        serving(made, more="timeouts {\n read 1s\n }") as listener,
        connection("127.0.0.1", listener.port, ssl=client_context(made)) as (reader, _),
    ):
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tls://. {\n whoami\n}", "1:1: tls://.:853 needs a `tls` with its certificate"),
        (
            "quic://. {\n whoami\n}",
            "1:1: quic:// is not served here; there are dns, tls: have a proxy",
        ),
        (
            "https://. {\n whoami\n}",
            "1:1: https:// is not served here; there are dns, tls: have a proxy",
        ),
        (
            "grpc://. {\n whoami\n}",
            "1:1: grpc:// is not served here; there are dns, tls: have a proxy",
        ),
        (
            "tls://. {\n tls tls.crt missing.key\n whoami\n}",
            "2:2: missing.key: No such file or directory",
        ),
        ("tls://. {\n tls ca.key ca.key\n whoami\n}", "2:2: ca.key, ca.key: "),
        (
            "tls://a. {\n tls tls.crt tls.key\n}\ntls://b. {\n tls client.crt client.key\n}",
            "5:2: connections to port 853 are served by another `tls`, that at Corefile:2:2",
        ),
        (
            "tls://a.:53 {\n tls tls.crt tls.key\n whoami\n}\nb. {\n whoami\n}",
            "5:1: port 53 is that of tls://a.:53 at Corefile:1:1",
        ),
    ],
)
def test_refused(text: str, expected: str, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    with pytest.raises(ConfigError) as raised:
        configuration(text)
    place = raised.value.place
    assert place is not None
    assert f"{place.line}:{place.column}: {raised.value.message}".startswith(expected)


def test_blocks_share_a_port(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    block = f"{{\n {PAIR}\n whoami\n}}\n"
    found = configuration(f"tls://a. {block}tls://b. . {block}").sockets
    assert [(each.port, each.zones, each.tls is not None) for each in found] == [
        (853, ("a.", "b."), True),
        (53, (".",), False),
    ]
