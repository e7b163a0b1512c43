import pytest

from clusterdns.plugins.forward import figures


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """Ports of tests before come again, and so would what was counted of them."""
    for counter in (
        figures.connection_hits,
        figures.connection_misses,
        figures.healthcheck_failures,
        figures.ignored_replies,
    ):
        counter.values.clear()
    figures.durations.buckets.clear()
    figures.durations.sums.clear()
