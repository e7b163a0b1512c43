"""Directives that are refused: each with a line that says what to do, here and in the docs."""

import re
from pathlib import Path

import pytest

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.order import ORDER, known, plugin_class
from clusterdns.plugins.refusals import FORMER, FORMER_OPTIONS, NEVER, THIRD_PARTY
from tests.plugins.asking import fault

PAGE = Path(__file__).parents[2] / "docs" / "refused.md"
ALL = NEVER | THIRD_PARTY | FORMER


def test_each_directive_of_coredns_is_here_or_refused() -> None:
    """With a page of its own, by test_docs, or with a line."""
    assert set(ORDER) == set(known()) | set(NEVER)
    assert not set(known()) & set(ALL)


TEXTS = {
    "dnssec": "directive 'dnssec' of CoreDNS is not part of clusterdns: "
    "sign the zone elsewhere and serve it with `file`; cluster names are not signed",
    "etcd": "directive 'etcd' of CoreDNS is not part of clusterdns: "
    "run CoreDNS beside this server for it, and `forward` its zone there",
    "grpc": "directive 'grpc' of CoreDNS is not part of clusterdns: use `forward` with tls:// "
    "instead",
    "kubernetai": "directive 'kubernetai' is no part of CoreDNS, nor of clusterdns: write a server "
    "block with one `kubernetes` for each cluster's zone",
    "proxy": "directive 'proxy' is no part of CoreDNS any more: use `forward` instead",
}


@pytest.mark.parametrize("name", ALL)
def test_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        plugin_class(Token(name, Place("Corefile", 3, 5)))
    text = str(refused.value)
    assert text.startswith(f"Corefile:3:5: directive '{name}' ")
    assert text.endswith(f": {ALL[name]}")
    assert "\n" not in text
    if name in TEXTS:
        assert refused.value.message == TEXTS[name]


@pytest.mark.parametrize("name", ALL)
def test_what_to_do_names_directives_that_are_here(name: str) -> None:
    directives = set(re.findall("`([a-z0-9_]+)`", ALL[name]))
    options = {"next", "multicluster", "prefetch"}  # of `forward`, `kubernetes` and `cache`
    assert directives <= set(known()) | options


OPTIONS = {
    "kubernetes {\n pods insecure\n upstream\n}": "3:2: property 'upstream' of kubernetes "
    "is no part of CoreDNS any more: take the line out; ",
    "kubernetes {\n resyncperiod 30s\n}": "2:2: property 'resyncperiod' of kubernetes is "
    "no part of CoreDNS any more: take the line out; ",
    "kubernetes {\n transfer to *\n}": "2:2: property 'transfer' of kubernetes ",
    "file db.a a.example {\n transfer to *\n}": "2:2: property 'transfer' of file ",
    "file db.a a.example {\n no_reload\n}": "2:2: property 'no_reload' of file ",
    "auto a.example {\n directory .\n transfer to *\n}": "3:2: property 'transfer' of auto ",
    "auto a.example {\n directory .\n no_reload\n}": "3:2: property 'no_reload' of auto ",
}


@pytest.mark.parametrize("text", OPTIONS)
def test_an_option_of_earlier_versions(text: str) -> None:
    assert OPTIONS[text] in fault(text)


@pytest.mark.parametrize(
    ("name", "word"), [("kubernetes", "upstrem"), ("file", "resyncperiod"), ("auto", "no_relaod")]
)
def test_no_option_of_earlier_versions(name: str, word: str) -> None:
    assert f"unknown property {word!r} of {name}; " in fault(f"{name} x.example {{\n {word}\n}}")


def test_options_that_are_named() -> None:
    """Those of the texts: the parser of the directive knows them."""
    named = ("forward . 1.2.3.4", "next"), ("kubernetes", "multicluster"), ("cache", "prefetch")
    for text, word in named:
        assert f"{word}" in fault(f"{text} {{\n ?\n}}")


def test_the_page_tells_each_option() -> None:
    rows = re.findall(r"^\| `(\w+)` of `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert {(name, word): text for word, name, text in rows} == FORMER_OPTIONS


def test_the_page_tells_each() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    assert rows == ALL
