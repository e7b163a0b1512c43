"""`bufsize`: the most octets of a reply over UDP, so that none is sent in fragments."""

from collections.abc import Sequence
from dataclasses import replace

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, integer
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.edns import OUR_SIZE

LEAST, MOST = 512, 4096  # octets, RFC 6891 sections 6.2.3 and 6.2.5


class Bufsize(Plugin):
    """Lowers what a client says that it can receive; says the same of ourselves."""

    name = "bufsize"

    def __init__(self, size: int) -> None:
        self.edns_size = size

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Bufsize":
        """CoreDNS looks at the first of several only."""
        first, *others = directives
        for other in others:
            setup.warn(other.name.place, "only the first bufsize is used")
        words = arguments(first, 0, 1)
        if first.block is not None:
            raise ConfigError("bufsize takes no block", first.name.place)
        return cls(integer(words[0], LEAST, MOST) if words else OUR_SIZE)

    def passage(self, server: str, view: str) -> Passage:
        return Passage(stops=lambda asked, now: asked.has_opt and asked.size > self.edns_size)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        """Only UDP and queries with an OPT record: others have a limit of their own."""
        if query.edns is not None and query.edns.size > self.edns_size:
            query.edns = replace(query.edns, size=self.edns_size)
            if query.transport == "udp":
                query.limit = min(query.limit, self.edns_size)
        return await next(query)
