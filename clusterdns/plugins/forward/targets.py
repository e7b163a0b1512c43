"""What stands behind FROM in a `forward`: addresses, files of nameservers, host names."""

import os
import re
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from dnslib import QTYPE

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address, zone_labels
from clusterdns.errors import ConfigError, MalformedMessage
from clusterdns.plugins.base import Setup
from clusterdns.plugins.forward.exchange import probe, reply_to
from clusterdns.plugins.forward.resolvconf import nameservers
from clusterdns.wire.question import Question
from clusterdns.wire.received import sections

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
        return endpoint(self.host, self.port)

    @property
    def family(self) -> socket.AddressFamily:
        """Of its sockets."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def targets(
    words: Iterable[Token], resolvers: Sequence[tuple[str, int]], setup: Setup
) -> list[list[Target]]:
    """For each word its upstreams, those of words before it left out; words without any are, too.

    resolvers: nameservers for host names; (): the system's.
    Raises ConfigError at a word that stands for no upstream.
    """
    seen: set[tuple[str, int]] = set()
    found = []
    for word in words:
        each = _targets(word, resolvers, setup)
        new = [each for each in each if (each.host, each.port) not in seen]
        new = list({(one.host, one.port): one for one in reversed(new)}.values())[::-1]
        seen.update((one.host, one.port) for one in new)
        if each:
            found.append(new)
    return found


def endpoint(host: str, port: int) -> str:
    """Address and port as Go writes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reason_of(error: OSError | OverflowError) -> str:
    """What went wrong, in Go's words: `connection refused`."""
    number = error.errno if isinstance(error, OSError) else None
    return (os.strerror(number) if number and number > 0 else str(error)).lower()


def _targets(word: Token, resolvers: Sequence[tuple[str, int]], setup: Setup) -> list[Target]:
    scheme, rest = _scheme(word)
    host, port, server_name = _split(rest, PORTS[scheme], word, setup)
    if scheme == "dns":
        server_name = ""  # a zone id, which is cut off
    is_tls, is_https = scheme == "tls", scheme == "https"
    if address := parse_address(host):
        return [Target(str(address), port, is_tls, server_name, is_https)]
    try:
        return _of_file(rest, word, setup)
    except OSError as error:
        if "/" in rest:
            raise ConfigError(
                f"{rest!r} is no address, and no file that can be read: {reason_of(error)}",
                word.place,
            ) from error
    hosts = _resolved(host, resolvers, word, setup)
    if is_https and not server_name:
        server_name = host.rstrip(".")  # whose certificate it is, RFC 9110 section 4.3.4
    return [Target(each, port, is_tls, server_name, is_https) for each in hosts]


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
    host, port = (match[1], match[2]) if match[3] is None else (match[3], match[4])
    return host, _port(port, word, setup), name


def _port(text: str, word: Token, setup: Setup) -> int:
    if re.fullmatch("[0-9]{1,5}", text) and int(text) <= 0xFFFF:
        return int(text)
    setup.warn(word.place, f"{text!r} is no port: this upstream is never reached")
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


def _resolved(
    host: str, resolvers: Sequence[tuple[str, int]], word: Token, setup: Setup
) -> list[str]:
    """The addresses of a host name. Raises ConfigError if there are none."""
    try:
        if not host or not zone_labels(host):
            raise ValueError
    except ValueError as error:
        raise ConfigError(
            f"not an IP address, file, or valid domain: {word.text!r}", word.place
        ) from error
    if setup.offline:
        return [_ANY]
    try:
        found = _asked(host, resolvers) if resolvers else _system(host)
    except OSError as error:
        raise ConfigError(f"failed to resolve {host!r}: {error}", word.place) from error
    if not found:
        raise ConfigError(f"failed to resolve {host!r}: it has no address", word.place)
    return found


def _system(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))


def _asked(host: str, resolvers: Sequence[tuple[str, int]]) -> list[str]:
    """IPv4 addresses, then IPv6 ones, of the first nameserver that has any. Raises OSError."""
    fault: OSError | None = None
    for resolver in resolvers:
        found: list[str] = []
        try:
            for qtype in (QTYPE.A, QTYPE.AAAA):
                found += _ask(Question.of(host, qtype), resolver)
        except OSError as error:
            fault = error
        if found:
            return found
    if fault is not None:
        raise fault
    return []


def _ask(question: Question, resolver: tuple[str, int]) -> list[str]:
    """The addresses in a nameserver's reply. Raises OSError without one."""
    family = socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET
    asked, id = probe(question), os.urandom(2)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_RESOLVE_S)
        sock.connect(resolver)
        sock.send(id + asked.rest)
        for _ in range(_TRIES):
            octets = sock.recv(0xFFFF)
            try:
                found = reply_to(asked, octets)
                if octets[:2] == id and found is not None:
                    answer = sections(found)[0]
                    return [str(each.rdata) for each in answer if each.rtype == question.qtype]
            except MalformedMessage as error:
                raise OSError(f"{endpoint(*resolver)}: {error}") from error
    raise OSError(f"{endpoint(*resolver)} sends replies to other questions")
