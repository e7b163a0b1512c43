"""A DNS server that follows the cluster under test, and what it must answer."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from clusterdns.app.feeds import Feed
from clusterdns.cluster.apiserver import ApiServer
from clusterdns.cluster.events import Delete, Kind
from clusterdns.cluster.figures import Figures
from tests.realapi.admin import Admin
from tests.realapi.control_plane import ControlPlane
from tests.scenarios.asking import answer
from tests.scenarios.servers import Server, started
from tests.truth import Answers

COREFILE = """\
.:0 {{
    bind 127.0.0.1
    errors
    ready 127.0.0.1:0
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        {options}
    }}
}}
"""
PATIENCE_S = 15.0  # until the zone is right; a machine that runs tests is busy


class Dns:
    """The server, asked over TCP so that nothing is cut off."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def answer(self, name: str, qtype: str = "A") -> str:
        return await answer(self.server.at, name, qtype, tcp=True)

    async def until(
        self, name: str, qtype: str, wanted: str, within_s: float = PATIENCE_S
    ) -> float:
        """Waits for an answer; gives the seconds that took."""
        start = time.perf_counter()
        while (found := await self.answer(name, qtype)) != wanted:
            waited = time.perf_counter() - start
            assert waited < within_s, f"{name} {qtype}: still {found}, not {wanted}"
            await asyncio.sleep(0.001)
        return time.perf_counter() - start

    async def until_true(
        self, truth: Callable[[], Awaitable[Answers]], within_s: float = PATIENCE_S
    ) -> Answers:
        """Waits until every answer is as the API has it; gives them. truth: reads the API."""
        end = time.perf_counter() + within_s
        while wrong := await self.wrong(expected := await truth()):
            assert time.perf_counter() < end, "\n".join(wrong[:20])
            await asyncio.sleep(0.02)
        return expected

    async def wrong(self, expected: Answers) -> list[str]:
        """What is not answered so."""
        found = []
        for (name, qtype), wanted in expected.items():
            if (got := await self.answer(name, qtype)) != wanted:
                found.append(f"{name} {qtype}: {got}, not {wanted}")
        return found

    def lose(self, kind: Kind, space: str, name: str) -> None:
        """Has it forget an object, as if the event of it had never come."""
        self._source.reflectors[kind].known.held.pop(space, name)
        self._feed._apply([Delete(kind, space, name)])

    @property
    def figures(self) -> dict[Kind, Figures]:
        """How the following of each kind goes."""
        return self._source.figures

    @property
    def _source(self) -> ApiServer:
        source = self._feed.source
        assert isinstance(source, ApiServer)
        return source

    @property
    def _feed(self) -> Feed:
        (feed,) = self.server.app._feeds.by_wanted.values()
        return feed


@asynccontextmanager
async def dns_starting(
    cluster: ControlPlane,
    folder: Path,
    options: str = "",
    *,
    port: int = 0,
    user: dict[str, str] | None = None,
) -> AsyncIterator[Dns]:
    """A server whose sockets are open. options: of `kubernetes`. port: of a proxy to the API.

    user: as in a kubeconfig; the default is an administrator.
    """
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig(user or {"token": cluster.token}, port))
    corefile = COREFILE.format(kubeconfig=kubeconfig, options=options)
    async with started(folder, corefile=corefile) as server:
        yield Dns(server)


@asynccontextmanager
async def dns_following(
    cluster: ControlPlane,
    folder: Path,
    options: str = "",
    *,
    port: int = 0,
    user: dict[str, str] | None = None,
) -> AsyncIterator[Dns]:
    """As `dns_starting`, once it is synced."""
    async with dns_starting(cluster, folder, options, port=port, user=user) as dns:
        await dns.server.synced()
        yield dns


async def all_true(dns: Dns, admin: Admin) -> Answers:
    """Waits until the whole zone is what the API has."""
    return await dns.until_true(admin.truth)


def lasting(found: Answers, space: str) -> Answers:
    """Without what is in the namespaces of other tests, which may be on their way out."""
    spaces = re.compile(r"\bspace-\d+\b")
    return {
        (name, qtype): answer
        for (name, qtype), answer in found.items()
        if {space}.issuperset(spaces.findall(f"{name} {answer}"))
    }
