"""Before everything is known: cluster names SERVFAIL, not ready, healthy."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.objects import service
from tests.ports import free_port
from tests.scenarios.asking import answer, ask, becomes, dig, get, needs_dig
from tests.scenarios.processes import running
from tests.scenarios.servers import served, started, write
from tests.scenarios.test_manifests import WEB, web

REVERSE = "1.0.96.10.in-addr.arpa"


async def test_until_everything_is_listed(tmp_path: Path) -> None:
    """`kubectl get ... | clusterdns` while kubectl is still busy."""
    health, ready = free_port(), free_port()
    (tmp_path / "Corefile").write_text(f"""\
.:0 {{
    bind 127.0.0.1
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa
}}
""")
    flags = ("-conf", tmp_path / "Corefile", "--manifests", "-")
    async with running(*flags, stdin=subprocess.PIPE) as process:
        at = await process.listening()
        await process.write(yaml.safe_dump(web()))  # and the pipe stays open
        for name in (WEB, REVERSE, "web.nowhere.svc.cluster.local"):
            for tcp in (False, True):
                assert await answer(at, name, tcp=tcp) == "SERVFAIL"
        reply = await ask(at, WEB)
        assert [rrset.to_text().split()[3] for rrset in reply.authority] == ["SOA"]
        assert await get(ready, "/ready") == (503, "kubernetes")
        assert await get(health, "/health") == (200, "OK")
        assert not any("dig @" in line for line in process.lines)

        await process.close_input()
        await process.line("dig @127.0.0.1")
        assert await answer(at, WEB) == "10.96.0.1"
        assert await answer(at, REVERSE, "PTR") == f"{WEB}."
        assert await answer(at, "web.nowhere.svc.cluster.local") == "NXDOMAIN"
        assert await get(ready, "/ready") == (200, "OK")
        assert await get(health, "/health") == (200, "OK")


async def test_pages(tmp_path: Path) -> None:
    async with served(tmp_path, write(tmp_path / "objects.yaml", [web()])) as server:
        assert await get(server.health, "/health") == (200, "OK")
        assert await get(server.ready, "/ready") == (200, "OK")
        assert (await get(server.health, "/ready"))[0] == 404
        server.app.lifecycle.leaving.set()
        assert await get(server.ready, "/ready") == (503, "Shutting down")
        assert await get(server.health, "/health") == (200, "OK")
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_answers_while_much_is_loaded(tmp_path: Path) -> None:
    """A query is answered, if only with SERVFAIL, long before the last object is read."""
    objects = [service("shop", f"web-{n}", f"10.97.{n >> 8}.{n & 255}") for n in range(3000)]
    async with started(tmp_path, write(tmp_path / "objects.yaml", objects)) as server:
        first = await answer(server.at, "web-2999.shop.svc.cluster.local")
        assert first == "SERVFAIL"
        assert not server.app.lifecycle.ready.is_set()
        await server.synced()
        assert await answer(server.at, "web-2999.shop.svc.cluster.local") == "10.97.11.183"


async def test_manifests_without_kubernetes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(tmp_path, "nowhere", corefile=".:0 {\n    whoami\n}\n") as server:
        await server.synced()
        assert (await ask(server.at, "example.org")).additional
    assert "nobody reads them" in caplog.text


@needs_dig
async def test_dig_sees_the_servfail(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(
        ".:0 {\n    bind 127.0.0.1\n    kubernetes cluster.local\n}\n"
    )
    flags = ("-conf", tmp_path / "Corefile", "--manifests", "-")
    async with running(*flags, stdin=subprocess.PIPE) as process:
        at = await process.listening()
        for transport in ("+notcp", "+tcp"):
            assert await dig(at, transport, WEB) == ""
        await process.write(yaml.safe_dump(web()))
        await process.close_input()
        await becomes("10.96.0.1", lambda: dig(at, WEB))
