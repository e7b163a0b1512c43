"""What fits, and TC."""

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from typing import NamedTuple


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
    rrsets: Sequence[Hashable],
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
    rrsets: of each record in Additional the RRset that it belongs to; nobody looks where others
        than those do not fit.
    start: offset of the first record.
    """
    needed = sections[0] + sections[1]
    kept = bisect_right(ends, room)
    if needed <= kept < sum(sections):
        kept = needed + _whole_rrsets(rrsets, kept - needed)
    answer = min(kept, sections[0])
    authority = min(kept, needed) - answer
    return Fit(
        answer,
        authority,
        kept - answer - authority,
        ends[kept - 1] if kept else start,
        kept < needed,
    )


def _whole_rrsets(rrsets: Sequence[Hashable], kept: int) -> int:
    """How many of the first `kept` records can stay without an RRset being cut."""
    lost = set(rrsets[kept:])
    while kept:
        cut = next((i for i in range(kept) if rrsets[i] in lost), kept)
        if cut == kept:
            break
        lost.update(rrsets[cut:kept])
        kept = cut
    return kept
