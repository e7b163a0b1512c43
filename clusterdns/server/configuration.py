"""A Corefile as parts that serve: server blocks, what they listen on, and their pages."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from itertools import product

from clusterdns.corefile.keys import Key, Listening, conflicts, server_keys
from clusterdns.corefile.parser import Corefile, ServerBlock
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.base import (
    Cluster,
    Forget,
    HealthPage,
    MetricsPage,
    Plugin,
    PprofPage,
    ReadyPage,
    ReloadTimes,
    Setup,
    TcpTimes,
    TlsFiles,
)
from clusterdns.plugins.order import ORDER, build
from clusterdns.server.block import Block, Router
from clusterdns.server.certificates import Following
from clusterdns.server.tcp import TcpLimits

SERVED = ("dns", "tls")  # of the schemes that keys may have


@dataclass(frozen=True)
class Socket:
    """One address and port to listen on, and the blocks that answer there.

    address: "" for every address. place: of the key that asks for it first.
    limits: of TCP connections; where blocks with `timeouts` share it, the last word counts.
    tls: for DNS over TLS alone; None: DNS over UDP and TCP.
    """

    address: str
    port: int
    router: Router
    zones: tuple[str, ...]
    place: Place
    limits: TcpLimits
    tls: Following | None = None

    @property
    def where(self) -> Hashable:
        """Equal ones can be served by one listener."""
        return self.address, self.port, self.tls is not None


@dataclass
class Configuration:
    """All that a Corefile asks for."""

    blocks: list["Served"] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    plugins: list[Plugin] = field(default_factory=list)  # of every block
    health: list[HealthPage] = field(default_factory=list)
    ready: list[ReadyPage] = field(default_factory=list)
    metrics: list[MetricsPage] = field(default_factory=list)
    pprof: list[PprofPage] = field(default_factory=list)
    reload: list[ReloadTimes] = field(default_factory=list)  # the last word counts
    warnings: list[str] = field(default_factory=list)


@dataclass
class Served:
    """A server block, read."""

    block: ServerBlock
    keys: list[Key]
    addresses: list[str]
    plugins: list[Plugin]
    tcp_times: TcpTimes
    tls: TlsFiles | None
    filtered: bool  # a `view` decides which queries it takes

    def follow(self, before: Iterable["Served"], anew: bool) -> None:
        """Goes on with what blocks of the configuration before had: all of it if the block is the
        same, unless it is to be made anew; else what plugins know that are asked as before."""
        same = [one for one in before if str(one.block) == str(self.block)]
        if same and not anew:
            self.plugins = same[0].plugins
            return
        where = {str(key) for key in self.keys}
        for one in before:
            if {str(key) for key in one.keys} == where:
                self._adopt(one)

    def _adopt(self, before: "Served") -> None:
        for plugin in self.plugins:
            for old in before.plugins:
                is_asked_alike = _from(self.block, plugin.name) == _from(before.block, plugin.name)
                if old.name == plugin.name and is_asked_alike:
                    plugin.adopt(old)


def configure(
    corefile: Corefile,
    cluster: Cluster,
    default_port: int,
    errors: list[ConfigError] | None = None,
    forget: Forget = lambda keys: None,
    before: Configuration | None = None,
    anew: bool = False,
    offline: bool = False,
) -> Configuration:
    """The parts that a Corefile asks for; nothing is opened or started.

    cluster: the index kept up to date for a selection of the cluster's objects.
    default_port: of keys without one.
    errors: takes every fault; the result is then not to be used. Raises the first ConfigError of
        the file when it is None.
    forget: drops the finished answers that rest on one of these keys.
    before, anew: what runs, and see `Served.follow`.
    offline: names of upstreams are not looked up; the result is not to be used either.
    """
    faults: list[ConfigError] = []
    configuration = Configuration(warnings=list(corefile.warnings))
    served = [
        one
        for block in corefile.blocks
        if (one := _serve(block, configuration, cluster, forget, default_port, faults, offline))
    ]
    faults += conflicts(Listening(one.keys, one.addresses, one.filtered) for one in served)
    faults += _mixed(served)
    if before is not None and not faults:
        for one in served:
            one.follow(before.blocks, anew)
    sockets = [] if faults else _sockets(served, faults)
    if errors is not None:
        errors += faults
    elif faults:
        raise min(faults, key=lambda fault: (fault.place is None, fault.place or ()))
    configuration.plugins = [plugin for one in served for plugin in one.plugins]
    configuration.blocks, configuration.sockets = served, sockets
    return configuration


def _serve(
    block: ServerBlock,
    configuration: Configuration,
    cluster: Cluster,
    forget: Forget,
    default_port: int,
    faults: list[ConfigError],
    offline: bool,
) -> Served | None:
    """The parts of one block; with faults its keys and addresses alone, as others may want them.

    None where the faults leave it open which addresses it binds.
    """
    keys = server_keys(block.keys, default_port, faults)
    faults += [_not_served(key) for key in keys if key.transport not in SERVED]
    setup = Setup(
        zones=tuple(key.zone for key in keys),
        cluster=cluster,
        forget=forget,
        offline=offline,
        health=configuration.health,
        ready=configuration.ready,
        metrics=configuration.metrics,
        pprof=configuration.pprof,
        reload=configuration.reload,
        warnings=configuration.warnings,
    )
    try:
        plugins = build(block, setup)
    except ConfigError as fault:
        faults += setup.faults or [fault]
        plugins = []
    if not plugins and any(line.name.text == "bind" for line in block.directives):
        return None
    filtered = any(line.name.text == "view" for line in block.directives)
    return Served(block, keys, setup.bind, plugins, setup.tcp_times, setup.tls, filtered)


def _from(block: ServerBlock, name: str) -> list[str]:
    """The lines of a directive and of all that run behind it."""
    behind = ORDER[ORDER.index(name) :]
    return [str(each) for word in behind for each in block.directives if each.name.text == word]


def _not_served(key: Key) -> ConfigError:
    return ConfigError(
        f"{key.transport}:// is not served here; there are {', '.join(SERVED)}: "
        "have a proxy in front that speaks it",
        key.place,
    )


def _mixed(served: Iterable[Served]) -> list[ConfigError]:
    """A fault for each key whose port is another transport's already: only one could have it."""
    faults = []
    taken: dict[int, Key] = {}
    for key in [key for one in served for key in one.keys if key.port]:
        first = taken.setdefault(key.port, key)
        if first.transport != key.transport:
            faults.append(
                ConfigError(f"port {key.port} is that of {first} at {first.place}", key.place)
            )
    return faults


def _sockets(served: Iterable[Served], faults: list[ConfigError]) -> list[Socket]:
    """One for each address and port, in the file's order, with what is served there.

    faults: takes what is wrong with certificates.
    """
    found: dict[tuple[str, str, int], list[tuple[list[Key], Served]]] = {}
    for one in served:
        groups = dict.fromkeys((key.transport, key.port) for key in one.keys)
        for address, group in product(one.addresses or [""], groups):
            keys = [key for key in one.keys if (key.transport, key.port) == group]
            found.setdefault((group[0], address, group[1]), []).append((keys, one))
    sockets = []
    for (transport, address, port), blocks in found.items():
        try:
            context = _context(blocks) if transport == "tls" else None
            sockets.append(_socket(address, port, blocks, context))
        except ConfigError as fault:
            faults.append(fault)
    return sockets


def _context(blocks: list[tuple[list[Key], Served]]) -> Following:
    """By the `tls` of the blocks that share an address and port.

    Raises ConfigError for a block without one or with another one, and for unusable files.
    """
    from clusterdns.server.tls import tls_context

    (_, first), *_ = blocks
    for keys, one in blocks:
        if one.tls is None:
            raise ConfigError(f"{keys[0]} needs a `tls` with its certificate", keys[0].place)
        if first.tls is not None and replace(one.tls, place=first.tls.place) != first.tls:
            raise ConfigError(
                f"connections to port {keys[0].port} are served by another `tls`, "
                f"that at {first.tls.place}",
                one.tls.place,
            )
    assert first.tls is not None
    return tls_context(first.tls)


def _socket(
    address: str,
    port: int,
    blocks: list[tuple[list[Key], Served]],
    tls: Following | None,
) -> Socket:
    router = Router(
        Block([key.zone for key in keys], one.plugins, has_first=keys[0] is one.keys[0])
        for keys, one in blocks
    )
    zones = tuple(dict.fromkeys(key.zone for keys, _ in blocks for key in keys))
    limits = TcpLimits()
    for _, one in blocks:
        said = {name: value for name, value in vars(one.tcp_times).items() if value is not None}
        limits = replace(limits, **said)
    place = blocks[0][0][0].place
    return Socket(address, port, router, zones, place, limits, tls)
