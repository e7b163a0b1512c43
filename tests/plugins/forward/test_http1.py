"""HTTP/1.1 without sockets: how responses end, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward.http1 import Http1
from clusterdns.plugins.forward.http_message import Form, Outcome

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n"
WHOLE = HEAD + b"Content-Length: 5\r\n\r\nreply"


def begun(method: str = "POST") -> Http1:
    http = Http1(Form(method, "dns.test"))
    assert http.ask(b"question") == 1
    http.outgoing()
    return http


RESPONSES: dict[str, tuple[list[bytes], bool]] = {
    "by its length": ([WHOLE], False),
    "in chunks": (
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nre\r\n3;x=y\r\nply\r\n0\r\n\r\n"],
        False,
    ),
    "up to the end": ([HEAD + b"\r\nre", b"ply", b""], True),
    "the last one": ([WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")], True),
    "of HTTP/1.0": ([WHOLE.replace(b"1.1", b"1.0")], True),
    "there is more to come": ([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", WHOLE], False),
    "octet by octet": ([bytes([each]) for each in WHOLE], False),
    "more than was asked": ([WHOLE + b"HTTP/1.1 200 OK\r\n\r\n"], True),
}


@pytest.mark.parametrize(("parts", "is_last"), RESPONSES.values(), ids=RESPONSES)
def test_responses(parts: list[bytes], is_last: bool) -> None:
    http = begun()
    told: list[tuple[int, Outcome]] = []
    for part in parts:
        told += http.received(part)
    ((number, outcome),) = told
    assert number == 1
    assert not isinstance(outcome, UpstreamError)
    status, headers, body = outcome  # type: ignore[misc]
    assert (status, body) == (200, b"reply")
    assert headers[b"content-type"] == b"application/dns-message"
    assert http.is_over == is_last
    if not is_last:
        assert http.ask(b"another") == 2
        ((number, _),) = http.received(WHOLE)
        assert number == 2


def test_what_is_sent() -> None:
    http = Http1(Form("POST", "dns.test"))
    http.ask(b"question")
    assert http.outgoing() == (
        b"POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nAccept: application/dns-message\r\n"
        b"Content-Type: application/dns-message\r\nContent-Length: 8\r\n\r\nquestion"
    )
    http = Http1(Form("GET", "dns.test"))
    http.ask(b"question")
    assert http.outgoing() == (
        b"GET /dns-query?dns=cXVlc3Rpb24 HTTP/1.1\r\nHost: dns.test\r\n"
        b"Accept: application/dns-message\r\n\r\n"
    )


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 2", WHOLE[:-2]])
def test_an_end_before_the_response(part: bytes) -> None:
    http = begun()
    assert http.received(part) == []
    assert http.received(b"") == []
    assert http.is_over


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000,
    ],
)
def test_what_is_no_http(octets: bytes) -> None:
    http = begun()
    with pytest.raises(UpstreamError, match="malformed HTTP response"):
        http.received(octets)
    assert http.is_over


def test_too_much() -> None:
    http = begun()
    http.received(HEAD + b"Content-Length: 70000\r\n\r\n")
    ((number, outcome),) = http.received(bytes(65536))
    assert number == 1
    assert isinstance(outcome, UpstreamError)
    assert str(outcome) == "a reply of more than 65535 octets"
    assert http.is_over


def test_nobody_asked() -> None:
    """What came would be taken for the next response."""
    http = Http1(Form("POST", "dns.test"))
    assert http.received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n") == []
    assert http.is_over


@given(st.lists(st.binary(max_size=30)))
def test_any_octets(parts: list[bytes]) -> None:
    http = begun()
    try:
        for part in parts:
            http.received(part)
    except UpstreamError:
        return
