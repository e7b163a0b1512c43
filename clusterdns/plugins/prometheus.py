"""`prometheus`: where metrics are to be had, and that they tell of this server block's queries."""

from collections.abc import Sequence

from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, host_port, no_arguments, one_argument
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import MetricsPage, Plugin, Setup
from clusterdns.plugins.lines import once, read_options

HOST, PORT = "localhost", 9153  # CoreDNS's; stock Corefiles all say :9153


class Prometheus(Plugin):
    """Only configures: the page is in setup.metrics, and the server counts as `counted` says."""

    name = "prometheus"
    counted = True

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Prometheus":
        directive = once(directives)
        page = MetricsPage(HOST, PORT, place=directive.name.place)
        _read(directive, page, setup)
        for same in setup.metrics:
            if (same.host, same.port) == (page.host, page.port):
                _share(same, page, setup)
                break
        else:
            setup.metrics.append(page)
        return cls()


def _read(directive: Directive, page: MetricsPage, setup: Setup) -> None:
    def runtime_metrics(line: Directive) -> None:
        no_arguments(line)
        page.runtime = True

    def tls(line: Directive) -> None:
        if page.tls is not None:
            raise ConfigError(f"tls stands at {page.tls.place} already", line.name.place)
        page.tls = one_argument(line)

    read_options(directive, setup, {"runtime_metrics": runtime_metrics, "tls": tls})
    for word in arguments(directive, 0, 1):
        page.host, page.port = host_port(word)
        page.place = word.place


def _share(same: MetricsPage, page: MetricsPage, setup: Setup) -> None:
    """Two blocks, one page: the first says how it is served, as in CoreDNS."""
    same.runtime |= page.runtime
    if page.tls is not None and (same.tls is None or same.tls.text != page.tls.text):
        other = "without tls" if same.tls is None else f"with tls {same.tls.text}"
        setup.warn(
            page.tls.place, f"ignored: the page is served {other}, as asked for at {same.place}"
        )
