"""`whoami`: tells the client its own address, port and transport."""

import ipaddress
from collections.abc import Sequence

from dnslib import AAAA, QTYPE, RR, SRV, A, DNSLabel

from clusterdns.corefile.tree import Directive
from clusterdns.plugins.base import Plugin, Sees, Setup
from clusterdns.plugins.lines import bare
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.names import MAX_NAME


class Whoami(Plugin):
    """Answers every question with nothing but glue: the client's address, and an SRV of its port.

    It is the last of the directives, so it answers what no other one does.
    """

    name = "whoami"
    sees = Sees.CLIENT

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Whoami":
        bare(directives, setup)
        return cls()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        host, port = query.peer
        glue = [_address(question.label, host, question.qclass)]
        owner = (b"_udp" if query.transport == "udp" else b"_tcp", *question.labels)
        if len(owner[0]) + 1 + len(question.name) <= MAX_NAME:  # or else there is no such name
            port_at_host = SRV(priority=0, weight=0, port=port, target=DNSLabel(()))
            glue.append(RR(DNSLabel(owner), QTYPE.SRV, question.qclass, rdata=port_at_host))
        return Reply(authoritative=True, additional=glue)


def _address(owner: DNSLabel, host: str, rclass: int) -> RR:
    address = ipaddress.ip_address(host)
    address = getattr(address, "ipv4_mapped", None) or address
    if address.version == 4:
        return RR(owner, QTYPE.A, rclass, rdata=A(str(address)))
    return RR(owner, QTYPE.AAAA, rclass, rdata=AAAA(str(address)))
