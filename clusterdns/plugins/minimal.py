"""`minimal`: positive answers without authority and additional records."""

from collections.abc import Sequence
from dataclasses import replace

from dnslib import QTYPE

from clusterdns.corefile.tree import Directive
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import bare
from clusterdns.plugins.query import Query, Reply, Resolve


class Minimal(Plugin):
    """Takes off what a client can do without, the glue of SRV records too.

    Negative answers keep their SOA record (RFC 2308), delegations their NS records and glue, and
    errors all they have.
    """

    name = "minimal"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Minimal":
        bare(directives, setup)
        return cls()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        reply = await next(query)
        if reply is None or reply.rcode or _is_transfer(query) or not _is_positive(reply):
            return reply
        return replace(reply, authority=[], additional=[], options=[], force_edns=False)


def _is_positive(reply: Reply) -> bool:
    """Whether it has an answer, or nothing that says why it has none."""
    if reply.answer:
        return True
    return not any(record.rtype in (QTYPE.SOA, QTYPE.NS) for record in reply.authority)


def _is_transfer(query: Query) -> bool:
    return query.question.qtype in (QTYPE.AXFR, QTYPE.IXFR)
