"""The lines of one `template`, read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.patterns import Pattern, pattern
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, one_argument, refuse_brace, zone_names
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.base import Setup
from clusterdns.plugins.lines import nearest, read_options
from clusterdns.plugins.template.data import Data
from clusterdns.plugins.template.expressions import Expressions
from clusterdns.plugins.template.parser import Template, parse
from clusterdns.plugins.template.scanner import TemplateError
from clusterdns.plugins.zones import Zones
from clusterdns.wire.edns import EXTENDED_ERROR, Option
from clusterdns.wire.texts import class_number, rcode_number, type_number

ANSWER, ADDITIONAL, AUTHORITY = SECTIONS = ("answer", "additional", "authority")
MOST_CODE = 0xFFFF  # of an extended error, RFC 8914 section 2


class Record(NamedTuple):
    """A template that makes a record, and where it stands."""

    template: Template
    place: Place


@dataclass
class Options:
    """What one `template` says.

    patterns: of the names that it is for; () is all.
    error: the option that tells an extended error.
    """

    zones: Zones
    qclass: int
    qtype: int
    patterns: list[Pattern] = field(default_factory=list)
    sections: dict[str, list[Record]] = field(
        default_factory=lambda: {section: [] for section in SECTIONS}
    )
    rcode: int = 0
    error: Option | None = None
    fallthrough: Zones = field(default_factory=lambda: Zones(()))
    expressions: Expressions = field(default_factory=Expressions)


def read(directive: Directive, setup: Setup) -> Options:
    """Raises ConfigError at what is wrong on the first line; more is left in setup.faults."""
    refuse_brace(directive.arguments)
    if len(directive.arguments) < 2:
        raise ConfigError("template takes a class and a type", directive.name.place)
    qclass, qtype, *zones = directive.arguments
    options = Options(
        Zones(zone_names(zones, setup.zones, setup.warnings)),
        _number(qclass, class_number, "class"),
        _number(qtype, type_number, "type"),
    )
    read_options(directive, setup, _Reader(options, setup).known())
    return options


class _Reader:
    """Reads lines into options."""

    def __init__(self, options: Options, setup: Setup) -> None:
        self._options = options
        self._setup = setup

    def known(self) -> dict[str, Callable[[Directive], None]]:
        return {
            **dict.fromkeys(SECTIONS, self._records),
            "ederror": self._error,
            "expr": self._condition,
            "fallthrough": self._fallthrough,
            "match": self._match,
            "rcode": self._rcode,
            "upstream": lambda line: refuse_brace(line.arguments),  # of old; means nothing
            "var": self._variable,
        }

    def _match(self, line: Directive) -> None:
        self._options.patterns += [pattern(word) for word in arguments(line, least=1)]

    def _records(self, line: Directive) -> None:
        records = self._options.sections[line.name.text]
        for word in arguments(line, least=1):
            records.append(Record(self._template(word), word.place))

    def _template(self, word: Token) -> Template:
        try:
            template = parse(word.text)
        except TemplateError as error:
            raise ConfigError(
                f"{word.text!r} is no template: {error}, character {error.at + 1}", word.place
            ) from error
        for name in sorted(template.fields - set(Data.FIELDS)):
            hint = nearest(name, Data.FIELDS)
            self._setup.warn(word.place, f"templates have no field .{name}; {hint}")
        return template

    def _rcode(self, line: Directive) -> None:
        self._options.rcode = _number(one_argument(line), rcode_number, "rcode")

    def _error(self, line: Directive) -> None:
        code, *reason = arguments(line, 1, 2)
        if not re.fullmatch("[0-9]{1,9}", code.text) or int(code.text) > MOST_CODE:
            raise ConfigError(
                f"{code.text!r} is no extended error, a number of 0 to {MOST_CODE}", code.place
            )
        text = "".join([word.text for word in reason]).encode()
        self._options.error = Option(EXTENDED_ERROR, int(code.text).to_bytes(2, "big") + text)

    def _fallthrough(self, line: Directive) -> None:
        self._options.fallthrough = Zones(zone_names(line.arguments, (".",), self._setup.warnings))

    def _variable(self, line: Directive) -> None:
        name, *words = arguments(line, least=2)
        self._options.expressions.add_variable(name, words)

    def _condition(self, line: Directive) -> None:
        self._options.expressions.add_condition(arguments(line, least=1), self._setup)


def _number(word: Token, number: Callable[[str], int | None], what: str) -> int:
    """By its name, in upper case."""
    found = number(word.text)
    if found is None:
        is_lower = number(word.text.upper()) is not None
        hint = f"; did you mean {word.text.upper()!r}?" if is_lower else ""
        raise ConfigError(f"{word.text!r} is no {what} of DNS{hint}", word.place)
    return found


def zones_of(all_options: Sequence[Options]) -> list[str]:
    """The zones of several templates."""
    return [name for options in all_options for name in options.zones.names]
