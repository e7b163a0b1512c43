"""The lines of `secondary`."""

from collections.abc import Callable

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import address_port, arguments, zone_names
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.lines import choice, read_options
from clusterdns.plugins.secondary.primaries import Primary

PORT = 53
EVERYBODY = "*"


class Options:
    """What one `secondary` asks for.

    primaries: where the zones are fetched, in the order in which they are tried.
    members: the zones that catalogs may add to, any if there are none; None: they are no catalogs.
    """

    def __init__(
        self, directive: Directive, setup: Setup, passing: Callable[[Directive], None]
    ) -> None:
        """passing: takes `fallthrough`, which is for all of them.

        Raises ConfigError; faults in the block are kept in setup.faults.
        """
        self.zones = zone_names(directive.arguments, setup.zones, setup.warnings)
        self.primaries: list[Primary] = []
        self.members: tuple[str, ...] | None = None
        known = {"catalog": self._catalog, "fallthrough": passing, "transfer": self._transfer}
        faults = len(setup.faults)
        read_options(directive, setup, known)
        if not self.primaries and len(setup.faults) == faults:
            raise ConfigError(
                "secondary needs `transfer from` with who has the zones", directive.name.place
            )

    def _transfer(self, line: Directive) -> None:
        word, *servers = arguments(line, least=2)
        choice(word, ["from"])
        for server in servers:
            if server.text == EVERYBODY:
                raise ConfigError("a zone comes from an address, not from *", server.place)
            self.primaries.append(Primary(*address_port(server, PORT)))

    def _catalog(self, line: Directive) -> None:
        """Several lines add up; one without zones is for all."""
        found = zone_names(line.arguments)
        every = self.members == () or not found
        self.members = () if every else (*(self.members or ()), *found)
