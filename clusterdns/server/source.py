"""The address that a datagram's reply comes from, on hosts with more than one.

A client drops a reply from another address than the one it asked. The kernel's choice is right
where it has none: a socket bound to one address, or a host (a pod) with one address per family.
"""

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator

import ifaddr

Ancillary = list[tuple[int, int, bytes]]  # as of recvmsg and sendmsg

_IP_PKTINFO = 8  # linux/in.h; the socket module of Python 3.11 has no name for it
_V4 = struct.Struct("=I4s4s")  # in_pktinfo: interface, our address for replies, address asked
_V6 = struct.Struct("=16sI")  # in6_pktinfo: address asked, interface
SPACE = socket.CMSG_SPACE(_V6.size)  # octets for the one message that we read


def needs_source(sock: socket.socket) -> bool:
    """Whether replies could leave by a wrong address; the socket then tells where queries went.

    Only on Linux; elsewhere the kernel's choice stays. Addresses that a host gets later are not
    seen: one that will get its second one should have the addresses bound (`bind`).
    """
    if sock.getsockname()[0] not in ("0.0.0.0", "::") or sys.platform != "linux":
        return False
    is_v4 = sock.family == socket.AF_INET
    if len(list(own_addresses(4 if is_v4 else 6))) <= 1:
        return False
    if is_v4:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return True


def reply_source(received: Ancillary) -> Ancillary:
    """What to send with the reply so that it comes from the address asked; [] where not known."""
    for level, kind, data in received:
        if (level, kind, len(data)) == (socket.IPPROTO_IP, _IP_PKTINFO, _V4.size):
            ours = _V4.unpack(data)[1]  # for a broadcast this is an address that may send
            return [(level, kind, _V4.pack(0, ours, bytes(4)))]
        if (level, kind, len(data)) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.size):
            asked = _V6.unpack(data)[0]
            if asked[0] == 0xFF:  # multicast may not send
                return []
            return [(level, kind, _V6.pack(asked, 0))]
    return []


def own_addresses(version: int) -> Iterator[str]:
    """The host's addresses of this IP version that a query from elsewhere can come to.

    Those of loopback are asked by their own host, which finds its way; IPv6 link-local ones are
    chosen by the scope of the peer (RFC 6724).
    """
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            address = ipaddress.ip_address(each.ip if isinstance(each.ip, str) else each.ip[0])
            scoped = version == 6 and address.is_link_local
            if address.version == version and not (address.is_loopback or scoped):
                yield str(address)
