"""Server blocks: which zone's chain of plugins a name belongs to."""

import math
from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin, Sees
from clusterdns.plugins.order import COUNTS, NOT_PASSED
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.edns import OUR_SIZE
from clusterdns.wire.message import IN, REFUSED
from clusterdns.wire.names import folded_name
from clusterdns.wire.question import Question

DS = 43  # qtype, RFC 4034 section 5
_STRENGTH = list(Sees)  # from what needs least to what needs most


class Block:
    """One server block of the Corefile: zones, and the plugins that answer below them.

    resolving: those of the plugins that queries pass, in their order.
    keeps: finished answers may be kept: every plugin's answer is decided by the question.
    recursive: replies have RA set, since some plugin asks upstreams (`forward`).
    any_class: classes other than IN are given to the plugins too.
    options: codes of the EDNS options that some plugin looks at.
    counted: what it is asked is told to metrics (`prometheus`).
    edns_size: octets that the OPT records of its replies tell.
    filter: decides which queries the block takes (`view`); None: all.
    view: the name that metrics know the block by beside its zones; "" without a `view`.
    notify, takes_notify: what NOTIFY messages pass (RFC 1996), and whether anybody takes them.
    chain: of a block that is counted, the directives that queries pass in CoreDNS.
    listed: the zone by which metrics list them, that of the Corefile's first key for the block, as
        in CoreDNS; None: it is served at another address or port.
    empty: no directive answers anything here.
    writer: who metrics say wrote the replies: the directive behind `prometheus`, as in CoreDNS.
    """

    def __init__(
        self, zones: Iterable[str], plugins: Sequence[Plugin], has_first: bool = True
    ) -> None:
        """zones: absolute, lower-case. plugins: in the order in which they run, those without a
        resolve of their own among them. has_first: the first zone is that of the first key."""
        self.zones = tuple(zones)
        self.listed = self.zones[0] if has_first and self.zones else None
        self.plugins = tuple(plugins)
        chain = self.resolving = [plugin for plugin in plugins if plugin.in_chain()]
        self.sees = max(
            [plugin.sees for plugin in chain], key=_STRENGTH.index, default=Sees.QUESTION
        )
        self.keeps = self.sees is Sees.QUESTION
        self.recursive = any(plugin.recursive for plugin in plugins)
        self.any_class = any(plugin.any_class for plugin in plugins)
        self.options = frozenset[int]().union(*[plugin.options for plugin in chain])
        self.counted = any(plugin.counted for plugin in plugins)
        self.edns_size = max(plugin.edns_size for plugin in (*plugins, Plugin())) or OUR_SIZE
        deciding = [plugin for plugin in plugins if type(plugin).admits is not Plugin.admits]
        self.filter = next(iter(deciding), None)
        self.view = self.filter.view if self.filter else ""
        names = [plugin.name for plugin in plugins] if self.counted else []
        self.chain = tuple(name for name in names if name not in NOT_PASSED)
        behind = [*self.chain, ""][self.chain.index(COUNTS) + 1 :] if self.counted else [""]
        self.writer = behind[0]
        self.empty = not chain and not self.counted
        self._tells_personas = [
            plugin for plugin in chain if type(plugin).persona is not Plugin.persona
        ]
        self._tells_zones = [
            plugin for plugin in plugins if type(plugin).counted_as is not Plugin.counted_as
        ]
        self.resolve: Resolve = _nothing if self.empty else _nested(chain, _end(chain))
        self.takes_notify = any(plugin.takes_notify for plugin in chain)
        self.notify = _nested([plugin for plugin in chain if plugin.passes_notify], _nothing)

    def persona(self, question: Question, peer: tuple[str, int]) -> Hashable:
        """What of the client may decide the reply, by the first plugin that knows; or None."""
        for plugin in self._tells_personas:
            if (found := plugin.persona(question, peer)) is not None:
                return found
        return None

    def counted_as(self, question: Question, zone: str) -> str:
        """The zone that metrics know a question by. zone: this block's that matched."""
        found = [plugin.counted_as(question) or zone for plugin in self._tells_zones]
        return max([zone, *found], key=len)


def _nested(chain: Sequence[Plugin], resolve: Resolve) -> Resolve:
    """The plugins as one function, nested once and not for each query.

    resolve: what stands behind them.
    """
    for plugin in reversed(chain):
        resolve = partial(plugin.resolve, next=resolve)
    return resolve


def _end(chain: Sequence[Plugin]) -> Resolve:
    """What stands behind the last one."""
    name = chain[-1].name if chain else "dnsserver"

    async def end(query: Query) -> Reply:
        raise ResolveError(f"plugin/{name}: no next plugin found")

    return end


async def _nothing(query: Query) -> Reply:
    """What nobody in the block answers: REFUSED."""
    return Reply(rcode=REFUSED, until=math.inf)


class Route(NamedTuple):
    """Where a question goes: the zone that matched, absolute and lower-case, and its block."""

    zone: str
    block: Block


class Router:
    """The server blocks of one listener, and the `Exchange` of the queries that come in by it."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """blocks: in the Corefile's order; of two with the same zone the first one that takes a
        query has it."""
        self.blocks = tuple(blocks)
        # An answer of one block may hold what another one said (`Exchange`).
        self.options = frozenset[int]().union(*[block.options for block in self.blocks])
        self._routes: dict[bytes, list[Route]] = {}
        for block in self.blocks:
            for zone in block.zones:
                routes = self._routes.setdefault(folded_name(zone), [])
                routes.append(Route(zone, block))
        # Zones but the root: what ends like none of them needs no look at each of its labels.
        self._below_root = tuple(zone for zone in self._routes if zone != b"\0")
        filters = [block.filter for block in self.blocks if block.filter]
        self.filtered = bool(filters)
        if any(each.sees is not Sees.QUESTION for each in filters):
            for block in self.blocks:  # the same octets may be for another one
                block.keeps = False

    @property
    def unfiltered(self) -> dict[bytes, Route]:
        """By zone, as folded wire form, the route of whatever query; none at all if some blocks
        choose their queries."""
        return {} if self.filtered else {zone: routes[0] for zone, routes in self._routes.items()}

    def find(self, question: Question, query: Query | None = None) -> Route | None:
        """The route of the longest zone that the question's name is in; None: it is in none.

        DS records of a zone are held by its parent (RFC 4035 section 3.1.4.1): a question for them
        goes to the longest zone above, or to the zone itself if there is none but the root, as in
        CoreDNS: a block for all other names hardly has the parent.

        query: what blocks with a `view` look at, of several with the same zone in their order;
            needed where the router is `filtered`. A zone that no block takes it for is passed over.
        """
        name = question.folded
        if not name.endswith(self._below_root):
            return self._at(b"\0", query)
        own = self._at(name, query)
        if own is not None and question.qtype != DS:
            return own
        above = self._above(name, query)
        if own is not None and (above is None or above.zone == "."):
            return own
        return above

    def _above(self, name: bytes, query: Query | None) -> Route | None:
        while length := name[0]:  # `upward` would cost 0.2 us more
            name = name[length + 1 :]
            if (route := self._at(name, query)) is not None:
                return route
        return None

    def _at(self, zone: bytes, query: Query | None) -> Route | None:
        for route in self._routes.get(zone, ()):
            if route.block.filter is None:
                return route
            if query is not None and route.block.filter.admits(query):
                return route
        return None

    async def resolve(self, query: Query) -> Reply | None:
        """The reply for an inner query, from the top; sets the query's zone.

        A reply that passed a plugin which must see more than the question is not to be kept, nor
        whatever rests on it.
        """
        route = self.find(query.question, query)
        query.labels = None
        if route is None or not serves_class(route.block, query.question):
            return Reply(rcode=REFUSED, until=math.inf)
        query.zone, query.view = route.zone, route.block.view
        reply = await route.block.resolve(query)
        if reply is not None and not route.block.keeps:
            reply.until = 0.0
        return reply


def serves_class(block: Block, question: Question) -> bool:
    """Whether the block's plugins are asked: IN, and all others if one of them knows more."""
    return question.qclass == IN or block.any_class
