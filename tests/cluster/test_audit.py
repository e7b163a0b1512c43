"""The self-audit: what was lost without a word is found, and nothing else is called lost."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from clusterdns.cluster.apiserver import ApiServer
from clusterdns.cluster.audit import Auditor, Comparison, audits, mismatches
from clusterdns.cluster.connection import ApiOptions, AuditMode
from clusterdns.cluster.events import Event, Kind
from clusterdns.cluster.reflector import Reflector
from clusterdns.cluster.requests import MOST_ITEMS, Timing
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError
from tests.apiserver.faults import Call, Fault
from tests.apiserver.server import ApiServer as Simulated
from tests.beside import beside
from tests.cluster.following import QUICK, View, truth
from tests.objects import namespace, pod, service

Json = dict[str, Any]
NOW = 1000.0
LIST_VERSION = 50


def following(*objects: tuple[str, int]) -> Reflector:
    """A reflector that watches, after a list of these Services and their versions."""
    reflector = Reflector("Service", Selection(), random.Random(1))
    reflector.next(NOW)
    reflector.refused(422, b"{}", 0.0, NOW)  # no streams: pages
    reflector.next(NOW)
    reflector.accepted(NOW)
    list(reflector.page(page("ServiceList", 40, objects), NOW))
    reflector.next(NOW)
    reflector.accepted(NOW)
    assert not reflector.listing
    return reflector


def page(kind: str, version: int, objects: tuple[tuple[str, int], ...], token: str = "") -> bytes:
    items = [item(name, at) for name, at in objects]
    metadata = {"resourceVersion": str(version), "continue": token}
    return json.dumps({"kind": kind, "metadata": metadata, "items": items}).encode()


def item(name: str, version: int) -> Json:
    made = service("shop", name, "10.0.0.1")
    made["metadata"]["resourceVersion"] = str(version)
    return made


def event(reflector: Reflector, change: str, name: str, version: int) -> list[Event]:
    line = json.dumps({"type": change, "object": item(name, version)})
    return list(reflector.line(line.encode(), NOW))


def nothing(reflector: Reflector) -> None:
    pass


Happens = Callable[[Reflector], object]
WEB = (("web", 30),)
# What is held, what happened before the list, the list, what happens while it settles, the outcome.
COMPARISONS: dict[str, tuple[tuple[tuple[str, int], ...], Happens, Any, Happens, str]] = {
    "the same": (WEB, nothing, WEB, nothing, ""),
    "nothing at all": ((), nothing, (), nothing, ""),
    "not held": ((), nothing, WEB, nothing, "shop/web (not held)"),
    "held at an older version": (WEB, nothing, (("web", 45),), nothing, "shop/web (held at 30)"),
    "held, and gone": (WEB, nothing, (), nothing, "shop/web (is gone)"),
    "several": (
        (("a", 1), ("b", 2), ("c", 3)),
        nothing,
        (("b", 4), ("c", 3), ("d", 5)),
        nothing,
        "shop/b (held at 2), shop/d (not held), shop/a (is gone)",
    ),
    "held at a newer version than it was listed at": (
        WEB,
        lambda r: event(r, "MODIFIED", "web", 60),
        WEB,
        nothing,
        "",
    ),
    "created after the list": (WEB, lambda r: event(r, "ADDED", "new", 60), WEB, nothing, ""),
    "deleted after the list": (WEB, lambda r: event(r, "DELETED", "web", 60), WEB, nothing, ""),
    "the event was on its way": (
        WEB,
        nothing,
        (("web", 45), ("new", 46)),
        lambda r: (event(r, "MODIFIED", "web", 45), event(r, "ADDED", "new", 46)),
        "",
    ),
    "its deletion was on its way": (
        WEB,
        nothing,
        (),
        lambda r: event(r, "DELETED", "web", 47),
        "",
    ),
    "another event than the missing one was on its way": (
        WEB,
        nothing,
        (("web", 45), ("new", 46)),
        lambda r: event(r, "ADDED", "new", 46),
        "shop/web (held at 30)",
    ),
    "an older event was on its way": (
        WEB,
        nothing,
        (("web", 45),),
        lambda r: event(r, "MODIFIED", "web", 40),
        "shop/web (held at 40)",
    ),
    "created, changed and deleted while it settled": (
        WEB,
        nothing,
        (*WEB, ("new", 46)),
        lambda r: (event(r, "ADDED", "new", 46), event(r, "DELETED", "new", 60)),
        "",
    ),
    "gone, and created again while it settled": (
        WEB,
        nothing,
        (),
        lambda r: (event(r, "DELETED", "web", 45), event(r, "ADDED", "web", 60)),
        "",
    ),
    "held since an earlier run": (
        (),
        lambda r: r.known.assume("shop", "old"),
        (),
        nothing,
        "shop/old (is gone)",
    ),
}


@pytest.mark.parametrize(
    ("held", "before", "listed", "settling", "expected"), COMPARISONS.values(), ids=COMPARISONS
)
@pytest.mark.parametrize("paged", [False, True], ids=["one page", "pages"])
def test_comparison(
    held: tuple[tuple[str, int], ...],
    before: Happens,
    listed: tuple[tuple[str, int], ...],
    settling: Happens,
    expected: str,
    paged: bool,
) -> None:
    reflector = following(*held)
    before(reflector)
    comparison = Comparison(reflector)
    parts = [(each,) for each in listed] if paged and listed else [listed]
    for number, part in enumerate(parts, 1):
        token = str(number) if number < len(parts) else ""
        octets = page("PartialObjectMetadataList", LIST_VERSION, part, token)
        found, steps = comparison.page(octets)
        assert found == token
        list(steps)
    list(comparison.rest())
    settling(reflector)
    assert ", ".join(map(str, comparison.mismatches())) == expected
    assert comparison.differs or not expected
    assert not comparison.void


def test_a_namespace_has_no_namespace() -> None:
    reflector = Reflector("Namespace", Selection(), random.Random(1))
    comparison = Comparison(reflector)
    octets = page("NamespaceList", 50, ()).replace(
        b"[]", b'[{"metadata": {"name": "shop", "resourceVersion": "3"}}, {"metadata": 5}]'
    )
    list(comparison.page(octets)[1])
    assert [str(each) for each in comparison.mismatches()] == ["shop (not held)"]


def test_a_list_of_everything_meanwhile_makes_it_void() -> None:
    reflector = following(*WEB)
    comparison = Comparison(reflector)
    list(comparison.page(page("ServiceList", 50, ()))[1])
    reflector.relist()
    reflector.next(NOW)
    assert reflector.listing
    assert comparison.void
    reflector.accepted(NOW)
    list(reflector.page(page("ServiceList", 60, WEB), NOW))
    assert not reflector.listing
    assert comparison.void


@pytest.mark.parametrize(
    "octets", [b"", b"<html>", b"{}", page("PodList", 5, ()), page("ServiceList", 5, ())[:-9]]
)
def test_what_is_no_list(octets: bytes) -> None:
    with pytest.raises(SourceError, match="no list"):
        Comparison(following()).page(octets)


def test_listing_again_forgets_no_word_of_the_stream() -> None:
    """An event that comes after the decision neither counts nor revives the watch."""
    reflector = following(*WEB)
    reflector.relist()
    assert not reflector.reading
    reflector.broken("we closed it", NOW)
    assert reflector.figures.reconnects == 0
    assert dict(getattr(reflector.next(NOW), "query", ())).keys() == {"limit"}


def test_listing_again_between_a_request_and_its_answer() -> None:
    reflector = following(*WEB)
    reflector.ended(NOW + 100)
    reflector.next(NOW + 100)
    reflector.relist()
    reflector.accepted(NOW + 100)
    assert not reflector.reading
    assert dict(getattr(reflector.next(NOW + 100), "query", ())).keys() == {"limit"}


CLUSTER = [namespace("shop"), *(service("shop", f"s{n}", f"10.0.0.{n}") for n in range(5))]
SETTLED = replace(QUICK, audit=(0.02, 0.04), settle=0.05)


class Audited(View):
    """What the events of an audited source said, and its auditor."""

    def __init__(self, source: ApiServer) -> None:
        super().__init__(source)
        self.before = audits.values.copy()

    def results(self, result: str, kind: Kind = "Service") -> int:
        """How many audits ended so since the start."""
        return audits.values[kind, result] - self.before[kind, result]

    async def until_audited(self, result: str, kind: Kind = "Service", times: int = 1) -> None:
        wanted = self.results(result, kind) + times
        async with asyncio.timeout(10):
            while self.results(result, kind) < wanted:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.005)


@asynccontextmanager
async def audited(
    api: Simulated,
    mode: AuditMode = "heal",
    timing: Timing = SETTLED,
    selection: Selection | None = None,
    **options: Any,
) -> AsyncIterator[Audited]:
    """A source that follows and audits, once everything is listed."""
    source = ApiServer(
        selection or Selection(),
        ApiOptions(endpoint=api.url, **options),
        timing,
        random.Random(1),
        audit=mode,
    )
    view = Audited(source)
    async with beside(partial(source.serve, sink=view.sink)):
        await view.until_synced()
        yield view


def is_audit(call: Call) -> bool:
    return "as=PartialObjectMetadataList" in call.headers["Accept"]


def break_it(api: Simulated) -> None:
    api.store.put_unseen(service("shop", "s1", "10.9.9.9"))
    api.store.put_unseen(service("shop", "unseen", "10.0.0.99"))
    api.store.delete_unseen("Service", "shop", "s2")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each for each in caplog.messages if each.startswith("audit: ")]


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "pages"])
async def test_heal(caplog: pytest.LogCaptureFixture, streams: bool) -> None:
    async with Simulated(CLUSTER, streaming_lists=streams) as api, audited(api) as view:
        counted = mismatches.values["Service",]
        await view.until_audited("same")
        break_it(api)
        await view.until_true(api)
        assert mismatches.values["Service",] == counted + 3
        await view.until_audited("same", times=2)
        assert view.source.figures["Service"].relists == 1
        assert view.source.figures["Service"].reconnects == 0
        assert view.source.figures["Namespace"].relists == 0
        assert view.results("same", "Namespace") > 0
        await api.put(service("shop", "later", "10.0.0.98"))  # it is followed again
        await view.until_true(api)
    (line,) = told(caplog)
    assert line.startswith(
        "audit: Service: 3 held otherwise than the API lists them: shop/s1 (held"
    )
    assert line.endswith("shop/unseen (not held), shop/s2 (is gone); listing again")


async def test_report(caplog: pytest.LogCaptureFixture) -> None:
    """Told once, however often it is found; what comes on top is told by itself."""
    async with Simulated(CLUSTER) as api, audited(api, "report") as view:
        counted = mismatches.values["Service",]
        break_it(api)
        await view.until_audited("differs", times=3)
        assert view.objects != truth(api, tuple(view.source.reflectors))
        assert mismatches.values["Service",] == counted + 3
        api.store.put_unseen(service("shop", "more", "10.0.0.97"))
        await view.until_audited("differs", times=3)
        assert view.source.figures["Service"].relists == 0
    assert [line.rpartition(": ")[2] for line in told(caplog)[1:]] == [
        "shop/more (not held); left so (-audit report)"
    ]


async def test_off() -> None:
    async with Simulated(CLUSTER) as api, audited(api, "off") as view:
        break_it(api)
        await api.put(service("shop", "seen", "10.0.0.50"))
        await view.until_holds("Service", "shop", "seen")
        await asyncio.sleep(0.1)  # five times the time to the next audit
        assert not any(map(is_audit, api.calls))
        assert "s2" in {name for _, _, name in view.objects}


async def test_many_are_not_all_named(caplog: pytest.LogCaptureFixture) -> None:
    async with Simulated(CLUSTER) as api, audited(api) as view:
        for n in range(25):
            api.store.put_unseen(service("shop", f"w{n:02}", f"10.1.0.{n}"))
        await view.until_true(api)
    (line,) = told(caplog)
    assert line.count("(not held)") == 10
    assert "(not held) and 15 more; listing again" in line


async def test_what_it_asks_for() -> None:
    """Metadata in pages, with the selectors of the list itself, and only of what is followed."""
    selection = Selection(labels="app=a", pods=True, endpoints=False)
    labelled = [service("shop", f"a{n}", labels={"app": "a"}) for n in range(3)]
    async with Simulated([*CLUSTER, *labelled]) as api:
        async with audited(api, selection=selection) as view:
            await api.put(pod("shop", "p", "10.1.1.1", labels={"app": "a"}))
            await view.until_audited("same", "Namespace", 2)
        calls = [call for call in api.calls if is_audit(call)]
    assert {call.verb for call in calls} == {"list"}
    assert {call.resource for call in calls} == {"services", "pods", "namespaces"}
    for call in calls:
        assert call.query["limit"] == str(MOST_ITEMS)
        assert call.query.get("labelSelector") == (
            None if call.resource == "namespaces" else "app=a"
        )
        assert ("fieldSelector" in call.query) == (call.resource == "pods")
    assert view.results("differs", "Pod") == 0


async def test_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each no larger than wanted; one slot is enough for it all."""
    for bound in ("LEAST_ITEMS", "MOST_ITEMS"):
        monkeypatch.setattr(f"clusterdns.cluster.audit.{bound}", 2)
    async with Simulated(CLUSTER) as api, audited(api, max_inflight=1) as view:
        api.store.delete_unseen("Service", "shop", "s4")
        await view.until_true(api)
        pages = [c for c in api.calls if is_audit(c) and c.resource == "services"]
        assert {call.query["limit"] for call in pages} == {"2"}
        assert sum("continue" in call.query for call in pages) >= 1
        await view.until_audited("same")


async def test_events_that_are_late_are_no_mismatch() -> None:
    """Changes all the time, some of them seen only after they were listed."""
    timing = replace(SETTLED, audit=(0.001, 0.002), settle=0.2)
    async with Simulated(CLUSTER) as api, audited(api, timing=timing) as view:
        for n in range(100):
            await api.put(service("shop", f"s{n % 7}", f"10.2.0.{n}"))
            if n % 10 == 0:
                await api.delete("Service", "shop", f"s{n % 7}")
            if n % 25 == 0:
                api.cut_watches("services")
            await asyncio.sleep(0.002)
        await view.until_audited("same")
        assert view.results("differs") == 0


FAILURES = {
    "refused": (Fault(status=500), "500 b'"),
    "forbidden": (Fault(status=403), "403 b'"),
    "garbage": (Fault(body=b"<html>"), "no list"),
    "cut": (Fault(octets=40), "ClientPayloadError"),
    "hangs": (Fault(hang=True), "TimeoutError: no answer within"),
    "another list": (Fault(body=page("PodList", 5, ())), "no list of metadata"),
}


@pytest.mark.parametrize(("fault", "said"), FAILURES.values(), ids=FAILURES)
async def test_failures(fault: Fault, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Counted each time, told once; what is followed does not suffer."""
    timing = replace(SETTLED, answer=0.4) if fault.hang else SETTLED
    async with Simulated(CLUSTER) as api:
        api.fault = lambda call: fault if is_audit(call) and call.resource == "services" else None
        async with audited(api, timing=timing) as view:
            await view.until_audited("failed", times=3)
            assert view.results("same", "Namespace") > 0
            await api.put(service("shop", "new", "10.0.0.77"))
            await view.until_true(api)
            api.fault = lambda call: None
            await view.until_audited("same")
            assert view.source.figures["Service"].reconnects == 0
    assert [line.startswith(f"audit: Service: {said}") for line in told(caplog)] == [True]


async def test_a_broken_audit_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Comparison, octets: bytes) -> None:
        raise RuntimeError("never thought of")

    monkeypatch.setattr(Comparison, "page", broken)
    async with Simulated(CLUSTER) as api, audited(api) as view:
        await view.until_audited("failed", times=2)
        await api.put(service("shop", "new", "10.0.0.77"))
        await view.until_true(api)
    assert "audit: Service: RuntimeError('never thought of')" in told(caplog)


async def test_what_is_being_listed_is_not_audited() -> None:
    async with Simulated(CLUSTER) as api, audited(api, "off") as view:
        auditor = Auditor(view.source, Selection(), "heal", random.Random(1), SETTLED)
        reflector = view.source.reflectors["Service"]
        reflector.figures.synced = False
        await auditor.audit("Service")
        assert view.results("skipped") == 1
        reflector.figures.synced = True
        await auditor.audit("Service")
        assert view.results("same") == 1


@pytest.mark.parametrize("mode", ["report", "heal"])
async def test_the_loop_gets_its_turn(mode: AuditMode) -> None:
    """A large list is gone through in steps of about a millisecond."""
    many = [service("shop", f"w{n}", "10.0.0.1") for n in range(5000)]
    async with Simulated([namespace("shop"), *many]) as api, audited(api, "off") as view:
        auditor = Auditor(view.source, Selection(), mode, random.Random(1), SETTLED)
        turns = [0]

        async def others() -> None:
            while True:
                turns[0] += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        await auditor.audit("Service")
        beside.cancel()
        assert view.results("same") == 1
        assert turns[0] > 20
