"""dnslib records for what the zone shows. Pure functions; owners and targets are absolute.

Names are made of octets, label by label: dnslib would send a text through IDNA.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dnslib import AAAA, CNAME, NS, PTR, QTYPE, RR, SOA, SRV, TXT, A, DNSLabel

from clusterdns.cluster.model import Address, Port

SCHEMA_VERSION = b"1.1.0"  # of the DNS specification for Kubernetes that names follow
SCHEMA_TTL = 28800  # seconds; what CoreDNS and kube-dns have always said here
SOA_TTL_LIMIT = 300  # seconds; the `ttl` option is not followed above it for SOA records
REFRESH, RETRY, EXPIRE = 7200, 1800, 86400  # seconds, RFC 1035 section 3.3.13; for secondaries

_A, _AAAA, _SRV, _PTR = QTYPE.A, QTYPE.AAAA, QTYPE.SRV, QTYPE.PTR
_CNAME, _NS, _SOA, _TXT = QTYPE.CNAME, QTYPE.NS, QTYPE.SOA, QTYPE.TXT


class Target(NamedTuple):
    """An address behind a Service, the name that SRV records give it, and the ports asked for."""

    host: DNSLabel
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


def service_records(
    owner: DNSLabel, targets: Sequence[Target], ttl: int, glue_ttl: int | None = None
) -> tuple[list[RR], list[RR]]:
    """SRV records for every port of every target, and their addresses as glue (RFC 2782).

    glue_ttl: of the addresses; None for the same.

    A target and port is given once, however many addresses and names of ports lead to it. The
    weight shares 100 among the pairs of address and port, both families counted; a pair that
    is in two slices while it moves is one. Ports without a number have no record, but count.
    """
    glue_ttl = ttl if glue_ttl is None else glue_ttl
    pairs = {
        (target.address or target.host.label, port) for target in targets for port in target.ports
    }
    weight = max(1, 100 // max(1, len(pairs)))
    answer: dict[tuple[tuple[bytes, ...], int], RR] = {}
    glue: dict[tuple[tuple[bytes, ...], Address], RR] = {}
    for host, address, ports in targets:
        name = tuple(map(bytes.lower, host.label))  # a DNSLabel would fold itself at each look-up
        for port in ports:
            number = port.number
            if number is None or not 0 <= number <= 0xFFFF:
                continue
            if (name, number) not in answer:
                rdata = SRV(priority=0, weight=weight, port=number, target=host)
                answer[name, number] = RR(owner, _SRV, ttl=ttl, rdata=rdata)
            if address and (name, address) not in glue:
                glue[name, address] = address_record(host, address, glue_ttl)
    return list(answer.values()), list(glue.values())


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
