"""An administrator of the cluster under test: makes, changes and reads objects over raw HTTP."""

import asyncio
import json
import ssl
from collections.abc import Iterable
from typing import Any

import aiohttp

from tests.realapi.control_plane import NODE, ControlPlane
from tests.realapi.waiting import until
from tests.truth import Answers, Json, answers

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Service": "/api/v1/{space}services",
    "Endpoints": "/api/v1/{space}endpoints",
    "Pod": "/api/v1/{space}pods",
    "Secret": "/api/v1/{space}secrets",
    "ServiceAccount": "/api/v1/{space}serviceaccounts",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/{space}endpointslices",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}
SHOWN = ("Namespace", "Service", "EndpointSlice")  # the kinds that make names
MERGE = {"Content-Type": "application/merge-patch+json"}


class Refused(Exception):
    """The API server said no. status: the code of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status


class Admin:
    """Who may do everything."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._url, self._token = cluster.url, cluster.token
        self._context = ssl.create_default_context(cafile=str(cluster.ca))

    async def create(self, obj: Json) -> Json:
        """Gives the object as the server has made it."""
        return await self._call("POST", _path(obj["kind"], _space(obj)), obj)

    async def make(self, *objects: Json) -> None:
        """Creates all of them, those of the status too, at once."""
        await asyncio.gather(*(self._make(obj) for obj in objects))

    async def get(self, kind: str, space: str, name: str) -> Json:
        return await self._call("GET", f"{_path(kind, space)}/{name}")

    async def items(self, kind: str, space: str = "", labels: str = "") -> list[Json]:
        """space: "" for all. labels: a selector."""
        query = f"?labelSelector={labels}" if labels else ""
        found = await self._call("GET", f"{_path(kind, space)}{query}")
        return [{**item, "kind": kind} for item in found["items"]]

    async def patch(self, kind: str, space: str, name: str, change: Json, part: str = "") -> None:
        """A merge patch. part: "/status" for that."""
        await self._call("PATCH", f"{_path(kind, space)}/{name}{part}", change, MERGE)

    async def delete(self, kind: str, space: str, name: str) -> None:
        """Pods go at once, as no kubelet says that they have ended."""
        await self._call("DELETE", f"{_path(kind, space)}/{name}", {"gracePeriodSeconds": 0})

    async def token(self, space: str, account: str, bound_to: Json | None = None) -> str:
        """A token of a service account. bound_to: it dies with this object."""
        spec: Json = {"expirationSeconds": 3600}
        if bound_to:
            metadata = bound_to["metadata"]
            spec["boundObjectRef"] = {
                "kind": bound_to["kind"],
                "apiVersion": bound_to["apiVersion"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            }
        path = f"{_path('ServiceAccount', space)}/{account}/token"
        made = await self._call("POST", path, {"spec": spec})
        return str(made["status"]["token"])

    async def status_with(self, token: str, path: str) -> int:
        """What the server says to whoever has this token."""
        async with self._session(token) as session, session.get(self._url + path) as response:
            return response.status

    async def truth(self, *more: str, labels: str = "", namespace_labels: str = "") -> Answers:
        """What every name must hold, as things are now. more: kinds, "Pod" for `pods verified`."""
        found: list[Json] = []
        for kind in (*SHOWN, *more):
            selector = namespace_labels if kind == "Namespace" else labels
            found += await self.items(kind, labels=selector)
        return answers(found)

    async def until_slices(self, space: str, service: str, ready: int) -> None:
        """Waits until the slices of a Service hold so many ready endpoints."""
        selector = f"kubernetes.io/service-name={service}"

        async def count() -> int:
            slices = await self.items("EndpointSlice", space, selector)
            endpoints = [e for held in slices for e in held["endpoints"] or ()]
            return sum(e["conditions"].get("ready", True) for e in endpoints)

        await until(f"{ready} ready endpoints of {space}/{service}", count, ready)

    async def until_there(self, kind: str, space: str, name: str) -> None:
        """Waits until a controller has made an object."""

        async def there() -> bool:
            items = await self.items(kind, space)
            return any(item["metadata"]["name"] == name for item in items)

        await until(f"{kind} {space}/{name}", there, True)

    async def until_gone(self, kind: str, name: str) -> None:
        """Waits until an object without a namespace does not exist."""

        async def there() -> bool:
            return any(item["metadata"]["name"] == name for item in await self.items(kind))

        await until(f"the end of {kind} {name}", there, False)

    async def until_quiet(self) -> None:
        """Waits until no namespace of an earlier test is on its way out."""

        async def leaving() -> int:
            spaces = await self.items("Namespace")
            return sum("deletionTimestamp" in space["metadata"] for space in spaces)

        await until("namespaces that leave", leaving, 0)

    async def _make(self, obj: Json) -> None:
        await self.create(obj)
        if "status" in obj and obj["kind"] in ("Pod", "Service"):
            space, name = _space(obj), obj["metadata"]["name"]
            await self.patch(obj["kind"], space, name, {"status": obj["status"]}, "/status")

    async def _call(
        self, method: str, path: str, body: Json | None = None, headers: Json | None = None
    ) -> Json:
        data = None if body is None else json.dumps(body)
        headers = headers or {"Content-Type": "application/json"}
        url = self._url + path
        async with (
            self._session(self._token) as session,
            session.request(method, url, data=data, headers=headers) as response,
        ):
            if response.status >= 400:
                raise Refused(response.status, await response.text())
            found: Json = await response.json()
            return found

    def _session(self, token: str) -> aiohttp.ClientSession:
        """One for each request: the server may have gone since the last, and its end is waited for.

        A connector that is told not to keep connections leaves each to say goodbye by itself.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context),
            headers={"Authorization": f"Bearer {token}"},
        )


def running_pod(
    space: str, name: str, ips: Iterable[str], *, ready: bool = True, **spec: Any
) -> Json:
    """A Pod that a kubelet would have started, labelled app: its name up to the last dash."""
    addresses = list(ips)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": space,
            "name": name,
            "labels": {"app": name.rpartition("-")[0]},
        },
        "spec": {
            "containers": [{"name": "main", "image": "example.test/main"}],
            "nodeName": NODE,
            "terminationGracePeriodSeconds": 0,  # there is no kubelet that would end it
            **spec,
        },
        "status": {
            "phase": "Running",
            "podIP": addresses[0],
            "podIPs": [{"ip": ip} for ip in addresses],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def _path(kind: str, space: str) -> str:
    return PATHS[kind].format(space=f"namespaces/{space}/" if space else "")


def _space(obj: Json) -> str:
    return str(obj["metadata"].get("namespace", ""))
