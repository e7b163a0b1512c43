"""The OPT record: payload size, version, DO and options (RFC 6891)."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from clusterdns.errors import MalformedMessage
from clusterdns.wire.question import FORMERR

OPT = 41  # the record's type
DO = 0x8000  # "DNSSEC OK", the highest flag bit, RFC 3225

EXTENDED_ERROR = 15  # the option's code: 2 octets of INFO-CODE, then text; RFC 8914 section 2

# What we say that we can receive: fits an IPv6 packet on every link without fragments, the size
# agreed on for DNS flag day 2020 and recommended by RFC 9715.
OUR_SIZE = 1232

WITHOUT_EDNS = 512  # octets of a UDP message without OPT, RFC 1035 section 2.3.4
MOST_UDP = 65507  # octets that fit an IPv4 datagram: 65535 without the IP and UDP headers
MOST_TCP = 65535  # octets that the length before a message can tell, RFC 1035 section 4.2.2

_FIXED = struct.Struct("!BHHBBHH")  # root, type, size, extended rcode, version, flags, RDLENGTH
_OPTION = struct.Struct("!HH")  # code, length


class Option(NamedTuple):
    """One EDNS option (RFC 6891 section 6.1.2)."""

    code: int
    data: bytes


STALE_ANSWER = Option(EXTENDED_ERROR, (3).to_bytes(2, "big"))  # RFC 8914 section 4.4


@dataclass(frozen=True, slots=True)
class Edns:
    """An OPT record, of a query or of a reply.

    size: UDP payload that its sender can receive.
    flags: all 16, DO among them.
    extended_rcode: the upper 8 bits of the rcode; 0 in a query.
    """

    size: int = OUR_SIZE
    version: int = 0
    flags: int = 0
    extended_rcode: int = 0
    options: tuple[Option, ...] = ()

    @property
    def do(self) -> bool:
        """Whether the sender wants DNSSEC records (RFC 3225)."""
        return self.flags & DO != 0

    def pack(self) -> bytes:
        """The whole record, as it stands in the additional section."""
        options = b"".join([_OPTION.pack(code, len(data)) + data for code, data in self.options])
        fixed = _FIXED.pack(
            0, OPT, self.size, self.extended_rcode, self.version, self.flags, len(options)
        )
        return fixed + options


def parse_opt(size: int, ttl: int, rdata: bytes) -> Edns:
    """The OPT record with this CLASS, TTL and rdata (RFC 6891 section 6.1).

    Raises MalformedMessage, rcode FORMERR, for options that do not fill the rdata exactly and for
    known ones that break their RFC, as far as CoreDNS refuses them too.
    """
    options = []
    at = 0
    while at < len(rdata):
        start = at + _OPTION.size
        if start > len(rdata):
            raise MalformedMessage("an EDNS option is cut off", FORMERR)
        code, length = _OPTION.unpack_from(rdata, at)
        at = start + length
        if at > len(rdata):
            raise MalformedMessage(f"EDNS option {code} is cut off", FORMERR)
        data = rdata[start:at]
        if (is_good := _KNOWN.get(code)) and not is_good(data):
            raise MalformedMessage(f"EDNS option {code} holds {data.hex() or 'nothing'}", FORMERR)
        options.append(Option(code, data))
    return Edns(size, ttl >> 16 & 0xFF, ttl & 0xFFFF, ttl >> 24, tuple(options))


def reply_edns(
    query: Edns | None,
    size: int = OUR_SIZE,
    options: tuple[Option, ...] = (),
    force: bool = False,
) -> Edns | None:
    """The OPT record for the reply to a query with this one; None: the reply has none.

    It tells our own size and version, copies DO (RFC 3225 section 3) and no other flag, and holds
    only options that we implement (RFC 6891 sections 6.1.1 and 6.1.2).

    force: give one even though the query had none, and set DO (extended errors that a directive
        asks for: as CoreDNS makes those records).
    """
    if force:
        return Edns(size, flags=DO, options=options)
    if query is None:
        return None
    return Edns(size, flags=query.flags & DO, options=options)


def limit_for(query: Edns | None, transport: str) -> int:
    """Octets that the reply may have (RFC 6891 section 6.2.5).

    Over UDP the client's word is taken however large; it knows its path, and `bufsize` is for those
    who know better. The one bound is what a datagram holds: a reply above it could not be sent.
    """
    if transport != "udp":
        return MOST_TCP
    if query is None:
        return WITHOUT_EDNS
    return min(max(query.size, WITHOUT_EDNS), MOST_UDP)


def _client_subnet(data: bytes) -> bool:
    """RFC 7871 section 6; family 0 with no prefix is what dig sends for "none"."""
    if len(data) < 4:
        return False
    family, source, scope = struct.unpack_from("!HBB", data)
    if family == 0:
        return bool(source == 0)
    most = {1: 32, 2: 128}.get(family)
    return most is not None and source <= most and scope <= most


# By option code. Zone version (19) and report channel (18) are left out on purpose: CoreDNS asks
# a query for contents that RFC 9660 section 2 forbids there, and RFC 9567 has none in queries.
_KNOWN: dict[int, Callable[[bytes], bool]] = {
    1: lambda data: len(data) >= 18,  # long-lived queries, RFC 8764 section 3.2
    2: lambda data: len(data) in (4, 8),  # update lease, RFC 9664 section 4
    8: _client_subnet,
    9: lambda data: not data or len(data) >= 4,  # expire, RFC 7314 section 2
    11: lambda data: len(data) in (0, 2),  # TCP keepalive, RFC 7828 section 3.1
    15: lambda data: len(data) >= 2,  # extended DNS error, RFC 8914 section 2
}
