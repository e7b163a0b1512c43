"""Queries of the most usual form, read as far as it takes to send them on as they are.

Written over octets because it runs for every query that no finished answer is known for; what has
any other form, a broken one too, is left to `message.parse`.
"""

from clusterdns.wire.edns import DO, MOST_UDP, WITHOUT_EDNS, Edns
from clusterdns.wire.message import AD, CD, RD
from clusterdns.wire.names import MAX_LABEL, MAX_NAME
from clusterdns.wire.question import HEADER

# A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, NAPTR, SVCB, HTTPS, CAA: nothing but the name and the
# type decides who answers. Not so for DS (of the zone above), ANY, HINFO (`loop`) and transfers.
_TYPES = frozenset(
    number.to_bytes(2, "big") for number in (1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 64, 65, 257)
)
_IN = b"\0\1"
_ALONE, _WITH_OPT = b"\0\1\0\0\0\0\0\0", b"\0\1\0\0\0\0\0\1"  # counts of a query's records
_HEADS = {  # flags and counts: does it have an OPT record?
    flags.to_bytes(2, "big") + counts: counts is _WITH_OPT
    for flags in (rd | ad | cd for rd in (0, RD) for ad in (0, AD) for cd in (0, CD))
    for counts in (_ALONE, _WITH_OPT)
}
_OPT_TYPE = b"\0\0\x29"  # behind the root
_OPT_ENDS = {b"\0\0\0\0\0\0": 0, b"\0\0\x80\0\0\0": 1}  # TTL and RDLENGTH: DO


class Plain:
    """A query for one name of class IN in lower-case letters, of a type that is asked for every
    day, with an OPT record without options (RFC 6891) or none.

    octets: the message. end: offset of the first octet behind the question.
    name: wire form, lower-case. qtype: as a number. flags: the second 16 bits of the header.
    key: all that decides the right reply, but for its size: type, class, CD and DO, name.
    size: octets of UDP that the client takes; do: it wants DNSSEC records.
    """

    qclass = 1

    __slots__ = ("do", "end", "flags", "has_opt", "key", "name", "octets", "qtype", "size")

    def __init__(self, octets: bytes, name: bytes, *, has_opt: bool, do: int, size: int) -> None:
        self.octets = octets
        self.name = name
        self.end = end = HEADER + len(name) + 4
        self.flags = flags = octets[2] << 8 | octets[3]
        self.qtype = octets[end - 4] << 8 | octets[end - 3]
        self.has_opt = has_opt
        self.do = do != 0
        self.size = size
        self.key = octets[end - 4 : end] + _BITS[flags & CD | do] + name

    @property
    def section(self) -> bytes:
        """Its question section, as that of a Question is called."""
        return self.octets[HEADER : self.end]

    @property
    def folded(self) -> bytes:
        """The name, as that of a Question is called."""
        return self.name


# OPT records of plain queries, as far as replies tell them apart, by `has_opt` + `do`.
QUERY_EDNS = (None, Edns(), Edns(flags=DO))
_BITS = {bits: bytes([bits]) for bits in (0, 1, CD, CD | 1)}


def plain(octets: bytes) -> Plain | None:
    """What these octets ask; None: they are no query of the most usual form."""
    has_opt = _HEADS.get(octets[2:HEADER])
    if has_opt is None:
        return None
    at = HEADER
    try:
        while length := octets[at]:
            if length > MAX_LABEL:
                return None
            at += length + 1
    except IndexError:
        return None
    at += 1
    name = octets[HEADER:at]
    if len(name) > MAX_NAME or octets[at + 2 : at + 4] != _IN or octets[at : at + 2] not in _TYPES:
        return None
    if name.lower() != name:
        return None
    at += 4
    if not has_opt:
        if len(octets) != at:
            return None
        return Plain(octets, name, has_opt=False, do=0, size=WITHOUT_EDNS)
    do = _OPT_ENDS.get(octets[at + 5 :])
    if do is None or octets[at : at + 3] != _OPT_TYPE:
        return None
    size = octets[at + 3] << 8 | octets[at + 4]
    return Plain(octets, name, has_opt=True, do=do, size=min(max(size, WITHOUT_EDNS), MOST_UDP))
