"""`auto`: every zone file in a folder, as files come and go."""

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import zone_name
from clusterdns.corefile.patterns import Match, Pattern, pattern
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration, zone_names
from clusterdns.errors import ConfigError, Place
from clusterdns.logs import plugin_logger
from clusterdns.plugins.base import Changed, Forget, Plugin, Setup, ZoneCopy
from clusterdns.plugins.lines import first_argument, once, read_options
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zonefiles import ZoneFile, answer, outside, waited, zone_copy
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import IN
from clusterdns.wire.question import Question

RELOAD_S = 60.0
FILES = r"db\.(.*)"  # CoreDNS's pattern; its group is the zone
TEMPLATE = "{1}"
_GROUP = re.compile(r"\$?\{(\w+)\}|\$(\w+)|\$(\$)(?!\{)")

log = plugin_logger("auto")


class Options:
    """What an `auto` asks for.

    directory: None: nothing is served.
    template: the zone of a file, with {1} or {NAME} for the groups of `files`.
    """

    def __init__(self, directive: Directive, setup: Setup) -> None:
        """Raises ConfigError; faults in the block are kept in setup.faults."""
        self._setup = setup
        self.origins = zone_names(directive.arguments, setup.zones, setup.warnings)
        self.directory: Path | None = None
        self.files = pattern(Token(FILES, directive.name.place))
        self.template = TEMPLATE
        self.reload_s = RELOAD_S
        known = {"directory": self._directory, "reload": self._reload, "upstream": self._upstream}
        read_options(directive, setup, known)
        if not any(line.name.text == "directory" for line in directive.block or ()):
            self.directory = self._where_we_run(directive.name.place)

    def _where_we_run(self, place: Place) -> Path | None:
        """The folder that CoreDNS takes if none is given, but for that of all files there are: in a
        container it would be gone through each time, /proc and all."""
        here = Path.cwd()
        if here == Path(here.anchor):
            self._setup.warn(place, "auto has no directory, and serves nothing")
            return None
        self._setup.warn(place, f"auto has no directory: it is {here}, in which this server runs")
        return here

    def _directory(self, line: Directive) -> None:
        word, *rest = arguments(line, 1, 3)
        self.directory = Path(self._setup.root, word.text)
        if not self.directory.is_dir():
            log.warning("Directory does not exist: %s", self.directory)
        if not rest:
            return
        self.files = pattern(rest[0])
        if not self.files.groups:
            raise ConfigError(f"{rest[0].text!r} has no (group) for the zone", rest[0].place)
        if len(rest) < 2:
            raise ConfigError("behind the pattern stands the zone, as in {1}", rest[0].place)
        self.template = rest[1].text

    def _reload(self, line: Directive) -> None:
        self.reload_s = duration(first_argument(line, self._setup), least=0)

    def _upstream(self, line: Directive) -> None:
        self._setup.warn(line.name.place, "upstream has no effect: this server is asked")


class Auto(Plugin):
    """The zones of a folder."""

    name = "auto"

    def __init__(self, options: Options, forget: Forget, changed: Changed) -> None:
        self._options = options
        self._forget = forget
        self._changed = changed
        self._origins = Zones(options.origins)
        self._key = ("zone files", str(options.directory))  # which zones there are
        self._files: dict[str, ZoneFile] = {}  # by zone; those that could not be read yet too
        self._told: set[str] = set()  # warnings that are in the log
        self._served: tuple[Zones, dict[str, ZoneFile]] = Zones(()), {}

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Auto":
        plugin = cls(Options(once(directives), setup), setup.forget, setup.changed)
        if not setup.faults:  # else it will not be used, and folders may be large
            plugin.scan()
        return plugin

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        if question not in self._origins or question.qclass != IN:
            return await next(query)
        zones, files = self._served  # both at once: a thread may put others there
        zone = zones.match(question)
        if zone is None:
            reply = await outside(self, query, next)
            return reply.rests_on({self._key}) if reply else None
        found = await answer(files[zone], query, next, passes=False)
        return found.rests_on({self._key}) if found else None

    def counted_as(self, question: Question) -> str | None:
        """CoreDNS has its zones among the server block's in metrics."""
        return self._served[0].match(question)

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        zones, files = self._served
        zone = zones.exact(question)
        return None if zone is None else zone_copy(files[zone])

    async def serve(self, stopping: asyncio.Event) -> None:
        """Looks for files that came, changed and went, until `stopping` is set."""
        for zone in self._served[1]:
            self._changed(zone)
        while await waited(stopping, self._options.reload_s):
            changed = await asyncio.to_thread(self.scan)
            if not changed:
                continue
            self._forget(changed)
            for zone, file in self._served[1].items():
                if file.key in changed:
                    self._changed(zone)

    def scan(self) -> set[tuple[str, str]]:
        """Reads what is new in the folder; gives the keys of what is not as it was."""
        known, found = self._files, dict(self._found())
        files = {
            zone: known[zone]
            if zone in known and known[zone].path == path
            else ZoneFile(path, zone, log)
            for zone, path in found.items()
        }
        changed = {file.key for file in files.values() if file.load()}
        served = {zone: file for zone, file in files.items() if file.authority}
        _, before = self._served
        for zone in before.keys() - served.keys():
            log.info("zone %s is gone", zone)
        if served != before:
            changed.add(self._key)
        self._files = files
        self._served = Zones(served), served
        return changed

    def _found(self) -> Iterator[tuple[str, Path]]:
        """The zones that files in the folder are of, each once."""
        seen: dict[str, Path] = {}
        for path in _files(self._options.directory):
            match = self._options.files.search(path.name)
            if match is None or not path.is_file():
                continue
            text = _expanded(self._options.template, match, self._options.files)
            try:
                zone = zone_name(text)
            except ValueError as error:
                self._warn(f"{path}: {text!r} is no zone: {error}")
                continue
            if zone in seen:
                self._warn(f"{path} is of {zone} too, which {seen[zone]} has already")
                continue
            seen[zone] = path
            yield zone, path

    def _warn(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning("%s; it is left out", text)


def _files(directory: Path | None) -> Iterator[Path]:
    """Every file below the folder, by name, as if folders were files; links to folders are none.

    Folders like ..data are left out: a ConfigMap keeps there what links above show.
    """
    if directory is None:
        return
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if not entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
            elif not entry.name.startswith(".."):
                yield from _files(Path(entry.path))


def _expanded(template: str, match: Match, files: Pattern) -> str:
    """The template with groups put in; one that is none, or had no part, is nothing. $$ is $."""

    def group(found: re.Match[str]) -> str:
        if found[3]:
            return "$"
        word = found[1] or found[2]
        number = int(word) if word.isdecimal() else files.groupindex.get(word, -1)
        return (match.group(number) or "") if 0 <= number <= files.groups else ""

    return _GROUP.sub(group, template)
