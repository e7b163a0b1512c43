import pytest

from clusterdns.plugins.order import plugin_class
from tests.plugins.asking import fault, lines, new_setup, parsed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pprof", ("localhost", 6053)),
        ("pprof 1.2.3.4:1234", ("1.2.3.4", 1234)),
        ("pprof :1234", ("", 1234)),
        ("pprof {\n}", ("localhost", 6053)),
        ("pprof { block\n}", ("localhost", 6053)),
        ("pprof :1234 {\n block 20\n}", ("", 1234)),
    ],
)
def test_parse(text: str, expected: tuple[str, int]) -> None:
    setup = new_setup()
    parsed(text, setup)
    assert [(page.host, page.port) for page in setup.pprof] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pprof :1234 -1", "1:13: pprof takes at most 1 argument"),
        ("pprof /foo", "1:7: '/foo' has no port"),
        ("pprof {\n a b\n}", "2:2: unknown property 'a' of pprof; there are block"),
        ("pprof {\n block 20 30\n}", "2:11: block takes at most 1 argument"),
        ("pprof {\n block invalid\n}", "2:8: 'invalid' is no integer"),
        ("pprof\npprof", "2:1: pprof can only be used once per server block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_blocks_share_a_page() -> None:
    setup = new_setup()
    for _ in range(2):
        found = lines("pprof")
        plugin_class(found[0].name).parse(found, setup)
    assert len(setup.pprof) == 1
