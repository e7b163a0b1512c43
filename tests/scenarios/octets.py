"""Queries as octets, many at once, over UDP or TCP, also such as no resolver would write."""

import asyncio
import random
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress

from tests.scenarios.asking import TIMEOUT_S, At

Labels = Sequence[bytes]
QR, RD = 0x8000, 0x0100
IN, CH, HS, NONE, ANY = 1, 3, 4, 254, 255
AT_ONCE = 50  # a socket's buffer on loopback holds many more


def wire(labels: Labels) -> bytes:
    """A name in wire form."""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(
    labels: Labels,
    qtype: int = 1,
    qclass: int = IN,
    *,
    flags: int = RD,
    size: int | None = None,
    options: bytes = b"",
) -> bytes:
    """A query with id 0. size: in its OPT record; None: without one."""
    octets = struct.pack("!6H", 0, flags, 1, 0, 0, size is not None)
    octets += wire(labels) + struct.pack("!HH", qtype, qclass)
    if size is not None:
        octets += struct.pack("!BHHIH", 0, 41, size, 0, len(options)) + options
    return octets


def spelled(labels: Labels, dice: random.Random) -> list[bytes]:
    """The name with letters of any case."""
    return [bytes(dice.choice((each, each ^ 0x20)) if chr(each).isalpha() and each < 128 else each
                  for each in label) for label in labels]  # fmt: skip


async def ask_all(
    at: At,
    queries: Sequence[bytes],
    tcp: bool = False,
    source: str = "127.0.0.1",
    wait_s: float = TIMEOUT_S,
) -> list[bytes | None]:
    """The reply to each; None for what had none in time. The ids are our own."""
    found: list[bytes | None] = []
    for start in range(0, len(queries), AT_ONCE):
        some = queries[start : start + AT_ONCE]
        found += await (_by_tcp if tcp else _by_udp)(at, some, source, wait_s)
    return found


async def _by_udp(
    at: At, queries: Iterable[bytes], source: str, wait_s: float
) -> list[bytes | None]:
    loop = asyncio.get_running_loop()
    octets = _numbered(queries)
    found: list[bytes | None] = [None] * len(octets)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((source, 0))
        sock.connect(at)
        for each in octets:
            await loop.sock_sendall(sock, each)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while None in found:
                    reply = await loop.sock_recv(sock, 65535)
                    found[int.from_bytes(reply[:2], "big")] = reply
    return found


async def _by_tcp(
    at: At, queries: Iterable[bytes], source: str, wait_s: float
) -> list[bytes | None]:
    octets = _numbered(queries)
    found: list[bytes | None] = [None] * len(octets)
    reader, writer = await asyncio.open_connection(*at, local_addr=(source, 0))
    writer.write(b"".join(len(each).to_bytes(2, "big") + each for each in octets))
    with suppress(TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(wait_s):
            while None in found:
                size = int.from_bytes(await reader.readexactly(2), "big")
                reply = await reader.readexactly(size)
                found[int.from_bytes(reply[:2], "big")] = reply
    writer.close()
    await writer.wait_closed()
    return found


def _numbered(queries: Iterable[bytes]) -> list[bytes]:
    return [number.to_bytes(2, "big") + each[2:] for number, each in enumerate(queries)]
