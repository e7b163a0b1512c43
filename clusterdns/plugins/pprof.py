"""`pprof`: pages with what the interpreter knows of itself."""

from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, host_port, integer
from clusterdns.plugins.base import Plugin, PprofPage, Setup
from clusterdns.plugins.lines import once, read_options

HOST, PORT = "localhost", 6053


class Pprof(Plugin):
    """Only configures: the page is in setup.pprof."""

    name = "pprof"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Pprof":
        directive = once(directives)
        page = PprofPage(HOST, PORT, directive.name.place)

        def block(line: Directive) -> None:
            for word in arguments(line, 0, 1):
                integer(word)
            setup.warn(line.name.place, "block has no meaning here: no thread waits for another")

        read_options(directive, setup, {"block": block})
        for word in arguments(directive, 0, 1):
            host, port = host_port(word)
            page = PprofPage(host, port, word.place)
        if not any((each.host, each.port) == (page.host, page.port) for each in setup.pprof):
            setup.pprof.append(page)
        return cls()
