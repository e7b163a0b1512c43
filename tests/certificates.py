"""Certificates for tests, made by openssl."""

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes certificates")


def openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make_ca(folder: Path) -> None:
    out = ("-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    # RFC 5280 section 4.2.1.3: a CA says what its key is for; Python 3.13 asks for it.
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *CURVE, "-subj", "/CN=test-ca", *usage, *out)


def make(
    folder: Path,
    name: str,
    usage: str = "serverAuth",
    subject: str = "localhost",
    names: str = "DNS:localhost,IP:127.0.0.1",
) -> None:
    """NAME.crt and NAME.key, signed by ca.crt, put in place of what is there.

    names: whom it is for, as OpenSSL writes them.
    """
    openssl(
        *("req", "-x509", *CURVE, "-subj", f"/CN={subject}"),
        *("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"),
        *("-addext", f"subjectAltName={names}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", f"extendedKeyUsage={usage}"),
        *("-keyout", folder / "new.key", "-out", folder / "new.crt"),
    )
    for end in ("key", "crt"):
        os.replace(folder / f"new.{end}", folder / f"{name}.{end}")


def client_context(folder: Path, with_pair: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if with_pair:
        context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context
