"""`metadata`: what directives can tell of a query, for `log`, `view` and others."""

from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import zone_names
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones


class Metadata(Plugin):
    """Collects labels of queries in its zones from all directives of the server block."""

    name = "metadata"
    passes_notify = True

    def __init__(self, zones: Sequence[str], setup: Setup) -> None:
        self.zones = tuple(zones)
        self._zones = Zones(zones)
        self._setup = setup  # tells of the others once all are parsed

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Metadata":
        directive, *others = directives
        if others:
            raise ConfigError(
                f"metadata stands at {directive.name.place} already", others[0].name.place
            )
        if directive.block is not None:
            raise ConfigError("metadata takes no block", directive.name.place)
        setup.collects = True
        return cls(zone_names(directive.arguments, setup.zones, setup.warnings), setup)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        self.collect(query)
        return await next(query)

    def collect(self, query: Query) -> None:
        query.labels = {}  # what is told later (`forward`) is of every name
        if query.question in self._zones:
            for plugin in self._setup.plugins:
                query.labels |= plugin.metadata(query)
