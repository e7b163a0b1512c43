"""Compares what is held with what the API lists, in case an event was lost and nobody noticed.

Every few minutes names and versions are listed, nothing else: cheap for both sides. A difference
counts when it is still there after a while, since what was just listed may still be on its way as
an event, or have been overtaken by one.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Iterable, Iterator
from typing import NamedTuple, Protocol

from clusterdns.cluster.connection import AuditMode
from clusterdns.cluster.events import Kind
from clusterdns.cluster.frames import HEADS, NONSENSE, PAGES
from clusterdns.cluster.held import Held
from clusterdns.cluster.reflector import Reflector
from clusterdns.cluster.requests import (
    LEAST_ITEMS,
    MOST_ITEMS,
    PAGE_OCTETS,
    Request,
    Requests,
    Timing,
)
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError
from clusterdns.metrics import Counter

NAMED = 10  # differences that one line names; a view that is wrong in all would fill the log

log = logging.getLogger(__name__)

audits = Counter(
    "clusterdns_audits_total",
    "Comparisons of a kind with the Kubernetes API: same, differs, skipped or failed.",
    ("kind", "result"),
)
mismatches = Counter(
    "clusterdns_audit_mismatches_total",
    "Objects that were held otherwise than the Kubernetes API had them.",
    ("kind",),
)


class Mismatch(NamedTuple):
    """An object that is held at another version than it is listed at."""

    namespace: str
    name: str
    held: int  # 0: not at all
    listed: int | None  # None: not at all

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        if self.listed is None:
            return f"{place} (is gone)"
        return f"{place} (held at {self.held})" if self.held else f"{place} (not held)"


class Comparison:
    """One list of metadata, page by page, against what a reflector holds.

    Both walks give None now and then, a good moment to do something else.
    """

    def __init__(self, reflector: Reflector) -> None:
        self._reflector = reflector
        self._relists = reflector.figures.relists
        self._listed = Held()
        self._version = 0  # of the list
        self._behind: dict[tuple[str, str], int] = {}  # listed at this version, held at an older
        self._over: dict[tuple[str, str], int] = {}  # held at this version, not listed

    def page(self, octets: bytes) -> tuple[str, Iterator[None]]:
        """The token of the next page, "" after the last one, and a walk through this one.

        Raises SourceError.
        """
        try:
            page = PAGES.decode(octets)
        except NONSENSE as error:
            raise SourceError(f"no list: {error}") from error
        kinds = ("PartialObjectMetadataList", f"{self._reflector.kind}List")
        if page.kind not in kinds or not page.metadata.resourceVersion:
            raise SourceError(f"no list of metadata: {octets[:80]!r}")
        self._version = _number(page.metadata.resourceVersion)
        return page.metadata.continue_, self._walk(page.items or [])

    def rest(self) -> Iterator[None]:
        """Walks through what is held, and was perhaps not listed; after the last page."""
        held = self._reflector.known.held
        for namespace, names in held.names():
            for name in names:
                version = held.get(namespace, name)
                listed = (namespace, name) in self._listed
                if not listed and version <= self._version and (namespace, name) in held:
                    self._over[namespace, name] = version
                yield None
        self._listed = Held()

    @property
    def differs(self) -> bool:
        return bool(self._behind or self._over)

    @property
    def void(self) -> bool:
        """Whether everything was, or is just being, listed anew."""
        return self._reflector.listing or self._relists != self._reflector.figures.relists

    def mismatches(self) -> list[Mismatch]:
        """Those that are still as they were found."""
        held = self._reflector.known.held
        behind = (
            Mismatch(*key, held.get(*key), listed)
            for key, listed in self._behind.items()
            if self._is_behind(key, listed)
        )
        over = (
            Mismatch(*key, version, None)
            for key, version in self._over.items()
            if key in held and held.get(*key) == version
        )
        return [*behind, *over]

    def _walk(self, items: Iterable[bytes]) -> Iterator[None]:
        for item in items:
            try:
                metadata = HEADS.decode(item).metadata
            except NONSENSE:
                continue  # the reflector has told
            key, listed = (metadata.namespace, metadata.name), _number(metadata.resourceVersion)
            self._listed.put(*key, listed)
            if self._is_behind(key, listed):
                self._behind[key] = listed
            yield None

    def _is_behind(self, key: tuple[str, str], listed: int) -> bool:
        reflector = self._reflector
        newest = max(reflector.known.held.get(*key), reflector.known.deleted(*key))
        return newest < listed or (not listed and key not in reflector.known.held)


class Source(Protocol):
    """What an audit needs of whoever follows the API."""

    reflectors: dict[Kind, Reflector]

    def page(self, request: Request) -> Awaitable[bytes]: ...

    def work(self, steps: Iterable[None]) -> Awaitable[None]: ...

    def relist(self, kind: Kind) -> None: ...


class Auditor:
    """Audits every kind of a source, again and again."""

    def __init__(
        self,
        source: Source,
        selection: Selection,
        mode: AuditMode,
        dice: random.Random,
        timing: Timing,
    ) -> None:
        self._source, self._mode, self._dice, self._timing = source, mode, dice, timing
        self._requests = {kind: Requests(kind, selection, dice, timing) for kind in selection.kinds}
        self._items = dict.fromkeys(selection.kinds, MOST_ITEMS)  # of the next page
        self._told: dict[Kind, set[tuple[str, str]]] = {}  # what was found the last time
        self._failed: dict[Kind, str] = {}

    async def serve(self) -> None:
        """Goes on until cancelled."""
        while self._mode != "off":
            await asyncio.sleep(self._dice.uniform(*self._timing.audit))
            for kind in self._requests:
                await self.audit(kind)

    async def audit(self, kind: Kind) -> None:
        """Compares one kind, and repairs it if that is wanted."""
        try:
            found = await self._compare(kind)
        except SourceError as error:
            self._note_failure(kind, str(error))
            return
        except Exception as error:  # an edge: who only looks may not end the server
            self._note_failure(kind, repr(error))
            return
        self._failed.pop(kind, None)
        if found is None:
            audits.add(kind, "skipped")
            return
        audits.add(kind, "differs" if found else "same")
        self._tell(kind, found)
        if found and self._mode == "heal":
            self._source.relist(kind)

    async def _compare(self, kind: Kind) -> list[Mismatch] | None:
        """The differences that stayed; None when they tell nothing. Raises SourceError."""
        reflector = self._source.reflectors[kind]
        if not reflector.figures.synced or reflector.listing:
            return None
        comparison = Comparison(reflector)
        token, more = "", True
        while more:
            octets = await self._source.page(
                self._requests[kind].metadata(self._items[kind], token)
            )
            token, steps = comparison.page(octets)
            fitting = self._items[kind] * PAGE_OCTETS // max(1, len(octets))
            self._items[kind] = max(LEAST_ITEMS, min(MOST_ITEMS, fitting))
            await self._source.work(steps)
            more = bool(token)
        await self._source.work(comparison.rest())
        if comparison.differs and not comparison.void:
            await asyncio.sleep(self._timing.settle)
        return None if comparison.void else comparison.mismatches()

    def _note_failure(self, kind: Kind, reason: str) -> None:
        audits.add(kind, "failed")
        if self._failed.get(kind) != reason:
            self._failed[kind] = reason
            log.warning("audit: %s: %s", kind, reason)

    def _tell(self, kind: Kind, found: list[Mismatch]) -> None:
        """Counts and names what was not found the last time."""
        told = self._told.get(kind, set())
        news = [each for each in found if each[:2] not in told]
        self._told[kind] = {each[:2] for each in found}
        if not news:
            return
        mismatches.add(kind, by=len(news))
        more = f" and {len(news) - NAMED} more" if len(news) > NAMED else ""
        log.warning(
            "audit: %s: %d held otherwise than the API lists them: %s%s; %s",
            kind,
            len(news),
            ", ".join(map(str, news[:NAMED])),
            more,
            "listing again" if self._mode == "heal" else "left so (-audit report)",
        )


def _number(version: str) -> int:
    return int(version) if version.isascii() and version.isdecimal() else 0
