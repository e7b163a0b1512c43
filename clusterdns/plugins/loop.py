"""`loop`: finds upstreams that send queries back to this server, and has them left out."""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from clusterdns.corefile.names import bracketed
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import no_arguments
from clusterdns.errors import ConfigError
from clusterdns.metrics import Counter
from clusterdns.plugins.base import Plugin, Setup, Upstream
from clusterdns.plugins.lines import once
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import REFUSED
from clusterdns.wire.question import Question

HINFO = 13
BITS = 62  # of each of the two random numbers in a probe's name, as in CoreDNS
TRY_S = 30.0  # for a first reply, as in CoreDNS; upstreams may start later than we
PAUSE_S = 1.0  # between the probes of these seconds
# Between the probes of an upstream that is left out: it doubles, so that a lasting mistake costs
# nothing, and stays short enough that a repaired one is not noticed by anybody.
FIRST_PAUSE_S, LAST_PAUSE_S = 2.0, 30.0

loops = Counter(
    "clusterdns_loops_total", "Upstreams set aside because they sent queries back.", ("to",)
)
log = logging.getLogger(__name__)


@dataclass
class Probe:
    """A question that nobody asks but we. has_returned: it came in here."""

    upstream: Upstream
    name: str
    has_returned: bool = False


class Loop(Plugin):
    """Asks each upstream for a name that nobody knows. If that question comes in here, the upstream
    has sent it, and would send every other too: it is set aside, until a probe does not return.

    upstreams: of the block; `forward` fills them in after this is made.
    """

    name = "loop"

    def __init__(self, zone: str, upstreams: Sequence[Upstream]) -> None:
        """zone: the first of the server block, absolute, lower-case."""
        self.zone = zone
        self.upstreams = upstreams
        self._probes: dict[bytes, Probe] = {}  # by folded name

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Loop":
        directive = once(directives)
        no_arguments(directive)
        if directive.block is not None:
            raise ConfigError("loop takes no block", directive.name.place)
        return cls(setup.zones[0] if setup.zones else ".", setup.upstreams)

    def passage(self, server: str, view: str) -> Passage:
        return Passage()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        if query.question.qtype == HINFO and self._probes:
            probe = self._probes.get(query.question.folded)
            if probe is not None:
                self._returned(probe, query)
                return Reply(REFUSED)  # its round ends here
        return await next(query)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Probes every upstream at the start, and those set aside again and again."""
        async with asyncio.TaskGroup() as tasks:
            for upstream in self.upstreams:
                tasks.create_task(self._watch(upstream, stopping))

    async def _watch(self, upstream: Upstream, stopping: asyncio.Event) -> None:
        end = time.monotonic() + TRY_S
        pause = FIRST_PAUSE_S
        while not stopping.is_set():
            probe = await self._probe(upstream)
            if probe is None:
                seconds = pause if upstream.is_aside else PAUSE_S
                if not upstream.is_aside and time.monotonic() >= end:
                    return
            elif probe.has_returned:
                seconds = pause
            else:
                self._take_back(upstream)
                return
            if upstream.is_aside:
                pause = min(pause * 2, LAST_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds * random.uniform(0.9, 1.1)):
                    await stopping.wait()

    async def _probe(self, upstream: Upstream) -> Probe | None:
        """The probe, after its end; None if it neither had a reply nor came back."""
        zone = upstream.zone if Question.of(upstream.zone, 0) in Zones([self.zone]) else self.zone
        name = f"{secrets.randbits(BITS)}.{secrets.randbits(BITS)}.{zone.removeprefix('.')}"
        question = Question.of(name, HINFO)
        probe = self._probes[question.folded] = Probe(upstream, name)
        try:
            has_replied = await upstream.probe(question)
        finally:
            del self._probes[question.folded]
        return probe if has_replied or probe.has_returned else None

    def _returned(self, probe: Probe, query: Query) -> None:
        probe.has_returned = True
        upstream = probe.upstream
        if upstream.is_aside:
            return
        upstream.is_aside = True
        loops.add(upstream.address)
        host, port = query.peer
        log.error(
            'Loop (%s:%d -> :%d) detected for zone "%s": upstream %s sends queries back to this '
            'server. It gets none until that has ended; cluster names go on. Query: "HINFO %s"',
            *(bracketed(host), port, query.local[1]),
            *(self.zone, upstream.address, probe.name),
        )

    @staticmethod
    def _take_back(upstream: Upstream) -> None:
        if upstream.is_aside:
            upstream.is_aside = False
            log.warning("upstream %s does not loop any more, and is used again", upstream.address)
