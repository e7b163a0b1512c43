"""The address that a datagram's reply comes from, on hosts with more than one.

A client drops a reply from another address than the one it asked. The kernel's choice is right
where it has none: a socket bound to one address, or a host (a pod) with one address per family.
The loopback interface has the whole of 127.0.0.0/8 on every host: it gets a socket of its own.
"""

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from functools import lru_cache

import ifaddr

Ancillary = list[tuple[int, int, bytes]]  # as of recvmsg and sendmsg

_IP_PKTINFO = 8  # linux/in.h; the socket module of Python 3.11 has no name for it
_V4 = struct.Struct("=I4s4s")  # in_pktinfo: interface, our address for replies, address asked
_V6 = struct.Struct("=16sI")  # in6_pktinfo: address asked, interface
SPACE = socket.CMSG_SPACE(_V6.size)  # octets for the one message that we read
_LOOPBACK = b"lo"  # Linux makes it so, and nobody renames it
_ADDRESSES = 256  # of one host that are known by heart; it saves 0.3 of 1.1 microseconds


def needs_source(sock: socket.socket) -> bool:
    """Whether replies could leave by a wrong address; the socket then tells where queries went.

    Only on Linux; elsewhere the kernel's choice stays. Addresses that a host gets later are not
    seen: one that will get its second one should have the addresses bound (`bind`).
    """
    if sock.getsockname()[0] not in ("0.0.0.0", "::") or sys.platform != "linux":
        return False
    is_v4 = sock.family == socket.AF_INET
    if len(list(own_addresses(4 if is_v4 else 6))) <= 1 and not _device(sock):
        return False
    if is_v4:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return True


def loopback_socket(sock: socket.socket) -> socket.socket | None:
    """A second socket for what the host asks itself, so that who asks 127.0.0.2 is answered by it.

    sock: one that serves every address and leaves it to the kernel where replies come from. What
    comes by the loopback interface goes to the new socket from now on, whose replies cost 0.8
    microseconds more; nothing else does. None where it is not needed or not to be had: before
    Linux 5.7 a process may not choose the interface. Who calls closes it.
    """
    if sock.getsockname()[0] != "0.0.0.0" or sys.platform != "linux" or _tells(sock):
        return None
    second = socket.socket(sock.family, sock.type)
    try:
        second.setblocking(False)
        second.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _LOOPBACK)
        for each in (sock, second):  # the kernel does not see that they share nothing
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        second.bind(sock.getsockname())
    except OSError:
        second.close()
        return None
    return second


def reply_source(received: Ancillary) -> Ancillary:
    """What to send with the reply so that it comes from the address asked; [] where not known."""
    for level, kind, data in received:
        if source := _source(level, kind, data):
            return source
    return []


@lru_cache(_ADDRESSES)
def _source(level: int, kind: int, data: bytes) -> Ancillary:
    if (level, kind, len(data)) == (socket.IPPROTO_IP, _IP_PKTINFO, _V4.size):
        ours = _V4.unpack(data)[1]  # for a broadcast this is an address that may send
        return [(level, kind, _V4.pack(0, ours, bytes(4)))]
    if (level, kind, len(data)) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.size):
        asked = _V6.unpack(data)[0]
        if asked[0] != 0xFF:  # multicast may not send
            return [(level, kind, _V6.pack(asked, 0))]
    return []


def _device(sock: socket.socket) -> bytes:
    """The interface that a socket is bound to; b"" for none."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)


def _tells(sock: socket.socket) -> bool:
    """Whether `needs_source` has found that its replies need one."""
    return sock.getsockopt(socket.IPPROTO_IP, _IP_PKTINFO) != 0


def own_addresses(version: int) -> Iterator[str]:
    """The host's addresses of this IP version that a query from elsewhere can come to.

    Those of loopback have `loopback_socket`; IPv6 link-local ones are chosen by the scope of the
    peer (RFC 6724).
    """
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            address = ipaddress.ip_address(each.ip if isinstance(each.ip, str) else each.ip[0])
            scoped = version == 6 and address.is_link_local
            if address.version == version and not (address.is_loopback or scoped):
                yield str(address)
