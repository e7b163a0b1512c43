"""What tests of stock Corefiles share: name servers to forward to, a server under a Corefile."""

import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import dns.message
import msgspec
import pytest

from tests.metering import SERIES, read, series
from tests.scenarios.asking import At, answer, ask
from tests.scenarios.processes import CLUSTERDNS, LIMIT_S, Process, running
from tests.stock.cluster import objects
from tests.stock.distributions import KUBEADM, Stock
from tests.stock.machine import ENVIRON, Machine, Upstreams
from tests.stock.upstreams import CORP, SECURE, ZONES, nsd, unbound

# 3.10: [INFO] ADDRESS:PORT - ID "TYPE CLASS NAME PROTO SIZE DO BUFSIZE" RCODE FLAGS RSIZE DURATION
_QUERY = re.compile(
    r'^\[INFO\] [\d.]+:\d+ - \d+ "(\S+) \S+ (\S+) (?:udp|tcp) \d+ (?:true|false) \d+" '
    r"([A-Z]+) [a-z,]+ \d+ [\d.e-]+s$"
)
Both = dict[str, Upstreams]  # by what the foreign one is: nsd, unbound


@pytest.fixture(scope="session")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Name servers, and the cluster's DNS server for those on a node; they run until the end."""

    def folder() -> Path:
        return tmp_path_factory.mktemp("upstream")

    with ExitStack() as stack:
        foreign = [stack.enter_context(made(folder(), ZONES)) for made in (nsd, unbound)]
        authority = folder()
        corp = stack.enter_context(nsd(folder(), CORP))
        secure = stack.enter_context(unbound(authority, SECURE, tls=True))
        nobody = At("127.0.0.1", 1)
        known = [Upstreams(each, corp, secure, nobody, authority) for each in foreign]
        cluster = stack.enter_context(_cluster(folder(), known[0]))
        yield {
            name: Upstreams(each.foreign, corp, secure, cluster, authority)
            for name, each in zip(("nsd", "unbound"), known, strict=True)
        }


@contextmanager
def _cluster(folder: Path, upstreams: Upstreams) -> Iterator[At]:
    """A server under kubeadm's Corefile, as a node has it behind the Service's address."""
    machine = Machine(folder, upstreams)
    path = machine.write(KUBEADM.corefile)
    command = (CLUSTERDNS, "-conf", path, "--manifests", manifest(folder))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        start = time.monotonic()
        while "synced" not in (folder / "log").read_text():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() - start < LIMIT_S, (folder / "log").read_text()
            time.sleep(0.02)
        yield machine.at("", 53)
    finally:
        process.kill()
        process.wait()


def manifest(folder: Path) -> Path:
    """The cluster's objects in a file."""
    path = folder / "objects.json"
    path.write_bytes(msgspec.json.encode({"kind": "List", "apiVersion": "v1", "items": objects()}))
    return path


class Served:
    """A server under a Corefile of a distribution."""

    def __init__(self, stock: Stock, machine: Machine, process: Process) -> None:
        self.stock = stock
        self.machine = machine
        self.process = process
        self.at = machine.at(*stock.at)

    async def ask(self, name: str, qtype: str = "A", tcp: bool = False) -> dns.message.Message:
        """What it says."""
        return await ask(self.at, name, qtype, tcp)

    async def page(self, where: tuple[str, int], path: str) -> tuple[int, str]:
        """Status and text of a page at this address and port of the Corefile."""
        at = self.machine.at(*where)
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"http://{at.address}:{at.port}{path}") as reply,
        ):
            return reply.status, await reply.text()

    async def counted(self, name: str) -> SERIES:
        """The figures of one name of the metrics page."""
        assert self.stock.metrics is not None
        status, text = await self.page(("", self.stock.metrics), "/metrics")
        assert status == 200
        return series(read(text), name)

    async def answer(self, name: str, qtype: str = "A", tcp: bool = False) -> str:
        """The rdata of its answer, sorted, with spaces between; or NODATA, or the rcode."""
        return await answer(self.at, name, qtype, tcp)

    def queries(self) -> list[str]:
        """What `log` has said so far: type, name and rcode of each query."""
        lines = map(_QUERY.search, self.process.lines)
        return [" ".join(line.groups()) for line in lines if line]


@asynccontextmanager
async def serving(stock: Stock, upstreams: Both, folder: Path) -> AsyncIterator[Served]:
    """A process that is ready, under this Corefile and further files from its folder."""
    machine = Machine(folder / "etc", upstreams[stock.foreign])
    path = machine.write(stock.corefile, stock.files)
    words = ("-conf", path, "-dns.port", str(machine.port(53)))
    source = (
        ("--manifests", manifest(machine.folder)) if stock.cluster and not stock.on_node else ()
    )
    async with running(*words, *source, environ=ENVIRON) as process:
        served = Served(stock, machine, process)
        await process.line("synced" if source else ", python")  # the last line at the start
        yield served
