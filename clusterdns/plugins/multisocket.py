"""`multisocket`: how many sockets share an address and port."""

import os
from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, integer
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup

MOST = 1024  # CoreDNS's bound


class Multisocket(Plugin):
    """Only configures. This version serves with one socket, so the number is read and left."""

    name = "multisocket"

    def __init__(self, sockets: int) -> None:
        self.sockets = sockets

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Multisocket":
        directive, *others = directives
        if others:
            raise ConfigError(
                f"multisocket stands at {directive.name.place} already", others[0].name.place
            )
        words = arguments(directive, 0, 1)
        if directive.block is not None:
            raise ConfigError("multisocket takes no block", directive.name.place)
        return cls(integer(words[0], 1, MOST) if words else os.cpu_count() or 1)
