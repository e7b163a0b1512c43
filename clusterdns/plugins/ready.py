"""`ready`: the page that says whether traffic may come."""

from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, host_port, one_argument
from clusterdns.plugins.base import Plugin, ReadyPage, Setup
from clusterdns.plugins.lines import choice, once, read_options

PORT = 8181
MONITORS = {"until-ready": False, "continuously": True}


class Ready(Plugin):
    """Only configures: the page is in setup.ready."""

    name = "ready"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Ready":
        directive = once(directives)
        page = ReadyPage("", PORT, place=directive.name.place)

        def monitor(line: Directive) -> None:
            page.continuous = MONITORS[choice(one_argument(line), MONITORS)]

        read_options(directive, setup, {"monitor": monitor})
        for word in arguments(directive, 0, 1):
            page.host, page.port = host_port(word)
            page.place = word.place
        same = [each for each in setup.ready if (each.host, each.port) == (page.host, page.port)]
        if same:  # two blocks, one page; the last word counts
            same[0].continuous = page.continuous
        else:
            setup.ready.append(page)
        return cls()
