"""`errors`: logs the queries that a plugin behind it could not answer; many alike as one line."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from clusterdns.corefile.patterns import Pattern, pattern
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration, no_arguments
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.logs import duration_text
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import choice, once, read_options
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.texts import type_text

LEVELS = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
SHOW_FIRST = "show_first"

log = logging.getLogger(__name__)


@dataclass
class Consolidation:
    """Errors of one kind, told together: `consolidate DURATION REGEX [LEVEL] [show_first]`."""

    period_s: float
    pattern: Pattern
    level: int = logging.ERROR
    show_first: bool = False
    count: int = 0  # in the period that runs now
    timer: asyncio.TimerHandle | None = None  # None: no period runs

    def takes(self, text: str) -> bool:
        """Whether this error is one of the kind."""
        return self.pattern.search(text) is not None

    def add(self) -> bool:
        """Counts an error, and begins a period with the first. Gives whether to tell it now."""
        self.count += 1
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(self.period_s, self.tell)
        return self.show_first and self.count == 1

    def tell(self) -> None:
        """Ends the period and logs how many there were, but not the one that was told already."""
        if self.timer is None:
            return
        self.timer.cancel()
        count, self.count, self.timer = self.count, 0, None
        if count > 1 or not self.show_first:
            period = duration_text(self.period_s)
            log.log(
                self.level,
                "%d errors like '%s' occurred in last %s",
                count,
                self.pattern.pattern,
                period,
            )


@dataclass
class Errors(Plugin):
    """Logs `RCODE NAME TYPE: TEXT` for each ResolveError that passes, the rcode as a number.

    NXDOMAIN, REFUSED and the like are answers, not errors.
    """

    consolidations: list[Consolidation] = field(default_factory=list)

    name = "errors"
    passes_notify = True

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Errors":
        directive = once(directives)
        plugin = cls()

        def consolidate(line: Directive) -> None:
            plugin.consolidations.append(_consolidation(line))

        # Tracebacks of unexpected exceptions are logged with and without `stacktrace`.
        read_options(directive, setup, {"stacktrace": no_arguments, "consolidate": consolidate})
        for word in arguments(directive, 0, 1):
            if word.text != "stdout":
                raise ConfigError(
                    f"invalid log file {word.text!r}: errors go to stdout only", word.place
                )
        return plugin

    def passage(self, server: str, view: str) -> Passage:
        return Passage()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        try:
            return await next(query)
        except ResolveError as error:
            self._tell(query, error)
            raise

    async def serve(self, stopping: asyncio.Event) -> None:
        """Tells at the end what was counted and not told yet."""
        try:
            await stopping.wait()
        finally:
            for consolidation in self.consolidations:
                consolidation.tell()

    def _tell(self, query: Query, error: ResolveError) -> None:
        text = str(error)
        level = logging.ERROR
        for consolidation in self.consolidations:
            if consolidation.takes(text):
                if not consolidation.add():
                    return
                level = consolidation.level
                break
        question = query.question
        log.log(level, "%d %s %s: %s", error.told, question.text, type_text(question.qtype), text)


def _consolidation(line: Directive) -> Consolidation:
    period, regex, *rest = arguments(line, 2, 4)
    consolidation = Consolidation(duration(period), pattern(regex))
    levels = [word for word in rest if word.text != SHOW_FIRST]
    for word in rest:
        if word.text == SHOW_FIRST:
            consolidation.show_first = True
        elif word is not levels[0]:
            raise ConfigError("consolidate takes one log level only", word.place)
        elif consolidation.show_first:
            raise ConfigError(f"the log level must stand before {SHOW_FIRST}", word.place)
        else:
            consolidation.level = LEVELS[choice(word, (*LEVELS, SHOW_FIRST))]
    return consolidation
