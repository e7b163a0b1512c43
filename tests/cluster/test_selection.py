"""Label selectors: the grammar of the Kubernetes API."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster.selection import Selection, parse_selector
from clusterdns.errors import ConfigError

MATCHES = {
    "": [{}, {"a": "1"}],
    "  ": [{}, {"a": "1"}],
    "a": [{"a": ""}, {"a": "1", "b": "2"}],
    "!a": [{}, {"b": "1"}],
    "a=1": [{"a": "1"}],
    "a==1": [{"a": "1"}],
    "a=": [{"a": ""}],
    "a!=1": [{}, {"a": "2"}],
    "a in (1,2)": [{"a": "1"}, {"a": "2"}],
    "a in (1 , 2 )": [{"a": "1"}],
    "a in ()": [{"a": ""}],
    "a in (,1)": [{"a": ""}, {"a": "1"}],
    "a notin (1,2)": [{}, {"a": "3"}],
    "a=1,b": [{"a": "1", "b": ""}],
    " a = 1 , !b ": [{"a": "1"}],
    "a=in": [{"a": "in"}],
    "in in (in)": [{"in": "in"}],
    "notin": [{"notin": "1"}],
    "example.com/a=1": [{"example.com/a": "1"}],
    "a>5": [{"a": "6"}, {"a": "10"}],
    "a<5": [{"a": "4"}, {"a": "-1"}],
}
MISSES = {
    "a": [{}, {"b": "1"}],
    "!a": [{"a": ""}],
    "a=1": [{}, {"a": "2"}, {"a": ""}],
    "a!=1": [{"a": "1"}],
    "a in (1,2)": [{}, {"a": "3"}],
    "a notin (1,2)": [{"a": "1"}],
    "a=1,b": [{"a": "1"}, {"b": "1"}],
    "a>5": [{}, {"a": "5"}, {"a": "x"}],
    "a<5": [{}, {"a": "5"}, {"a": ""}],
}
FAULTS = {
    ",": (1, "a label key", "','"),
    "a,": (3, "a label key", "the end"),
    "a b": (3, "one of = == != < > in notin , or the end", "'b'"),
    "a=1 b": (5, "',' or the end", "'b'"),
    "a in 1": (6, "'('", "'1'"),
    "a in (1": (8, "',' or ')'", "the end"),
    "a in (1 2)": (9, "',' or ')'", "'2'"),
    "!": (2, "a label key", "the end"),
    "!a=1": (3, "',' or the end", "'='"),
    "a/b/c": (1, "a label key", "'a/b/c'"),
    "-a": (1, "a label key", "'-a'"),
    "/a": (1, "a label key", "'/a'"),
    "a=-1": (3, "a label value", "'-1'"),
    "a>x": (3, "an integer", "'x'"),
    "a=(1)": (3, "',' or the end", "'('"),
    f"a={'x' * 64}": (3, "a label value", repr("x" * 64)),
}


@pytest.mark.parametrize("text", MATCHES)
def test_matches(text: str) -> None:
    selector = parse_selector(text)
    assert [labels for labels in MATCHES[text] if not selector.matches(labels)] == []


@pytest.mark.parametrize("text", MISSES)
def test_misses(text: str) -> None:
    selector = parse_selector(text)
    assert [labels for labels in MISSES[text] if selector.matches(labels)] == []


@pytest.mark.parametrize("text", FAULTS)
def test_faults_name_the_position(text: str) -> None:
    position, expected, found = FAULTS[text]
    with pytest.raises(ConfigError) as error:
        parse_selector(text)
    message = f"label selector {text!r}, position {position}: expected {expected}, found {found}"
    assert str(error.value) == message


@given(st.text("ab=!(),<> in1/", max_size=20))
def test_any_text_is_a_selector_or_a_fault(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_selector(text).matches({"a": "1"})


KINDS = {
    "default": (Selection(), ("Service", "EndpointSlice", "Namespace")),
    "noendpoints": (Selection(endpoints=False), ("Service", "Namespace")),
    "multicluster": (
        Selection(endpoints=False, multicluster=True),
        ("Service", "ServiceImport", "EndpointSlice", "Namespace"),
    ),
    "pods verified": (Selection(pods=True), ("Service", "EndpointSlice", "Pod", "Namespace")),
}


@pytest.mark.parametrize(("selection", "kinds"), KINDS.values(), ids=KINDS)
def test_kinds(selection: Selection, kinds: tuple[str, ...]) -> None:
    assert selection.kinds == kinds
