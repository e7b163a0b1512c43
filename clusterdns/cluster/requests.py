"""The GETs that list and watch consist of, and the limits in seconds that go with them.

Pages name no resourceVersion: "0" makes older servers ignore `limit`. Why a watch asks to be ended
so soon stands in reflector.py.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from clusterdns.cluster.events import Kind
from clusterdns.cluster.selection import Selection

PATHS: dict[Kind, str] = {
    "Service": "/api/v1/services",
    "ServiceImport": "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
    "Pod": "/api/v1/pods",
    "Namespace": "/api/v1/namespaces",
}
JSON = "application/json"
# Names and versions alone; a server that cannot do so (before 1.15) sends all there is.
METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"
MOST_ITEMS = 500  # a page; what every client asks for
FIRST_ITEMS: dict[Kind, int] = {"EndpointSlice": 100, "Pod": 200}  # objects of 5 to 100 kB
LEAST_ITEMS = 20
PAGE_OCTETS = 1 << 20  # aimed at: a page is in memory whole, and scanned in one go (1 ms)


@dataclass(frozen=True)
class Timing:
    """Limits, in seconds. Pairs are bounds between which one is drawn."""

    backoff_first: float = 0.2
    backoff_most: float = 5.0
    steady: float = 5.0  # a stream that lived so long was a success, whatever it brought
    watch: tuple[float, float] = (30.0, 45.0)
    stream: tuple[float, float] = (600.0, 900.0)  # a list that a throttled process reads slowly
    relist: float = 1.0  # replicas that hear 410 at once spread their lists over this
    connect: float = 5.0
    answer: float = 25.0  # until the status line
    silence: float = 55.0  # without an octet; more than a watch may last, so it is never met
    retry_after: float = 60.0  # the most that a server may ask for
    audit: tuple[float, float] = (240.0, 360.0)  # between two audits
    settle: float = 30.0  # what an audit finds may still be on its way for so long
    told: float = 60.0  # a failure that repeats is logged again after this


class Request(NamedTuple):
    """A GET that the driver shall send."""

    path: str
    query: tuple[tuple[str, str], ...]
    lines: bool  # the body is lines, each for `Reflector.line`; else one page, for `page`
    listing: bool  # part of a list
    accept: str = JSON


class Wait(NamedTuple):
    """Nothing is to be done for so long."""

    seconds: float


class Requests:
    """Makes the requests for one kind."""

    def __init__(
        self, kind: Kind, selection: Selection, dice: random.Random, timing: Timing
    ) -> None:
        self._path, self._selectors = PATHS[kind], tuple(_selectors(kind, selection))
        self._dice, self._timing = dice, timing

    def stream(self) -> Request:
        """A list as a stream that goes on as a watch."""
        return self._get(
            ("watch", "true"),
            ("sendInitialEvents", "true"),
            ("resourceVersionMatch", "NotOlderThan"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", self._draw(self._timing.stream)),
            lines=True,
            listing=True,
        )

    def page(self, items: int, token: str = "") -> Request:
        """So many items of a list; token: where the page before ended, "" for the first."""
        rest = (("continue", token),) if token else ()
        return self._get(("limit", str(items)), *rest, lines=False, listing=True)

    def metadata(self, items: int, token: str = "") -> Request:
        """So many items of a list of nothing but metadata; token: as for `page`."""
        return self.page(items, token)._replace(accept=METADATA)

    def probe(self) -> Request:
        """One item of a list, for the version that comes with it. It is the newest there is, as no
        version is asked for: kube-apiserver looks into etcd, or waits until its cache is as new.
        """
        return self._get(("limit", "1"), lines=False, listing=False)

    def watch(self, version: str) -> Request:
        """What happens after this version."""
        return self._get(
            ("watch", "true"),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", self._draw(self._timing.watch)),
            lines=True,
            listing=False,
        )

    def _get(self, *query: tuple[str, str], lines: bool, listing: bool) -> Request:
        return Request(self._path, (*self._selectors, *query), lines, listing)

    def _draw(self, bounds: tuple[float, float]) -> str:
        return str(max(1, round(self._dice.uniform(*bounds))))


def _selectors(kind: Kind, selection: Selection) -> Iterator[tuple[str, str]]:
    of_namespaces = kind in ("Namespace", "ServiceImport")  # of imports too, as in CoreDNS
    labels = selection.namespace_labels if of_namespaces else selection.labels
    if labels:
        yield "labelSelector", labels
    if kind == "Pod":
        yield "fieldSelector", LIVE_PODS
