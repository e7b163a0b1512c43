"""`chaos`: version and host, asked for in class CH as BIND has it (RFC 4892)."""

import math
import random
import socket
from collections.abc import Sequence

from dnslib import QTYPE, RR, TXT

from clusterdns import __version__
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import refuse_brace
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.names import folded_name

CH = 3
MOST = 255  # octets of a string in a TXT record, RFC 1035 section 3.3


class Chaos(Plugin):
    """Answers TXT questions of class CH for five names; the rest goes on."""

    name = "chaos"
    any_class = True

    def __init__(self, version: bytes, authors: Sequence[bytes], host: bytes) -> None:
        self.version = version
        self.authors = list(authors)
        self.host = host
        self._texts = {
            folded_name("version.bind"): [version],
            folded_name("version.server"): [version],
            folded_name("hostname.bind"): [host],
            folded_name("id.server"): [host],
            folded_name("authors.bind"): self.authors,
        }

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Chaos":
        """CoreDNS looks at the first of several only."""
        first, *others = directives
        for other in others:
            setup.warn(other.name.place, "only the first chaos is used")
        refuse_brace(first.arguments)
        for line in first.block or ():
            raise ConfigError(f"unknown property {line.name.text!r} of chaos", line.name.place)
        words = [_text(word.text) for word in first.arguments]
        version = words[0] if words else _text(f"clusterdns-{__version__}")
        authors = sorted(set(words[1:])) or [_text("the maintainers of clusterdns")]
        return cls(version, authors, _text(socket.gethostname()))

    def passage(self, server: str, view: str) -> Passage:
        return Passage()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        if question.qclass != CH or question.qtype != QTYPE.TXT:
            return await next(query)
        texts = self._texts.get(question.folded)
        if texts is None:
            return await next(query)
        answer = [RR(question.label, QTYPE.TXT, CH, rdata=TXT(text)) for text in texts]
        random.shuffle(answer)  # nobody is the first
        return Reply(answer=answer, until=math.inf if len(answer) < 2 else 0.0)


def _text(text: str) -> bytes:
    return text.encode()[:MOST]
