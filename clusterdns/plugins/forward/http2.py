"""HTTP/2 to an upstream: octets in, octets out, as much of RFC 9113 as small requests need.

Written here for its price. The library for it (`h2`) costs 155 us of CPU for a query, more than all
the rest does, and forgets what is under way when a server says that it takes no more (GOAWAY).
Header compression is `hpack`'s, and tests have `h2` on the other side.
"""

import struct
from collections.abc import Callable

import hpack

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward.http2_fields import NO_TABLE, Fields
from clusterdns.plugins.forward.http_message import (
    MOST_OCTETS,
    Form,
    Outcome,
    Refused,
    Response,
    too_large,
)

ALPN = "h2"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct("!BHBBI")  # the length in two parts, type, flags, stream
_SETTING = struct.Struct("!HI")
_NUMBER = struct.Struct("!I")
_LAST_AND_CODE = struct.Struct("!II")
_HIGH_BIT = 1 << 31  # reserved, wherever 31 bits are meant
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PUSH = 0, 1, 3, 4, 5
_PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 6, 7, 8, 9
_END_STREAM = _ACK = 0x1
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20
_ENABLE_PUSH, _MAX_STREAMS, _INITIAL_WINDOW, _MAX_FRAME, _MAX_FIELDS = 2, 3, 4, 5, 6
_ERRORS = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"),
    *("STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"),
    *("CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)  # section 7, by code
_REFUSED_STREAM, _CANCEL = _ERRORS.index("REFUSED_STREAM"), _ERRORS.index("CANCEL")
_PING_SIZE = 8
_WINDOW = 65535  # section 6.9.2, of connections and streams until it is changed
_LARGEST_FRAME = 16384  # that we take, and that a server takes unless it says more
# What a server may send of a reply: more than a message has, so that what is too large shows.
_STREAM_WINDOW = MOST_OCTETS + _LARGEST_FRAME
_OUR_WINDOW = 1 << 20  # and of all replies together, until it hears that they were read
_MOST_FIELDS = 1 << 16  # octets of the headers of a response; those of DNS servers have 300
_STREAMS = 100  # at a time until the server says how many; what it is to allow, section 6.5.2
_LAST_STREAM = (1 << 31) - 1


class Http2:
    """One connection.

    limit: requests at a time. is_over: there can be no more of them, those under way go on.
    """

    leaves_usable = True  # other requests have streams of their own

    def __init__(self, form: Form) -> None:
        self.limit = _STREAMS
        self.is_over = False
        self._form = form
        self._fields = Fields(form)
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._told: list[tuple[int, Outcome]] = []
        self._decoder = hpack.Decoder(_MOST_FIELDS)
        self._buffer = b""
        self._block: _Block | None = None  # one that goes on in the next frame
        self._window, self._stream_window, self._largest = _WINDOW, _WINDOW, _LARGEST_FRAME
        self._read = 0  # octets of DATA that the server does not know to be read
        ours = {_ENABLE_PUSH: 0, _INITIAL_WINDOW: _STREAM_WINDOW, _MAX_FIELDS: _MOST_FIELDS}
        settings = b"".join(_SETTING.pack(*each) for each in ours.items())
        self._out = [_PREFACE]
        self._send(_SETTINGS, 0, 0, settings)
        self._send(_WINDOW_UPDATE, 0, 0, _NUMBER.pack(_OUR_WINDOW - _WINDOW))
        self._before = NO_TABLE  # of the next block

    def ask(self, message: bytes) -> int:
        """Begins a request; its number, which is that of its stream."""
        number = self._next
        self._next += 2
        self.is_over = self.is_over or self._next > _LAST_STREAM
        body = self._form.body(message)
        block = self._before + self._fields.block(message)
        self._before = b""
        kind, flags = _HEADERS, 0 if body else _END_STREAM
        while len(block) > self._largest:
            self._send(kind, flags, number, block[: self._largest])
            block = block[self._largest :]
            kind, flags = _CONTINUATION, 0
        self._send(kind, flags | _END_HEADERS, number, block)
        stream = self._streams[number] = _Stream(body, self._stream_window)
        self._push(number, stream)
        return number

    def leave(self, number: int) -> None:
        """The response is waited for no longer; if it comes all the same, it is stepped over."""
        if self._streams.pop(number, None) is not None:
            self._send(_RST_STREAM, 0, number, _NUMBER.pack(_CANCEL))

    def probe(self) -> None:
        """Has the other side say something."""
        self._send(_PING, 0, 0, bytes(_PING_SIZE))

    def end(self) -> None:
        """Says good-bye."""
        self._send(_GOAWAY, 0, 0, _LAST_AND_CODE.pack(0, _ERRORS.index("NO_ERROR")))

    def outgoing(self) -> bytes:
        """What is to be sent by now."""
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    def received(self, data: bytes) -> list[tuple[int, Outcome]]:
        """What came of requests, by number; data: b"" at the end of the connection.

        Raises UpstreamError for what is no HTTP/2; the connection is of no use then.
        """
        buffer = self._buffer + data
        at, most = 0, len(buffer) - _FRAME.size
        try:
            while at <= most:
                high, low, kind, flags, number = _FRAME.unpack_from(buffer, at)
                start = at + _FRAME.size
                end = start + (high << 16 | low)
                if end - start > _LARGEST_FRAME:
                    raise _malformed("a frame is too large")
                if end > len(buffer):
                    break
                if self._block is not None and kind != _CONTINUATION:
                    raise _malformed("headers are not continued")
                take = _TAKES.get(kind)
                if take is not None:  # others are to be ignored, section 4.1
                    take(self, flags, number & ~_HIGH_BIT, buffer[start:end])
                at = end
        except (struct.error, IndexError) as error:
            raise _malformed("a frame is too small") from error
        self._buffer = buffer[at:]
        told, self._told = self._told, []
        return told

    def _send(self, kind: int, flags: int, number: int, octets: bytes) -> None:
        size = len(octets)
        self._out.append(_FRAME.pack(size >> 16, size & 0xFFFF, kind, flags, number) + octets)

    def _push(self, number: int, stream: "_Stream") -> None:
        """Sends as much of a body as the server takes."""
        while stream.unsent:
            size = min(len(stream.unsent), self._window, stream.window, self._largest)
            if size <= 0:
                return
            part, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            self._window -= size
            stream.window -= size
            self._send(_DATA, 0 if stream.unsent else _END_STREAM, number, part)

    def _push_all(self) -> None:
        for number, stream in self._streams.items():
            self._push(number, stream)

    def _tell(self, number: int, outcome: Outcome) -> None:
        self._told.append((number, outcome))
        del self._streams[number]

    def _take_data(self, flags: int, number: int, octets: bytes) -> None:
        self._read += len(octets)
        if self._read > _OUR_WINDOW // 2:
            self._send(_WINDOW_UPDATE, 0, 0, _NUMBER.pack(self._read))
            self._read = 0
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.body += _unpadded(flags, octets)
        if len(stream.body) > MOST_OCTETS:
            self._fail(number, too_large())
        elif flags & _END_STREAM:
            self._end_stream(number, stream)

    def _fail(self, number: int, error: UpstreamError) -> None:
        """Ends a request that came to nothing."""
        self._told.append((number, error))
        self.leave(number)

    def _end_stream(self, number: int, stream: "_Stream") -> None:
        if stream.headers is None:
            self._fail(number, _malformed("it has no headers"))
            return
        self._tell(number, Response(stream.status, stream.headers, bytes(stream.body)))
        if stream.unsent:  # it needs no more, section 8.1
            self._send(_RST_STREAM, 0, number, _NUMBER.pack(_CANCEL))

    def _take_headers(self, flags: int, number: int, octets: bytes) -> None:
        octets = _unpadded(flags, octets)
        if flags & _PRIORITY:
            octets = octets[5:]
        self._take_block(_Block(number, bool(flags & _END_STREAM), octets), flags)

    def _take_continuation(self, flags: int, number: int, octets: bytes) -> None:
        block, self._block = self._block, None
        if block is None or block.number != number:
            raise _malformed("what is continued has not begun")
        if len(block.octets) + len(octets) > _MOST_FIELDS:
            raise _malformed("headers are too large")
        self._take_block(_Block(number, block.is_last, block.octets + octets), flags)

    def _take_block(self, block: "_Block", flags: int) -> None:
        if not flags & _END_HEADERS:
            self._block = block
            return
        try:  # also of what nobody waits for: it may change the decoder's table
            fields = dict(self._decoder.decode(block.octets, raw=True))
        except hpack.HPACKError as error:
            raise _malformed(str(error) or type(error).__name__) from error
        stream = self._streams.get(block.number)
        if stream is None:
            return
        status = fields.get(b":status")
        if stream.headers is None:
            if status is None or len(status) != 3 or not status.isdigit():
                self._fail(block.number, _malformed("it has no status"))
                return
            if status[:1] == b"1" and not block.is_last:  # there is another one to come
                return
            stream.status, stream.headers = int(status), fields
        if block.is_last:
            self._end_stream(block.number, stream)

    def _take_reset(self, flags: int, number: int, octets: bytes) -> None:
        (code,) = _NUMBER.unpack(octets)
        if number not in self._streams:
            return
        reason = f"stream error: stream ID {number}; {_name(code)}; received from peer"
        refused = code == _REFUSED_STREAM  # section 8.7
        self._tell(number, Refused(reason) if refused else UpstreamError(reason))

    def _take_settings(self, flags: int, number: int, octets: bytes) -> None:
        if flags & _ACK:
            return
        for name, value in _SETTING.iter_unpack(octets):
            if name == _MAX_STREAMS:
                self.limit = value
            elif name == _INITIAL_WINDOW:
                for stream in self._streams.values():  # may be below 0 then, section 6.9.2
                    stream.window += value - self._stream_window
                self._stream_window = value
            elif name == _MAX_FRAME:
                self._largest = max(_LARGEST_FRAME, value)
        self._send(_SETTINGS, _ACK, 0, b"")
        self._push_all()

    def _take_push(self, flags: int, number: int, octets: bytes) -> None:
        raise _malformed("a response to what was not asked")

    def _take_ping(self, flags: int, number: int, octets: bytes) -> None:
        if len(octets) != _PING_SIZE:
            raise _malformed("a ping of another size")
        if not flags & _ACK:
            self._send(_PING, _ACK, 0, octets)

    def _take_goaway(self, flags: int, number: int, octets: bytes) -> None:
        """No more requests; those after the last one that is told here were not looked at."""
        self.is_over = True
        last, code = _LAST_AND_CODE.unpack_from(octets)
        for each in [each for each in self._streams if each > last & ~_HIGH_BIT]:
            self._tell(each, Refused(f"server sent GOAWAY; {_name(code)}"))

    def _take_window(self, flags: int, number: int, octets: bytes) -> None:
        more = _NUMBER.unpack(octets)[0] & ~_HIGH_BIT
        if not number:
            self._window += more
            self._push_all()
        elif stream := self._streams.get(number):
            stream.window += more
            self._push(number, stream)


# By the class: a table of methods of its own would keep a connection until garbage is collected.
_TAKES: dict[int, Callable[[Http2, int, int, bytes], None]] = {
    _DATA: Http2._take_data,
    _HEADERS: Http2._take_headers,
    _RST_STREAM: Http2._take_reset,
    _SETTINGS: Http2._take_settings,
    _PUSH: Http2._take_push,
    _PING: Http2._take_ping,
    _GOAWAY: Http2._take_goaway,
    _WINDOW_UPDATE: Http2._take_window,
    _CONTINUATION: Http2._take_continuation,
}


class _Stream:
    """A request under way. window: how much of its body the server takes. headers: None: they have
    not come."""

    __slots__ = ("body", "headers", "status", "unsent", "window")

    def __init__(self, unsent: bytes, window: int) -> None:
        self.unsent = unsent
        self.window = window
        self.status = 0
        self.headers: dict[bytes, bytes] | None = None
        self.body = bytearray()


class _Block:
    """Headers on their way. is_last: nothing follows them."""

    def __init__(self, number: int, is_last: bool, octets: bytes) -> None:
        self.number = number
        self.is_last = is_last
        self.octets = octets


def _unpadded(flags: int, octets: bytes) -> bytes:
    if not flags & _PADDED:
        return octets
    end = len(octets) - octets[0]
    if end < 1:
        raise _malformed("there is more padding than frame")
    return octets[1:end]


def _name(code: int) -> str:
    return _ERRORS[code] if code < len(_ERRORS) else f"unknown error code {code:#x}"


def _malformed(reason: str) -> UpstreamError:
    return UpstreamError(f"malformed HTTP response: {reason}")
