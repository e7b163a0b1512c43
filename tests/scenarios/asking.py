"""Questions over real sockets: by dnspython, and by dig where it is installed."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
import pytest

TIMEOUT_S = 5.0  # for one answer; only a broken server takes so long
DIG = shutil.which("dig")

needs_dig = pytest.mark.skipif(
    DIG is None,
    reason="dig is not here: apt install bind9-dnsutils, dnf install bind-utils, brew install bind",
)


class At(NamedTuple):
    """Where a server listens."""

    address: str
    port: int


async def ask(at: At, name: str, qtype: str = "A", tcp: bool = False) -> dns.message.Message:
    """What the server says, read by dnspython."""
    query = dns.message.make_query(name, qtype)
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await send(query, at.address, TIMEOUT_S, at.port)


async def answer(at: At, name: str, qtype: str = "A", tcp: bool = False) -> str:
    """The rdata of the answer, sorted, with spaces between; or NODATA, or the rcode."""
    reply = await ask(at, name, qtype, tcp)
    if reply.rcode():
        return dns.rcode.to_text(reply.rcode())
    return " ".join(sorted(str(each) for rrset in reply.answer for each in rrset)) or "NODATA"


async def dig(at: At, *words: str) -> str:
    """What `dig +short` prints, its lines sorted, with spaces between."""
    return " ".join(sorted((await run_dig(at, *words, "+short")).splitlines()))


async def run_dig(at: At, *words: str) -> str:
    """What dig prints."""
    assert DIG is not None, "a test that digs is marked needs_dig"
    where = (f"@{at.address}", "-p", str(at.port), "+tries=1", f"+time={TIMEOUT_S:.0f}")
    process = await asyncio.create_subprocess_exec(
        DIG, *where, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page on 127.0.0.1."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}{path}") as reply,
    ):
        return reply.status, await reply.text()


async def becomes(wanted: str, now: Callable[[], Awaitable[str]], within_s: float = 5.0) -> float:
    """Asks until the answer is the wanted one; gives the seconds that took.

    The bound is generous: machines that run tests are busy. Fails with the last answer.
    """
    start = time.monotonic()
    while (found := await now()) != wanted:
        assert time.monotonic() - start < within_s, f"still {found!r}, not {wanted!r}"
        await asyncio.sleep(0.01)
    return time.monotonic() - start
