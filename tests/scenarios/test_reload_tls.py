"""DNS over TLS through a reload: the listener stays, its certificate is exchanged."""

import asyncio
import ssl
from pathlib import Path

import dns.message
import pytest

from clusterdns.app import App
from tests.certificates import client_context, make, make_ca, needs_openssl
from tests.ports import free_port
from tests.scenarios.asking import At
from tests.scenarios.test_reload import COREFILE, serving

TLS = """\
tls://example.org:0 {
    bind 127.0.0.1
    root %s
    tls one.crt one.key
    whoami
}
"""

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, two servers' pairs and a client's."""
    folder = tmp_path_factory.mktemp("pki")
    make_ca(folder)
    for name in ("one", "two"):
        make(folder, name, subject=name)
    make(folder, "client", "clientAuth")
    return folder


class Client:
    """A TLS connection that stays open."""

    @classmethod
    async def open(cls, at: At, context: ssl.SSLContext) -> "Client":
        client = cls()
        client._reader, client._writer = await asyncio.open_connection(
            *at, ssl=context, server_hostname="localhost"
        )
        return client

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    @property
    def subject(self) -> str:
        shown = self._writer.get_extra_info("peercert")["subject"]
        return str(dict(each[0] for each in shown)["commonName"])

    async def ask(self) -> int:
        """How many records the reply has."""
        wire = dns.message.make_query("example.org.", "A").to_wire()
        self._writer.write(len(wire).to_bytes(2, "big") + wire)
        size = int.from_bytes(await self._reader.readexactly(2), "big")
        return len(dns.message.from_wire(await self._reader.readexactly(size)).additional)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def at(app: App) -> At:
    (listener,) = [each for each in app.listeners if each.tls]
    return At(*listener.addresses[0])


async def test_another_certificate(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = COREFILE + TLS % made
    async with serving(tmp_path, caplog, text) as server:
        app, before = server.app, list(server.app.listeners)
        first = await Client.open(at(app), client_context(made))
        assert (first.subject, await first.ask()) == ("one", 2)
        await server.to(text.replace("one.", "two."))
        assert app.listeners == before
        assert await first.ask() == 2
        second = await Client.open(at(app), client_context(made))
        assert (second.subject, await second.ask()) == ("two", 2)
        await server.to(text.replace("one.crt", "two.crt"), "Corefile changed but reload failed")
        assert app.listeners == before
        third = await Client.open(at(app), client_context(made))
        assert (third.subject, await third.ask()) == ("two", 2)
        for client in (first, second, third):
            await client.close()


async def test_clients_that_must_show_a_certificate_from_now_on(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = COREFILE + TLS % made
    verified = text.replace(
        "one.key", "one.key ca.crt {\n        client_auth require_and_verify\n    }"
    )
    async with serving(tmp_path, caplog, text) as server:
        where = at(server.app)
        await server.to(verified)
        assert at(server.app) == where
        client = await Client.open(where, client_context(made, with_pair=True))
        assert await client.ask() == 2
        await client.close()
        stranger = await Client.open(where, client_context(made))
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            await stranger.ask()
        await stranger.close()
        await server.to(text)
        stranger = await Client.open(where, client_context(made))
        assert await stranger.ask() == 2
        await stranger.close()


async def test_the_file_that_says_how_to_serve_a_page(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is read again with the Corefile; the page keeps its socket."""
    web, port = tmp_path / "web.yaml", free_port()
    said = f"tls_server_config:\n  cert_file: {made}/one.crt\n  key_file: {made}/one.key\n"
    web.write_text(said)
    text = COREFILE.replace("errors", f"prometheus 127.0.0.1:{port} {{\n        tls {web}\n    }}")
    async with serving(tmp_path, caplog, text) as server:
        page = At("127.0.0.1", port)
        client = await Client.open(page, client_context(made))
        assert client.subject == "one"
        await client.close()
        web.write_text(said.replace("one.", "two."))
        await server.to(text)
        client = await Client.open(page, client_context(made))
        assert client.subject == "two"
        await client.close()
        web.write_text("nonsense")
        await server.to(text, "Corefile changed but reload failed")
        client = await Client.open(page, client_context(made))
        assert client.subject == "two"
        await client.close()


async def test_secrets_are_written_from_a_reload_on(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = COREFILE + TLS % made
    secrets = tmp_path / "secrets"
    with_keylog = text.replace("one.key", f"one.key {{\n        keylog {secrets}\n    }}")
    async with serving(tmp_path, caplog, text) as server:
        broken = with_keylog.replace(str(secrets), str(tmp_path))
        assert "keylog" in await server.to(broken, "Corefile changed but reload failed")
        await server.to(with_keylog)
        client = await Client.open(at(server.app), client_context(made))
        await client.ask()
        await client.close()
        size = len(secrets.read_text())
        assert size
        make(made, "one", subject="one")  # renewed: its connections are written too
        client = await Client.open(at(server.app), client_context(made))
        await client.ask()
        await client.close()
        assert len(secrets.read_text()) > size
        await server.to(text)
        size = len(secrets.read_text())
        client = await Client.open(at(server.app), client_context(made))
        await client.ask()
        await client.close()
        assert len(secrets.read_text()) == size
