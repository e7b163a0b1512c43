"""List and watch rules, played through without a network."""

import json
import logging
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.events import Delete, Event, Kind, Synced, Upsert
from clusterdns.cluster.frames import Lines
from clusterdns.cluster.held import Held
from clusterdns.cluster.reflector import (
    TRIED_RESUMES,
    TRIED_STREAMS,
    Reflector,
)
from clusterdns.cluster.requests import (
    LIVE_PODS,
    MOST_ITEMS,
    PAGE_OCTETS,
    Request,
    Timing,
    Wait,
)
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError
from tests.objects import endpoint, endpoint_slice, namespace, pod, service

Json = dict[str, Any]
TIMING = Timing()


class Driver:
    """Plays the API by hand; keeps what the events say exists, and the clock."""

    def __init__(self, kind: Kind = "Service", selection: Selection | None = None) -> None:
        self.reflector = Reflector(kind, selection or Selection(), random.Random(1))
        self.now = 1000.0
        self.objects: dict[tuple[str, str], Any] = {}
        self.events: list[Event] = []
        self.newest = 1000  # version of the server; what it says when only that is asked for
        self.probes = 0

    def ask(self) -> Request:
        """The next request that is no question for the newest version; that one is answered."""
        while probes(step := self.step()):
            self.probes += 1
            self.reflector.accepted(self.now)
            self.page(page(version=self.newest))
        return step

    def step(self) -> Request:
        """The next request; time passes until there is one."""
        while isinstance(step := self.reflector.next(self.now), Wait):
            self.now += step.seconds
        return step

    def open(self) -> dict[str, str]:
        """Sends the next request, answers 200; gives its parameters."""
        query = dict(self.ask().query)
        self.reflector.accepted(self.now)
        return query

    def refuse(self, status: int, retry_after: float = 0, message: str = "no") -> None:
        body = json.dumps({"kind": "Status", "message": message, "code": status})
        self.reflector.refused(status, body.encode(), retry_after, self.now)

    def lines(self, *lines: bytes) -> None:
        for line in lines:
            if self.reflector.reading:
                self.take(self.reflector.line(line, self.now))

    def page(self, body: bytes) -> None:
        self.take(self.reflector.page(body, self.now))

    def take(self, events: Iterable[Event | None]) -> None:
        for event in events:
            if event is None:
                continue
            self.events.append(event)
            if isinstance(event, Upsert):
                held = event.object
                self.objects[getattr(held, "namespace", ""), held.name] = held
            elif isinstance(event, Delete):
                self.objects.pop((event.namespace, event.name), None)

    def sync(self, *objects: Json, version: int = 10) -> None:
        """A streaming list of these objects, from its request to its end."""
        assert self.open().get("sendInitialEvents") == "true"
        self.lines(*(added(obj) for obj in objects), initial_end(version))

    @property
    def names(self) -> list[str]:
        return sorted(name for _, name in self.objects)


def probes(request: Request) -> bool:
    """Whether this asks for the newest version, and for nothing else."""
    return not request.listing and not request.lines


def at(obj: Json, version: int) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}


def web(name: str = "web", version: int = 1, ip: str = "10.0.0.1") -> Json:
    return at(service("shop", name, ip), version)


def frame(change: str, obj: Json) -> bytes:
    return json.dumps({"type": change, "object": obj}).encode()


def added(obj: Json) -> bytes:
    return frame("ADDED", obj)


def bookmark(version: int, **annotations: str) -> bytes:
    metadata = {"resourceVersion": str(version), "annotations": annotations}
    return frame("BOOKMARK", {"kind": "Service", "metadata": metadata})


def initial_end(version: int) -> bytes:
    return bookmark(version, **{"k8s.io/initial-events-end": "true"})


def failure(code: int, reason: str = "") -> bytes:
    return frame("ERROR", {"kind": "Status", "code": code, "reason": reason, "message": "oh"})


def page(*objects: Json, version: int = 10, token: str = "", kind: str = "ServiceList") -> bytes:
    metadata = {"resourceVersion": str(version), "continue": token}
    return json.dumps({"kind": kind, "metadata": metadata, "items": objects}).encode()


GARBAGE = b"<html>502 Bad Gateway</html>"

REQUESTS: dict[str, tuple[Kind, Selection, str, dict[str, str]]] = {
    "services": ("Service", Selection(), "/api/v1/services", {}),
    "slices with labels": (
        "EndpointSlice",
        Selection(labels="a=b,c in (d)"),
        "/apis/discovery.k8s.io/v1/endpointslices",
        {"labelSelector": "a=b,c in (d)"},
    ),
    "namespaces have their own labels": (
        "Namespace",
        Selection(labels="a=b", namespace_labels="c=d"),
        "/api/v1/namespaces",
        {"labelSelector": "c=d"},
    ),
    "pods that live": ("Pod", Selection(), "/api/v1/pods", {"fieldSelector": LIVE_PODS}),
}


@pytest.mark.parametrize(
    ("kind", "selection", "path", "selectors"), REQUESTS.values(), ids=REQUESTS
)
def test_what_is_asked_for(
    kind: Kind, selection: Selection, path: str, selectors: dict[str, str]
) -> None:
    driver = Driver(kind, selection)
    first = driver.ask()
    query = dict(first.query)
    assert (first.path, first.lines, first.listing) == (path, True, True)
    assert TIMING.stream[0] <= float(query.pop("timeoutSeconds")) <= TIMING.stream[1]
    assert query == selectors | {
        "watch": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    driver.reflector.accepted(driver.now)
    driver.lines(initial_end(7))
    driver.now += 40
    driver.reflector.ended(driver.now)
    second = driver.ask()
    query = dict(second.query)
    assert (second.path, second.lines, second.listing) == (path, True, False)
    assert TIMING.watch[0] <= float(query.pop("timeoutSeconds")) <= TIMING.watch[1]
    assert query == selectors | {
        "watch": "true",
        "resourceVersion": "7",
        "allowWatchBookmarks": "true",
    }


def test_a_watch_ends_before_silence_is_suspicious() -> None:
    assert TIMING.watch[1] < TIMING.silence < 60


def test_everything_then_synced_then_changes() -> None:
    driver = Driver()
    driver.open()
    driver.lines(added(web("a", 1)), added(web("b", 2)))
    assert not driver.reflector.figures.synced
    driver.lines(initial_end(2))
    assert driver.events[-1] == Synced("Service")
    driver.lines(frame("MODIFIED", web("a", 3, "10.0.0.9")), frame("DELETED", web("b", 4)))
    assert [type(event) for event in driver.events[3:]] == [Upsert, Delete]
    assert driver.names == ["a"]


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_streaming_lists_is_asked_for_pages_from_then_on(status: int) -> None:
    driver = Driver()
    driver.ask()
    driver.refuse(status)
    started = driver.now
    assert driver.open() == {"limit": str(MOST_ITEMS)}
    assert driver.now == started  # not a failure: at once
    driver.page(page(web("a"), version=5, token="more"))
    assert Synced("Service") not in driver.events
    query = driver.open()
    assert query["continue"] == "more"
    driver.page(page(web("b"), version=5))
    assert driver.names == ["a", "b"]
    assert driver.events[-1] == Synced("Service")
    assert driver.open()["resourceVersion"] == "5"
    driver.lines(failure(410))
    assert "limit" in driver.open()
    assert driver.reflector.figures.reconnects == 0


def test_pages_shrink_where_objects_are_large_and_grow_again() -> None:
    driver = Driver()
    driver.ask()
    driver.refuse(422)
    driver.open()
    large = web("a")
    large["metadata"]["annotations"] = {"x": "y" * PAGE_OCTETS * 10}
    driver.page(page(large, token="1"))
    assert driver.open()["limit"] == "49"
    driver.page(page(web("b"), token="2"))
    assert driver.open()["limit"] == str(MOST_ITEMS)


def test_a_streaming_list_that_keeps_breaking_is_read_in_pages() -> None:
    driver = Driver()
    for _ in range(TRIED_STREAMS):
        assert "sendInitialEvents" in driver.open()
        driver.lines(added(web()))
        driver.reflector.broken("connection lost", driver.now)
    assert "limit" in driver.open()
    driver.page(page(web(), version=9))
    driver.open()
    driver.lines(failure(410, "Expired"))
    assert "sendInitialEvents" in driver.open()  # it may have been the day


RESUMES = {
    "from the list": ((), "10"),
    "from an event": ((added(web("b", 12)),), "12"),
    "from a deletion": ((frame("DELETED", web("a", 13)),), "13"),
    "from a bookmark": ((added(web("b", 12)), bookmark(20)), "20"),
    "from an object that cannot be used": ((added(at({"metadata": {"name": "b"}}, 14)),), "14"),
}


@pytest.mark.parametrize(("lines", "version"), RESUMES.values(), ids=RESUMES)
def test_a_cut_watch_goes_on(lines: tuple[bytes, ...], version: str) -> None:
    driver = Driver()
    driver.sync(web("a"))
    driver.lines(*lines)
    driver.reflector.broken("connection lost", driver.now)
    cut = driver.now
    assert driver.open()["resourceVersion"] == version
    assert 0.1 <= driver.now - cut <= 0.2
    assert driver.reflector.figures.relists == 0


def test_a_version_that_the_server_has_not_reached_is_listed_again() -> None:
    """etcd was restored from a backup: a watch from that version would be silent."""
    driver = Driver()
    driver.sync(web("a"), web("b"), version=2000)
    driver.reflector.broken("connection lost", driver.now)
    driver.newest = 1999
    driver.sync(web("a"), version=1999)
    assert driver.names == ["a"]
    assert driver.reflector.figures.relists == 1


def test_the_newest_version_is_asked_for_after_failures_only() -> None:
    driver = Driver()
    driver.sync(web("a"))
    driver.now += TIMING.steady
    driver.reflector.ended(driver.now)
    driver.open()
    assert driver.probes == 0
    for times in (1, 2, 3):
        driver.reflector.broken("connection lost", driver.now)
        driver.open()
        assert driver.probes == times


def test_while_the_newest_version_is_not_told_nothing_is_watched() -> None:
    driver = Driver()
    driver.sync(web("a"))
    driver.reflector.broken("connection lost", driver.now)
    for status in (500, 429, 403):
        request = driver.step()
        assert probes(request)
        assert dict(request.query) == {"limit": "1"}
        driver.refuse(status)
    assert probes(driver.step())
    driver.page(GARBAGE)
    assert driver.open()["resourceVersion"] == "10"
    assert driver.names == ["a"]


def test_watches_that_fail_are_tried_less_often_though_the_version_is_told() -> None:
    driver = Driver()
    driver.sync(web("a"))
    for _ in range(8):
        driver.reflector.broken("connection lost", driver.now)
        failed = driver.now
        driver.open()
    assert driver.now - failed >= TIMING.backoff_most / 2


GONE = {
    "HTTP status": lambda driver: (driver.ask(), driver.refuse(410)),
    "ERROR event by code": lambda driver: (driver.open(), driver.lines(failure(410))),
    "ERROR event by reason": lambda driver: (driver.open(), driver.lines(failure(0, "Expired"))),
    "a bookmark from before": lambda driver: (driver.open(), driver.lines(bookmark(3))),
    "HTTP 400 to the version": lambda driver: (driver.ask(), driver.refuse(400)),
}


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_410_lists_again_and_deletes_at_the_end_only(gone: Any) -> None:
    driver = Driver()
    driver.sync(web("a"), web("b"), web("c"))
    driver.reflector.broken("connection lost", driver.now)
    gone(driver)
    started = driver.now
    assert driver.open()["sendInitialEvents"] == "true"
    assert driver.now - started <= TIMING.relist
    driver.lines(added(web("c", 30, "10.0.0.3")), added(web("d", 31)))
    assert driver.names == ["a", "b", "c", "d"]  # as long as the list is not complete
    driver.reflector.broken("connection lost", driver.now)
    assert driver.names == ["a", "b", "c", "d"]
    driver.sync(web("c", 30, "10.0.0.3"))
    assert driver.names == ["c"]
    assert driver.events.count(Synced("Service")) == 1
    assert driver.reflector.figures.relists == 2


def test_what_was_lost_on_our_side_is_said_again() -> None:
    """The sink failed at a batch: which of its events it took is not known."""
    driver = Driver()
    driver.sync(web("a"), web("b"), web("c"))
    driver.lines(failure(410))
    driver.sync(web("a"), web("c"))  # deletes b
    driver.lines(frame("DELETED", web("c", 20)))
    driver.events.clear()
    driver.reflector.restart("a bug", driver.now)
    driver.sync(web("a"))
    assert {event.name for event in driver.events if isinstance(event, Delete)} == {"b", "c"}
    assert driver.names == ["a"]
    assert driver.events[-1] == Synced("Service")
    driver.events.clear()
    driver.lines(failure(410))
    driver.sync(web("a"))
    assert [type(event) for event in driver.events] == [Upsert]


def test_a_list_in_pages_that_expires_starts_over() -> None:
    driver = Driver()
    driver.ask()
    driver.refuse(422)
    driver.open()
    driver.page(page(web("a"), token="old"))
    assert driver.open()["continue"] == "old"
    driver.refuse(410)
    assert "continue" not in driver.open()
    driver.page(page(web("b")))
    assert driver.names == ["b"]


def test_410_to_every_watch_does_not_list_without_pause() -> None:
    driver = Driver()
    started = driver.now
    for _ in range(20):
        driver.sync(web())
        driver.reflector.broken("connection lost", driver.now)
        driver.ask()
        driver.refuse(410)
    assert driver.now - started > 20


NONSENSE = {
    "garbage": GARBAGE,
    "truncated": added(web("x", 20))[:-5],
    "unknown type": frame("RENAMED", web("x", 20)),
    "no object": b'{"type": "ADDED"}',
    "null": b"null",
    "a number": b"1",
    "not UTF-8": b'{"type": "\xff\xfe", "object": {}}',
    "nested without end": b'{"type": "ADDED", "object": ' + b"[" * 100_000,
    "a bookmark without version": frame("BOOKMARK", {"metadata": {}}),
    "an error of its own": failure(500, "InternalError"),
}


@pytest.mark.parametrize("line", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_in_a_watch_reconnects_and_is_told_once(
    line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Driver()
    driver.sync(web("a"))
    driver.reflector.broken("connection lost", driver.now)
    caplog.clear()
    for _ in range(TRIED_RESUMES):
        assert driver.open()["resourceVersion"] == "10"
        driver.lines(line)
        assert not driver.reflector.reading
    assert driver.names == ["a"]
    assert len(caplog.records) == 1
    driver.sync(web("a"), web("b"))  # one that stands in the way of all others is gone around
    assert driver.names == ["a", "b"]


BAD_PAGES = {
    "garbage": GARBAGE,
    "empty": b"",
    "an empty object": b"{}",
    "no version": b'{"kind": "ServiceList", "metadata": {}, "items": []}',
    "an empty version": b'{"kind":"ServiceList","metadata":{"resourceVersion":""},"items":[]}',
    "no items": b'{"kind": "ServiceList", "metadata": {"resourceVersion": "1"}}',
    "another kind": page(web("x"), kind="PodList"),
    "a Status": b'{"kind": "Status", "code": 200, "metadata": {}}',
    "cut": page(web("x"))[:-9],
}


@pytest.mark.parametrize("body", BAD_PAGES.values(), ids=BAD_PAGES)
def test_a_bad_page_never_empties_the_zone(body: bytes) -> None:
    driver = Driver()
    driver.ask()
    driver.refuse(422)
    driver.open()
    driver.page(page(web("a")))
    driver.reflector.restart("test", driver.now)
    for _ in range(TRIED_RESUMES + 1):
        assert "limit" in driver.open()
        driver.page(body)
    assert driver.names == ["a"]
    driver.open()
    driver.page(b'{"kind": "ServiceList", "metadata": {"resourceVersion": "1"}, "items": null}')
    assert driver.names == []  # as Go writes an empty list at times


BAD_OBJECTS: dict[str, tuple[Json, str]] = {
    "a wrong type": ({**web("a", 20), "spec": {"ports": "80"}}, "Service shop/a: spec.ports"),
    "no metadata": ({"spec": {}}, "Service without usable metadata"),
    "no name": ({"metadata": {"resourceVersion": "20"}}, "Service without usable metadata"),
    "a name of the wrong type": ({"metadata": {"name": 5}}, "Service without usable metadata"),
    "no object at all": (5, "Service without usable metadata"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize(("obj", "named"), BAD_OBJECTS.values(), ids=BAD_OBJECTS)
def test_an_object_that_cannot_be_used_keeps_its_old_state(
    obj: Json, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Driver()
    driver.sync(web("a", 5))
    before = dict(driver.objects)
    for n in range(3):
        again = at(obj, 20 + n) if isinstance(obj, dict) and "metadata" in obj else obj
        driver.lines(frame("MODIFIED", again), added(web(f"next-{n}", 30 + n)))
    assert driver.objects["shop", "a"] == before["shop", "a"]
    assert driver.names == ["a", "next-0", "next-1", "next-2"]
    assert driver.reflector.reading
    assert driver.reflector.figures.decode_errors == 3
    assert sum(named in record.message for record in caplog.records) >= 1
    driver.lines(failure(410))
    driver.open()
    driver.lines(added(web("b", 40)), frame("ADDED", {**web("a", 41), "spec": 1}), initial_end(41))
    assert driver.objects["shop", "a"] == before["shop", "a"]  # listed, so not deleted


def test_a_broken_object_is_named_once_and_again_after_it_was_good(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = Driver()
    driver.sync()
    broken = {**web("a"), "spec": {"ports": 1}}
    driver.lines(*(added(at(broken, version)) for version in (20, 21, 22)))
    assert len(caplog.records) == 1
    driver.lines(added(web("a", 23)), added(at(broken, 24)))
    assert len(caplog.records) == 2


def test_a_decoder_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def decode(octets: bytes) -> None:
        raise ZeroDivisionError("a bug of ours")

    driver = Driver()
    driver.reflector = Reflector("Service", Selection(), random.Random(1), decode=decode)
    driver.sync(web("a"))
    assert driver.events == [Synced("Service")]
    assert "Service shop/a: ZeroDivisionError('a bug of ours')" in caplog.text


def test_objects_without_records_are_deleted_and_odd_ones_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = Driver("EndpointSlice")
    good = endpoint_slice("shop", "web", [endpoint("10.1.0.1")])
    odd = {**good, "metadata": {**good["metadata"], "labels": {}}}
    driver.sync(at(good, 1))
    assert driver.names == ["web-1"]
    driver.lines(frame("MODIFIED", at(odd, 20)), frame("MODIFIED", at(odd, 21)))
    assert driver.names == []
    assert [record.message for record in caplog.records] == [
        "not used: EndpointSlice shop/web-1 has no label kubernetes.io/service-name"
    ]
    assert driver.reflector.figures.decode_errors == 0


def test_a_terminating_pod_keeps_its_record_until_it_is_deleted() -> None:  # 5.3, 7.5 (4)
    driver = Driver("Pod")
    old, new = at(pod("shop", "old", "10.1.0.1"), 1), at(pod("shop", "new", "10.1.0.2"), 2)
    new["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    driver.sync(old, new)
    assert driver.names == ["old"]
    leaving = at(old, 20)
    leaving["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    driver.lines(frame("MODIFIED", leaving))
    assert driver.names == ["old"]
    driver.lines(frame("DELETED", at(leaving, 21)))
    assert driver.names == []


ORDERS = {
    "repeated": ([added(web("a", 20)), added(web("a", 20))], {"a": "10.0.0.1"}),
    "an older state later": (
        [added(web("a", 21, "10.0.0.2")), added(web("a", 20, "10.0.0.1"))],
        {"a": "10.0.0.2"},
    ),
    "another object's older event": (
        [added(web("a", 21)), added(web("b", 20, "10.0.0.2"))],
        {"a": "10.0.0.1", "b": "10.0.0.2"},
    ),
    "an event of what is deleted by now": (
        [added(web("a", 20)), frame("DELETED", web("a", 22)), added(web("a", 21))],
        {},
    ),
    "the deletion of an earlier one": (
        [added(web("a", 22)), frame("DELETED", web("a", 21))],
        {"a": "10.0.0.1"},
    ),
    "deleted twice": ([frame("DELETED", web("a", 21)), frame("DELETED", web("a", 21))], {}),
    "made again": ([frame("DELETED", web("a", 21)), added(web("a", 22))], {"a": "10.0.0.1"}),
    "versions that are no numbers": (
        [
            added({"metadata": {**web("a")["metadata"], "resourceVersion": "b"}, "spec": {}}),
            added({**web("a"), "metadata": {**web("a")["metadata"], "resourceVersion": "a"}}),
        ],
        {"a": "10.0.0.1"},
    ),
}


@pytest.mark.parametrize(("lines", "expected"), ORDERS.values(), ids=ORDERS)
def test_order_of_events(lines: list[bytes], expected: dict[str, str]) -> None:
    driver = Driver()
    driver.sync()
    driver.lines(*lines)
    held = {
        name: ".".join(map(str, obj.cluster_ips[0])) for (_, name), obj in driver.objects.items()
    }
    assert held == expected


def test_backoff_doubles_to_its_limit_and_starts_over_after_success() -> None:
    driver = Driver()
    waits = []
    for _ in range(10):
        driver.ask()
        asked = driver.now
        driver.reflector.broken("connection refused", asked)
        driver.ask()
        waits.append(driver.now - asked)
    for n, wait in enumerate(waits):
        most = min(TIMING.backoff_most, TIMING.backoff_first * 2**n)
        assert most / 2 <= wait <= most
    driver.sync()
    asked = driver.now
    driver.reflector.broken("connection lost", asked)
    driver.ask()
    assert driver.now - asked <= TIMING.backoff_first


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_refusals_keep_what_is_held_and_the_version(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Driver()
    driver.sync(web("a"))
    driver.reflector.broken("connection lost", driver.now)
    caplog.clear()
    for _ in range(5):
        assert dict(driver.ask().query)["resourceVersion"] == "10"
        driver.refuse(status, message="services is forbidden")
    assert [record.message for record in caplog.records] == [
        f"Service: {status} services is forbidden"
    ]
    assert driver.names == ["a"]


def test_retry_after_is_honoured_up_to_a_limit() -> None:
    driver = Driver()
    for asked, least, most in ((7, 7, 7), (10_000, TIMING.retry_after, TIMING.retry_after)):
        driver.ask()
        driver.refuse(429, retry_after=asked)
        started = driver.now
        driver.ask()
        assert least <= driver.now - started <= most


def test_a_repeated_failure_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    driver = Driver()
    started = driver.now
    while driver.now < started + 90:
        driver.ask()
        driver.reflector.broken("connection refused", driver.now)
    assert [record.message for record in caplog.records] == ["Service: connection refused"] * 2
    with caplog.at_level(logging.INFO):
        driver.sync()
    assert "following again after" in caplog.text


def test_a_watch_that_dies_every_second_is_followed() -> None:
    driver = Driver()
    driver.sync()
    for n in range(20):
        driver.reflector.ended(driver.now)
        ended = driver.now
        driver.open()
        assert driver.now - ended <= TIMING.backoff_first
        driver.lines(added(web(f"w{n}", 20 + n)))
        driver.now += 1
    assert len(driver.names) == 20
    assert driver.reflector.figures.relists == 0


def test_a_server_that_closes_at_once_is_left_in_peace() -> None:
    driver = Driver()
    driver.sync()
    started = driver.now
    for _ in range(12):
        driver.reflector.ended(driver.now)
        driver.open()
    assert driver.now - started > 15


def test_a_stream_that_falls_quiet_after_its_list_becomes_a_watch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In a quiet cluster every start comes to this; it is no failure. A silent watch is one."""
    driver = Driver()
    driver.open()
    driver.lines(added(web()))
    driver.reflector.silent(55, driver.now)
    assert driver.reflector.figures.reconnects == 1
    driver.sync(web())
    driver.reflector.silent(55, driver.now)
    asked = driver.now
    assert driver.open()["resourceVersion"] == "10"
    assert (driver.now, driver.reflector.figures.reconnects) == (asked, 1)
    driver.reflector.silent(55, driver.now)
    assert driver.reflector.figures.reconnects == 2
    assert {record.message for record in caplog.records} == {"Service: nothing was heard for 55 s"}


def test_a_watch_that_ended_in_time_is_resumed_at_once() -> None:
    driver = Driver()
    driver.sync()
    driver.now += 30
    driver.reflector.ended(driver.now)
    ended = driver.now
    driver.open()
    assert driver.now == ended
    assert driver.reflector.figures.reconnects == 0


def test_replicas_spread_their_lists() -> None:
    """No two of a hundred that hear 410 at the same time list in the same 5 ms, about."""
    waits = set()
    for seed in range(100):
        driver = Driver()
        driver.reflector = Reflector("Service", Selection(), random.Random(seed))
        driver.sync()
        driver.lines(failure(410))
        heard = driver.now
        driver.ask()
        waits.add(round((driver.now - heard) / 0.005))
    assert len(waits) > 70


class Truth:
    """An API server in memory: objects, their history, and what a client may be told of it."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.version = 1
        self.objects: dict[str, Json] = {}
        self.history: list[tuple[int, bytes]] = []
        self.oldest = 0  # versions before this are 410
        self.lists: dict[str, tuple[int, list[Json]]] = {}

    def change(self) -> None:
        self.version += 1
        name = self.dice.choice("abcdefgh")
        if name in self.objects and self.dice.random() < 0.4:
            gone = at(self.objects.pop(name), self.version)
            self.history.append((self.version, frame("DELETED", gone)))
        else:
            new = web(name, self.version, f"10.0.{self.version >> 8}.{self.version & 255}")
            change = "MODIFIED" if name in self.objects else "ADDED"
            self.objects[name] = new
            self.history.append((self.version, frame(change, new)))

    def forgot(self, query: dict[str, str]) -> bool:
        version = query.get("resourceVersion") or query.get("continue", "").partition(":")[0]
        return bool(version) and int(version) < self.oldest

    def keep(self, version: int, rest: list[Json]) -> str:
        """The token for what is left of a list as of a version."""
        token = f"{version}:{len(self.lists)}"
        self.lists[token] = version, rest
        return token

    def rest(self, token: str) -> tuple[int, list[Json]]:
        return self.lists[token] if token else (self.version, list(self.objects.values()))

    def since(self, version: int) -> list[bytes]:
        return [line for number, line in self.history if number > version]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), streams=st.booleans())
def test_whatever_happens_the_end_is_the_truth(seed: int, streams: bool) -> None:
    """Changes and faults in any order; then the API behaves, and everything is as it says."""
    logging.disable(logging.CRITICAL)
    try:
        dice = random.Random(seed)
        truth, driver = Truth(dice), Driver()
        for _ in range(60):
            play(truth, driver, streams, faulty=True)
        for _ in range(20):
            play(truth, driver, streams, faulty=False)
    finally:
        logging.disable(logging.NOTSET)
    held = {name: obj.cluster_ips for (_, name), obj in driver.objects.items()}
    told = {
        name: (bytes(map(int, obj["spec"]["clusterIP"].split("."))),)
        for name, obj in truth.objects.items()
    }
    assert held == told
    assert driver.events.count(Synced("Service")) == 1


def play(truth: Truth, driver: Driver, streams: bool, *, faulty: bool) -> None:
    """One request and its answer, with changes in the meantime."""
    dice = truth.dice
    request = driver.ask()
    query = dict(request.query)
    reflector = driver.reflector
    if faulty:
        for _ in range(dice.randrange(4)):
            truth.change()
        if dice.random() < 0.1:
            truth.oldest = truth.version
        match dice.randrange(8):
            case 0:
                return reflector.broken("connection refused", driver.now)
            case 1:
                return driver.refuse(dice.choice([401, 403, 404, 410, 429, 500, 503]))
    if "sendInitialEvents" in query and not streams:
        return driver.refuse(422)
    if truth.forgot(query):
        return driver.refuse(410)
    reflector.accepted(driver.now)
    if not request.lines:
        if faulty and dice.random() < 0.2:
            return driver.page(dice.choice(list(BAD_PAGES.values())))
        version, rest = truth.rest(query.get("continue", ""))
        token = truth.keep(version, rest[2:]) if rest[2:] else ""
        return driver.page(page(*rest[:2], version=version, token=token))
    if "sendInitialEvents" in query:
        lines = [added(obj) for obj in truth.objects.values()] + [initial_end(truth.version)]
    else:
        lines = truth.since(int(query["resourceVersion"]))
    if faulty:
        lines = spoiled(lines, dice)
    driver.lines(*lines)
    if reflector.reading:
        driver.now += dice.choice([0, 1, 40])
        if dice.random() < 0.5:
            reflector.ended(driver.now)
        else:
            reflector.broken("connection lost", driver.now)
    return None


def spoiled(lines: list[bytes], dice: random.Random) -> list[bytes]:
    """Cut short, repeated, or with nonsense in between: but nothing is left out in the middle."""
    if dice.random() < 0.4:
        lines = lines[: dice.randrange(len(lines) + 1)]
    if dice.random() < 0.3:
        lines = [line for line in lines for _ in range(dice.randint(1, 2))]
    if dice.random() < 0.3:
        lines.insert(dice.randrange(len(lines) + 1), dice.choice(list(NONSENSE.values())))
    return lines


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_do_not_depend_on_the_pieces(parts: list[bytes], data: st.DataObject) -> None:
    text = b"\n".join(parts) + b"\n"
    lines, found = Lines(), []
    while text:
        size = data.draw(st.integers(1, len(text)))
        found += lines.feed(text[:size])
        text = text[size:]
    assert found == [line for part in parts for line in part.split(b"\n") if line]


def test_a_line_has_a_limit() -> None:
    lines = Lines(most=10)
    assert lines.feed(b"0123456789\n") == [b"0123456789"]
    with pytest.raises(SourceError, match="a line of more than 10 octets"):
        lines.feed(b"0123456789a")


def test_held_forgets_empty_namespaces() -> None:
    held, other = Held(), Held()
    held.put("a", "x", 1)
    held.put("b", "y", 2)
    held.pop("a", "x")
    held.pop("c", "never")
    assert list(held) == [("b", "y")]
    other.put("b", "y", 9)
    other.put("c", "z", 3)
    held.update(other)
    assert (held.get("b", "y"), held.get("c", "z"), len(held)) == (2, 3, 2)


def test_namespaces_have_no_namespace() -> None:
    driver = Driver("Namespace")
    driver.sync(at(namespace("shop"), 1))
    driver.lines(frame("DELETED", at(namespace("shop"), 20)))
    assert driver.events[-1] == Delete("Namespace", "", "shop")
