"""Queries as octets, and replies read by dnspython."""

from collections.abc import Iterable

import dns.edns
import dns.flags
import dns.message
import dns.rdatatype


def wire(
    name: str,
    qtype: str = "A",
    *,
    id: int = 4711,
    flags: int = dns.flags.RD,
    size: int | None = None,
    do: bool = False,
    options: Iterable[dns.edns.Option] = (),
    rdclass: str = "IN",
    version: int = 0,
) -> bytes:
    """A query's octets, the name spelled as given. size: of an OPT record; None: without one."""
    query = dns.message.make_query(name, qtype, rdclass, id=id)
    query.flags = dns.flags.Flag(flags)
    if size is not None:
        edns_flags = dns.flags.DO if do else 0
        query.use_edns(version, edns_flags, payload=size, options=list(options))
    return query.to_wire()


def read(octets: bytes) -> dns.message.Message:
    """A reply."""
    return dns.message.from_wire(octets)


def lines(reply: dns.message.Message) -> list[str]:
    """The answer section as master-file lines, in its order."""
    return [line for rrset in reply.answer for line in rrset.to_text().splitlines()]
