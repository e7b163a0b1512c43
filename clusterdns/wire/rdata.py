"""Whether rdata of records that queries carry is what their type says (RFC 1035 section 3.3)."""

from clusterdns.errors import MalformedMessage
from clusterdns.wire.patch import Record, skip_name
from clusterdns.wire.question import FORMERR

_NAME = 0
_FIELDS = {  # octets of each
    1: (4,),  # A
    28: (16,),  # AAAA
    **dict.fromkeys((2, 5, 12, 39), (_NAME,)),  # NS CNAME PTR DNAME
    6: (_NAME, _NAME, 4, 4, 4, 4, 4),  # SOA: what NOTIFY and IXFR carry
    15: (2, _NAME),  # MX
    33: (2, 2, 2, _NAME),  # SRV
}


def check_rdata(octets: bytes, record: Record) -> None:
    """Raises MalformedMessage, rcode FORMERR, for rdata that does not end where a field of it does.

    As in CoreDNS that need not be the last one: what is not there counts as empty. Other types are
    not looked into.
    """
    at = record.rdata
    for size in _FIELDS.get(record.rtype, (record.end - at,)):
        if at == record.end:
            return
        at = at + size if size else skip_name(octets, at)
    if at != record.end:
        raise MalformedMessage(f"the rdata of the record at octet {record.start} is none", FORMERR)
