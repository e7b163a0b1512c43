"""The options of `k8s_external`, by CoreDNS's rules."""

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import integer, zone_names
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.lines import first_argument, read_options
from clusterdns.wire.question import Question
from clusterdns.zone.external import ExternalOptions
from clusterdns.zone.records import domain_name

MOST_TTL = 3600  # seconds, CoreDNS's bound


class Options:
    """The directive's lines, read; what is wrong with them is left in setup.faults."""

    def __init__(self, directive: Directive, setup: Setup) -> None:
        self.fallthrough: tuple[str, ...] = ()
        self._setup = setup
        self._zones = zone_names(directive.arguments, setup.zones, setup.warnings)
        self._ttl = 5
        self._apex = "dns"
        self._headless = False
        lines = {
            "apex": self._read_apex,
            "fallthrough": self._read_fallthrough,
            "headless": self._read_headless,
            "ttl": self._read_ttl,
        }
        read_options(directive, setup, lines)

    def zone_options(self) -> ExternalOptions:
        zones = tuple(Question.of(zone, 0).label for zone in self._zones)
        return ExternalOptions(zones, self._ttl, self._apex, self._headless)

    def _read_apex(self, line: Directive) -> None:
        word = first_argument(line, self._setup)
        if domain_name(word.text) is None:
            raise ConfigError(f"{word.text!r} is no label of a domain name", word.place)
        self._apex = word.text.removesuffix(".")

    def _read_fallthrough(self, line: Directive) -> None:
        self.fallthrough = zone_names(line.arguments, (".",), self._setup.warnings)

    def _read_headless(self, line: Directive) -> None:
        self._headless = True
        if line.arguments:
            self._setup.warn(line.arguments[0].place, "what is behind headless is ignored")

    def _read_ttl(self, line: Directive) -> None:
        self._ttl = integer(first_argument(line, self._setup), 0, MOST_TTL)
