"""Replies of our own as octets from the start: one RRset at the name asked, or that there is none.

That is nearly all that is ever asked of a cluster, and through dnslib's types and packing it would
cost three to ten times as much. Such a reply is passed on as an upstream's is: who looks at its
records gets them parsed. It says what `encode` says of the same records.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

from clusterdns.errors import ResolveError
from clusterdns.wire.buffer import MOST_OFFSET, POINTER
from clusterdns.wire.message import AA, IN
from clusterdns.wire.names import MAX_NAME
from clusterdns.wire.patch import SOA
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import HEADER, Question
from clusterdns.wire.received import Received

_ADDRESSES = ((1, 4), (28, 16))  # A and AAAA, and the octets of their rdata
_MOST = 0xFFFF  # records that a header can tell; 64 KiB hold far fewer

_HEADER = struct.Struct("!6H")
_FIXED = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH
_TIMES = struct.Struct("!5I")  # serial, refresh, retry, expire, minimum
_POINTER = struct.Struct("!H")
_ASKED = (POINTER | HEADER).to_bytes(2, "big")  # a pointer to the name in the question
# The SOA record of the cluster's zones, as CoreDNS has it: names below the zone, and times that
# nobody transfers by.
_MNAME, _RNAME = b"\2ns\3dns", b"\x0ahostmaster"
_REFRESH, _RETRY, _EXPIRE = 7200, 1800, 86400  # seconds
_TARGET = len(_ASKED) + _FIXED.size + 6  # octets of an SRV record before its target


def rrset(
    question: Question | Plain,
    ttl: int,
    rdatas: Sequence[bytes],
    glue: Sequence[tuple[bytes, bytes]] = (),
) -> Received:
    """An authoritative reply with records of the type and at the name asked, which is not the root.

    rdatas: names in it in full.
    glue: owners in wire form, each as spelled at the end of one of the rdatas, and addresses.
    """
    name, qtype = question.name, question.qtype
    answer = [_head(qtype, ttl, len(rdata)) + rdata for rdata in rdatas]
    plain = sum(map(len, answer)) + len(answer) * (len(name) - len(_ASKED))
    if not glue:
        return _received(question, AA, 0, answer, (), (), plain)
    plain += sum([len(owner) + _FIXED.size + len(address) for owner, address in glue])
    return _received(question, AA, 0, answer, (), _glue(name, ttl, answer, glue), plain)


def denial(
    question: Question | Plain,
    rcode: int,
    zone_size: int,
    ttl: int,
    serial: int,
    minimum: int,
) -> Received:
    """An authoritative reply with nothing but the zone's SOA record (RFC 2308 section 2).

    rcode: 4 bits.
    zone_size: octets of the zone's name in wire form; it is the end of the question's name.
    Raises ResolveError for a zone so long that the names in its SOA record are none.
    """
    if zone_size + max(len(_MNAME), len(_RNAME)) > MAX_NAME:
        raise ResolveError(f"no room for a SOA record's names below {question.name!r}")
    at = HEADER + len(question.name) - zone_size if zone_size > 1 else 0
    record = _soa(at, ttl, serial, minimum)
    plain = len(record) + (3 * (zone_size - _POINTER.size) if at else 0)
    return _received(question, AA | rcode, rcode, (), (record,), (), plain)


@lru_cache(512)  # more than there are lengths of names
def _soa(at: int, ttl: int, serial: int, minimum: int) -> bytes:
    """The SOA record of the zone at this offset; 0 is the root."""
    zone = _POINTER.pack(POINTER | at) if at else b"\0"
    times = _TIMES.pack(serial, _REFRESH, _RETRY, _EXPIRE, minimum)
    rdata = b"".join((_MNAME, zone, _RNAME, zone, times))
    return zone + _FIXED.pack(SOA, IN, ttl, len(rdata)) + rdata


def _glue(
    name: bytes, ttl: int, answer: Sequence[bytes], glue: Sequence[tuple[bytes, bytes]]
) -> list[bytes]:
    """Addresses of the targets of SRV records, which their owners point to.

    name: the question's, which stands before the records of `answer`.
    """
    at = HEADER + len(name) + 4  # type and class
    places = {name: HEADER}
    for record in answer:
        places.setdefault(record[_TARGET:], at + _TARGET)
        at += len(record)
    heads = {size: _head(rtype, ttl, size)[len(_ASKED) :] for rtype, size in _ADDRESSES}
    return [_owner(owner, places) + heads[len(ip)] + ip for owner, ip in glue]


def _owner(name: bytes, places: dict[bytes, int]) -> bytes:
    """A pointer to the name, or the name where it stands too far behind for one."""
    at = places.get(name, MOST_OFFSET + 1)
    return _POINTER.pack(POINTER | at) if at <= MOST_OFFSET else name


@lru_cache(512)  # lengths of rdata
def _head(rtype: int, ttl: int, length: int) -> bytes:
    """All of a record of the name asked that stands before its rdata."""
    return _ASKED + _FIXED.pack(rtype, IN, ttl, length)


def _received(
    question: Question | Plain,
    flags: int,
    rcode: int,
    answer: Sequence[bytes],
    authority: Sequence[bytes],
    additional: Sequence[bytes],
    plain: int,
) -> Received:
    asked = question.section
    one, two, three = len(answer), len(authority), len(additional)
    header = _HEADER.pack(0, flags, 1, min(one, _MOST), two, min(three, _MOST))
    octets = b"".join((header, asked, *answer, *authority, *additional))
    start = HEADER + len(asked)
    return Received(octets, flags, rcode, start, len(octets), one, two, three, (), start + plain)
