"""The two servers under comparison, as processes."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

START_S = 20.0  # until ready; both need about a second on an idle machine
STOP_S = 5.0

HOW_TO_GET_IT = (
    "no CoreDNS to compare with: put `coredns` 1.14.7 on PATH, or name it in the environment "
    "variable COREDNS (https://github.com/coredns/coredns/releases)"
)


def coredns_binary() -> str | None:
    """Where CoreDNS is, if it is anywhere."""
    return shutil.which(os.environ.get("COREDNS") or "coredns")


needs_coredns = pytest.mark.skipif(coredns_binary() is None, reason=HOW_TO_GET_IT)


def coredns_command(corefile: Path, port: int) -> list[str]:
    """How to start CoreDNS."""
    return [coredns_binary() or "coredns", "-conf", str(corefile), "-dns.port", str(port)]


def clusterdns_command(corefile: Path, port: int, manifest: Path | None) -> list[str]:
    """How to start clusterdns, on objects in a file or on those of the Corefile's endpoint."""
    command = [sys.executable, "-m", "clusterdns", "-conf", str(corefile), "-dns.port", str(port)]
    return [*command, "--manifests", str(manifest)] if manifest else command


@asynccontextmanager
async def running(command: list[str], ready_port: int, log: Path) -> AsyncIterator[None]:
    """Runs a server from when /ready says 200; its output goes to the file.

    Raises AssertionError with that output when it ends or does not get ready.
    """
    with log.open("wb") as output:  # a moment, before anything runs
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    try:
        await _until_ready(process, ready_port, log)
        yield
        assert process.returncode is None, f"{command[0]} ended:\n{_text(log)}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_ready(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    try:
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
            while not await _ready(session, port):
                assert process.returncode is None, f"it ended at start:\n{_text(log)}"
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not ready after {START_S} s:\n{_text(log)}") from None


async def _ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/ready") as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


def _text(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
