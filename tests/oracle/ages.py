"""How old a reply may be that a server has kept: TTLs of two servers that kept the same one differ
by the seconds between, since each of them kept it at another moment."""

from collections.abc import Container
from dataclasses import replace
from typing import NamedTuple

from tests.oracle.answers import Answer, Section


class Span(NamedTuple):
    """Monotonic seconds between which something happened."""

    begin: float
    end: float


class Ages(NamedTuple):
    """Whole seconds; the age was in between."""

    least: int
    most: int


NEW = Ages(0, 0)


def ages(kept: Span, asked: Span) -> Ages:
    """How old what was kept then can have been when it was asked for.

    asked: from when the question was sent until its reply was there.
    """
    return Ages(max(0, int(asked.begin - kept.end)), max(0, int(asked.end - kept.begin)))


def may_differ(theirs: Ages, ours: Ages) -> range:
    """By how much their TTL may be more than ours, if both counted down from the same."""
    return range(ours.least - theirs.most, ours.most - theirs.least + 1)


def aged(theirs: Answer, ours: Answer, apart: Container[int]) -> Answer:
    """Their answer, with our TTLs in each section where none is further apart."""

    def section(their: Section, our: Section) -> Section:
        pairs = zip(their, our, strict=False)
        good = len(their) == len(our) and all(
            one[:3] == two[:3] and one.ttl - two.ttl in apart for one, two in pairs
        )
        return our if good else their

    found = [section(*pair) for pair in zip(theirs.sections, ours.sections, strict=True)]
    return replace(theirs, answer=found[0], authority=found[1], additional=found[2])
