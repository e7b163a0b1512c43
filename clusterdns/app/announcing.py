"""What is printed at the start: what is served, and what to try."""

from collections.abc import Iterator, Sequence

from clusterdns.plugins.kubernetes import Kubernetes
from clusterdns.server.configuration import Configuration
from clusterdns.server.listener import Listener
from clusterdns.tools.suggest import suggestions

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to ask a wildcard


def served(
    configuration: Configuration, listeners: Sequence[Listener], banner: str
) -> Iterator[str]:
    """Zones and their ports, who serves them, and its pages."""
    for listener, sock in zip(listeners, configuration.sockets, strict=True):
        for zone in sock.zones:
            where = f"{'tls://' if listener.tls else ''}{zone}:{listener.port}"
            yield where + (f" on {sock.address}" if sock.address else "")
    yield banner
    told = [f"health on {page.host}:{page.port}" for page in configuration.health]
    told += [f"readiness on {page.host}:{page.port}" for page in configuration.ready]
    if told:
        yield ", ".join(told)


def hints(configuration: Configuration, listeners: Sequence[Listener]) -> Iterator[str]:
    """`dig` lines that this server answers with something to see."""
    plain = [listener for listener in listeners if not listener.tls]
    if not plain:
        return
    address, port = plain[0].addresses[0]
    at = f"@{LOOPBACK.get(address, address)} -p {port}"
    for plugin in configuration.plugins:
        if isinstance(plugin, Kubernetes):
            for question in suggestions(plugin.index, plugin.zone_options):
                yield f"  dig {at} {question}"
            return
