"""A zone file as names and their records (RFC 1035 section 5); dnspython reads it.

Imported only where a zone file is configured.
"""

import io
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tokenizer
import dns.zonefile
from dnslib import RD, RDMAP, RR, DNSBuffer, DNSLabel

from clusterdns.errors import SourceError
from clusterdns.zone.tokens import Tokens

Labels = tuple[bytes, ...]  # lower-case (RFC 4343), without the root's; () is the root

SOA, RRSIG = 6, 46
# Whose rdata dnslib builds, as it may be compressed or looked at; the rest are octets as they are.
_READ = frozenset({1, 2, 5, SOA, 12, 15, 28, 33})  # A NS CNAME SOA PTR MX AAAA SRV
INCLUDES = 7  # one file inside the other, as CoreDNS has it: one that includes itself ends
_NO_TTL = "Missing default TTL value"  # what dnspython says
_INCLUDE = re.compile(r'^(\s*\$INCLUDE\s+)([^\s;"]+)', re.IGNORECASE | re.MULTILINE)


class RRset:
    """The records of one name and type: TTL in seconds, rdata as dnslib has it."""

    __slots__ = ("rdatas", "rtype", "ttl")

    def __init__(self, rtype: int, ttl: int, rdatas: list[RD]) -> None:
        self.rtype = rtype
        self.ttl = ttl
        self.rdatas = rdatas

    def records(self, owner: DNSLabel) -> list[RR]:
        """As records of this name."""
        return [RR(owner, self.rtype, ttl=self.ttl, rdata=rdata) for rdata in self.rdatas]


class Node:
    """What one name has; nothing at all for an empty non-terminal.

    signatures: by the type that they cover (RFC 4034 section 3).
    """

    __slots__ = ("rrsets", "signatures")

    def __init__(self) -> None:
        self.rrsets: dict[int, RRset] = {}
        self.signatures: dict[int, RRset] = {}

    def records(self, owner: DNSLabel, types: Iterable[int]) -> Iterator[RR]:
        """Its records of these types, each with what signs them."""
        for rtype in types:
            yield from self.rrsets[rtype].records(owner)
            if rtype in self.signatures:
                yield from self.signatures[rtype].records(owner)


class Zone:
    """One zone: its names, those between them and the apex among them."""

    def __init__(self, origin: Labels, nodes: dict[Labels, Node], told_of: Labels) -> None:
        """nodes: of the zone's names; the apex has a SOA record, told_of: the name it stood at."""
        self.origin = origin
        self.told_of = told_of
        self.nodes = nodes
        for name in list(nodes):
            for above in range(1, len(name) - len(origin)):
                nodes.setdefault(name[above:], Node())
        self._order = sorted(name[::-1] for name, node in nodes.items() if node.rrsets)

    @property
    def serial(self) -> int:
        """Of its SOA record."""
        return int(self.nodes[self.origin].rrsets[SOA].rdatas[0].times[0])

    @property
    def soa(self) -> RR:
        """Its SOA record."""
        return self.nodes[self.origin].rrsets[SOA].records(DNSLabel(self.origin))[0]

    def records(self) -> Iterator[RR]:
        """All but the SOA record: the apex's, NS records first, then names in their order."""
        apex = self.nodes[self.origin]
        owner = DNSLabel(self.origin)
        if SOA in apex.signatures:
            yield from apex.signatures[SOA].records(owner)
        yield from apex.records(owner, sorted(apex.rrsets.keys() - {SOA}))
        for name in self._order:
            if name != self.origin[::-1]:
                node = self.nodes[name[::-1]]
                yield from node.records(DNSLabel(name[::-1]), sorted(node.rrsets))

    def before(self, name: Labels) -> Labels:
        """The zone's last name that is not behind this one, in the order of RFC 4034 section 6.1.

        name: in the zone.
        """
        at = bisect_left(self._order, (*name[::-1], b""))
        return self._order[at - 1][::-1]


def read(text: str, origin: Labels, file: str) -> Zone:
    """The zone that a file tells of; records of names outside of it are left out.

    A SOA record of a name below the zone counts as the zone's, as with CoreDNS: `file` in the
    server block of the root is often given the file of another zone.
    Records have the TTL that was said last, and 0 where none was before the SOA record, as with
    CoreDNS: its minimum is not meant for them (RFC 2308 section 4).
    file: its path, for what it includes and for messages.
    Raises SourceError with file and line of what is wrong.
    """
    collected = Collected(dns.name.Name((*origin, b"")), any_soa=True)
    tokens = Tokens(_placed_below(text, file), file)
    reader = _Reader(tokens, dns.rdataclass.IN, collected.writer(True), allow_include=True)
    try:
        reader.read()
    except dns.exception.SyntaxError as error:
        raise SourceError(_placed(str(error), reader.tok)) from error
    except (dns.exception.DNSException, OSError, ValueError) as error:
        where, line = reader.tok.where()
        raise SourceError(f"{where}:{line}: {error or type(error).__name__}") from error
    return collected.zone(file)


class Collected(dns.zonefile.RRSetsReaderManager):
    """What becomes of a zone that dnspython reads from a file or a primary server.

    Its own zones have no room for CNAME records beside others: it refuses the file, drops the
    others, and of two CNAME records keeps one. CoreDNS serves such zones, and those with one at the
    apex are not rare: it counts for all types but SOA and NS.
    """

    def __init__(self, origin: dns.name.Name, *, any_soa: bool = False) -> None:
        """any_soa: the SOA record may stand at any name of the zone."""
        super().__init__(origin)
        self._origin = origin
        self._any_soa = any_soa
        self._records = _Records(self, origin, any_soa)

    def writer(self, replacement: bool = False) -> "_Records":
        """What takes the records, all of them anew."""
        self._records = _Records(self, self._origin, self._any_soa)
        return self._records

    def zone(self, where: str) -> Zone:
        """All of it. where: it came from, for messages.

        Raises SourceError if there is no SOA record.
        """
        origin, nodes = _folded(self._origin), self._records.nodes()
        if origin not in nodes or SOA not in nodes[origin].rrsets:
            raise SourceError(f"{where}: there is no SOA record of {self._origin}")
        return Zone(origin, nodes, _folded(self._records.told_of))


class _Records(dns.zonefile.RRsetsReaderTransaction):
    """The records of a zone, as they come."""

    def __init__(self, manager: Collected, origin: dns.name.Name, any_soa: bool) -> None:
        super().__init__(manager, True, False)  # type: ignore[no-untyped-call] # as dnspython has it
        self._origin = origin
        self._any_soa = any_soa
        self.told_of = origin  # where the SOA record stood
        # By name, then type and covered type: the lowest TTL, and rdata in order, each once.
        self._found: dict[Labels, dict[tuple[int, int], tuple[int, dict[dns.rdata.Rdata, None]]]]
        self._found = {}

    def check_put_rdataset(self, check: Callable[..., None]) -> None:
        """Has nothing checked."""

    def add(self, *record: Any) -> None:
        """Takes a record: name, TTL and rdata; or name and rdataset."""
        if len(record) == 2:
            name, rdataset = record
            for rdata in rdataset:
                self._take(name, rdataset.ttl, rdata)
        else:
            self._take(*record)

    def replace(self, *record: Any) -> None:
        """Takes the SOA record with which a transfer ends."""
        self.add(*record)

    def _take(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        if rdata.rdtype == SOA:
            if name != self._origin and not self._any_soa:
                raise ValueError(f"a SOA record of {name}, which is not the zone")
            name, self.told_of = self._origin, name
        rrsets = self._found.setdefault(_folded(name), {})
        key = int(rdata.rdtype), int(rdata.covers())
        least, known = rrsets.get(key, (ttl, {}))
        if rdata.rdtype == SOA:
            known.clear()  # the last one counts
        known[rdata] = None
        rrsets[key] = min(least, ttl), known

    def nodes(self) -> dict[Labels, Node]:
        """What every name has."""
        return {
            name: _node((*key, ttl, rdatas) for key, (ttl, rdatas) in rrsets.items())
            for name, rrsets in self._found.items()
        }


class _Reader(dns.zonefile.Reader):
    """Finds what a file includes beside that file, also where it is included itself; dnspython
    looks in the folder that the process runs in."""

    @property
    def tok(self) -> dns.tokenizer.Tokenizer:
        """What is read now."""
        return self._tokens

    @tok.setter
    def tok(self, tokens: dns.tokenizer.Tokenizer) -> None:
        if isinstance(tokens.file, io.TextIOWrapper):  # just opened for $INCLUDE
            with tokens.file as file:
                if len(self.saved_state) > INCLUDES:
                    text = f"$INCLUDE more than {INCLUDES} files deep"
                    raise dns.exception.SyntaxError(text)  # type: ignore[no-untyped-call]
                tokens = Tokens(_placed_below(file.read(), tokens.filename), tokens.filename)
        self._tokens = tokens

    def _implicit_ttl(self) -> int | None:
        of_minimum = self.default_ttl_from_soa and not self.last_ttl_known
        return 0 if of_minimum else super()._implicit_ttl()


def _placed_below(text: str, file: str) -> str:
    """The text with the paths of what it includes below the folder of this file."""
    folder = os.path.dirname(file)
    return _INCLUDE.sub(lambda found: found[1] + os.path.join(folder, found[2]), text)


def _placed(message: str, tokens: dns.tokenizer.Tokenizer) -> str:
    """The message with the line that it is about.

    dnspython counts a line when it sees its end, also where that only ends the last word of it:
    `a A x`, the first line, gives FILE:2. For want of a TTL it has read the whole line.
    """
    where, line = tokens.where()
    if tokens.ungotten_char != "\n" and not message.endswith(_NO_TTL):
        return message
    return f"{where}:{line - 1}: {message.removeprefix(f'{where}:{line}: ')}"


def _node(found: Iterable[tuple[int, int, int, Iterable[dns.rdata.Rdata]]]) -> Node:
    """What a name has of types, covered types, TTLs and their rdata."""
    node = Node()
    for rtype, covers, ttl, rdatas in found:
        rrset = RRset(rtype, ttl, [_rdata(rtype, each.to_wire()) for each in rdatas])
        if rtype == RRSIG:
            node.signatures[covers] = rrset
        else:
            node.rrsets[rtype] = rrset
    return node


def _folded(name: dns.name.Name) -> Labels:
    return tuple(label.lower() for label in name.labels[:-1])


def _rdata(rtype: int, octets: bytes | None) -> RD:
    """dnslib's form of rdata; octets have no compressed names."""
    assert octets is not None
    if rtype not in _READ:
        return RD(octets)
    return RDMAP[dns.rdatatype.to_text(dns.rdatatype.RdataType(rtype))].parse(
        DNSBuffer(octets), len(octets)
    )
