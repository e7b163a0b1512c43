"""What an index held in an earlier run: handed on in a good order, and marked until synced."""

from clusterdns.cluster.events import Delete, Synced, Upsert
from clusterdns.cluster.model import Namespace, Object, Pod
from clusterdns.cluster.selection import Selection
from clusterdns.zone.index import SYNCED, Index
from clusterdns.zone.lookup import Lookup
from tests.zone.sample import EVERYTHING, HTTP, ask, index_of, members, options, service

WEB = "web.shop.svc.cluster.local."
OBJECTS: list[Object] = [
    Namespace("shop"),
    service("web", "10.96.0.1", HTTP),
    service("db"),
    members("db", "10.1.0.1", HTTP),
    Pod("shop", "db-0", b"\x0a\x01\x00\x01"),
]


def test_objects() -> None:
    """Everything, and the Namespaces at the end: nothing is seen before it is whole."""
    index = index_of(OBJECTS)
    found = index.objects()
    assert sorted(map(repr, found)) == sorted(map(repr, OBJECTS))
    kinds = [type(each).__name__ for each in found]
    assert kinds == ["Pod", "EndpointSlice", "Service", "Service", "Namespace"]


def test_no_name_is_seen_before_all_of_it_is() -> None:
    """A restored zone says SERVFAIL or the whole answer, whenever it is asked."""
    found = index_of(OBJECTS).objects()
    index = Index(EVERYTHING)
    index.restore(7)
    lookup = Lookup(index, options())
    expected = {name: ask(Lookup(index_of(OBJECTS), options()), name, "A") for name in (WEB,)}
    for thing in found:
        for name in expected:
            assert ask(lookup, name, "A") == "SERVFAIL"
        index.apply(Upsert(thing), 0.0)
    for name, answer in expected.items():
        assert ask(lookup, name, "A") == answer


def test_stale_until_synced() -> None:
    index = Index(Selection(endpoints=False))
    assert not index.stale
    index.restore(2000)
    assert index.stale
    assert index.apply(Upsert(Namespace("shop")), 1000.0)
    assert index.serial == 2000  # never back, though the clock is
    assert index.apply(Delete("Namespace", "", "shop"), 3000.0)
    assert index.serial == 3000
    assert index.apply(Synced("Service"), 3000.0) == set()
    assert index.stale
    assert index.apply(Synced("Namespace"), 3000.0) == {SYNCED}
    assert not index.stale
    assert index.synced


def test_what_is_synced_does_not_become_stale() -> None:
    index = index_of(OBJECTS)
    index.restore(5)
    assert not index.stale
