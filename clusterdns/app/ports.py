"""The next port that nobody has, for who asks for one with -next-free-port."""

import errno
import logging
import socket

PORTS_TRIED = 100  # how far the next free port may be; beyond, something else is wrong
SOCKET_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)

log = logging.getLogger(__name__)


def next_free(address: str, port: int) -> int:
    """The first port from this one on that nobody has, for UDP and TCP.

    With SO_REUSEPORT a port that another process of ours serves could be bound, and shared.
    """
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        if all(_is_free(address, candidate, kind) for kind in SOCKET_KINDS):
            return candidate
    return port  # opening it says why not


def tell_moved(wanted: int, port: int) -> None:
    """Says it where a port is another than the one asked for."""
    if wanted not in (0, port):
        log.warning("port %d is taken; using %d", wanted, port)


def _is_free(address: str, port: int, kind: socket.SocketKind) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as sock:
        try:
            sock.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        return True
