"""From a question to what a zone file says: RFC 1034 section 4.3.2, RFC 4592, RFC 6672."""

from dataclasses import dataclass, field

from dnslib import CNAME, RR, DNSLabel

from clusterdns.wire.names import MAX_NAME, labels_of
from clusterdns.zone.masterfile import SOA, Labels, Node, RRset, Zone

A, NS, CNAME_TYPE, MX, AAAA, SRV, DNAME, DS, RRSIG, NSEC = 1, 2, 5, 15, 28, 33, 39, 43, 46, 47
SERVFAIL, NXDOMAIN, YXDOMAIN = 2, 3, 6
ASTERISK = b"*"
MOST_STEPS = 8  # CNAME records one behind the other, CoreDNS's bound
_OF_EVERY_APEX = frozenset({SOA, NS})
# A CNAME record does not stand for these; for what makes a name an apex it may not stand there.
_BESIDE_ALIASES = frozenset({CNAME_TYPE, NSEC}) | _OF_EVERY_APEX


@dataclass(slots=True)
class Answer:
    """What the zone says.

    chase: a name outside of the zone at which the CNAME records end; the answer goes on there.
    authoritative: AA; a referral alone is not.
    absent: the name has no records, so that somebody else may know it (`fallthrough`): it does not
        exist, is an empty non-terminal, or an apex that has nothing but what makes it one.
    wildcard: what stands in for the name if that is not there, in lower case.
    """

    rcode: int = 0
    answer: list[RR] = field(default_factory=list)
    authority: list[RR] = field(default_factory=list)
    additional: list[RR] = field(default_factory=list)
    authoritative: bool = True
    chase: DNSLabel | None = None
    absent: bool = False
    wildcard: DNSLabel | None = None


class Authority:
    """Answers from one zone."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def find(self, labels: Labels, qtype: int, do: bool = False) -> Answer:
        """The answer for a name of the zone, at or below its apex, spelled as asked.

        do: with the DNSSEC records that the file has (RFC 4035 section 3.1).
        """
        return _Walk(self.zone, labels, qtype, do).answer


class _Walk:
    """One question on its way through the zone."""

    def __init__(self, zone: Zone, labels: Labels, qtype: int, do: bool) -> None:
        self.zone, self.qtype, self.do = zone, qtype, do
        self.apex = labels[len(labels) - len(zone.origin) :]  # spelled as asked
        self.answer = Answer()
        self.seen: set[Labels] = set()
        self._step(labels)

    def _of_apex(self, rtype: int) -> list[RR]:
        return self._records(self.zone.nodes[self.zone.origin], rtype, self.apex)

    def _step(self, labels: Labels) -> None:
        """Looks for one name: the question's, or the target of a CNAME record."""
        folded = tuple(label.lower() for label in labels)
        self.seen.add(folded)
        above = len(self.zone.origin)
        for depth in range(above, len(folded) + 1):
            here = folded[len(folded) - depth :]
            node = self.zone.nodes.get(here)
            if node is None:
                self._missing(labels, depth - 1)
                return
            is_last = depth == len(folded)
            if not is_last and DNAME in node.rrsets:
                self._substitute(node, labels, depth)
                return
            if depth > above and NS in node.rrsets and not (is_last and self.qtype == DS):
                self._refer(node, labels[len(labels) - depth :])
                return
        self._found(self.zone.nodes[folded], labels)

    def _found(self, node: Node, labels: Labels) -> None:
        """The name, or a wildcard for it, exists; labels: the owner of its records."""
        is_alias = CNAME_TYPE in node.rrsets
        if is_alias and not (self.qtype in _BESIDE_ALIASES and self.qtype in node.rrsets):
            self.answer.answer += self._records(node, CNAME_TYPE, labels)
            self._follow(node.rrsets[CNAME_TYPE].rdatas[0].label)
            return
        records = self._records(node, self.qtype, labels)  # none of type ANY, as in CoreDNS
        if self.qtype == RRSIG:
            owner = DNSLabel(labels)
            signed = [node.signatures[rtype] for rtype in sorted(node.signatures)]
            records = [each for signatures in signed for each in signatures.records(owner)]
        if not records:
            is_apex = len(labels) == len(self.apex)
            of_its_own = node.rrsets.keys() - (_OF_EVERY_APEX if is_apex else ())
            self.answer.absent = not self.answer.answer and not of_its_own
            self._negative(labels)
            return
        self.answer.answer += records
        if not (self.qtype == NS and len(labels) == len(self.apex)):
            self.answer.authority += self._of_apex(NS)
        self._add_addresses(records)

    def _missing(self, labels: Labels, depth: int) -> None:
        """The name is not there; its closest encloser has so many labels (RFC 4592 3.3.1)."""
        encloser = tuple(label.lower() for label in labels[len(labels) - depth :])
        wildcard = (ASTERISK, *encloser)
        node = self.zone.nodes.get(wildcard)
        if node is not None:
            if not self.answer.answer:
                self.answer.wildcard = DNSLabel(wildcard)
            self._found(node, labels)
            if SOA not in {record.rtype for record in self.answer.authority}:
                self._deny(labels)
            else:
                self._deny(wildcard)
            return
        self.answer.rcode = NXDOMAIN
        self.answer.absent = not self.answer.answer
        self._negative(labels)
        self._deny(wildcard)

    def _negative(self, labels: Labels) -> None:
        """The SOA record, its TTL that of the answer (RFC 2308 section 3)."""
        records = self._of_apex(SOA)
        ttl = min(records[0].ttl, records[0].rdata.times[-1])
        for record in records:
            record.ttl = ttl
        self.answer.authority += records
        self._deny(labels)

    def _deny(self, labels: Labels) -> None:
        """The NSEC record that tells what the name lacks, or that it is not there: RFC 4035 3.1.3.

        Does nothing unless it is asked for and the file has it.
        """
        if not self.do:
            return
        name = self.zone.before(tuple(label.lower() for label in labels))
        records = self._records(self.zone.nodes[name], NSEC, name)
        self.answer.authority += [each for each in records if each not in self.answer.authority]

    def _refer(self, node: Node, cut: Labels) -> None:
        """The name is in a zone of others (RFC 1034 section 4.2.1)."""
        servers = node.rrsets[NS]
        self.answer.authoritative = bool(self.answer.answer)
        self.answer.authority += servers.records(DNSLabel(cut))
        if self.do:
            self.answer.authority += self._records(node, DS, cut) or self._records(node, NSEC, cut)
        below = tuple(label.lower() for label in cut)
        inside = [
            record
            for record in servers.records(DNSLabel(cut))
            if tuple(label.lower() for label in record.rdata.label.label[-len(below) :]) == below
        ]
        self._add_addresses(inside)  # of others the client asks others, as in CoreDNS

    def _substitute(self, node: Node, labels: Labels, depth: int) -> None:
        """The name is below one with a DNAME record (RFC 6672 section 3.2)."""
        owner = labels[len(labels) - depth :]
        self.answer.answer += self._records(node, DNAME, owner)
        found = node.rrsets[DNAME]
        target = labels[: len(labels) - depth] + labels_of(found.rdatas[0].data)
        if sum(len(label) + 1 for label in target) + 1 > MAX_NAME:
            self.answer.rcode = YXDOMAIN
            return
        made = RRset(CNAME_TYPE, found.ttl, [CNAME(DNSLabel(target))])
        self.answer.answer += made.records(DNSLabel(labels))
        if self.qtype == CNAME_TYPE:
            self.answer.authority += self._of_apex(NS)
            return
        self._follow(DNSLabel(target))

    def _follow(self, target: DNSLabel) -> None:
        """Goes on at the target of a CNAME record."""
        folded = tuple(label.lower() for label in target.label)
        origin = self.zone.origin
        if folded[len(folded) - len(origin) :] != origin or len(folded) < len(origin):
            self.answer.chase = target
            self.answer.authority += self._of_apex(NS)
        elif folded in self.seen:  # names that lead to each other say no more than that
            self.answer.authority += self._of_apex(NS)
        elif len(self.seen) > MOST_STEPS:
            self.answer.rcode = SERVFAIL
        else:
            self._step(target.label)

    def _add_addresses(self, records: list[RR]) -> None:
        """Addresses of the names that NS, MX and SRV records point to, as far as they are here."""
        known = {(each.rname, each.rtype) for each in self.answer.answer}
        for record in records:
            if record.rtype in {NS, MX, SRV}:
                rdata = record.rdata
                target = rdata.target if record.rtype == SRV else rdata.label
                for rtype in (A, AAAA):
                    if (target, rtype) not in known:
                        known.add((target, rtype))
                        self._add_address(target, rtype)

    def _add_address(self, target: DNSLabel, rtype: int) -> None:
        node = self.zone.nodes.get(tuple(label.lower() for label in target.label))
        if node is not None:
            self.answer.additional += self._records(node, rtype, target.label)

    def _records(self, node: Node, rtype: int, owner: Labels) -> list[RR]:
        """Records of a name, with what signs them where that is asked for."""
        rrset = node.rrsets.get(rtype)
        if rrset is None:
            return []
        records = rrset.records(DNSLabel(owner))
        if self.do and rtype in node.signatures:
            records += node.signatures[rtype].records(DNSLabel(owner))
        return records
