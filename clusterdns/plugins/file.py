"""`file`: zones from zone files (RFC 1035 section 5)."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration, no_arguments, zone_names
from clusterdns.errors import ConfigError
from clusterdns.logs import plugin_logger
from clusterdns.plugins.base import Changed, Forget, Plugin, Setup, ZoneCopy
from clusterdns.plugins.lines import first_argument, read_options
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zonefiles import ZoneFile, answer, outside, waited, zone_copy
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import IN
from clusterdns.wire.question import Question

RELOAD_S = 60.0

log = plugin_logger("file")


class File(Plugin):
    """Zones, each from a file; one file may be that of several."""

    name = "file"

    def __init__(
        self,
        files: dict[ZoneFile, float],
        fallthrough: Sequence[str],
        forget: Forget,
        changed: Changed,
    ) -> None:
        """files: with the seconds between two looks at each; 0: it is read once.

        fallthrough: zones whose missing names the next plugin is asked for.
        """
        self._files = files
        self._of = {file.origin: file for file in reversed(files)}
        self._zones = Zones(self._of)
        self._fallthrough = Zones(fallthrough)
        self._forget = forget
        self._changed = changed

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "File":
        """Of several `fallthrough` the last counts for all, as in CoreDNS."""
        files: dict[ZoneFile, float] = {}
        fallthrough: tuple[str, ...] = ()

        def passing(line: Directive) -> None:
            nonlocal fallthrough
            fallthrough = zone_names(line.arguments, (".",), setup.warnings)

        for directive in directives:
            found = _Options(directive, setup, passing)
            files |= dict.fromkeys(found.files(), found.reload_s)
        return cls(files, fallthrough, setup.forget, setup.changed)

    def passage(self, server: str, view: str) -> Passage:
        return Passage(dict.fromkeys(self._zones.names))

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        zone = self._zones.match(question)
        if zone is None or question.qclass != IN:
            return await outside(self, query, next)
        return await answer(self._of[zone], query, next, question in self._fallthrough)

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        zone = self._zones.exact(question)
        return None if zone is None else zone_copy(self._of[zone])

    async def serve(self, stopping: asyncio.Event) -> None:
        """Reads each file again when it has changed, until `stopping` is set."""
        for zone, file in self._of.items():
            if file.authority is not None:
                self._changed(zone)
        async with asyncio.TaskGroup() as tasks:
            for file, reload_s in self._files.items():
                tasks.create_task(self._follow(file, reload_s, stopping))

    async def _follow(self, file: ZoneFile, reload_s: float, stopping: asyncio.Event) -> None:
        while await waited(stopping, reload_s):
            if await asyncio.to_thread(file.load):
                self._forget({file.key})
                self._changed(file.origin)


class _Options:
    """What one `file` asks for."""

    def __init__(
        self, directive: Directive, setup: Setup, passing: Callable[[Directive], None]
    ) -> None:
        """passing: takes `fallthrough`, which is for all of them."""
        self._word, *zones = arguments(directive, least=1)
        self._path = Path(setup.root, self._word.text)
        self._zones = zone_names(zones, setup.zones, setup.warnings)
        self._setup = setup
        self.reload_s = RELOAD_S
        self._by_mtime = False
        known = {
            "fallthrough": passing,
            "reload": self._reload,
            "reload_by_mtime": self._reload_by_mtime,
            "upstream": self._upstream,
        }
        read_options(directive, setup, known)

    def files(self) -> list[ZoneFile]:
        """The zones, read if they can be. Raises ConfigError if there is no second try."""
        files = [ZoneFile(self._path, zone, log, self._by_mtime) for zone in self._zones]
        for file in files:
            if not file.load() and not self.reload_s:
                raise ConfigError(f"zone {file.origin}: {file.fault}", self._word.place)
        return files

    def _reload(self, line: Directive) -> None:
        self.reload_s = duration(first_argument(line, self._setup), least=0)

    def _reload_by_mtime(self, line: Directive) -> None:
        no_arguments(line)
        self._by_mtime = True

    def _upstream(self, line: Directive) -> None:
        self._setup.warn(line.name.place, "upstream has no effect: this server is asked")
