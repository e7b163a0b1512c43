"""Malformed, odd and rare messages, sent to CoreDNS and to clusterdns as octets."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.corner_cases import corner_cases
from tests.oracle.answers import Answer, Opt, decode
from tests.oracle.asking import ask
from tests.oracle.comparing import both
from tests.oracle.messages import Message, Wanted, messages, streams
from tests.oracle.rules import OUR_SIZE
from tests.oracle.servers import needs_coredns
from tests.oracle.variants import PLAIN
from tests.streams import connection

pytestmark = needs_coredns

PATIENCE_S = 0.5  # some messages get no reply
HEADER = 12  # octets


@pytest.mark.parametrize("way", ["udp", "tcp"])
async def test_messages(way: str, tmp_path: Path, met: Counter[str]) -> None:
    """The same reply, octet for octet where it is a bare header, or what a rule prescribes."""
    sent = {name: message for name, message in messages().items() if way in message.over}
    octets = [message.octets for message in sent.values()]
    async with both(PLAIN.corefile, corner_cases(), tmp_path) as ports:
        theirs, ours = [await _replies(port, octets, tcp=way == "tcp") for port in ports]
    problems = []
    for (name, message), reply, answer in zip(sent.items(), theirs, ours, strict=True):
        rule, problem = _compare(message, reply, answer)
        if problem:
            told = f"clusterdns: {_told(answer)}\nCoreDNS:    {_told(reply)}"
            problems.append(f"{name}: {problem}\n{told}")
        met.update([rule] if rule else [])
    met["questions"] += len(sent)
    assert not problems, "\n\n".join(problems)


async def test_streams(tmp_path: Path, met: Counter[str]) -> None:
    """As many replies of each sort, and the connection open or closed, whatever came before.

    Fails, too, as soon as a gap is mended: it is none then.
    """
    sent = streams()
    async with both(PLAIN.corefile, corner_cases(), tmp_path) as ports:
        theirs, ours = [
            await asyncio.gather(*(_stream(port, parts) for parts in sent.values()))
            for port in ports
        ]
    told = {
        name: f"clusterdns: {answer}, CoreDNS: {reply}"
        for name, reply, answer in zip(sent, theirs, ours, strict=True)
        if reply != answer
    }
    met["questions"] += sum(map(len, sent.values()))
    assert not told, told


async def _stream(port: int, parts: Sequence[bytes]) -> list[str]:
    """The rcodes that came back, sorted, and "closed" where the connection was closed."""
    found = []
    async with connection("127.0.0.1", port) as (reader, writer):
        try:
            writer.write(b"".join(len(part).to_bytes(2) + part for part in parts))
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    length = int.from_bytes(await reader.readexactly(2))
                    reply = decode(await reader.readexactly(length))
                    found.append(reply.rcode if reply else "")
        except TimeoutError:
            return sorted(found)
        except (asyncio.IncompleteReadError, ConnectionError):
            return [*sorted(found), "closed"]


async def _replies(port: int, octets: Sequence[bytes], *, tcp: bool) -> list[bytes | None]:
    """The reply to each; over TCP each has a connection of its own, as one may end it."""
    if not tcp:
        return (await ask(port, octets, tcp=False, patience_s=PATIENCE_S)).octets
    asked = (ask(port, [one], tcp=True, patience_s=PATIENCE_S) for one in octets)
    return [replies.octets[0] for replies in await asyncio.gather(*asked)]


def _compare(message: Message, theirs: bytes | None, ours: bytes | None) -> tuple[str, str]:
    """The rule that was needed, if one was; and what is wrong."""
    if message.wanted:
        return message.wanted.rule, _prescribed(message.wanted, decode(theirs), decode(ours))
    if theirs is None or ours is None or len(theirs) == HEADER:
        return "", "" if theirs == ours else "octets"
    expected, answer = decode(theirs), decode(ours)
    assert expected is not None
    assert answer is not None
    rule = ""
    query = decode(message.octets)
    if expected.opt and query and query.opt:
        opt = Opt(OUR_SIZE, 0, query.opt.flags & 0x8000)
        rule = "" if opt == expected.opt else "D6" if expected.rcode == "BADVERS" else "D5"
        expected = replace(expected, opt=opt)
    return rule, "" if expected.said() == answer.said() else "message"


def _prescribed(wanted: Wanted, theirs: Answer | None, ours: Answer | None) -> str:
    if ours is None:
        return f"no reply; {wanted.rule} wants {wanted.rcode}"
    if theirs is not None and theirs.said() == ours.said():
        return f"{wanted.rule} is not needed: CoreDNS answers the same"
    if (ours.rcode, bool(ours.question)) != (wanted.rcode, wanted.question):
        return f"{wanted.rule} wants {wanted}"
    has_data = bool(ours.answer or ours.authority)
    return "" if has_data == (wanted.rcode == "NOERROR") else "sections"


def _told(octets: bytes | None) -> str:
    return "no reply" if octets is None else f"{octets.hex()}\n{decode(octets)}"
