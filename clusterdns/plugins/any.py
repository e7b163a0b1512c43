"""`any`: a short answer to ANY queries, RFC 8482 section 4.2."""

import math
from collections.abc import Sequence

from dnslib import RD, RR

from clusterdns.corefile.tree import Directive
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import bare
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve

ANY, HINFO = 255, 13
TTL = 8482  # CoreDNS's: long, as nothing about it changes
RDATA = b"".join(bytes([len(text)]) + text for text in (b"ANY obsoleted", b"See RFC 8482"))


class Any(Plugin):
    """Answers ANY with one HINFO record that says why there is no more; the rest goes on."""

    name = "any"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Any":
        bare(directives, setup)
        return cls()

    def passage(self, server: str, view: str) -> Passage:
        return Passage()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if query.question.qtype != ANY:
            return await next(query)
        record = RR(query.question.label, HINFO, ttl=TTL, rdata=RD(RDATA))
        return Reply(answer=[record], until=math.inf)
