import subprocess
import sys

import pytest

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.parser import parse
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.base import Plugin, Sees
from clusterdns.plugins.order import ORDER, build, known, plugin_class
from tests.plugins.asking import new_setup

HERE = (
    *("bind", "ready", "health", "errors", "log", "any", "loadbalance", "minimal"),
    *("kubernetes", "whoami"),
)
PLACE = Place("Corefile", 3, 5)


def test_known_directives_are_in_the_fixed_order() -> None:
    assert [name for name in known() if name in HERE] == list(HERE)


def test_order_has_no_word_twice() -> None:
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("errors", "log"),  # 3.1.1: both outside of what answers
        ("log", "any"),
        ("prometheus", "errors"),
        ("loadbalance", "cache"),  # 1.15
        ("rewrite", "acl"),
        ("acl", "cache"),
        ("hosts", "kubernetes"),
        ("template", "kubernetes"),
        ("kubernetes", "file"),
        ("loop", "forward"),
        ("forward", "whoami"),
    ],
)
def test_consequences_of_the_order(before: str, after: str) -> None:
    assert ORDER.index(before) < ORDER.index(after)


@pytest.mark.parametrize("name", known())
def test_each_is_one_module_with_its_plugin(name: str) -> None:
    found = plugin_class(Token(name, PLACE))
    assert issubclass(found, Plugin)
    assert found.name == name
    assert found.__doc__


@pytest.mark.parametrize("name", HERE)
def test_who_is_in_the_chain(name: str) -> None:
    configures = name in {"bind", "ready", "health"}
    assert plugin_class(Token(name, PLACE)).in_chain() is not configures


@pytest.mark.parametrize("name", HERE)
def test_what_each_must_see(name: str) -> None:
    expected = {"whoami": Sees.CLIENT}
    assert plugin_class(Token(name, PLACE)).sees is expected.get(name, Sees.QUESTION)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kubernets", "unknown directive 'kubernets'; did you mean 'kubernetes'?"),
        ("Errors", "unknown directive 'Errors'; did you mean 'errors'?"),
        ("load_balance", "unknown directive 'load_balance'; did you mean 'loadbalance'?"),
        ("base", "unknown directive 'base'; "),
        ("order", "unknown directive 'order'; "),
        ("kubernetes.plugin", "unknown directive 'kubernetes.plugin'; did you mean 'kubernetes'?"),
        ("dnsproxy", "unknown directive 'dnsproxy'; there are "),  # like none of them
        ("xyzzy", f"unknown directive 'xyzzy'; there are {', '.join(sorted(known()))}"),
        ("", "unknown directive ''; there are "),
    ],
)
def test_what_does_not_exist(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as fault:
        plugin_class(Token(name, PLACE))
    assert str(fault.value).startswith(f"Corefile:3:5: {message}")


def built(text: str) -> list[str]:
    (block,) = parse(text, "Corefile").blocks
    return [plugin.name for plugin in build(block, new_setup())]


def test_build_in_order_whatever_the_file_says() -> None:
    text = ".:53 {\n whoami\n loadbalance\n log a.\n errors\n log b.\n ready :0\n bind 127.0.0.1\n}"
    assert built(text) == ["bind", "ready", "errors", "log", "loadbalance", "whoami"]


def test_build_raises_the_first_fault_of_the_file_and_keeps_all() -> None:
    text = """. {
    whoami x
    nonsense
    health {
        lamedudk 4s
        lameduck 4
    }
    errors
    errors
}"""
    setup = new_setup()
    (block,) = parse(text, "Corefile").blocks
    with pytest.raises(ConfigError) as first:
        build(block, setup)
    places = sorted((fault.place or PLACE)[1:] for fault in setup.faults)
    assert places == [(2, 12), (3, 5), (5, 9), (6, 18), (9, 5)]
    assert first.value.place == Place("Corefile", 2, 12)


def test_unused_directives_are_not_imported() -> None:
    program = """
import sys
from clusterdns.corefile.parser import parse
from clusterdns.plugins.base import Setup
from clusterdns.plugins.order import build
from clusterdns.zone.index import Index
build(parse(". {\\n minimal\\n}", "Corefile").blocks[0], Setup((".",), Index))
loaded = {name.split(".")[2] for name in sys.modules if name.startswith("clusterdns.plugins.")}
assert loaded == {"base", "query", "lines", "order", "passage", "minimal"}, loaded
assert not {"re2", "ifaddr", "aiohttp", "kubernetes"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
