"""LIST: whole or in pages, each page of one list from the same moment."""

import secrets
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tests.apiserver.selectors import Test
from tests.apiserver.store import Resource, Store, Stored, TooOld

CHUNK = 500  # items sent at once: a page of every client, and a turn of the loop after each
OPEN_LISTS = 32  # lists that are read page by page at a time; the oldest is forgotten


class Listing(NamedTuple):
    """What is left of a list that is read in pages, as things were at its version."""

    version: int
    items: list[Stored]

    def split(self, limit: int) -> tuple["Listing", "Listing"]:
        """The next page, and what is left then. limit: 0 for all."""
        limit = limit or len(self.items)
        return self._replace(items=self.items[:limit]), self._replace(items=self.items[limit:])


class Pages:
    """The lists that clients are in the middle of, by continue token."""

    def __init__(self) -> None:
        self._open: dict[str, Listing] = {}

    def start(self, store: Store, name: str, selected: Test) -> Listing:
        """A new list of what is selected now. name: of the resource."""
        items = [item for item in store.tables[name].items() if selected(item.values)]
        return Listing(store.version, items)

    def resume(self, token: str) -> Listing:
        """The rest of a list. Raises TooOld when the token is not known (any more)."""
        try:
            return self._open.pop(token)
        except KeyError:
            raise TooOld from None

    def keep(self, rest: Listing) -> str:
        """The continue token for the rest of a list."""
        while len(self._open) >= OPEN_LISTS:
            self._open.pop(next(iter(self._open)))
        token = secrets.token_urlsafe(16)
        self._open[token] = rest
        return token

    def forget(self) -> None:
        """Every token is too old from now on."""
        self._open.clear()


def list_parts(
    resource: Resource, listing: Listing, token: str, remaining: int, *, metadata_only: bool
) -> Iterator[bytes]:
    """The JSON of one page, in pieces. metadata_only: as PartialObjectMetadataList."""
    about: dict[str, str | int] = {"resourceVersion": str(listing.version)}
    if token:
        about |= {"continue": token, "remainingItemCount": remaining}
    kind, version = f"{resource.kind}List", resource.version
    if metadata_only:
        kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
    head = msgspec.json.encode({"kind": kind, "apiVersion": version, "metadata": about})
    yield head[:-1] + b',"items":['
    for start in range(0, len(listing.items), CHUNK):
        chunk = listing.items[start : start + CHUNK]
        bodies = [item.metadata if metadata_only else item.body for item in chunk]
        yield (b"," if start else b"") + b",".join(bodies)
    yield b"]}\n"
