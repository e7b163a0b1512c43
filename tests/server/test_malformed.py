"""What is no good query, octet for octet, over UDP and TCP: sections 1.1.1 to 1.1.4.

Each case is sent in front of a good query, so that what must not be answered shows at once, and
that the server, and the connection, live on.
"""

import pytest

from clusterdns.server.block import Block
from tests.server.asking import CD, ID, RD, opt, option, query, read, tcp, udp
from tests.server.toys import ZONE, Toy, serving

GOOD = query(f"a1.{ZONE}", id=0x7777)
QUESTION = query()[12:]  # a.cluster.test. IN A
NOT_OURS = query("a.example.org.")[12:]
TC, RA, AA, AD, Z = 0x0200, 0x0080, 0x0400, 0x0020, 0x0040
QR = 0x8000
IQUERY, STATUS, NOTIFY, UPDATE, DSO = (code << 11 for code in (1, 2, 4, 5, 6))
FORMERR, NOTIMP, REFUSED = 1, 4, 5
RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\1\2\3\4"
OUR_OPT = opt(1232)
BADVERS_OPT = b"\0\0\x29\x04\xd0\1\0\0\0\0\0"  # the upper bits of 16 are 1


def header(flags: int = 0, qd: int = 1, an: int = 0, ns: int = 0, ar: int = 0) -> bytes:
    return b"".join(part.to_bytes(2, "big") for part in (ID, flags, qd, an, ns, ar))


def formerr(flags: int = 0, question: bytes = b"") -> bytes:
    return header(QR | flags | FORMERR, bool(question)) + question


SILENT = {
    "1.1.1 QR": header(QR) + QUESTION,
    "1.1.1 QR and an rcode": header(QR | REFUSED) + QUESTION,
    "1.1.1 QR wins over the opcode": header(QR | UPDATE) + QUESTION,
    "1.1.1 QR wins over the counts": header(QR, 0),
    "1.1.1 QR with counts that are absurd": header(QR, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF),
}
SHORT = {  # over TCP such a frame ends the connection: see test_tcp.py
    "1.1.1 nothing": b"",
    "1.1.1 one octet": b"\0",
    "1.1.1 an id alone": b"\x12\x34",
    "1.1.1 11 octets": header()[:11],
}
LABEL63 = b"\x3f" + b"a" * 63
LONG_NAME = LABEL63 * 4 + b"\0"  # 257 octets
ANSWERED = {
    "1.1.2 IQUERY": (header(IQUERY) + QUESTION, header(QR | IQUERY | NOTIMP, 0)),
    "1.1.2 STATUS": (header(STATUS | RD) + QUESTION, header(QR | STATUS | RD | NOTIMP, 0)),
    "1.1.2 UPDATE": (header(UPDATE) + QUESTION, header(QR | UPDATE | NOTIMP, 0)),
    "1.1.2 DSO": (header(DSO, 0), header(QR | DSO | NOTIMP, 0)),
    "1.1.2 opcode 15": (header(0x7800) + QUESTION, header(QR | 0x7800 | NOTIMP, 0)),
    "1.1.2 the opcode comes before the counts": (
        header(UPDATE, 9, 9, 9, 9),
        header(QR | UPDATE | NOTIMP, 0),
    ),
    "1.1.2 QDCOUNT 0": (header(RD | CD, 0), formerr(RD | CD)),
    "1.1.2 QDCOUNT 2": (header(0, 2) + QUESTION * 2, formerr()),
    "1.1.2 QDCOUNT 65535": (header(0, 0xFFFF) + QUESTION, formerr()),
    "1.1.2 ANCOUNT 2": (header(0, 1, 2) + QUESTION + RECORD * 2, formerr()),
    "1.1.2 NSCOUNT 2": (header(0, 1, 0, 2) + QUESTION + RECORD * 2, formerr()),
    "1.1.2 ARCOUNT 3": (header(0, 1, 0, 0, 3) + QUESTION + RECORD * 3, formerr()),
    "1.1.2 of FORMERR the opcode is QUERY": (header(NOTIFY, 0), formerr()),
    "1.1.2 bits that are copied": (
        header(TC | RD | RA | CD, 0),
        formerr(TC | RD | RA | CD),
    ),
    "1.1.2 bits that are not": (header(AA | Z, 0), formerr()),
    "1.1.3 a name that is cut off": (header() + b"\7cluster", formerr()),
    "1.1.3 a label that is cut off": (header() + b"\7clus", formerr()),
    "1.1.3 a pointer to itself": (header() + b"\xc0\x0c\0\1\0\1", formerr()),
    "1.1.3 a pointer beyond the end": (header() + b"\xff\xff\0\1\0\1", formerr()),
    "1.1.3 a pointer into the header": (header() + b"\xc0\0\0\1\0\1", formerr()),
    "1.1.3 a label of 64": (header() + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", formerr()),
    "1.1.3 a label of 128": (header() + b"\x80" + b"a" * 128 + b"\0\0\1\0\1", formerr()),
    "1.1.3 a name of 257 octets": (header() + LONG_NAME + b"\0\1\0\1", formerr()),
    "1.1.3 an OPT with half an option": (
        header(RD, 1, 0, 0, 1) + QUESTION + opt(options=b"\0\x0a\0"),
        formerr(RD, QUESTION),
    ),
    "1.1.3 an option longer than the OPT": (
        header(0, 1, 0, 0, 1) + QUESTION + opt(options=b"\0\x0a\0\x09x"),
        formerr(0, QUESTION),
    ),
    "1.1.3 a client subnet of no family": (
        header(0, 1, 0, 0, 1) + QUESTION + opt(options=option(8, b"\0\x09\x08\0\x0a")),
        formerr(0, QUESTION),
    ),
    "1.1.3 a record with a broken owner": (
        header(0, 1, 0, 0, 1) + QUESTION + b"\xff\xff" + RECORD[2:],
        formerr(0, QUESTION),
    ),
    "D23 a bare header": (header(RD), formerr(RD)),
    "D27 absent OPT": (header(0, 1, 0, 0, 1) + QUESTION, formerr(0, QUESTION)),
    "D27 absent Answer": (header(0, 1, 1) + QUESTION, formerr(0, QUESTION)),
    "D27 half a record": (header(0, 1, 0, 1) + QUESTION + RECORD[:-1], formerr(0, QUESTION)),
    "D27 no type": (header() + QUESTION[:-4], formerr()),
    "D27 no class": (header() + QUESTION[:-2], formerr()),
    "D27 two OPTs": (
        header(0, 1, 0, 0, 2) + QUESTION + OUR_OPT * 2,
        formerr(0, QUESTION),
    ),
    "1.1.4 D28 NOTIFY": (
        header(NOTIFY | RD) + QUESTION,
        header(QR | NOTIFY | REFUSED) + QUESTION,
    ),
    "1.1.4 D28 NOTIFY with its SOA": (
        header(NOTIFY | AA, 1, 1) + QUESTION + RECORD,
        header(QR | NOTIFY | REFUSED) + QUESTION,
    ),
    "1.1.5 class CH": (
        header(RD) + QUESTION[:-2] + b"\0\3",
        header(QR | RD | REFUSED) + QUESTION[:-2] + b"\0\3",
    ),
    "1.1.5 no zone of ours": (header(RD) + NOT_OURS, header(QR | RD | REFUSED) + NOT_OURS),
    "1.1.5 no zone of ours, OPT": (
        header(RD, 1, 0, 0, 1) + NOT_OURS + opt(4096),
        header(QR | RD | REFUSED, 1, 0, 0, 1) + NOT_OURS + OUR_OPT,
    ),
    "D6 EDNS version 1": (
        header(RD, 1, 0, 0, 1) + QUESTION + opt(4096, version=1),
        header(QR | RD, 1, 0, 0, 1) + QUESTION + BADVERS_OPT,
    ),
}


@pytest.mark.parametrize("octets", [*SILENT.values(), *SHORT.values()], ids=[*SILENT, *SHORT])
async def test_no_reply_over_udp(octets: bytes) -> None:
    async with (
        serving(Block([ZONE], [Toy()])) as listener,
        udp(listener.addresses[0]) as client,
    ):
        await client.send(octets, octets, GOOD)
        assert read(await client.receive()).id == 0x7777


@pytest.mark.parametrize("octets", SILENT.values(), ids=SILENT)
async def test_no_reply_over_tcp(octets: bytes) -> None:
    async with (
        serving(Block([ZONE], [Toy()])) as listener,
        tcp(listener.addresses[0]) as client,
    ):
        await client.send(octets, octets, GOOD)
        assert read(await client.receive()).id == 0x7777


@pytest.mark.parametrize(("octets", "expected"), ANSWERED.values(), ids=ANSWERED)
async def test_reply(octets: bytes, expected: bytes) -> None:
    """The same over both, and the same when it comes again."""
    async with (
        serving(Block([ZONE], [Toy()])) as listener,
        udp(listener.addresses[0]) as datagrams,
        tcp(listener.addresses[0]) as stream,
    ):
        for client in (datagrams, stream):
            await client.send(octets, octets, GOOD)
            assert [await client.receive() for _ in range(2)] == [expected] * 2
            assert read(await client.receive()).id == 0x7777
        assert listener.hits == 0


GOOD_ALL_THE_SAME = {
    "1.1.3 octets behind the message": header(RD) + QUESTION + b"garbage",
    "1.1.2 a SOA in Authority, as IXFR has it": header(RD, 1, 0, 1) + QUESTION + RECORD,
    "1.1.2 a record in Answer": header(RD, 1, 1) + QUESTION + RECORD,
    "1.1.2 a record and OPT": header(RD, 1, 0, 0, 2) + QUESTION + RECORD + OUR_OPT,
    "1.1.2 OPT and a record": header(RD, 1, 0, 0, 2) + QUESTION + OUR_OPT + RECORD,
    "1.2.3 bits that mean nothing": header(RD | AA | TC | RA | Z | AD) + QUESTION,
    "an rcode in a query": header(RD | REFUSED) + QUESTION,
    "1.1.3 labels of 63": header(RD) + LABEL63 + b"\7cluster\4test\0\0\1\0\1",
    "D7 a query of 4096 octets": header(RD, 1, 0, 0, 1)
    + QUESTION
    + opt(options=option(12, bytes(4096 - 12 - len(QUESTION) - 11 - 4))),
}


@pytest.mark.parametrize("octets", GOOD_ALL_THE_SAME.values(), ids=GOOD_ALL_THE_SAME)
async def test_answered_normally(octets: bytes) -> None:
    end = 12 + len(octets[12:].partition(b"\0\0\1\0\1")[0]) + 5
    async with (
        serving(Block([ZONE], [Toy()])) as listener,
        udp(listener.addresses[0]) as datagrams,
        tcp(listener.addresses[0]) as stream,
    ):
        for client in (datagrams, stream):
            for _ in range(2):
                reply = await client.ask(octets)
                assert read(reply).rcode() == (3 if LABEL63 in octets else 0)
                assert int.from_bytes(reply[2:4], "big") & ~0xF == QR | AA | RD
                assert reply[12:end] == octets[12:end]
