"""The options of `kubernetes`, by CoreDNS's rules."""

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast, get_args

import ifaddr

from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.model import Address
from clusterdns.cluster.selection import Selection, parse_selector
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import (
    arguments,
    decimal,
    duration,
    integer,
    no_arguments,
    one_argument,
    zone_names,
)
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.base import Setup
from clusterdns.plugins.lines import choice, read_options
from clusterdns.wire.question import Question
from clusterdns.zone.view import ZoneOptions

STARTUP_TIMEOUT = 5.0  # seconds, CoreDNS's
MOST_TTL = 3600  # seconds, CoreDNS's bound
Pods = Literal["disabled", "insecure", "verified"]


class Options:
    """The directive's lines, read; what is wrong with them is left in setup.faults."""

    fallthrough: tuple[str, ...]
    api: ApiOptions
    startup_timeout: float  # seconds

    def __init__(self, directive: Directive, setup: Setup) -> None:
        self.fallthrough: tuple[str, ...] = ()
        self.api = ApiOptions()
        self.startup_timeout = STARTUP_TIMEOUT
        self._setup = setup
        self._zones = zone_names(directive.arguments, setup.zones, setup.warnings)
        self._at: dict[str, Place] = {}  # where each option stands that was read, the last time
        self._ttl = 5
        self._pods: Pods = "disabled"
        self._namespaces: set[str] = set()
        self._selectors: dict[str, str] = {}
        self._ignore_empty = False
        self._multicluster_zones: tuple[str, ...] = ()
        with setup.attempt():
            self._check_zones((directive.arguments or (directive.name,))[0].place)
        read_options(directive, setup, dict.fromkeys(LINES, self._read))
        with setup.attempt():
            self._check_together()

    def zone_options(self) -> ZoneOptions:
        return ZoneOptions(
            zones=tuple(Question.of(zone, 0).label for zone in self._zones),
            ttl=self._ttl,
            pods=self._pods,
            namespaces=frozenset(self._namespaces) or None,
            ignore_empty=self._ignore_empty,
            noendpoints="noendpoints" in self._at,
            endpoint_pod_names="endpoint_pod_names" in self._at,
            zonal="zonal" in self._at,
            multicluster=tuple(Question.of(zone, 0).label for zone in self._multicluster_zones),
            local_addresses=() if self._setup.bind else _local_addresses(),
        )

    def selection(self) -> Selection:
        return Selection(
            labels=self._selectors.get("labels", ""),
            namespace_labels=self._selectors.get("namespace_labels", ""),
            endpoints="noendpoints" not in self._at,
            pods=self._pods == "verified",
            pod_labels=self._pods == "verified" and self._setup.collects,
            pod_names="endpoint_pod_names" in self._at,
            topology_zones="zonal" in self._at,
            multicluster=bool(self._multicluster_zones),
        )

    def _read(self, line: Directive) -> None:
        LINES[line.name.text](self, line)
        self._at[line.name.text] = line.name.place

    def _check_zones(self, place: Place) -> None:
        """One zone must be a forward one. in-addr.arpa and ip6.arpa themselves pass for that."""
        if all(zone.endswith((".in-addr.arpa.", ".ip6.arpa.")) for zone in self._zones):
            raise ConfigError("one zone must be no reverse zone: PTR records lead into it", place)
        if set(self._zones) <= {"in-addr.arpa.", "ip6.arpa."}:
            self._setup.warn(place, f"PTR records lead into {self._zones[0]}, for want of another")

    def _check_together(self) -> None:
        if self._namespaces and "namespace_labels" in self._at:
            place = max(self._at["namespaces"], self._at["namespace_labels"])
            raise ConfigError("namespaces and namespace_labels cannot both be set", place)
        if "zonal" in self._at and "noendpoints" in self._at:
            place = max(self._at["zonal"], self._at["noendpoints"])
            raise ConfigError("zonal needs the endpoints that noendpoints takes away", place)

    def _api(self, **changes: Any) -> None:
        self.api = replace(self.api, **changes)

    def _endpoint(self, line: Directive) -> None:
        first, *others = arguments(line, least=1)
        self._api(endpoint=first.text)
        if others:
            self._setup.warn(others[0].place, f"only the first endpoint is used, {first.text}")

    def _tls(self, line: Directive) -> None:
        certificate, key, ca = (word.text for word in arguments(line, 3, 3))
        self._api(tls=(certificate, key, ca))

    def _kubeconfig(self, line: Directive) -> None:
        file, *context = arguments(line, 1, 2)
        self._api(kubeconfig=file.text, context=context[0].text if context else "")

    def _qps(self, line: Directive) -> None:
        self._api(qps=decimal(one_argument(line), low=0))

    def _burst(self, line: Directive) -> None:
        self._api(burst=integer(one_argument(line), low=0))

    def _max_inflight(self, line: Directive) -> None:
        self._api(max_inflight=integer(one_argument(line), low=0))

    def _startup_timeout(self, line: Directive) -> None:
        self.startup_timeout = max(0.0, duration(self._first(line)))

    def _ttl_option(self, line: Directive) -> None:
        self._ttl = integer(self._first(line), 0, MOST_TTL)

    def _pods_option(self, line: Directive) -> None:
        self._pods = cast("Pods", choice(one_argument(line), get_args(Pods)))

    def _namespaces_option(self, line: Directive) -> None:
        self._namespaces.update(word.text for word in arguments(line, least=1))

    def _selector(self, line: Directive) -> None:
        words = arguments(line, least=1)
        text = " ".join([word.text for word in words])
        try:
            selector = parse_selector(text)
        except ConfigError as error:
            raise ConfigError(
                f"{text!r} is no label selector: {error.message}", words[0].place
            ) from error
        for requirement in selector.requirements:
            if requirement.operator in ("<", ">"):
                raise ConfigError(
                    f"{text!r}: {requirement.operator!r} is no operator here", words[0].place
                )
        self._selectors[line.name.text] = text

    def _fallthrough(self, line: Directive) -> None:
        self.fallthrough = zone_names(line.arguments, (".",), self._setup.warnings)

    def _ignore(self, line: Directive) -> None:
        if not arguments(line):
            self._setup.warn(line.name.place, "ignore does nothing without empty_service")
            return
        choice(self._first(line), ("empty_service",))
        self._ignore_empty = True

    def _multicluster(self, line: Directive) -> None:
        zones: list[str] = []
        if not line.arguments:
            self._setup.warn(line.name.place, "multicluster does nothing without zones")
        for word in arguments(line):
            for zone in zone_names([word]):
                if zone not in self._zones:
                    raise ConfigError(
                        f"multicluster zone {zone} is none of kubernetes: {' '.join(self._zones)}",
                        word.place,
                    )
                zones.append(zone)
        self._multicluster_zones = tuple(zones)

    def _first(self, line: Directive) -> Token:
        """The first argument; CoreDNS does not look at those behind it."""
        first, *others = arguments(line, least=1)
        if others:
            self._setup.warn(
                others[0].place, f"what is behind {line.name.text} {first.text} is ignored"
            )
        return first


def _flag(options: Options, line: Directive) -> None:
    """An option that says all by being there."""
    no_arguments(line)


LINES: dict[str, Callable[[Options, Directive], None]] = {
    "apiserver_burst": Options._burst,
    "apiserver_max_inflight": Options._max_inflight,
    "apiserver_qps": Options._qps,
    "endpoint": Options._endpoint,
    "endpoint_pod_names": _flag,
    "fallthrough": Options._fallthrough,
    "ignore": Options._ignore,
    "kubeconfig": Options._kubeconfig,
    "labels": Options._selector,
    "multicluster": Options._multicluster,
    "namespace_labels": Options._selector,
    "namespaces": Options._namespaces_option,
    "noendpoints": _flag,
    "pods": Options._pods_option,
    "startup_timeout": Options._startup_timeout,
    "tls": Options._tls,
    "ttl": Options._ttl_option,
    "zonal": _flag,
}


def _local_addresses() -> tuple[Address, ...]:
    """This host's own addresses; the zone leaves out those that nobody else can reach."""
    texts = [
        found.ip if isinstance(found.ip, str) else found.ip[0]
        for adapter in ifaddr.get_adapters()
        for found in adapter.ips
    ]
    return tuple(ipaddress.ip_address(text).packed for text in texts)
