"""When the last known state is written: in quiet moments, now and then, and not too often."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """When to write, in seconds."""

    quiet: float = 2.0  # without a change; a rollout is many changes at once
    latest: float = 60.0  # after a change, though there be no quiet moment
    spacing: float = 15.0  # between two writes: disks of small hosts wear out
    refresh: float = 1800.0  # without any change: that the state is still right is news too


class Schedule:
    """When to write: the rules of a Pace. All times are monotonic seconds."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._taken = -math.inf
        self._first = self._last = math.inf  # changes that are not written

    @property
    def unsaved(self) -> bool:
        return self._last < math.inf

    def changed(self, now: float) -> bool:
        """Notes a change; whether it is the first one since the last write."""
        fresh = not self.unsaved
        self._first = now if fresh else self._first
        self._last = now
        return fresh

    def taken(self, now: float) -> None:
        """What there is now is about to be written."""
        self._taken = now
        self._first = self._last = math.inf

    def due(self) -> float:
        """When to write next; math.inf while nothing was ever listed."""
        pace = self._pace
        if not self.unsaved:
            return self._taken + pace.refresh if self._taken > -math.inf else math.inf
        quiet = min(self._last + pace.quiet, self._first + pace.latest)
        return max(quiet, self._taken + pace.spacing)
