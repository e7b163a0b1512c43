"""Records for what the zone shows. Pure functions; owners and targets are absolute.

What is asked for often is made as rdata in wire form, all else as dnslib records. Their names are
made of octets, label by label: dnslib would send a text through IDNA.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dnslib import AAAA, CNAME, NS, PTR, QTYPE, RD, RR, SOA, SRV, TXT, A, DNSLabel

from clusterdns.cluster.model import Address, Port
from clusterdns.wire.names import labels_of

SCHEMA_VERSION = b"1.1.0"  # of the DNS specification for Kubernetes that names follow
SCHEMA_TTL = 28800  # seconds; what CoreDNS and kube-dns have always said here
SOA_TTL_LIMIT = 300  # seconds; the `ttl` option is not followed above it for SOA records
REFRESH, RETRY, EXPIRE = 7200, 1800, 86400  # seconds, RFC 1035 section 3.3.13; for secondaries

_A, _AAAA, _SRV, _PTR = QTYPE.A, QTYPE.AAAA, QTYPE.SRV, QTYPE.PTR
_CNAME, _NS, _SOA, _TXT = QTYPE.CNAME, QTYPE.NS, QTYPE.SOA, QTYPE.TXT
_NUMBERS = struct.Struct("!HHH")  # of an SRV record: priority, weight, port

Glue = tuple[bytes, Address]  # its owner in wire form; A or AAAA by the length


class Target(NamedTuple):
    """An address behind a Service, the name that SRV records give it, and the ports asked for."""

    host: bytes  # in wire form
    address: Address  # b"" where the host's addresses are known elsewhere
    ports: tuple[Port, ...]


def below(zone: DNSLabel, *labels: str) -> DNSLabel | None:
    """The name with these labels left of the zone; None where it would be no domain name.

    A label may hold dots, as a pod's name does, and is then several. RFC 1035 section 2.3.4 allows
    63 octets a label and 255 a name; objects that no API server has checked may need more.
    """
    return _label(".".join(labels), zone.label)


def domain_name(text: str) -> DNSLabel | None:
    """A host name of an object, as spelled there, absolute; None where it is no domain name."""
    return _label(text.removesuffix("."), ())


def _label(text: str, zone: tuple[bytes, ...]) -> DNSLabel | None:
    if not text.isascii():
        return None
    labels = (*text.encode("ascii").split(b"."), *zone)
    lengths = tuple(map(len, labels))
    if min(lengths) < 1 or max(lengths) > 63 or sum(lengths) + len(lengths) > 254:
        return None
    return DNSLabel(labels)


def address_records(
    owner: DNSLabel, addresses: Iterable[Address], qtype: int, ttl: int
) -> list[RR]:
    """A or AAAA, an address each, once, in the order given; those of the other family left out."""
    width = 4 if qtype == _A else 16
    return [
        address_record(owner, address, ttl)
        for address in dict.fromkeys(addresses)
        if len(address) == width
    ]


def address_record(owner: DNSLabel, address: Address, ttl: int) -> RR:
    """A for an address of 4 octets, AAAA for one of 16."""
    if len(address) == 4:
        return RR(owner, _A, ttl=ttl, rdata=A(tuple(address)))
    return RR(owner, _AAAA, ttl=ttl, rdata=AAAA(tuple(address)))


def service_rdatas(targets: Sequence[Target]) -> tuple[list[bytes], list[Glue]]:
    """The rdata of SRV records for every port of every target, and their addresses (RFC 2782).

    A target and port is given once, however many addresses and names of ports lead to it. The
    weight shares 100 among the pairs of address and port, both families counted; a pair that
    is in two slices while it moves is one. Ports without a number have no record, but count.
    """
    weight = max(1, 100 // max(1, _pairs(targets)))
    answer: dict[bytes, bytes] = {}  # by numbers and the host in lower case
    glue: dict[tuple[bytes, Address], Glue] = {}
    for host, address, ports in targets:
        name = host.lower()  # length octets are safe from it: they are below "A"
        for port in ports:
            number = port.number
            if number is None or not 0 <= number <= 0xFFFF:
                continue
            numbers = _NUMBERS.pack(0, weight, number)
            answer.setdefault(numbers + name, numbers + host)
            if address:
                glue.setdefault((name, address), (host, address))
    return list(answer.values()), list(glue.values())


def _pairs(targets: Sequence[Target]) -> int:
    """How many pairs of address and port there are."""
    ports = targets[0].ports if targets else ()
    if len(ports) == 1 and all(each.ports is ports for each in targets):
        return len({each.address or each.host for each in targets})  # nearly always
    return len(
        {(target.address or target.host, port) for target in targets for port in target.ports}
    )


def service_records(
    owner: DNSLabel, targets: Sequence[Target], ttl: int, glue_ttl: int
) -> tuple[list[RR], list[RR]]:
    """The same as records. glue_ttl: of the addresses."""
    rdatas, glue = service_rdatas(targets)
    return rrset(owner, _SRV, ttl, rdatas), glue_records(glue, glue_ttl)


def rrset(owner: DNSLabel, rtype: int, ttl: int, rdatas: Iterable[bytes]) -> list[RR]:
    """Records of rdata in wire form, of a type that Kubernetes names have: A, AAAA, SRV, PTR."""
    return [RR(owner, rtype, ttl=ttl, rdata=_PARSED[rtype](rdata)) for rdata in rdatas]


def glue_records(glue: Iterable[Glue], ttl: int) -> list[RR]:
    return [address_record(DNSLabel(labels_of(host)), address, ttl) for host, address in glue]


def _srv(rdata: bytes) -> SRV:
    priority, weight, port = _NUMBERS.unpack_from(rdata)
    return SRV(priority, weight, port, DNSLabel(labels_of(rdata[_NUMBERS.size :])))


def alias_record(owner: DNSLabel, target: DNSLabel, ttl: int) -> RR:
    """The CNAME of an ExternalName Service, specification 2.5."""
    return RR(owner, _CNAME, ttl=ttl, rdata=CNAME(target))


def pointer_records(owner: DNSLabel, targets: Iterable[DNSLabel], ttl: int) -> list[RR]:
    """PTR, a target each, once, in the order given."""
    return [RR(owner, _PTR, ttl=ttl, rdata=PTR(target)) for target in dict.fromkeys(targets)]


def server_records(
    zone: DNSLabel, servers: Sequence[tuple[DNSLabel, Address]], ttl: int
) -> tuple[list[RR], list[RR]]:
    """The zone's NS records, and the servers' addresses as glue."""
    names = dict.fromkeys(name for name, _ in servers)
    answer = [RR(zone, _NS, ttl=ttl, rdata=NS(name)) for name in names]
    return answer, [address_record(name, address, ttl) for name, address in dict.fromkeys(servers)]


def version_record(owner: DNSLabel) -> RR:
    """The TXT record of dns-version, specification 2.2."""
    return RR(owner, _TXT, ttl=SCHEMA_TTL, rdata=TXT(SCHEMA_VERSION))


def soa(zone: DNSLabel, ttl: int, serial: int) -> RR:
    """The zone's SOA record, for its apex and for negative answers (RFC 2308 section 3).

    zone: spelled as asked; ttl: the `ttl` option, which is the minimum field in full.
    """
    times = (serial, REFRESH, RETRY, EXPIRE, ttl)
    rdata = SOA(under(zone, b"ns", b"dns"), under(zone, b"hostmaster"), times)
    return RR(zone, _SOA, ttl=min(ttl, SOA_TTL_LIMIT), rdata=rdata)


def under(zone: DNSLabel, *labels: bytes) -> DNSLabel:
    return DNSLabel((*labels, *zone.label))


_PARSED: dict[int, Callable[[bytes], RD]] = {
    _A: lambda rdata: A(tuple(rdata)),
    _AAAA: lambda rdata: AAAA(tuple(rdata)),
    _PTR: lambda rdata: PTR(DNSLabel(labels_of(rdata))),
    _SRV: _srv,
}
