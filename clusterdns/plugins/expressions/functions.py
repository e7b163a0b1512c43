"""What expressions may ask of a query."""

import re
from ipaddress import ip_network
from typing import Any

from clusterdns.corefile.names import parse_address, parse_cidr
from clusterdns.plugins.base import Query
from clusterdns.plugins.expressions.expression import ANY, LIST, NUMBER, TEXT, TRUTH, Function
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


def _int(value: Any) -> int:
    """Raises ValueError for a text that is no integer."""
    if isinstance(value, str):
        if not re.fullmatch("[+-]?[0-9]{1,19}", value):
            raise ValueError(f"{value!r} is no integer")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("int() takes a text or a number")
    return int(value)


def _len(value: Any) -> int:
    if not isinstance(value, str | list):
        raise ValueError("len() takes a text or a list")
    return len(value)


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(map(_string, value))}]"
    return str(value)


def _split(text: str, by: str) -> list[str]:
    return text.split(by) if by else list(text)


def _join(items: list[Any], by: str) -> str:
    """Raises ValueError where there is something else than texts."""
    if not all(isinstance(item, str) for item in items):
        raise ValueError("join() takes a list of texts")
    return by.join(items)


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
    # Of expr-lang itself, those that go with texts.
    "hasPrefix": Function(lambda query, text, part: text.startswith(part), (TEXT, TEXT), TRUTH),
    "hasSuffix": Function(lambda query, text, part: text.endswith(part), (TEXT, TEXT), TRUTH),
    "indexOf": Function(lambda query, text, part: text.find(part), (TEXT, TEXT), NUMBER),
    "int": Function(lambda query, value: _int(value), (ANY,), NUMBER),
    "join": Function(lambda query, items, by: _join(items, by), (LIST, TEXT), TEXT),
    "len": Function(lambda query, value: _len(value), (ANY,), NUMBER),
    "lower": Function(lambda query, text: text.lower(), (TEXT,), TEXT),
    "replace": Function(
        lambda query, text, old, new: text.replace(old, new), (TEXT, TEXT, TEXT), TEXT
    ),
    "split": Function(lambda query, text, by: _split(text, by), (TEXT, TEXT), LIST, item=TEXT),
    "string": Function(lambda query, value: _string(value), (ANY,), TEXT),
    "trim": Function(lambda query, text: text.strip(), (TEXT,), TEXT),
    "trimPrefix": Function(lambda query, text, part: text.removeprefix(part), (TEXT, TEXT), TEXT),
    "trimSuffix": Function(lambda query, text, part: text.removesuffix(part), (TEXT, TEXT), TEXT),
    "upper": Function(lambda query, text: text.upper(), (TEXT,), TEXT),
}
