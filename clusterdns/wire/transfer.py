"""Replies of several messages: zones as they are copied (RFC 5936 section 2.2)."""

import struct
from collections.abc import Iterable, Iterator

from dnslib import RR

from clusterdns.errors import ResolveError
from clusterdns.wire.buffer import MessageBuffer
from clusterdns.wire.edns import Edns
from clusterdns.wire.message import NOERROR, error_reply
from clusterdns.wire.question import HEADER, Question

# Octets behind which the next message begins: CoreDNS's number, below the 65535 of a frame.
FULL = 63000
LARGEST = 65535
# Records that are made and packed at a stretch: about 1 ms.
SLICE = 64

_COUNTS = struct.Struct("!HHH")  # of answer, authority and additional records
_COUNTS_AT = 6  # RFC 1035 section 4.1.1


class Begun(bytes):
    """The first message of a reply that goes on.

    rest: whole messages; b"" where the loop is to have its turn before the next piece of work.
    """

    rest: Iterator[bytes]


def several(
    *, id: int, flags: int, question: Question, records: Iterable[RR], edns: Edns | None
) -> Begun:
    """A reply with all these records as answer, in as many messages as they need.

    Each message has the question and the OPT record; the first one a slice of records at most, as
    nobody gets a turn before it is there.

    flags: final, without TC, from `reply_flags`. edns: our OPT record, or None.
    Raises ResolveError for a record that has no wire form or fits into no message; so may the rest.
    """
    pieces = _pieces(_Start(id, flags, question, edns), records)
    begun = Begun(next(pieces))
    begun.rest = pieces
    return begun


class _Start:
    """What all the messages have."""

    def __init__(self, id: int, flags: int, question: Question, edns: Edns | None) -> None:
        self._question = question
        self._opt = b"" if edns is None else edns.pack()
        self._octets = error_reply(id=id, flags=flags, question=question, rcode=NOERROR, edns=None)

    def message(self) -> MessageBuffer:
        """A message without records."""
        buffer = MessageBuffer(self._octets)
        buffer.asked(self._question.labels, HEADER)
        return buffer

    def finished(self, buffer: MessageBuffer, count: int) -> bytes:
        """The octets of a message with so many records."""
        data = buffer.data + self._opt
        if len(data) > LARGEST:
            raise ResolveError(f"a record fits into no message: it would have {len(data)} octets")
        _COUNTS.pack_into(data, _COUNTS_AT, count, 0, int(bool(self._opt)))
        return bytes(data)


def _pieces(start: _Start, records: Iterable[RR]) -> Iterator[bytes]:
    buffer, count = start.message(), 0
    most: int | None = SLICE  # records; None: as many as there is room for
    for record in records:
        before = len(buffer.data)
        buffer.record(record)
        if count == most or (count and len(buffer.data) > FULL):
            del buffer.data[before:]
            yield start.finished(buffer, count)
            buffer, count, most = start.message(), 0, None
            buffer.record(record)
        elif count and count % SLICE == 0:
            yield b""
        count += 1
    yield start.finished(buffer, count)
