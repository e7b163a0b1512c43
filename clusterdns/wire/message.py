"""Messages in and out: header bits, what is refused before anything is looked up, replies."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from dnslib import RR

from clusterdns.errors import MalformedMessage
from clusterdns.wire.buffer import MessageBuffer
from clusterdns.wire.edns import OPT, Edns, parse_opt
from clusterdns.wire.patch import skip_record
from clusterdns.wire.question import FORMERR, HEADER, Question, parse_question
from clusterdns.wire.rdata import check_rdata
from clusterdns.wire.truncate import fit

# Header bits, RFC 1035 section 4.1.1, AD and CD by RFC 4035 section 3.2.
QR = 0x8000
AA = 0x0400
TC = 0x0200
RD = 0x0100
RA = 0x0080
AD = 0x0020
CD = 0x0010
OPCODE = 0x7800
IN = 1  # class
QUERY = 0  # opcodes
NOTIFY = 4

NOERROR = 0  # rcodes
SERVFAIL = 2
NXDOMAIN = 3
NOTIMP = 4
REFUSED = 5
BADVERS = 16  # needs an OPT record for its upper bits, RFC 6891 section 6.1.3

_HEADER = struct.Struct("!6H")
_HEADER_REST = struct.Struct("!5H")  # all behind the id
# What CoreDNS leaves standing of a query's bits in a reply to what it cannot read.
_ECHOED = TC | RD | RA | AD | CD


@dataclass(frozen=True, slots=True)
class Message:
    """A query that may be answered."""

    id: int
    flags: int  # the second 16 bits of the header
    question: Question
    edns: Edns | None  # None: no OPT record

    @property
    def opcode(self) -> int:
        """QUERY or NOTIFY: `screen` lets no other pass."""
        return (self.flags & OPCODE) >> 11


def screen(octets: bytes) -> bytes | None:
    """What to do with octets from a client, by the header alone.

    None: go on to `parse`. b"": drop them without a word. Else: the reply, 12 octets.

    The counts allowed are CoreDNS's: a SOA in Answer (NOTIFY, RFC 1996 section 3.7) or Authority
    (IXFR, RFC 1995 section 3), OPT and TSIG in Additional.
    """
    if len(octets) < HEADER:
        return b""
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(octets)
    if flags & QR:  # a reply to nothing we asked: an answer could go back and forth for ever
        return b""
    if (flags & OPCODE) >> 11 not in (QUERY, NOTIFY):
        return header_reply(octets, NOTIMP)
    if questions != 1 or answers > 1 or authorities > 1 or additionals > 2:
        return header_reply(octets, FORMERR)
    return None


def parse(octets: bytes) -> Message:
    """The query in octets that `screen` let pass. What follows the last record is ignored.

    Raises MalformedMessage, rcode FORMERR, for a question that is none (see `parse_question`), for
    records that are promised and absent, for broken names, rdata and OPT records, and for a second
    OPT (RFC 6891 section 6.1.1). The reply to that is `malformed_reply`.
    """
    id, flags, _, answers, authorities, additionals = _HEADER.unpack_from(octets)
    question = parse_question(octets)
    at = question.end
    for _ in range(answers + authorities):
        record = skip_record(octets, at, 1)
        check_rdata(octets, record)
        at = record.end
    edns = None
    for _ in range(additionals):
        record = skip_record(octets, at, 3)
        at = record.end
        if record.rtype == OPT:  # with any owner, as in CoreDNS
            if edns is not None:
                raise MalformedMessage("more than one OPT record", FORMERR)
            edns = parse_opt(record.rclass, record.ttl, octets[record.rdata : at])
        else:
            check_rdata(octets, record)
    return Message(id, flags, question, edns)


def reply_flags(
    flags: int,
    *,
    authoritative: bool = False,
    recursion_available: bool = False,
    authentic: bool = False,
    truncated: bool = False,
) -> int:
    """The header bits of a reply to a query with these; the rcode is left 0.

    The opcode is copied, RD and CD are too for QUERY (in a NOTIFY they mean nothing), Z is clear.
    """
    copied = OPCODE if flags & OPCODE else RD | CD
    return (
        QR
        | flags & copied
        | authoritative * AA
        | truncated * TC
        | recursion_available * RA
        | authentic * AD
    )


def header_reply(octets: bytes, rcode: int) -> bytes:
    """A reply of a header and nothing else, to what was not worth reading.

    octets: at least the header. As from CoreDNS the opcode is copied for NOTIMP, else it is QUERY.
    """
    return _refusal_header(octets, rcode, questions=0)


def malformed_reply(octets: bytes, rcode: int = FORMERR) -> bytes:
    """The reply to a message that `parse` refused: with the question, if that much could be read.

    octets: at least the header.
    """
    try:
        end = parse_question(octets).end
    except MalformedMessage:
        return header_reply(octets, rcode)
    return _refusal_header(octets, rcode, questions=1) + octets[HEADER:end]


def error_reply(*, id: int, flags: int, question: Question, rcode: int, edns: Edns | None) -> bytes:
    """A reply without records: REFUSED, SERVFAIL, BADVERS and what else ends a query early.

    flags: final, without rcode, from `reply_flags`.
    edns: our OPT record (`reply_edns`), or None.
    """
    flags, edns = _with_rcode(flags, rcode, edns)
    return _start(id, flags, (0, 0, int(edns is not None)), question) + _packed(edns)


def encode(
    *,
    id: int,
    flags: int,
    question: Question,
    rcode: int,
    answer: Sequence[RR] = (),
    authority: Sequence[RR] = (),
    additional: Sequence[RR] = (),
    edns: Edns | None,
    limit: int,
) -> bytes:
    """A whole reply, compressed, of at most `limit` octets.

    What does not fit is left out from the end, whole records, and TC set if `truncate.fit` says
    so; question and OPT always stay.

    flags: final, without rcode, from `reply_flags`; TC in it stays.
    rcode: up to 12 bits; one over 4 bits without an OPT to carry it becomes SERVFAIL.
    additional: without OPT. edns: our OPT record (`reply_edns`), or None.
    limit: at least 512, which any question and OPT of ours fit into.
    Raises ResolveError for a record that has no wire form.
    """
    flags, edns = _with_rcode(flags, rcode, edns)
    opt = _packed(edns)
    room = limit - len(opt)
    buffer = MessageBuffer(_start(id, flags, (0, 0, 0), question))
    buffer.asked(question.labels, HEADER)
    data, pack = buffer.data, buffer.record
    start = len(data)
    ends = []
    for record in chain(answer, authority, additional):
        pack(record)
        ends.append(len(data))
        if len(data) > room:
            break
    counts = len(answer), len(authority), len(additional)
    if len(data) > room:
        rrsets = [(record.rname, record.rtype, record.rclass) for record in additional]
        kept = fit(ends, counts, rrsets, start, room)
        counts = kept.answer, kept.authority, kept.additional
        flags |= kept.truncated * TC
        del data[kept.end :]
    data += opt
    _HEADER.pack_into(data, 0, id, flags, 1, *counts[:2], counts[2] + (edns is not None))
    return bytes(data)


def _start(id: int, flags: int, counts: tuple[int, int, int], question: Question) -> bytes:
    """Header and question."""
    return _HEADER.pack(id, flags, 1, *counts) + question.section


def _packed(edns: Edns | None) -> bytes:
    return b"" if edns is None else edns.pack()


def _with_rcode(flags: int, rcode: int, edns: Edns | None) -> tuple[int, Edns | None]:
    """Header bits and OPT with the rcode in them (RFC 6891 section 6.1.3)."""
    if rcode <= 0xF:
        return flags | rcode, edns
    if edns is None:
        return flags | SERVFAIL, None
    return flags | rcode & 0xF, replace(edns, extended_rcode=rcode >> 4)


def _refusal_header(octets: bytes, rcode: int, questions: int) -> bytes:
    flags = int.from_bytes(octets[2:4], "big")
    copied = _ECHOED | OPCODE if rcode == NOTIMP else _ECHOED
    return octets[:2] + _HEADER_REST.pack(QR | flags & copied | rcode, questions, 0, 0, 0)
