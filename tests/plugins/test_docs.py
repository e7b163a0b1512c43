"""The pages of docs/directives: one for each directive, with examples that load."""

import re
from contextlib import suppress
from pathlib import Path

import pytest

from clusterdns.corefile.parser import parse
from clusterdns.errors import ConfigError
from clusterdns.plugins.order import build, known
from tests.plugins.asking import new_setup

PAGES = Path(__file__).parents[2] / "docs" / "directives"
EXAMPLE = re.compile(r"^```corefile\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SYNTAX = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def examples() -> list[tuple[str, str]]:
    return [(name, text) for name in known() for text in EXAMPLE.findall(page(name))]


def test_no_page_of_what_does_not_exist() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(known())


@pytest.mark.parametrize("name", known())
def test_page_has_its_parts(name: str) -> None:
    text = page(name)
    assert text.startswith(f"# {name}\n")
    assert SYNTAX.search(text)
    assert "\n## Examples\n" in text
    assert "\n## Differences from CoreDNS\n" in text


@pytest.mark.parametrize(("name", "text"), examples())
def test_example_loads(name: str, text: str) -> None:
    corefile = parse(text, f"{name}.md")
    assert corefile.warnings == ()
    used: set[str] = set()
    for block in corefile.blocks:
        setup = new_setup(("cluster.local.",))
        used.update(plugin.name for plugin in build(block, setup))
        assert setup.warnings == []
    assert name in used


@pytest.mark.parametrize("name", known())
def test_page_tells_every_option(name: str) -> None:
    """What the error for an unknown option lists, the page has."""
    (block,) = parse(f". {{\n {name} 127.0.0.1:1 {{\n ?\n }}\n}}", "Corefile").blocks
    setup = new_setup()
    with suppress(ConfigError):  # `hosts` takes any word for an address, and warns
        build(block, setup)
    told = [fault.message for fault in setup.faults] + setup.warnings
    listed = [re.search(" there are (.*)$", text) for text in told]
    for option in [option for found in listed if found for option in found[1].split(", ")]:
        assert f"    {option}" in page(name)
