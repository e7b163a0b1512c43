"""The state of an upstream, with a clock that the test moves."""

import pytest

from clusterdns.plugins.forward.healthcheck import LEAST_PAUSE_S, HealthCheck


class Clock:
    """Sends probes and runs pauses, as the test says."""

    def __init__(self, max_fails: int = 2, pause_s: float = 0.5) -> None:
        self.sent = 0
        self.pauses: list[float] = []
        self.health = HealthCheck(max_fails, pause_s, self._send, self.pauses.append)

    def _send(self) -> None:
        self.sent += 1

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.health.failed()
            self.health.due()


def test_it_is_well_until_a_query_fails() -> None:
    clock = Clock()
    assert (clock.sent, clock.health.is_down) == (0, False)
    clock.health.suspect()
    assert (clock.sent, clock.health.is_down) == (1, False)


def test_one_probe_at_a_time() -> None:
    clock = Clock()
    for _ in range(5):
        clock.health.suspect()
    assert clock.sent == 1
    clock.health.failed()
    clock.health.suspect()
    assert (clock.sent, clock.pauses) == (1, [0.5])
    clock.health.due()
    clock.health.suspect()
    assert clock.sent == 2


@pytest.mark.parametrize(("max_fails", "needed"), [(1, 2), (2, 3), (5, 6)])
def test_it_is_down_with_more_failed_probes_than_max_fails(max_fails: int, needed: int) -> None:
    """3.3.1; 7.3, 52: queries that fail do not count."""
    clock = Clock(max_fails)
    clock.health.suspect()
    clock.fail(needed - 1)
    assert not clock.health.is_down
    clock.fail()
    assert clock.health.is_down


def test_any_reply_makes_it_well() -> None:
    clock = Clock()
    clock.health.suspect()
    clock.fail(7)
    assert clock.health.is_down
    clock.health.replied()
    assert (clock.health.fails, clock.health.is_down) == (0, False)
    sent = clock.sent
    clock.health.due()  # no pause is left over
    assert clock.sent == sent
    clock.health.suspect()
    assert clock.sent == sent + 1


def test_max_fails_0_is_never_down_and_never_probed() -> None:
    clock = Clock(max_fails=0)
    clock.health.suspect()
    assert clock.sent == 0
    clock.health.failed()
    assert not clock.health.is_down


def test_a_pause_of_0_is_not_none() -> None:
    clock = Clock(pause_s=0)
    clock.health.suspect()
    clock.fail()
    assert clock.pauses == [LEAST_PAUSE_S]


def test_stopped_it_probes_no_more() -> None:
    clock = Clock()
    clock.health.suspect()
    clock.health.stop()
    clock.fail(3)
    assert (clock.sent, clock.pauses) == (1, [])
    other = Clock()
    other.health.stop()
    other.health.suspect()
    assert other.sent == 0
