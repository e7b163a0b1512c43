"""What `reload` lines say, by the table of CoreDNS's setup_test.go."""

import pytest

from clusterdns.plugins.base import ReloadTimes
from tests.plugins.asking import fault, new_setup, parsed

GOOD = {
    "reload": ReloadTimes(30.0, 15.0),
    "reload 10s": ReloadTimes(10.0, 5.0),
    "reload 10s 2s": ReloadTimes(10.0, 2.0),
    "reload 2s 0s": ReloadTimes(2.0, 0.0),
    "reload 2s 1s": ReloadTimes(2.0, 1.0),
    "reload 10s 20s": ReloadTimes(10.0, 5.0),
    "reload 1h 1h": ReloadTimes(3600.0, 1800.0),
}
BAD = {
    "reload 1s": "1:8: 1s is no duration of 2.0s and up",
    "reload 0s": "1:8: 0s is no duration of 2.0s and up",
    "reload -30s": "1:8: -30s is no duration of 2.0s and up",
    "reload off": "1:8: 'off' is no duration, which has a unit, as in 30s or 1h30m",
    "reload 10": "1:8: '10' is no duration, which has a unit, as in 30s or 1h30m",
    "reload 10s 500ms": "1:12: 500ms is no jitter, which is 0 or 1s and up",
    "reload 10s -1s": "1:12: -1s is no jitter, which is 0 or 1s and up",
    "reload 10s x": "1:12: 'x' is no duration, which has a unit, as in 30s or 1h30m",
    "reload 10s 2s 1s": "1:15: reload takes at most 2 arguments; '1s' is too much",
}


@pytest.mark.parametrize(("text", "expected"), GOOD.items(), ids=GOOD)
def test_times(text: str, expected: ReloadTimes) -> None:
    setup = new_setup()
    parsed(text, setup)
    assert setup.reload == [expected]


@pytest.mark.parametrize(("text", "expected"), BAD.items(), ids=BAD)
def test_faults(text: str, expected: str) -> None:
    assert fault(text) == expected


def test_what_coredns_does_not_look_at() -> None:
    """7.5 (28)."""
    setup = new_setup()
    parsed("reload 10s {\n x\n}\nreload 1s", setup)
    assert setup.reload == [ReloadTimes(10.0, 5.0)]
    assert setup.warnings == [
        "Corefile:2:2: reload takes no block; it is ignored",
        "Corefile:4:1: a second reload in a server block is ignored",
    ]
