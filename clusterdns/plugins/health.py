"""`health`: the page that says the process runs, and how long it answers while it leaves."""

from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration, host_port, one_argument
from clusterdns.plugins.base import HealthPage, Plugin, Setup
from clusterdns.plugins.lines import read_options

PORT = 8080


class Health(Plugin):
    """Only configures: the page is in setup.health."""

    name = "health"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Health":
        """One page a server block, even where several lines ask: the last address and lameduck."""
        page = HealthPage("", PORT, place=directives[0].name.place)
        for directive in directives:
            with setup.attempt():
                _read(directive, page, setup)
        same = [each for each in setup.health if (each.host, each.port) == (page.host, page.port)]
        if same:  # two blocks, one page
            same[0].lameduck = max(same[0].lameduck, page.lameduck)
        else:
            setup.health.append(page)
        return cls()


def _read(directive: Directive, page: HealthPage, setup: Setup) -> None:
    def lameduck(line: Directive) -> None:
        page.lameduck = max(0.0, duration(one_argument(line)))

    read_options(directive, setup, {"lameduck": lameduck})
    for word in arguments(directive, 0, 1):
        page.host, page.port = host_port(word)
        page.place = word.place
