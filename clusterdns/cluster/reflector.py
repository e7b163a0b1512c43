"""List and watch rules without I/O: what to ask the API next, and what its octets mean.

One Reflector follows one kind. Its driver asks `next` what to do, does it, and hands in what came;
events come back. https://kubernetes.io/docs/reference/using-api/api-concepts/ decides:

- A list is asked for as a stream (`sendInitialEvents`); a server that refuses that (400, 422) is
  asked for pages.
- A watch goes on from the last version seen. 410 in any form leads to a new list. Objects that a
  complete list does not have are deleted at its end, never before: until then the old state stands.
- etcd may be restored from a backup, and versions start again from an older one. A watch from a
  version that does not exist yet is accepted, and then silent until it does (kube-apiserver 1.35).
  So after a failure the newest version is asked for, before a watch goes on; with an older one
  everything is listed.
- A watch asks to be ended after half a minute, which a living server does, keeping the connection:
  resuming costs it one look into its cache, no TLS handshake. So when nothing at all was heard for
  `silence` the server or the way to it is dead, though the connection be open. Bookmarks cannot
  tell that within a minute, as they come about once a minute; TCP keepalive sees a dead host only,
  not a server that hangs or a proxy that lost it.
"""

import logging
import random
from collections.abc import Iterable, Iterator

from msgspec import Raw

from clusterdns.cluster.events import Event, Kind, Synced
from clusterdns.cluster.figures import Figures, reconnects, relists
from clusterdns.cluster.frames import (
    BOOKMARKS,
    FRAMES,
    NONSENSE,
    PAGES,
    STATUSES,
    Page,
    Status,
    number,
    shorten,
)
from clusterdns.cluster.known import DECODE, Decode, Known
from clusterdns.cluster.requests import (
    FIRST_ITEMS,
    LEAST_ITEMS,
    MOST_ITEMS,
    PAGE_OCTETS,
    Request,
    Requests,
    Timing,
    Wait,
)
from clusterdns.cluster.selection import Selection

log = logging.getLogger(__name__)

TRIED_STREAMS = 2  # streaming lists that broke off, after which one is asked for in pages
TRIED_RESUMES = 3  # answers of nothing but nonsense, after which everything is listed again


class Reflector:
    """Follows one kind. `now` is monotonic seconds, `dice` decides whatever is random.

    known: what exists, as far as was heard.
    """

    def __init__(
        self,
        kind: Kind,
        selection: Selection,
        dice: random.Random,
        timing: Timing | None = None,
        decode: Decode | None = None,
    ) -> None:
        self.kind = kind
        self.figures = Figures()
        self.reading = False  # whether more of the answer under way is wanted
        self.known = Known(kind, decode or DECODE[kind](selection), self.figures)
        self._dice = dice
        self._timing = timing or Timing()
        self._requests = Requests(kind, selection, dice, self._timing)
        self._said_synced = False
        self._told: dict[str, float] = {}
        self._version = ""  # "": a list is needed
        self._doubtful = False  # whether the version may be newer than anything the server has
        self._token = ""  # of the next page
        self._items = FIRST_ITEMS.get(kind, MOST_ITEMS)
        self._streams = True  # until the server refuses one
        self._broken_streams = 0
        self._request: Request | None = None
        self._opened = self._not_before = float("-inf")
        self._fruitful = False  # the answer under way brought something
        self._interrupted = False  # it was ended by us
        self._failures = 0  # in a row
        self._barren = 0  # answers in a row that spoke nonsense and brought nothing
        self._expiries = 0  # 410 in a row without a watch that worked

    def next(self, now: float) -> Request | Wait:
        """What to do now."""
        if now < self._not_before:
            return Wait(self._not_before - now)
        self._fruitful = self._interrupted = False
        self._opened = now
        if not self._version:
            self._request = self._list()
        elif self._doubtful:
            self._request = self._requests.probe()
        else:
            self._request = self._requests.watch(self._version)
        return self._request

    def accepted(self, now: float) -> None:
        """The server answered 200: its body comes."""
        self._opened = now
        self.reading = not self._interrupted

    def refused(self, status: int, body: bytes, retry_after: float, now: float) -> None:
        """The server answered anything else. retry_after: seconds, 0 where it names none."""
        self.reading = False
        text = _status(body).message or shorten(body)
        if status == 410:
            self._expired(text, now)
        elif status in (400, 422) and self._request and self._request.lines and not self._version:
            self._streams = False  # asked for in pages at once; this is no failure
        else:
            if status == 400:  # a version or a continue token that it cannot read
                self._version = self._token = ""
            least = min(retry_after, self._timing.retry_after)
            self._fail(f"{status} {text}", now, least)

    @property
    def listing(self) -> bool:
        """Whether a list is under way."""
        return self.known.listing

    def line(self, octets: bytes, now: float) -> Iterable[Event]:
        """The events that one line of a stream stands for; all of them are to be taken."""
        try:
            frame = FRAMES.decode(octets)
        except NONSENSE as error:
            self._garbage(f"no watch event: {shorten(octets)} ({error})", now)
            return ()
        match frame.type:
            case "ADDED" | "MODIFIED" | "DELETED":
                self._heard(now)
                return self._change(frame.type, frame.object, watching=True)
            case "BOOKMARK":
                return self._bookmark(frame.object, now)
            case "ERROR":
                self._error(frame.object, now)
            case other:
                self._garbage(f"watch event of unknown type {other!r}", now)
        return ()

    def page(self, octets: bytes, now: float) -> Iterable[Event | None]:
        """The events that one page of a list stands for; all of them are to be taken.

        None: an object was looked at and is worth no event; a good moment to do something else.
        """
        self.reading = False
        try:
            page = PAGES.decode(octets)
        except NONSENSE as error:
            self._garbage(f"no {self.kind}List: {error}: {shorten(octets)}", now)
            return ()
        if page.kind != f"{self.kind}List" or not page.metadata.resourceVersion:
            self._garbage(f"no {self.kind}List: {shorten(octets)}", now)
            return ()
        if self._request and not self._request.listing:
            self._probed(page, now)
            return ()
        self._heard(now)
        fitting = self._items * PAGE_OCTETS // max(1, len(octets))
        self._items = max(LEAST_ITEMS, min(MOST_ITEMS, fitting))
        return self._items_of(page)

    def ended(self, now: float) -> None:
        """The body ended as it should."""
        if not self.reading:
            return
        self.reading = False
        if not self._version:
            self._broken_streams += 1
            self._fail("the list ended before its end was marked", now)
        elif now - self._opened >= self._timing.steady:
            self._failures = self._expiries = 0
        else:
            self._fail("the watch ended early", now)

    def broken(self, reason: str, now: float) -> None:
        """The request failed, or its answer broke off or fell silent."""
        if self._interrupted:
            return
        if self.reading:
            if not self._version and self._request and self._request.lines:
                self._broken_streams += 1
            if now - self._opened >= self._timing.steady:
                self._failures = 0
        self.reading = False
        self._fail(reason, now)

    def silent(self, seconds: float, now: float) -> None:
        """A stream brought nothing for so long."""
        if self._version and self._request and self._request.listing:
            self.reading = False  # a stream that began as a list may be quiet: watch from now on
        else:
            self.broken(f"nothing was heard for {seconds:g} s", now)

    def relist(self) -> None:
        """Something is held otherwise than it exists: everything is listed again, at once.

        The driver then ends the answer under way. While listing, nothing needs to be done.
        """
        if self._version:
            self.reading = False
            self._interrupted = True
            self._version = ""

    def restart(self, reason: str, now: float) -> None:
        """The last events were lost on our side: everything is listed, and said, again."""
        self.reading = False
        self._said_synced = False
        self.known.distrust()
        self._version = self._token = ""
        self._fail(reason, now)

    def _list(self) -> Request:
        if self._token:
            return self._requests.page(self._items, self._token)
        self._begin_list()
        if self._streams and self._broken_streams < TRIED_STREAMS:
            return self._requests.stream()
        return self._requests.page(self._items)

    def _begin_list(self) -> None:
        if self.figures.synced:
            self.figures.relists += 1
            relists.add(self.kind)
        self.known.begin()

    def _probed(self, page: Page, now: float) -> None:
        self._doubtful = False  # and failures still count: it is the watch that has to work
        if number(page.metadata.resourceVersion) < number(self._version):
            self._expired("the API went back in time", now)

    def _items_of(self, page: Page) -> Iterator[Event | None]:
        for item in page.items or ():
            yield from self._change("ADDED", item, watching=False) or (None,)
        self._token = page.metadata.continue_
        if not self._token:
            yield from self._end_list(page.metadata.resourceVersion)

    def _end_list(self, version: str) -> Iterator[Event]:
        deletes = self.known.end()
        self._version = version
        self._doubtful = False
        self._broken_streams = 0
        yield from deletes
        self.figures.synced = True
        if not self._said_synced:
            self._said_synced = True
            yield Synced(self.kind)

    def _change(self, change: str, octets: Raw, *, watching: bool) -> tuple[Event, ...]:
        metadata = self.known.metadata(octets)
        if metadata is None:
            return ()
        if watching and not self.known.listing and metadata.resourceVersion:
            self._version = metadata.resourceVersion
        return self.known.change(change, metadata, octets)

    def _bookmark(self, octets: Raw, now: float) -> Iterable[Event]:
        try:
            metadata = BOOKMARKS.decode(octets).metadata
        except NONSENSE as error:
            self._garbage(f"no bookmark: {shorten(bytes(octets))} ({error})", now)
            return ()
        self._heard(now)
        if self.known.listing:
            if (metadata.annotations or {}).get("k8s.io/initial-events-end") == "true":
                return self._end_list(metadata.resourceVersion)
        elif number(metadata.resourceVersion) < number(self._version):
            self._expired("the API went back in time", now)  # etcd was restored from a backup
        else:
            self._version = metadata.resourceVersion
        return ()

    def _error(self, octets: Raw, now: float) -> None:
        status = _status(octets)
        if status.code == 410 or status.reason in ("Expired", "Gone"):
            self._expired(status.message or "410", now)
        else:
            self._garbage(f"ERROR event {status.code} {status.reason}: {status.message}", now)

    def _expired(self, reason: str, now: float) -> None:
        """The version or the continue token is too old: list again."""
        self.reading = False
        again = not self._version  # while listing: that is a failure like others
        self._version = self._token = ""
        if again:
            self._fail(f"the list expired: {reason}", now)
            return
        if self._expiries:  # not even what was just listed: do not list as fast as we can
            self._failures = max(self._failures, self._expiries)
            self._fail(f"expired again: {reason}", now)
        else:
            log.info("%s: listing again: %s", self.kind, reason)
            self._not_before = now + self._dice.uniform(0, self._timing.relist)
        self._expiries += 1

    def _garbage(self, reason: str, now: float) -> None:
        """The answer cannot be trusted any further; after three that brought nothing else, nor can
        its version: one broken event would stand in the way of all that come after it.
        """
        self.reading = False
        if not self._version and self._request and self._request.lines:
            self._broken_streams += 1
        self._barren = 0 if self._fruitful else self._barren + 1
        if self._barren >= TRIED_RESUMES:
            self._barren = 0
            self._version = self._token = ""
        self._fail(reason, now)

    def _heard(self, now: float) -> None:
        self.figures.heard = now
        if not self._fruitful:
            self._fruitful = True
            if self._failures > 2:
                log.info("%s: following again after %d failures", self.kind, self._failures)
            self._failures = self._barren = 0
            if self._request and not self._request.listing:
                self._expiries = 0

    def _fail(self, reason: str, now: float, least: float = 0.0) -> None:
        self.figures.reconnects += 1
        reconnects.add(self.kind)
        self._doubtful = True
        self._failures += 1
        timing = self._timing
        delay = min(timing.backoff_most, timing.backoff_first * 2 ** min(self._failures - 1, 30))
        self._not_before = now + max(least, delay * self._dice.uniform(0.5, 1.0))
        self._told = {text: told for text, told in self._told.items() if now - told < timing.told}
        if reason not in self._told:
            self._told[reason] = now
            log.warning("%s: %s", self.kind, reason)


def _status(octets: bytes | Raw) -> Status:
    try:
        return STATUSES.decode(octets)
    except NONSENSE:
        return Status()
