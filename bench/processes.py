"""Servers under measurement, as processes, and what the kernel knows of them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
START_S = 120.0  # until ready; CoreDNS may take half a minute where it is throttled
STOP_S = 10.0
ROOT_QUERY = bytes.fromhex("000101000001000000000000 00 0001 0001")  # . A
LOOK_S = 0.01  # between two looks at /ready


class Ports(NamedTuple):
    """Of a server on loopback."""

    dns: int
    ready: int


class Server:
    """A running server. started: monotonic seconds."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], ports: Ports, log: Path
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.ports = ports
        self.started = time.monotonic()
        self._process = process
        self._log = log

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.ports.dns

    @property
    def cpu_s(self) -> float:
        """CPU seconds used so far, user and system, of all threads."""
        return cpu_s(self.pid)

    @property
    def waited_s(self) -> float:
        """How long the main thread could have run while others had the cores."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    @property
    def rss_mb(self) -> float:
        """Resident memory now, in 10^6 octets."""
        return self._status("VmRSS")

    @property
    def peak_mb(self) -> float:
        """The most that was resident since the start or `forget_peak`, in 10^6 octets."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Has the kernel count the peak from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def until_ready(self) -> float:
        """Waits for /ready and any answer; gives the seconds since the start. Raises RuntimeError.

        CoreDNS is ready by its page before it listens.
        """
        while time.monotonic() < self.started + START_S:
            if _says_ready(self.ports.ready) and _answers(self.address):
                return time.monotonic() - self.started
            if self._process.poll() is not None:
                break
            time.sleep(LOOK_S)
        raise RuntimeError(f"{self.name} is not ready:\n{self._log.read_text()[-4000:]}")

    def _status(self, field: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise LookupError(field)


@contextmanager
def clusterdns(folder: Path, options: str, arguments: Sequence[str] = ()) -> Iterator[Server]:
    """Runs clusterdns until the block ends.

    options: inside of `kubernetes`. folder: for Corefile and log.
    """
    with clusterdns_with(folder, _cluster(options), arguments) as server:
        yield server


@contextmanager
def coredns(folder: Path, options: str) -> Iterator[Server]:
    """Runs CoreDNS in the same way. Raises FileNotFoundError where it is not."""
    with coredns_with(folder, _cluster(options)) as server:
        yield server


@contextmanager
def clusterdns_with(
    folder: Path, directives: str, arguments: Sequence[str] = ()
) -> Iterator[Server]:
    """Runs clusterdns with these directives, and `ready`, until the block ends."""
    command = [sys.executable, "-m", "clusterdns"]
    with _running("clusterdns", command, folder, directives, arguments) as server:
        yield server


@contextmanager
def coredns_with(folder: Path, directives: str) -> Iterator[Server]:
    """Runs CoreDNS in the same way. Raises FileNotFoundError where it is not."""
    with _running("coredns", [coredns_binary() or ""], folder, directives, ()) as server:
        yield server


def coredns_binary() -> str | None:
    """Where CoreDNS is: $COREDNS, or on PATH."""
    return shutil.which(os.environ.get("COREDNS") or "coredns")


def cpu_s(pid: int) -> float:
    """CPU seconds that the threads of a process have used, user and system.

    The scheduler counts nanoseconds where /proc/PID/stat counts ticks of 10 ms.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


@contextmanager
def _running(
    name: str,
    command: list[str],
    folder: Path,
    directives: str,
    arguments: Sequence[str],
) -> Iterator[Server]:
    ports = Ports(_free_port(), _free_port())
    corefile, log = folder / f"{name}.Corefile", folder / f"{name}.log"
    corefile.write_text(
        f".:{ports.dns} {{\n bind {HOST}\n ready {HOST}:{ports.ready}\n {directives}\n}}\n"
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "-conf", str(corefile), *arguments], stdout=output, stderr=output
        )
    try:
        yield Server(name, process, ports, log)
    finally:
        process.kill()
        process.wait(STOP_S)


def _cluster(options: str) -> str:
    """The directives of a cluster's server block."""
    zones = "cluster.local in-addr.arpa ip6.arpa"
    return f"errors\n loadbalance\n kubernetes {zones} {{\n {options}\n }}"


def _free_port() -> int:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind((HOST, 0))
        udp.bind(tcp.getsockname())
        port: int = udp.getsockname()[1]
        return port


def _answers(address: tuple[str, int]) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        sock.settimeout(1.0)
        try:
            sock.send(ROOT_QUERY)
            return bool(sock.recv(512))
        except OSError:
            return False


def _says_ready(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5.0) as sock:
            sock.sendall(b"GET /ready HTTP/1.0\r\nHost: bench\r\n\r\n")
            return b" 200 " in sock.recv(64)
    except OSError:
        return False
