"""The page of `prometheus`: everything that is counted, in the format that the scraper asks for."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator

from aiohttp import hdrs, web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from clusterdns.web.app import TIMEOUT_S, serve, server_header
from clusterdns.web.families import families

Tell = Callable[[], None]

# Lines made before the loop gets its turn, about 10 microseconds each: 2 ms, and many small blocks
# with `prometheus` make thousands of lines.
SLICE = 200
_END = b"# EOF\n"  # of the OpenMetrics format


async def serve_metrics(
    sock: socket.socket,
    tells: Callable[[], Iterable[Tell]],
    stopping: asyncio.Event,
    runtime: bool = False,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Tells on /metrics what was counted, until `stopping` is set; closes the socket.

    tells: each makes somebody add to the metrics what it counted for itself.
    runtime: with more of the interpreter's own figures.
    tls: for HTTPS; None serves plain HTTP.
    """

    async def page(request: web.BaseRequest) -> web.Response:
        for tell in tells():
            tell()
            await asyncio.sleep(0)
        body, content_type = await exposition(request.headers.get(hdrs.ACCEPT, ""), runtime)
        response = web.Response(
            body=body, headers={**server_header(), hdrs.CONTENT_TYPE: content_type}
        )
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    await serve(sock, {"/metrics": page}, stopping, timeout_s, tls)


async def exposition(accept: str = "", runtime: bool = False) -> tuple[bytes, str]:
    """All metrics in the format that suits an Accept header, and its content type.

    The loop gets its turn between slices: nothing waits for a scrape longer than one takes.
    """
    encode, content_type = choose_encoder(accept)
    if content_type == CONTENT_TYPE_PLAIN_0_0_4:
        content_type += "; escaping=underscores"  # as CoreDNS says it, and true: names are plain
    parts, end = [], b""
    for family in families(runtime):
        for number, piece in enumerate(_pieces(family)):
            text = encode(_Only(piece))
            if text.endswith(_END):
                text, end = text.removesuffix(_END), _END
            parts.append(_without_head(text) if number else text)
            await asyncio.sleep(0)
    return b"".join(parts) + end, content_type


class _Only(Collector):
    """A registry of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]


def _pieces(family: Metric) -> Iterator[Metric]:
    """The family in slices of its samples; at least one."""
    for start in range(0, len(family.samples) or 1, SLICE):
        piece = Metric(family.name, family.documentation, family.type, family.unit)
        piece.samples = family.samples[start : start + SLICE]
        yield piece


def _without_head(text: bytes) -> bytes:
    """The lines of samples, without the comments that begin a family."""
    return b"".join(line for line in text.splitlines(True) if not line.startswith(b"#"))
