"""Keys and certificates of a control plane, by openssl."""

import subprocess
from pathlib import Path

from tests.realapi.binaries import program

NAMES = "subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make(folder: Path) -> None:
    """Writes ca.crt, apiserver.crt and .key, and sa.key and .pub of service account tokens."""
    _openssl(
        *("req", "-x509", *CURVE, "-days", "30", "-subj", "/CN=test-ca"),
        *("-keyout", folder / "ca.key", "-out", folder / "ca.crt"),
    )
    _openssl(
        *("req", "-x509", *CURVE, "-days", "30", "-subj", "/CN=kube-apiserver"),
        *("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"),
        *("-addext", NAMES, "-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", "extendedKeyUsage=serverAuth"),
        *("-keyout", folder / "apiserver.key", "-out", folder / "apiserver.crt"),
    )
    _openssl("genrsa", "-out", folder / "sa.key", "2048")
    _openssl("rsa", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")


def _openssl(*words: str | Path) -> None:
    done = subprocess.run([program("openssl") or "openssl", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
