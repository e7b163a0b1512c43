"""Server-block keys, [SCHEME://]ZONE[:PORT]: what is served where, and whether only once."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_cidr, zones_of
from clusterdns.errors import ConfigError, Place

# IANA's ports of each transport; None: the server's default port.
PORTS: dict[str, int | None] = {
    "dns": None,
    "tls": 853,  # RFC 7858 section 3.1
    "quic": 853,  # RFC 9250 section 4.1.1
    "grpc": 443,
    "https": 443,  # RFC 8484
    "https3": 443,
}
DNS_PORT = 53  # RFC 1035 section 4.2
MAX_PORT = 65535

_PORT = re.compile(r"(?P<zone>.*):(?P<port>[+-]?[0-9]+)", re.DOTALL)  # a sign as in Go's Atoi
_USUAL = re.compile(r"[a-z0-9_.-]*")  # what the names in questions are made of


@dataclass(frozen=True, slots=True)
class Key:
    """One zone on one port by one transport.

    zone: absolute, lower-case, in presentation form; see `names.zone_labels`.
    """

    transport: str
    zone: str
    port: int
    place: Place

    def __str__(self) -> str:
        return f"{self.transport}://{self.zone}:{self.port}"


class Listening(NamedTuple):
    """A server block's keys, and the addresses that it binds; none: all addresses.

    filtered: a `view` decides which queries it takes, so that others may have the same zone.
    """

    keys: Sequence[Key]
    addresses: Sequence[str] = ()
    filtered: bool = False


def server_keys(
    tokens: Iterable[Token],
    default_port: int = DNS_PORT,
    errors: list[ConfigError] | None = None,
) -> list[Key]:
    """The keys of one server block, in order, each CIDR as its reverse zones.

    default_port: of dns:// keys; the other schemes have their own.
    errors: takes every fault. Raises ConfigError at the first one when it is None.
    """
    keys: list[Key] = []
    for token in tokens:
        try:
            keys.extend(_keys_of(token, default_port))
        except ConfigError as error:
            if errors is None:
                raise
            errors.append(error)
    return keys


def word_zones(token: Token) -> list[str]:
    """The zones that a word names; a scheme and a port are read and left out.

    Raises ConfigError for what is no name and no CIDR.
    """
    _, rest = _scheme(token.text)
    zone, _ = _zone_and_port(rest, token)
    return _zones(zone, token)


def oddity(text: str) -> str | None:
    """What is odd about a key that is a zone all the same; None for an ordinary one."""
    _, rest = _scheme(text)
    if match := _PORT.fullmatch(rest):
        rest = match["zone"]
    if text == "}":
        return "this } closes nothing: it is served as a zone"
    if parse_cidr(rest) or _USUAL.fullmatch(rest.lower()):
        return None
    if "://" in rest:
        return f"{rest.split('://')[0]}:// is no scheme: {text} is served as a zone"
    if "/" in rest:
        return f"{rest} is no CIDR: it is served as a zone"
    if "," in rest:
        return f"a comma without white space behind it separates nothing: {rest} is one zone"
    return f"{rest} has signs that are rare in names, and is served as a zone"


def conflicts(blocks: Iterable[Listening]) -> list[ConfigError]:
    """A fault for each key whose zone and port another block, or the same one, has already.

    A block that binds no address has them all, and so meets every other of the same zone and port.
    Addresses are compared as they are written.
    """
    faults = []
    taken: dict[tuple[str, str, int], dict[str, Key]] = {}  # "": every address
    for keys, addresses, filtered in blocks:
        for key in keys:
            holders = taken.setdefault((key.transport, key.zone, key.port), {})
            for address in addresses or ("",):
                if fault := _conflict(key, address, holders, filtered):
                    faults.append(fault)
                elif not filtered:
                    holders[address] = key
    return faults


def _conflict(
    key: Key, address: str, holders: dict[str, Key], filtered: bool
) -> ConfigError | None:
    where = f"{key} on {address}" if address else str(key)
    if address in holders:
        if filtered:
            return None
        return ConfigError(
            f"cannot serve {where}: it is already defined at {holders[address].place}", key.place
        )
    if holders and (not address or "" in holders):
        other, first = next(iter(holders.items()))
        held = f"bound to {other}" if other else "on every address"
        return ConfigError(
            f"cannot serve {where}: the zone is {held} at {first.place} already", key.place
        )
    return None


def _keys_of(token: Token, default_port: int) -> list[Key]:
    transport, rest = _scheme(token.text)
    zone, port = _zone_and_port(rest, token)
    if transport not in PORTS:
        raise ConfigError(f"no server listens by {transport}://: {token.text}", token.place)
    if port is None:
        port = PORTS[transport] or default_port
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"a port is 0 to {MAX_PORT}: {token.text}", token.place)
    return [Key(transport, name, port, token.place) for name in _zones(zone, token)]


def _scheme(text: str) -> tuple[str, str]:
    """The transport and the rest; a scheme that is none is part of the rest."""
    scheme, separator, rest = text.partition("://")
    if separator and (scheme in PORTS or scheme == "unix"):
        return scheme, rest
    return "dns", text


def _zone_and_port(text: str, token: Token) -> tuple[str, int | None]:
    if not text:
        raise ConfigError(f"a zone is missing: {token.text!r}", token.place)
    if text.endswith(":"):
        raise ConfigError(f"a port must follow the last colon: {token.text}", token.place)
    match = _PORT.fullmatch(text)
    if match is None:
        return text, None
    return match["zone"], int(match["port"][:9])  # so many digits are no port in any case


def _zones(text: str, token: Token) -> list[str]:
    try:
        return zones_of(text)
    except ValueError as error:
        message = f"{text!r} is no zone: {error}" if text else "a zone is missing before the port"
        raise ConfigError(message, token.place) from error
