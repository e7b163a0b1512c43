"""Real name servers that Corefiles forward to: nsd, and unbound as a node's resolver.

Each runs as a process on an address of 127/8 that nobody else has at the moment.
"""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.certificates import make, make_ca

START_S = 10.0  # until it answers; both need a tenth of a second
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # not everybody's PATH has them
NSD, UNBOUND = shutil.which("nsd", path=PATH), shutil.which("unbound", path=PATH)
HOW_TO_GET_THEM = (
    "no name servers to forward to: `apt-get install nsd unbound`, and stop both services "
    "(they take port 53)"
)
needs_upstreams = pytest.mark.skipif(not (NSD and UNBOUND), reason=HOW_TO_GET_THEM)

SECURE_NAME = "dns.secure.example"  # in the certificate of the one that speaks TLS
SOA = "@ 300 SOA ns hostmaster 1 3600 600 86400 60\n@ 300 NS ns\nns 300 A 192.0.2.1\n"
ZONES = {
    "example.org": f"""{SOA}
www 300 A 192.0.2.10
www 300 AAAA 2001:db8::10
alias 300 CNAME www
brief 1 A 192.0.2.7
many 300 TXT "{"x" * 250}" "{"y" * 250}" "{"z" * 250}"
""",
    "2.0.192.in-addr.arpa": f"{SOA}10 300 PTR www.example.org.\n",
}
CORP = {"corp.example": f"{SOA}intra 300 A 10.150.9.9\nmail 300 MX 10 intra\n"}
SECURE = {"secure.example": f"{SOA}vault 300 A 10.150.8.8\n"}


class Upstream:
    """A name server that runs."""

    def __init__(self, address: str, port: int, process: subprocess.Popen[bytes]) -> None:
        self.address = address
        self.port = port
        self._process = process

    def end(self) -> None:
        """Nobody answers there from now on."""
        _end(self._process)


def loopback() -> str:
    """An address of 127/8; so many that two tests never have the same."""
    return ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])


@contextmanager
def nsd(folder: Path, zones: dict[str, str]) -> Iterator[Upstream]:
    """An authoritative server: replies with AA, and REFUSED for other names."""
    address, port = loopback(), standard_port()
    own = _zone_files(folder, zones)
    parts = [f"zone:\n name: {name}\n zonefile: {file}\n" for name, file in own]
    server = f"""server:
 ip-address: {address}@{port}
 username: ""
 zonesdir: "{folder}"
 zonelistfile: "{folder}/zone.list"
 xfrdfile: "{folder}/xfrd.state"
 xfrdir: "{folder}"
 database: ""
 pidfile: ""
 server-count: 1
 rrl-ratelimit: 0
remote-control:
 control-enable: no
"""
    yield from _running(folder, [NSD or "nsd", "-d"], server + "".join(parts), address, port)


@contextmanager
def unbound(folder: Path, zones: dict[str, str], tls: bool = False) -> Iterator[Upstream]:
    """A resolver: replies with RA and without AA, and NXDOMAIN for names of no zone.

    tls: it speaks DNS over TLS only, by a certificate of ca.crt in the folder.
    """
    address, port = loopback(), 853 if tls and standard_port() == 53 else standard_port()
    parts = []
    for name, file in _zone_files(folder, zones):
        parts.append(f'auth-zone:\n name: {name}\n zonefile: "{file}"\n for-downstream: no\n')
    server = f"""server:
 interface: {address}@{port}
 username: ""
 chroot: ""
 directory: "{folder}"
 pidfile: ""
 use-syslog: no
 do-daemonize: no
 num-threads: 1
 module-config: "iterator"
 access-control: 127.0.0.0/8 allow
 local-zone: "." always_nxdomain
"""
    server += "".join(f" local-zone: {name} transparent\n" for name in zones)
    if tls:
        make_ca(folder)
        make(folder, "tls", names=f"DNS:{SECURE_NAME}")
        server += f" tls-port: {port}\n tls-service-key: tls.key\n tls-service-pem: tls.crt\n"
    server += "remote-control:\n control-enable: no\n"
    yield from _running(
        folder, [UNBOUND or "unbound", "-d"], server + "".join(parts), address, port
    )


def standard_port() -> int:
    """53 where this process may have it, as resolv.conf can name no other; else a free one."""
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as udp:
        try:
            udp.bind((loopback(), 53))
        except PermissionError:
            udp.bind(("127.0.0.1", 0))
        return int(udp.getsockname()[1])


def _zone_files(folder: Path, zones: dict[str, str]) -> Iterable[tuple[str, Path]]:
    for name, text in zones.items():
        path = folder / f"{name}.zone"
        path.write_text(f"$ORIGIN {name}.\n{text}")
        yield name, path


def _running(
    folder: Path, command: list[str], text: str, address: str, port: int
) -> Iterator[Upstream]:
    config, log = folder / "server.conf", folder / "server.log"
    config.write_text(text)
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "-c", config], stdout=output, stderr=output)
    try:
        _until_answering(process, address, port, log)
        yield Upstream(address, port, process)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()  # not killed: nsd has children, which it ends
    process.wait(START_S)


def _until_answering(process: subprocess.Popen[bytes], address: str, port: int, log: Path) -> None:
    start = time.monotonic()
    while True:
        try:
            socket.create_connection((address, port), 0.5).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - start < START_S, log.read_text()
            time.sleep(0.02)
