"""What stands behind FROM in a `forward`: addresses, files of nameservers, host names."""

import os
import re
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import host_and_port, parse_address, zone_labels
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.forward.hostnames import Resolvers, addresses
from clusterdns.plugins.forward.resolvconf import nameservers

PORTS = {"dns": 53, "tls": 853, "https": 443}
_OTHER_SCHEMES = ("https3", "quic", "grpc", "unix")
_SCHEME = re.compile(rf"({'|'.join((*PORTS, *_OTHER_SCHEMES))})://")
_HOST_PORT = re.compile(r"\[([^\[\]]*)\]:([^:\[\]]*)|([^:\[\]]*):([^:\[\]]*)")
_NO_PORT = -1  # what CoreDNS accepts and then cannot use
_RESOLVE_S = 2.0  # CoreDNS's time for a nameserver of `resolver`
_ANY = "0.0.0.0"  # stands for the addresses of a name that is not looked up
_TRIES = 32  # datagrams looked at before a nameserver is given up


class Target(NamedTuple):
    """An upstream's address. server_name: of its certificate; "": its address is in it.

    is_tls, is_https: DNS over TLS, DNS over HTTPS; neither: UDP and TCP.
    """

    host: str
    port: int
    is_tls: bool = False
    server_name: str = ""
    is_https: bool = False

    @property
    def address(self) -> str:
        """As in metrics and logs: 10.0.0.2:53, [fd00::2]:53."""
        return host_and_port(self.host, self.port)

    @property
    def family(self) -> socket.AddressFamily:
        """Of its sockets."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


class HostName(NamedTuple):
    """A name among the words. target: what each of its addresses is to be put in."""

    word: Token
    name: str
    target: Target


def targets(words: Iterable[Token], resolvers: Resolvers, setup: Setup) -> list[list[Target]]:
    """For each word its upstreams, those of words before it left out; words without any are, too.

    Waits for nameservers where there are host names, for all of them at the same time.

    resolvers: nameservers for host names; (): the system's.
    Raises ConfigError at a word that stands for no upstream.
    """
    read = [_read(word, setup) for word in words]
    hosts = [each for each in read if isinstance(each, HostName)]
    of_hosts = iter(_looked_up(hosts, resolvers, setup))
    seen: set[str] = set()
    found = []
    for one in read:
        each = next(of_hosts) if isinstance(one, HostName) else one
        new: dict[str, Target] = {}
        for target in each:
            if target.address not in seen:
                new.setdefault(target.address, target)
        seen |= new.keys()
        if each:
            found.append(list(new.values()))
    return found


def nameserver(word: Token, setup: Setup) -> tuple[str, int]:
    """Address and port of a nameserver of `resolver`. Raises ConfigError."""
    match = _HOST_PORT.fullmatch(word.text)
    host, port = (word.text, "53") if match is None else _matched(match)
    if parse_address(host) is None:
        raise ConfigError(f"{word.text!r} is no IP address, with or without a port", word.place)
    return host, _port(port, word, setup)


def reason_of(error: OSError | OverflowError) -> str:
    """What went wrong, in Go's words: `connection refused`."""
    number = error.errno if isinstance(error, OSError) else None
    return (os.strerror(number) if number and number > 0 else str(error)).lower()


def _read(word: Token, setup: Setup) -> list[Target] | HostName:
    scheme, rest = _scheme(word)
    host, port, server_name = _split(rest, PORTS[scheme], word, setup)
    if scheme == "dns":
        server_name = ""  # a zone id, which is cut off
    target = Target(host, port, scheme == "tls", server_name, scheme == "https")
    if address := parse_address(host):
        return [target._replace(host=str(address))]
    try:
        return _of_file(rest, word, setup)
    except OSError as error:
        if "/" in rest:
            raise ConfigError(
                f"{rest!r} is no address, and no file that can be read: {reason_of(error)}",
                word.place,
            ) from error
    if target.is_https and not server_name:  # the host's certificate, RFC 9110 section 4.3.4
        target = target._replace(server_name=host.rstrip("."))
    return HostName(word, host, target)


def _scheme(word: Token) -> tuple[str, str]:
    """One of PORTS, and the rest. Raises ConfigError for others."""
    match = _SCHEME.match(word.text)
    scheme, rest = (match[1], word.text[match.end() :]) if match else ("dns", word.text)
    if not rest:
        raise ConfigError(f"invalid address: {word.text!r}", word.place)
    if scheme == "https" and "/" in rest:
        raise ConfigError(
            "paths are not allowed in HTTPS upstream addresses (/dns-query is asked for): "
            f"{word.text}",
            word.place,
        )
    if scheme in _OTHER_SCHEMES:
        raise ConfigError(
            f"{scheme!r} is not supported as a destination protocol in forward; "
            "there are dns://, tls:// and https://",
            word.place,
        )
    return scheme, rest


def _split(text: str, default: int, word: Token, setup: Setup) -> tuple[str, int, str]:
    """Host, port, and what stands behind a percent sign: HOST%NAME:PORT or [HOST%NAME]:PORT."""
    name = ""
    if "%" in text:
        text, _, name = text.rpartition("%")
        name, colon, port = name.rpartition(":") if ":" in name else (name, "", "")
        name = name.removesuffix("]")
        text = text + "]" * text.startswith("[") + colon + port
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        return text.strip("[]"), default, name
    host, port = _matched(match)
    return host, _port(port, word, setup), name


def _matched(match: re.Match[str]) -> tuple[str, str]:
    return (match[1], match[2]) if match[3] is None else (match[3], match[4])


def _port(text: str, word: Token, setup: Setup) -> int:
    if re.fullmatch("[0-9]{1,5}", text) and int(text) <= 0xFFFF:
        return int(text)
    setup.warn(word.place, f"{text!r} is no port: what it belongs to is never reached")
    return _NO_PORT


def _of_file(path: str, word: Token, setup: Setup) -> list[Target]:
    """The nameservers in a file. Raises OSError if it cannot be read."""
    found = []
    for text in nameservers(Path(path)):
        address = parse_address(text.partition("%")[0])
        if address is None:
            setup.warn(word.place, f"{text!r} in {path} is no address; it is left out")
        else:
            found.append(Target(str(address), PORTS["dns"]))
    return found


def _looked_up(
    hosts: Sequence[HostName], resolvers: Resolvers, setup: Setup
) -> Iterable[list[Target]]:
    """The upstreams of each host. Raises ConfigError at the first one that has none."""
    for each in hosts:
        _check(each)
    if setup.offline or not hosts:
        return [[each.target._replace(host=_ANY)] for each in hosts]
    with ThreadPoolExecutor(len(hosts)) as threads:
        return list(threads.map(partial(_resolved, resolvers), hosts))


def _check(host: HostName) -> None:
    try:
        if not host.name or not zone_labels(host.name):
            raise ValueError
    except ValueError as error:
        raise ConfigError(
            f"not an IP address, file, or valid domain: {host.word.text!r}", host.word.place
        ) from error


def _resolved(resolvers: Resolvers, host: HostName) -> list[Target]:
    place = host.word.place
    try:
        found = addresses(host.name, resolvers)
    except OSError as error:
        raise ConfigError(f"failed to resolve {host.name!r}: {error}", place) from error
    if not found:
        raise ConfigError(f"failed to resolve {host.name!r}: it has no address", place)
    return [host.target._replace(host=each) for each in found]
