"""What of a reply decides whether it is kept, and for how long.

No socket and no clock: a reply as octets or as records comes in, a Survey comes back.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dnslib import RR, DNSLabel

from clusterdns.wire.names import wire_name
from clusterdns.wire.patch import name_at, skip_name
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import HEADER, Question
from clusterdns.wire.received import Received, is_same

NS, CNAME, SOA, RRSIG = 2, 5, 6, 46  # types; dnslib's names cost a function call each
ANY, ANY_CLASS = 255, 255
_OF_MORE = (CNAME, RRSIG, ANY)  # types whose records say more than that they are there
_MOST_TTL = (1 << 32) - 1

_FIXED = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH
_TTL_AND_LENGTH = struct.Struct("!IH")
_TYPE_AND_CLASS = 4  # octets
_LAST_NUMBER = struct.Struct("!I")  # of a SOA record's rdata: the minimum
_VALIDITY = struct.Struct("!II")  # of a RRSIG record's rdata at 8: expiration, inception
_VALIDITY_AT = 8
_SIGNED_MOST = 1 << 31  # RFC 4034 section 3.1.5: times are compared modulo 2^32
_QNAME = b"\xc0\x0c"  # a pointer to the question's name
_SOA_LEAST = 22  # two names of one octet, five numbers


@dataclass(slots=True)
class Survey:
    """One reply.

    ttl: the lowest of all its records; None: it has none.
    negative_ttl: the lowest where a SOA record counts with its minimum too (RFC 2308 section 5).
    ttls_at: where the TTLs stand in the octets; empty for a reply of records.
    answers: it has the type asked for at the end of the chain of aliases that begins at the name
        asked for (RFC 1034 section 3.6.2).
    unpointed: a record in Answer has the name asked for as an owner, and not as a pointer to the
        question: it would keep the spelling of whoever asked first.
    expired: some signature is not valid (any more, or yet).
    """

    rcode: int
    truncated: bool
    has_answer: bool
    ttl: int | None = None
    negative_ttl: int | None = None
    ttls_at: tuple[int, ...] = ()
    has_soa: bool = False
    has_ns: bool = False
    answers: bool = False
    unpointed: bool = False
    expired: bool = False


@dataclass(slots=True)
class Link:
    """A record in Answer as far as the chain of aliases goes; names are folded wire octets."""

    owner: bytes
    rtype: int
    rclass: int
    target: bytes | None  # of a CNAME


def is_about(found: Received, question: Question) -> bool:
    """Whether the octets answer this question, letter case aside (RFC 4343)."""
    asked, wanted = found.octets[HEADER : found.start], question.section
    return asked == wanted or is_same(asked, wanted)


def survey(found: Received, question: Question | Plain, unix: int | None = None) -> Survey:
    """What octets from an upstream hold.

    unix: seconds, when signatures matter to the client (DO). Their times are not looked at if None.
    Raises MalformedMessage, rcode FORMERR, for an alias or SOA record that is none.
    """
    octets, at = found.octets, found.start
    told = Survey(found.rcode, found.truncated, found.answer > 0)
    ttls_at, lowest, negative = [], None, None
    answer, authority = found.answer, found.answer + found.authority
    links: list[tuple[int, int, int, int]] = []  # offset of the owner, type, class, offset of rdata
    for number in range(authority + found.additional):
        owner = at
        at = at + 2 if octets[at] >= 0xC0 else skip_name(octets, at)
        rtype, rclass, ttl, length = _FIXED.unpack_from(octets, at)
        ttls_at.append(at + 4)
        rdata = at + 10
        at = rdata + length
        limit = ttl  # with its highest bit set, it is a long one: RFC 8767 section 4
        if number < answer:
            links.append((owner, rtype, rclass, rdata))
        elif number < authority:
            if rtype == SOA and length >= _SOA_LEAST:
                told.has_soa = True
                limit = min(ttl, *_LAST_NUMBER.unpack_from(octets, at - 4))
            told.has_ns = told.has_ns or rtype == NS
        if rtype == RRSIG and unix is not None and length >= _VALIDITY_AT + 8:
            expiration, inception = _VALIDITY.unpack_from(octets, rdata + _VALIDITY_AT)
            told.expired = told.expired or not _is_valid(unix, expiration, inception)
        lowest = ttl if lowest is None or ttl < lowest else lowest
        negative = limit if negative is None or limit < negative else negative
    told.ttl, told.negative_ttl, told.ttls_at = lowest, negative, tuple(ttls_at)
    if links:
        told.unpointed = _is_unpointed(octets, links, question)
        told.answers = _answers_octets(octets, links, question)
    return told


def alone(found: Received, question: Question | Plain) -> tuple[int, tuple[int, ...]] | None:
    """Of a reply with nothing but the records asked for, as most are, the lowest TTL and where the
    TTLs stand; it answers, and all else that `survey` finds is as for any other. None: it has more.
    """
    if found.rcode or found.authority or found.additional or question.qtype in _OF_MORE:
        return None
    octets, at = found.octets, found.start
    head = _QNAME + octets[at - _TYPE_AND_CLASS : at]
    ttls_at, lowest = [], _MOST_TTL
    while octets.startswith(head, at):
        at += len(head)
        ttls_at.append(at)
        ttl, length = _TTL_AND_LENGTH.unpack_from(octets, at)
        if ttl < lowest:
            lowest = ttl
        at += _TTL_AND_LENGTH.size + length
    if at != found.end or len(ttls_at) != found.answer or not ttls_at or found.truncated:
        return None
    return lowest, tuple(ttls_at)


def survey_records(
    rcode: int, sections: Sequence[Sequence[RR]], question: Question, truncated: bool = False
) -> Survey:
    """What records of this server's own hold; nothing is signed here."""
    answer, authority, _ = sections
    told = Survey(rcode, truncated, bool(answer))
    ttls = [record.ttl for section in sections for record in section]
    told.ttl = told.negative_ttl = min(ttls, default=None)
    for record in authority:
        if record.rtype == SOA:
            told.has_soa = True
            told.negative_ttl = min(told.negative_ttl or 0, record.rdata.times[4])
        told.has_ns = told.has_ns or record.rtype == NS
    if answer:
        told.answers = is_answered([_link(record) for record in answer], question)
    return told


def is_answered(links: Iterable[Link], question: Question | Plain) -> bool:
    """Whether the type asked for stands where the chain of aliases ends.

    An owner with two different aliases, and a chain that comes back to itself, end nowhere.
    """
    qclass = question.qclass
    links = [link for link in links if qclass in (link.rclass, ANY_CLASS)]
    name, qtype = question.folded, question.qtype
    if qtype == ANY:
        return any(link.owner == name for link in links)
    aliases: dict[bytes, set[bytes]] = {}
    for link in links:
        if link.target is not None:
            aliases.setdefault(link.owner, set()).add(link.target)
    if qtype == CNAME:
        return len(aliases.get(name, ())) == 1
    seen = set()
    while name in aliases:
        if name in seen or len(aliases[name]) > 1:
            return False
        seen.add(name)
        (name,) = aliases[name]
    return any(link.owner == name and link.rtype == qtype for link in links)


def _answers_octets(
    octets: bytes, links: Sequence[tuple[int, int, int, int]], question: Question | Plain
) -> bool:
    qtype, qclass = question.qtype, question.qclass
    if all(rtype != CNAME for _, rtype, _, _ in links):
        for owner, rtype, rclass, _ in links:  # nearly every reply: no name has to be put together
            if rtype == qtype and rclass == qclass and octets[owner : owner + 2] == _QNAME:
                return True
    return is_answered(
        [
            Link(
                name_at(octets, owner).lower(),
                rtype,
                rclass,
                name_at(octets, rdata).lower() if rtype == CNAME else None,
            )
            for owner, rtype, rclass, rdata in links
        ],
        question,
    )


def _is_unpointed(
    octets: bytes, links: Sequence[tuple[int, int, int, int]], question: Question | Plain
) -> bool:
    for owner, _, _, _ in links:
        if octets[owner] < 0xC0 and name_at(octets, owner).lower() == question.folded != b"\0":
            return True
    return False


def _link(record: RR) -> Link:
    target = record.rdata.label if record.rtype == CNAME else None
    return Link(_folded(record.rname), record.rtype, record.rclass, target and _folded(target))


def _folded(name: DNSLabel) -> bytes:
    return wire_name(name.label).lower()


def _is_valid(unix: int, expiration: int, inception: int) -> bool:
    return (unix - inception) % (1 << 32) < _SIGNED_MOST > (expiration - unix) % (1 << 32)
