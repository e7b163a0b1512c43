"""The API's answers taken apart as far as list and watch need it; objects stay octets."""

import msgspec
from msgspec import Raw, Struct

from clusterdns.errors import SourceError

# What the decoders raise; RecursionError for what is nested thousands of levels deep.
NONSENSE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Lines:
    """Octets in any pieces -> lines. A line may be as long as `most`: etcd keeps 1.5 MB, and
    managed fields as JSON are longer."""

    def __init__(self, most: int = 16 << 20) -> None:
        self._parts: list[bytes] = []
        self._size, self._most = 0, most

    def feed(self, octets: bytes) -> list[bytes]:
        """The lines that end within these octets, without empty ones. Raises SourceError."""
        *ends, rest = octets.split(b"\n")
        if ends:
            ends[0] = b"".join((*self._parts, ends[0]))
            self._parts, self._size = [], 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._most:
                raise SourceError(f"a line of more than {self._most} octets")
        return [line for line in ends if line]


class Frame(Struct, gc=False):
    type: str
    object: Raw


class Metadata(Struct, gc=False):
    name: str
    namespace: str = ""
    resourceVersion: str = ""


class Head(Struct, gc=False):
    metadata: Metadata


class BookmarkMetadata(Struct, gc=False):
    resourceVersion: str
    annotations: dict[str, str] | None = None


class Bookmark(Struct, gc=False):
    metadata: BookmarkMetadata


class Status(Struct, gc=False):
    code: int = 0
    reason: str = ""
    message: str = ""


class ListMetadata(Struct, gc=False):
    resourceVersion: str
    continue_: str = msgspec.field(default="", name="continue")


class Page(Struct, gc=False):
    kind: str
    metadata: ListMetadata
    items: list[Raw] | None  # required: an empty object must not empty the zone


FRAMES = msgspec.json.Decoder(Frame)
HEADS = msgspec.json.Decoder(Head)
BOOKMARKS = msgspec.json.Decoder(Bookmark)
STATUSES = msgspec.json.Decoder(Status)
PAGES = msgspec.json.Decoder(Page)


def number(version: str) -> int:
    """A resourceVersion for comparison; 0 for one that is no number."""
    return int(version) if version.isascii() and version.isdecimal() else 0


def shorten(octets: bytes) -> str:
    """Octets that are no good, for the log."""
    text = octets[:80].decode("utf-8", "replace")
    return f"{text!r}{'...' * (len(octets) > 80)}"
