"""A cluster that changes at random, and what DNS must say of each part of it."""

import random
import time
from collections.abc import Iterator

from tests.apiserver.server import ApiServer
from tests.apiserver.store import BY_KIND
from tests.objects import Json, endpoint, endpoint_slice, external_name, namespace, port, service
from tests.truth import NXDOMAIN, Answers, answers, owner_name, pointer

NAMESPACES = 8
POOL = 12  # endpoint addresses that belong to one slot
NAMES = ("http", "https", "metrics", "grpc", "dns")


class Slot:
    """A Service that may exist, its slices, and the addresses that nobody else uses."""

    def __init__(self, number: int, space: str) -> None:
        self.space, self.name = space, f"app-{number}"
        self.service: Json | None = None
        self.slices: dict[str, Json] = {}
        self.changed = time.monotonic()
        self._prefix = f"{number >> 8}.{number & 255}"
        self.cluster_ips = (f"10.96.{self._prefix}", f"fd00:96::{number:x}")
        self.addresses = [f"10.{128 + n}.{self._prefix}" for n in range(POOL - 2)]
        self.addresses += [f"fd00:{n}::{number:x}" for n in (1, 2)]

    def answers(self, space: Json | None) -> Answers:
        """What every name and address of it must hold. space: its namespace, if that exists."""
        held = [obj for obj in (space, self.service, *self.slices.values()) if obj is not None]
        pointers = (pointer(ip) for ip in (*self.cluster_ips[:1], *self.addresses))
        nothing: Answers = {(at, "PTR"): NXDOMAIN for at in pointers}
        if self.service is None or space is None:
            nothing[owner_name(self.space, self.name), "A"] = NXDOMAIN
        return nothing | answers(held)


class World:
    """Everything that exists, as the simulated API server is told of it."""

    def __init__(self, dice: random.Random, size: int) -> None:
        self._dice = dice
        names = [f"space-{n}" for n in range(NAMESPACES)]
        self.spaces: dict[str, Json | None] = {name: namespace(name) for name in names}
        self.slots = [Slot(n, dice.choice(names)) for n in range(size)]
        self.changes = 0
        self._api: ApiServer | None = None
        for slot in self.slots:
            for step in (self._serve, self._add_slice):
                step(slot)

    def objects(self) -> Iterator[Json]:
        """All that exists at the start."""
        yield from (space for space in self.spaces.values() if space is not None)
        for slot in self.slots:
            yield from (obj for obj in (slot.service, *slot.slices.values()) if obj is not None)

    def follow_with(self, api: ApiServer) -> None:
        """From now on this server is told of every change."""
        self._api = api

    def answers(self, slot: Slot) -> Answers:
        return slot.answers(self.spaces[slot.space])

    def change(self) -> None:
        """Does one thing, to one object, or to a whole namespace."""
        self.changes += 1
        if self._dice.random() < 0.01:
            self._toggle_space(self._dice.choice(list(self.spaces)))
            return
        slot = self._dice.choice(self.slots)
        self._dice.choice(
            [
                self._serve,
                self._withdraw,
                self._add_slice,
                self._add_slice,
                self._drop_slice,
                self._touch,
                self._spoil,
            ]
        )(slot)

    def _serve(self, slot: Slot) -> None:
        """Makes the Service, or gives it another form."""
        ports = [
            port(8000 + n, name, self._dice.choice(["TCP", "UDP"]))
            for n, name in enumerate(self._dice.sample(NAMES, self._dice.randint(1, 3)))
        ]
        match self._dice.randrange(8):
            case 0:
                made = external_name(slot.space, slot.name, "www.example.com")
            case 1 | 2 | 3:
                made = service(slot.space, slot.name, ports=ports)
            case _:
                ips = self._dice.choice([slot.cluster_ips[0], " ".join(slot.cluster_ips)])
                made = service(slot.space, slot.name, ips, ports)
        slot.service = made
        self._put(slot, made)

    def _withdraw(self, slot: Slot) -> None:
        if slot.service is not None:
            slot.service = None
            self._delete(slot, "Service", slot.name)

    def _add_slice(self, slot: Slot) -> None:
        """Makes a slice, or fills it anew; an address may be in both for a while."""
        suffix = self._dice.choice(["1", "2"])
        chosen = self._dice.sample(slot.addresses, self._dice.randint(1, len(slot.addresses)))
        ready = self._dice.choices([True, None, False], [8, 1, 1], k=len(chosen))
        members = [
            endpoint(address, ready=is_ready)
            for address, is_ready in zip(chosen, ready, strict=True)
        ]
        made = endpoint_slice(slot.space, slot.name, members, [port(8000, "http")], suffix=suffix)
        slot.slices[suffix] = made
        self._put(slot, made)

    def _drop_slice(self, slot: Slot) -> None:
        if slot.slices:
            suffix, held = self._dice.choice(list(slot.slices.items()))
            del slot.slices[suffix]
            self._delete(slot, "EndpointSlice", held["metadata"]["name"])

    def _touch(self, slot: Slot) -> None:
        """A change that DNS does not show."""
        if slot.service is not None:
            labels = {"touched": str(self.changes)}
            self._tell({**slot.service, "metadata": {**slot.service["metadata"], "labels": labels}})

    def _spoil(self, slot: Slot) -> None:
        """The API says something of the Service that cannot be: what was known of it stays."""
        if slot.service is not None:
            self._tell({**slot.service, "spec": "spoiled"})

    def _toggle_space(self, name: str) -> None:
        if self.spaces[name] is None:
            self.spaces[name] = namespace(name)
            self._tell(namespace(name))
        else:
            self.spaces[name] = None
            if self._api is not None:
                self._api.store.delete("Namespace", "", name)
        for slot in self.slots:
            if slot.space == name:
                slot.changed = time.monotonic()

    def _put(self, slot: Slot, obj: Json) -> None:
        slot.changed = time.monotonic()
        self._tell(obj)

    def _delete(self, slot: Slot, kind: str, name: str) -> None:
        slot.changed = time.monotonic()
        if self._api is not None:
            assert (slot.space, name) in self._api.store.tables[BY_KIND[kind]].objects
            self._api.store.delete(kind, slot.space, name)

    def _tell(self, obj: Json) -> None:
        if self._api is not None:
            self._api.store.put(obj)
