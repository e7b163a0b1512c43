"""What a zone may say about a name and type."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dnslib import RR, DNSLabel

from clusterdns.zone import records
from clusterdns.zone.grammar import Labels
from clusterdns.zone.records import Glue
from clusterdns.zone.view import Keys


@dataclass(slots=True)
class NoData:
    """The name exists without records of this type; the zone's SOA goes into authority."""

    zone: DNSLabel  # the apex, spelled as asked
    keys: Keys


@dataclass(slots=True)
class NxDomain:
    """No such name; the zone's SOA goes into authority, or the next plugin is asked."""

    zone: DNSLabel
    keys: Keys


@dataclass(slots=True)
class NotSynced:
    """Not known, but not everything was listed yet: SERVFAIL."""

    zone: DNSLabel
    keys: Keys


@dataclass(slots=True)
class NotOurs:
    """The name is in none of the zones."""


@dataclass(slots=True)
class Records:
    """What there is. Owners in `answer` are the name asked, or the targets of CNAMEs before.

    chase: the last CNAME's target, outside of the zone, whose A or AAAA records belong behind
        these; None when nothing more is to be found.
    """

    zone: DNSLabel
    keys: Keys
    answer: list[RR]
    additional: list[RR] = field(default_factory=list)
    chase: DNSLabel | None = None


@dataclass(slots=True)
class RRset:
    """One RRset at the name asked, of the type asked: what is asked for often, in wire form.

    glue: addresses of the names in it, with their owners; they belong into Additional.
    """

    zone: DNSLabel
    keys: Keys
    labels: Labels  # of the owner
    rtype: int  # A, AAAA, SRV or PTR
    ttl: int
    rdatas: Sequence[bytes]
    glue: Sequence[Glue] = ()

    def records(self) -> Records:
        """The same as dnslib has it."""
        answer = records.rrset(DNSLabel(self.labels), self.rtype, self.ttl, self.rdatas)
        return Records(self.zone, self.keys, answer, records.glue_records(self.glue, self.ttl))


Found = Records | NoData | NxDomain | NotSynced | NotOurs
