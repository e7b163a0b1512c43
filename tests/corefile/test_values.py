"""Arguments of directives, by Go's rules where those show."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.corefile.findings import Findings
from clusterdns.corefile.lexer import Token, lex
from clusterdns.corefile.parser import Directive, parse
from clusterdns.corefile.values import (
    address,
    arguments,
    decimal,
    duration,
    host_port,
    integer,
    network,
    no_arguments,
    one_argument,
    zone_names,
)
from clusterdns.errors import ConfigError, Place

HERE = Place("f", 3, 7)


def word(text: str) -> Token:
    return Token(text, HERE)


def refused(read: Callable[[], object]) -> str:
    """The message; its place has to be the word's."""
    with pytest.raises(ConfigError) as raised:
        read()
    assert raised.value.place == HERE
    return raised.value.message


DURATIONS = {
    "0": 0,
    "+0": 0,
    "-0": 0,
    "0s": 0,
    "30s": 30,
    "1h30m": 5400,
    "1.5s": 1.5,
    ".5s": 0.5,
    "5.s": 5,
    "500ms": 0.5,
    "2us": 2e-6,
    "2µs": 2e-6,
    "2μs": 2e-6,
    "7ns": 7e-9,
    "-2m": -120,
    "+2m": 120,
    "1m1m": 120,
    "00000000000000000000000005s": 5,
    "2562047h": 2562047 * 3600,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_duration(text: str, seconds: float) -> None:
    assert duration(word(text)) == pytest.approx(seconds, abs=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", ".", "5", "s", ".s", "1d", "1 s", " 1s", "1s ", "1.2.3s", "--1s", "1_0s"),
        *("٣s", "1e3s", "1S", "2562048h", "99999999999999999999999999s"),
    ],
)
def test_no_duration(text: str) -> None:
    assert refused(lambda: duration(word(text))).startswith(f"{text!r} is no duration")


def test_duration_out_of_range() -> None:
    assert duration(word("1s"), 1, 2) == 1
    assert refused(lambda: duration(word("3s"), 1, 2)) == "3s is no duration of 1s to 2s"
    assert refused(lambda: duration(word("-1s"), 0)) == "-1s is no duration of 0s and up"
    assert refused(lambda: duration(word("3s"), most=2)) == "3s is no duration up to 2s"


INTEGERS = {"0": 0, "30": 30, "+7": 7, "-7": -7, "007": 7, "9223372036854775807": (1 << 63) - 1}


@pytest.mark.parametrize(("text", "number"), INTEGERS.items())
def test_integer(text: str, number: int) -> None:
    assert integer(word(text)) == number


@pytest.mark.parametrize("text", ["", "1_000", " 1", "1 ", "0x1", "1.0", "٣", "+", "1" * 5000])
def test_no_integer(text: str) -> None:
    assert refused(lambda: integer(word(text))) == f"{text!r} is no integer"


def test_integer_out_of_range() -> None:
    assert integer(word("3600"), 0, 3600) == 3600
    assert refused(lambda: integer(word("3601"), 0, 3600)) == "3601 is no integer of 0 to 3600"
    assert refused(lambda: integer(word("-1"), 0)) == "-1 is no integer of 0 and up"
    assert refused(lambda: integer(word("9" * 19))) == f"{'9' * 19} is no integer of 64 bits"


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_integer(number: int) -> None:
    assert integer(word(str(number))) == number


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("-1.5", -1.5), (".5", 0.5), ("1.", 1), ("1e3", 1000)]
)
def test_decimal(text: str, number: float) -> None:
    assert decimal(word(text)) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e999", "1_0", "0x1p3", " 1"])
def test_no_decimal(text: str) -> None:
    assert refused(lambda: decimal(word(text))) == f"{text!r} is no number"


def test_decimal_out_of_range() -> None:
    assert refused(lambda: decimal(word("-0.5"), 0)) == "-0.5 is no number of 0 and up"


def test_zone_names() -> None:
    words = [word(text) for text in ("Cluster.LOCAL", "10.0.0.0/15", "dns://b:53", "::ffff")]
    zones = ("cluster.local.", "0.10.in-addr.arpa.", "1.10.in-addr.arpa.", "b.", "::ffff.")
    assert zone_names(words, (".",)) == zones
    assert zone_names([], ("a.", "b.")) == ("a.", "b.")


def test_words_that_are_no_zone() -> None:
    words = [word("a..b"), word("a"), word("b:")]
    assert refused(lambda: zone_names(words)) == "'a..b' is no zone: an empty label"
    warnings: list[str] = []
    assert zone_names(words, (), warnings) == ("a.",)
    assert warnings == [
        "f:3:7: 'a..b' is no zone: an empty label; it is left out",
        "f:3:7: a port must follow the last colon: b:; it is left out",
    ]


def test_zone_names_do_not_take_the_brace_of_a_block() -> None:
    assert "must stand on a line" in refused(lambda: zone_names([word("}")], (), []))


HOSTS = {
    ":8080": ("", 8080),
    "localhost:8080": ("localhost", 8080),
    "127.0.0.1:0": ("127.0.0.1", 0),
    "[::1]:8080": ("::1", 8080),
}


@pytest.mark.parametrize(("text", "expected"), HOSTS.items())
def test_host_port(text: str, expected: tuple[str, int]) -> None:
    assert host_port(word(text)) == expected
    assert host_port(word(text), 53) == expected


@pytest.mark.parametrize(
    ("text", "host"), [("a", "a"), ("[::1]", "::1"), ("::1", "::1"), ("10.0.0.1", "10.0.0.1")]
)
def test_host_port_with_a_default_port(text: str, host: str) -> None:
    assert host_port(word(text), 53) == (host, 53)
    assert refused(lambda: host_port(word(text))).startswith(f"{text!r} has no port")


BAD_HOSTS = {
    "a:b": "'b' is no port, which is 0 to 65535",
    "a:": "'' is no port, which is 0 to 65535",
    "a:65536": "'65536' is no port, which is 0 to 65535",
    "a:-1": "'-1' is no port, which is 0 to 65535",
    "a:1:2": "'a:1:2' is no address and port; IPv6 needs [brackets]",
    "[::1]x": "'[::1]x' is no address and port; IPv6 needs [brackets]",
    "[::1": "'[::1' is no address and port; IPv6 needs [brackets]",
    "[a]:53": "'[a]:53' is no address and port; IPv6 needs [brackets]",
    "a]:53": "'a]:53' is no address and port; IPv6 needs [brackets]",
}


@pytest.mark.parametrize(("text", "message"), BAD_HOSTS.items())
def test_no_host_port(text: str, message: str) -> None:
    assert refused(lambda: host_port(word(text), 53)) == message


def test_address_and_network() -> None:
    assert str(address(word("::ffff:10.0.0.1"))) == "10.0.0.1"
    assert refused(lambda: address(word("a"))) == "'a' is no IP address"
    assert network(word("10.1.2.3/8")) == ip_network("10.0.0.0/8")
    assert network(word("10.1.2.3")) == ip_network("10.1.2.3/32")
    assert network(word("2001:db8::1/32")) == ip_network("2001:db8::/32")
    assert refused(lambda: network(word("10.0.0.0/33"))).startswith("'10.0.0.0/33' is no network")


def directive(line: str) -> Directive:
    return parse(f". {{\n{line}\n}}", "f").blocks[0].directives[0]


COUNTS = {
    "x {\nttl\n}": "f:3:1: ttl takes 1 argument, not 0",
    "x {\nttl 1 2\n}": "f:3:7: ttl takes at most 1 argument; '2' is too much",
    "x { ttl 1 }": "f:2:11: the } of a block must stand on a line of its own",
}


@pytest.mark.parametrize(("text", "message"), COUNTS.items())
def test_not_one_argument(text: str, message: str) -> None:
    (option,) = directive(text).block or ()
    with pytest.raises(ConfigError) as raised:
        one_argument(option)
    assert str(raised.value) == message


def test_one_argument() -> None:
    assert one_argument(directive("ttl 1")).text == "1"


def test_numbers_of_arguments() -> None:
    no_arguments(directive("a"))
    assert [token.text for token in arguments(directive("a b c"), 1)] == ["b", "c"]
    with pytest.raises(ConfigError, match="f:2:3: a takes no argument; 'b' is too much"):
        no_arguments(directive("a b"))
    with pytest.raises(ConfigError, match="f:2:3: a takes at least 2 arguments, not 1"):
        arguments(directive("a b"), 2)


@given(st.text(max_size=20))
def test_any_word_is_a_value_or_refused(text: str) -> None:
    for token in lex(text, "f", {}, Findings()):
        for read in (duration, integer, decimal, address, network, host_port):
            try:
                read(token)
            except ConfigError as error:
                assert error.place == token.place  # noqa: PT017 - either outcome is right
