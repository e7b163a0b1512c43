"""`shed`: the number of queries under way over UDP is bounded; here it always is."""

from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import no_arguments
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import once


class Shed(Plugin):
    """Checked as in CoreDNS; `server.udp` drops what is too much, with and without it."""

    name = "shed"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Shed":
        directive = once(directives)
        no_arguments(directive)
        if directive.block is not None:
            raise ConfigError("shed takes no block", directive.name.place)

        def check() -> None:
            if setup.tls is not None:
                raise ConfigError("shed is for plain DNS alone", directive.name.place)

        setup.at_end.append(check)
        return cls()
