"""Server-block keys, and zones that are served twice."""

import pytest

from clusterdns.corefile.findings import Findings
from clusterdns.corefile.keys import Key, Listening, conflicts, oddity, server_keys
from clusterdns.corefile.lexer import Token, lex
from clusterdns.errors import ConfigError, Place


def tokens(text: str) -> list[Token]:
    return lex(text, "f", {}, Findings())


KEYS = {
    ".": "dns://.:53",
    ".:1053": "dns://.:1053",
    ".:0": "dns://.:0",
    ".:+54": "dns://.:54",
    ".:65535": "dns://.:65535",
    "Example.Org": "dns://example.org.:53",
    "dns://example.org.": "dns://example.org.:53",
    "tls://example.org": "tls://example.org.:853",
    "tls://example.org:8853": "tls://example.org.:8853",
    "quic://.": "quic://.:853",
    "grpc://.": "grpc://.:443",
    "https://.": "https://.:443",
    "https3://.": "https3://.:443",
    "a:53x": "dns://a:53x.:53",
    "foo://.": "dns://foo://.:53",
    "DNS://.": "dns://dns://.:53",
    "10.0.0.0/8:54": "dns://10.in-addr.arpa.:54",
    "2001:db8::/32:54": "dns://8.b.d.0.1.0.0.2.ip6.arpa.:54",
    "2001:db8::/32": "dns://8.b.d.0.1.0.0.2.ip6.arpa.:53",
    "tls://10.0.0.0/15": "tls://0.10.in-addr.arpa.:853 tls://1.10.in-addr.arpa.:853",
    "10.0.0.0/15 . 10.2.0.0/16": "dns://0.10.in-addr.arpa.:53 dns://1.10.in-addr.arpa.:53"
    " dns://.:53 dns://2.10.in-addr.arpa.:53",
    "hostname.bind:5353": "dns://hostname.bind.:5353",
    "}": "dns://}.:53",
}


@pytest.mark.parametrize(("text", "expected"), KEYS.items())
def test_server_keys(text: str, expected: str) -> None:
    assert " ".join(map(str, server_keys(tokens(text), 53))) == expected


def test_default_port_is_that_of_dns_keys() -> None:
    keys = server_keys(tokens(". a:53 tls://b"), 1053)
    assert [(key.port, key.place.column) for key in keys] == [(1053, 1), (53, 3), (853, 8)]


REFUSED = {
    '""': "a zone is missing: ''",
    "dns://": "a zone is missing: 'dns://'",
    ":53": "a zone is missing before the port",
    "a:": "a port must follow the last colon: a:",
    ".:65536": "a port is 0 to 65535: .:65536",
    ".:-1": "a port is 0 to 65535: .:-1",
    ".:99999999999999999999": "a port is 0 to 65535",
    ".:53x": "'.:53x' is no zone: an empty label",
    "a..b": "'a..b' is no zone: an empty label",
    "::/0": "'::/0' is no zone: a CIDR that starts with zeros",
    "unix://a": "no server listens by unix://: unix://a",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        server_keys(tokens(text), 53)
    assert str(raised.value).startswith(f"f:1:1: {message}")


def test_every_fault_is_gathered() -> None:
    errors: list[ConfigError] = []
    keys = server_keys(tokens("a a..b c d:"), 53, errors)
    assert [key.zone for key in keys] == ["a.", "c."]
    assert [error.place for error in errors] == [Place("f", 1, 3), Place("f", 1, 10)]


@pytest.mark.parametrize(
    "text",
    [".", ".:53", "tls://a_b-c.EXAMPLE:853", "10.0.0.0/8", "2001:db8::/32:53", "10.in-addr.arpa"],
)
def test_ordinary_keys_are_not_odd(text: str) -> None:
    assert oddity(text) is None


def listening(text: str) -> list[Listening]:
    """A block for each line: its keys, then "@" and its addresses; "view" for a filtered one."""
    blocks = []
    for number, line in enumerate(text.splitlines(), 1):
        keys, _, rest = line.partition("@")
        found = server_keys(tokens(keys), 53)
        placed = [Key(k.transport, k.zone, k.port, Place("f", number, 1)) for k in found]
        words = rest.split()
        addresses = [word for word in words if word != "view"]
        blocks.append(Listening(placed, addresses, "view" in words))
    return blocks


FREE = {
    "other zone": "a\nb",
    "zone below": "a\nb.a",
    "other port": "a:53\na:54",
    "other transport": "a\ntls://a:53",
    "other addresses": "a @ 127.0.0.1\na @ 127.0.0.2 ::1",
    "a view beside it": "a\na @ view\na @ view",
    "views, bound": "a @ ::1\na @ ::1 view",
}


@pytest.mark.parametrize("text", FREE.values(), ids=FREE)
def test_no_conflict(text: str) -> None:
    assert conflicts(listening(text)) == []


TAKEN = {
    "same block": ("a A.", ["f:1:1: cannot serve dns://a.:53: it is already defined at f:1:1"]),
    "other block": (
        "a\nb\na:53",
        ["f:3:1: cannot serve dns://a.:53: it is already defined at f:1"],
    ),
    "same address": (
        "a @ ::1\na @ ::2 ::1",
        ["f:2:1: cannot serve dns://a.:53 on ::1: it is already defined at f:1:1"],
    ),
    "address twice": (
        "a @ ::1 ::1",
        ["f:1:1: cannot serve dns://a.:53 on ::1: it is already defined at f:1:1"],
    ),
    "bound, then unbound": (
        "a @ ::1\na",
        ["f:2:1: cannot serve dns://a.:53: the zone is bound to ::1 at f:1:1 already"],
    ),
    "unbound, then bound": (
        "a\na @ ::1",
        ["f:2:1: cannot serve dns://a.:53 on ::1: the zone is on every address at f:1:1 already"],
    ),
    "a view on every address": (
        "a @ ::1\na @ view",
        ["f:2:1: cannot serve dns://a.:53: the zone is bound to ::1 at f:1:1 already"],
    ),
    "CIDR": (
        "1.10.in-addr.arpa\n10.0.0.0/15",
        ["f:2:1: cannot serve dns://1.10.in-addr.arpa.:53: it is already defined at f:1:1"],
    ),
    "every one": (
        "a b\na b",
        ["f:2:1: cannot serve dns://a.:53", "f:2:1: cannot serve dns://b.:53"],
    ),
}


@pytest.mark.parametrize(("text", "messages"), TAKEN.values(), ids=TAKEN)
def test_conflicts(text: str, messages: list[str]) -> None:
    faults = [str(fault) for fault in conflicts(listening(text))]
    assert len(faults) == len(messages)
    for fault, message in zip(faults, messages, strict=True):
        assert fault.startswith(message)
