"""The question section as octets: where it ends, its spelling, its folded key.

Written over octets instead of through dnslib because it runs for every query, and because dnslib
refuses labels that are no UTF-8, which are fine in a question (RFC 2181 section 11).
"""

import struct
from dataclasses import dataclass, field

from dnslib import DNSLabel

from clusterdns.errors import MalformedMessage
from clusterdns.wire.names import MAX_LABEL, MAX_NAME, labels_of, name_of, presented

HEADER = 12  # octets of the header, RFC 1035 section 4.1.1: the question starts behind them
FORMERR = 1  # rcode, RFC 1035 section 4.1.1

_TYPE_AND_CLASS = struct.Struct("!HH")


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
        octets = name_of(name)
        return cls(octets, qtype, qclass, HEADER + len(octets) + 4)

    @property
    def section(self) -> bytes:
        """The question section of a message: name, type and class."""
        return self.name + _TYPE_AND_CLASS.pack(self.qtype, self.qclass)

    @property
    def folded(self) -> bytes:
        """The wire form in lower case: names equal by RFC 4343 have equal ones.

        Length octets are safe from it: they are at most 63, and "A" is 65.
        """
        return self.name.lower()

    @property
    def labels(self) -> tuple[bytes, ...]:
        """The labels as sent, without the root's; () is the root."""
        return labels_of(self.name)

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
