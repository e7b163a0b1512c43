"""`erratic`: answers made to be lost, late or cut off, to test clients with."""

import asyncio
from collections.abc import Sequence

from dnslib import AAAA, NS, QTYPE, RR, SOA, A, DNSLabel

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration, integer, no_arguments
from clusterdns.plugins.base import Plugin, Sees, Setup
from clusterdns.plugins.lines import read_options
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.message import SERVFAIL
from clusterdns.wire.names import MAX_NAME

USUAL = 2  # every second one
DELAY_S = 0.1
MOST = (1 << 31) - 1
LARGE = 30  # records, which need more than 512 octets
READY = (3, 4)  # numbers of queries with which it says that it is ready, to test `ready` with
# Of the SOA record, CoreDNS's.
SERVER = DNSLabel((b"sns", b"dns", b"icann", b"org"))
HOSTMASTER = DNSLabel((b"noc", b"dns", b"icann", b"org"))
TIMES = (2018050825, 7200, 3600, 1209600, 3600)


class Erratic(Plugin):
    """Answers A, AAAA and AXFR with fixed records, and anything else with SERVFAIL.

    drop, delay, truncate: of how many queries one gets this; 0 for none.
    large: so many A records that they do not fit 512 octets.
    """

    name = "erratic"
    sees = Sees.EVERY_QUERY

    def __init__(self) -> None:
        self.drop: int | None = None  # None: nothing was said
        self.delay = 0
        self.delay_s = DELAY_S
        self.truncate = 0
        self.large = False
        self._queries = 0

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Erratic":
        """Without a word it drops every second query."""
        plugin = cls()
        known = {
            "drop": plugin._drop,
            "delay": plugin._delay,
            "truncate": plugin._truncate,
            "large": plugin._large,
        }
        for directive in directives:
            with setup.attempt():
                no_arguments(directive)
                read_options(directive, setup, known)
        if plugin.drop is None:
            plugin.drop = 0 if plugin.delay or plugin.truncate else USUAL
        return plugin

    def ready(self) -> bool:
        return self._queries in READY

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        number, self._queries = self._queries, self._queries + 1
        if _is_hit(number, self.drop or 0):
            return None
        if _is_hit(number, self.delay):
            await asyncio.sleep(self.delay_s)
        question = query.question
        truncated = self.truncate > 0 and number & self.truncate == 0  # bits, as in CoreDNS
        if question.qtype == QTYPE.AXFR:
            return Reply(answer=_zone(question.label, is_whole=not truncated), authoritative=True)
        if question.qtype == QTYPE.A:
            answer = [RR(question.label, QTYPE.A, rdata=A("192.0.2.53"))]
            answer *= LARGE if self.large else 1
        elif question.qtype == QTYPE.AAAA:
            answer = [RR(question.label, QTYPE.AAAA, rdata=AAAA("2001:db8::53"))]
        else:
            return Reply(SERVFAIL)
        return Reply(answer=answer, authoritative=True, truncated=truncated)

    def _drop(self, line: Directive) -> None:
        words = arguments(line, 0, 1)
        self.drop = _amount(words[0]) if words else self.drop

    def _delay(self, line: Directive) -> None:
        words = arguments(line, 0, 2)
        self.delay = _amount(words[0]) if words else USUAL
        self.delay_s = max(0.0, duration(words[1])) if len(words) > 1 else DELAY_S

    def _truncate(self, line: Directive) -> None:
        words = arguments(line, 0, 1)
        self.truncate = _amount(words[0]) if words else USUAL

    def _large(self, line: Directive) -> None:
        no_arguments(line)
        self.large = True


def _is_hit(number: int, every: int) -> bool:
    """Whether it is this one's turn, of `every` queries; 0: never."""
    return every > 0 and number % every == 0


def _amount(word: Token) -> int:
    return integer(word, 0, MOST)


def _zone(name: DNSLabel, is_whole: bool) -> list[RR]:
    """A small zone as a transfer; without its last record unless it is whole."""
    first, second = (_below(label, name) for label in (b"a", b"b"))
    names = (
        DNSLabel((b"sns", b"dns", b"icann", b"org")),
        DNSLabel((b"noc", b"dns", b"icann", b"org")),
    )
    soa = RR(name, QTYPE.SOA, rdata=SOA(*names, TIMES))
    records = [
        soa,
        RR(name, QTYPE.NS, rdata=NS(second)),
        RR(name, QTYPE.NS, rdata=NS(first)),
        RR(first, QTYPE.AAAA, rdata=AAAA("2001:bd8::53")),
        RR(second, QTYPE.AAAA, rdata=AAAA("2001:500::54")),
    ]
    return [*records, soa] if is_whole else records


def _below(label: bytes, name: DNSLabel) -> DNSLabel:
    """The name with a label in front, or itself where there is no room."""
    found = DNSLabel((label, *name.label))
    return found if sum(len(each) + 1 for each in found.label) < MAX_NAME else name
