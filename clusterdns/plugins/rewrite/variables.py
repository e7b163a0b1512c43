"""What an EDNS option of `rewrite` can hold: fixed octets, a figure of the query, a subnet."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Sees
from clusterdns.plugins.lines import nearest
from clusterdns.plugins.query import Query
from clusterdns.wire.names import presented

_PORT = struct.Struct("!H")
_SUBNET = struct.Struct("!HBB")  # family, source and scope prefix length, RFC 7871 section 6
_FAMILIES = {4: 1, 6: 2}  # IP version -> address family number
_LABEL = re.compile("[^/]+/.+")


@dataclass(frozen=True, slots=True)
class Data:
    """How to get the octets of an option.

    of: gives None where there are none, and then the rule does not fit.
    """

    of: Callable[[Query], bytes | None]
    sees: Sees = Sees.QUESTION


def constant(octets: bytes) -> Data:
    """The same for every query."""
    return Data(lambda query: octets)


def variable(word: Token) -> Data:
    """What stands in braces: a figure of the query, or a label as PLUGIN/NAME (`metadata`)."""
    name = word.text[1:-1]
    if name in VARIABLES:
        return VARIABLES[name]
    if not _LABEL.fullmatch(name):
        raise ConfigError(f"unknown variable {word.text!r}; {nearest(name, VARIABLES)}", word.place)
    return Data(lambda query: _label(query, name), Sees.EVERY_QUERY)


def subnet(word4: Token, word6: Token) -> Data:
    """The network that the client is in; the words: bits of it for IPv4 and for IPv6."""
    bits = {4: _bits(word4, 32), 6: _bits(word6, 128)}

    def network(query: Query) -> bytes | None:
        client = parse_address(query.peer[0])
        if client is None:
            return None
        size = bits[client.version]
        rest = client.max_prefixlen - size
        cut = (int(client) >> rest << rest).to_bytes(client.max_prefixlen // 8, "big")
        head = _SUBNET.pack(_FAMILIES[client.version], size, 0)
        return head + cut[: (size + 7) // 8]

    return Data(network, Sees.CLIENT)


def _bits(word: Token, most: int) -> int:
    text = word.text
    if re.fullmatch("[0-9]{1,3}", text) and int(text) <= most:
        return int(text)
    raise ConfigError(f"{text!r} is no length of 0 to {most} bits", word.place)


def _label(query: Query, name: str) -> bytes | None:
    found = (query.labels or {}).get(name)
    return (found().encode() or None) if found else None


def _client(query: Query) -> bytes | None:
    client = parse_address(query.peer[0])
    return client.packed if client else None


def _server(query: Query) -> bytes | None:
    """The listener's address, as long as the client's."""
    client: IPv4Address | IPv6Address | None = parse_address(query.peer[0])
    server = parse_address(query.local[0])
    if client is None or server is None or client.version != server.version:
        return None
    return server.packed


VARIABLES = {
    "qname": Data(lambda query: presented(query.question.labels).encode()),
    "qtype": Data(lambda query: _PORT.pack(query.question.qtype)),
    "client_ip": Data(_client, Sees.CLIENT),
    "client_port": Data(lambda query: _PORT.pack(query.peer[1]), Sees.CLIENT),
    "protocol": Data(lambda query: b"udp" if query.transport == "udp" else b"tcp"),
    "server_ip": Data(_server, Sees.CLIENT),
    "server_port": Data(lambda query: _PORT.pack(query.local[1])),
}
