"""A reply as it came from an upstream: read once, passed on as octets, parsed only if asked for."""

import struct
from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import NamedTuple

from dnslib import QTYPE, RD, RDMAP, RR, BimapError, BufferError, DNSBuffer, DNSError, DNSLabel

from clusterdns.errors import MalformedMessage
from clusterdns.wire.edns import OPT, Edns, Option, parse_opt
from clusterdns.wire.message import TC
from clusterdns.wire.patch import name_at, records, skip_name
from clusterdns.wire.question import FORMERR, HEADER, Question
from clusterdns.wire.truncate import Fit, fit

Sections = tuple[list[RR], list[RR], list[RR]]

_HEADER = struct.Struct("!6H")
_FIXED = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH
_POINTED = struct.Struct("!HHHIH")  # the same behind an owner that is a pointer
_POINTER = 0xC0  # the two bits that mark one, RFC 1035 section 4.1.4
_RCODE = 0xF
_QUESTION = b"\xc0\x0c"  # a pointer to the question's name
_ADDRESSES = (1, 28)  # A, AAAA
_ALIKE = {_QUESTION + b"\0\1\0\1": 16, _QUESTION + b"\0\x1c\0\1": 28}  # octets of such a record
_WITHOUT_ADDRESSES = (b"\0\x0c", b"\0\x21")  # PTR and SRV: those have them as glue, if at all
_OWNER_AND_FIXED = len(_QUESTION) + _FIXED.size
_MX = 15


class Received(NamedTuple):
    """A reply, checked as far as its records' borders; what stands in their rdata is not looked at.

    start, end: of its records in the octets, without the OPT record and what comes behind it.
    answer, authority, additional: how many records each section has, without OPT.
    """

    octets: bytes
    flags: int  # the second 16 bits of the header
    rcode: int  # 12 bits, those of the OPT record among them
    start: int
    end: int
    answer: int
    authority: int
    additional: int
    options: tuple[Option, ...]  # of its OPT record
    plain: int = 0  # octets without compression and OPT; 0: nobody says

    @property
    def truncated(self) -> bool:
        """TC: the upstream had more to say."""
        return self.flags & TC != 0


def received(octets: bytes, start: int) -> Received:
    """What these octets are as a reply whose question ends at `start`.

    An OPT record that is not the last one ends what is passed on: without it pointers behind it
    would lead astray, and hardly anything but a TSIG, which is broken by then, stands there.
    Raises MalformedMessage, rcode FORMERR, for records that are promised and not all there.
    """
    _, flags, _, answer, authority, additional = _HEADER.unpack_from(octets)
    rcode = flags & _RCODE
    options: tuple[Option, ...] = ()
    at, others = start, answer + authority
    good = _QUESTION  # the last owner that was a pointer and no nonsense: most are like this
    try:
        for number in range(others + additional):
            before = at
            if octets[at : at + 2] == good:
                at += 2
            else:
                at = skip_name(octets, at)
                if at == before + 2:
                    good = octets[before:at]
            rtype, size, ttl, length = _FIXED.unpack_from(octets, at)
            rdata = at + _FIXED.size
            at = rdata + length
            if rtype == OPT and number >= others:
                additional = number - others
                if length:
                    options = parse_opt(size, ttl, octets[rdata:at]).options
                rcode |= ttl >> 24 << 4
                end = before
                break
        else:
            end = at
    except (IndexError, struct.error) as cut:
        raise MalformedMessage(f"record {number + 1} is cut off", FORMERR) from cut
    if at > len(octets):
        raise MalformedMessage("the last record is cut off", FORMERR)
    return Received(octets, flags, rcode, start, end, answer, authority, additional, options)


def passed_on(
    found: Received,
    *,
    id: int,
    flags: int,
    question: Question,
    rcode: int,
    edns: Edns | None,
    limit: int,
) -> bytes | None:
    """The reply with this id, header and spelling of the question, and our OPT record.

    Owner names that are pointers into the question follow its spelling. Records that do not fit
    into `limit` are left out from the end, see `truncate.fit`.
    None: it answers another question, so that its pointers would lead astray.

    flags: final, without rcode. rcode: up to 12 bits; above 4 it needs `edns`, else it is SERVFAIL.
    """
    octets, start, end = found.octets, found.start, found.end
    asked = question.section
    if octets[HEADER:start] != asked and not is_same(octets[HEADER:start], asked):
        return None
    opt = b"" if edns is None else edns.pack()
    counts = (found.answer, found.authority, found.additional)
    if end + len(opt) > limit:
        kept = _cut(found, limit - len(opt))
        counts, end = kept[:3], kept.end
        flags |= kept.truncated * TC
    if rcode > _RCODE:
        rcode, opt = _extended(rcode, opt)
    answer, authority, additional = counts
    header = _HEADER.pack(id, flags | rcode, 1, answer, authority, additional + (opt != b""))
    return b"".join((header, asked, octets[start:end], opt))


def with_ttl(found: Received, ttls_at: Iterable[int], ttl: int) -> Received:
    """The reply with this TTL in all its records.

    ttls_at: where they stand in the octets.
    """
    octets = found.octets
    word = ttl.to_bytes(4, "big")
    for at in ttls_at:  # no `all`, which would cost more than the looking
        if octets[at : at + 4] != word:
            break
    else:
        return found
    changed = bytearray(octets)
    for at in ttls_at:
        changed[at : at + 4] = word
    return Received(bytes(changed), *found[1:])


def with_addresses(found: Received, order: Callable[[list[bytes]], object]) -> Received | None:
    """The reply with the addresses at the end of Answer in another order: what `order` makes of a
    list of them. None: only the parsed records can be put in order.

    The records are exchanged as octets: all as long, all owned by the same pointer to a name before
    them, so that whatever points to one of them finds the same name there as before.
    """
    octets, at = found.octets, found.start
    if found.answer < 2 or octets[at - 4 : at - 2] in _WITHOUT_ADDRESSES:
        return found
    if (alike := _alike(found)) is not None:
        order(alike)
        return found._replace(octets=octets[:at] + b"".join(alike) + octets[found.end :])
    first = 0
    addresses: list[bytes] = []
    for _ in range(found.answer):
        begin, length = at, octets[at]
        at = at + 2 if length >= _POINTER else skip_name(octets, at)
        rtype, _, _, size = _FIXED.unpack_from(octets, at)
        at += _FIXED.size + size
        if rtype in _ADDRESSES:
            first = first or begin
            addresses.append(octets[begin:at])
        elif addresses or rtype == _MX:
            return None
    if len(addresses) < 2:
        return found
    target = int.from_bytes(addresses[0][:2], "big")
    if not _POINTER << 8 <= target < (_POINTER << 8) + first:
        return None
    if len({(each[:2], len(each)) for each in addresses}) > 1:
        return None
    order(addresses)
    return found._replace(octets=octets[:first] + b"".join(addresses) + octets[at:])


def with_glue(found: Received, order: Callable[[list[bytes]], object]) -> Received | None:
    """The reply with the addresses in Additional in another order: what `order` makes of a list of
    them. None: only the parsed records can be put in order.

    The records are exchanged as octets: nothing points to them, as all are owned by pointers to
    names before the first of them.
    """
    octets, at = found.octets, found.start
    for _ in range(found.answer + found.authority):
        at = at + 2 if octets[at] >= _POINTER else skip_name(octets, at)
        at += _FIXED.size + (octets[at + 8] << 8 | octets[at + 9])
    first = at
    addresses: list[bytes] = []
    while at < found.end:
        owner, rtype, _, _, size = _POINTED.unpack_from(octets, at)
        if not _POINTER << 8 <= owner < (_POINTER << 8) + first or rtype not in _ADDRESSES:
            return None
        addresses.append(octets[at : at + _POINTED.size + size])
        at += _POINTED.size + size
    order(addresses)
    return found._replace(octets=octets[:first] + b"".join(addresses) + octets[found.end :])


def _alike(found: Received) -> list[bytes] | None:
    """The records, if they are nothing but addresses of the name asked, of one type: as of nearly
    every reply with several. None: they are to be looked at one by one."""
    octets, start, end = found.octets, found.start, found.end
    size = _ALIKE.get(octets[start : start + 6])
    if not size or end - start != size * found.answer or found.authority or found.additional:
        return None
    head = octets[start : start + _OWNER_AND_FIXED]
    if head[-1] != size - _OWNER_AND_FIXED:
        return None
    records = [octets[at : at + size] for at in range(start, end, size)]
    return records if all(record.startswith(head) for record in records) else None


def sections(found: Received) -> Sections:
    """Its records as dnslib has them: Answer, Authority, Additional without OPT.

    Raises MalformedMessage, rcode FORMERR, for rdata that is none of its type.
    """
    buffer = _Reader(found.octets)
    buffer.offset = found.start
    try:
        answer = [_record(buffer) for _ in range(found.answer)]
        authority = [_record(buffer) for _ in range(found.authority)]
        return answer, authority, [_record(buffer) for _ in range(found.additional)]
    except (BufferError, BimapError, DNSError, ValueError, IndexError, struct.error) as error:
        raise MalformedMessage(f"no record: {error}", FORMERR) from error


def is_same(asked: bytes, other: bytes) -> bool:
    """Whether two questions differ in the case of their names' letters only (RFC 4343)."""
    return asked[-4:] == other[-4:] and asked[:-4].lower() == other[:-4].lower()


def _extended(rcode: int, opt: bytes) -> tuple[int, bytes]:
    """The lower 4 bits, and the OPT record with the others (RFC 6891 section 6.1.3)."""
    if not opt:
        return 2, opt
    return rcode & _RCODE, opt[:5] + bytes([rcode >> 4]) + opt[6:]


def _cut(found: Received, room: int) -> Fit:
    """What fits into this many octets; `truncate.fit` says what may be lost."""
    counts = found.answer, found.authority, found.additional
    octets, at = found.octets, found.start
    ends = []
    for _ in range(sum(counts)):
        at = at + 2 if octets[at] >= _POINTER else skip_name(octets, at)
        at += _FIXED.size + (octets[at + 8] << 8 | octets[at + 9])
        ends.append(at)
        if at > room:
            break
    rrsets: list[Hashable] = []
    if len(ends) > found.answer + found.authority:
        rrsets = [
            (name_at(octets, record.start).lower(), record.rtype, record.rclass)
            for record in islice(records(octets), sum(counts))
            if record.section == 3
        ]
    return fit(ends, counts, rrsets, found.start, room)


class _Reader(DNSBuffer):  # type: ignore[misc]  # dnslib has no types
    """dnslib's buffer, which takes labels of any octets, and no chain of pointers for ever."""

    def decode_name(self, last: int = -1) -> DNSLabel:
        labels = []
        octets, at = self.data, self.offset
        self.offset: int = skip_name(octets, at)  # checks it
        while length := octets[at]:
            if length >= _POINTER:
                at = (length & ~_POINTER) << 8 | octets[at + 1]
            else:
                labels.append(bytes(octets[at + 1 : at + 1 + length]))
                at += length + 1
        return DNSLabel(labels)


def _record(buffer: _Reader) -> RR:
    owner = buffer.decode_name()
    rtype, rclass, ttl, length = _FIXED.unpack(buffer.get(_FIXED.size))
    end = buffer.offset + length
    known = RDMAP.get(QTYPE.get(rtype), RD) if length else RD  # dnslib knows no empty rdata
    rdata = known.parse(buffer, length)
    if buffer.offset != end:
        raise DNSError(f"rdata of {length} octets for a type that has others")
    return RR(owner, rtype, rclass, ttl, rdata)
