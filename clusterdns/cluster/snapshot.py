"""The last known state as octets: what a source had listed, to start from while its API is away.

    "clusterdns state", 2 octets VERSION
    pieces, each: length of its payload, checksum (4 octets each), payload; the first is the Head
    an empty piece: the end

Numbers are big-endian, payloads are msgpack. A checksum is the CRC-32 of everything before it but
the other checksums, and of its own payload: no octet can change, go or move unseen. The objects
come in the order in which they are to be taken, the Namespaces last: no name exists without its
namespace, so nothing is seen until it is whole.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from struct import Struct as Layout
from sys import intern
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.decode import shared
from clusterdns.cluster.model import (
    EndpointSlice,
    Namespace,
    Object,
    Pod,
    Service,
    ServiceImport,
)
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError

# Grows when what is written changes in a way that older or newer programs would misread; fields
# with a default may be added to the model without. A test holds octets of this version.
VERSION = 1
MAGIC = b"clusterdns state"
# A piece is encoded or decoded in one go: about 0.3 ms. An object weighs 1, and a slice 1 more for
# each ENDPOINTS of its endpoints (at most 1000).
PIECE_WEIGHT = 200
ENDPOINTS = 16

_VERSION = Layout(">H")
_FRAME = Layout(">II")
_START = len(MAGIC) + _VERSION.size


class Refused(SourceError):
    """A state that is not to be used. reason: one word, for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Head(Struct, frozen=True):
    """What a state is of. Times are Unix seconds."""

    source: str  # see `source_of`
    written: float
    confirmed: float  # when the API was last heard of every kind: the state was right then
    serial: int  # of the zone
    objects: int


def source_of(selection: Selection, api: ApiOptions) -> tuple[str, str]:
    """A name for files of this selection of what this API holds, and what tells it from others.

    The second one knows the cluster's CA too, since many clusters have their API at one address.
    Raises ConfigError when the options name none.
    """
    asked = f"{api.url()} {selection}"
    return _digest(asked.encode()), f"{asked} CA {_digest(api.authority())}"


def encode(head: Head, objects: Sequence[Object]) -> Iterator[bytes]:
    """The octets of a state, a piece at a time; head.objects is counted here."""
    start = MAGIC + _VERSION.pack(VERSION)
    yield start
    checksum = crc32(start)
    head = msgspec.structs.replace(head, objects=len(objects))
    payloads = (_ENCODER.encode(each) for each in (head, *_pieces(objects)))
    for payload in payloads:
        checksum = _checksum(len(payload), payload, checksum)
        yield _FRAME.pack(len(payload), checksum) + payload
    yield _FRAME.pack(0, _checksum(0, b"", checksum))


def check(octets: bytes) -> tuple[Head, list[memoryview]]:
    """The head and the payloads behind it, for `decode`. Raises Refused unless all of it is whole.

    Lets go of the interpreter's lock, so a thread may do this beside the loop.
    """
    if octets[: len(MAGIC)] != MAGIC or len(octets) < _START:
        raise Refused("damaged", "is no state of clusterdns")
    (version,) = _VERSION.unpack_from(octets, len(MAGIC))
    if version != VERSION:
        raise Refused("version", f"has format {version}, and this program reads {VERSION}")
    head, *payloads = _payloads(octets) or [memoryview(b"")]
    try:
        return _HEADS.decode(head), payloads
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused("damaged", f"has no usable head: {error}") from error


def decode(payload: memoryview) -> list[Object]:
    """The objects of a piece. Raises Refused when they are none."""
    try:
        objects = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused("damaged", f"has objects that cannot be read: {error}") from error
    for each in objects:
        _share(each)
    return objects


def judge(head: Head, source: str, now: float, most_age: float) -> float:
    """The seconds since the state was known to be right. Raises Refused when it may not be used.

    A state from the future is taken as new: the clock of a host that just started may be decades
    behind, and nothing about the state is wrong.
    """
    if head.source != source:
        raise Refused("foreign", f"is of {head.source}, and wanted is {source}")
    age = max(0.0, now - head.confirmed)
    if age > most_age:
        raise Refused("age", f"is {age:.0f} s old, and at most {most_age:.0f} s are allowed")
    return age


def _payloads(octets: bytes) -> list[memoryview]:
    """Each payload up to the end mark, which has to be the end."""
    found: list[memoryview] = []
    view, at, checksum = memoryview(octets), _START, crc32(octets[:_START])
    while at + _FRAME.size <= len(octets):
        length, expected = _FRAME.unpack_from(octets, at)
        at += _FRAME.size
        payload = view[at : at + length]
        checksum = _checksum(length, payload, checksum)
        if checksum != expected:
            raise Refused("damaged", f"is damaged within {length} octets from octet {at}")
        at += length
        if not length and at == len(octets):
            return found
        if not length:
            raise Refused("damaged", f"goes on behind its end at octet {at}")
        found.append(payload)
    raise Refused("damaged", f"is cut off at octet {len(octets)}")


def _checksum(length: int, payload: bytes | memoryview, former: int) -> int:
    return crc32(payload, crc32(length.to_bytes(4, "big"), former))


def _pieces(objects: Sequence[Object]) -> Iterator[Sequence[Object]]:
    start = weight = 0
    for at, each in enumerate(objects):
        weight += 1 + (len(each) // ENDPOINTS if isinstance(each, EndpointSlice) else 0)
        if weight >= PIECE_WEIGHT:
            yield objects[start : at + 1]
            start, weight = at + 1, 0
    if weight:
        yield objects[start:]


def _share(thing: Object) -> None:
    """What many objects say alike is in memory once, as when it comes from the API."""
    if isinstance(thing, Namespace):
        force_setattr(thing, "name", intern(thing.name))
        return
    force_setattr(thing, "namespace", intern(thing.namespace))
    if isinstance(thing, Service):
        force_setattr(thing, "name", intern(thing.name))
    if isinstance(thing, EndpointSlice):
        force_setattr(thing, "service", intern(thing.service))
        force_setattr(thing, "imported", intern(thing.imported))
        force_setattr(thing, "cluster", intern(thing.cluster))
        if thing.topology_zones:
            force_setattr(thing, "topology_zones", tuple(map(intern, thing.topology_zones)))
    if isinstance(thing, Pod) and thing.labels:
        force_setattr(thing, "labels", tuple(map(intern, thing.labels)))
    if isinstance(thing, Service | EndpointSlice) and thing.ports:
        force_setattr(thing, "ports", shared(thing.ports))


def _digest(octets: bytes) -> str:
    return sha256(octets).hexdigest()[:16]


_ENCODER = msgspec.msgpack.Encoder()
_HEADS = msgspec.msgpack.Decoder(Head)
_DECODER = msgspec.msgpack.Decoder(list[Service | ServiceImport | EndpointSlice | Pod | Namespace])
