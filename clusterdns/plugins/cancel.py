"""`cancel`: how long a query may take."""

from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.query import Query, Reply, Resolve

TIMEOUT_S = 5.001  # CoreDNS's: stub resolvers ask again after five seconds


class Cancel(Plugin):
    """Moves the query's deadline forward: nobody is asked, or waited for, behind it."""

    name = "cancel"

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Cancel":
        """Of several the last counts."""
        timeout_s = TIMEOUT_S
        for directive in directives:
            words = arguments(directive, 0, 1)
            if directive.block is not None:
                raise ConfigError("cancel takes no block", directive.name.place)
            timeout_s = duration(words[0], least=0) if words else TIMEOUT_S
            if not timeout_s:
                raise ConfigError("a query needs some time", words[0].place)
        return cls(timeout_s)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        query.deadline = min(query.deadline, query.received + self.timeout_s)
        return await next(query)
