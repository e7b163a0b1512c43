"""`forward`: the lines of a server block, and a query's way through them."""

import asyncio
from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.forward.forwarder import Forwarder
from clusterdns.plugins.forward.options import read
from clusterdns.plugins.passage import Passage, Way
from clusterdns.plugins.query import Query, Reply, Resolve

DRAIN_S = 5.0  # for queries under way when the server stops: none of them takes longer


class Forward(Plugin):
    """Sends questions on to other servers, and their replies back as they are."""

    name = "forward"
    recursive = True
    any_class = True

    def __init__(self, forwarders: Sequence[Forwarder]) -> None:
        """forwarders: in the order of the Corefile."""
        self.forwarders = tuple(forwarders)

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Forward":
        """Each line is a forwarder of its own. Host names are resolved here, once."""
        forwarders = []
        for directive in directives:
            with setup.attempt():
                forwarders.append(Forwarder(read(directive, setup)))
        for forwarder in forwarders:
            setup.upstreams += forwarder.upstreams
        return cls(forwarders)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        """The reply of the first forwarder that takes the name, unless its options leave it to the
        next that does."""
        reply = None
        for forwarder in self.forwarders:
            if forwarder.takes(query.question):
                reply = await forwarder.reply(query)
                if not forwarder.goes_on(reply):
                    break
        return reply if reply is not None else await next(query)

    def passage(self, server: str, view: str) -> Passage | None:
        """Each forwarder takes its names, where none of its replies leaves them to another one."""
        ways: dict[str, Way | None] = {}
        for forwarder in self.forwarders:
            options = forwarder.options
            if options.next_rcodes or options.next_on_nodata:
                return None
            excepted = dict.fromkeys(zone for zone in options.excepted if zone != options.zone)
            for zone, way in {**excepted, options.zone: forwarder}.items():
                ways.setdefault(zone, way)
        return Passage(ways)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Keeps its sockets until the server stops and the queries under way have ended."""
        try:
            await stopping.wait()
            await asyncio.gather(*[each.drain(DRAIN_S) for each in self.forwarders])
        finally:
            await self.close()

    async def close(self) -> None:
        """Closes every socket; queries under way fail."""
        await asyncio.gather(*[each.close() for each in self.forwarders])
