"""Who we are to the API server, and what we ask of it."""

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.events import Kind
from tests.objects import port, service
from tests.realapi.admin import Admin, Refused, running_pod
from tests.realapi.control_plane import ControlPlane
from tests.realapi.dns_server import Dns, all_true, dns_following, dns_starting
from tests.realapi.proxy import proxied
from tests.realapi.waiting import until
from tests.scenarios.processes import ROOT
from tests.scenarios.servers import started
from tests.truth import owner_name

HTTP = port(80, "http")
ACCOUNT = ("kube-system", "coredns")
# What kubeadm grants; `endpoints` are in it for older servers.
ROLE = {
    ("", "endpoints"): {"list", "watch"},
    ("", "services"): {"list", "watch"},
    ("", "pods"): {"list", "watch"},
    ("", "namespaces"): {"list", "watch"},
    ("discovery.k8s.io", "endpointslices"): {"list", "watch"},
}
NEEDED = {("", "services"), ("", "namespaces"), ("discovery.k8s.io", "endpointslices")}


def deployed(*kinds: str) -> list[dict[str, Any]]:
    """These objects of the manifests that people apply."""
    text = (ROOT / "deploy" / "clusterdns.yaml").read_text()
    return [obj for obj in yaml.safe_load_all(text) if obj["kind"] in kinds]


@pytest.fixture
async def account(admin: Admin) -> tuple[str, str]:
    """The service account of our manifests, with its role."""
    for obj in deployed("ServiceAccount", "ClusterRole", "ClusterRoleBinding"):
        with contextlib.suppress(Refused):  # an earlier test has made it
            await admin.create(obj)
    return ACCOUNT


def test_the_role_is_the_one_of_kubeadm() -> None:
    (role,) = deployed("ClusterRole")
    assert role["metadata"]["name"] == "system:coredns"
    granted: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    assert granted == ROLE


def audited(cluster: ControlPlane, since: int) -> set[tuple[str, str, str, int]]:
    """(group, resource, verb, status) of what our account has asked for."""
    found = set()
    for event in cluster.audited()[since:]:
        of: Any = event.get("objectRef") or {}
        code: Any = event.get("responseStatus") or {}
        asked = of.get("apiGroup", ""), of.get("resource", str(event["requestURI"]))
        found.add((*asked, str(event["verb"]), int(code.get("code", 0))))
    return found


@pytest.mark.parametrize("options", ["", "pods insecure", "pods verified", "noendpoints"])
async def test_nothing_but_what_the_role_grants_is_asked_for(
    cluster: ControlPlane,
    admin: Admin,
    account: tuple[str, str],
    space: str,
    tmp_path: Path,
    options: str,
) -> None:
    """By the audit log of the API server: list and watch, of what the options need."""
    since = len(cluster.audited())
    token = await admin.token(*account)
    async with dns_following(cluster, tmp_path, options, user={"token": token}) as dns:
        await admin.make(
            {**service(space, "web"), "spec": {"ports": [HTTP]}},
            running_pod(space, "web-0", ["10.1.0.1"]),
        )
        address = (await admin.get("Service", space, "web"))["spec"]["clusterIP"]
        await dns.until(owner_name(space, "web"), "A", address)
    asked = audited(cluster, since)
    assert {status for *_, status in asked} == {200}
    assert {verb for _, _, verb, _ in asked} <= {"list", "watch"}
    needed = NEEDED - ({("discovery.k8s.io", "endpointslices")} if "noend" in options else set())
    needed |= {("", "pods")} if "verified" in options else set()
    assert {(group, resource) for group, resource, _, _ in asked} == needed


async def test_a_role_that_lacks_something(
    cluster: ControlPlane,
    admin: Admin,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is forbidden is named, and once it is granted the server gets ready by itself."""
    part = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "part"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]}
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "part"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "part"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "kube-system"}],
    }
    await admin.make(part, binding)
    token = await admin.token("kube-system", "default")
    async with dns_starting(cluster, tmp_path, user={"token": token}) as dns:
        await failed(dns, "EndpointSlice", 3)
        assert dns.figures["Service"].synced
        assert await dns.answer(owner_name("default", "nowhere")) == "SERVFAIL"
        said = [record.getMessage() for record in caplog.records if "403" in record.getMessage()]
        assert len(said) == 1
        assert "endpointslices" in said[0]
        assert "is forbidden" in said[0]
        rules = [
            *part["rules"],
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": ["list", "watch"],
            },
        ]
        await admin.patch("ClusterRole", "", "part", {"rules": rules})
        await dns.server.synced()
        await all_true(dns, admin)


async def secret(admin: Admin, space: str, name: str) -> dict[str, Any]:
    """Something that a token can be bound to, and dies with."""
    metadata = {"namespace": space, "name": name}
    return await admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})


async def until_refused(admin: Admin, token: str) -> None:
    await until(
        "the end of a token", lambda: admin.status_with(token, "/api/v1/services?limit=1"), 401
    )


async def failed(dns: Dns, kind: Kind, times: int) -> None:
    """Waits until so many more requests have failed."""
    end = dns.figures[kind].reconnects + times

    async def so_often() -> bool:
        return dns.figures[kind].reconnects >= end

    await until(f"{times} failures of {kind}", so_often, True)


async def rotated(
    cluster: ControlPlane, admin: Admin, dns: Dns, space: str, write: Any, way: Any, old: str
) -> None:
    """The token on disk is replaced, the old one dies, all connections break: we go on."""
    write(await admin.token(*ACCOUNT))
    await admin.delete("Secret", "kube-system", "first")
    await until_refused(admin, old)
    way.cut()
    await admin.make({**service(space, "web"), "spec": {"ports": [HTTP]}})
    await all_true(dns, admin)
    assert sum(figures.relists for figures in dns.figures.values()) == 0


async def test_a_token_file_is_replaced(
    cluster: ControlPlane,
    admin: Admin,
    account: tuple[str, str],
    space: str,
    tmp_path: Path,
) -> None:
    first = await secret(admin, account[0], "first")
    old = await admin.token(*account, bound_to=first)
    file = tmp_path / "token"
    file.write_text(old)
    async with (
        proxied(cluster.port) as way,
        dns_following(cluster, tmp_path, port=way.port, user={"tokenFile": str(file)}) as dns,
    ):
        await rotated(cluster, admin, dns, space, file.write_text, way, old)
        file.write_text("nonsense")  # and what nobody hopes for: a token that is worth nothing
        way.cut()
        await failed(dns, "Service", 4)
        await admin.delete("Service", space, "web")
        assert await dns.answer(owner_name(space, "web")) != "SERVFAIL"
        file.write_text(await admin.token(*account))
        await all_true(dns, admin)


async def test_a_service_account_as_kubelet_mounts_it(
    cluster: ControlPlane,
    admin: Admin,
    account: tuple[str, str],
    space: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Links to links, swapped at once."""
    first = await secret(admin, account[0], "first")
    old = await admin.token(*account, bound_to=first)
    folder = tmp_path / "serviceaccount"
    folder.mkdir()

    def write(token: str) -> None:
        version = folder / f"..{abs(hash(token))}"
        version.mkdir()
        (version / "token").write_text(token)
        (version / "ca.crt").write_text(cluster.ca.read_text())
        (folder / "..new").symlink_to(version.name)
        os.rename(folder / "..new", folder / "..data")

    write(old)
    for name in ("token", "ca.crt"):
        (folder / name).symlink_to(f"..data/{name}")
    async with proxied(cluster.port) as way:
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(way.port)}
        options = partial(ApiOptions, service_account=folder, environ=environ)
        monkeypatch.setattr("clusterdns.plugins.kubernetes.options.ApiOptions", options)
        corefile = ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa ip6.arpa\n}\n"
        async with started(tmp_path, corefile=corefile) as server:
            dns = Dns(server)
            await server.synced()
            await all_true(dns, admin)
            await rotated(cluster, admin, dns, space, write, way, old)
