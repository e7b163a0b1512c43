"""NSD, a name server of others, as primary and as secondary of ours."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import pytest

from tests.ports import free_port

BINARY = shutil.which("nsd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
NEEDS_NSD = pytest.mark.skipif(BINARY is None, reason="needs NSD: apt-get install nsd")
START_S = 10.0

CONFIGURATION = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    database: ""
    server-count: 1
    zonesdir: {folder}
    pidfile: {folder}/nsd.pid
    xfrdfile: {folder}/xfrd.state
    xfrdir: {folder}
    zonelistfile: {folder}/zone.list
    logfile: {folder}/nsd.log
remote-control:
    control-enable: no
{zones}
"""


class Nsd:
    """It runs."""

    def __init__(self, folder: Path, port: int, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.port = port
        self._process = process

    def reload(self) -> None:
        """Has it read its zone files again."""
        self._process.send_signal(1)

    async def serial(self, zone: str) -> int | None:
        """What it says; None: it has no such zone, or not yet."""
        asked = dns.message.make_query(zone, "SOA")
        try:
            reply = await dns.asyncquery.udp(asked, "127.0.0.1", 1.0, self.port)
        except dns.exception.Timeout:
            return None
        return int(reply.answer[0][0].serial) if reply.answer else None

    @property
    def log(self) -> str:
        return (self.folder / "nsd.log").read_text()


@asynccontextmanager
async def running(folder: Path, zones: str, port: int | None = None) -> AsyncIterator[Nsd]:
    """zones: `zone:` clauses of its configuration; files are found in the folder."""
    assert BINARY
    port = port or free_port()
    configuration = folder / "nsd.conf"
    configuration.write_text(CONFIGURATION.format(port=port, folder=folder, zones=zones))
    process = await asyncio.create_subprocess_exec(BINARY, "-d", "-c", str(configuration))
    try:
        await _until_up(port)
        yield Nsd(folder, port, process)
    finally:
        process.terminate()
        await process.wait()


async def _until_up(port: int) -> None:
    """Waits until it answers, whatever it says."""
    asked = dns.message.make_query("version.server", "TXT", "CH")
    async with asyncio.timeout(START_S):
        while True:
            try:
                await dns.asyncquery.udp(asked, "127.0.0.1", 0.1, port)
                return
            except (dns.exception.Timeout, OSError):
                continue
