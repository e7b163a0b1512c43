"""A manifests source under test: what it says, and what then exists."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from clusterdns.cluster.events import Event, Kind, Synced, Upsert
from clusterdns.cluster.manifests import Manifests
from clusterdns.cluster.model import EndpointSlice, Object, Port, Service, address_text
from clusterdns.cluster.selection import Selection
from tests.beside import beside

PATIENCE_S = 5.0  # far more than any test waits, on a machine that is busy

ObjectKey = tuple[Kind, str, str]


class World:
    """The objects that exist after all events so far."""

    def __init__(self) -> None:
        self.objects: dict[ObjectKey, Object] = {}
        self.synced: list[Kind] = []
        self.events: list[Event] = []
        self.changed = asyncio.Event()

    def sink(self, events: Sequence[Event]) -> None:
        for event in events:
            self._apply(event)
        self.events += events
        self.changed.set()

    async def until(self, holds: Callable[["World"], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self):
                self.changed.clear()
                await self.changed.wait()

    def names(self, kind: Kind) -> set[str]:
        return {"/".join(filter(None, key[1:])) for key in self.objects if key[0] == kind}

    def services(self) -> dict[str, Service]:
        return {each.name: each for each in self.objects.values() if isinstance(each, Service)}

    def endpoints(self) -> dict[str, set[str]]:
        """By Service as namespace/name: `address hostname ports` of each ready endpoint."""
        found: dict[str, set[str]] = {}
        for slice_ in self.objects.values():
            if isinstance(slice_, EndpointSlice):
                ports = ",".join(map(port_text, slice_.ports))
                found.setdefault(f"{slice_.namespace}/{slice_.service}", set()).update(
                    " ".join(filter(None, (address_text(each.address), each.hostname, ports)))
                    for each in slice_.endpoints()
                )
        return {service: texts for service, texts in found.items() if texts}

    def _apply(self, event: Event) -> None:
        if isinstance(event, Synced):
            self.synced.append(event.kind)
        elif isinstance(event, Upsert):
            kind: Kind = type(event.object).__name__  # type: ignore[assignment]  # they are called so
            key = (kind, getattr(event.object, "namespace", ""), event.object.name)
            assert self.objects.get(key) != event.object, f"said again: {event}"
            self.objects[key] = event.object
        else:
            del self.objects[event.kind, event.namespace, event.name]


def port_text(port: Port) -> str:
    return f"{port.name}:{port.number}/{port.protocol}"


@contextlib.asynccontextmanager
async def serving(*paths: Path | str, selection: Selection | None = None) -> AsyncIterator[World]:
    """A world that a source keeps; entered once all is synced."""
    world, chosen = World(), selection or Selection()
    source = Manifests([str(path) for path in paths], chosen)
    async with beside(partial(source.serve, sink=world.sink)):
        await world.until(lambda world: len(world.synced) == len(chosen.kinds))
        yield world


async def world_of(*texts: str, folder: Path, selection: Selection | None = None) -> World:
    """What exists when each text is a file."""
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text)
    async with serving(folder, selection=selection) as world:
        return world


def documents(lines: Iterable[str]) -> str:
    """A YAML file of documents, one a line: `Kind namespace/name {spec ...}`."""
    return "---\n".join(map(document, lines))


def document(line: str) -> str:
    kind, name, fields = re.fullmatch(r"(\w+) (\S+) *(.*)", line).groups()  # type: ignore[union-attr]
    version = "discovery.k8s.io/v1" if kind == "EndpointSlice" else "v1"
    namespace, _, short = name.rpartition("/")
    labels = re.search(r"labels: (\{.*?\})", fields)
    rest = re.sub(r"labels: \{.*?\},? *", "", fields).removeprefix("{").removesuffix("}")
    metadata = f"name: {short}" + (f", namespace: {namespace}" if namespace else "")
    metadata += f", labels: {labels[1]}" if labels else ""
    return f"{{apiVersion: {version}, kind: {kind}, metadata: {{{metadata}}}, {rest}}}\n"
