"""`dns64`: IPv6 addresses made of IPv4 ones, for clients that reach those by NAT64 (RFC 6147)."""

from collections.abc import Sequence
from ipaddress import IPv6Network

from dnslib import AAAA, QTYPE, RR

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address, parse_cidr
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, no_arguments
from clusterdns.errors import ConfigError
from clusterdns.metrics import Counter
from clusterdns.plugins.base import Plugin, Sees, Setup
from clusterdns.plugins.lines import first_argument, read_options
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.message import IN, NXDOMAIN
from clusterdns.wire.question import Question

WELL_KNOWN = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
SIZES = range(32, 97, 8)  # CoreDNS's; RFC 6052 section 2.2 has no 72, 80 and 88
NO_BITS = 8  # the octet of an address that must be zero, RFC 6052 section 2.2
TTL_WITHOUT_SOA = 600  # seconds, the most; RFC 6147 section 5.1.7

translated = Counter(
    "coredns_dns64_requests_translated_total", "Queries answered with made addresses.", ("server",)
)


class Dns64(Plugin):
    """Where a name has no AAAA records, asks the server for its A records and makes some of them.

    translate_all: makes them where there are AAAA records too.
    allow_ipv4: for clients that ask over IPv4 as well.
    """

    name = "dns64"

    def __init__(self) -> None:
        self.prefix = WELL_KNOWN
        self.translate_all = False
        self.allow_ipv4 = False

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Dns64":
        """Of several the last word counts."""
        plugin = cls()

        def prefix(line: Directive) -> None:
            plugin.prefix = _prefix(first_argument(line, setup))

        def translate_all(line: Directive) -> None:
            no_arguments(line)
            plugin.translate_all = True

        def allow_ipv4(line: Directive) -> None:
            no_arguments(line)
            plugin.allow_ipv4 = True

        known = {"prefix": prefix, "translate_all": translate_all, "allow_ipv4": allow_ipv4}
        for directive in directives:
            with setup.attempt():
                for word in arguments(directive, 0, 1):
                    plugin.prefix = _prefix(word)
                read_options(directive, setup, known)
        plugin.sees = Sees.QUESTION if plugin.allow_ipv4 else Sees.CLIENT
        return plugin

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        reply = await next(query)
        if reply is None or not self._concerns(query) or not self._lacks(reply):
            return reply
        question = query.question
        inner = query.inner(Question(question.name, QTYPE.A, question.qclass, question.end))
        found = await query.exchange.resolve(inner)
        if found is None:
            return reply.rests_on((), 0.0)
        if found.rcode and not _has(found, QTYPE.A):  # the first reply tells better what is wrong
            return reply.rests_on(found.keys, found.until)
        translated.add(query.server)
        return self._made(reply, found)

    def _concerns(self, query: Query) -> bool:
        if query.question.qtype != QTYPE.AAAA or query.question.qclass != IN:
            return False
        client = parse_address(query.peer[0])
        return self.allow_ipv4 or client is None or client.version == 6

    def _lacks(self, reply: Reply) -> bool:
        """Whether the reply is one to be replaced: RFC 6147 sections 5.1.1 to 5.1.4."""
        if reply.rcode == NXDOMAIN and not reply.answer:
            return False
        return self.translate_all or not _has(reply, QTYPE.AAAA)

    def _made(self, reply: Reply, found: Reply) -> Reply:
        """The reply to the question for A as one for AAAA (RFC 6147 section 5.3)."""
        soas = [record.ttl for record in reply.authority if record.rtype == QTYPE.SOA]
        ttl = soas[-1] if soas else TTL_WITHOUT_SOA
        made = Reply(
            answer=[self._record(record, ttl) for record in found.answer],
            authority=found.authority,
            additional=found.additional,
            truncated=found.truncated,
            options=found.options,
            keys=found.keys,
            until=found.until,
            serial=found.serial,
            reorder=found.reorder,
        )
        return made.rests_on(reply.keys, reply.until)

    def _record(self, record: RR, ttl: int) -> RR:
        """An A record as AAAA, any other as it is."""
        if record.rtype != QTYPE.A:
            return record
        rdata = AAAA(tuple(embedded(self.prefix, bytes(record.rdata.data))))
        return RR(record.rname, QTYPE.AAAA, record.rclass, min(record.ttl, ttl), rdata)


def embedded(prefix: IPv6Network, address: bytes) -> bytes:
    """The IPv6 address that stands for an IPv4 one behind this prefix (RFC 6052 section 2.2)."""
    octets = bytearray(prefix.network_address.packed)
    places = [place for place in range(prefix.prefixlen // 8, 16) if place != NO_BITS]
    for place, octet in zip(places, address, strict=False):
        octets[place] = octet
    return bytes(octets)


def _has(reply: Reply, rtype: int) -> bool:
    return any(record.rtype == rtype for record in reply.answer)


def _prefix(word: Token) -> IPv6Network:
    parsed = parse_cidr(word.text)
    if parsed is None or parsed[0].version != 6 or parsed[1] not in SIZES:
        raise ConfigError(
            f"{word.text!r} is no IPv6 prefix of 32, 40, 48 ... 96 bits, as {WELL_KNOWN} is",
            word.place,
        )
    return IPv6Network(parsed, strict=False)
