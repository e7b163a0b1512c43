"""The options of `hosts`, and its lines among them."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import (
    duration,
    integer,
    no_arguments,
    one_argument,
    refuse_brace,
    zone_names,
)
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.hosts.table import Line, Table, read
from clusterdns.plugins.lines import first_argument, nearest
from clusterdns.plugins.zones import Zones

PATH = "/etc/hosts"
TTL = 3600  # seconds
MOST_TTL = 65535  # seconds, CoreDNS's bound
RELOAD_S = 5.0

log = logging.getLogger(__name__)


class Options:
    """What a `hosts` directive asks for.

    fallthrough: zones whose missing names the next plugin is asked for; () for none.
    fallthrough_unsupported: types other than A, AAAA and PTR are passed on there too.
    reverse: whether addresses have PTR records.
    reload_s: between two looks at the file; 0: never again.
    """

    def __init__(self, directive: Directive, setup: Setup) -> None:
        """Raises ConfigError; faults in the block are kept in setup.faults."""
        self._setup = setup
        self._lines: list[Directive] = []  # entries
        self.path = Path(PATH)
        self.ttl = TTL
        self.reload_s = RELOAD_S
        self.reverse = True
        self.fallthrough: tuple[str, ...] = ()
        self.fallthrough_unsupported = False
        refuse_brace(directive.arguments)
        if directive.arguments:
            self.path = _path(directive.arguments[0], setup)
        self.zones = zone_names(directive.arguments[1:], setup.zones, setup.warnings)
        for line in directive.block or ():
            with setup.attempt():
                self._read(line)
        if self.fallthrough_unsupported and not self.fallthrough:
            raise ConfigError("fallthrough_unsupported needs fallthrough", directive.name.place)

    def inline(self) -> Table:
        """What the entries among the options say; those that say nothing are warned of."""

        def complain(number: int, text: str) -> None:
            word = self._lines[number].name
            hint = nearest(word.text, OPTIONS).replace("there are", "of options there are")
            self._setup.warn(word.place, f"{text}, so that is left out; {hint}")

        lines = [Line(number, _words(line)) for number, line in enumerate(self._lines)]
        return read(lines, Zones(self.zones), self.reverse, complain)

    def _read(self, line: Directive) -> None:
        word = line.name
        if line.block is not None:
            raise ConfigError(f"{word.text} takes no block", word.place)
        if word.text in OPTIONS:
            OPTIONS[word.text](self, line)
        elif self.fallthrough:
            raise ConfigError(
                f"unknown property {word.text!r} of hosts; {nearest(word.text, OPTIONS)}, "
                "and entries stand before fallthrough",
                word.place,
            )
        else:
            refuse_brace(line.arguments)
            self._lines.append(line)

    def _fallthrough(self, line: Directive) -> None:
        self.fallthrough = zone_names(line.arguments, (".",), self._setup.warnings)

    def _fallthrough_unsupported(self, line: Directive) -> None:
        no_arguments(line)
        self.fallthrough_unsupported = True

    def _no_reverse(self, line: Directive) -> None:
        if line.arguments:
            self._setup.warn(line.arguments[0].place, "what is behind no_reverse is ignored")
        self.reverse = False

    def _reload(self, line: Directive) -> None:
        self.reload_s = duration(one_argument(line), least=0)

    def _ttl(self, line: Directive) -> None:
        self.ttl = integer(first_argument(line, self._setup), 1, MOST_TTL)


OPTIONS: dict[str, Callable[[Options, Directive], None]] = {
    "fallthrough": Options._fallthrough,
    "fallthrough_unsupported": Options._fallthrough_unsupported,
    "no_reverse": Options._no_reverse,
    "reload": Options._reload,
    "ttl": Options._ttl,
}


def _path(word: Token, setup: Setup) -> Path:
    """The path below the root. Raises ConfigError for one that nobody can look at."""
    path = Path(setup.root, word.text)
    try:
        if path.is_dir():
            log.warning("%s: hosts file %s is a directory", word.place, path)
        os.stat(path)
    except FileNotFoundError:
        log.warning("File does not exist: %s", path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"cannot look at hosts file {path}: {reason}", word.place) from error
    return path


def _words(line: Directive) -> list[str]:
    """What stands on the line, as a hosts file has it: without a comment that quotes hid."""
    words = [line.name.text, *(word.text for word in line.arguments)]
    return " ".join(words).partition("#")[0].split()
