"""What is bound, and what is said when it cannot be."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from clusterdns.errors import ConfigError, Place
from clusterdns.server.sockets import Bound, bind


@contextmanager
def bound(address: str, port: int = 0) -> Iterator[list[Bound]]:
    pairs = bind(address, port)
    try:
        yield pairs
    finally:
        for pair in pairs:
            pair.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_both_transports_have_the_same_port(address: str) -> None:
    with bound(address) as [pair]:
        assert pair.address == address
        assert pair.port > 0
        assert pair.udp is not None
        for sock in (pair.udp, pair.tcp):
            assert sock.getsockname()[:2] == (address, pair.port)
            assert not sock.getblocking()
        assert pair.udp.type == socket.SOCK_DGRAM
        assert pair.tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_wildcard_is_both_families() -> None:
    with bound("") as [v4, v6]:
        assert (v4.address, v6.address) == ("0.0.0.0", "::")
        assert v4.port == v6.port
        for sock in (v6.udp, v6.tcp):
            assert sock is not None
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_reuseport_only_with_a_port_that_was_asked_for() -> None:
    def reuses(pair: Bound) -> set[int]:
        level, option = socket.SOL_SOCKET, socket.SO_REUSEPORT
        return {sock.getsockopt(level, option) for sock in (pair.udp, pair.tcp) if sock}

    with bound("127.0.0.1") as [free]:
        assert reuses(free) == {0}
    with bound("127.0.0.1", free.port) as [first], bound("127.0.0.1", free.port) as [second]:
        assert reuses(first) == reuses(second) == {1}


def test_link_local_with_its_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    where = []

    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            where.append(address)
            super().bind(("::1", address[1]))

    monkeypatch.setattr(socket, "socket", Socket)
    with bound("fe80::1%lo"):
        scope = socket.if_nametoindex("lo")
        assert [address[3] for address in where] == [scope, scope]


def raising(monkeypatch: pytest.MonkeyPatch, family: int, number: int, times: int = 99) -> None:
    """Has so many binds of a family's TCP sockets fail."""
    left = [times]

    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            if self.family == family and self.type == socket.SOCK_STREAM and left[0]:
                left[0] -= 1
                raise OSError(number, errno.errorcode[number])
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Socket)


def test_host_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, socket.AF_INET6, errno.EADDRNOTAVAIL)
    with bound("") as pairs:
        assert [pair.address for pair in pairs] == ["0.0.0.0"]


def test_host_without_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, socket.AF_INET, errno.EAFNOSUPPORT)
    with bound("") as pairs:
        assert [pair.address for pair in pairs] == ["::"]


def test_host_without_ipv6_that_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, socket.AF_INET6, errno.EADDRNOTAVAIL)
    with pytest.raises(ConfigError, match=r"^cannot listen on \[::1\]:[0-9]+ \(tcp\): EADDR"):
        bind("::1", 0)


def test_a_free_port_that_is_taken_for_the_other_transport(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raising(monkeypatch, socket.AF_INET, errno.EADDRINUSE, times=3)
    with bound("127.0.0.1") as [pair]:
        assert pair.tcp.getsockname()[1] == pair.port


def test_no_port_free_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, socket.AF_INET, errno.EADDRINUSE)
    with pytest.raises(ConfigError, match="EADDRINUSE"):
        bind("127.0.0.1", 0)


def test_a_port_that_somebody_has() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(ConfigError) as raised:
            bind("127.0.0.1", port, Place("Corefile", 3, 5))
    text = f"cannot listen on 127.0.0.1:{port} (udp): Address already in use"
    assert (raised.value.message, raised.value.place) == (text, Place("Corefile", 3, 5))


NOT_OURS = {
    "an address of nobody here": ("192.0.2.99", "Cannot assign requested address"),
    "no address": ("no-address", "Name or service not known"),
    "link-local without scope": ("fe80::1", "Invalid argument"),
}


@pytest.mark.parametrize(("address", "reason"), NOT_OURS.values(), ids=NOT_OURS)
def test_reasons(address: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        bind(address, 0)
