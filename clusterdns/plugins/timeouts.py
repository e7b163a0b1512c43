"""`timeouts`: how long a client may take on a TCP connection, and how much it may ask there."""

from collections.abc import Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import duration, integer, no_arguments, one_argument
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import read_options

LEAST_S, MOST_S = 1.0, 86_400.0  # CoreDNS's bounds: a second, a day
UNLIMITED = -1


class Timeouts(Plugin):
    """Only configures: what it says is in setup.tcp_times."""

    name = "timeouts"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Timeouts":
        """Of several the last word on each counts."""
        times = setup.tcp_times

        def read(line: Directive) -> None:
            times.read_s = _seconds(one_argument(line))

        def write(line: Directive) -> None:
            times.write_s = _seconds(one_argument(line))

        def idle(line: Directive) -> None:
            times.idle_s = _seconds(one_argument(line))

        def queries(line: Directive) -> None:
            times.queries = _count(one_argument(line))

        known = {"read": read, "write": write, "idle": idle, "maxtcpqueries": queries}
        for directive in directives:
            with setup.attempt():
                no_arguments(directive)
                read_options(directive, setup, known)
                if not directive.block:
                    raise ConfigError("timeouts has no lines", directive.name.place)
        return cls()


def _seconds(word: Token) -> float:
    """A duration; a number alone is seconds."""
    if word.text.removeprefix("-").removeprefix("+").isdecimal():
        word = word._replace(text=f"{word.text}s")
    return duration(word, LEAST_S, MOST_S)


def _count(word: Token) -> int:
    count = integer(word, low=UNLIMITED)
    if not count:
        raise ConfigError(f"write {UNLIMITED} for any number of queries", word.place)
    return count
