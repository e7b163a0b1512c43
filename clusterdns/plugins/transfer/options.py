"""The lines of `transfer`."""

from clusterdns.corefile.names import AddressPort, parse_address
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import (
    address,
    address_port,
    arguments,
    one_argument,
    zone_names,
)
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.lines import read_options

EVERYBODY = "*"
PORT = 53


class Stanza:
    """One `transfer`.

    targets: secondary servers with an address: they may have the zones, and are told of changes.
    source: the address that they are told from; None: any.
    """

    def __init__(self, directive: Directive, setup: Setup) -> None:
        """Raises ConfigError; faults in the block are kept in setup.faults."""
        self.zones = zone_names(directive.arguments, setup.zones, setup.warnings)
        self.targets: list[AddressPort] = []
        self.source: str | None = None
        self._everybody = False
        faults = len(setup.faults)
        read_options(directive, setup, {"to": self._to, "source": self._source})
        if not (self.targets or self._everybody) and len(setup.faults) == faults:
            raise ConfigError(
                "transfer needs `to` with those who may have it", directive.name.place
            )
        self._clients = {target.address for target in self.targets}

    def allows(self, client: str) -> bool:
        """Whether this address, without scope, may have the zones."""
        return self._everybody or parse_address(client) in self._clients

    def _to(self, line: Directive) -> None:
        for word in arguments(line, least=1):
            if word.text == EVERYBODY:
                self._everybody = True
            else:
                self.targets.append(address_port(word, PORT))

    def _source(self, line: Directive) -> None:
        word = one_argument(line)
        if self.source is not None:
            raise ConfigError(f"there is a source already, {self.source}", word.place)
        self.source = str(address(word))
