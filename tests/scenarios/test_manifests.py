"""Objects from files and from standard input, and what changes in them, asked over real sockets."""

import asyncio
import json
import logging
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from clusterdns.errors import SourceError
from tests.objects import Json, endpoint, endpoint_slice, pod, port, service
from tests.scenarios.asking import answer, becomes, dig, needs_dig
from tests.scenarios.processes import running
from tests.scenarios.servers import COREFILE, Server, served, started, write

WEB, DB = "web.shop.svc.cluster.local", "db.shop.svc.cluster.local"


def web(ip: str = "10.96.0.1") -> Json:
    return service("shop", "web", ip, [port(80, "http")])


def db(ip: str = "10.96.0.2") -> Json:
    return service("shop", "db", ip, [port(5432)])


def asking(server: Server, name: str, qtype: str = "A") -> Callable[[], Awaitable[str]]:
    return lambda: answer(server.at, name, qtype)


async def test_a_file(tmp_path: Path) -> None:
    file = write(tmp_path / "objects.yaml", [web()])
    async with served(tmp_path, file) as server:
        for tcp in (False, True):
            assert await answer(server.at, WEB, "A", tcp) == "10.96.0.1"
            assert await answer(server.at, WEB, "AAAA", tcp) == "NODATA"
            assert await answer(server.at, f"x.{WEB}", "A", tcp) == "NXDOMAIN"
            assert await answer(server.at, f"_http._tcp.{WEB}", "SRV", tcp) == f"0 100 80 {WEB}."
            assert await answer(server.at, "1.0.96.10.in-addr.arpa", "PTR", tcp) == f"{WEB}."
            assert await answer(server.at, "example.com", "A", tcp) == "SERVFAIL"


@needs_dig
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
async def test_a_file_for_dig(tmp_path: Path, transport: str) -> None:
    file = write(tmp_path / "objects.yaml", [web()])
    async with served(tmp_path, file) as server:
        assert await dig(server.at, transport, WEB) == "10.96.0.1"
        assert await dig(server.at, transport, f"_http._tcp.{WEB}", "SRV") == f"0 100 80 {WEB}."
        assert await dig(server.at, transport, "-x", "10.96.0.1") == f"{WEB}."


async def test_a_directory(tmp_path: Path) -> None:
    """*.yaml, *.yml and *.json; nothing hidden, nothing below."""
    folder = tmp_path / "objects"
    (folder / "below").mkdir(parents=True)
    write(folder / "web.yaml", [web()])
    write(folder / "db.yml", [db()])
    (folder / "json.json").write_text(json.dumps(service("shop", "json", "10.96.0.3")))
    (folder / "notes.txt").write_text("no object")
    (folder / ".hidden.yaml").write_text(yaml.safe_dump(service("shop", "hidden", "10.96.0.4")))
    write(folder / "below" / "below.yaml", [service("shop", "below", "10.96.0.5")])
    async with served(tmp_path, folder) as server:
        found = {
            name: await answer(server.at, f"{name}.shop.svc.cluster.local")
            for name in ("web", "db", "json", "hidden", "below")
        }
    assert found == {
        "web": "10.96.0.1",
        "db": "10.96.0.2",
        "json": "10.96.0.3",
        "hidden": "NXDOMAIN",
        "below": "NXDOMAIN",
    }


async def test_several_paths(tmp_path: Path) -> None:
    first = write(tmp_path / "first.yaml", [web()])
    second = tmp_path / "second"
    second.mkdir()
    write(second / "db.yaml", [db()])
    async with served(tmp_path, first, second) as server:
        assert await answer(server.at, WEB) == "10.96.0.1"
        assert await answer(server.at, DB) == "10.96.0.2"


async def test_the_last_file_counts_until_it_goes(tmp_path: Path) -> None:
    first = write(tmp_path / "first.yaml", [web()])
    second = write(tmp_path / "second.yaml", [web("10.96.0.9")])
    async with served(tmp_path, first, second) as server:
        assert await answer(server.at, WEB) == "10.96.0.9"
        second.unlink()
        await becomes("10.96.0.1", asking(server, WEB))


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.yaml: no such file or directory"):
        asyncio.run(_fails_to_start(tmp_path, tmp_path / "nowhere.yaml"))


async def _fails_to_start(folder: Path, path: Path) -> None:
    async with started(folder, path):
        pass


async def test_changes_are_served_within_a_second(tmp_path: Path) -> None:
    """The best of three: what the machine does beside the test is not measured."""
    file = write(tmp_path / "objects.yaml", [web()])
    async with served(tmp_path, file) as server:
        took = []
        for ip in ("10.96.1.1", "10.96.1.2", "10.96.1.3"):
            write(file, [web(ip)])
            took.append(await becomes(ip, asking(server, WEB)))
        assert min(took) < 1.0


async def test_an_edit_touches_only_its_names(tmp_path: Path) -> None:
    """Finished answers of other names, negative ones too, are sent again after a change."""
    file = write(tmp_path / "objects.yaml", [web(), db()])
    async with served(tmp_path, file) as server:
        others = (WEB, f"missing.{WEB}", "1.0.96.10.in-addr.arpa")
        for name in (*others, DB):
            await answer(server.at, name)
        before = server.hits
        write(file, [web(), db("10.96.0.22")])
        await becomes("10.96.0.22", asking(server, DB))
        before = server.hits
        for name in others:
            await answer(server.at, name)
        assert server.hits == before + len(others)


CHANGES: dict[str, tuple[list[Json], list[Json], str, str, str]] = {
    "an object is added": ([web()], [web(), db()], DB, "NXDOMAIN", "10.96.0.2"),
    "an object is removed": ([web(), db()], [web()], DB, "10.96.0.2", "NXDOMAIN"),
    "a Service loses its address": (
        [web()],
        [service("shop", "web")],
        WEB,
        "10.96.0.1",
        "NXDOMAIN",
    ),
    "a second pod appears": (
        [
            service("shop", "web", selector={"app": "web"}),
            pod("shop", "a", "10.1.0.1", labels={"app": "web"}),
        ],
        [
            service("shop", "web", selector={"app": "web"}),
            pod("shop", "a", "10.1.0.1", labels={"app": "web"}),
            pod("shop", "b", "10.1.0.2", labels={"app": "web"}),
        ],
        WEB,
        "10.1.0.1",
        "10.1.0.1 10.1.0.2",
    ),
    "an endpoint is not ready any more": (
        [service("shop", "web"), endpoint_slice("shop", "web", [endpoint("10.1.0.1")])],
        [
            service("shop", "web"),
            endpoint_slice("shop", "web", [endpoint("10.1.0.1", ready=False)]),
        ],
        WEB,
        "10.1.0.1",
        "NXDOMAIN",
    ),
}


@pytest.mark.parametrize(("old", "new", "name", "before", "after"), CHANGES.values(), ids=CHANGES)
async def test_changes(
    tmp_path: Path, old: list[Json], new: list[Json], name: str, before: str, after: str
) -> None:
    file = write(tmp_path / "objects.yaml", old)
    async with served(tmp_path, file) as server:
        assert await answer(server.at, name) == before
        write(file, new)
        await becomes(after, asking(server, name))


async def test_files_that_come_and_go(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    folder.mkdir()
    write(folder / "web.yaml", [web()])
    async with served(tmp_path, folder) as server:
        assert await answer(server.at, DB) == "NXDOMAIN"
        write(folder / "db.yaml", [db()])
        await becomes("10.96.0.2", asking(server, DB))
        (folder / "db.yaml").unlink()
        await becomes("NXDOMAIN", asking(server, DB))
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_a_file_written_in_place(tmp_path: Path) -> None:
    """An editor that writes into the file instead of putting another in its place."""
    file = write(tmp_path / "objects.yaml", [web()])
    async with served(tmp_path, file) as server:
        file.write_text(yaml.safe_dump(web("10.96.0.7")))
        await becomes("10.96.0.7", asking(server, WEB))


async def test_a_bad_document(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is skipped and named; what was known of its object stays, others change."""
    file = write(tmp_path / "objects.yaml", [web(), db()])
    bad = web("10.96.0.300")
    async with served(tmp_path, file) as server:
        with caplog.at_level(logging.WARNING):
            write(file, [bad, db("10.96.0.22")])
            await becomes("10.96.0.22", asking(server, DB))
        assert await answer(server.at, WEB) == "10.96.0.1"
        said = [record.getMessage() for record in caplog.records if "skipped" in record.message]
        assert len(said) == 1
        assert f"skipped: {file}:1:1: document 1: " in said[0]
        assert "10.96.0.300" in said[0]
        write(file, [web("10.96.0.3"), db("10.96.0.22")])
        await becomes("10.96.0.3", asking(server, WEB))


async def test_a_file_that_is_no_yaml(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write(tmp_path / "objects.yaml", [web()])
    async with served(tmp_path, file) as server:
        with caplog.at_level(logging.WARNING):
            file.write_text(f"{yaml.safe_dump(db())}---\n{{ never closed\n")
            await becomes("10.96.0.2", asking(server, DB))
        assert await answer(server.at, WEB) == "10.96.0.1"
        assert any(f"skipped: {file}:" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("form", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
async def test_standard_input(tmp_path: Path, form: Callable[[object], str]) -> None:
    """What `kubectl get svc,endpointslices,pods,ns -A -o yaml` prints: a List."""
    headless = service("shop", "db", ports=[port(5432, "sql")])
    piece = endpoint_slice(
        "shop", "db", [endpoint("10.1.0.1", hostname="db-0")], [port(5432, "sql")]
    )
    items = [web(), headless, piece, pod("shop", "db-0", "10.1.0.1")]
    (tmp_path / "Corefile").write_text(COREFILE)
    flags = ("-conf", tmp_path / "Corefile", "--manifests", "-")
    async with running(*flags, stdin=subprocess.PIPE) as process:
        await process.write(form({"apiVersion": "v1", "kind": "List", "items": items}))
        await process.close_input()
        at = await process.listening()
        await process.line("dig @127.0.0.1")
        assert await answer(at, WEB) == "10.96.0.1"
        assert await answer(at, f"_sql._tcp.{DB}", "SRV") == f"0 100 5432 db-0.{DB}."
        assert await answer(at, f"db-0.{DB}") == "10.1.0.1"


async def test_standard_input_for_two_selections(tmp_path: Path) -> None:
    """Two blocks that need different objects of the same pipe each get all of it."""
    corefile = """
.:0 {
    bind 127.0.0.1
    kubernetes cluster.local
}
other.local:0 {
    bind 127.0.0.1
    kubernetes other.local {
        pods verified
    }
}
"""
    (tmp_path / "Corefile").write_text(corefile)
    objects = [service("shop", f"web-{n}", f"10.96.1.{n}") for n in range(200)]
    flags = ("-conf", tmp_path / "Corefile", "--manifests", "-")
    async with running(*flags, stdin=subprocess.PIPE) as process:
        await process.write(yaml.safe_dump_all(objects))
        await process.close_input()
        at = await process.listening()
        await process.line("dig @127.0.0.1")
        for n in (0, 199):
            for zone in ("cluster.local", "other.local"):
                assert await answer(at, f"web-{n}.shop.svc.{zone}") == f"10.96.1.{n}"
