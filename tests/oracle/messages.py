"""Messages that are malformed, odd or rare, as octets, and what is answered to each.

Sections are those of the behaviour that both servers have in common; D-numbers those of
docs/differences.md.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.oracle.asking import Edns, opt_record

QNAME = b"\3web\4shop\3svc\7cluster\5local\0"
QUESTION = QNAME + b"\0\1\0\1"
MISSING = b"\4nope" + QNAME[4:] + b"\0\1\0\1"
A_RECORD = b"\1a\0\0\1\0\1\0\0\0\5\0\4\1\2\3\4"
SOA_RECORD = b"\0\0\6\0\1\0\0\0\5\0\x16\0\0" + bytes(20)
OPT = opt_record(Edns(1232))
TSIG = b"\1k\0\0\xfa\0\xff\0\0\0\0\0\x1a" + b"\x08hmac-md5\0" + bytes(16)
RDATA: dict[str, tuple[int, *tuple[bytes, ...]]] = {  # types, and rdata that they may have or not
    "A": (1, b"", b"abc", b"abcd", b"abcde", bytes(16)),
    "AAAA": (28, b"", b"abcd", bytes(15), bytes(16), bytes(17)),
    "NS": (2, b"", b"\0", b"\1a\0", b"\1a", b"\1a\0\0", b"\xc0\x0c", b"\xc0\x0c\0", b"\x40"),
    "CNAME": (5, b"\3foo\0", b"\3foo\xc0\x0c", b"\0\0"),
    "PTR": (12, b"\3foo\0", b"\0\0"),
    "DNAME": (39, b"\3foo\0", b"\0\0"),
    "MX": (15, b"\0", b"\0\1", b"\0\1\0", b"\0\1\1a\0", b"\0\1\1a\0\0"),
    "SRV": (33, bytes(6), bytes(7), bytes(6) + b"\1a\0", bytes(8)),
    "SOA": (
        6,
        b"\0",
        bytes(2),
        bytes(18),
        bytes(21),
        bytes(22),
        bytes(23),
        b"\1a\0\xc0\x0c" + bytes(20),
    ),
    "TYPE65400": (65400, b"", b"abc"),
}
RD, AD, CD, Z, TC, AA, RA = 0x0100, 0x0020, 0x0010, 0x0040, 0x0200, 0x0400, 0x0080


class Wanted(NamedTuple):
    """A reply that a difference prescribes."""

    rule: str
    rcode: str
    question: bool = True  # whether it is in the reply


class Message(NamedTuple):
    """A message, and what must come back: what CoreDNS says unless a rule says otherwise."""

    octets: bytes
    wanted: Wanted | None = None
    over: tuple[str, ...] = ("udp", "tcp")


def messages() -> dict[str, Message]:
    """Every message, by what is odd about it."""
    found: dict[str, Message] = {}
    for part in (_dropped(), _headers(), _bodies(), _extensions(), _flags()):
        for name, message in part:
            assert name not in found, name
            found[name] = message
    return found


def streams() -> dict[str, list[bytes]]:
    """What may come on one TCP connection, message by message, each with its length before it.

    The last message is a good one: whether it is answered shows what became of the connection.
    """
    good = header() + QUESTION
    return {
        "1.1.6 pipelined": [good] * 5,
        "1.1.6 good and missing names": [good, header() + MISSING] * 10 + [good],
        "1.1.1 an empty message": [b"", good],
        "1.1.1 five octets": [good[:5], good],
        "1.1.1 a response": [header(0x8000) + QUESTION, good],
        "1.1.2 a bad opcode": [header(2 << 11) + QUESTION, good],
        "1.1.2 no question": [header(RD, 0), good],
        "1.1.3 a bad name": [header() + QNAME[:-3], good],
        "1.1.3 rdata too short": [header(RD, 1, 1) + QUESTION + A_RECORD[:-5] + b"\3\1\2\3", good],
    }


def header(flags: int = RD, *counts: int) -> bytes:
    """A header with id 0. counts: of the sections in their order; 1 0 0 0 unless given."""
    all_counts = (*counts, *(1, 0, 0, 0)[len(counts) :])
    return bytes(2) + flags.to_bytes(2) + b"".join(count.to_bytes(2) for count in all_counts)


def _dropped() -> Iterator[tuple[str, Message]]:
    for size in (2, 3, 4, 11):
        yield f"1.1.1 {size} octets", Message((header() + QUESTION)[:size], over=("udp",))
    yield "1.1.1 QR is set", Message(header(0x8000 | RD) + QUESTION)
    yield "1.1.1 QR is set, opcode is unknown", Message(header(0xB000) + QUESTION)
    yield "1.1.1 QR is set, nothing follows", Message(header(0x8180, 0))


def _headers() -> Iterator[tuple[str, Message]]:
    for opcode in (1, 2, 3, 5, 6, 7, 15):
        yield f"1.1.2 opcode {opcode}", Message(header(opcode << 11 | RD) + QUESTION)
    yield "1.1.2 opcode 2, every low bit", Message(header(2 << 11 | 0x07FF) + QUESTION)
    yield "1.1.2 opcode 5 without question", Message(header(5 << 11, 0))
    for count in (0, 2, 65535):
        yield f"1.1.2 QDCOUNT {count}", Message(header(RD, count) + QUESTION * 2)
    yield "1.1.2 QDCOUNT 0, nothing follows", Message(header(RD, 0))
    yield "1.1.2 QDCOUNT 0, every low bit", Message(header(0x07FF, 0) + QUESTION)
    yield "1.1.2 ANCOUNT 2", Message(header(RD, 1, 2) + QUESTION + A_RECORD * 2)
    yield "1.1.2 NSCOUNT 2", Message(header(RD, 1, 0, 2) + QUESTION + A_RECORD * 2)
    yield "1.1.2 ARCOUNT 3", Message(header(RD, 1, 0, 0, 3) + QUESTION + A_RECORD * 3)
    yield "1.1.2 ANCOUNT 2, bits", Message(header(RD | CD | AD | Z | TC | AA, 1, 2) + QUESTION)
    notify = Wanted("D28", "REFUSED")
    yield "1.1.4 NOTIFY", Message(header(4 << 11 | RD) + QUESTION, notify)
    yield (
        "1.1.4 NOTIFY with a SOA",
        Message(header(4 << 11 | AA, 1, 1) + QUESTION + SOA_RECORD, notify),
    )
    yield "1.1.4 NOTIFY without question", Message(header(4 << 11, 0))
    bare = Wanted("D23", "FORMERR", question=False)
    yield "7.5.15 a bare header", Message(header(), bare)
    yield "7.5.15 a bare header, RD clear", Message(header(0), bare)


def _bodies() -> Iterator[tuple[str, Message]]:
    tail = b"\0\1\0\1"
    yield "1.1.3 qname cut off", Message(header() + QNAME[:-3])
    yield "1.1.3 qname without end", Message(header() + QNAME[:-1])
    yield "1.1.3 pointer out of the message", Message(header() + b"\3web\xc0\xff" + tail)
    yield "1.1.3 pointer to itself", Message(header() + b"\xc0\x0c" + tail)
    yield "1.1.3 pointers in a circle", Message(header() + b"\1a\xc0\x0c" + tail)
    yield "1.1.3 half a pointer", Message(header() + b"\3web\xc0")
    yield "1.1.3 label of type 01", Message(header() + b"\x41" + b"a" * 65 + b"\0" + tail)
    yield "1.1.3 label of type 10", Message(header() + b"\x81a\0" + tail)
    long = b"".join(b"\x3f" + b"l" * 63 for _ in range(4))
    yield "1.1.3 name of 257 octets", Message(header() + long + b"\0" + tail)
    yield (
        "1.1.3 name of 255 octets",
        Message(header() + long[:192] + b"\x3d" + b"l" * 61 + b"\0" + tail),
    )
    yield (
        "1.1.3 name of 256 octets",
        Message(header() + long[:192] + b"\x3e" + b"l" * 62 + b"\0" + tail),
    )
    yield "1.1.3 127 labels", Message(header() + b"\1a" * 127 + b"\0" + tail)
    yield "1.1.3 128 labels", Message(header() + b"\1a" * 128 + b"\0" + tail)
    yield "1.1.3 octets after the message", Message(header() + QUESTION + b"junk")
    yield "1.1.3 an octet after the message", Message(header() + QUESTION + b"\0")
    absent = Wanted("D27", "FORMERR")
    for n, name in enumerate(("ANCOUNT", "NSCOUNT", "ARCOUNT")):
        counts = [1, 0, 0, 0]
        counts[n + 1] = 1
        yield f"1.1.3 {name} 1, nothing there", Message(header(RD, *counts) + QUESTION, absent)
    yield "1.1.3 ARCOUNT 2, one there", Message(header(RD, 1, 0, 0, 2) + QUESTION + OPT, absent)
    no_type = Wanted("D27", "FORMERR", question=False)
    yield "1.1.3 no type and class", Message(header() + QNAME, no_type)
    yield "1.1.3 no class", Message(header() + QNAME + b"\0\1", no_type)
    yield "1.1.3 half a class", Message(header() + QNAME + b"\0\1\0")
    yield "1.1.3 half a type", Message(header() + QNAME + b"\0")
    yield "1.1.3 a record cut off", Message(header(RD, 1, 1) + QUESTION + A_RECORD[:-2])
    for kind, (rtype, *all_rdata) in RDATA.items():
        for n, rdata in enumerate(all_rdata):
            fixed = b"\1a\0" + rtype.to_bytes(2) + b"\0\1\0\0\0\5" + len(rdata).to_bytes(2)
            octets = header(RD, 1, 1) + QUESTION + fixed + rdata + bytes(32)
            yield f"1.1.3 rdata of {kind}, {n}", Message(octets)
    yield "1.1.2 ANCOUNT 1", Message(header(RD, 1, 1) + QUESTION + A_RECORD)
    yield "1.1.2 NSCOUNT 1", Message(header(RD, 1, 0, 1) + QUESTION + SOA_RECORD)
    yield "1.1.2 ARCOUNT 1", Message(header(RD, 1, 0, 0, 1) + QUESTION + A_RECORD)
    yield "1.1.2 ARCOUNT 1, a TSIG", Message(header(RD, 1, 0, 0, 1) + QUESTION + TSIG)
    yield "1.3 the root", Message(header() + b"\0" + tail)
    yield "1.4 labels of odd octets", Message(header() + b"\4\0.\\ " + QNAME[4:] + tail)


def _extensions() -> Iterator[tuple[str, Message]]:
    def asked(opt: bytes, *more: bytes) -> bytes:
        return header(RD, 1, 0, 0, 1 + len(more)) + QUESTION + opt + b"".join(more)

    def option(code: int, data: bytes) -> bytes:
        return opt_record(Edns(1232, options=code.to_bytes(2) + len(data).to_bytes(2) + data))

    for size in (0, 511, 65535):
        yield f"1.2.1 size {size}", Message(asked(opt_record(Edns(size))))
    for flags in (0x8000, 0x4000, 0x0001, 0xFFFF):
        yield f"1.2.1 flags {flags:04x}", Message(asked(opt_record(Edns(1232, flags))))
    for version in (1, 255):
        yield f"1.1.5 version {version}", Message(asked(opt_record(Edns(1232, 0x8000, version))))
    yield "1.2.1 OPT and a record", Message(asked(OPT, A_RECORD))
    yield "1.2.1 a record and OPT", Message(asked(A_RECORD, OPT))
    yield "1.2.1 OPT and a missing name", Message(header(RD, 1, 0, 0, 1) + MISSING + OPT)
    two = Wanted("D27", "FORMERR")
    yield "1.2.1 two OPT", Message(asked(OPT, opt_record(Edns(4096))), two)
    yield "7.5.17 OPT with another owner", Message(asked(b"\1x" + OPT))
    yield "7.5.17 OPT in the answer", Message(header(RD, 1, 1) + QUESTION + OPT)
    yield "7.5.17 OPT in the authority", Message(header(RD, 1, 0, 1) + QUESTION + OPT)
    yield "1.1.3 OPT with half an option", Message(asked(OPT[:-2] + b"\0\3\0\x0a\0"))
    yield "1.1.3 OPT with a long option", Message(asked(OPT[:-2] + b"\0\4\0\x0a\0\x09"))
    yield "1.1.3 OPT cut off", Message(asked(OPT[:-3]))
    for code, data in (
        (3, b""),
        (3, b"x"),
        (9, b""),
        (10, b"8 octets"),
        (12, bytes(40)),
    ):
        yield f"1.2.1 option {code}, {len(data)} octets", Message(asked(option(code, data)))
    yield "1.2.1 option 8, a subnet", Message(asked(option(8, b"\0\1\x18\0\1\2\3")))
    yield "1.2.1 option 11, empty", Message(asked(option(11, b"")))
    yield "1.2.1 option 11, a time", Message(asked(option(11, b"\0\1")))
    yield "1.2.1 option 15", Message(asked(option(15, b"\0\1hello")))
    yield "7.5.16 cookie of 3 octets", Message(asked(option(10, b"odd")), Wanted("D5", "NOERROR"))
    yield "1.2.1 option 65001", Message(asked(option(65001, b"anything")))
    yield "7.5.16 keepalive of 3 octets", Message(asked(option(11, b"\0\1\2")))
    yield "7.5.16 subnet of 1 octet", Message(asked(option(8, b"\0")))
    yield "7.5.16 subnet of no family", Message(asked(option(8, b"\0\x63\x18\0\1\2\3")))
    yield "7.5.16 error of 1 octet", Message(asked(option(15, b"\0")))
    padded = asked(option(12, bytes(600)))
    yield "1.1.3 more than 512 octets", Message(padded, Wanted("D7", "NOERROR"), over=("udp",))
    yield "1.1.6 more than 512 octets", Message(padded, over=("tcp",))


def _flags() -> Iterator[tuple[str, Message]]:
    for flags in (0, AD, CD, Z, TC, AA, RA, RD | AD | CD | Z | TC | AA | RA, 0x000F, RD | 3):
        yield f"1.2.3 flags {flags:04x}", Message(header(flags) + QUESTION)
        yield f"1.2.3 flags {flags:04x}, missing", Message(header(flags) + MISSING)
        yield f"1.2.3 flags {flags:04x}, foreign", Message(header(flags) + b"\1x\0\0\1\0\1")
    for qclass in (0, 3, 4, 254, 255, 4711):
        yield f"1.1.5 class {qclass}", Message(header() + QNAME + b"\0\1" + qclass.to_bytes(2))
    opt = header(RD, 1, 0, 0, 1) + QNAME + b"\0\1\0\3" + OPT
    yield "1.1.5 class 3, OPT", Message(opt)
    for qtype in (0, 41, 249, 250, 251, 252, 253, 254, 255, 65535):
        yield f"1.5 type {qtype}", Message(header() + QNAME + qtype.to_bytes(2) + b"\0\1")
