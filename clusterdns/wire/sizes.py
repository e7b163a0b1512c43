"""How long a reply would be without compression, truncation and OPT: what CoreDNS tells of it."""

from collections.abc import Iterable

from dnslib import QTYPE, RR
from dnslib.dns import DNSBuffer

from clusterdns.wire.question import HEADER, Question

_QTYPE_AND_QCLASS = 4
_FIXED = 10  # type, class, TTL, RDLENGTH
_OF_FIXED_SIZE = {QTYPE.A: 4, QTYPE.AAAA: 16}
_OF_ONE_NAME = {QTYPE.CNAME, QTYPE.NS, QTYPE.PTR}
_SRV_NUMBERS = 6  # priority, weight, port
_SOA_NUMBERS = 20  # serial, refresh, retry, expire, minimum


class _Plain(DNSBuffer):  # type: ignore[misc]  # dnslib has no types
    """A buffer without compression."""

    def encode_name(self, name: object) -> None:
        self.encode_name_nocompress(name)


def plain_size(question: Question, records: Iterable[RR]) -> int:
    """Octets of a reply with these records in whatever sections."""
    size = HEADER + len(question.name) + _QTYPE_AND_QCLASS
    for record in records:
        size += _name_size(record.rname.label) + _FIXED + _rdata_size(record)
    return size


def _name_size(labels: tuple[bytes, ...]) -> int:
    return sum(map(len, labels)) + len(labels) + 1


def _rdata_size(record: RR) -> int:
    """Packed only where it cannot be told from a look: packing costs ten times as much."""
    rtype = record.rtype
    if size := _OF_FIXED_SIZE.get(rtype):
        return size
    rdata = record.rdata
    if rtype == QTYPE.SRV:
        return _SRV_NUMBERS + _name_size(rdata.target.label)
    if rtype == QTYPE.SOA:
        return _name_size(rdata.mname.label) + _name_size(rdata.rname.label) + _SOA_NUMBERS
    if rtype in _OF_ONE_NAME:
        return _name_size(rdata.label.label)
    buffer = _Plain()
    rdata.pack(buffer)
    return len(buffer)
