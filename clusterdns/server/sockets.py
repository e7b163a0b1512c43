"""Binds UDP and TCP on an address."""

import errno
import socket
from typing import NamedTuple

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import ConfigError, Place

# What UDP may wait in the kernel while the loop is busy elsewhere for some milliseconds; it gives
# as much of it as net.core.rmem_max and wmem_max allow, 208 kB unless set.
BUFFER = 4 << 20
# Connections that wait to be accepted; the kernel takes net.core.somaxconn if that is less.
BACKLOG = 1024

_ANY_PORT_TRIES = 20  # a free UDP port may be taken for TCP; two in a row are rare already
_NO_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}  # IPv6 is off


class Bound(NamedTuple):
    """The two sockets of one address and port, not blocking; TCP listens."""

    udp: socket.socket | None  # None where there are connections only (`tls`)
    tcp: socket.socket
    address: str  # as given; "0.0.0.0" or "::" of the wildcard
    port: int

    def close(self) -> None:
        """Closes both; may be called again."""
        if self.udp is not None:
            self.udp.close()
        self.tcp.close()


def bind(address: str, port: int, place: Place | None = None, with_udp: bool = True) -> list[Bound]:
    """Sockets for queries to an address: one pair, two (IPv4 and IPv6) on the wildcard.

    address: "" is the wildcard, a host without one of the families has the other one only.
        A link-local address has its scope: fe80::1%eth0.
    port: 0 is a free one, the same for all.
    SO_REUSEPORT is set, as CoreDNS does, except with port 0: two would find the same free port.
    Raises ConfigError with address, port and reason; nothing stays open then.
    """
    addresses = [address] if address else ["0.0.0.0", "::"]
    tries = _ANY_PORT_TRIES if port == 0 else 1
    for left in reversed(range(tries)):
        try:
            return _bind_all(addresses, port, with_udp)
        except _Failed as failed:
            if not left or failed.error.errno != errno.EADDRINUSE:
                raise ConfigError(str(failed), place) from failed.error
    raise AssertionError("the last try returns or raises")


class _Failed(Exception):
    def __init__(self, address: str, port: int, kind: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        at = host_and_port(address, port)
        super().__init__(f"cannot listen on {at} ({kind}): {reason}")
        self.error = error


def _bind_all(addresses: list[str], port: int, with_udp: bool) -> list[Bound]:
    bound: list[Bound] = []
    missing: _Failed | None = None
    try:
        for address in addresses:
            try:
                where = bound[0].port if bound else port
                bound.append(_bind_one(address, where, port != 0, with_udp))
            except _Failed as failed:
                if len(addresses) == 1 or failed.error.errno not in _NO_FAMILY:
                    raise
                missing = failed
        if not bound and missing:
            raise missing
    except BaseException:
        for pair in bound:
            pair.close()
        raise
    return bound


def _bind_one(address: str, port: int, reuse: bool, with_udp: bool) -> Bound:
    if not with_udp:
        tcp = _socket(address, port, socket.SOCK_STREAM, reuse)
        return Bound(None, tcp, address, tcp.getsockname()[1])
    udp = _socket(address, port, socket.SOCK_DGRAM, reuse)
    try:
        port = udp.getsockname()[1]
        tcp = _socket(address, port, socket.SOCK_STREAM, reuse)
    except BaseException:
        udp.close()
        raise
    return Bound(udp, tcp, address, port)


def _socket(address: str, port: int, kind: socket.SocketKind, reuse: bool) -> socket.socket:
    """One bound socket. Raises _Failed."""
    is_udp = kind == socket.SOCK_DGRAM
    sock = None
    try:
        [(family, _, _, _, where), *_] = socket.getaddrinfo(
            address, port, type=kind, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if is_udp:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        else:  # connections of a process just ended hold the port for a minute otherwise
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        if not is_udp:
            sock.listen(BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _Failed(address, port, "udp" if is_udp else "tcp", error) from error
    return sock
