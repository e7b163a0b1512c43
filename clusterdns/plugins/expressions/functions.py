"""What expressions may ask of a query, as CoreDNS has it beside expr-lang's own functions."""

from ipaddress import ip_network

from clusterdns.corefile.names import parse_address, parse_cidr
from clusterdns.plugins.expressions.values import NUMBER, TEXT, TRUTH, Function
from clusterdns.plugins.query import Query
from clusterdns.wire.message import OPCODE
from clusterdns.wire.question import HEADER
from clusterdns.wire.texts import class_text, type_text


def _in_cidr(query: Query, text: str, cidr: str) -> bool:
    """Raises ValueError for what is no address or no network."""
    address, parsed = parse_address(text), parse_cidr(cidr)
    if address is None or parsed is None:
        raise ValueError(f"incidr({text!r}, {cidr!r})")
    network = ip_network(parsed, strict=False)
    return network.version == address.version and address in network


def _metadata(query: Query, label: str) -> str:
    found = (query.labels or {}).get(label)
    return found() if found else ""


def _size(query: Query) -> int:
    return HEADER + len(query.question.name) + 4 if query.depth else len(query.octets)


def _buffer_size(query: Query) -> int:
    if query.transport != "udp":
        return 65535
    return max(query.edns.size, 512) if query.edns else 512


def _do(query: Query) -> bool:
    return query.edns is not None and query.edns.do


FUNCTIONS = {
    "bufsize": Function(_buffer_size, (), NUMBER, sees_client=True),
    "class": Function(lambda query: class_text(query.question.qclass), (), TEXT),
    "client_ip": Function(lambda query: query.peer[0], (), TEXT, sees_client=True),
    "do": Function(_do, (), TRUTH),
    "id": Function(lambda query: int.from_bytes(query.octets[:2]), (), NUMBER, sees_client=True),
    "incidr": Function(_in_cidr, (TEXT, TEXT), TRUTH),
    "metadata": Function(_metadata, (TEXT,), TEXT, sees_client=True),
    "name": Function(lambda query: query.question.text, (), TEXT),
    "opcode": Function(lambda query: (query.flags & OPCODE) >> 11, (), NUMBER),
    "port": Function(lambda query: str(query.peer[1]), (), TEXT, sees_client=True),
    "proto": Function(
        lambda query: "udp" if query.transport == "udp" else "tcp", (), TEXT, sees_client=True
    ),
    "server_ip": Function(lambda query: query.local[0], (), TEXT, sees_client=True),
    "server_port": Function(lambda query: str(query.local[1]), (), TEXT, sees_client=True),
    "size": Function(_size, (), NUMBER, sees_client=True),
    "type": Function(lambda query: type_text(query.question.qtype), (), TEXT),
}
