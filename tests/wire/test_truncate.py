"""What stays when not all fits: RFC 2181 section 9."""

import pytest
from dnslib import RR

from clusterdns.wire.truncate import Fit, fit
from tests.wire.build import address

ONE, TWO, THREE = [[address(owner, (10, 0, 0, n)) for n in range(3)] for owner in "abc"]
SHUFFLED = [ONE[0], TWO[0], THREE[0], ONE[1], THREE[1]]
SINGLE = [ONE[0], TWO[0], THREE[0]]

CASES = {
    # ends, sections, additional, room: what stays
    "all of it": ([20, 30, 40], (1, 1, 1), ONE[:1], 40, Fit(1, 1, 1, 40, False)),
    "no records at all": ([], (0, 0, 0), [], 40, Fit(0, 0, 0, 10, False)),
    "not even the first": ([20, 30], (2, 0, 0), [], 19, Fit(0, 0, 0, 10, True)),
    "a whole record short by an octet": ([20, 30], (2, 0, 0), [], 29, Fit(1, 0, 0, 20, True)),
    "an RRset in Answer may be cut: TC": ([20, 30], (2, 0, 0), [], 25, Fit(1, 0, 0, 20, True)),
    "Authority cut: TC": ([20, 30], (1, 1, 0), [], 25, Fit(1, 0, 0, 20, True)),
    "Answer cut: nothing behind it stays": (
        [20, 30],  # where packing stopped
        (2, 1, 3),
        SINGLE,
        25,
        Fit(1, 0, 0, 20, True),
    ),
    "all glue lost: no TC": ([20, 30], (1, 0, 3), SINGLE, 25, Fit(1, 0, 0, 20, False)),
    "some glue lost: no TC": ([20, 30, 40], (1, 0, 3), SINGLE, 35, Fit(1, 0, 1, 30, False)),
    "no glue RRset is cut": ([20, 30, 40], (1, 0, 3), ONE, 35, Fit(1, 0, 0, 20, False)),
    "the one before it stays": (
        [20, 30, 40, 50, 60],
        (0, 0, 4),
        [TWO[0], *ONE],
        45,
        Fit(0, 0, 1, 20, False),
    ),
    "nor one that another is mixed with": (
        [20, 30, 40, 50, 60],
        (0, 0, 5),
        SHUFFLED,
        55,  # THREE loses one, so both go, and with them a part of ONE
        Fit(0, 0, 0, 10, False),
    ),
}


@pytest.mark.parametrize(
    ("ends", "sections", "additional", "room", "kept"), CASES.values(), ids=CASES
)
def test_fit(
    ends: list[int],
    sections: tuple[int, int, int],
    additional: list[RR],
    room: int,
    kept: Fit,
) -> None:
    rrsets = [(record.rname, record.rtype) for record in additional]
    assert fit(ends, sections, rrsets, start=10, room=room) == kept
