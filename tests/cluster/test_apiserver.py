"""The driver: requests as they arrive at a server, credentials, limits and turns."""

import asyncio
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterdns import __version__, metrics
from clusterdns.cluster.apiserver import ApiServer
from clusterdns.cluster.client import Connection
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.requests import Request
from clusterdns.cluster.selection import Selection
from clusterdns.errors import ConfigError
from tests.apiserver.faults import Call, Fault
from tests.apiserver.server import ApiServer as Simulated
from tests.cluster.following import QUICK, following, truth
from tests.objects import namespace, random_cluster, service
from tests.streams import Streams

PKI = Path(__file__).parent / "pki"
CLUSTER = [namespace("shop"), service("shop", "web", "10.0.0.1")]
RESOURCES = {
    "default": (Selection(), {"services", "endpointslices", "namespaces"}),
    "noendpoints": (Selection(endpoints=False), {"services", "namespaces"}),
    "pods verified": (
        Selection(pods=True),
        {"services", "endpointslices", "namespaces", "pods"},
    ),
}


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "pages"])
@pytest.mark.parametrize(("selection", "resources"), RESOURCES.values(), ids=RESOURCES)
async def test_nothing_but_list_and_watch(
    selection: Selection, resources: set[str], streams: bool
) -> None:
    async with Simulated(CLUSTER, streaming_lists=streams) as api:
        async with following(api.url, selection) as view:
            await view.until_synced()
            await view.until_true(api)
        assert {call.resource for call in api.calls} == resources
        assert {call.verb for call in api.calls} <= {"list", "watch"}
        for call in api.calls:
            assert call.headers["User-Agent"].startswith(f"clusterdns/{__version__} (")
            assert call.headers["Accept"] == "application/json"
            assert "Authorization" not in call.headers


async def test_selectors_are_applied_by_the_server() -> None:
    labelled = service("shop", "b", "10.0.0.2", labels={"app": "b"})
    async with Simulated([*CLUSTER, labelled, namespace("other", team="x")]) as api:
        selection = Selection(labels="app in (b)", namespace_labels="team=x")
        async with following(api.url, selection) as view:
            await view.until_synced()
            assert {name for _, _, name in view.objects} == {"b", "other"}
            await api.put(service("shop", "b", "10.0.0.2"))  # the label is gone
            await view.until(lambda: {name for _, _, name in view.objects} == {"other"})


async def test_serve_ends_when_told_to() -> None:
    async with Simulated(CLUSTER) as api, following(api.url) as view:
        await view.until_synced()
    async with asyncio.timeout(1), following("http://127.0.0.1:1"):
        pass


async def test_a_connection_outlives_its_watch() -> None:
    """A watch that the server ends costs the next one no handshake."""
    timing = replace(QUICK, watch=(1, 1), steady=0.1)
    async with (
        Simulated(CLUSTER, streaming_lists=False) as api,
        front(api) as door,
        following(f"http://127.0.0.1:{door.port}", timing=timing) as view,
    ):
        await view.until_synced()
        await view.until(lambda: api.counts["services", "watch"] >= 3)
        assert door.accepted == len(view.source.reflectors)
        assert view.source.figures["Service"].reconnects == 0
        await api.put(service("shop", "new", "10.0.0.2"))
        await view.until_true(api)


async def test_a_change_is_seen_within_milliseconds() -> None:
    async with Simulated(random_cluster(1, 200)) as api, following(api.url) as view:
        await view.until_synced()
        delays = []
        for n in range(50):
            began = time.perf_counter()
            await api.put(service("shop", f"w{n}", f"10.1.0.{n}"))
            await view.until_holds("Service", "shop", f"w{n}")
            delays.append(time.perf_counter() - began)
        assert sorted(delays)[25] < 0.05  # about 1 ms; a loaded machine may be slow


async def test_the_loop_gets_its_turn_while_everything_is_listed() -> None:
    """As many turns as it takes to hold it for a millisecond at a time, about."""
    cluster = random_cluster(1, 1000, endpoints=50)
    async with Simulated(cluster) as api, following(api.url) as view:
        await view.until_synced()
        assert len(view.sizes) > 20
        assert max(view.sizes) <= 100
        assert view.objects == truth(api, tuple(view.source.reflectors))


async def test_requests_a_second() -> None:
    async with Simulated(CLUSTER) as api:
        began = time.monotonic()
        async with following(ApiOptions(endpoint=api.url, qps=5, burst=1)) as view:
            await view.until_synced()
        assert time.monotonic() - began >= 0.4  # three kinds: one at once, two a fifth of a second


async def test_requests_are_counted_as_client_go_counts_them() -> None:
    """coredns-behaviour 4.4: verb or method, host, and the code of the answer."""
    async with Simulated(CLUSTER) as api:
        api.fault = lambda call: Fault(status=500) if call.resource == "namespaces" else None
        host = api.url.removeprefix("http://")
        async with following(api.url) as view:
            await view.until_failed(2, "Namespace")
        assert metrics.rest_requests.values["200", "GET", host] >= 2
        assert metrics.rest_requests.values["500", "GET", host] >= 2
        answered = sum(
            times for labels, times in metrics.rest_requests.values.items() if labels[2] == host
        )
        assert metrics.rest_duration.count("GET", host) == answered
        assert metrics.rest_waits.count("GET", host) > 0
    async with following(api.url) as view:
        await view.until_failed(2)
    assert metrics.rest_requests.values["<error>", "GET", host] >= 2


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "pages"])
async def test_lists_at_a_time(streams: bool) -> None:
    """One that hangs holds the others up no longer than it may take to answer."""
    async with Simulated(CLUSTER, streaming_lists=streams) as api:
        asked = []

        def hook(call: Call) -> Fault | None:
            asked.append(call.resource)
            return Fault(hang=True) if len(asked) == 1 else None

        api.fault = hook
        options = ApiOptions(endpoint=api.url, max_inflight=1)
        async with following(options, timing=replace(QUICK, answer=0.3)) as view:
            await view.until(lambda: view.source.figures["Service"].reconnects == 1)
            assert asked[:1] == ["services"]
            await view.until_synced()  # three watches are open by then
            await view.until_true(api)


class Front:
    """Passes connections on to a simulated API server, over TLS where it has a certificate."""

    def __init__(self, api: Simulated) -> None:
        self.api = api
        self.accepted = 0
        self.port = 0
        self.subjects: list[Any] = []  # of client certificates, None without one
        self._streams = Streams(self._pass)

    async def open(self, certificate: str = "", client_ca: str = "") -> None:
        """certificate: the name of one in PKI; "" for plain TCP."""
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PKI / f"{certificate}.crt", PKI / f"{certificate}.key")
        if context and client_ca:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(PKI / client_ca)
        await self._streams.open(port=self.port, tls=context)
        self.port = self._streams.port

    async def close(self) -> None:
        await self._streams.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.subjects.append(writer.get_extra_info("peercert"))
        port = int(self.api.url.rpartition(":")[2])
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, inner_writer))
                tasks.create_task(_copy(inner_reader, writer))
        finally:
            inner_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while octets := await reader.read(1 << 16):
            writer.write(octets)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.transport.abort()


@asynccontextmanager
async def front(api: Simulated, certificate: str = "", client_ca: str = "") -> AsyncIterator[Front]:
    door = Front(api)
    await door.open(certificate, client_ca)
    try:
        yield door
    finally:
        await door.close()


def demand(token: list[str], api: Simulated) -> None:
    """Has the API server answer 401 to every token but this one."""

    def hook(call: Call) -> Fault | None:
        return None if call.headers.get("Authorization") == token[0] else Fault(status=401)

    api.fault = hook


class Pod:
    """A service account as kubelet mounts it, and what a pod's environment says."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._generation = folder, 0
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        self.options = ApiOptions(service_account=folder / "data", environ=environ)

    def mount(self, token: str, ca: str = "old-ca.crt") -> None:
        self._generation += 1
        new = self._folder / str(self._generation)
        new.mkdir()
        (new / "token").write_text(token + "\n")
        (new / "ca.crt").write_bytes((PKI / ca).read_bytes())
        link = self._folder / "link"
        link.symlink_to(new)
        link.rename(self._folder / "data")


async def test_a_token_that_rotates(tmp_path: Path) -> None:
    """The new one is used as soon as it is there, and open watches stay open."""
    async with Simulated(CLUSTER) as api, front(api, "old") as door:
        pod = Pod(tmp_path, door.port)
        pod.mount("first")
        token = ["Bearer first"]
        demand(token, api)
        async with following(pod.options) as view:
            await view.until_synced()
            pod.mount("second")
            token[0] = "Bearer second"
            api.cut_watches("services")
            await api.put(service("shop", "new", "10.0.0.2"))
            await view.until_true(api)
            assert view.source.figures["Namespace"].reconnects == 0
            refused = [c for c in api.calls if c.headers.get("Authorization") not in token]
            assert all(c.headers["Authorization"] == "Bearer first" for c in refused)
            assert api.calls[-1].headers["Authorization"] == "Bearer second"


async def test_a_token_that_is_refused_until_it_is_written(tmp_path: Path) -> None:
    async with Simulated(CLUSTER) as api, front(api, "old") as door:
        pod = Pod(tmp_path, door.port)
        pod.mount("stale")
        demand(["Bearer fresh"], api)
        async with following(pod.options) as view:
            await view.until_failed(3)
            assert not view.synced
            pod.mount("fresh")
            await view.until_synced()
            await view.until_true(api)


async def test_a_ca_that_rotates(tmp_path: Path) -> None:
    async with Simulated(CLUSTER) as api, front(api, "old") as door:
        pod = Pod(tmp_path, door.port)
        pod.mount("t")
        async with following(pod.options) as view:
            await view.until_synced()
            await door.close()
            await door.open("new")  # a restarted API server with a certificate of the new CA
            await api.put(service("shop", "new", "10.0.0.2"))
            await view.until_failed(3)
            pod.mount("t", "new-ca.crt")
            await view.until_true(api)
            assert view.source.figures["Service"].relists == 0


async def test_open_watches_move_to_the_new_ca(tmp_path: Path) -> None:
    """Those of other kinds as well, and at once, though nobody cut them."""
    async with Simulated(CLUSTER) as api, front(api, "old") as door:
        pod = Pod(tmp_path, door.port)
        pod.mount("t")
        async with following(pod.options) as view:
            await view.until_synced()
            bundle = tmp_path / "bundle"
            bundle.write_bytes(
                b"".join((PKI / f"{ca}-ca.crt").read_bytes() for ca in ("old", "new"))
            )
            pod.mount("t", str(bundle))
            api.cut_watches("services")
            await view.until_failed(1, "Namespace")
            await api.put(namespace("new"))
            await view.until_true(api)
            assert view.source.figures["Namespace"].relists == 0


async def test_files_that_vanish_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulated(CLUSTER) as api, front(api, "old") as door:
        pod = Pod(tmp_path, door.port)
        pod.mount("t")
        async with following(pod.options) as view:
            await view.until_synced()
            (tmp_path / "data").rename(tmp_path / "away")
            api.cut_watches()
            await view.until_failed(3)
            (tmp_path / "away").rename(tmp_path / "data")
            await api.put(service("shop", "new", "10.0.0.2"))
            await view.until_true(api)
    assert f"{tmp_path}/data/token: No such file or directory" in caplog.text


async def test_a_server_with_a_certificate_of_another_ca(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulated(CLUSTER) as api, front(api, "new") as door:
        pod = Pod(tmp_path, door.port)
        pod.mount("t")
        async with following(pod.options) as view:
            await view.until_failed(2)
        assert not api.calls
    assert "certificate verify failed" in caplog.text.lower()


def kubeconfig(folder: Path, server: str, user: dict[str, Any], **cluster: Any) -> ApiOptions:
    content = {
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u"}},
            {"name": "wrong", "context": {"cluster": "c", "user": "nobody"}},
        ],
        "current-context": "wrong",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}, {"name": "nobody", "user": {}}],
    }
    (folder / "config").write_text(yaml.safe_dump(content))
    return ApiOptions(kubeconfig=str(folder / "config"), context="main")


async def test_kubeconfig_with_a_client_certificate(tmp_path: Path) -> None:
    async with Simulated(CLUSTER) as api, front(api, "old", "old-ca.crt") as door:
        user = {"client-certificate": str(PKI / "client.crt"), "client-key": "client.key"}
        (tmp_path / "client.key").write_bytes((PKI / "client.key").read_bytes())
        options = kubeconfig(
            tmp_path,
            f"https://localhost:{door.port}",
            user,
            **{"certificate-authority": str(PKI / "old-ca.crt")},
        )
        async with following(options) as view:
            await view.until_true(api)
        assert all("clusterdns" in str(subject) for subject in door.subjects)


async def test_endpoint_with_tls() -> None:
    async with Simulated(CLUSTER) as api, front(api, "old", "old-ca.crt") as door:
        files = (str(PKI / "client.crt"), str(PKI / "client.key"), str(PKI / "old-ca.crt"))
        options = ApiOptions(endpoint=f"https://127.0.0.1:{door.port}/", tls=files)
        async with following(options) as view:
            await view.until_true(api)
        assert all("clusterdns" in str(subject) for subject in door.subjects)


@pytest.mark.parametrize("released", [True, False], ids=["released", "closed"])
async def test_what_is_left_over_tls_is_left_at_once(released: bool) -> None:
    """Nobody waits for the other side to say goodbye: it may be mute, or we at our end."""
    async with Simulated(CLUSTER) as api, front(api, "old") as door:
        tls = ("", "", str(PKI / "old-ca.crt"))
        connection = Connection(ApiOptions(f"https://127.0.0.1:{door.port}", tls), QUICK)
        watch = Request("/api/v1/namespaces", (("watch", "true"),), lines=True, listing=False)
        response = await connection.get(watch)
        assert response.connection is not None
        assert response.connection.transport is not None
        inside = response.connection.transport.get_extra_info("socket")
        if released:
            connection.release(response)
        else:
            await connection.close()
        await asyncio.sleep(0)
        assert inside.fileno() == -1
        await connection.close()


async def test_kubeconfig_without_verification(tmp_path: Path) -> None:
    async with Simulated(CLUSTER) as api, front(api, "new") as door:
        demand(["Bearer secret"], api)
        options = kubeconfig(
            tmp_path,
            f"https://127.0.0.1:{door.port}",
            {"token": "secret"},
            **{"insecure-skip-tls-verify": True},
        )
        async with following(options) as view:
            await view.until_true(api)


async def test_kubeconfig_with_a_token_file_that_rotates(tmp_path: Path) -> None:
    async with Simulated(CLUSTER) as api:
        (tmp_path / "token").write_text("first")
        token = ["Bearer first"]
        demand(token, api)
        async with following(kubeconfig(tmp_path, api.url, {"tokenFile": "token"})) as view:
            await view.until_true(api)
            (tmp_path / "token").write_text("second")
            token[0] = "Bearer second"
            api.cut_watches()
            await api.put(service("shop", "new", "10.0.0.2"))
            await view.until_true(api)


PLUGIN = """
import datetime, json, pathlib, sys
calls = pathlib.Path({calls!r})
count = int(calls.read_text()) + 1 if calls.exists() else 1
calls.write_text(str(count))
if {fails!r} and count <= {fails!r}:
    sys.exit("not logged in")
status = {{"token": f"t{{count}}"}}
if {lives!r} is not None:
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds={lives!r} or 0)
    status["expirationTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
version = "client.authentication.k8s.io/v1"
print(json.dumps({{"apiVersion": version, "kind": "ExecCredential", "status": status}}))
"""


def plugin(folder: Path, *, fails: int = 0, lives: float | None = None) -> dict[str, Any]:
    """A user whose credentials come from a program: t1, t2 ..., one each call."""
    script = folder / "plugin.py"
    script.write_text(PLUGIN.format(calls=str(folder / "calls"), fails=fails, lives=lives))
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": [str(script)]}}


async def test_an_exec_plugin_is_asked_again_when_its_token_is_refused(tmp_path: Path) -> None:
    async with Simulated(CLUSTER) as api:
        token = ["Bearer t1"]
        demand(token, api)
        async with following(kubeconfig(tmp_path, api.url, plugin(tmp_path))) as view:
            await view.until_true(api)
            assert (tmp_path / "calls").read_text() == "1"
            token[0] = "Bearer t2"
            api.cut_watches("services")
            await api.put(service("shop", "new", "10.0.0.2"))
            await view.until_true(api)
            assert (tmp_path / "calls").read_text() == "2"


async def test_an_exec_plugin_is_asked_again_before_its_token_ends(tmp_path: Path) -> None:
    async with Simulated(CLUSTER) as api:
        options = kubeconfig(tmp_path, api.url, plugin(tmp_path, lives=30))
        async with following(options) as view:
            await view.until_synced()
            assert int((tmp_path / "calls").read_text()) == 3  # 30 s are too near its end to trust
        (tmp_path / "calls").unlink()
        options = kubeconfig(tmp_path, api.url, plugin(tmp_path, lives=3600))
        async with following(options) as view:
            await view.until_synced()
            assert (tmp_path / "calls").read_text() == "1"


async def test_an_exec_plugin_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Simulated(CLUSTER) as api:
        demand(["Bearer t3"], api)
        async with following(kubeconfig(tmp_path, api.url, plugin(tmp_path, fails=2))) as view:
            await view.until_true(api)
    assert "the exec plugin gave no credentials" in caplog.text


async def test_no_connection_can_come_of_it() -> None:
    with pytest.raises(ConfigError, match="not in a cluster"):
        ApiServer(Selection(), ApiOptions(environ={}))
