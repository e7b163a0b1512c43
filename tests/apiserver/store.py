"""The objects a simulated API server holds, their versions and the recent changes. No I/O."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]


class Resource(NamedTuple):
    """One resource that is served."""

    kind: str
    version: str  # apiVersion
    path: str  # of the list for all namespaces


RESOURCES = {
    "services": Resource("Service", "v1", "/api/v1/services"),
    "namespaces": Resource("Namespace", "v1", "/api/v1/namespaces"),
    "serviceimports": Resource(
        "ServiceImport",
        "multicluster.x-k8s.io/v1alpha1",
        "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports",
    ),
    "pods": Resource("Pod", "v1", "/api/v1/pods"),
    "endpointslices": Resource(
        "EndpointSlice", "discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1/endpointslices"
    ),
}
BY_KIND = {resource.kind: name for name, resource in RESOURCES.items()}


class Stored(NamedTuple):
    """An object as it was put, encoded once; lists and watches join octets only."""

    version: int
    values: dict[str, str]  # what selectors look at: labels, and fields by their path
    body: bytes  # JSON without kind and apiVersion, as items of a list are sent
    metadata: bytes  # the same with nothing but the metadata

    def at(self, version: int) -> bytes:
        """The body with another version: a deleted object has that of its deletion."""
        return self.body.replace(_version(self.version), _version(version), 1)


class Change(NamedTuple):
    """What happened at a version: old is None for a new object, new for a deleted one."""

    version: int
    old: Stored | None
    new: Stored | None


class TooOld(Exception):
    """The changes since a version are not known any more: 410 Gone."""


class Table:
    """All objects of one resource, in the order of their keys, and what happened to them last."""

    def __init__(self, resource: Resource, history: int) -> None:
        self.resource = resource
        self.objects: dict[tuple[str, str], Stored] = {}  # by (namespace, name)
        self.changed = asyncio.Event()  # set at the next change, and then replaced
        self._changes: deque[Change] = deque(maxlen=history)
        self._forgotten = 0  # changes up to this version are not known

    def items(self) -> list[Stored]:
        """Every object, sorted by namespace and name as etcd's keys are."""
        return [self.objects[key] for key in sorted(self.objects)]

    def since(self, version: int) -> list[Change]:
        """The changes after a version, oldest first. Raises TooOld."""
        if version < self._forgotten:
            raise TooOld
        recent = takewhile(lambda change: change.version > version, reversed(self._changes))
        return list(recent)[::-1]

    def add(self, change: Change) -> None:
        """Remembers a change, and wakes whoever waits for one."""
        if len(self._changes) == self._changes.maxlen:
            self._forgotten = self._changes[0].version
        self._changes.append(change)
        event, self.changed = self.changed, asyncio.Event()
        event.set()

    def forget(self, version: int) -> None:
        """Forgets every change up to this version, as a compaction does."""
        self._changes.clear()
        self._forgotten = version


class Store:
    """The tables of all resources; one version counts through them, as in etcd."""

    def __init__(self, objects: Iterable[Json] = (), history: int = 10_000) -> None:
        self.version = 1
        self.tables = {name: Table(resource, history) for name, resource in RESOURCES.items()}
        for obj in objects:
            self._place(obj)
        self.forget()

    def put_unseen(self, obj: Json) -> None:
        """As `put`, but no watch will ever tell of it, now or later."""
        self._place(obj)

    def delete_unseen(self, kind: str, namespace: str, name: str) -> None:
        """As `delete`, but no watch will ever tell of it, now or later."""
        del self.tables[BY_KIND[kind]].objects[namespace, name]
        self.version += 1

    def put(self, obj: Json) -> None:
        """Creates or replaces the object; its resourceVersion is given here."""
        table, change = self._place(obj)
        table.add(change)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Deletes it; namespace is "" for a Namespace. Raises KeyError when there is none."""
        table = self.tables[BY_KIND[kind]]
        old = table.objects.pop((namespace, name))
        self.version += 1
        table.add(Change(self.version, old, None))

    def forget(self) -> None:
        """Forgets all changes: every older resourceVersion is 410 from now on."""
        for table in self.tables.values():
            table.forget(self.version)

    def _place(self, obj: Json) -> tuple[Table, Change]:
        table = self.tables[BY_KIND[obj["kind"]]]
        self.version += 1
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        new = _stored(obj, self.version)
        change = Change(self.version, table.objects.get(key), new)
        table.objects[key] = new
        return table, change


def _stored(obj: Json, version: int) -> Stored:
    metadata = {"resourceVersion": str(version), **obj["metadata"]}
    metadata["resourceVersion"] = str(version)
    rest = {key: obj[key] for key in obj if key not in ("kind", "apiVersion", "metadata")}
    return Stored(
        version,
        (metadata.get("labels") or {}) | dict(_fields(obj)),
        msgspec.json.encode({"metadata": metadata, **rest}),
        msgspec.json.encode({"metadata": metadata}),
    )


def _version(version: int) -> bytes:
    return b'"resourceVersion":"%d"' % version


def _fields(obj: Json) -> Iterator[tuple[str, str]]:
    yield "metadata.name", obj["metadata"]["name"]
    yield "metadata.namespace", obj["metadata"].get("namespace", "")
    if obj["kind"] == "Pod":
        yield "status.phase", obj.get("status", {}).get("phase", "")
