"""Numbers as they are printed."""

import platform
from collections.abc import Sequence

from bench.asking import Answered

STALL_MS = 20.0  # an answer that takes longer is a stall


def machine() -> str:
    """What the figures were measured with."""
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed; nan of nothing."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values_ms: Sequence[float]) -> str:
    """p50, p99 and the greatest."""
    p50, p99 = percentile(values_ms, 50), percentile(values_ms, 99)
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {max(values_ms, default=0.0):.1f} ms"


def answer_times(answers: Sequence[Answered]) -> str:
    """How long answers took, and how many were stalled."""
    if not answers:
        return "no answers"
    times_ms = [each.after / 1e6 for each in answers]
    stalls = sum(each > STALL_MS for each in times_ms)
    return f"{len(times_ms)} answers: {spread(times_ms)}, {stalls} over {STALL_MS:g} ms"
