"""`nsid`: which server this is, for clients that ask (RFC 5001)."""

import socket
from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import refuse_brace
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import once
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.edns import Option

NSID = 3  # the option's code
MOST = 512  # octets: what asks for so little, a query, may not make replies much larger


class Nsid(Plugin):
    """Puts its data into the reply to a query with the option."""

    name = "nsid"
    options = frozenset({NSID})

    def __init__(self, data: bytes) -> None:
        self.data = data

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Nsid":
        directive = once(directives)
        refuse_brace(directive.arguments)
        if directive.block is not None:
            raise ConfigError("nsid takes no block", directive.name.place)
        words = [word.text for word in directive.arguments]
        data = (" ".join(words) if words else socket.gethostname()).encode()
        if len(data) > MOST:
            place = directive.arguments[0].place
            raise ConfigError(f"{len(data)} octets are too much to tell, over {MOST}", place)
        return cls(data)

    def passage(self, server: str, view: str) -> Passage:
        return Passage()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        reply = await next(query)
        if reply is None or query.edns is None:
            return reply
        if any(option.code == NSID for option in query.edns.options):
            others = [option for option in reply.options if option.code != NSID]
            reply.options = [*others, Option(NSID, self.data)]
        return reply
