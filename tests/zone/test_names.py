"""Names of cluster objects in wire form, as dnslib has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire.names import wire_name
from clusterdns.zone.names import wire_below
from clusterdns.zone.records import below
from tests.zone.sample import zone

texts = st.text(st.sampled_from("abcXYZ-_.0é "), max_size=70)


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
