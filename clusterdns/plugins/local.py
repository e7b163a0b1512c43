"""`local`: localhost and the reverse zones of this host, answered here (RFC 6303, RFC 6761)."""

import math
from collections.abc import Sequence

from dnslib import AAAA, NS, PTR, QTYPE, RR, SOA, A, DNSLabel

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import no_arguments, one_argument
from clusterdns.metrics import Counter
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import choice, read_options
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import IN, NXDOMAIN
from clusterdns.wire.question import Question

TTL = 604800  # seconds, a week: none of this ever changes
LOCALHOST = DNSLabel((b"localhost",))
HOSTMASTER = DNSLabel((b"root", b"localhost"))
LOOPBACK = {QTYPE.A: A("127.0.0.1"), QTYPE.AAAA: AAAA("::1")}
ZONES = ("localhost.", "0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa.")
POINTER = (b"1", b"0", b"0", b"127", b"in-addr", b"arpa")  # the one name below the zones

requests = Counter(
    "coredns_local_localhost_requests_total",
    "Queries for names below, or beginning with, localhost.",
)


class Local(Plugin):
    """Answers what must not be asked elsewhere: whoever did would tell what is private here.

    prefix: names that begin with localhost are loopback too, as search lists make of it.
    """

    name = "local"

    def __init__(self, prefix: bool = True) -> None:
        self.prefix = prefix
        self._zones = Zones(ZONES)

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Local":
        """Of several the last word counts."""
        plugin = cls()

        def prefix(line: Directive) -> None:
            plugin.prefix = choice(one_argument(line), ("on", "off")) == "on"

        for directive in directives:
            with setup.attempt():
                no_arguments(directive)
                read_options(directive, setup, {"localhost_prefix": prefix})
        return plugin

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        if question.qclass != IN:
            return await next(query)
        labels = question.labels
        folded = tuple(label.lower() for label in labels)
        if len(labels) > 1 and (
            folded[-1] == b"localhost" or (self.prefix and folded[0] == b"localhost")
        ):
            requests.add()
            return _loopback(question)
        zone = self._zones.match(question)
        if zone is None:
            return await next(query)
        return _reply(question, folded, DNSLabel(labels[-len(Question.of(zone, 0).labels) :]))


def _loopback(question: Question) -> Reply:
    """The addresses of this host; other types have none, with the name as its own zone."""
    if rdata := LOOPBACK.get(question.qtype):
        return _answer(question, rdata)
    return _negative(question.label)


def _reply(question: Question, folded: tuple[bytes, ...], zone: DNSLabel) -> Reply:
    """What one of the zones says; zone is spelled as asked."""
    if len(folded) == len(zone.label):
        if question.qtype == QTYPE.SOA:
            return Reply(answer=[_soa(zone)], until=math.inf)
        if question.qtype == QTYPE.NS:
            return _answer(question, NS(LOCALHOST))
        return _loopback(question) if folded == LOCALHOST.label else _negative(zone)
    if folded == POINTER and question.qtype == QTYPE.PTR:
        return _answer(question, PTR(LOCALHOST))
    return _negative(zone, 0 if folded == POINTER else NXDOMAIN)


def _answer(question: Question, rdata: object) -> Reply:
    record = RR(question.label, question.qtype, ttl=TTL, rdata=rdata)
    return Reply(answer=[record], until=math.inf)


def _negative(zone: DNSLabel, rcode: int = 0) -> Reply:
    return Reply(rcode, authority=[_soa(zone)], until=math.inf)


def _soa(zone: DNSLabel) -> RR:
    rdata = SOA(LOCALHOST, HOSTMASTER, (1, 0, 0, 0, TTL))
    return RR(zone, QTYPE.SOA, ttl=TTL, rdata=rdata)
