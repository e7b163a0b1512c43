"""CPU microseconds per query that is forwarded by DNS over HTTPS, each about another name.

    python -m bench.https [--queries N]

The upstream is a process of its own, which speaks HTTP/2 or HTTP/1.1 alone and has one address for
every name; the server's CPU time counts, user and system, TLS included. CoreDNS is asked the same
where its binary is on PATH or in $COREDNS.
"""

import argparse
import asyncio
import ssl
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from bench.figures import machine
from bench.forward import ADDRESS, answering, rounds
from bench.processes import HOST, clusterdns_with, coredns_binary, coredns_with

QUERIES = 8_000
PKI = Path(__file__).parents[1] / "tests" / "plugins" / "forward" / "pki"
MEDIA = "application/dns-message"


def reply(message: bytes) -> bytes:
    """An address for whatever is asked."""
    end = message.index(b"\0", 12) + 5
    return message[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + message[12:end] + ADDRESS


class _Http1(asyncio.Protocol):
    """Answers POST requests, one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) >= size:
            body = reply(rest[:size])
            lines = f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA}\r\nContent-Length: {len(body)}\r\n"
            lines += "Cache-Control: max-age=30\r\nServer: bench\r\n\r\n"
            self._buffer = rest[size:]
            self._transport.write(lines.encode() + body)


class _Http2(asyncio.Protocol):
    """Answers POST requests as they come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        config = h2.config.H2Configuration(client_side=False)
        self._connection = h2.connection.H2Connection(config)
        self._connection.initiate_connection()
        self._transport.write(self._connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        http = self._connection
        for event in http.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                assert event.stream_id is not None
                assert event.data is not None
                http.acknowledge_received_data(len(event.data), event.stream_id)
                body = reply(event.data)
                fields = [(":status", "200"), ("content-type", MEDIA)]
                fields += [("content-length", str(len(body))), ("cache-control", "max-age=30")]
                http.send_headers(event.stream_id, [*fields, ("server", "bench")])
                http.send_data(event.stream_id, body, end_stream=True)
        self._transport.write(http.data_to_send())


def _serve(pipe: Connection, protocol: str) -> None:
    asyncio.run(_serving(pipe, protocol))


async def _serving(pipe: Connection, protocol: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PKI / "server.crt", PKI / "server.key")
    context.set_alpn_protocols([protocol])
    speaks = _Http2 if protocol == "h2" else _Http1
    server = await asyncio.get_running_loop().create_server(speaks, HOST, 0, ssl=context)
    pipe.send(server.sockets[0].getsockname())
    await server.serve_forever()


def measure(protocol: str, count: int) -> None:
    """Prints what a query costs each server, and what it has resident then."""
    for run in [clusterdns_with, *([coredns_with] if coredns_binary() else [])]:
        with (
            answering(_serve, protocol) as to,
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            run(
                Path(folder),
                f"errors\n forward . https://{to[0]}:{to[1]} {{\n tls {PKI / 'ca.crt'}\n }}",
            ) as server,
        ):
            costs, told = rounds(server, count)
            lost = sum(each.lost + each.rcodes.get(2, 0) for each in told)
            each = ", ".join(f"{cost:.1f}" for cost in costs)
            print(
                f"{server.name:12}{protocol:10}{min(costs):8.1f} us  ({each}; {lost} lost "
                f"or failed)  {server.rss_mb:.1f} MB"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=QUERIES)
    given = parser.parse_args()
    print(machine())
    for protocol in ("http/1.1", "h2"):
        measure(protocol, given.queries)


if __name__ == "__main__":
    main()
