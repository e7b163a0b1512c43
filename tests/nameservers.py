"""Name servers of others as processes: nsd and unbound, each on an address and port of its own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import pytest

from tests.ports import free_port

START_S = 10.0  # until it answers; both need a tenth of a second
LOOPBACK = "127.0.0.1"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # not everybody's PATH has them
NSD, UNBOUND = shutil.which("nsd", path=_PATH), shutil.which("unbound", path=_PATH)
needs_nsd = pytest.mark.skipif(NSD is None, reason="needs NSD: apt-get install nsd")

_NSD = """\
server:
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
    xfrd-reload-timeout: 0
remote-control:
    control-enable: no
"""
_UNBOUND = """\
server:
    interface: {address}@{port}
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    num-threads: 1
    module-config: "iterator"
    cache-max-ttl: 10
    access-control: 127.0.0.0/8 allow
"""


class NameServer:
    """It runs."""

    def __init__(self, address: str, port: int, process: subprocess.Popen[bytes]) -> None:
        self.address = address
        self.port = port
        self._process = process

    def reload(self) -> None:
        """Has it read its zone files again."""
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """Nobody answers there from now on."""
        self._process.terminate()  # not killed: nsd has children, which it ends
        self._process.wait(START_S)

    async def serial(self, zone: str) -> str:
        """What it says; "": it has no such zone, or not yet."""
        asked = dns.message.make_query(zone, "SOA")
        try:
            reply = await dns.asyncquery.udp(asked, self.address, 1.0, self.port)
        except dns.exception.Timeout:
            return ""
        return str(reply.answer[0][0].serial) if reply.answer else ""


@contextmanager
def nsd(folder: Path, zones: str, address: str = LOOPBACK, port: int = 0) -> Iterator[NameServer]:
    """zones: `zone:` clauses of its configuration. Their files are found in the folder.

    port: 0 for a free one.
    """
    port = port or free_port()
    text = _NSD.format(address=address, port=port, folder=folder) + zones
    with _running([NSD or "nsd", "-d"], folder, text, address, port) as server:
        yield server


@contextmanager
def unbound(folder: Path, more: str, address: str, port: int) -> Iterator[NameServer]:
    """more: lines of `server:` in its configuration, and clauses behind it."""
    text = _UNBOUND.format(address=address, port=port, folder=folder) + more
    with _running([UNBOUND or "unbound", "-d"], folder, text, address, port) as server:
        yield server


@contextmanager
def _running(
    command: list[str], folder: Path, text: str, address: str, port: int
) -> Iterator[NameServer]:
    config, log = folder / "server.conf", folder / "server.log"
    config.write_text(text)
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "-c", config], stdout=output, stderr=output)
    server = NameServer(address, port, process)
    try:
        _until_answering(process, address, port, log)
        yield server
    finally:
        server.end()


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
