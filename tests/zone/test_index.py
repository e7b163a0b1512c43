"""Which answers a change touches, and when the serial moves: section 5.5."""

import pytest
from msgspec.structs import replace

from clusterdns.cluster.events import KINDS, Delete, Event, Kind, Synced, Upsert
from clusterdns.cluster.model import Namespace, Object, Port
from clusterdns.cluster.selection import Selection
from clusterdns.zone.index import Index, Key
from tests.zone.sample import (
    EVERYTHING,
    HTTP,
    alias,
    endpoint,
    index_of,
    ip,
    ips,
    members,
    pod,
    service,
)

SQL = Port("sql", 5432)


def deleted(kind: Kind, name: str) -> Delete:
    return Delete(kind, "" if kind == "Namespace" else "shop", name)


def named(service: str) -> Key:
    return ("service", "shop", service)


def address(*texts: str) -> set[Key]:
    return {("address", ip(text)) for text in texts}


WEB = service("web", "10.3.0.1", HTTP)
DB = members("db", "10.1.0.1 10.1.0.2", SQL)
CASES: dict[str, tuple[list[Object], Event, set[Key]]] = {
    "a namespace comes": ([], Upsert(Namespace("new")), {("namespace", "new")}),
    "a namespace again": ([], Upsert(Namespace("shop")), set()),
    "a namespace goes": ([], deleted("Namespace", "shop"), {("namespace", "shop")}),
    "a namespace that never was": ([], deleted("Namespace", "new"), set()),
    "a Service comes": ([], Upsert(WEB), {named("web"), *address("10.3.0.1")}),
    "a Service again": ([WEB], Upsert(service("web", "10.3.0.1", HTTP)), set()),
    "a Service goes": (
        [WEB],
        deleted("Service", "web"),
        {named("web"), *address("10.3.0.1")},
    ),
    "a Service that never was": ([], deleted("Service", "web"), set()),
    "a cluster IP in place of another": (
        [WEB],
        Upsert(service("web", "10.3.0.2", HTTP)),
        {named("web"), *address("10.3.0.1", "10.3.0.2")},
    ),
    "another family": (
        [WEB],
        Upsert(service("web", "10.3.0.1 fd00::1", HTTP)),
        {named("web"), *address("fd00::1")},
    ),
    "a port": ([WEB], Upsert(service("web", "10.3.0.1", HTTP, SQL)), {named("web")}),
    "a port of a headless Service": ([service("db", "")], Upsert(service("db", "", SQL)), set()),
    "a port of an ExternalName": (
        [alias("out", "example.com")],
        Upsert(alias("out", "example.com", HTTP)),
        set(),
    ),
    "another target": (
        [alias("out", "example.com")],
        Upsert(alias("out", "example.org")),
        {named("out")},
    ),
    "a slice comes": ([], Upsert(DB), {named("db"), *address("10.1.0.1", "10.1.0.2")}),
    "a slice again": ([DB], Upsert(members("db", "10.1.0.1 10.1.0.2", SQL)), set()),
    "a slice goes": (
        [DB],
        deleted("EndpointSlice", "db-1"),
        {named("db"), *address("10.1.0.1", "10.1.0.2")},
    ),
    "a slice that never was": ([], deleted("EndpointSlice", "db-1"), set()),
    "an endpoint more": (
        [DB],
        Upsert(members("db", "10.1.0.1 10.1.0.2 10.1.0.3", SQL)),
        {named("db"), *address("10.1.0.3")},
    ),
    "an endpoint less": (
        [DB],
        Upsert(members("db", "10.1.0.2", SQL)),
        {named("db"), *address("10.1.0.1")},
    ),
    "endpoints in another order": (
        [DB],
        Upsert(members("db", "10.1.0.2 10.1.0.1", SQL)),
        {named("db")},
    ),
    "an endpoint of the other family": (
        [DB],
        Upsert(members("db", "10.1.0.1 10.1.0.2 fd00::1", SQL)),
        {named("db"), *address("fd00::1")},
    ),
    "an endpoint with a hostname": (
        [DB],
        Upsert(members("db", [endpoint("10.1.0.1", "db-0"), endpoint("10.1.0.2")], SQL)),
        {named("db"), *address("10.1.0.1")},
    ),
    "an endpoint's pod": (
        [DB],
        Upsert(members("db", [endpoint("10.1.0.1"), endpoint("10.1.0.2", pod="p")], SQL)),
        {named("db"), *address("10.1.0.2")},
    ),
    "a slice's port": ([DB], Upsert(members("db", "10.1.0.1 10.1.0.2", HTTP)), {named("db")}),
    "only endpoints that are not ready": ([DB], Upsert(replace(DB, unready=3)), set()),
    "a slice without ready endpoints": ([], Upsert(members("db", "", SQL, unready=1)), set()),
    "ports of a slice without ready endpoints": (
        [members("db", "", SQL)],
        Upsert(members("db", "", HTTP)),
        set(),
    ),
    "a slice of another Service": (
        [DB],
        Upsert(replace(DB, service="web")),
        {named("db"), named("web"), *address("10.1.0.1", "10.1.0.2")},
    ),
    "a slice of no Service": ([], Upsert(replace(DB, service="")), set()),
    "a slice that loses its Service": (
        [DB],
        Upsert(replace(DB, service="")),
        {named("db"), *address("10.1.0.1", "10.1.0.2")},
    ),
    "a pod comes": ([], Upsert(pod("a", "10.9.0.1")), {("pod", ip("10.9.0.1"))}),
    "a pod with another address": (
        [pod("a", "10.9.0.1")],
        Upsert(pod("a", "10.9.0.2")),
        {("pod", ip("10.9.0.1")), ("pod", ip("10.9.0.2"))},
    ),
    "a pod goes": ([pod("a", "10.9.0.1")], deleted("Pod", "a"), {("pod", ip("10.9.0.1"))}),
    "a kind is listed again": ([], Synced("Service"), set()),
}


@pytest.mark.parametrize(("before", "event", "expected"), CASES.values(), ids=CASES)
def test_keys(before: list[Object], event: Event, expected: set[Key]) -> None:
    index = index_of(before)
    serial = index.serial
    assert index.apply(event, now=serial + 10.9) == expected
    assert index.serial == (serial + 10 if expected else serial)
    assert index.apply(event, now=serial + 20) == set()  # an event twice changes nothing


OUTSIDE = replace(WEB, external_ips=(ip("192.0.2.1"),))
EXTERNAL: Key = ("external", "shop", "web")


def external(*texts: str) -> set[Key]:
    return {EXTERNAL, *(("external address", ip(text)) for text in texts)}


EXTERNAL_CASES: dict[str, tuple[list[Object], Event, set[Key], bool]] = {
    "an address": ([WEB], Upsert(OUTSIDE), external("192.0.2.1"), True),
    "another address": (
        [OUTSIDE],
        Upsert(replace(WEB, external_ips=ips("192.0.2.2"))),
        external("192.0.2.1", "192.0.2.2"),
        True,
    ),
    "no address any more": ([OUTSIDE], Upsert(WEB), external("192.0.2.1"), True),
    "a host": ([WEB], Upsert(replace(WEB, external_hosts=("lb.test",))), {EXTERNAL}, True),
    "another cluster IP": (
        [OUTSIDE],
        Upsert(replace(OUTSIDE, cluster_ips=ips("10.3.0.9"))),
        {named("web"), *address("10.3.0.1", "10.3.0.9")},
        False,
    ),
    "a port": (
        [OUTSIDE],
        Upsert(replace(OUTSIDE, ports=(SQL,))),
        {named("web"), EXTERNAL},
        True,
    ),
    "a Service comes": (
        [],
        Upsert(OUTSIDE),
        {named("web"), *address("10.3.0.1"), *external("192.0.2.1")},
        False,
    ),
    "a Service goes": (
        [OUTSIDE],
        deleted("Service", "web"),
        {named("web"), *address("10.3.0.1"), *external("192.0.2.1")},
        False,
    ),
}


@pytest.mark.parametrize(
    ("before", "event", "expected", "moves"), EXTERNAL_CASES.values(), ids=EXTERNAL_CASES
)
def test_external_keys(before: list[Object], event: Event, expected: set[Key], moves: bool) -> None:
    """5.5: what is outside of the cluster has a serial of its own, which only updates move."""
    index = index_of(before)
    serial = index.serial
    assert index.apply(event, now=serial + 10.9) == expected
    assert index.external_serial == (serial + 10 if moves else 0)
    assert index.serial == (serial + 10 if named("web") in expected else serial)
    assert index.apply(event, now=serial + 20) == set()


def test_external_owners() -> None:
    twin = replace(OUTSIDE, name="twin", cluster_ips=())
    index = index_of([OUTSIDE, twin])
    assert index.external_owners(ip("192.0.2.1")) == (twin, OUTSIDE)
    moved = replace(OUTSIDE, cluster_ips=ips("10.3.0.9"))
    index.apply(Upsert(moved), now=1)
    assert index.external_owners(ip("192.0.2.1")) == (twin, moved)
    index.apply(deleted("Service", "web"), now=2)
    index.apply(deleted("Service", "twin"), now=2)
    assert index.external_owners(ip("192.0.2.1")) == ()


def test_synced_when_every_kind_was_listed() -> None:
    index = Index(EVERYTHING)
    for kind in KINDS[:-1]:
        assert index.apply(Synced(kind), now=1) == set()
        assert not index.synced
    assert index.apply(Synced(KINDS[-1]), now=1) == {("synced",)}
    assert index.synced
    assert index.serial == 0


def test_kinds_outside_the_selection_are_not_kept() -> None:
    index = Index(Selection(endpoints=False))
    for thing in (DB, pod("a", "10.9.0.1")):
        assert index.apply(Upsert(thing), now=1) == set()
    assert not index.owners(ip("10.1.0.1"))
    assert not index.pods(ip("10.9.0.1"))
    index.apply(Synced("Service"), now=1)
    index.apply(Synced("Namespace"), now=1)
    assert index.synced


def test_serial_never_goes_back() -> None:
    index = Index(EVERYTHING)
    index.apply(Upsert(WEB), now=1000.5)
    assert index.serial == 1000
    assert index.apply(deleted("Service", "web"), now=900.0)
    assert index.serial == 1000


def test_nothing_is_left_behind() -> None:
    things: list[Object] = [
        Namespace("shop"),
        WEB,
        DB,
        members("other", "10.1.0.1 10.1.0.1 10.3.0.1", SQL),
        pod("a", "10.9.0.1"),
        pod("b", "10.9.0.1"),
    ]
    index = index_of(things)
    fresh = index_of([Namespace("shop")])
    for event in (
        deleted("Service", "web"),
        deleted("EndpointSlice", "db-1"),
        deleted("EndpointSlice", "other-1"),
        deleted("Pod", "a"),
        deleted("Pod", "b"),
    ):
        index.apply(event, now=1)
    assert vars(index) == {**vars(fresh), "serial": index.serial, "_now": 1}


def test_objects_at_one_place_stand_in_the_order_of_their_names() -> None:
    things = [members(name, "10.1.0.1", HTTP) for name in ("c", "a", "b")]
    things += [members("a", "10.1.0.1", HTTP, suffix="0")]
    index = index_of([*things, service("z", "10.1.0.1"), service("y", "10.1.0.1")])
    names = [owner.name for owner in index.owners(ip("10.1.0.1"))]
    assert names == ["a-0", "a-1", "b-1", "c-1", "y", "z"]
    assert [piece.name for piece in index.slices("shop", "a")] == ["a-0", "a-1"]
