"""Names in wire form: RFC 1035 section 3.1, RFC 4343."""

import dns.name
import pytest
from dnslib import DNSLabel
from hypothesis import given

from clusterdns.errors import ResolveError
from clusterdns.wire.names import folded_name, labels_of, name_of, upward, wire_name
from tests.wire.build import label_sequences, wire


@given(label_sequences)
def test_wire_and_back(labels: tuple[bytes, ...]) -> None:
    name = wire_name(labels)
    assert name == dns.name.Name([*labels, b""]).to_wire()
    assert labels_of(name) == labels


@given(label_sequences)
def test_upward(labels: tuple[bytes, ...]) -> None:
    above = [dns.name.Name([*labels[start:], b""]).to_wire() for start in range(len(labels) + 1)]
    assert list(upward(wire(labels))) == above


@given(label_sequences)
def test_name_of_labels(labels: tuple[bytes, ...]) -> None:
    name = DNSLabel(labels)
    assert name_of(name) == wire(labels)
    assert folded_name(name) == dns.name.Name([*labels, b""]).to_digestable()


def test_of_text() -> None:
    assert name_of("wWw.Example.") == b"\3wWw\7Example\0"
    assert folded_name(r"wWw.Ex\.Mple") == b"\3www\7ex.mple\0"


@pytest.mark.parametrize("name", ["a..b", "a" * 64, ".".join(["a" * 63] * 4), DNSLabel([b""])])
def test_what_is_no_name(name: str | DNSLabel) -> None:
    with pytest.raises(ResolveError, match="no name"):
        folded_name(name)
