"""`log`: a line for each query, in formats of the operator's own if need be."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple

from dnslib import QTYPE

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import bracketed
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments
from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin, Sees, Setup
from clusterdns.plugins.lines import choice, read_options
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire.edns import Edns
from clusterdns.wire.message import NOERROR, NOTIMP, NXDOMAIN, OPCODE, SERVFAIL
from clusterdns.wire.question import HEADER, Question
from clusterdns.wire.sizes import plain_size
from clusterdns.wire.texts import class_text, rcode_text, type_text

COMMON = (
    '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" '
    "{rcode} {>rflags} {rsize} {duration}"
)
COMBINED = COMMON + ' "{>opcode}"'
EMPTY = "-"  # where a placeholder has no value
CLASSES = ("all", "success", "denial", "error")

log = logging.getLogger("clusterdns.queries")  # CoreDNS gives these lines no plugin's prefix


@dataclass
class Rule:
    """How queries for names in `zone` are logged."""

    zone: str
    format: str = COMMON
    classes: set[str] = field(default_factory=set)


class Outcome(NamedTuple):
    """A query and what became of it."""

    query: Query
    rcode: int | None  # None: no reply is sent
    reply: Reply | None  # None also where the server makes the reply, after a ResolveError
    duration_s: float
    recursive: bool  # whether the server block sets RA


class Log(Plugin):
    """Writes the line of the first rule whose zone the name is in, if it is of its classes.

    A reply that is written is not kept as a finished answer, so that the next one is written too;
    what is in no rule or class, most of it under `class error`, is.
    """

    name = "log"
    passes_notify = True

    def __init__(self, rules: Sequence[Rule], setup: Setup) -> None:
        self.rules = rules
        self._setup = setup  # tells of RA once all directives are parsed
        self._zones = [Zones([rule.zone]) for rule in rules]
        self._lines = [_compile(rule.format) for rule in rules]
        if any(rule.zone == "." and "all" in rule.classes for rule in rules):
            self.sees = Sees.EVERY_QUERY

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Log":
        rules: list[Rule] = []
        for directive in directives:
            with setup.attempt():
                rules += _rules(directive, setup)
        return cls(rules, setup)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        index = self._rule_for(query)
        if index is None:
            return await next(query)
        started = time.monotonic()
        try:
            reply = await next(query)
        except ResolveError as error:
            self._write(index, query, error.rcode, None, started)
            raise
        rcode = None if reply is None else reply.rcode
        is_written = self._write(index, query, rcode, reply, started)
        return reply.rests_on((), 0.0) if reply and is_written else reply

    def _rule_for(self, query: Query) -> int | None:
        for index, zones in enumerate(self._zones):
            if query.question in zones:
                return index
        return None

    def _write(
        self, index: int, query: Query, rcode: int | None, reply: Reply | None, started: float
    ) -> bool:
        """Whether the line is of the rule's classes; then it is written."""
        duration_s = time.monotonic() - started
        outcome = Outcome(query, rcode, reply, duration_s, self._setup.recursive)
        classes = self.rules[index].classes
        of = ""
        if query.labels is not None or "all" not in classes:
            kind = _type_of(outcome)
            of = _CLASS.get(kind, "error")
            if query.labels is not None:
                query.labels["log/type"] = partial(str, kind)
                query.labels["log/class"] = partial(str, of)
        is_written = "all" in classes or of in classes
        if is_written:
            log.info("%s", "".join([piece(outcome) for piece in self._lines[index]]))
        return is_written


def _rules(directive: Directive, setup: Setup) -> list[Rule]:
    words = list(directive.arguments)
    form = COMMON
    # One word alone is a name, whatever it looks like.
    if len(words) > 1 and "{" in words[-1].text:
        form = words.pop().text.replace("{common}", COMMON).replace("{combined}", COMBINED)
    elif len(words) == 1 and "{" in words[0].text:
        setup.warn(
            words[0].place,
            f"{words[0].text!r} is taken as a name, so nothing is logged; a format needs a name "
            "before it, as in: log . FORMAT",
        )
    classes: set[str] = set()

    def take_classes(line: Directive) -> None:
        classes.update(choice(word, CLASSES) for word in arguments(line, least=1))

    read_options(directive, setup, {"class": take_classes})
    names = [word.text.removesuffix(".") + "." for word in words if _is_name(word, setup)]
    if not words:
        names = ["."]
    return [Rule(name, form, classes or {"all"}) for name in names]


def _is_name(word: Token, setup: Setup) -> bool:
    """Whether the word can be in a question; CoreDNS accepts others, which never match."""
    try:
        Question.of(word.text, 0)
    except ResolveError:
        setup.warn(word.place, f"{word.text!r} is no domain name, so nothing is logged for it")
        return False
    return True


# What a format is made of: literal text, {placeholders} and {/metadata/labels}. Braces around
# something else are literal text too.
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
Piece = Callable[[Outcome], str]


def _compile(form: str) -> list[Piece]:
    """The format as functions, whose texts one after the other are the line."""
    pieces: list[Piece] = []
    end = 0
    for found in _PLACEHOLDER.finditer(form):
        value = _VALUES.get(found[0])
        if found[0].startswith("{/"):
            value = _labelled(found[0][2:-1])
        if value:
            pieces += [_literal(form[end : found.start()]), value]
            end = found.end()
    return [*pieces, _literal(form[end:])]


def _literal(text: str) -> Piece:
    return lambda outcome: text


def _labelled(label: str) -> Piece:
    """The value of a label; only with the directive `metadata` one has any."""

    def value(outcome: Outcome) -> str:
        found = (outcome.query.labels or {}).get(label)
        return found() if found else EMPTY

    return value


def _size(outcome: Outcome) -> str:
    """Octets of the query; an inner query is counted as if it had been sent."""
    query = outcome.query
    return str(HEADER + len(query.question.name) + 4 if query.depth else len(query.octets))


def _buffer_size(outcome: Outcome) -> str:
    """Octets that the client can receive: the reply's limit before any of our own."""
    query = outcome.query
    if query.transport != "udp":
        return "65535"
    return str(max(query.edns.size, 512) if query.edns else 512)


def _rcode(outcome: Outcome) -> str:
    return EMPTY if outcome.rcode is None else rcode_text(outcome.rcode)


def _flags(outcome: Outcome) -> str:
    """The header flags of the reply, in the order in which they stand there."""
    if outcome.rcode is None:
        return EMPTY
    reply = outcome.reply or Reply()
    asked = outcome.query.flags
    recursion = outcome.recursive if reply.recursion is None else reply.recursion
    flags = {
        "qr": True,
        "aa": reply.authoritative,
        "tc": reply.truncated,
        "rd": asked & 0x0100 if reply.desired is None else reply.desired,
        "ra": recursion and outcome.reply is not None,
        "ad": reply.authentic,
        "cd": asked & 0x0010,
    }
    return ",".join([flag for flag, is_set in flags.items() if is_set])


def _reply_size(outcome: Outcome) -> str:
    """Octets of the reply without compression, truncation and OPT, as CoreDNS tells it."""
    if outcome.rcode is None:
        return "0"
    reply = outcome.reply or Reply()
    records = chain(reply.answer, reply.authority, reply.additional)
    size = plain_size(outcome.query.question, records)
    if reply.force_edns:  # that of the directive itself is there by now, the server's comes later
        size += len(Edns(options=tuple(reply.options)).pack())
    return str(size)


def _duration(outcome: Outcome) -> str:
    """Seconds with as many decimals as nanoseconds need."""
    text = f"{outcome.duration_s:.9f}".rstrip("0").rstrip(".")
    return f"{text}s"


_VALUES: dict[str, Piece] = {
    "{type}": lambda outcome: type_text(outcome.query.question.qtype),
    "{class}": lambda outcome: class_text(outcome.query.question.qclass),
    "{name}": lambda outcome: outcome.query.question.text,
    "{proto}": lambda outcome: "udp" if outcome.query.transport == "udp" else "tcp",
    "{size}": _size,
    "{remote}": lambda outcome: bracketed(outcome.query.peer[0]),
    "{port}": lambda outcome: str(outcome.query.peer[1]),
    "{local}": lambda outcome: bracketed(outcome.query.local[0]),
    "{>id}": lambda outcome: str(int.from_bytes(outcome.query.octets[:2])),
    "{>opcode}": lambda outcome: str(outcome.query.flags >> 11 & 0xF),
    "{>do}": lambda outcome: "true" if outcome.query.edns and outcome.query.edns.do else "false",
    "{>bufsize}": _buffer_size,
    "{rcode}": _rcode,
    "{rsize}": _reply_size,
    "{duration}": _duration,
    "{>rflags}": _flags,
}

# Of all other types it is error. NODATA without SOA is NOERROR.
_CLASS = {"NOERROR": "success", "DELEGATION": "success", "NXDOMAIN": "denial", "NODATA": "denial"}


def _type_of(outcome: Outcome) -> str:
    """What CoreDNS calls a reply; one that was dropped is OTHERERROR."""
    query, reply, rcode = outcome.query, outcome.reply, outcome.rcode
    if query.flags & OPCODE or query.question.qtype in (QTYPE.AXFR, QTYPE.IXFR):
        return "META"
    if rcode in (SERVFAIL, NOTIMP):
        return "SERVERERROR"
    if reply is None or rcode not in (NOERROR, NXDOMAIN):
        return "OTHERERROR"
    if rcode == NXDOMAIN:
        return "OTHERERROR" if reply.answer else "NXDOMAIN"
    types = set() if reply.answer else {record.rtype for record in reply.authority}
    if QTYPE.SOA in types:
        return "NODATA"
    return "DELEGATION" if QTYPE.NS in types else "NOERROR"
