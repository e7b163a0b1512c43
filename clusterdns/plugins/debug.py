"""`debug`: log lines of level DEBUG."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import no_arguments
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup

OURS = logging.getLogger("clusterdns")


class Debug(Plugin):
    """Lowers the level of our log lines as long as it serves; for every server block."""

    name = "debug"
    serving: ClassVar[int] = 0  # how many do
    before: ClassVar[int] = logging.INFO  # the level when none did

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Debug":
        for directive in directives:
            no_arguments(directive)
            if directive.block is not None:
                raise ConfigError("debug takes no block", directive.name.place)
        return cls()

    async def serve(self, stopping: asyncio.Event) -> None:
        with _debugging():
            await stopping.wait()


@contextmanager
def _debugging() -> Iterator[None]:
    """DEBUG while inside; the level before, once nobody is any more (one of several blocks,
    or of the configuration that a reload replaces)."""
    if not Debug.serving:
        Debug.before = OURS.level
    Debug.serving += 1
    OURS.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        Debug.serving -= 1
        if not Debug.serving:
            OURS.setLevel(Debug.before)
