"""`tls` of `prometheus`: the file that says how, and connections made by it."""

import ssl
from pathlib import Path

import pytest

from clusterdns.errors import ConfigError, Place
from clusterdns.web.https import https
from clusterdns.web.metrics import serve_metrics
from tests.certificates import client_context, make, make_ca, needs_openssl
from tests.streams import connection
from tests.web.client import served

PLACE = Place("Corefile", 3, 9)
FILES = "cert_file: tls.crt\n  key_file: tls.key"

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, a server's pair and a client's."""
    folder = tmp_path_factory.mktemp("pki")
    make_ca(folder)
    make(folder, "tls")
    make(folder, "client", "clientAuth")
    return folder


def config(folder: Path, text: str) -> str:
    path = folder / "web.yaml"
    path.write_text(text)
    return str(path)


async def get(port: int, context: ssl.SSLContext) -> tuple[int, str]:
    """Status of the page, and whose certificate it came with."""
    async with connection("127.0.0.1", port, ssl=context) as (reader, writer):
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        said = await reader.read()
        subject = writer.get_extra_info("peercert")["subject"]
    return int(said.split()[1]), dict(each[0] for each in subject)["commonName"]


async def test_the_page_over_https(made: Path) -> None:
    context = https(config(made, f"tls_server_config:\n  {FILES}\n"), PLACE)
    async with served(lambda sock, stop: serve_metrics(sock, list, stop, tls=context)) as port:
        assert await get(port, client_context(made)) == (200, "localhost")


@pytest.mark.parametrize(
    ("clients", "shown", "served_"),
    [
        ("RequireAndVerifyClientCert", True, True),
        ("RequireAndVerifyClientCert", False, False),
        ("VerifyClientCertIfGiven", True, True),
        ("VerifyClientCertIfGiven", False, True),
    ],
)
async def test_certificates_of_clients(
    made: Path, clients: str, shown: bool, served_: bool
) -> None:
    text = f"client_auth_type: {clients}\n  client_ca_file: ca.crt"
    context = https(config(made, f"tls_server_config:\n  {FILES}\n  {text}\n"), PLACE)
    async with served(lambda sock, stop: serve_metrics(sock, list, stop, tls=context)) as port:
        if served_:
            assert (await get(port, client_context(made, shown)))[0] == 200
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
                await get(port, client_context(made, shown))


async def test_a_renewed_certificate_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_ca(tmp_path)
    make(tmp_path, "tls", subject="first")
    context = https(config(tmp_path, f"tls_server_config:\n  {FILES}\n"), PLACE)
    async with served(lambda sock, stop: serve_metrics(sock, list, stop, tls=context)) as port:
        assert await get(port, client_context(tmp_path)) == (200, "first")
        (tmp_path / "tls.key").write_text("half of a renewal")
        assert await get(port, client_context(tmp_path)) == (200, "first")
        assert "the certificate is not read again" in caplog.text
        make(tmp_path, "tls", subject="second")
        assert await get(port, client_context(tmp_path)) == (200, "second")


def test_versions(made: Path) -> None:
    context = https(config(made, f"tls_server_config:\n  {FILES}\n  min_version: TLS13\n"), PLACE)
    assert context.current.minimum_version is ssl.TLSVersion.TLSv1_3


def test_paths_begin_at_the_file_s_folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(made, f"tls_server_config:\n  {FILES}\nhttp_server_config:\n  http2: false\n")
    monkeypatch.chdir(made.parent)
    https(f"{made.name}/web.yaml", PLACE)


SECTION = f"tls_server_config:\n  {FILES}\n"
WRONG = {
    "": "there is no tls_server_config",
    "[]": "there is no tls_server_config",
    "tls_server_config: []": "there is no tls_server_config",
    "a: [": "is no YAML: while parsing",
    "tls_server_config:\n  key_file: a": "tls_server_config: cert_file is missing",
    "tls_server_config:\n  cert_file: a": "tls_server_config: key_file is missing",
    "tls_server_config:\n  cert_file: a\n  key_file: a": "No such file or directory",
    "tls_server_config:\n  cert_file: ca.key\n  key_file: ca.key": "SSL",
    f"{SECTION}  cipher_suites: [a]": "tls_server_config: cipher_suites is not known here",
    f"{SECTION}  client_auth_type: Any": "client_auth_type: 'Any' is none of NoClientCert, Veri",
    f"{SECTION}  client_auth_type: RequireAndVerifyClientCert": "needs a client_ca_file",
    f"{SECTION}  client_ca_file: ca.crt": "client_ca_file needs a client_auth_type",
    f"{SECTION}  min_version: TLS10": "min_version: 'TLS10' is none of TLS12, TLS13",
    f"{SECTION}basic_auth_users:\n  a: b": "basic_auth_users: passwords are not asked for",
    f"{SECTION}bla: 1": "unknown field bla",
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items())
def test_refused(made: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as fault:
        https(config(made, text), PLACE)
    assert str(fault.value).startswith("Corefile:3:9: ")
    assert "web.yaml" in str(fault.value)
    assert expected in str(fault.value)


def test_no_such_file() -> None:
    with pytest.raises(ConfigError, match="3:9: cannot read /nowhere: No such file or directory"):
        https("/nowhere", PLACE)
