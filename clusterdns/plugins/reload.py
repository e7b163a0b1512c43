"""`reload`: how often the Corefile is looked at, and used if it is another one."""

from collections.abc import Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, ReloadTimes, Setup

INTERVAL_S, JITTER_S = 30.0, 15.0  # CoreDNS's, as the least of both below
LEAST_INTERVAL_S, LEAST_JITTER_S = 2.0, 1.0


class Reload(Plugin):
    """Only configures, for the whole process: of several server blocks the last one counts."""

    name = "reload"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Reload":
        directive, *others = directives
        words = arguments(directive, 0, 2)
        interval = duration(words[0], LEAST_INTERVAL_S) if words else INTERVAL_S
        jitter = _jitter(words[1]) if len(words) > 1 else JITTER_S
        setup.reload.append(ReloadTimes(interval, min(jitter, interval / 2)))
        for line in directive.block or ():
            setup.warn(line.name.place, "reload takes no block; it is ignored")
        for other in others:
            setup.warn(other.name.place, "a second reload in a server block is ignored")
        return cls()


def _jitter(word: Token) -> float:
    jitter = duration(word)
    if jitter and jitter < LEAST_JITTER_S:
        raise ConfigError(f"{word.text} is no jitter, which is 0 or 1s and up", word.place)
    return jitter
