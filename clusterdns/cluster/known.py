"""What exists of one kind, as far as was heard, and what each object of the API's changes in that.

Only names and versions are remembered. Objects that a complete list does not have are deleted at
its end, never before: until then the old state stands.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from sys import intern

from msgspec import Raw

from clusterdns.cluster.decode import (
    Change,
    NoRecords,
    decode_import,
    decode_namespace,
    decode_pod,
    decode_service,
    decode_slice,
)
from clusterdns.cluster.events import Delete, Event, Kind
from clusterdns.cluster.figures import Figures, decode_errors
from clusterdns.cluster.frames import HEADS, NONSENSE, Metadata, number, shorten
from clusterdns.cluster.held import Held
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError
from clusterdns.metrics import skipped_objects

log = logging.getLogger(__name__)

MOST_TOMBSTONES = 1000  # deletions remembered, for events that come late; the oldest is forgotten
MOST_NAMED = 1000  # broken objects remembered as named in the log; then the oldest is forgotten

Decode = Callable[[bytes], Change]  # may raise SourceError
DECODE: dict[Kind, Callable[[Selection], Decode]] = {
    "Service": lambda selection: decode_service,
    "ServiceImport": lambda selection: decode_import,
    "EndpointSlice": lambda selection: lambda octets: decode_slice(octets, selection),
    "Pod": lambda selection: lambda octets: decode_pod(octets, selection),
    "Namespace": lambda selection: decode_namespace,
}


class Known:
    """The objects of one kind.

    held: versions of what exists, as far as was heard; while listing, what was listed so far.
    """

    def __init__(self, kind: Kind, decode: Decode, figures: Figures) -> None:
        self.kind = kind
        self.held = Held()
        self._decode, self._figures = decode, figures
        self._former: Held | None = None  # while listing: what the list has not named yet
        self._swept = Held()  # what the last list deleted at its end
        self._gone: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._named: OrderedDict[str, str] = OrderedDict()

    @property
    def listing(self) -> bool:
        """Whether a list is under way."""
        return self._former is not None

    def deleted(self, namespace: str, name: str) -> int:
        """The version at which this was lately deleted; 0 where that is not known."""
        return self._gone.get((namespace, name), 0)

    def assume(self, namespace: str, name: str) -> None:
        """This existed once: unless the first list names it, Delete is said at its end."""
        self.held.put(namespace, name, 0)

    def begin(self) -> None:
        """A list begins."""
        if self._former is not None:  # a list broke off: what it named is held as well
            self.held.update(self._former)
        self._former, self.held, self._swept = self.held, Held(), Held()
        self._gone.clear()

    def end(self) -> Iterator[Delete]:
        """A list is complete; gives what it did not name."""
        former, self._former = self._former or Held(), None
        self._swept = former
        for namespace, name in former:
            yield Delete(self.kind, namespace, name)

    def distrust(self) -> None:
        """Deletions may have been lost: the next list's end says those of lately again."""
        self.held.update(self._swept)
        for namespace, name in self._gone:
            if not self.held.get(namespace, name):
                self.held.put(namespace, name, 0)

    def metadata(self, octets: Raw) -> Metadata | None:
        """Of an object; None if it has none that can be used, which is told."""
        try:
            return HEADS.decode(octets).metadata
        except NONSENSE as error:
            text = shorten(bytes(octets))
            self._unusable(text, f"{self.kind} without usable metadata: {error}: {text}")
            return None

    def change(self, change: str, metadata: Metadata, octets: Raw) -> tuple[Event, ...]:
        """The events that an object of a list or watch stands for.

        change: ADDED, MODIFIED or DELETED.
        """
        namespace, name = metadata.namespace, metadata.name
        version = number(metadata.resourceVersion)
        if change == "DELETED":
            return self._deleted(namespace, name, version)
        newest = max(self.held.get(namespace, name), self._gone.get((namespace, name), 0))
        if 0 < version <= newest:
            return ()  # a repeated event, or one that was overtaken
        return self._upserted(namespace, name, version, octets)

    def _deleted(self, namespace: str, name: str, version: int) -> tuple[Event, ...]:
        if 0 < version < self.held.get(namespace, name):
            return ()  # of an earlier object of this name
        self.held.pop(namespace, name)
        if self._former is not None:
            self._former.pop(namespace, name)
        self._gone[namespace, name] = version
        if len(self._gone) > MOST_TOMBSTONES:
            self._gone.popitem(last=False)
        return (Delete(self.kind, namespace, name),)

    def _upserted(self, namespace: str, name: str, version: int, octets: Raw) -> tuple[Event, ...]:
        if self._former is not None:
            self._former.pop(namespace, name)
        place = f"{namespace}/{name}" if namespace else name
        change: Change = None
        try:
            change = self._decode(bytes(octets))
        except SourceError as error:  # it names the object itself
            self._unusable(place, str(error))
        except Exception as error:  # an edge: no object may stop the others
            self._unusable(place, f"{self.kind} {place}: {error!r}")
        else:
            if isinstance(change, NoRecords) and change.reason:
                self._odd(place, str(change))
            else:
                self._named.pop(place, None)
        match change:
            case None:
                self.held.put(intern(namespace), name, version)
                return ()
            case NoRecords(delete):
                self.held.put(delete.namespace, delete.name, version)
                return (delete,)
            case upsert:  # the strings of the object itself, so that they are in memory once
                key = getattr(upsert.object, "namespace", ""), upsert.object.name
                self.held.put(*key, version)
                return (upsert,)

    def _unusable(self, place: str, reason: str) -> None:
        self._figures.decode_errors += 1
        decode_errors.add(self.kind)
        self._odd(place, reason)

    def _odd(self, place: str, reason: str) -> None:
        """Counts an object that has no records though it should; names it when that is news."""
        skipped_objects.add(self.kind)
        if self._named.get(place) != reason:
            self._named[place] = reason
            log.warning("not used: %s", reason)
        if len(self._named) > MOST_NAMED:
            self._named.popitem(last=False)
