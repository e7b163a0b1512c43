"""DNS over TLS (RFC 7858): what `server.tcp` does, in connections that nobody else can read."""

import asyncio
import os
import socket

from clusterdns.errors import ConfigError
from clusterdns.logs import plugin_logger
from clusterdns.plugins.base import TlsFiles
from clusterdns.server.answers import Answers
from clusterdns.server.certificates import Certificates, Following
from clusterdns.server.respond import Responder
from clusterdns.server.tcp import ACCEPTED, Connection, Tcp, TcpLimits
from clusterdns.server.underway import UnderWay

log = plugin_logger("tls")


def tls_context(files: TlsFiles) -> Following:
    """What to serve with; files that change are read again at the next handshake.

    Nothing is written before its `open`, which may fail all the same.
    Raises ConfigError at the directive for files that cannot be used.
    """
    certificates = Certificates(files.cert, files.key, files.ca, files.clients, keylog=files.keylog)
    try:
        found = Following(certificates, log)
    except OSError as error:
        named = error.filename or f"{files.cert}, {files.key}"
        raise ConfigError(f"{named}: {error.strerror or error}", files.place) from error
    if files.keylog and not _is_writable(files.keylog):
        raise ConfigError(f"keylog {files.keylog} cannot be written", files.place)
    return found


def _is_writable(path: str) -> bool:
    """Whether the file can be written, or made if it is not there."""
    if os.path.exists(path):
        return os.path.isfile(path) and os.access(path, os.W_OK)
    return os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK)


class Tls(Tcp):
    """The TLS connections to one listening socket.

    Handshakes have the time of a first query, `read_s`, in addition to it.
    """

    def __init__(
        self,
        sock: socket.socket,
        answers: Answers,
        responder: Responder,
        under_way: UnderWay,
        limits: TcpLimits,
        context: Following,
    ) -> None:
        super().__init__(sock, answers, responder, under_way, limits)
        self._context = context

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        return await loop.create_server(
            lambda: _TlsConnection(self),
            sock=self._sock,
            backlog=ACCEPTED,
            ssl=self._context,
            ssl_handshake_timeout=self.limits.read_s,
            ssl_shutdown_timeout=self.limits.write_s,
        )


class _TlsConnection(Connection):
    def eof_received(self) -> bool:
        """The client has closed. asyncio cannot keep the other half of TLS open, so what it waits
        for is lost."""
        return False
