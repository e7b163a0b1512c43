"""What a reply says, in a form that two servers' replies can be compared in."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

BITS = {name: int(dns.flags.Flag[name]) for name in ("AA", "TC", "RD", "RA", "AD", "CD")}


class Record(NamedTuple):
    """One record; names keep their spelling."""

    owner: str
    type: str
    data: str
    ttl: int

    def __str__(self) -> str:
        return f"{self.owner} {self.ttl} {self.type} {self.data}"


class Opt(NamedTuple):
    """An OPT record."""

    size: int
    version: int
    flags: int
    options: tuple[tuple[int, bytes], ...] = ()


Section = tuple[Record, ...]  # sorted; what is doubled is there twice


@dataclass(frozen=True)
class Answer:
    """A reply. Serials of SOA records are replaced: they depend on the moment."""

    rcode: str
    bits: frozenset[str]
    question: str = ""
    opcode: str = "QUERY"
    answer: Section = ()
    authority: Section = ()
    additional: Section = ()
    opt: Opt | None = None
    size: int = 0  # octets; not compared

    @property
    def sections(self) -> tuple[Section, Section, Section]:
        """Answer, authority, additional."""
        return self.answer, self.authority, self.additional

    def said(self) -> "Answer":
        """Without what is not compared."""
        return replace(self, size=0)

    def __str__(self) -> str:
        lines = [f"{self.opcode} {self.rcode} {' '.join(sorted(self.bits))} ;{self.question}"]
        for name, section in zip(("an", "ns", "ar"), self.sections, strict=True):
            shown = [f"  {name}: {record}" for record in section[:6]]
            lines += shown + [f"  {name}: ... {len(section)} in all"] * (len(section) > 6)
        return "\n".join([*lines, f"  {self.opt}"] if self.opt else lines)


UNREADABLE = Answer("unreadable", frozenset())


def decode(octets: bytes | None, client_port: int = 0) -> Answer | None:
    """The reply in these octets; None for no reply; UNREADABLE for what is no message.

    client_port: where it is the port of an SRV record (`whoami`), the record says CLIENT.
    """
    if octets is None:
        return None
    try:
        message = dns.message.from_wire(octets, one_rr_per_rrset=True, raise_on_truncation=False)
    except dns.exception.DNSException as error:
        return replace(UNREADABLE, question=f"{error!r} in {octets.hex()}")

    def section(rrsets: list[dns.rrset.RRset]) -> Section:
        return tuple(sorted(_record(rrset, client_port) for rrset in rrsets))

    return Answer(
        dns.rcode.to_text(message.rcode()),
        frozenset(name for name, bit in BITS.items() if message.flags & bit),
        " ".join(_question(asked) for asked in message.question),
        dns.opcode.to_text(message.opcode()),
        section(message.answer),
        section(message.authority),
        section(message.additional),
        opt=opt_of(message),
        size=len(octets),
    )


def chained(octets: bytes) -> bool:
    """Whether each CNAME stands before what it leads to, as stub resolvers need it."""
    message = dns.message.from_wire(octets, one_rr_per_rrset=True)
    if not message.question:
        return True
    names = {message.question[0].name}
    for rrset in message.answer:
        if rrset.name not in names:
            return False
        if rrset.rdtype == dns.rdatatype.CNAME:
            names.add(rrset[0].target)
    return True


def _question(asked: dns.rrset.RRset) -> str:
    kind = dns.rdatatype.to_text(asked.rdtype)
    return f"{asked.name} {dns.rdataclass.to_text(asked.rdclass)} {kind}"


def _record(rrset: dns.rrset.RRset, client_port: int) -> Record:
    rdata, kind = rrset[0], dns.rdatatype.to_text(rrset.rdtype)
    data = str(rdata)
    if rrset.rdtype == dns.rdatatype.SOA:
        data = data.replace(f" {rdata.serial} ", " SERIAL ", 1) if rdata.serial else data
    elif kind == "SRV" and client_port and rdata.port == client_port:
        data = data.replace(f" {client_port} ", " CLIENT ", 1)
    return Record(str(rrset.name), kind, data, rrset.ttl)


def opt_of(message: dns.message.Message) -> Opt | None:
    """The OPT record of a message."""
    if message.edns < 0:
        return None
    options = tuple((int(o.otype), o.to_wire() or b"") for o in message.options)
    return Opt(int(message.payload), message.edns, message.ednsflags & 0xFFFF, options)
