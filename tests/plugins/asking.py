"""What tests of directives share: plugins from Corefile lines, questions, toys behind them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import dns.rdatatype
import pytest
from dnslib import RR

from clusterdns.corefile.parser import parse
from clusterdns.corefile.tree import Directive
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.order import plugin_class
from clusterdns.plugins.query import Query, Reply
from clusterdns.wire.edns import Edns
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index, Key

CLIENT = ("10.240.0.1", 40212)  # what CoreDNS's own tests ask from


def lines(text: str) -> tuple[Directive, ...]:
    """The directives of a server block; the first stands on line 1, at its column."""
    (block,) = parse(f". {{ {text}\n}}", "Corefile").blocks
    return block.directives


def new_setup(zones: tuple[str, ...] = (".",)) -> Setup:
    return Setup(zones=zones, cluster=lambda selection, api: Index(selection))


class Told:
    """What a plugin tells the server."""

    def __init__(self) -> None:
        self.forgotten: list[set[Key]] = []
        self.changed: list[str] = []

    def setup(self, zones: tuple[str, ...] = (".",)) -> Setup:
        setup = new_setup(zones)

        def forget(keys: Iterable[Key]) -> None:
            self.forgotten.append(set(keys))

        setup.forget = forget
        setup.on_change.append(self.changed.append)
        return setup


def parsed(text: str, setup: Setup | None = None) -> Plugin:
    """The plugin of equal directives. Raises the first ConfigError, also one kept in the setup."""
    setup = setup or new_setup()
    found = lines(text)
    plugin = plugin_class(found[0].name).parse(found, setup)
    if setup.faults:
        raise setup.faults[0]
    return plugin


def fault(text: str, setup: Setup | None = None) -> str:
    """The fault of a directive as LINE:COLUMN: text, of the directive's own text."""
    with pytest.raises(ConfigError) as raised:
        parsed(text, setup)
    place = raised.value.place
    assert place is not None
    column = place.column - len(". { ") if place.line == 1 else place.column
    return f"{place.line}:{column}: {raised.value.message}"


def query(
    name: str = "example.org.",
    qtype: str = "A",
    exchange: "Exchange | None" = None,
    **changed: Any,
) -> Query:
    """A query over UDP with RD set; `changed` are fields of it."""
    question = changed.pop("question", None)
    assert question is None or isinstance(question, Question)
    question = question or Question.of(name, int(dns.rdatatype.from_text(qtype)))
    octets = bytes(12) + question.name + bytes(4)
    now = time.monotonic()
    fields: dict[str, Any] = {
        "octets": octets,
        "question": question,
        "flags": 0x0100,
        "edns": None,
        "peer": CLIENT,
        "local": ("127.0.0.1", 53),
        "transport": "udp",
        "limit": 512,
        "zone": ".",
        "exchange": exchange or Exchange(),
        "received": now,
        "deadline": now + 5,
    }
    return Query(**(fields | changed))


@dataclass
class Exchange:
    """The server, as far as inner queries go: says what it is told to, and notes what it is asked.

    reply: None for no reply; an error is raised.
    """

    reply: Reply | ResolveError | None = None
    asked: list[Query] = field(default_factory=list)

    async def resolve(self, query: Query) -> Reply | None:
        self.asked.append(query)
        if isinstance(self.reply, ResolveError):
            raise self.reply
        return self.reply


@dataclass
class Next:
    """The plugin behind the one tested: as Exchange."""

    reply: Reply | ResolveError | None = None
    asked: list[Query] = field(default_factory=list)

    async def __call__(self, query: Query) -> Reply | None:
        self.asked.append(query)
        if isinstance(self.reply, ResolveError):
            raise self.reply
        return self.reply


def records(text: str) -> list[RR]:
    """Records in master-file text."""
    return RR.fromZone(text) if text else []


def texts(section: list[RR]) -> list[str]:
    """A section in master-file text with single spaces, in its order."""
    return [" ".join(record.toZone().split()) for record in section]


def edns(size: int = 1232, do: bool = False) -> Edns:
    return Edns(size=size, flags=0x8000 if do else 0)
