"""From a question to the template that is for it, and to its records."""

import math
from collections.abc import Sequence
from functools import partial

from dnslib import QTYPE, RR

from clusterdns.corefile.patterns import Match, Pattern
from clusterdns.corefile.tree import Directive
from clusterdns.errors import ResolveError
from clusterdns.metrics import Counter
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.template.data import Data
from clusterdns.plugins.template.options import (
    ADDITIONAL,
    ANSWER,
    AUTHORITY,
    Options,
    Record,
    read,
)
from clusterdns.plugins.template.records import record
from clusterdns.plugins.template.values import EvaluationError
from clusterdns.wire.message import SERVFAIL
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question
from clusterdns.wire.texts import class_text, type_text

ANY = 255  # class and type
CHASED = (QTYPE.A, QTYPE.AAAA)  # types for which the target of a CNAME is looked up

_LABELS = ("server", "zone", "view", "class", "type")
matches = Counter("coredns_template_matches_total", "Queries that a template was for.", _LABELS)
template_failures = Counter(
    "coredns_template_template_failures_total",
    "Templates that gave no text for a query.",
    (*_LABELS, "section", "template"),
)
rr_failures = Counter(
    "coredns_template_rr_failures_total",
    "Texts made by templates that are no records.",
    (*_LABELS, "section", "template"),
)


class Template(Plugin):
    """Answers by the first template that is for the question; they are looked at in their order.

    One whose patterns and expressions do not fit ends that with SERVFAIL, unless it falls through.
    """

    name = "template"

    def __init__(self, templates: Sequence[Options]) -> None:
        self.templates = tuple(templates)

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Template":
        templates = []
        for directive in directives:
            with setup.attempt():
                templates.append(read(directive, setup))
        return cls(templates)

    def passage(self, server: str, view: str) -> Passage:
        return Passage(stops=self._may_know)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        name = question.text
        sees_more = False
        for options in self.templates:
            zone = options.zones.match(question)
            if zone is None or not _is_for(options, question):
                continue
            data = _data(options, query, name, zone)
            try:
                fits = data is not None and options.expressions.are_true(data)
            except ValueError:
                return Reply(SERVFAIL)
            sees_more |= data is not None and data.sees_more
            if data is not None and fits:
                reply = await _reply(options, data)
            elif question in options.fallthrough:
                continue
            else:
                reply = Reply(SERVFAIL, until=math.inf)
            return reply.rests_on((), 0.0) if sees_more else reply
        passed = await next(query)
        return passed.rests_on((), 0.0) if passed and sees_more else passed

    def _may_know(self, asked: Plain, now: float) -> bool:
        return any(
            asked in options.zones and options.qtype in (ANY, asked.qtype)
            for options in self.templates
        )


def _is_for(options: Options, question: Question) -> bool:
    """Whether class and type are those of the template; ANY is all, on either side."""
    return (options.qclass == ANY or question.qclass in (ANY, options.qclass)) and (
        options.qtype == ANY or question.qtype in (ANY, options.qtype)
    )


def _data(options: Options, query: Query, name: str, zone: str) -> Data | None:
    """What the templates will see; None: no pattern fits the name."""
    data = Data(query, name)
    data.zone = zone
    if options.patterns:
        found = ((each, match) for each in options.patterns if (match := each.search(name)))
        fitting = next(found, None)
        if fitting is None:
            return None
        _put_groups(data, *fitting)
    else:
        data.regex, data.match, data.group = ".*", [name], {"0": name}
    question = query.question
    data.class_ = class_text(options.qclass if question.qclass == ANY else question.qclass)
    data.type = type_text(options.qtype if question.qtype == ANY else question.qtype)
    return data


def _put_groups(data: Data, pattern: Pattern, match: Match) -> None:
    data.regex = pattern.pattern
    data.match = [match.group(number) or "" for number in range(pattern.groups + 1)]
    data.group = {str(number): text for number, text in enumerate(data.match)}
    data.group |= {name: data.match[number] for name, number in pattern.groupindex.items()}


async def _reply(options: Options, data: Data) -> Reply:
    """What the template says, with what this server has for the targets of its CNAME records."""
    query = data.query
    labels = (query.server, data.zone, query.view, data.class_, data.type)
    matches.add(*labels)
    if options.rcode == SERVFAIL:
        return _counted(Reply(SERVFAIL, until=math.inf), labels)
    reply = Reply(options.rcode, authoritative=True, until=math.inf)
    for made in options.sections[ANSWER]:
        if (answer := _record(made, ANSWER, data, labels)) is not None:
            reply.answer.append(answer)
            if answer.rtype == QTYPE.CNAME and query.question.qtype in CHASED:
                await _chase(query, reply, answer)
    reply.additional = _section(options, ADDITIONAL, data, labels)
    reply.authority = _section(options, AUTHORITY, data, labels)
    if options.error is not None:
        reply.options, reply.force_edns = [options.error], True
    if data.sees_more:
        reply.rests_on((), 0.0)
    return _counted(reply, labels)


def _counted(reply: Reply, labels: tuple[str, ...]) -> Reply:
    """The reply, which is counted when it is sent again too."""
    reply.sent_again = partial(_count, labels)
    return reply


def _count(labels: tuple[str, ...], times: int, until: float) -> None:
    matches.add(*labels, by=times)


def _section(options: Options, section: str, data: Data, labels: tuple[str, ...]) -> list[RR]:
    made = [_record(each, section, data, labels) for each in options.sections[section]]
    return [each for each in made if each is not None]


def _record(made: Record, section: str, data: Data, labels: tuple[str, ...]) -> RR | None:
    """The record, its owner spelled as asked; None: the template is empty for this query.

    Raises ResolveError for a template, or a record, that is none for this query.
    """
    template, place = made
    try:
        text = template.write(data)
    except EvaluationError as error:
        template_failures.add(*labels, section, template.text)
        raise ResolveError(f"template {section} at {place}: {error}") from error
    try:
        found = record(text)
    except ValueError as error:
        rr_failures.add(*labels, section, template.text)
        raise ResolveError(f"template {section} at {place}: {text!r}: {error}") from error
    if found is None:
        return None
    owner = data.query.question.spelled(found.rname.label)
    return RR(owner, found.rtype, found.rclass, found.ttl, found.rdata)


async def _chase(query: Query, reply: Reply, cname: RR) -> None:
    """Adds what this server has for the target; else the CNAME stands alone."""
    found = await query.ask(cname.rdata.label, query.question.qtype)
    if found is None:
        reply.rests_on((), 0.0)
        return
    reply.answer += found.answer
    reply.truncated = found.truncated
    reply.rests_on(found.keys, found.until)
