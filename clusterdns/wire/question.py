"""The question section as octets: where it ends, its spelling, its folded key.

Written over octets instead of through dnslib because it runs for every query, and because dnslib
refuses labels that are no UTF-8, which are fine in a question (RFC 2181 section 11).
"""

import re
import struct
from dataclasses import dataclass, field

from dnslib import DNSLabel

from clusterdns.errors import MalformedMessage, ResolveError

HEADER = 12  # octets of the header, RFC 1035 section 4.1.1: the question starts behind them
MAX_LABEL = 63  # octets, RFC 1035 section 2.3.4; the two bits above mark pointers
MAX_NAME = 255  # octets with length octets and root, RFC 1035 section 2.3.4
FORMERR = 1  # rcode, RFC 1035 section 4.1.1

_TYPE_AND_CLASS = struct.Struct("!HH")
# What a name is written with in the Go DNS library, and so in the logs of CoreDNS, which
# dashboards read: these characters behind a backslash, what cannot be printed as \DDD.
_SPECIAL = re.compile(rb"[^!-~]|[.'@;()\"\\]")
_BACKSLASHED = b".'@;()\"\\ "
# One octet of a name in presentation form, RFC 1035 section 5.1. A backslash at the end is itself.
_PRESENTED = re.compile(
    rb"\\(?P<decimal>[0-9]{3})|\\(?P<escaped>[^0-9])|(?P<dot>\.)|(?P<plain>.)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question (RFC 1035 section 4.1.2).

    name: wire form with the root octet, never compressed, spelled as the client sent it.
    end: offset of the first octet behind the question in its message.
    """

    name: bytes
    qtype: int
    qclass: int = 1
    end: int = field(default=0, compare=False)

    @classmethod
    def of(cls, name: DNSLabel | str, qtype: int, qclass: int = 1) -> "Question":
        """The question for a name that is no client's: an inner query, a probe.

        name: a str is absolute with or without the last dot, in presentation form.
        Raises ResolveError for what is no name: an empty label, or more octets than one may have.
        """
        labels = _labels_of(name) if isinstance(name, str) else name.label
        octets = _wire(labels)
        return cls(octets, qtype, qclass, HEADER + len(octets) + 4)

    @property
    def folded(self) -> bytes:
        """The wire form in lower case: names equal by RFC 4343 have equal ones.

        Length octets are safe from it: they are at most 63, and "A" is 65.
        """
        return self.name.lower()

    @property
    def labels(self) -> tuple[bytes, ...]:
        """The labels as sent, without the root's; () is the root."""
        name = self.name
        labels = []
        at = 0
        while length := name[at]:
            labels.append(name[at + 1 : at + 1 + length])
            at += length + 1
        return tuple(labels)

    @property
    def label(self) -> DNSLabel:
        """The name as dnslib has it, made of the octets themselves: any octet goes."""
        return DNSLabel(self.labels)

    def spelled(self, labels: tuple[bytes, ...]) -> DNSLabel:
        """The name of these labels; the last of them, while they are the question's, as here."""
        ours = self.labels
        same = 0
        for label, other in zip(reversed(labels), reversed(ours), strict=False):
            if label.lower() != other.lower():
                break
            same += 1
        return DNSLabel(labels[: len(labels) - same] + ours[len(ours) - same :])

    @property
    def text(self) -> str:
        """The name for logs: absolute, lower-case, odd octets escaped as \\. or \\DDD."""
        return presented(self.labels).lower()


def presented(labels: tuple[bytes, ...]) -> str:
    """A name of these labels in presentation form: absolute, its letters as they are."""
    return "".join([_presented(label) + "." for label in labels]) or "."


def parse_question(octets: bytes) -> Question:
    """The question of a message whose header says that there is one.

    Raises MalformedMessage, rcode FORMERR, for a name that is cut off or too long, for a missing
    type or class, and for a compression pointer: RFC 1035 section 4.1.4 lets one point to an
    earlier name only, and nothing but the header stands before the question.
    """
    at = HEADER
    try:
        while length := octets[at]:
            if length > MAX_LABEL:
                raise MalformedMessage(f"no label length at octet {at}: {length:#04x}", FORMERR)
            at += length + 1
        qtype, qclass = _TYPE_AND_CLASS.unpack_from(octets, at + 1)
    except (IndexError, struct.error) as cut:
        raise MalformedMessage("the question is cut off", FORMERR) from cut
    at += 1
    if at - HEADER > MAX_NAME:
        raise MalformedMessage(f"a name of {at - HEADER} octets in the question", FORMERR)
    return Question(octets[HEADER:at], qtype, qclass, at + 4)


def _presented(label: bytes) -> str:
    """A label in presentation form."""
    if _SPECIAL.search(label):
        label = _SPECIAL.sub(_escape, label)
    return label.decode("ascii")


def _escape(found: re.Match[bytes]) -> bytes:
    octet = found[0]
    return b"\\" + octet if octet in _BACKSLASHED else b"\\%03d" % octet[0]


def _labels_of(text: str) -> tuple[bytes, ...]:
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


def _wire(labels: tuple[bytes, ...]) -> bytes:
    """Labels in wire form. Raises ResolveError for what is no name."""
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL:
            raise ResolveError(f"no name: a label of {len(label)} octets in {labels!r}")
    octets = b"".join([bytes([len(label)]) + label for label in labels]) + b"\0"
    if len(octets) > MAX_NAME:
        raise ResolveError(f"no name: {len(octets)} octets in {labels!r}")
    return octets
