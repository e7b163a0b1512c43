"""From a reply of the plugins behind to what is kept of it, and to what the client gets.

No socket and no clock: `now` and `unix` are arguments.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from dnslib import RR

from clusterdns.errors import MalformedMessage, ResolveError
from clusterdns.plugins.cache.options import Rules
from clusterdns.plugins.cache.survey import Survey, alone, is_about, survey, survey_records
from clusterdns.plugins.cache.table import FAILURES, SUCCESS, Entry, judged, within
from clusterdns.plugins.query import Reply
from clusterdns.wire.edns import EXTENDED_ERROR, Option
from clusterdns.wire.message import NOERROR, NXDOMAIN, encode, reply_flags
from clusterdns.wire.names import folded_name
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import HEADER, Question
from clusterdns.wire.received import Received, Sections, received, sections, with_ttl

MOST_OCTETS = 65535  # RFC 1035 section 4.2.2
_RCODE = 0xF


class Taken(NamedTuple):
    """A reply, read.

    reply: with the TTL that it is kept by in all records, whether it is kept or not.
    entry: what to keep; None: nothing.
    is_other: it answers another question than the one asked.
    may_replace: it is good enough to take the place of a stale one (RFC 8767 section 4).
    """

    reply: Reply
    entry: Entry | None = None
    is_other: bool = False
    may_replace: bool = False


def take(
    reply: Reply, question: Question, rules: Rules, now: float, unix: int | None = None
) -> Taken:
    """What becomes of a reply that came at this monotonic second.

    unix: see `survey`.
    """
    if reply.received is None:
        return _own(reply, question, rules, now)
    if not is_about(reply.received, question):
        return Taken(reply, is_other=True)
    try:
        found = reply.received
        told = survey(found, question, unix)
        if told.unpointed and found.rcode <= _RCODE:
            found = _pointed(found, question)
            told = survey(found, question, unix)
    except (MalformedMessage, ResolveError):  # rdata that is none: the client may make sense of it
        return Taken(reply)
    return _taken(reply, found, told, rules, now)


def _taken(reply: Reply, found: Received, told: Survey, rules: Rules, now: float) -> Taken:
    store, ttl = judged(told, rules)
    reply.received = found = with_ttl(found, told.ttls_at, ttl)
    entry = None
    if store and ttl and not told.truncated and reply.until <= now:
        entry = Entry(store, found, told.ttls_at, ttl, now, sent_ttl=ttl, answers=told.answers)
        _carry(reply, entry)
    return Taken(reply, entry, may_replace=_may_replace(told, rules))


def take_plain(
    reply: Reply, asked: Plain, rules: Rules, now: float, unix: int | None = None
) -> Entry | Literal[False] | None:
    """What to keep of an upstream's reply to a plain question, which gets the TTL that it is kept
    by; None: nothing. False: `take` has to do it, since the reply is not as usual."""
    found = reply.received
    if found is None or found.start != asked.end:
        return False
    if (lone := alone(found, asked)) is not None:
        return _kept_alone(reply, found, *lone, rules, now)
    try:
        told = survey(found, asked, unix)
    except MalformedMessage:
        return False
    if told.unpointed:
        return False
    return _taken(reply, found, told, rules, now).entry


def _kept_alone(
    reply: Reply, found: Received, ttl: int, ttls_at: tuple[int, ...], rules: Rules, now: float
) -> Entry | None:
    """As `_taken`, of a reply with nothing but the records asked for."""
    ttl = within(ttl, rules.success)
    reply.received = found = with_ttl(found, ttls_at, ttl)
    if not ttl or reply.until > now:
        return None
    entry = Entry(SUCCESS, found, ttls_at, ttl, now, sent_ttl=ttl, answers=True)
    _carry(reply, entry)
    return entry


def _own(reply: Reply, question: Question, rules: Rules, now: float) -> Taken:
    """A reply of records. Most hold until an event: those are not kept here."""
    answer, authority, additional = reply.answer, reply.authority, reply.additional
    told = survey_records(reply.rcode, (answer, authority, additional), question, reply.truncated)
    store, ttl = judged(told, rules)
    reply.answer = _with_ttl(answer, ttl)
    reply.authority = _with_ttl(authority, ttl)
    reply.additional = _with_ttl(additional, ttl)
    entry = None
    # A failure of our own may be over when the next query comes.
    if store and ttl and not told.truncated and reply.until <= now and reply.rcode not in FAILURES:
        found = _encoded(reply, question)
        ttls_at = survey(found, question).ttls_at
        entry = Entry(store, found, ttls_at, ttl, now, reply.authoritative, sent_ttl=ttl)
        entry.answers = told.answers
        _carry(reply, entry)
    return Taken(reply, entry, may_replace=_may_replace(told, rules))


def _carry(reply: Reply, entry: Entry) -> None:
    entry.recursion = reply.recursion
    if reply.options:
        entry.options = _lasting(reply.options)
    if reply.keys:
        entry.keys = tuple(reply.keys)


def _lasting(options: Sequence[Option]) -> tuple[Option, ...]:
    """The options that say something of the answer and not of the client: why it failed."""
    return tuple(option for option in options if option.code == EXTENDED_ERROR)


def _may_replace(told: Survey, rules: Rules) -> bool:
    if rules.stale is None or told.truncated or told.expired:
        return False
    if told.has_answer and told.rcode == NXDOMAIN:
        return False
    if rules.stale.prefer_positive:
        return told.answers and judged(told, rules)[0] == SUCCESS
    return told.rcode in (NOERROR, NXDOMAIN)


def _with_ttl(records: list[RR], ttl: int) -> list[RR]:
    """The records with this TTL; new ones, as who made them may use them again."""
    if all(record.ttl == ttl for record in records):
        return records
    return [RR(each.rname, each.rtype, each.rclass, ttl, each.rdata) for each in records]


def _encoded(reply: Reply, question: Question) -> Received:
    flags = reply_flags(0, authentic=reply.authentic)
    records = reply.answer, reply.authority, reply.additional
    return _packed(question, flags, reply.rcode, records)


def _pointed(found: Received, question: Question) -> Received:
    """The same with pointers to the question, so that owners are spelled as who asks spells them.

    Upstreams that compress do it so; only for the others this is to be done.
    """
    records = sections(found)
    for record in records[0]:
        if folded_name(record.rname) == question.folded:
            record.rname = question.label
    packed = _packed(question, found.flags & ~_RCODE, found.rcode, records)
    return packed._replace(options=found.options)


def _packed(question: Question, flags: int, rcode: int, records: Sections) -> Received:
    answer, authority, additional = records
    octets = encode(
        id=0,
        flags=flags,
        question=question,
        rcode=rcode,
        answer=answer,
        authority=authority,
        additional=additional,
        edns=None,
        limit=MOST_OCTETS,
    )
    return received(octets, HEADER + len(question.section))
