"""What the files of a manifests source hold, and the events that follow when that changes.

Some of what the zone is told stands in no file: the slices of Services whose pods are there, the
mirrors of legacy Endpoints, and Namespaces that objects live in though nobody declared them.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from clusterdns.cluster.events import Delete, Event, Upsert
from clusterdns.cluster.manifest_objects import Held, Key, Mirror, Written
from clusterdns.cluster.model import EndpointSlice, Namespace
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.slicing import Backend, Pairs, Wanted, derived

Name = tuple[str, str]  # namespace, name


class Holdings:
    """Objects by key, and which file each is from.

    Of an object that several files hold, the last in the order of the files counts, as it would
    were they applied one after the other.
    """

    def __init__(
        self,
        selection: Selection,
        exists: Callable[[str], bool],
        rank: Callable[[str], tuple[int, str]],
    ) -> None:
        """exists: whether an undeclared namespace is selected; rank: a file's place in order."""
        self._selection, self._exists, self._rank = selection, exists, rank
        self._held: dict[Key, Held] = {}
        self._owner: dict[Key, str] = {}
        self._others: dict[Key, dict[str, Held]] = {}  # the same objects in earlier files
        self._keys: dict[str, set[Key]] = {}
        self._services = _Selectors()
        self._pods = _Pods()
        self._slices: Counter[Name] = Counter()  # in files, by Service
        self._mirrors: Counter[Name] = Counter()  # of these the controller's
        self._objects: Counter[str] = Counter()  # by namespace, Namespaces themselves left out
        self._made: dict[Name, tuple[EndpointSlice, ...]] = {}  # slices that we made, by Service
        self._namespaces: set[str] = set()  # that the zone knows
        self._unsettled: dict[Name, None] = {}  # Services whose made slices may have changed
        self._touched: dict[str, None] = {}  # namespaces that may have come or gone
        self.events: list[Event] = []  # the caller takes them from here

    def keys(self, file: str) -> set[Key]:
        """The objects that this file holds."""
        return self._keys.get(file, set())

    def put(self, file: str, key: Key, held: Held) -> str | None:
        """This file now holds this object, in this form. Gives another file that holds it too."""
        self._keys.setdefault(file, set()).add(key)
        owner = self._owner.get(key, file)
        if owner == file:
            self._own(key, file, held)
            return None
        others = self._others.setdefault(key, {})
        if self._rank(file) > self._rank(owner):
            others[owner] = self._held[key]
            others.pop(file, None)
            self._own(key, file, held)
        else:
            others[file] = held
        return owner

    def drop(self, file: str, key: Key) -> None:
        """This file does not hold this object any more."""
        self._keys[file].discard(key)
        if not self._keys[file]:
            del self._keys[file]
        others = self._others.get(key, {})
        if self._owner[key] != file:
            del others[file]
        elif others:
            last = max(others, key=self._rank)
            self._own(key, last, others.pop(last))
        else:
            del self._owner[key]
            self._replace(key, None)
        if not others:
            self._others.pop(key, None)

    def settle(self) -> Iterator[None]:
        """Works out what stands in no file, a Service or namespace at a time."""
        while self._unsettled:
            service = next(iter(self._unsettled))
            del self._unsettled[service]
            self._make(service)
            yield
        while self._touched:
            namespace = next(iter(self._touched))
            del self._touched[namespace]
            self._settle_namespace(namespace)
            yield

    def _own(self, key: Key, file: str, held: Held) -> None:
        self._owner[key] = file
        self._replace(key, held)

    def _replace(self, key: Key, new: Held | None) -> None:
        old = self._held.get(key)
        if new and new.ending and old:
            new = Held(old.object, new.basis, ending=True)
        if new == old:
            return
        if new:
            self._held[key] = new
        else:
            del self._held[key]
        self._count(key, old, new)
        self._say(key, old, new)

    def _say(self, key: Key, old: Held | None, new: Held | None) -> None:
        kind, namespace, name = key
        if kind not in ("Service", "ServiceImport", "EndpointSlice", "Pod"):
            return
        shown = new.object if new else None  # None is asked for below: an empty slice is false
        former = old.object if old else None
        if shown is not None and shown != former:
            self.events.append(Upsert(shown))
        elif former is not None and shown is None:
            self.events.append(Delete(kind, namespace, name))  # type: ignore[arg-type]  # as above

    def _count(self, key: Key, old: Held | None, new: Held | None) -> None:
        """Keeps what is derived from objects of several kinds in step."""
        kind, namespace, name = key
        if kind == "Namespace":
            self._touched[name] = None
            return
        if not (old and new):
            self._objects[namespace] += 1 if new else -1
            self._touched[namespace] = None
        if kind == "Service":
            self._services.replace((namespace, name), old, new)
            self._unsettled[namespace, name] = None
        elif kind == "Endpoints":
            self._unsettled[namespace, name] = None
        elif kind == "EndpointSlice":
            self._count_slice(namespace, old, -1)
            self._count_slice(namespace, new, 1)
        elif kind == "Pod":
            self._pods.replace((namespace, name), old, new)
            for held in filter(None, (old, new)):
                if isinstance(held.basis, Backend):
                    self._unsettled |= self._services.wanting(namespace, held.basis.labels)

    def _count_slice(self, namespace: str, held: Held | None, by: int) -> None:
        if held and isinstance(held.basis, Written) and held.basis.service:
            service = (namespace, held.basis.service)
            for counter in (self._slices, self._mirrors)[: 1 + held.basis.mirrored]:
                counter[service] += by
                if not counter[service]:
                    del counter[service]
            self._unsettled[service] = None

    def _make(self, service: Name) -> None:
        """Says how the slices that we make for this Service differ from what they were."""
        former = {each.name: each for each in self._made.get(service, ())}
        made = self._slices_for(service)
        self.events += (Upsert(each) for each in made if former.pop(each.name, None) != each)
        self.events += (Delete("EndpointSlice", service[0], name) for name in former)
        if made:
            self._made[service] = made
        else:
            self._made.pop(service, None)

    def _slices_for(self, service: Name) -> tuple[EndpointSlice, ...]:
        namespace, name = service
        held = self._held.get(("Service", namespace, name))
        if held is None or held.broken:
            return ()
        if isinstance(held.basis, Wanted):
            if self._slices[service] or not held.derives:
                return ()
            pods = self._pods.selected(namespace, held.basis)
            return derived(namespace, name, held.basis, pods, self._selection)
        endpoints = self._held.get(("Endpoints", namespace, name))
        if endpoints is None or self._mirrors[service]:
            return ()
        return endpoints.basis.slices if isinstance(endpoints.basis, Mirror) else ()

    def _settle_namespace(self, namespace: str) -> None:
        declared = self._held.get(("Namespace", "", namespace))
        if not self._objects[namespace]:
            del self._objects[namespace]
        if declared:
            exists = declared.object is not None
        else:
            exists = namespace in self._objects and self._exists(namespace)
        if exists and namespace not in self._namespaces:
            self._namespaces.add(namespace)
            self.events.append(Upsert(Namespace(namespace)))
        elif not exists and namespace in self._namespaces:
            self._namespaces.remove(namespace)
            self.events.append(Delete("Namespace", "", namespace))


class _Pods:
    """Pods by their labels."""

    def __init__(self) -> None:
        self._pods: dict[Name, Backend] = {}
        self._labelled: dict[tuple[str, str, str], dict[Name, None]] = {}  # namespace, key, value

    def replace(self, pod: Name, old: Held | None, new: Held | None) -> None:
        if old and isinstance(old.basis, Backend):
            del self._pods[pod]
            for pair in old.basis.labels:
                _discard(self._labelled, (pod[0], *pair), pod)
        if new and isinstance(new.basis, Backend):
            self._pods[pod] = new.basis
            for pair in new.basis.labels:
                self._labelled.setdefault((pod[0], *pair), {})[pod] = None

    def selected(self, namespace: str, wants: Wanted) -> Iterator[tuple[str, Backend]]:
        """The pods that a Service selects, in the order of their names."""
        every = [self._labelled.get((namespace, *pair), {}) for pair in wants.selector]
        fewest = min(every, key=len)
        for pod in sorted(fewest):
            if all(pod in each for each in every):
                yield pod[1], self._pods[pod]


class _Selectors:
    """Services by one of the labels that they ask for."""

    def __init__(self) -> None:
        self._services: dict[Name, Wanted] = {}
        self._asking: dict[tuple[str, str, str], dict[Name, None]] = {}

    def replace(self, service: Name, old: Held | None, new: Held | None) -> None:
        if old and isinstance(old.basis, Wanted):
            del self._services[service]
            _discard(self._asking, (service[0], *old.basis.selector[0]), service)
        if new and isinstance(new.basis, Wanted):
            self._services[service] = new.basis
            first = (service[0], *new.basis.selector[0])
            self._asking.setdefault(first, {})[service] = None

    def wanting(self, namespace: str, labels: Pairs) -> dict[Name, None]:
        """The Services that select a pod with these labels."""
        found = dict(labels)
        return {
            service: None
            for pair in labels
            for service in self._asking.get((namespace, *pair), ())
            if self._services[service].selects(found)
        }


def _discard(
    index: dict[tuple[str, str, str], dict[Name, None]], key: tuple[str, str, str], name: Name
) -> None:
    del index[key][name]
    if not index[key]:
        del index[key]
