"""Names in wire form (RFC 1035 section 3.1): with the root octet, never compressed."""

import re
from collections.abc import Iterable, Iterator

from dnslib import DNSLabel

from clusterdns.errors import ResolveError

MAX_LABEL = 63  # octets, RFC 1035 section 2.3.4; the two bits above mark pointers
MAX_NAME = 255  # octets with length octets and root, RFC 1035 section 2.3.4

LENGTHS = tuple(bytes([length]) for length in range(MAX_LABEL + 1))  # what stands before a label

# What a name is written with in the Go DNS library, and so in the logs of CoreDNS, which
# dashboards read: these characters behind a backslash, what cannot be printed as \DDD.
_SPECIAL = re.compile(rb"[^!-~]|[.'@;()\"\\]")
_BACKSLASHED = b".'@;()\"\\ "
# One octet of a name in presentation form, RFC 1035 section 5.1. A backslash at the end is itself.
_PRESENTED = re.compile(
    rb"\\(?P<decimal>[0-9]{3})|\\(?P<escaped>[^0-9])|(?P<dot>\.)|(?P<plain>.)", re.DOTALL
)


def wire_name(labels: Iterable[bytes]) -> bytes:
    """A name of these labels, which are known to be such."""
    return b"".join([LENGTHS[len(label)] + label for label in labels]) + b"\0"


def labels_of(name: bytes) -> tuple[bytes, ...]:
    """The labels of a name, without the root's; () is the root."""
    labels = []
    at = 0
    while length := name[at]:
        labels.append(name[at + 1 : at + 1 + length])
        at += length + 1
    return tuple(labels)


def name_of(name: DNSLabel | str) -> bytes:
    """The wire form, letters as they are.

    name: a str is absolute with or without the last dot, in presentation form.
    Raises ResolveError for what is no name: an empty label, or more octets than one may have.
    """
    labels = _labels_in(name) if isinstance(name, str) else name.label
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL:
            raise ResolveError(f"no name: a label of {len(label)} octets in {labels!r}")
    octets = wire_name(labels)
    if len(octets) > MAX_NAME:
        raise ResolveError(f"no name: {len(octets)} octets in {labels!r}")
    return octets


def folded_name(name: DNSLabel | str) -> bytes:
    """The same in lower case: names equal by RFC 4343 have equal ones, see `Question.folded`."""
    return name_of(name).lower()


def upward(name: bytes) -> Iterator[bytes]:
    """The name and every name above it, down to the root."""
    yield name
    while length := name[0]:
        name = name[length + 1 :]
        yield name


def presented(labels: tuple[bytes, ...]) -> str:
    """A name of these labels in presentation form: absolute, its letters as they are."""
    return "".join([_presented(label) + "." for label in labels]) or "."


def _presented(label: bytes) -> str:
    """A label in presentation form."""
    if _SPECIAL.search(label):
        label = _SPECIAL.sub(_escape, label)
    return label.decode("ascii")


def _escape(found: re.Match[bytes]) -> bytes:
    octet = found[0]
    return b"\\" + octet if octet in _BACKSLASHED else b"\\%03d" % octet[0]


def _labels_in(text: str) -> tuple[bytes, ...]:
    """The labels of a name in presentation form (RFC 1035 section 5.1); non-ASCII as UTF-8."""
    if text == ".":
        return ()
    octets = text.encode()
    labels = octets.split(b".") if b"\\" not in octets else _unescaped(octets)
    if not labels[-1]:  # behind the last dot
        labels.pop()
    return tuple(labels)


def _unescaped(octets: bytes) -> list[bytes]:
    labels = [b""]
    for match in _PRESENTED.finditer(octets):
        if match["dot"]:
            labels.append(b"")
        else:
            labels[-1] += _octet(match)
    return labels


def _octet(match: re.Match[bytes]) -> bytes:
    if match["decimal"]:
        return bytes([int(match["decimal"]) & 0xFF])  # \256 and up are no octets: as in Go
    return match["escaped"] or match["plain"]
