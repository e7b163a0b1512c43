"""Names in replies: owner names, and those that rdata holds."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass

from dnslib import DNAME, QTYPE, RD, RR, DNSLabel

from clusterdns.errors import ResolveError
from clusterdns.plugins.query import Reply
from clusterdns.plugins.rewrite.matchers import Rewriting
from clusterdns.wire.names import presented
from clusterdns.wire.question import Question

# The name in the rdata of these types, as dnslib calls it; of a SOA that is MNAME alone.
VALUES = {
    QTYPE.CNAME: "label",
    QTYPE.DNAME: "label",
    QTYPE.MX: "label",
    QTYPE.NAPTR: "replacement",
    QTYPE.NS: "label",
    QTYPE.PTR: "label",
    QTYPE.SOA: "mname",
    QTYPE.SRV: "target",
}


@dataclass(frozen=True, slots=True)
class Renamed:
    """Renames owners, or values, or both, in all sections.

    asked: the client's question; new names have its spelling, as far as their last labels are its.
    """

    rewriting: Rewriting
    asked: Question
    owners: bool = True
    values: bool = True

    async def apply(self, reply: Reply) -> None:
        reply.answer = self._section(reply.answer)
        reply.authority = self._section(reply.authority)
        reply.additional = self._section(reply.additional)

    def _section(self, records: Iterable[RR]) -> list[RR]:
        return [self._record(record) for record in records]

    def _record(self, record: RR) -> RR:
        owner = self._name(record.rname) if self.owners else record.rname
        rdata = self._value(record) if self.values else record.rdata
        if owner is record.rname and rdata is record.rdata:
            return record
        return RR(owner, record.rtype, record.rclass, record.ttl, rdata)

    def _value(self, record: RR) -> RD:
        """The rdata itself if it holds no name to rename."""
        rdata = record.rdata
        attribute = VALUES.get(record.rtype)
        if record.rtype == QTYPE.DNAME and type(rdata) is RD:
            rdata = _dname(rdata)
        if attribute is None or not hasattr(rdata, attribute):
            return record.rdata
        old = getattr(rdata, attribute)
        new = self._name(old)
        if new is old:
            return record.rdata
        rdata = copy(rdata)
        setattr(rdata, attribute, new)
        return rdata

    def _name(self, name: DNSLabel) -> DNSLabel:
        """The name itself if it is none to rename."""
        new = self.rewriting(presented(name.label))
        return name if new is None else self.asked.spelled(valid(new, "in a reply").labels)


def _dname(rdata: RD) -> RD:
    """What dnslib leaves as octets when it reads one from a message; itself if it is none."""
    try:
        return DNAME(Question(bytes(rdata.data), 0).label)
    except IndexError:
        return rdata


def valid(name: str, where: str = "") -> Question:
    """The question for a name that a rule has made, of type 0. Raises ResolveError for none."""
    try:
        return Question.of(name, 0)
    except ResolveError as error:
        raise ResolveError(f"invalid name after rewrite{where and ' ' + where}: {name}") from error
