"""The examples of docs/corefile.md mean what the page says."""

import re
from pathlib import Path

import pytest

from clusterdns.corefile.keys import server_keys
from clusterdns.corefile.names import reverse_zones
from clusterdns.corefile.parser import parse
from tests.corefile.texts import reader

PAGE = (Path(__file__).parents[2] / "docs" / "corefile.md").read_text()
EXAMPLES = re.findall(r"^```corefile\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
NETWORKS = re.findall(r"^\| `([0-9a-f.:]+/[0-9]+)` \| (.*) \|$", PAGE, re.MULTILINE)
FILES = reader({"custom/a.override": "log", "custom/b.server": "b {\n    whoami\n}"})
ENVIRON = {"UPSTREAM": "10.0.0.53"}


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split("\n")[0])
def test_example(text: str) -> None:
    corefile = parse(text, "Corefile", ENVIRON, FILES)
    assert corefile.warnings == ()
    for block in corefile.blocks:
        assert server_keys(block.keys)
        assert block.directives


@pytest.mark.parametrize(("network", "zones"), NETWORKS)
def test_network(network: str, zones: str) -> None:
    assert reverse_zones(network) == zones.replace("`", "").split()


def test_glued_comment() -> None:
    line = "cache 30#half a minute"
    assert f"`{line}`" in PAGE
    cache = parse(f". {{\n{line}\n}}", "Corefile").blocks[0].directives[0]
    assert [word.text for word in cache.arguments] == ["30", "a", "minute"]


def test_page_has_its_examples() -> None:
    assert (len(EXAMPLES), len(NETWORKS)) == (7, 3)
