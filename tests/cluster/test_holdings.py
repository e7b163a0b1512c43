"""Whatever happened to the files: what the zone was told is what they hold now."""

from collections.abc import Iterable

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.events import Delete, Event, Upsert
from clusterdns.cluster.holdings import Holdings
from clusterdns.cluster.manifest_objects import Reader, Reading
from clusterdns.cluster.model import Object
from clusterdns.cluster.selection import Selection
from tests.cluster.source import document

SELECTION = Selection(labels="hidden!=yes", pods=True)
READER = Reader(SELECTION)
LINES = [
    "Namespace shop",
    "Namespace lab {labels: {a: b}}",
    "ConfigMap lab/x",
    "Service shop/web {spec: {clusterIP: 10.3.0.1}}",
    "Service shop/web {spec: {selector: {app: web}, clusterIP: None}}",
    "Service shop/web "
    "{spec: {selector: {app: web, tier: a}, clusterIP: None, ports: [{port: 80}]}}",
    "Service shop/web {labels: {hidden: 'yes'}, spec: {selector: {app: web}, clusterIP: None}}",
    "Service shop/web {spec: {selector: {app: web}}}",
    "Service shop/all {spec: {selector: {tier: a}, clusterIP: 10.3.0.2}}",
    "Pod shop/p1 {labels: {app: web}, status: {podIP: 10.1.0.1}}",
    "Pod shop/p1 {labels: {app: web, tier: a}, status: {podIP: 10.1.0.1}}",
    "Pod shop/p1 {labels: {tier: a}, status: {phase: Failed}}",
    "Pod shop/p2 {labels: {app: web, tier: a}, status: {podIP: 10.1.0.2}}",
    "Pod shop/p2 {labels: {app: web, hidden: 'yes'}, status: {podIP: 10.1.0.3}}",
    "EndpointSlice shop/x {labels: {kubernetes.io/service-name: web}, endpoints: []}",
    "EndpointSlice shop/x {labels: {kubernetes.io/service-name: all}, "
    "endpoints: [{addresses: [10.9.0.9]}]}",
    "EndpointSlice shop/y "
    "{labels: {kubernetes.io/service-name: web, hidden: 'yes'}, endpoints: []}",
    "EndpointSlice shop/y {labels: {kubernetes.io/service-name: web, "
    "endpointslice.kubernetes.io/managed-by: endpointslicemirroring-controller.k8s.io}, "
    "endpoints: [{addresses: [10.9.0.8]}]}",
    "Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.7}]}]}",
    "Endpoints shop/web {subsets: [{addresses: [{ip: 10.1.0.7}, {ip: 10.1.0.8}]}]}",
]
READINGS = [reading for line in LINES if (reading := READER.read(yaml.safe_load(document(line))))]
FILES = st.sampled_from(["a", "b", "c"])
Contents = dict[str, list[Reading]]


class Zone:
    """What was told, checked for sense on the way."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.holdings = Holdings(SELECTION, READER.exists, lambda file: (0, file))

    def put(self, file: str, readings: Iterable[Reading]) -> None:
        """The file now holds these, and nothing else."""
        last = {reading.key: reading for reading in readings}
        for reading in last.values():
            self.holdings.put(file, reading.key, reading.held)
        for key in self.holdings.keys(file) - last.keys():
            self.holdings.drop(file, key)
        for _ in self.holdings.settle():
            pass
        for event in self.holdings.events:
            self._apply(event)
        self.holdings.events.clear()

    def _apply(self, event: Event) -> None:
        if isinstance(event, Upsert):
            namespace = getattr(event.object, "namespace", "")
            key = (type(event.object).__name__, namespace, event.object.name)
            assert self.objects.get(key) != event.object
            self.objects[key] = event.object
        elif isinstance(event, Delete):
            del self.objects[event.kind, event.namespace, event.name]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(FILES, st.lists(st.sampled_from(READINGS), max_size=6)), max_size=8))
def test_any_history_ends_in_what_the_files_hold(history: list[tuple[str, list[Reading]]]) -> None:
    zone, fresh, contents = Zone(), Zone(), Contents()
    for file, readings in history:
        zone.put(file, readings)
        contents[file] = readings
    for file, readings in reversed(contents.items()):
        fresh.put(file, readings)
    assert zone.objects == fresh.objects
    for file in contents:
        zone.put(file, [])
    assert zone.objects == {}


def test_the_pool_says_something() -> None:
    """So that the property is no empty one."""
    kinds: set[str] = set()
    for reading in READINGS:
        zone = Zone()
        zone.put("a", [READINGS[0], reading])
        kinds |= {kind for kind, _, _ in zone.objects}
    assert kinds == {"Service", "EndpointSlice", "Pod", "Namespace"}
