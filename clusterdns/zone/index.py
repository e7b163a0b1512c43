"""The cluster's objects by name and by address, and which answers each change of them touches.

Objects arrive in any order, a slice before its Service and a Service before its namespace; each
is put where it can be found, and what it shows is decided when somebody asks. Nothing is held
for a record: at 150,000 endpoints the table of addresses is the largest, and its values are the
objects themselves.

Every answer rests on **keys**, see `Key`; `apply` gives those that a change touches. So an answer
holds until one of its keys is touched, and nothing needs to be flushed.
"""

from collections.abc import Iterable
from copy import copy
from typing import cast

from clusterdns.cluster.events import Delete, Event, Kind, Synced, Upsert
from clusterdns.cluster.model import (
    Address,
    EndpointSlice,
    Namespace,
    Object,
    Pod,
    Service,
    ServiceImport,
)
from clusterdns.cluster.selection import Selection
from clusterdns.zone.shown import (
    addresses,
    cluster_ips,
    external,
    external_ips,
    import_of,
    imported_members,
    members,
    ownership,
    renamed,
    shown,
)
from clusterdns.zone.tables import Name, move, standing, swap

# What an answer was made of, whether it exists or not:
#   ("service", namespace, name)  everything at and below a Service's name: itself and its slices
#   ("namespace", name)           whether the namespace exists
#   ("address", packed)           the cluster IPs and ready endpoints that are this address
#   ("pod", packed)               the pods with this address
#   ("import", namespace, name)   the same of a ServiceImport's name, in zones of several clusters
#   ("external", namespace, name) the addresses and hosts of a Service outside of the cluster
#   ("external address", packed)  the Services with this address outside of the cluster
#   ("synced",)                   whether everything was listed once
Key = tuple[str, ...] | tuple[str, bytes]
SYNCED: Key = ("synced",)
_OTHER_SERIALS = ("external", "external address", "import")  # keys that leave the serial alone

Owner = Service | EndpointSlice  # what has addresses; both have a namespace and a name


class Index:
    """What is known of the cluster."""

    synced: bool  # every kind of the selection was listed once; stays True
    stale: bool  # what is held comes, at least in part, from an earlier run; False once synced
    serial: int  # Unix seconds of the last change that DNS shows, 0 before the first
    import_serial: (
        int  # the same of zones of several clusters, moved by updates only, as in CoreDNS
    )
    external_serial: int  # the same of `k8s_external`, whose Services come and go without it

    def __init__(self, selection: Selection) -> None:
        """selection: what the source of the events was asked for; other kinds are not kept."""
        self.synced = False
        self.stale = False
        self.serial = 0
        self.external_serial = 0
        self.import_serial = 0
        self._now = 0  # Unix seconds, of the event that is being applied
        self._kinds = frozenset(selection.kinds)
        self._awaited = set(selection.kinds)
        self._namespaces: set[str] = set()
        self._services: dict[Name, Service] = {}
        self._imports: dict[Name, ServiceImport] = {}
        self._slices: dict[Name, EndpointSlice] = {}
        self._pods: dict[Name, Pod] = {}
        # One object mostly, a tuple where there are several: a list each would take 56 octets more.
        self._slices_of: dict[Name, EndpointSlice | tuple[EndpointSlice, ...]] = {}
        self._slices_of_imports: dict[Name, EndpointSlice | tuple[EndpointSlice, ...]] = {}
        self._owners_at: dict[Address, Owner | tuple[Owner, ...]] = {}
        self._pods_at: dict[Address, Pod | tuple[Pod, ...]] = {}
        self._external_at: dict[Address, Service | tuple[Service, ...]] = {}

    def has_namespace(self, name: str) -> bool:
        return name in self._namespaces

    def service(self, namespace: str, name: str) -> Service | None:
        return self._services.get((namespace, name))

    def services(self) -> Iterable[Service]:
        """Every Service, in no order."""
        return self._services.values()

    def imports(self) -> Iterable[ServiceImport]:
        """Every ServiceImport, in no order."""
        return self._imports.values()

    def slices(self, namespace: str, service: str) -> tuple[EndpointSlice, ...]:
        """The slices labelled with this Service, by their names, whether it exists or not."""
        return standing(self._slices_of, (namespace, service))

    def imported(self, namespace: str, name: str) -> ServiceImport | None:
        return self._imports.get((namespace, name))

    def imported_slices(self, namespace: str, name: str) -> tuple[EndpointSlice, ...]:
        """The slices labelled with this ServiceImport, by their names, whether it exists or not."""
        return standing(self._slices_of_imports, (namespace, name))

    def owners(self, address: Address) -> tuple[Owner, ...]:
        """The Services with this cluster IP and the slices with this ready endpoint, by name."""
        return standing(self._owners_at, address)

    def pods(self, address: Address) -> tuple[Pod, ...]:
        """The pods with this address, by name."""
        return standing(self._pods_at, address)

    def external_owners(self, address: Address) -> tuple[Service, ...]:
        """The Services with this address outside of the cluster, by name."""
        return standing(self._external_at, address)

    def at_rest(self) -> "Index":
        """What it has by name now: namespaces, Services, ServiceImports and their slices stay as
        they are in what is given. Look-ups by address go on to follow the cluster."""
        still = copy(self)
        still._namespaces = self._namespaces.copy()
        still._services = self._services.copy()
        still._imports = self._imports.copy()
        still._slices_of = self._slices_of.copy()
        still._slices_of_imports = self._slices_of_imports.copy()
        return still

    def objects(self) -> list[Object]:
        """Everything that is held, in an order in which no name is seen before it is whole."""
        named = map(Namespace, self._namespaces)
        services = *self._services.values(), *self._imports.values()
        return [*self._pods.values(), *self._slices.values(), *services, *named]

    def restore(self, serial: int) -> None:
        """What is applied from now on is the last known state, of this serial, until synced."""
        self.stale = not self.synced
        self.serial = max(self.serial, serial)

    def apply(self, event: Event, now: float) -> set[Key]:
        """Learns what the event says; gives the keys of all answers that may differ now.

        now: Unix seconds; the serial when DNS shows the change. Updates that change nothing of what
        this zone shows give no key and leave the serial alone, as do a slice of no Service, one
        without ready endpoints, and kinds outside the selection. A namespace that comes or goes
        moves the serial: its name does too. What a Service has outside of the cluster moves a
        serial of its own, and only when an existing Service changes, as in CoreDNS.
        """
        if isinstance(event, Synced):
            return self._listed(event)
        self._now = int(now)
        keys = self._changed(event)
        if any(key[0] not in _OTHER_SERIALS for key in keys):
            # RFC 1982: a serial never goes back, even where the clock does.
            self.serial = max(self.serial, self._now)
        return keys

    def _listed(self, event: Synced) -> set[Key]:
        self._awaited.discard(event.kind)
        if self.synced or self._awaited:
            return set()
        self.synced, self.stale = True, False
        return {SYNCED}

    def _changed(self, event: Upsert | Delete) -> set[Key]:
        if isinstance(event, Delete):
            return self._put(event.kind, event.namespace, event.name, None)
        thing = event.object
        namespace = "" if isinstance(thing, Namespace) else thing.namespace
        return self._put(_KINDS[type(thing)], namespace, thing.name, thing)

    def _put(self, kind: Kind, namespace: str, name: str, thing: Object | None) -> set[Key]:
        """thing: as it is from now on, None when it does not exist any more."""
        if kind not in self._kinds:
            return set()
        if kind == "Namespace":
            return self._put_namespace(name, thing is not None)
        if kind == "Service":
            return self._put_service((namespace, name), cast("Service | None", thing))
        if kind == "ServiceImport":
            return self._put_import((namespace, name), cast("ServiceImport | None", thing))
        if kind == "EndpointSlice":
            return self._put_slice((namespace, name), cast("EndpointSlice | None", thing))
        return self._put_pod((namespace, name), cast("Pod | None", thing))

    def _put_namespace(self, name: str, exists: bool) -> set[Key]:
        if exists == (name in self._namespaces):
            return set()
        if exists:
            self._namespaces.add(name)
        else:
            self._namespaces.remove(name)
        return {("namespace", name)}

    def _put_service(self, name: Name, new: Service | None) -> set[Key]:
        old = swap(self._services, name, new)
        if old is new:
            return set()
        before, after = cluster_ips(old), cluster_ips(new)
        move(self._owners_at, before, old, after, new)
        keys: set[Key] = {("address", address) for address in before ^ after}
        if shown(old) != shown(new):
            keys.add(("service", *name))
        keys |= self._put_external(name, old, new)
        return keys

    def _put_external(self, name: Name, old: Service | None, new: Service | None) -> set[Key]:
        outside, now_outside = external(old), external(new)
        if outside is None and now_outside is None:
            return set()
        before, after = external_ips(old), external_ips(new)
        move(self._external_at, before, old, after, new)
        if outside == now_outside:
            return set()
        if old and new:
            self.external_serial = max(self.external_serial, self._now)
        return {("external", *name), *(("external address", ip) for ip in before ^ after)}

    def _put_import(self, name: Name, new: ServiceImport | None) -> set[Key]:
        old = swap(self._imports, name, new)
        if old is new:
            return set()
        self._note_import(old, new)
        return {("import", *name)}

    def _note_import(self, old: object | None, new: object | None) -> None:
        """5.5: what comes or goes moves the serial of ordinary zones, as in CoreDNS."""
        if old and new:
            self.import_serial = max(self.import_serial, self._now)
        else:
            self.serial = max(self.serial, self._now)

    def _put_slice(self, name: Name, new: EndpointSlice | None) -> set[Key]:
        old = swap(self._slices, name, new)
        if old is new:
            return set()
        before, after = ownership(old), ownership(new)
        move(self._slices_of, before, old, after, new)
        move(self._owners_at, addresses(old), old, addresses(new), new)
        keys: set[Key] = {("address", address) for address in renamed(old, new)}
        if members(old) != members(new):
            keys.update(("service", *owner) for owner in before | after)
        if (old and old.imported) or (new and new.imported):
            keys |= self._put_imported_slice(old, new)
        return keys

    def _put_imported_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> set[Key]:
        before, after = import_of(old), import_of(new)
        move(self._slices_of_imports, before, old, after, new)
        if imported_members(old) == imported_members(new):
            return set()
        self._note_import(old, new)
        return {("import", *owner) for owner in before | after}

    def _put_pod(self, name: Name, new: Pod | None) -> set[Key]:
        old = swap(self._pods, name, new)
        if old is new:
            return set()
        before, after = ({pod.address} if pod else set() for pod in (old, new))
        move(self._pods_at, before, old, after, new)
        return {("pod", address) for address in before ^ after}


_KINDS: dict[type, Kind] = {
    Service: "Service",
    ServiceImport: "ServiceImport",
    EndpointSlice: "EndpointSlice",
    Pod: "Pod",
    Namespace: "Namespace",
}
