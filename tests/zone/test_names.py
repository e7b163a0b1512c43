"""Names in wire form, as dnspython has them."""

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.zone.names import labels_of, wire_below, wire_name
from clusterdns.zone.records import below
from tests.zone.sample import zone

texts = st.text(st.sampled_from("abcXYZ-_.0é "), max_size=70)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8))
def test_wire_and_back(labels: list[bytes]) -> None:
    name = wire_name(labels)
    assert name == dns.name.Name([*labels, b""]).to_wire()
    assert labels_of(name) == tuple(labels)


@given(st.lists(texts, min_size=1, max_size=5), st.sampled_from(["cluster.local", "a." * 60 + "b"]))
def test_below_says_what_dnslib_says(labels: list[str], origin: str) -> None:
    name = below(zone(origin), *labels)
    assert wire_below(wire_name(zone(origin).label), *labels) == (
        wire_name(name.label) if name else None
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["web", "shop"], b"\3web\4shop\5local\0"),
        (["a.b", "c"], b"\1a\1b\1c\5local\0"),
        (["a" * 63], b"\x3f" + b"a" * 63 + b"\5local\0"),
        (["a" * 64], None),
        ([""], None),
        (["a..b"], None),
        (["é"], None),
        (["a" * 63] * 4, None),
    ],
)
def test_below(labels: list[str], expected: bytes | None) -> None:
    assert wire_below(b"\5local\0", *labels) == expected
