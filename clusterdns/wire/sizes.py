"""How long a reply would be without compression, truncation and OPT: what CoreDNS tells of it."""

from collections.abc import Iterable

from dnslib import QTYPE, RR
from dnslib.dns import DNSBuffer

from clusterdns.wire.question import HEADER, Question

_QTYPE_AND_QCLASS = 4
_FIXED = 10  # type, class, TTL, RDLENGTH
_OF_FIXED_SIZE = {QTYPE.A: 4, QTYPE.AAAA: 16}
_SRV_NUMBERS = 6  # priority, weight, port


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
    if rtype == QTYPE.SRV:
        return _SRV_NUMBERS + _name_size(record.rdata.target.label)
    buffer = _Plain()
    record.rdata.pack(buffer)
    return len(buffer)
