"""Counters, histograms and gauges."""

from typing import Any

import pytest

from clusterdns import metrics
from clusterdns.metrics import COUNTERS, GAUGES, HISTOGRAMS, Gauge, Histogram


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test defines is not one of the process's."""
    for name in ("COUNTERS", "HISTOGRAMS", "GAUGES"):
        monkeypatch.setattr(metrics, name, [])


def test_a_histogram() -> None:
    histogram = Histogram("a_seconds", "A.", (0.1, 0.5, 1.0), ("kind",))
    for figure in (0.05, 0.1, 0.100001, 0.5, 0.9, 1.0, 1.1, 100.0):
        histogram.observe(figure, "x")
    histogram.observe(0.25, "y", times=4)
    assert histogram.buckets["x",] == [2, 2, 2, 2]
    assert histogram.sums["x",] == pytest.approx(103.750001)
    assert histogram.buckets["y",] == [0, 4, 0, 0]
    assert histogram.sums["y",] == 1.0
    assert [histogram.count(label) for label in "xyz"] == [8, 4, 0]


def test_a_gauge() -> None:
    """The largest of those who have it; nothing while nobody has."""
    gauge = Gauge("b_seconds", "B.", ("kind",))
    assert gauge.values() == {}
    with gauge.given_by(lambda: {("a",): -2.0, ("b",): 3.0}):
        assert gauge.values() == {("a",): -2.0, ("b",): 3.0}
        with gauge.given_by(lambda: {("a",): -3.0, ("b",): 5.0, ("c",): 0.0}):
            assert gauge.values() == {("a",): -2.0, ("b",): 5.0, ("c",): 0.0}
    with pytest.raises(ZeroDivisionError), gauge.given_by(lambda: {("a",): 1.0}):
        raise ZeroDivisionError
    assert gauge.values() == {}


def test_everything_is_known() -> None:
    Histogram("c_seconds", "C.", ())
    Gauge("d", "D.")
    metrics.Counter("e_total", "E.")
    assert [each.name for each in metrics.HISTOGRAMS] == ["c_seconds"]
    assert [each.name for each in metrics.GAUGES] == ["d"]
    assert [each.name for each in metrics.COUNTERS] == ["e_total"]


def test_names_are_unique() -> None:
    kinds: tuple[list[Any], ...] = (COUNTERS, HISTOGRAMS, GAUGES)
    names = [each.name for kind in kinds for each in kind]
    assert len(names) == len(set(names))
    assert all(name.startswith(("clusterdns_", "coredns_")) for name in names)
    assert all(each.name.endswith("_total") for each in COUNTERS)


def test_the_buckets_of_the_programming_duration() -> None:
    """4.7: 0.001 * 2**k, k = 0 to 19."""
    bounds = metrics.dns_programming_duration.bounds
    assert (len(bounds), bounds[0], bounds[-1]) == (20, 0.001, 524.288)
