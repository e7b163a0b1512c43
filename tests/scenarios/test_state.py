"""A server whose API is away: it answers from what it knew, until that is back."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dns.asyncquery
import dns.edns
import dns.message
import dns.rcode
import pytest

from clusterdns.metrics import api_lag, dns_programming_duration, event_to_answer
from tests.apiserver.server import ApiServer
from tests.objects import endpoint, endpoint_slice, namespace, port, service
from tests.ports import free_port
from tests.scenarios.asking import TIMEOUT_S, At, answer, becomes, get
from tests.scenarios.processes import Process, running
from tests.scenarios.servers import served, started, write

HTTP = [port(80, "http")]
SHOP = [
    namespace("shop"),
    service("shop", "web", "10.96.0.1", HTTP),
    service("shop", "gone", "10.96.0.2", HTTP),
    service("shop", "moved", "10.96.0.3", HTTP),
    service("shop", "db"),
    endpoint_slice("shop", "db", [endpoint("10.1.0.1", hostname="db-0")], HTTP),
]
Z = "shop.svc.cluster.local"
WEB = f"web.{Z}"
LEAVES = ("-drain", "0s")  # at once when it is told


class Reply(NamedTuple):
    """An answer, its TTL and the code of its extended error; None for what it lacks."""

    text: str
    ttl: int | None
    error: int | None


class Running(NamedTuple):
    process: Process
    at: At
    ready: int


async def told(at: At, name: str, qtype: str = "A", edns: bool = True) -> Reply:
    query = dns.message.make_query(name, qtype, use_edns=0 if edns else -1)
    reply = await dns.asyncquery.udp(query, at.address, TIMEOUT_S, at.port)
    records = [*reply.answer, *reply.authority]
    text = dns.rcode.to_text(reply.rcode())
    if not reply.rcode():
        text = " ".join(sorted(str(each) for rrset in reply.answer for each in rrset)) or "NODATA"
    errors = [each.code for each in reply.options if isinstance(each, dns.edns.EDEOption)]
    return Reply(text, records[0].ttl if records else None, int(errors[0]) if errors else None)


# `clusterdns` that writes its state after 50 ms without a change, not 2 s.
BRISK = """
import functools, sys
from clusterdns.cluster import schedule, state
state.Pace = functools.partial(schedule.Pace, quiet=0.05)
from clusterdns.cli import main
sys.exit(main())
"""


@asynccontextmanager
async def serving(
    folder: Path, api: ApiServer, *flags: str, brisk: bool = True
) -> AsyncIterator[Running]:
    """A process that follows the API server, wherever that is, with its state in the folder."""
    ready = free_port()
    (folder / "Corefile").write_text(f"""\
.:0 {{
    bind 127.0.0.1
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa {{
        endpoint {api.url}
        ttl 30
    }}
}}
""")
    program = ("-c", BRISK) if brisk else ("-m", "clusterdns")
    words = ("-conf", folder / "Corefile", "-state", folder / "state")
    async with running(*program, *words, *flags, program=sys.executable) as process:
        yield Running(process, await process.listening(), ready)


async def written(folder: Path, newer_than: int = 0) -> int:
    """When the state was written last (st_mtime_ns), waited for."""

    async def now() -> str:
        files = list((folder / "state").glob("*.state"))
        return str(bool(files and files[0].stat().st_mtime_ns > newer_than))

    await becomes("True", now, within_s=20)
    return state_file(folder).stat().st_mtime_ns


def state_file(folder: Path) -> Path:
    (file,) = (folder / "state").glob("*.state")
    return file


async def test_killed_and_started_again_without_its_api(tmp_path: Path) -> None:
    async with ApiServer(SHOP) as api, serving(tmp_path, api) as server:
        await server.process.line("dig @")
        assert await told(server.at, WEB) == Reply("10.96.0.1", 30, None)
        await written(tmp_path)
        server.process.send(signal.SIGKILL)
        await server.process.exit_code()
    api.store.delete("Service", "shop", "gone")
    api.store.put(service("shop", "moved", "10.96.0.33", HTTP))
    api.store.put(service("shop", "new", "10.96.0.4", HTTP))

    began = time.monotonic()
    async with serving(tmp_path, api) as server:
        line = await server.process.line("state: answering from 6 objects")
        assert time.monotonic() - began < 10  # 0.6 s on an idle machine
        assert "until the API is listed" in line
        at = server.at
        for _ in range(2):  # the second time from the finished answers
            assert await told(at, WEB) == Reply("10.96.0.1", 5, 3)
            assert await told(at, WEB, edns=False) == Reply("10.96.0.1", 5, None)
            assert await told(at, WEB, "AAAA") == Reply("NODATA", 5, 3)
            assert await told(at, f"db-0.db.{Z}") == Reply("10.1.0.1", 5, 3)
            assert await told(at, f"_http._tcp.db.{Z}", "SRV") == Reply(
                f"0 100 80 db-0.db.{Z}.", 5, 3
            )
            assert await told(at, "1.0.96.10.in-addr.arpa", "PTR") == Reply(f"{WEB}.", 5, 3)
            assert await told(at, f"gone.{Z}") == Reply("10.96.0.2", 5, 3)
            assert await told(at, f"new.{Z}") == Reply("SERVFAIL", 5, None)
            assert await told(at, "9.9.9.9.in-addr.arpa", "PTR") == Reply("SERVFAIL", 5, None)
        assert await get(server.ready, "/ready") == (503, "kubernetes")
        assert not any("dig @" in each for each in server.process.lines)

        enough = asyncio.Event()
        watching = asyncio.create_task(never_missing(at, enough))
        async with api:  # it is back, where it was
            await server.process.line("dig @")
            assert await told(at, f"gone.{Z}") == Reply("NXDOMAIN", 30, None)
            assert await told(at, f"new.{Z}") == Reply("10.96.0.4", 30, None)
            assert await told(at, f"moved.{Z}") == Reply("10.96.0.33", 30, None)
            assert await told(at, WEB) == Reply("10.96.0.1", 30, None)
            assert await told(at, WEB, "AAAA") == Reply("NODATA", 30, None)
            assert await told(at, "9.9.9.9.in-addr.arpa", "PTR") == Reply("NXDOMAIN", 30, None)
            assert await get(server.ready, "/ready") == (200, "OK")
            enough.set()
            assert await watching >= 2


async def never_missing(at: At, enough: asyncio.Event) -> int:
    """Asks on and on for names that exist before and after, and says how often.

    Fails at the first other answer.
    """
    rounds = 0
    while not enough.is_set():
        rounds += 1
        assert await answer(at, WEB) == "10.96.0.1"
        assert await answer(at, f"db.{Z}") == "10.1.0.1"
        assert await answer(at, f"moved.{Z}") in ("10.96.0.3", "10.96.0.33")
    return rounds


async def test_what_changed_last_is_written_at_the_end(tmp_path: Path) -> None:
    """SIGTERM right after a change: nobody waited for a quiet moment."""
    async with ApiServer(SHOP) as api, serving(tmp_path, api, *LEAVES, brisk=False) as server:
        await server.process.line("dig @")
        await written(tmp_path)
        await api.put(service("shop", "last", "10.96.0.9"))
        await becomes("10.96.0.9", lambda: answer(server.at, f"last.{Z}"))
        server.process.send(signal.SIGTERM)
        assert await server.process.exit_code() == 0
    async with serving(tmp_path, api) as server:
        await server.process.line("state: answering from 7 objects")
        assert await told(server.at, f"last.{Z}") == Reply("10.96.0.9", 5, 3)


async def test_a_state_that_was_not_listed_grows_old(tmp_path: Path) -> None:
    """A start without the API writes nothing: the age counts from when the API was heard."""
    async with ApiServer(SHOP) as api, serving(tmp_path, api) as server:
        await server.process.line("dig @")
        before = await written(tmp_path)
    async with serving(tmp_path, api, *LEAVES) as server:
        await server.process.line("state: answering from 6 objects")
        server.process.send(signal.SIGTERM)
        assert await server.process.exit_code() == 0
    assert state_file(tmp_path).stat().st_mtime_ns == before
    async with serving(tmp_path, api, "-state-max-age", "1ms") as server:
        line = await server.process.line("state: not used: ")
        assert line.endswith("s old, and at most 0 s are allowed")
        assert await told(server.at, WEB) == Reply("SERVFAIL", 30, None)


async def test_a_damaged_state(tmp_path: Path) -> None:
    async with ApiServer(SHOP) as api:
        async with serving(tmp_path, api) as server:
            await server.process.line("dig @")
            await written(tmp_path)
        octets = bytearray(state_file(tmp_path).read_bytes())
        octets[200] ^= 0x10
        state_file(tmp_path).write_bytes(octets)
        before = state_file(tmp_path).stat().st_mtime_ns
        async with serving(tmp_path, api) as server:
            line = await server.process.line("state: not used: ")
            assert "is damaged within" in line
            await server.process.line("dig @")
            assert await told(server.at, WEB) == Reply("10.96.0.1", 30, None)
            await written(tmp_path, before)  # a good one takes its place
    async with serving(tmp_path, api) as server:
        await server.process.line("state: answering from 6 objects")


async def test_manifests_have_no_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    objects = write(tmp_path / "objects.yaml", SHOP)
    async with served(tmp_path, objects, state=str(tmp_path / "state")) as server:
        assert await answer(server.at, WEB) == "10.96.0.1"
    assert "-state: nothing is kept with --manifests, the files are the state" in caplog.text
    assert not (tmp_path / "state").exists()


COREFILE = """\
.:0 {{
    bind 127.0.0.1
    kubernetes cluster.local {{
        endpoint {}
    }}
}}
"""


async def test_an_answer_that_waits_for_nothing_is_kept_until_synced(tmp_path: Path) -> None:
    """Stale answers are finished answers as well, and all of them go at once."""
    async with ApiServer(SHOP) as api:
        options: dict[str, Any] = {
            "corefile": COREFILE.format(api.url),
            "state": str(tmp_path / "state"),
        }
        async with started(tmp_path, **options) as server:
            await server.synced()
    async with started(tmp_path, **options) as server:
        await becomes("10.96.0.1", lambda: answer(server.at, WEB))
        before = server.hits
        for _ in range(3):
            assert await told(server.at, WEB) == Reply("10.96.0.1", 5, 3)
        assert server.hits >= before + 2


async def test_figures(tmp_path: Path) -> None:
    """4.7: counted for slices whose trigger time is known, by the kind of their Service."""

    def slice_of(name: str, address: str, **annotations: str) -> dict[str, Any]:
        made = endpoint_slice("shop", name, [endpoint(address)], HTTP)
        made["metadata"]["annotations"] = annotations
        return made

    def counted() -> tuple[int, int]:
        kinds = ("cluster_ip", "headless_with_selector")
        cluster_ip, headless = (dns_programming_duration.count(kind) for kind in kinds)
        return cluster_ip, headless

    key = "endpoints.kubernetes.io/last-change-trigger-time"
    async with ApiServer(SHOP) as api:
        async with started(tmp_path, corefile=COREFILE.format(api.url)) as server:
            await server.synced()
            first, events = counted(), event_to_answer.count("EndpointSlice")
            await api.put(slice_of("web", "10.1.0.7", **{key: "2026-01-01T00:00:00Z"}))
            await api.put(slice_of("nobody", "10.1.0.8", **{key: "2026-01-01T00:00:00Z"}))
            await api.put(slice_of("gone", "10.1.0.9"))
            await api.put(slice_of("moved", "10.1.0.9", **{key: "yesterday"}))
            await api.put(slice_of("db", "10.1.0.9", **{key: "2026-01-01T00:00:00.5+01:00"}))
            await becomes("10.1.0.9", lambda: answer(server.at, f"db.{Z}"))
            assert counted() == (first[0] + 1, first[1] + 1)
            assert event_to_answer.count("EndpointSlice") == events + 5
            lags = api_lag.values()
            assert lags.keys() == {("Service",), ("EndpointSlice",), ("Namespace",)}
            assert 0 <= lags["EndpointSlice",] <= lags["Service",] < 60
        assert api_lag.values() == {}
