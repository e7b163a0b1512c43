"""`health` and `ready`: what they ask for."""

import pytest

from clusterdns.plugins.base import Setup
from tests.plugins.asking import fault, new_setup, parsed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("health", ("", 8080, 0)),
        ("health localhost:1234", ("localhost", 1234, 0)),
        ("health localhost:1234 {\n lameduck 4s\n}", ("localhost", 1234, 4)),
        ("health :0 {\n}", ("", 0, 0)),
        ("health [::1]:8080", ("::1", 8080, 0)),
        ("health {\n lameduck 1m30s\n lameduck 500ms\n}", ("", 8080, 0.5)),
        ("health {\n lameduck -5s\n}", ("", 8080, 0)),
        ("health :1 {\n lameduck 4s\n}\nhealth :2", ("", 2, 4)),
        ("health :1\nhealth {\n lameduck 1s\n}", ("", 1, 1)),
    ],
)
def test_health(text: str, expected: tuple[str, int, float]) -> None:
    setup = new_setup()
    parsed(text, setup)
    assert [(page.host, page.port, page.lameduck) for page in setup.health] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("health bla", "1:8: 'bla' has no port"),
        ("health bla:a", "1:8: 'a' is no port"),
        ("health :99999", "1:8: '99999' is no port"),
        ("health ::1:8080", "1:8: "),
        ("health bla:1 bla", "1:14: health takes at most 1 argument; 'bla'"),
        ("health localhost:1234 {\n lameduck a\n}", "2:11: 'a' is no duration"),
        ("health localhost:1234 {\n lameduck 4\n}", "2:11: '4' is no duration"),
        ("health {\n lameduck\n}", "2:2: lameduck takes 1 argument, not 0"),
        ("health {\n lameduck 1s 2s\n}", "2:14: lameduck takes at most 1 argument"),
        ("health :1 {\n lamedudk 4\n}", "2:2: unknown property 'lamedudk' of health; did you mean"),
        ("health { lameduck 5s }", "1:22: the } of a block must stand on a line of its own"),
    ],
)
def test_health_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ready", ("", 8181, False)),
        ("ready localhost:1234", ("localhost", 1234, False)),
        ("ready {\n monitor until-ready\n}", ("", 8181, False)),
        ("ready {\n monitor continuously\n}", ("", 8181, True)),
        ("ready localhost:1234 {\n monitor continuously\n}", ("localhost", 1234, True)),
        ("ready {\n monitor continuously\n monitor until-ready\n}", ("", 8181, False)),
    ],
)
def test_ready(text: str, expected: tuple[str, int, bool]) -> None:
    setup = new_setup()
    parsed(text, setup)
    assert [(page.host, page.port, page.continuous) for page in setup.ready] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ready :1 {\n monitor 404\n}", "2:10: '404' is none of until-ready, continuously"),
        ("ready {\n monitor\n}", "2:2: monitor takes 1 argument, not 0"),
        ("ready {\n monitor continuously until-ready\n}", "2:23: monitor takes at most 1"),
        ("ready {\n monitro continuously\n}", "2:2: unknown property 'monitro' of ready; did you"),
        ("ready localhost:1234 b", "1:22: ready takes at most 1 argument; 'b'"),
        ("ready bla", "1:7: 'bla' has no port"),
        ("ready bla bla", "1:11: ready takes at most 1 argument"),
        ("ready\nready", "2:1: ready can only be used once per server block"),
    ],
)
def test_ready_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def sharing(setup: Setup) -> Setup:
    """The setup of another block: pages are shared."""
    return Setup(zones=("b.",), cluster=setup.cluster, health=setup.health, ready=setup.ready)


def test_blocks_share_a_page_of_one_address() -> None:
    first = new_setup()
    parsed("health :8080 {\n lameduck 9s\n}", first)
    parsed("ready", first)
    second = sharing(first)
    parsed("health {\n lameduck 5s\n}", second)
    parsed("ready :8181 {\n monitor continuously\n}", second)
    third = sharing(first)
    parsed("health :8081", third)
    parsed("ready 127.0.0.1:8181", third)
    assert [(page.port, page.lameduck) for page in first.health] == [(8080, 9), (8081, 0)]
    assert [(page.host, page.continuous) for page in first.ready] == [
        ("", True),
        ("127.0.0.1", False),
    ]


def test_pages_know_where_they_are_asked_for() -> None:
    setup = new_setup()
    parsed("health", setup)
    parsed("ready :1", setup)
    assert setup.health[0].place == ("Corefile", 1, 5)
    assert setup.ready[0].place == ("Corefile", 1, 11)
