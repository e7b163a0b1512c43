"""`prometheus`: what it asks for, 4.1."""

import pytest

from clusterdns.plugins.base import Setup
from tests.plugins.asking import fault, new_setup, parsed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prometheus", ("localhost", 9153, False, None)),
        ("prometheus :9153", ("", 9153, False, None)),
        ("prometheus localhost:53", ("localhost", 53, False, None)),
        ("prometheus 127.0.0.1:0", ("127.0.0.1", 0, False, None)),
        ("prometheus [::1]:9253", ("::1", 9253, False, None)),
        ("prometheus {\n}", ("localhost", 9153, False, None)),
        ("prometheus {\n runtime_metrics\n}", ("localhost", 9153, True, None)),
        ("prometheus :1 {\n runtime_metrics\n runtime_metrics\n}", ("", 1, True, None)),
        ("prometheus :1 {\n tls web.yaml\n}", ("", 1, False, "web.yaml")),
        ("prometheus {\n tls a\n runtime_metrics\n}", ("localhost", 9153, True, "a")),
    ],
)
def test_page(text: str, expected: tuple[str, int, bool, str | None]) -> None:
    setup = new_setup()
    assert parsed(text, setup).counted
    assert [
        (page.host, page.port, page.runtime, page.tls and page.tls.text) for page in setup.metrics
    ] == [expected]
    assert setup.warnings == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prometheus bla", "1:12: 'bla' has no port"),
        ("prometheus a:a", "1:12: 'a' is no port"),
        ("prometheus :99999", "1:12: '99999' is no port"),
        ("prometheus :1 :2", "1:15: prometheus takes at most 1 argument; ':2'"),
        ("prometheus\nprometheus :1", "2:1: prometheus can only be used once per server block; it"),
        ("prometheus {\n runtime_metrics x\n}", "2:18: runtime_metrics takes no argument; 'x'"),
        ("prometheus {\n tls\n}", "2:2: tls takes 1 argument, not 0"),
        ("prometheus {\n tls a b\n}", "2:8: tls takes at most 1 argument"),
        ("prometheus {\n tls a\n tls b\n}", "3:2: tls stands at Corefile:2:6 already"),
        ("prometheus {\n bla\n}", "2:2: unknown property 'bla' of prometheus; there are runtime_"),
        (
            "prometheus {\n tsl a\n}",
            "2:2: unknown property 'tsl' of prometheus; did you mean 'tls'",
        ),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def another(setup: Setup) -> Setup:
    """The setup of one more block."""
    return Setup(zones=("b.",), cluster=setup.cluster, metrics=setup.metrics)


def test_blocks_share_a_page_of_one_address() -> None:
    first = new_setup()
    parsed("prometheus :9153", first)
    parsed("prometheus :9153 {\n runtime_metrics\n}", another(first))
    parsed("prometheus", another(first))
    assert [(page.host, page.port, page.runtime) for page in first.metrics] == [
        ("", 9153, True),
        ("localhost", 9153, False),
    ]


@pytest.mark.parametrize(
    ("first", "second", "warning"),
    [
        ("", "tls b", "Corefile:2:6: ignored: the page is served without tls, as asked for at"),
        ("tls a", "tls b", "Corefile:2:6: ignored: the page is served with tls a, as asked for at"),
        ("tls a", "tls a", None),
        ("tls a", "", None),
    ],
)
def test_of_two_ways_to_serve_a_page_the_first_counts(
    first: str, second: str, warning: str | None
) -> None:
    one = new_setup()
    parsed(f"prometheus :1 {{\n {first}\n}}", one)
    two = another(one)
    parsed(f"prometheus :1 {{\n {second}\n}}", two)
    assert len(one.metrics) == 1
    assert [text.partition(" Corefile:1")[0] for text in two.warnings] == (
        [warning] if warning else []
    )


def test_the_page_knows_where_it_is_asked_for() -> None:
    setup = new_setup()
    parsed("prometheus", setup)
    parsed("prometheus :1", setup)
    assert [page.place for page in setup.metrics] == [("Corefile", 1, 5), ("Corefile", 1, 16)]
