"""Zone names and IP texts as CoreDNS reads them, CIDR notation included."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

MAX_LABEL = 63  # octets, RFC 1035 section 2.3.4
MAX_NAME = 255  # octets with length octets and root, RFC 1035 section 2.3.4

# One octet of a name in presentation form, RFC 1035 section 5.1.
_PRESENTED = re.compile(
    rb"\\(?P<decimal>[0-9]{3})|\\(?P<escaped>.)|(?P<dot>\.)|(?P<plain>[^\\])", re.DOTALL
)
# Written with a backslash, or as \DDD; the same as in the names of questions.
_SPECIAL = re.compile(rb"[^!-~]|[.'@;()\"\\]")
_BACKSLASHED = b".'@;()\"\\ "


def zone_labels(text: str) -> tuple[bytes, ...]:
    """The labels of a zone, lower-case (RFC 4343), without the root's; () is the root.

    text: presentation form, with or without the last dot; non-ASCII counts as UTF-8.
    Raises ValueError for what is no domain name.
    """
    octets = text.encode("utf-8", "replace")
    if octets == b".":
        return ()
    labels = [b""]
    end = 0
    for part in _PRESENTED.finditer(octets):
        end = part.end()
        if part["dot"]:
            labels.append(b"")
        else:
            labels[-1] += _octet(part)
    if end < len(octets):
        raise ValueError("a backslash at its end")
    if len(labels) > 1 and not labels[-1]:  # behind the last dot
        labels.pop()
    _check(labels)
    return tuple(label.lower() for label in labels)


def zone_name(text: str) -> str:
    """A zone as everything else here spells it: absolute, lower-case, odd octets escaped.

    Raises ValueError for what is no domain name.
    """
    return "".join([_presented(label) + "." for label in zone_labels(text)]) or "."


def zones_of(text: str) -> list[str]:
    """The zones that one word names: itself, or the reverse zones of a CIDR.

    A word that only looks like a CIDR, such as 10.0.0.0/40, is a zone name.
    Raises ValueError for what is neither, and for a CIDR that starts with zeros, as in CoreDNS.
    """
    if parse_cidr(text) is None:
        return [zone_name(text)]
    if text.startswith(":") or (text.startswith("0") and ":" in text):
        raise ValueError("a CIDR that starts with zeros; write ip6.arpa for all of it")
    return reverse_zones(text)


def reverse_zones(cidr: str) -> list[str]:
    """The zones that hold the PTR records of a network, none inside another.

    A prefix between octets (IPv6: between nibbles) gives each zone of the next longer one.
    Raises ValueError for what is no CIDR.
    """
    parsed = parse_cidr(cidr)
    if parsed is None:
        raise ValueError(f"no CIDR: {cidr}")
    address, prefix = parsed
    unit = 8 if address.version == 4 else 4
    parts = -(-prefix // unit)  # labels of each zone
    free = parts * unit - prefix  # bits of the last label that are not given
    rest = address.max_prefixlen - parts * unit
    first = int(address) >> (rest + free) << free
    return [_reverse_zone(first + i, parts, unit) for i in range(1 << free)]


class AddressPort(NamedTuple):
    """Where somebody is to be reached."""

    host: str  # an IP address, an IPv6 one perhaps with a scope
    port: int

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """Without the scope, whatever the spelling: what messages come from."""
        return parse_address(self.host.partition("%")[0])


def bracketed(host: str) -> str:
    """The host as it stands before a port: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def host_and_port(host: str, port: int) -> str:
    """10.0.0.2:53, [fd00::2]:53."""
    return f"{bracketed(host)}:{port}"


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address, or None. By Go's rules: no scope, and an IPv4-mapped address is IPv4."""
    if "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def parse_cidr(text: str) -> tuple[IPv4Address | IPv6Address, int] | None:
    """The address and prefix length of a CIDR, or None. The address may have bits behind it."""
    host, slash, length = text.rpartition("/")
    if not slash or "%" in host or not re.fullmatch("[0-9]{1,9}", length):
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address, int(length)) if int(length) <= address.max_prefixlen else None


def _reverse_zone(number: int, parts: int, unit: int) -> str:
    """The zone of a network's first bits, `parts` labels of `unit` bits each."""
    labels = [number >> i * unit & (1 << unit) - 1 for i in range(parts)]
    if unit == 8:
        return "".join([f"{label}." for label in labels]) + "in-addr.arpa."
    return "".join([f"{label:x}." for label in labels]) + "ip6.arpa."


def _check(labels: list[bytes]) -> None:
    if not all(labels):
        raise ValueError("an empty label")
    if max(map(len, labels)) > MAX_LABEL:
        raise ValueError(f"a label of more than {MAX_LABEL} octets")
    if sum(len(label) + 1 for label in labels) + 1 > MAX_NAME:
        raise ValueError(f"more than {MAX_NAME} octets")


def _octet(part: re.Match[bytes]) -> bytes:
    if part["decimal"]:
        return bytes([int(part["decimal"]) & 0xFF])  # \256 and up are no octets: as in Go
    return part["escaped"] or part["plain"]


def _presented(label: bytes) -> str:
    return _SPECIAL.sub(_escape, label).decode("ascii")


def _escape(found: re.Match[bytes]) -> bytes:
    octet = found[0]
    return b"\\" + octet if octet in _BACKSLASHED else b"\\%03d" % octet[0]
