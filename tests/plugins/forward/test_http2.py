"""HTTP/2 frame by frame, without sockets: what RFC 9113 lets servers send, and what it does not."""

from collections.abc import Callable

import hpack
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward.http2 import Http2
from clusterdns.plugins.forward.http_message import MEDIA, Form, Outcome, Refused, Response

FORM = Form("POST", "dns.test")
QUERY = bytes(range(40))
BODY = b"a reply"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OK = {b":status": b"200", b"content-type": b"application/dns-message"}


def begun(requests: int = 1, form: Form = FORM) -> Http2:
    """A connection with requests under way, whatever it had to say taken."""
    http = Http2(form)
    for n in range(requests):
        assert http.ask(QUERY) == 2 * n + 1
    http.outgoing()
    return http


def frames(octets: bytes) -> list[Frame]:
    """As the other side reads them."""
    found = []
    octets = octets.removeprefix(PREFACE)
    while octets:
        frame, size = Frame.parse_frame_header(memoryview(octets[:9]))
        frame.parse_body(memoryview(octets[9 : 9 + size]))
        found.append(frame)
        octets = octets[9 + size :]
    return found


def made(kind: type[Frame], stream: int, *flags: str, **values: object) -> Frame:
    frame = kind(stream, flags=flags)
    for name, value in values.items():
        setattr(frame, name, value)
    return frame


def block(**fields: str) -> bytes:
    """Headers that change the table of nobody."""
    pairs = [(name.replace("_", "-").replace("status", ":status"), fields[name]) for name in fields]
    octets: bytes = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*each) for each in pairs])
    return octets


def head(stream: int = 1, *flags: str, status: str = "200", **more: object) -> Frame:
    data = block(status=status, content_type=MEDIA)
    return made(HeadersFrame, stream, "END_HEADERS", *flags, data=data, **more)


def data(stream: int = 1, octets: bytes = BODY, *flags: str, **more: object) -> Frame:
    return made(DataFrame, stream, *flags, data=octets, **more)


def wire(*sent: Frame | bytes) -> bytes:
    return b"".join(each if isinstance(each, bytes) else each.serialize() for each in sent)


def cut(size: int) -> list[Frame]:
    """Headers in pieces of this size."""
    octets = block(status="200", content_type=MEDIA)
    parts = [octets[at : at + size] for at in range(0, len(octets), size)]
    first = made(HeadersFrame, 1, data=parts[0])
    rest = [made(ContinuationFrame, 1, data=each) for each in parts[1:]]
    (rest[-1] if rest else first).flags.add("END_HEADERS")
    return [first, *rest]


END = data(1, BODY, "END_STREAM")
RESPONSES: dict[str, list[Frame | bytes]] = {
    "4.1 an unknown frame": [
        b"\0\0\3\xee\xff\0\0\0\1any",
        head(),
        END,
    ],
    "4.3 headers in pieces": [*cut(5), END],
    "5.3 priority": [
        made(PriorityFrame, 1, depends_on=0, stream_weight=1, exclusive=False),
        made(
            HeadersFrame,
            1,
            "END_HEADERS",
            "PRIORITY",
            data=block(status="200", content_type=MEDIA),
            depends_on=3,
            stream_weight=9,
            exclusive=True,
        ),
        END,
    ],
    "6.1 padding": [
        head(1, "PADDED", pad_length=7),
        data(1, BODY[:3], "PADDED", pad_length=255),
        data(1, b"", "PADDED", pad_length=3),
        data(1, BODY[3:], "PADDED", "END_STREAM", pad_length=0),
    ],
    "6.1 an end of its own": [head(), data(), data(1, b"", "END_STREAM")],
    "8.1 there is more to come": [head(status="100"), head(status="103"), head(), END],
    "8.1 trailers": [
        head(),
        data(),
        made(HeadersFrame, 1, "END_HEADERS", "END_STREAM", data=block(grpc_status="0")),
    ],
    "of nobody": [
        head(7),
        data(7, bytes(1000), "END_STREAM"),
        made(RstStreamFrame, 9, error_code=1),
        made(WindowUpdateFrame, 11, window_increment=9),
        head(),
        END,
    ],
}


@pytest.mark.parametrize("sent", RESPONSES.values(), ids=RESPONSES)
@pytest.mark.parametrize("size", [1, 10, 1 << 20])
def test_responses(sent: list[Frame | bytes], size: int) -> None:
    """However they are cut into segments."""
    http = begun()
    octets = wire(made(SettingsFrame, 0), *sent)
    told: list[tuple[int, Outcome]] = []
    for at in range(0, len(octets), size):
        told += http.received(octets[at : at + size])
    assert told == [(1, Response(200, OK, BODY))]
    assert [type(each) for each in frames(http.outgoing())] == [SettingsFrame]
    assert not http.is_over


def test_the_table_of_headers_is_kept() -> None:
    """Also by what nobody waits for any more."""
    http = begun(3)
    encoder = hpack.Encoder()
    fields = [(":status", "200"), ("content-type", "application/dns-message"), ("x-y", "z" * 40)]
    http.leave(1)
    for stream in (1, 3, 5):
        octets = encoder.encode(fields)
        assert (len(octets) < 10) == (stream > 1)
        frame = made(HeadersFrame, stream, "END_HEADERS", "END_STREAM", data=octets)
        told = http.received(wire(frame))
        headers = OK | {b"x-y": b"z" * 40}
        assert told == ([(stream, Response(200, headers, b""))] if stream > 1 else [])


def code(number: int) -> Frame:
    return made(RstStreamFrame, 1, error_code=number)


FAILED: dict[str, tuple[list[Frame], str]] = {
    "reset": ([head(), code(2)], "stream error: stream ID 1; INTERNAL_ERROR; received from peer"),
    "reset by a code of its own": (
        [code(0xABCD)],
        "stream error: stream ID 1; unknown error code 0xabcd; received from peer",
    ),
    "no headers": ([END], "malformed HTTP response: it has no headers"),
    "no status": (
        [made(HeadersFrame, 1, "END_HEADERS", data=block(content_type="text/html"))],
        "malformed HTTP response: it has no status",
    ),
    "a strange status": ([head(status="2OO")], "malformed HTTP response: it has no status"),
    "too much": (
        [head(), *[data(1, bytes(16384))] * 4],
        "a reply of more than 65535 octets",
    ),
}


@pytest.mark.parametrize(("sent", "expected"), FAILED.values(), ids=FAILED)
def test_a_response_that_is_none_ends_no_other(sent: list[Frame], expected: str) -> None:
    http = begun(2)
    ((number, outcome),) = http.received(wire(*sent))
    assert number == 1
    assert isinstance(outcome, UpstreamError)
    assert str(outcome) == expected
    resets = [each for each in frames(http.outgoing()) if isinstance(each, RstStreamFrame)]
    assert len(resets) == (not isinstance(sent[-1], RstStreamFrame))
    assert http.received(wire(head(3), data(3, BODY, "END_STREAM"))) == [
        (3, Response(200, OK, BODY))
    ]
    assert not http.is_over


BROKEN: dict[str, tuple[list[Frame | bytes], str]] = {
    "4.2 a large frame": ([b"\0\x40\1\0\0\0\0\0\1"], "a frame is too large"),
    "4.3 not compressed so": (
        [made(HeadersFrame, 1, "END_HEADERS", data=b"\xff\xff\xff")],
        "",
    ),
    "6.1 padding alone": ([b"\0\0\2\0\x08\0\0\0\1\2x"], "there is more padding than frame"),
    "6.1 padding of nothing": ([b"\0\0\0\0\x08\0\0\0\1"], "a frame is too small"),
    "6.4 short reset": ([b"\0\0\3\3\0\0\0\0\1abc"], "a frame is too small"),
    "6.5 half a setting": ([b"\0\0\5\4\0\0\0\0\0abcde"], "a frame is too small"),
    "6.6 a push": (
        [made(PushPromiseFrame, 1, "END_HEADERS", promised_stream_id=2, data=block(status="200"))],
        "a response to what was not asked",
    ),
    "6.7 a small ping": ([b"\0\0\4\6\0\0\0\0\0abcd"], "a ping of another size"),
    "6.8 short goaway": ([b"\0\0\4\7\0\0\0\0\0abcd"], "a frame is too small"),
    "6.10 no continuation": ([cut(5)[0], END], "headers are not continued"),
    "6.10 another stream's": (
        [cut(5)[0], made(ContinuationFrame, 3, data=b"x")],
        "what is continued has not begun",
    ),
    "6.10 from nowhere": (
        [made(ContinuationFrame, 1, data=b"x")],
        "what is continued has not begun",
    ),
    "6.10 without an end": (
        [cut(5)[0], *[made(ContinuationFrame, 1, data=bytes(16384))] * 4],
        "headers are too large",
    ),
    "10.5.1 large headers": (
        [
            made(
                HeadersFrame,
                1,
                "END_HEADERS",
                data=hpack.Encoder().encode([("a", "b" * 4000)]) + b"\xbe" * 20,
            )
        ],
        "",
    ),
}


@pytest.mark.parametrize(("sent", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_http(sent: list[Frame | bytes], expected: str) -> None:
    with pytest.raises(UpstreamError, match=f"malformed HTTP response: {expected}"):
        begun().received(wire(*sent))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 255), st.binary(max_size=20))))
def test_any_frames(found: list[tuple[int, int, bytes]]) -> None:
    """Nothing but UpstreamError, and what is sent can be read."""
    http = begun(2)
    octets = b"".join(
        len(payload).to_bytes(3) + bytes((kind, flags)) + (flags & 7).to_bytes(4) + payload
        for kind, flags, payload in found
    )
    try:
        for number, _ in http.received(octets):
            assert number in (1, 3)
    except UpstreamError:
        return
    frames(http.outgoing())


@given(st.binary(max_size=60))
def test_any_octets(octets: bytes) -> None:
    try:
        begun().received(octets)
    except UpstreamError:
        return


def test_what_is_said_first() -> None:  # sections 3.4, 6.5
    http = Http2(FORM)
    octets = http.outgoing()
    assert octets.startswith(PREFACE)
    first, second = frames(octets)
    assert isinstance(first, SettingsFrame)
    assert first.settings[2] == 0  # no pushes
    assert first.settings[4] > 65535  # so that a message which is too large shows
    assert isinstance(second, WindowUpdateFrame)
    assert second.stream_id == 0


def test_settings_and_pings_are_answered() -> None:
    http = begun()
    http.received(wire(made(SettingsFrame, 0, settings={1: 0, 3: 7, 99: 1})))
    (ack,) = frames(http.outgoing())
    assert (type(ack), list(ack.flags)) == (SettingsFrame, ["ACK"])
    assert http.limit == 7
    http.received(wire(made(SettingsFrame, 0, "ACK"), made(PingFrame, 0, opaque_data=b"12345678")))
    (pong,) = frames(http.outgoing())
    assert isinstance(pong, PingFrame)
    assert list(pong.flags) == ["ACK"]
    assert pong.opaque_data == b"12345678"
    http.received(wire(pong))
    assert http.outgoing() == b""


def sent_data(http: Http2) -> list[tuple[int, int, bool]]:
    """Stream, octets and end of what is sent of bodies."""
    return [
        (each.stream_id, len(each.data), "END_STREAM" in each.flags)
        for each in frames(http.outgoing())
        if isinstance(each, DataFrame)
    ]


def test_windows_of_the_server() -> None:  # section 6.9
    http = Http2(FORM)
    http.received(wire(made(SettingsFrame, 0, settings={4: 10})))
    http.ask(QUERY)
    assert sent_data(http) == [(1, 10, False)]
    http.received(wire(made(WindowUpdateFrame, 1, window_increment=5)))
    assert sent_data(http) == [(1, 5, False)]
    http.received(wire(made(SettingsFrame, 0, settings={4: 8})))  # it has 2 less than nothing
    http.received(wire(made(WindowUpdateFrame, 1, window_increment=2)))
    assert sent_data(http) == []
    http.received(wire(made(WindowUpdateFrame, 1, window_increment=1)))
    assert sent_data(http) == [(1, 1, False)]
    http.received(wire(made(SettingsFrame, 0, settings={4: 100})))
    assert sent_data(http) == [(1, 24, True)]


def test_the_window_of_the_connection() -> None:
    http = Http2(FORM)
    large = bytes(40_000)
    http.ask(large)
    http.ask(large)
    assert sent_data(http) == [
        *((1, 16384, False), (1, 16384, False), (1, 7232, True)),
        *((3, 16384, False), (3, 9151, False)),
    ]
    http.received(wire(made(WindowUpdateFrame, 3, window_increment=50_000)))
    assert sent_data(http) == []
    http.received(wire(made(WindowUpdateFrame, 0, window_increment=50_000)))
    assert sent_data(http) == [(3, 14465, True)]


def test_a_response_before_all_is_sent() -> None:  # section 8.1
    http = Http2(FORM)
    http.received(wire(made(SettingsFrame, 0, settings={4: 10})))
    http.ask(QUERY)
    assert http.received(wire(head(), END)) == [(1, Response(200, OK, BODY))]
    assert [type(each) for each in frames(http.outgoing())][-1] is RstStreamFrame


def test_what_was_read_is_told() -> None:
    """Also of streams that were left, or the server could send nothing any more."""
    http = begun(200)
    for number in range(1, 200, 2):
        http.leave(number)
    http.outgoing()
    told = 0
    for number in range(1, 200, 2):
        http.received(wire(data(number, bytes(16384))))
        updates = [e for e in frames(http.outgoing()) if isinstance(e, WindowUpdateFrame)]
        assert all(each.stream_id == 0 for each in updates)
        told += sum(each.window_increment for each in updates)
    assert 100 * 16384 - told < 1 << 19


def test_long_headers_are_continued() -> None:
    """A large message by GET is in its path."""
    http = Http2(Form("GET", "dns.test"))
    http.ask(bytes(40_000))
    first, *rest = frames(http.outgoing())[2:]
    assert isinstance(first, HeadersFrame)
    assert "END_STREAM" in first.flags
    assert [type(each) for each in rest] == [ContinuationFrame] * 3
    assert [("END_HEADERS" in each.flags) for each in (first, *rest)] == [False] * 3 + [True]
    octets = b"".join(each.serialize()[9:] for each in (first, *rest))
    path = dict(hpack.Decoder(1 << 17).decode(octets, raw=True))[b":path"]
    assert len(path) == len("/dns-query?dns=") + 53334


def test_headers_leave_no_trace() -> None:
    """RFC 7541 section 7.1.3: nothing of them is in the table of the server, which may be small."""
    http = Http2(FORM)
    decoder = hpack.Decoder()
    decoder.max_allowed_table_size = 0
    for _ in range(3):
        http.ask(QUERY)
    blocks = [each.data for each in frames(http.outgoing()) if isinstance(each, HeadersFrame)]
    fields = [decoder.decode(each, raw=True) for each in blocks]
    assert fields == [fields[0]] * 3
    assert dict(fields[0])[b"content-length"] == b"40"


def gone(last: int, error_code: int = 0) -> Frame:
    return made(GoAwayFrame, 0, last_stream_id=last, error_code=error_code)


GOING: list[tuple[list[Frame], list[int]]] = [
    ([gone((1 << 31) - 1)], []),
    ([gone(5)], []),
    ([gone(3)], [5]),
    ([gone(0, 11)], [1, 3, 5]),
    ([gone((1 << 31) - 1), gone(3), gone(1)], [5, 3]),
]


@pytest.mark.parametrize(("sent", "refused"), GOING)
def test_going_away(sent: list[Frame], refused: list[int]) -> None:  # section 6.8
    http = begun(3)
    told = http.received(wire(*sent))
    assert [number for number, _ in told] == refused
    assert all(isinstance(outcome, Refused) for _, outcome in told)
    assert http.is_over
    left = [number for number in (1, 3, 5) if number not in refused]
    for number in left:
        octets = wire(head(number), data(number, BODY, "END_STREAM"))
        assert http.received(octets) == [(number, Response(200, OK, BODY))]


def test_a_refused_stream() -> None:
    told = begun().received(wire(code(7)))
    assert told == [(1, Refused("stream error: stream ID 1; REFUSED_STREAM; received from peer"))]


def test_streams_come_to_an_end() -> None:
    http = Http2(FORM)
    http._next = (1 << 31) - 3
    http.ask(QUERY)
    assert not http.is_over
    assert http.ask(QUERY) == (1 << 31) - 1
    assert http.is_over


@pytest.mark.parametrize("act", [Http2.probe, Http2.end, lambda http: http.leave(1)])
def test_what_is_said_can_be_read(act: Callable[[Http2], None]) -> None:
    http = begun()
    act(http)
    assert len(frames(http.outgoing())) == 1
