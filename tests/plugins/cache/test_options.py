"""What `cache` lines say, by the tables of CoreDNS's setup_test.go."""

import pytest

from clusterdns.plugins.cache.options import CAPACITY, Limits, Prefetch, Rules, Stale
from tests.plugins.asking import fault, new_setup, parsed
from tests.plugins.cache.replies import rules

LEAST = 1024  # CoreDNS: 256 shards of at least 4
SUCCESS, DENIAL = Limits(CAPACITY, 3600, 5), Limits(CAPACITY, 1800, 5)
ROOT = (".",)

GOOD = {
    "cache": Rules(ROOT),
    "cache {\n}": Rules(ROOT),
    "cache example.nl {\nsuccess 10\n}": Rules(("example.nl.",), Limits(LEAST, 3600)),
    "cache example.nl {\nsuccess 10 1800 30\n}": Rules(("example.nl.",), Limits(LEAST, 1800, 30)),
    "cache example.nl {\nsuccess 10\ndenial 10 15\n}": Rules(
        ("example.nl.",), Limits(LEAST, 3600), Limits(LEAST, 15)
    ),
    "cache example.nl {\nsuccess 10\ndenial 10 15 2\n}": Rules(
        ("example.nl.",), Limits(LEAST, 3600), Limits(LEAST, 15, 2)
    ),
    "cache 25 example.nl {\nsuccess 10\ndenial 10 15\n}": Rules(
        ("example.nl.",), Limits(LEAST, 25), Limits(LEAST, 15)
    ),
    "cache 25 example.nl {\nsuccess 10\ndenial 10 15 5\n}": Rules(
        ("example.nl.",), Limits(LEAST, 25), Limits(LEAST, 15, 5)
    ),
    "cache aaa example.nl": Rules(("aaa.", "example.nl.")),
    "cache {\nprefetch 10\n}": Rules(ROOT, prefetch=Prefetch(10)),
    "cache {\nprefetch 10 5m 25%\n}": Rules(ROOT, prefetch=Prefetch(10, 300.0, 25)),
    "cache {\nprefetch 0\n}": Rules(ROOT),
    "cache 30": Rules(ROOT, Limits(CAPACITY, 30), Limits(CAPACITY, 30)),
    "cache +30": Rules(ROOT, Limits(CAPACITY, 30), Limits(CAPACITY, 30)),
    "cache 10.0.0.0/16": Rules(("0.10.in-addr.arpa.",)),
    "cache {\nsuccess 9984 30\ndenial 9984 5\n}": Rules(  # NodeLocal DNSCache
        ROOT, Limits(9984, 30), Limits(9984, 5)
    ),
    "cache {\nsuccess 5000\ndenial 2500\n}": Rules(ROOT, Limits(4864, 3600), Limits(2304, 1800)),
    "cache {\nsuccess -1 10 0\n}": Rules(ROOT, Limits(LEAST, 10, 0)),
    "cache {\nservfail 1s\n}": Rules(ROOT, servfail_s=1.0),
    "cache {\nservfail 5m\n}": Rules(ROOT, servfail_s=300.0),
    "cache {\nservfail 0s\n}": Rules(ROOT, servfail_s=0.0),
    "cache {\nservfail 0\n}": Rules(ROOT, servfail_s=0.0),
    "cache {\ndisable denial example.com example.org\n}": Rules(
        ROOT, unkept_denials=("example.com.", "example.org.")
    ),
    "cache {\ndisable success example.com example.org\n}": Rules(
        ROOT, unkept_successes=("example.com.", "example.org.")
    ),
    "cache {\ndisable denial\n}": Rules(ROOT, unkept_denials=ROOT),
    "cache {\ndisable success\n}": Rules(ROOT, unkept_successes=ROOT),
    "cache {\ndisable denial a\ndisable success b\n}": Rules(
        ROOT, unkept_successes=("b.",), unkept_denials=("a.",)
    ),
    "cache {\ndisable denial a\ndisable denial b\n}": Rules(ROOT, unkept_denials=("b.",)),
    "cache {\nkeepttl\n}": Rules(ROOT, keep_ttl=True),
}
STALE = {
    "serve_stale": Stale(),
    "serve_stale 20m": Stale(1200.0),
    "serve_stale 1h20m": Stale(4800.0),
    "serve_stale 0m": Stale(0.0),
    "serve_stale 0": Stale(0.0),
    "serve_stale 0 verify": Stale(0.0, verify=True),
    "serve_stale 0 immediate": Stale(0.0),
    "serve_stale 0 VERIFY": Stale(0.0, verify=True),
    "serve_stale 1h immediate 30s": Stale(ttl=30),
    "serve_stale 1h immediate 30s 30s": Stale(ttl=30, recheck_s=30.0),
    "serve_stale 1h immediate 4294967295s": Stale(ttl=4294967295),
    "serve_stale 1h immediate 0": Stale(),
    "serve_stale 1h immediate 0 0": Stale(),
    "serve_stale 1h verify 100ms": Stale(verify=True, verify_s=0.1),
    "serve_stale 1h verify 100ms 30s": Stale(verify=True, verify_s=0.1, ttl=30),
    "serve_stale 1h verify 100ms 30s 30s": Stale(3600.0, True, 0.1, 30, 30.0),
    "serve_stale 1h verify 100ms 30s 250ms": Stale(3600.0, True, 0.1, 30, 0.25),
    "serve_stale 1h verify 0": Stale(verify=True),
    "serve_stale 1h verify 0 1m": Stale(verify=True, ttl=60),
    "serve_stale 1h verify 0 0 5m": Stale(verify=True, recheck_s=300.0),
    "serve_stale 1h VERIFY 250ms": Stale(verify=True, verify_s=0.25),
    "serve_stale 1h verify\nserve_stale": Stale(),
    "serve_stale\nserve_stale_policy prefer_positive": Stale(prefer_positive=True),
    "serve_stale_policy PREFER_POSITIVE\nserve_stale": Stale(prefer_positive=True),
}
BAD = {  # lines of the block, or a whole directive: what is said, of line 2 for the former
    "success\ndenial 10 15": "2:1: success takes at least 1 argument, not 0",
    "success 15\ndenial aaa": "3:8: 'aaa' is no integer",
    "positive 15": "2:1: unknown property 'positive' of cache; there are denial, disable, keepttl, "
    "prefetch, serve_stale, serve_stale_policy, servfail, success",
    "cache 0 example.nl": "1:7: 0 is no integer of 1 and up",
    "cache -1 example.nl": "1:7: -1 is no integer of 1 and up",
    "success 1 0": "2:11: 0 is no integer of 1 and up",
    "denial 1 1 -1": "2:12: -1 is no integer of 0 and up",
    "prefetch": "2:1: prefetch takes at least 1 argument, not 0",
    "prefetch -1": "2:10: -1 is no integer of 0 and up",
    "prefetch 0 blurp": "2:12: 'blurp' is no duration, which has a unit, as in 30s or 1h30m",
    "prefetch 1 1m 10": "2:15: '10' must end in a percent sign, as 10% does",
    "prefetch 1 1m 9%": "2:15: 9 is no integer of 10 to 90",
    "prefetch 1 1m 91%": "2:15: 91 is no integer of 10 to 90",
    "prefetch 1 1m 10% x": "2:19: prefetch takes at most 3 arguments; 'x' is too much",
    "cache\n cache": "2:2: cache can only be used once per server block; "
    "it stands at Corefile:1:5 already",
    "serve_stale 20": "2:13: '20' is no duration, which has a unit, as in 30s or 1h30m",
    "serve_stale -20m": "2:13: -20m is no duration of 0s and up",
    "serve_stale aa": "2:13: 'aa' is no duration, which has a unit, as in 30s or 1h30m",
    "serve_stale 1m nono": "2:16: 'nono' is none of immediate, verify",
    "serve_stale 0 after nono": "2:15: 'after' is none of immediate, verify",
    "serve_stale 1h immediate 100ms": "2:26: 100ms is no whole number of seconds",
    "serve_stale 1h immediate 4294967296s": "2:26: 4294967296s is no duration of 0s to 4294967295s",
    "serve_stale 1h immediate -1s": "2:26: -1s is no duration of 0s to 4294967295s",
    "serve_stale 1h immediate garbage": "2:26: 'garbage' is no duration, which has a unit, "
    "as in 30s or 1h30m",
    "serve_stale 1h immediate 30s extra": "2:30: 'extra' is no duration, which has a unit, "
    "as in 30s or 1h30m",
    "serve_stale 1h verify -1ms": "2:23: -1ms is no duration of 0s and up",
    "serve_stale 1h verify x": "2:23: 'x' is no duration, which has a unit, as in 30s or 1h30m",
    "serve_stale 1h verify 100ms 500ms": "2:29: 500ms is no whole number of seconds",
    "serve_stale 1h verify 100ms -1s": "2:29: -1s is no duration of 0s to 4294967295s",
    "serve_stale 1h verify 1s 1s x": "2:29: 'x' is no duration, which has a unit, "
    "as in 30s or 1h30m",
    "serve_stale 1h immediate 30s -1s": "2:30: -1s is no duration of 0s to 300.0s",
    "serve_stale 1h immediate 30s 5m1s": "2:30: 5m1s is no duration of 0s to 300.0s",
    "serve_stale 1h immediate 30s 30s extra": "2:34: 'extra' is too much",
    "serve_stale 1h verify 1s 30s 30s extra": "2:34: serve_stale takes at most 5 arguments; "
    "'extra' is too much",
    "serve_stale_policy prefer_positive": "2:1: serve_stale_policy needs serve_stale",
    "serve_stale\nserve_stale_policy": "3:1: serve_stale_policy takes 1 argument, not 0",
    "serve_stale\nserve_stale_policy prefer_positive extra": "3:36: serve_stale_policy takes at "
    "most 1 argument; 'extra' is too much",
    "serve_stale\nserve_stale_policy invalid": "3:20: 'invalid' is none of prefer_positive",
    "serve_stale\nserve_stale_policy prefer_positive\nserve_stale_policy prefer_positive": "4:1: "
    "serve_stale_policy can only be used once",
    "servfail": "2:1: servfail takes 1 argument, not 0",
    "servfail 6m": "2:10: 6m is no duration of 0s to 300.0s",
    "servfail 20": "2:10: '20' is no duration, which has a unit, as in 30s or 1h30m",
    "servfail -1s": "2:10: -1s is no duration of 0s to 300.0s",
    "servfail aaa": "2:10: 'aaa' is no duration, which has a unit, as in 30s or 1h30m",
    "servfail 1m invalid": "2:13: servfail takes at most 1 argument; 'invalid' is too much",
    "disable": "2:1: disable takes at least 1 argument, not 0",
    "disable invalid example.com": "2:9: 'invalid' is none of success, denial",
    "keepttl please": "2:9: keepttl takes no argument; 'please' is too much",
}


@pytest.mark.parametrize(("text", "expected"), GOOD.items(), ids=GOOD)
def test_lines(text: str, expected: Rules) -> None:
    assert rules(text) == expected


@pytest.mark.parametrize(("text", "expected"), STALE.items(), ids=STALE)
def test_serve_stale(text: str, expected: Stale) -> None:
    assert rules(text).stale == expected


@pytest.mark.parametrize(("text", "expected"), BAD.items(), ids=BAD)
def test_faults(text: str, expected: str) -> None:
    assert fault(text if text.startswith("cache") else f"cache {{\n{text}\n}}") == expected


def test_zones_are_those_of_the_block() -> None:
    plugin = parsed("cache 30", new_setup(("a.", "b.")))
    assert plugin.rules.zones == ("a.", "b.")  # type: ignore[attr-defined]


def test_more_numbers_than_there_are() -> None:
    """Accepted by CoreDNS, which does not look at them."""
    setup = new_setup()
    parsed("cache {\nsuccess 1 2 3 4\n}", setup)
    assert setup.warnings == ["Corefile:2:15: what is behind 3 is ignored"]
