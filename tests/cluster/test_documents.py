"""YAML and JSON files, taken apart object by object."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster import json_documents
from clusterdns.cluster.documents import read_documents
from clusterdns.cluster.lists import Item, Unreadable

REAL = Path(__file__).parents[2] / "examples" / "real-cluster" / "objects.yaml"


def steps(text: str | bytes) -> list[Item | Unreadable]:
    octets = text if isinstance(text, bytes) else text.encode()
    return [step for step in read_documents(io.BytesIO(octets), "f") if step is not None]


def described(text: str | bytes) -> list[str]:
    """document:line value, or document:place message."""
    return [
        f"{step.document}:{step.line} {json.dumps(step.value)}"
        if isinstance(step, Item)
        else f"{step.document}:{step.place} {step.message}"
        for step in steps(text)
    ]


LIST = '{"apiVersion":"v1","kind":"A"}'
CASES: dict[str, tuple[str | bytes, list[str]]] = {
    "nothing": ("", []),
    "comments only": ("# a\n---\n# b\n", []),
    "one document": ("kind: A\n", ['1:1 {"kind": "A"}']),
    "several documents, one empty": (
        "# head\nkind: A\n---\n---\n# none\n--- # here\nkind: B\n",
        ['1:2 {"kind": "A"}', '2:7 {"kind": "B"}'],
    ),
    "text after the marker": (
        "--- {kind: A}\n--- {kind: B}\n",
        [
            '1:1 {"kind": "A"}',
            '2:2 {"kind": "B"}',
        ],
    ),
    "document end, directive": (
        "kind: A\n...\n%YAML 1.1\n---\nkind: B\n",
        ['1:1 {"kind": "A"}', '2:3 {"kind": "B"}'],
    ),
    "a fault hides no other document": (
        "kind: A\n---\nkind: [\n---\nkind: C\n",
        [
            '1:1 {"kind": "A"}',
            "2:f:4:1 did not find expected node content",
            '3:5 {"kind": "C"}',
        ],
    ),
    "a tab": (
        "kind: A\n---\na:\n\tb\n",
        [
            '1:1 {"kind": "A"}',
            "2:f:4:1 found character that cannot start any token",
        ],
    ),
    "a List": (
        "kind: List\napiVersion: v1\nitems:\n- kind: A\n- kind: B\n",
        ['1:4 {"kind": "A"}', '1:5 {"kind": "B"}'],
    ),
    "a List with its kind at the end": (
        "apiVersion: v1\nitems:\n- kind: A\n- kind: B\nkind: List\n",
        ['1:3 {"kind": "A"}', '1:4 {"kind": "B"}'],
    ),
    "an empty List": ("kind: List\nitems: []\n", []),
    "a typed List, items without a kind": (
        "kind: AList\napiVersion: v1\nitems:\n- x: 1\n- kind: B\n",
        ['1:4 {"apiVersion": "v1", "kind": "A", "x": 1}', '1:5 {"kind": "B"}'],
    ),
    "a typed List with its kind at the end": (
        "apiVersion: v1\nitems:\n- x: 1\nkind: AList\n",
        ['1:3 {"apiVersion": "v1", "kind": "A", "x": 1}'],
    ),
    "a List in a List": (
        "kind: List\nitems:\n- kind: AList\n  apiVersion: v1\n  items: [{x: 1}, {x: 2}]\n",
        [
            '1:3 {"apiVersion": "v1", "kind": "A", "x": 1}',
            '1:3 {"apiVersion": "v1", "kind": "A", "x": 2}',
        ],
    ),
    "items of something else": (
        "kind: A\nitems:\n- {kind: B}\n",
        ['1:1 {"kind": "A"}'],
    ),
    "items by an alias": (
        "x: &x [{kind: A}]\nkind: List\nitems: *x\n",
        ['1:1 {"kind": "A"}'],
    ),
    "an alias that is not": ("a: *x\n", ["1:f:1:4 found undefined alias 'x'"]),
    "an alias inside of what it names": ("a: &x [*x]\n", ["1:f:1:8 found undefined alias 'x'"]),
    "merged": (
        "x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}\n",
        ['1:1 {"x": {"a": 1, "b": 2}, "y": {"b": 3, "a": 1}}'],
    ),
    "merged by a list": (
        "x: [&x {a: 1}, &y {a: 2, b: 2}]\ny: {<<: [*x, *y]}\n",
        ['1:1 {"x": [{"a": 1}, {"a": 2, "b": 2}], "y": {"a": 1, "b": 2}}'],
    ),
    "a quoted << is a key": ("'<<': 1\n", ['1:1 {"<<": 1}']),
    "merged with no mapping": ("<<: 1\n", ["1:f:1:5 expected a mapping to merge"]),
    "a collection as a key": ("? [a]\n: 1\n", ["1:f:1:5 found a collection as a key"]),
    "no mapping": ("- 1\n- a\n", ['1:1 [1, "a"]']),
    "a scalar": ("a\n", ['1:1 "a"']),
    "a flow mapping is YAML": (
        "{kind: A}\n---\n{kind: B}\n",
        [
            '1:1 {"kind": "A"}',
            '2:3 {"kind": "B"}',
        ],
    ),
    "no UTF-8": (
        b"kind: \xff\n",
        ["1:f:1:1 unacceptable character #x00ff: invalid leading UTF-8 octet"],
    ),
    "JSON": ('\n{"kind": "A", "x": {"items": [1]}}', ['1:2 {"kind": "A", "x": {"items": [1]}}']),
    "JSON with a byte order mark": (b'\xef\xbb\xbf{"kind": "A"}', ['1:1 {"kind": "A"}']),
    "JSON, several values": (
        '{"kind": "A"}\n{"kind": "B"}\n---\n{"kind": "C"} null []',
        ['1:1 {"kind": "A"}', '2:2 {"kind": "B"}', '3:4 {"kind": "C"}', "5:4 []"],
    ),
    "JSON, a List": (
        '{"items": [\n{"kind": "A"},\n\n{"x": 1}], "apiVersion": "v1", "kind": "BList"}',
        ['1:2 {"kind": "A"}', '1:4 {"apiVersion": "v1", "kind": "B", "x": 1}'],
    ),
    "JSON, empty": ("{}", ["1:1 {}"]),
    "JSON that ends": (
        '{"kind": "A"}\n{"kind":',
        [
            '1:1 {"kind": "A"}',
            "2:f:2:9 expecting value",
        ],
    ),
    "JSON, a List that ends": (
        '{"items": [{"kind": "A"},\n {"kind": "B"',
        ['1:1 {"kind": "A"}', "1:f:2:14 expecting ',' delimiter"],
    ),
    "JSON, a key that is none": ('{"a": 1, b: 2}', ["1:f:1:10 expected a key"]),
    "JSON, no colon": ('{"a" 1}', ["1:f:1:6 expected ':'"]),
    "JSON, an open text": ('{"a": "b', ["1:f:1:7 unterminated string starting at"]),
    "JSON, nested too deeply": ('{"a": ' + "[" * 100_000, ["1:f:1:7 nested too deeply"]),
    "JSON, no UTF-8": (
        b'{"a": "\xff"}',
        [
            "1:f:1:1 'utf-8' codec can't decode byte 0xff in position 7: invalid start byte",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_documents(text: str | bytes, expected: list[str]) -> None:
    assert described(text) == expected


@pytest.mark.parametrize("chunk", [1, 7, 64])
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("JSON")])
def test_where_the_window_ends_does_not_matter(
    name: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, expected = CASES[name]
    monkeypatch.setattr(json_documents, "CHUNK", chunk)
    if "codec" not in expected[-1]:
        assert described(text) == expected


SCALARS = {
    "yes": True,
    "Off": False,
    "y": "y",
    "~": None,
    "": None,
    "'true'": "true",
    '"1"': "1",
    "12": 12,
    "-1": -1,
    "1_000": 1000,
    "0x1f": 31,
    "010": 8,
    "089": "089",
    "1.5": 1.5,
    "1e3": 1000.0,
    "1.2.3.4": "1.2.3.4",
    "2026-01-01T00:00:00Z": "2026-01-01T00:00:00Z",
    "12:30": "12:30",
    "!!str 12": "12",
    "!!int 12": 12,
    "!custom 12": "12",
    "|-\n  a\n  b": "a\nb",
}


@pytest.mark.parametrize("text", SCALARS)
def test_scalars_are_what_kubernetes_takes_them_for(text: str) -> None:
    (item,) = steps(f"a: {text}\nb: 1\n")
    assert isinstance(item, Item)
    assert (item.value["a"], type(item.value["a"])) == (SCALARS[text], type(SCALARS[text]))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=5).filter(lambda key: key != "items"), PLAIN, min_size=1)


class Quoting(yaml.CSafeDumper):
    """Writes every text in quotes: what is plain then is what everybody takes for it."""


Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@settings(max_examples=50, deadline=None)
@given(st.lists(OBJECTS, max_size=4))
def test_json_comes_back(values: list[dict[str, Any]]) -> None:
    text = "\n".join(json.dumps(value, indent=1) for value in values)
    assert [item.value for item in steps(text) if isinstance(item, Item)] == values


@settings(max_examples=50, deadline=None)
@given(st.lists(OBJECTS, max_size=4))
def test_yaml_comes_back(values: list[dict[str, Any]]) -> None:
    text = yaml.dump_all(values, Dumper=Quoting, explicit_start=True)
    found = [item.value for item in steps(text) if isinstance(item, Item)]
    assert found == values


@given(st.one_of(st.binary(max_size=60), st.text('{}[]:,-"a\n&*<? 1', max_size=60)))
def test_no_text_stops_the_reading(text: bytes | str) -> None:
    steps(text)
    steps(b'{"' + (text if isinstance(text, bytes) else text.encode()))


def test_what_a_real_cluster_wrote() -> None:
    expected = yaml.load(REAL.read_bytes(), yaml.CBaseLoader)["items"]
    found = steps(REAL.read_bytes())
    assert [item.value["metadata"]["name"] for item in found if isinstance(item, Item)] == [
        each["metadata"]["name"] for each in expected
    ]
    again = steps(
        json.dumps(
            {"kind": "List", "items": [item.value for item in found if isinstance(item, Item)]}
        )
    )
    assert [item.value for item in again if isinstance(item, Item)] == [
        item.value for item in found if isinstance(item, Item)
    ]
