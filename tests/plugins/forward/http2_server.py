"""A DoH server that speaks HTTP/2 by the library `h2`, and does to connections what it is told."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.message
import h2.config
import h2.connection
import h2.events
from aiohttp import web
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import Frame, GoAwayFrame

from tests.plugins.forward.stubs import HOST, Asked
from tests.plugins.forward.test_https import good
from tests.plugins.forward.test_streams import server_context

Answer = Callable[[Asked], web.Response]


@dataclass
class Exchange:
    """A request, and what its connection can do to it."""

    connection: "Served"
    stream: int
    headers: dict[str, str]
    asked: Asked

    def answer(self) -> None:
        """What the server says to it."""
        self.respond(self.connection.server.answer(self.asked))

    def respond(self, response: web.Response) -> None:
        fields = [(":status", str(response.status))]
        fields += [(name.lower(), value) for name, value in response.headers.items()]
        self.connection.respond(self.stream, fields, bytes(response.body or b""))  # type: ignore[arg-type]

    def reset(self, code: ErrorCodes) -> None:
        self.connection.http.reset_stream(self.stream, code)
        self.connection.flush()


@dataclass
class Doh2:
    """answer: the response to each question. take: what is done with each request: answered at
    once, unless it is set. settings: what clients are told."""

    answer: Answer
    take: Callable[[Exchange], None] = Exchange.answer
    settings: dict[int, int] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    connections: list["Served"] = field(default_factory=list)
    port: int = 0

    @property
    def asked(self) -> list[Asked]:
        return [each.asked for each in self.exchanges]

    @property
    def open(self) -> list["Served"]:
        return [each for each in self.connections if not each.is_lost]

    @property
    def resets(self) -> list[h2.events.StreamReset]:
        return [each for connection in self.connections for each in connection.resets]


class Served(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, server: Doh2) -> None:
        self.server = server
        config = h2.config.H2Configuration(client_side=False, header_encoding="ascii")
        self.http = h2.connection.H2Connection(config)
        self.is_lost = False
        self.is_mute = False  # it is there, and neither reads nor writes
        self.resets: list[h2.events.StreamReset] = []
        self.pings = 0
        self.most = 0  # streams at a time
        self.ended: h2.events.ConnectionTerminated | None = None
        self._heads: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}
        self._unsent: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections.append(self)
        self.http.initiate_connection()
        self.http.update_settings(self.server.settings)
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        if self.is_mute:
            return
        for event in self.http.receive_data(data):
            self._happened(event)
        self.flush()

    def respond(self, stream: int, fields: list[tuple[str, str]], body: bytes) -> None:
        if self.transport.is_closing():
            return
        self.http.send_headers(stream, fields, end_stream=not body)
        self._unsent[stream] = body
        self._push(stream)
        self.flush()

    def go_away(self, last: int) -> None:
        """Takes no more; goes on with what is under way, which h2 would not do."""
        frame = GoAwayFrame(0)
        frame.last_stream_id = last
        self.send(frame)

    def send(self, frame: Frame) -> None:
        self.transport.write(frame.serialize())

    def flush(self) -> None:
        if not self.is_mute:
            self.transport.write(self.http.data_to_send())

    def _push(self, stream: int) -> None:
        while body := self._unsent.get(stream):
            window = self.http.local_flow_control_window(stream)
            size = min(len(body), window, self.http.max_outbound_frame_size)
            if not size:
                return
            self._unsent[stream] = body[size:]
            self.http.send_data(stream, body[:size], end_stream=size == len(body))

    def _happened(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                assert event.headers is not None
                self._heads[event.stream_id] = {str(k): str(v) for k, v in event.headers}
                self._bodies[event.stream_id] = b""
                self.most = max(self.most, self.http.open_inbound_streams)
            case h2.events.DataReceived():
                assert event.data is not None
                self._bodies[event.stream_id] += event.data
                size = event.flow_controlled_length
                self.http.acknowledge_received_data(size, event.stream_id)
            case h2.events.StreamEnded():
                self._take(event.stream_id)
            case h2.events.StreamReset():
                self.resets.append(event)
                self._unsent.pop(event.stream_id, None)
            case h2.events.WindowUpdated():
                for stream in [event.stream_id] if event.stream_id else list(self._unsent):
                    self._push(stream)
            case h2.events.PingReceived():
                self.pings += 1
            case h2.events.ConnectionTerminated():
                self.ended = event

    def _take(self, stream: int) -> None:
        headers, octets = self._heads[stream], self._bodies[stream]
        if headers[":method"] == "GET":
            text = headers[":path"].partition("?dns=")[2]
            assert "=" not in text
            octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        peer = self.transport.get_extra_info("peername")
        asked = Asked(dns.message.from_wire(octets), octets, "h2", peer[1], peer[0])
        exchange = Exchange(self, stream, headers, asked)
        self.server.exchanges.append(exchange)
        self.server.take(exchange)


def http2_context(*versions: str) -> ssl.SSLContext:
    """Of a server that chooses between these."""
    context = server_context()
    context.set_alpn_protocols(versions or ["h2"])
    return context


@asynccontextmanager
async def doh2(
    answer: Answer = good,
    *,
    context: ssl.SSLContext | None = None,
    settings: dict[SettingCodes, int] | None = None,
) -> AsyncIterator[Doh2]:
    """Runs a server until the block ends."""
    server = Doh2(answer, settings={int(name): value for name, value in (settings or {}).items()})
    listening = await asyncio.get_running_loop().create_server(
        lambda: Served(server), HOST, 0, ssl=context or http2_context()
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for each in server.open:
            each.transport.abort()
        await asyncio.sleep(0)
