"""What fits, and TC."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from dnslib import RR


class Fit(NamedTuple):
    """What of a message may be sent."""

    answer: int  # so many records of each section, from its start
    authority: int
    additional: int
    end: int  # octets of the message up to the last of them
    truncated: bool  # TC


def fit(
    ends: Sequence[int],
    sections: tuple[int, int, int],
    additional: Sequence[RR],
    start: int,
    room: int,
) -> Fit:
    """The longest run of whole records from the first one that ends within `room` octets.

    TC says that records of Answer or Authority are missing; what they lose of Additional is
    nobody's loss (RFC 2181 section 9), but then an RRset there goes as a whole, since a client
    that sees no TC takes it for complete.

    ends: offset behind each record as packed, in the order of the message; those behind the first
        that does not fit may be left out.
    sections: how many records Answer, Authority and Additional have.
    start: offset of the first record.
    """
    needed = sections[0] + sections[1]
    kept = bisect_right(ends, room)
    if needed <= kept < sum(sections):
        kept = needed + _whole_rrsets(additional, kept - needed)
    answer = min(kept, sections[0])
    authority = min(kept, needed) - answer
    return Fit(
        answer,
        authority,
        kept - answer - authority,
        ends[kept - 1] if kept else start,
        kept < needed,
    )


def _whole_rrsets(records: Sequence[RR], kept: int) -> int:
    """How many of the first `kept` records can stay without an RRset being cut."""
    lost = {_rrset(record) for record in records[kept:]}
    while kept:
        cut = next((i for i in range(kept) if _rrset(records[i]) in lost), kept)
        if cut == kept:
            break
        lost.update(_rrset(record) for record in records[cut:kept])
        kept = cut
    return kept


def _rrset(record: RR) -> tuple[object, int, int]:
    return record.rname, record.rtype, record.rclass
