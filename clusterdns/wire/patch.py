"""Finished octets: stepping over their records, and id, flags, spelling and TTLs put in place.

Everything here checks its bounds, since an upstream's octets come by here too.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clusterdns.errors import MalformedMessage
from clusterdns.wire.edns import OPT
from clusterdns.wire.names import MAX_LABEL, MAX_NAME
from clusterdns.wire.question import FORMERR, HEADER

SOA = 6  # a record's type

_COUNTS = struct.Struct("!HHHH")
_FIXED = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH
_TTL = struct.Struct("!I")
_POINTER = 0xC0  # the two bits that mark one, RFC 1035 section 4.1.4
# A name has at most 127 labels, so more pointers than gaps between them only cost time: 64 KiB of
# records that all lead through the same 8,000 pointers would cost seconds.
MOST_POINTERS = 126
_SERIAL_FROM_END = 20  # serial, refresh, retry, expire, minimum: 4 octets each


class Record(NamedTuple):
    """Where a record stands in its message. Offsets count from the message's first octet."""

    section: int  # 1 Answer, 2 Authority, 3 Additional
    start: int  # of the owner name
    fixed: int  # of TYPE; CLASS is at +2, TTL at +4, RDLENGTH at +8
    end: int  # behind the rdata
    rtype: int
    rclass: int
    ttl: int

    @property
    def rdata(self) -> int:
        """Offset of the first octet of the rdata."""
        return self.fixed + _FIXED.size


def skip_name(octets: bytes, at: int) -> int:
    """The offset behind the name at this one.

    Raises MalformedMessage, rcode FORMERR, for a name that is cut off, longer than 255 octets or
    led by a pointer that does not point before the name it stands in (RFC 1035 section 4.1.4); so
    no chain of pointers can be a loop. Nor may one be longer than any name needs.
    """
    end = 0  # behind the first pointer
    start = at  # of the part being read: a pointer must point before it
    size = 1
    pointers = 0
    try:
        while length := octets[at]:
            if length <= MAX_LABEL:
                size += length + 1
                at += length + 1
            elif length >= _POINTER:
                target = (length & ~_POINTER) << 8 | octets[at + 1]
                pointers += 1
                if not HEADER <= target < start or pointers > MOST_POINTERS:
                    raise MalformedMessage(f"the pointer at octet {at} leads nowhere", FORMERR)
                end = end or at + 2
                at = start = target
            else:
                raise MalformedMessage(f"no label length at octet {at}: {length:#04x}", FORMERR)
            if size > MAX_NAME:
                raise MalformedMessage(f"the name before octet {at} is too long", FORMERR)
    except IndexError as cut:
        raise MalformedMessage("a name is cut off", FORMERR) from cut
    return end or at + 1


def name_at(octets: bytes, at: int) -> bytes:
    """The name at this offset in wire form with the root octet, without pointers.

    Raises MalformedMessage as `skip_name` does.
    """
    skip_name(octets, at)  # checks it, all that it points to included
    parts = []
    while length := octets[at]:
        if length >= _POINTER:
            at = (length & ~_POINTER) << 8 | octets[at + 1]
        else:
            parts.append(octets[at : at + length + 1])
            at += length + 1
    return b"".join(parts) + b"\0"


def skip_record(octets: bytes, at: int, section: int) -> Record:
    """The record at this offset. Raises MalformedMessage, rcode FORMERR, if it is not all there."""
    fixed = skip_name(octets, at)
    try:
        rtype, rclass, ttl, length = _FIXED.unpack_from(octets, fixed)
    except struct.error as cut:
        raise MalformedMessage(f"the record at octet {at} is cut off", FORMERR) from cut
    end = fixed + _FIXED.size + length
    if end > len(octets):
        raise MalformedMessage(f"the rdata of the record at octet {at} is cut off", FORMERR)
    return Record(section, at, fixed, end, rtype, rclass, ttl)


def records(octets: bytes) -> Iterator[Record]:
    """Every record of a message with any number of questions, OPT included, in their order.

    Raises MalformedMessage, rcode FORMERR, at the first that is not all there.
    """
    if len(octets) < HEADER:
        raise MalformedMessage(f"a message of {len(octets)} octets", FORMERR)
    questions, *counts = _COUNTS.unpack_from(octets, 4)
    at = HEADER
    for _ in range(questions):
        at = skip_name(octets, at) + 4
    for section, count in enumerate(counts, 1):
        for _ in range(count):
            record = skip_record(octets, at, section)
            yield record
            at = record.end


def with_id(octets: bytes, id: int) -> bytes:
    """The message with this id."""
    return id.to_bytes(2, "big") + octets[2:]


def with_flags(octets: bytes, flags: int) -> bytes:
    """The message with this second half of the header's first 4 octets, rcode included."""
    return octets[:2] + flags.to_bytes(2, "big") + octets[4:]


def with_name(octets: bytes, name: bytes) -> bytes:
    """The message with the question's name spelled like this.

    Owner names that are pointers into the question follow along; those are all that `encode` and
    `packed` write, since they compress every name spelled like the question's.

    name: wire form with the root octet, equal to the one it replaces but for the case of letters.
    Raises ValueError if it is not: what follows would be another message.
    """
    end = HEADER + len(name)
    if octets[HEADER:end].lower() != name.lower():
        raise ValueError(f"{name!r} is not the name in the question")
    return octets[:HEADER] + name + octets[end:]


def ttl_offsets(octets: bytes) -> list[int]:
    """Where the TTLs stand, those of OPT left out: they are none (RFC 6891 section 6.1.3)."""
    return [record.fixed + 4 for record in records(octets) if record.rtype != OPT]


def lowest_ttl(octets: bytes) -> int | None:
    """The TTL that ends first; None without records."""
    return min([record.ttl for record in records(octets) if record.rtype != OPT], default=None)


def with_ttls(octets: bytes, offsets: list[int], passed: int) -> bytes:
    """The message as it is so many seconds later: every TTL counted down, at most to 0.

    offsets: what `ttl_offsets` gave for it, found once for all later calls.
    """
    changed = bytearray(octets)
    for at in offsets:
        (ttl,) = _TTL.unpack_from(octets, at)
        _TTL.pack_into(changed, at, max(ttl - passed, 0))
    return bytes(changed)


def soa_serials(octets: bytes) -> list[int]:
    """Where the serials of SOA records stand.

    Raises MalformedMessage, rcode FORMERR, also for an SOA record too short to hold one.
    """
    offsets = []
    for record in records(octets):
        if record.rtype == SOA:
            at = record.end - _SERIAL_FROM_END
            if at < record.rdata + 2:  # two names of at least one octet come first
                raise MalformedMessage(f"no SOA rdata at octet {record.rdata}", FORMERR)
            offsets.append(at)
    return offsets


def with_serials(octets: bytes, offsets: Sequence[int], serial: int) -> bytes:
    """The message with this serial in its SOA records.

    offsets: what `soa_serials` gave for it.
    """
    changed = bytearray(octets)
    for at in offsets:
        _TTL.pack_into(changed, at, serial)
    return bytes(changed)
