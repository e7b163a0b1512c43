import pytest

from clusterdns.errors import ConfigError
from clusterdns.plugins.order import build
from tests.plugins.asking import fault, lines, new_setup, parsed


def test_parse() -> None:
    plugin = parsed("shed")
    assert plugin.name == "shed"
    assert not plugin.in_chain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shed 5", "1:6: shed takes no argument"),
        ("shed {\n depth 5\n}", "1:1: shed takes no block"),
        ("shed\nshed", "2:1: shed can only be used once per server block"),
    ],
)
def test_faults(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_plain_dns_alone() -> None:
    block = type("Block", (), {"directives": lines("shed\ntls cert key\nwhoami")})()
    with pytest.raises(ConfigError, match="1:5: shed is for plain DNS alone"):
        build(block, new_setup())
