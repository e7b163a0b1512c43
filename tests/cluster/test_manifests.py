"""Files as a source: what is there at the start, and how changes on disk become events."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from clusterdns import metrics
from clusterdns.cluster import manifest_files, manifests, streams
from clusterdns.cluster.events import Delete, Upsert
from clusterdns.cluster.manifests import Manifests
from clusterdns.cluster.model import Namespace
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError
from tests.cluster.source import World, documents, serving, world_of

EXAMPLES = Path(__file__).parents[2] / "examples"
POD = "Pod shop/{0} {{labels: {{app: web}}, status: {{podIP: 10.1.0.{1}}}}}"
HEADLESS = "Service shop/web {spec: {selector: {app: web}, clusterIP: None}}"


def service(name: str, address: str = "10.3.0.1") -> str:
    return f"Service {name} {{spec: {{clusterIP: {address}}}}}"


async def test_kinds_are_synced_once_after_everything(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(documents([service("shop/web"), "Namespace lab"]))
    async with serving(tmp_path) as world:
        assert [type(event).__name__ for event in world.events[:3]] == ["Upsert"] * 3
        assert world.synced == ["Service", "EndpointSlice", "Namespace"]
        assert world.names("Namespace") == {"shop", "lab"}


async def test_what_is_not_asked_for_is_not_said(tmp_path: Path) -> None:
    lines = [HEADLESS, POD.format("p1", 1), service("shop/api")]
    everything = await world_of(documents(lines), folder=tmp_path, selection=Selection(pods=True))
    assert everything.names("Pod") == {"shop/p1"}
    without = await world_of(
        documents(lines), folder=tmp_path, selection=Selection(endpoints=False)
    )
    assert {kind for kind, _, _ in without.objects} == {"Service", "Namespace"}


IMPORTS = """
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {namespace: shop, name: web, labels: {track: blue}}
spec: {type: ClusterSetIP, ips: [10.42.0.1], ports: [{name: http, port: 80}]}
---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {namespace: shop, name: unlabelled}
spec: {type: Headless}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: web-1, labels: {multicluster.kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.1]}]
"""


async def test_service_imports_and_their_slices(tmp_path: Path) -> None:
    """As in the API, `namespace_labels` is asked of them."""
    both = {("ServiceImport", "shop", "web"), ("EndpointSlice", "shop", "web-1")}
    chosen = Selection(endpoints=False, multicluster=True, namespace_labels="track=blue")
    world = await world_of(IMPORTS, folder=tmp_path, selection=chosen)
    assert set(world.objects) == both
    everything = await world_of(IMPORTS, folder=tmp_path, selection=Selection(multicluster=True))
    assert everything.names("ServiceImport") == {"shop/web", "shop/unlabelled"}
    without = await world_of(IMPORTS, folder=tmp_path, selection=Selection())
    assert {kind for kind, _, _ in without.objects} == {"Namespace"}


async def test_a_new_pod_is_a_new_address_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(documents([HEADLESS, service("shop/api"), POD.format("p1", 1)]))
    async with serving(tmp_path) as world:
        assert world.endpoints() == {"shop/web": {"10.1.0.1"}}
        world.events.clear()
        with file.open("a") as stream:
            stream.write("---\n" + documents([POD.format("p2", 2)]))
        await world.until(lambda world: world.endpoints() == {"shop/web": {"10.1.0.1", "10.1.0.2"}})
        assert len(world.events) == 1


async def test_the_example_of_the_second_pod(tmp_path: Path) -> None:
    """What the head of coffee-pods.yaml promises."""
    for file in EXAMPLES.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    file = tmp_path / "coffee-pods.yaml"
    async with serving(tmp_path) as world:
        assert len(world.endpoints()["shop/coffee-pods"]) == 1
        comment, mark, pod = file.read_text().partition("# ---\n")
        uncommented = "".join(line.removeprefix("# ") for line in (mark + pod).splitlines(True))
        file.write_text(comment + uncommented)
        await world.until(lambda world: len(world.endpoints()["shop/coffee-pods"]) == 2)


async def test_the_examples_have_no_faults(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(EXAMPLES) as world:
        assert caplog.messages == []
        assert world.services()["kubernetes"].cluster_ips == (bytes((10, 96, 0, 1)),)
        assert world.services()["kube-dns"].cluster_ips == (bytes((10, 96, 0, 10)),)
        assert world.endpoints()["shop/tea"] == {
            "10.244.1.20 tea-0 http:8080/tcp",
            "10.244.2.21 tea-1 http:8080/tcp",
        }
    async with serving(EXAMPLES / "real-cluster"):
        assert caplog.messages == []


async def test_files_come_change_and_go(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(documents([service("shop/a")]))
    (tmp_path / "notes.txt").write_text(documents([service("shop/no")]))
    (tmp_path / ".hidden.yaml").write_text(documents([service("shop/no")]))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.yaml").write_text(documents([service("shop/no")]))
    async with serving(tmp_path) as world:
        assert world.names("Service") == {"shop/a"}
        (tmp_path / "b.json").write_text(
            '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b", "namespace": "lab"},'
            ' "spec": {"clusterIP": "10.3.0.2"}}'
        )
        await world.until(lambda world: world.names("Service") == {"shop/a", "lab/b"})
        assert world.names("Namespace") == {"shop", "lab"}
        (tmp_path / "a.yaml").unlink()
        await world.until(lambda world: world.names("Service") == {"lab/b"})
        assert world.names("Namespace") == {"lab"}


async def test_an_editor_that_renames_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(documents([service("shop/a")]))
    async with serving(file) as world:
        for name in ("shop/b", "shop/c"):
            new = tmp_path / "a.yaml~"
            new.write_text(documents([service(name)]))
            new.replace(file)
            await world.until(lambda world, name=name: world.names("Service") == {name})  # type: ignore[misc]  # bound at once


async def test_a_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "a.yaml"
    file.parent.mkdir()
    file.write_text(documents([service("shop/a")]))
    async with serving(file.parent) as world:
        shutil.rmtree(file.parent)
        await world.until(lambda world: not world.objects)
        file.parent.mkdir()
        await asyncio.sleep(0)
        file.write_text(documents([service("shop/b")]))
        await world.until(lambda world: world.names("Service") == {"shop/b"})
        file.write_text(documents([service("shop/c")]))
        await world.until(lambda world: world.names("Service") == {"shop/c"})


@pytest.mark.parametrize("path", ["", "web.yaml"], ids=["directory", "file"])
async def test_a_config_map(path: str, tmp_path: Path) -> None:
    """The kubelet puts files into a directory of their own and swaps a link to it."""

    def swap(version: str, text: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "web.yaml").write_text(text)
        (tmp_path / "..new").symlink_to(version)
        (tmp_path / "..new").replace(tmp_path / "..data")

    swap("..1", documents([service("shop/a")]))
    (tmp_path / "web.yaml").symlink_to("..data/web.yaml")
    async with serving(tmp_path / path) as world:
        assert world.names("Service") == {"shop/a"}
        for version, name in (("..2", "shop/b"), ("..3", "shop/c")):
            old = (tmp_path / "..data").resolve()
            swap(version, documents([service(name)]))
            shutil.rmtree(old)
            await world.until(lambda world, name=name: world.names("Service") == {name})  # type: ignore[misc]  # bound at once


GOOD = [service("shop/a"), service("shop/b", "10.3.0.2")]
FAULTS = {
    "a field": (
        [service("shop/a", "10.3.0.9"), "Service shop/b {spec: {ports: [{port: http}]}}"],
        {"shop/a", "shop/b"},
        "web.yaml:3:1: document 2: Service shop/b: spec.ports[0].port: expected `int`, got `str`",
    ),
    "no name": (
        [service("shop/a", "10.3.0.9"), "Service shop/ {spec: {clusterIP: 10.3.0.2}}"],
        {"shop/a", "shop/b"},
        "web.yaml:3:1: document 2: Service without a name: metadata.name: "
        "expected `str`, got `null`",
    ),
    "no YAML": (
        [service("shop/a", "10.3.0.9"), "Service shop/b {[}"],
        {"shop/a", "shop/b"},
        "web.yaml:3:72: document 2: did not find expected node content",
    ),
    "no object": (
        [service("shop/a", "10.3.0.9"), "Service shop/b {}}"],
        {"shop/a", "shop/b"},
        "web.yaml:3:72: document 2: did not find expected <document start>",
    ),
    "an unknown kind": (
        [service("shop/a", "10.3.0.9"), "Servce shop/b"],
        {"shop/a"},
        "web.yaml:3:1: document 2: Servce shop/b: unknown kind v1 Servce",
    ),
    "D19": (
        [service("shop/a", "10.3.0.9"), "Service shop/b {spec: {ports: [{port: 80}]}}"],
        {"shop/a"},
        "web.yaml:3:1: document 2: Service shop/b has no clusterIP",
    ),
}


@pytest.mark.parametrize(("lines", "left", "message"), FAULTS.values(), ids=FAULTS)
async def test_what_cannot_be_read_stays_as_it_was(
    lines: list[str],
    left: set[str],
    message: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(documents(GOOD))
    async with serving(file) as world:
        for _ in range(2):  # said and counted once, however often the file is read
            skipped = metrics.skipped_objects.total()
            file.write_text(documents(lines))
            # Not at once: what a file says may come in several turns.
            await world.until(
                lambda world: (
                    world.services()["a"].cluster_ips == (bytes((10, 3, 0, 9)),)
                    and world.names("Service") == left
                )
            )
            lines = [lines[0].replace("10.3.0.9", "10.3.0.8"), lines[1]]
            file.write_text(documents(lines))
            await world.until(
                lambda world: world.services()["a"].cluster_ips == (bytes((10, 3, 0, 8)),)
            )
            assert caplog.messages == [f"skipped: {tmp_path}/{message}"]
            assert metrics.skipped_objects.total() == skipped + 1
            caplog.clear()
            file.write_text(documents(GOOD))
            await world.until(lambda world: world.names("Service") == {"shop/a", "shop/b"})
            await world.until(
                lambda world: world.services()["a"].cluster_ips == (bytes((10, 3, 0, 1)),)
            )
            lines = [lines[0].replace("10.3.0.8", "10.3.0.9"), lines[1]]


async def test_a_file_that_cannot_be_opened_keeps_what_it_held(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(documents(GOOD))
    async with serving(tmp_path) as world:
        broken = OSError(13, "Permission denied")

        def refuse(*_: object) -> None:
            raise broken

        monkeypatch.setattr(manifests, "open", refuse, raising=False)
        os.utime(file, (1, 1))
        (tmp_path / "other.txt").touch()
        async with asyncio.timeout(5):
            while not caplog.messages:  # noqa: ASYNC110  # a log has no event to wait for
                await asyncio.sleep(0.01)
        assert caplog.messages == [f"skipped: {file}: Permission denied"]
        assert world.names("Service") == {"shop/a", "shop/b"}


async def test_the_last_file_counts_and_its_end_brings_the_other_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for file, address in (("a.yaml", "10.3.0.1"), ("b.yaml", "10.3.0.2"), ("c.yaml", "10.3.0.3")):
        (tmp_path / file).write_text(documents([service("shop/web", address)]))
    (tmp_path / "a.yaml").rename(tmp_path / "z.yaml")

    def is_at(last: int) -> bool:
        return world.services()["web"].cluster_ips == (bytes((10, 3, 0, last)),)

    async with serving(tmp_path / "z.yaml", tmp_path / "c.yaml", tmp_path / "b.yaml") as world:
        assert is_at(2)
        assert [message.split("document")[1] for message in caplog.messages] == [
            f" 1: Service shop/web is in {tmp_path}/z.yaml too, the last file's counts",
            f" 1: Service shop/web is in {tmp_path}/c.yaml too, the last file's counts",
        ]
        (tmp_path / "c.yaml").write_text(documents([service("shop/web", "10.3.0.4")]))
        (tmp_path / "b.yaml").unlink()
        await world.until(lambda _: is_at(4))
        (tmp_path / "c.yaml").unlink()
        await world.until(lambda _: is_at(1))
        (tmp_path / "z.yaml").unlink()
        await world.until(lambda world: not world.objects)


async def test_an_object_that_is_in_a_file_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [service("shop/web", "10.3.0.1"), service("shop/web", "10.3.0.2")]
    world = await world_of(documents(lines), folder=tmp_path)
    assert world.services()["web"].cluster_ips == (bytes((10, 3, 0, 2)),)
    assert caplog.messages == [
        f"skipped: {tmp_path}/0.yaml:3:1: document 2: "
        "Service shop/web is in this file twice, the last one counts"
    ]


async def test_namespaces_exist_while_anything_lives_in_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        "ConfigMap lab/settings",
        "Deployment bar/coffee",
        "ClusterRole reader",
        "Service unnamed {spec: {clusterIP: None}}",
        "Namespace empty",
    ]
    (tmp_path / "a.yaml").write_text(documents(lines))
    async with serving(tmp_path) as world:
        assert world.names("Namespace") == {"lab", "bar", "default", "empty"}
        assert world.names("Service") == {"default/unnamed"}
        assert caplog.messages == []
        world.events.clear()
        (tmp_path / "b.yaml").write_text(documents(["Namespace lab", "Pod bar/p"]))
        (tmp_path / "a.yaml").unlink()
        await world.until(lambda world: world.names("Namespace") == {"lab", "bar"})
        assert Upsert(Namespace("lab")) not in world.events
        assert Delete("Namespace", "", "lab") not in world.events


async def test_label_selectors(tmp_path: Path) -> None:
    lines = [
        "Namespace shop {labels: {team: drinks}}",
        "Namespace lab",
        "Service shop/web {labels: {dns: show}, spec: {selector: {app: web}, clusterIP: None}}",
        HEADLESS.replace("shop/web", "lab/other"),
        "Service old/web {labels: {dns: show}, spec: {clusterIP: None}}",
        POD.format("p1", 1),
        POD.format("p1", 1).replace("shop", "lab"),
        "EndpointSlice shop/x {labels: {kubernetes.io/service-name: no}, endpoints: []}",
    ]
    selection = Selection(labels="dns=show", namespace_labels="team in (drinks)", pods=True)
    world = await world_of(documents(lines), folder=tmp_path, selection=selection)
    assert world.names("Namespace") == {"shop"}
    assert world.names("Service") == {"shop/web", "old/web"}
    assert world.endpoints() == {"shop/web": {"10.1.0.1"}}  # the pod needs no label for that
    assert world.names("EndpointSlice") == {"shop/web/0"}
    assert world.names("Pod") == set()


async def test_slices_outside_of_the_selection_are_slices_nevertheless(tmp_path: Path) -> None:
    lines = [
        "Service shop/web {labels: {dns: show}, spec: {selector: {app: web}, clusterIP: None}}",
        "EndpointSlice shop/x {labels: {kubernetes.io/service-name: web}, endpoints: []}",
        POD.format("p1", 1),
    ]
    selection = Selection(labels="dns=show")
    world = await world_of(documents(lines), folder=tmp_path, selection=selection)
    assert world.endpoints() == {}


async def test_namespaces_that_nobody_declared_have_the_label_of_their_name(tmp_path: Path) -> None:
    selection = Selection(namespace_labels="kubernetes.io/metadata.name=shop")
    lines = [service("shop/a"), service("lab/a"), "Namespace lab", "Namespace shop"]
    for some in (lines[:2], lines):
        world = await world_of(documents(some), folder=tmp_path, selection=selection)
        assert world.names("Namespace") == {"shop"}


async def test_a_pod_that_terminates_keeps_its_record(tmp_path: Path) -> None:
    """5.3, 7.5.4: unless it did so when it was first seen."""
    file = tmp_path / "a.yaml"
    ending = documents([POD.format("p1", 1)]).replace(
        "name: p1", "name: p1, deletionTimestamp: '2026-01-01T00:00:00Z'"
    )
    file.write_text(ending)
    async with serving(file, selection=Selection(pods=True)) as world:
        assert world.names("Pod") == set()
        file.write_text(documents([POD.format("p1", 1)]))
        await world.until(lambda world: world.names("Pod") == {"shop/p1"})
        file.write_text(ending + "---\n" + documents([service("shop/a")]))
        await world.until(lambda world: world.names("Service"))
        assert world.names("Pod") == {"shop/p1"}
        file.write_text(documents([service("shop/a")]))
        await world.until(lambda world: world.names("Pod") == set())


@pytest.mark.parametrize("by", ["standard input", "a pipe"])
async def test_pipes_are_read_once(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.pipe()
    path = f"/proc/self/fd/{ours}"
    if by == "standard input":
        path = "-"
        monkeypatch.setattr(streams, "STANDARD_INPUT_FD", ours)
    (tmp_path / "b.yaml").write_text(documents([service("lab/b")]))
    world, stopping = World(), asyncio.Event()
    serving = asyncio.create_task(
        Manifests([path, str(tmp_path)], Selection()).serve(stopping, world.sink)
    )
    try:
        await world.until(lambda world: world.names("Service") == {"lab/b"})
        assert world.synced == []  # not before the pipe has ended
        with os.fdopen(theirs, "w") as pipe:
            pipe.write(documents([service("shop/a")]))
        await world.until(lambda world: len(world.synced) == 3)
        assert world.names("Service") == {"lab/b", "shop/a"}
    finally:
        stopping.set()
        await serving
        os.close(ours)


async def test_stops_while_a_pipe_is_still_open() -> None:
    ours, theirs = os.pipe()
    stopping = asyncio.Event()
    source = Manifests([f"/proc/self/fd/{ours}"], Selection())
    serving = asyncio.create_task(source.serve(stopping, World().sink))
    await asyncio.sleep(0)
    stopping.set()
    await asyncio.wait_for(serving, 5)
    os.close(theirs)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="/none: no such file or directory"):
        Manifests([str(tmp_path), f"{tmp_path}/none"], Selection())


async def test_others_have_their_turns_while_a_big_file_is_read(tmp_path: Path) -> None:
    slices = (
        f"EndpointSlice ns-{number % 10}/x-{number} {{labels: {{kubernetes.io/service-name: x}}, "
        f"endpoints: [{{addresses: [10.0.{number // 256}.{number % 256}]}}]}}"
        for number in range(1000)
    )
    (tmp_path / "a.yaml").write_text(documents(slices))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    async with serving(tmp_path) as world:
        assert turns > 20  # it takes 100 ms and more, in pieces of 2 ms
        counting.cancel()
        assert len(world.names("EndpointSlice")) == 1000


async def test_a_system_that_cannot_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("watchfiles.awatch", refuse)
    monkeypatch.setattr(manifests, "RETRY_S", 0.01)
    (tmp_path / "a.yaml").write_text(documents([service("shop/a")]))
    async with serving(tmp_path) as world:
        (tmp_path / "b.yaml").write_text(documents([service("shop/b")]))
        await world.until(lambda world: world.names("Service") == {"shop/a", "shop/b"})
        assert "OS file watch limit reached" in caplog.messages[0]
        assert len(caplog.messages) == 1


def test_loops_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    files = manifest_files.Files((str(tmp_path),))
    assert list(files.present()) == []
    assert {path for path, _ in files.watched()} == {str(tmp_path), str(tmp_path.parent)}
