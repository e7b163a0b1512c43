"""The query as a message, for templates that look at its header, its question or its OPT record.

Fields and methods are those of the types that CoreDNS has for it.
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from clusterdns.plugins.base import Query
from clusterdns.plugins.template.values import Struct
from clusterdns.wire.edns import DO, OPT, Edns, Option
from clusterdns.wire.message import AA, AD, CD, OPCODE, RA, RD, TC
from clusterdns.wire.names import presented
from clusterdns.wire.question import Question
from clusterdns.wire.texts import class_text, type_text

Fields = Mapping[str, Callable[[Any], Any]]
NSID, SUBNET, COOKIE, PADDING = 3, 8, 10, 12  # codes of EDNS options
RESERVED = 0x0040  # the bit that RFC 1035 section 4.1.1 calls Z
COMPACT = 0x4000  # the flag of the OPT record that RFC 9824 has


class Asked(Struct):
    """The question section."""

    type_name = "*dns.Question"

    def __init__(self, question: Question) -> None:
        self.question = question

    def text(self) -> str:
        question = self.question
        kinds = f"{class_text(question.qclass)}\t {type_text(question.qtype)}"
        return f";{presented(question.labels)}\t{kinds}"

    FIELDS: ClassVar[Fields] = {
        "Name": lambda asked: presented(asked.question.labels),
        "Qtype": lambda asked: asked.question.qtype,
        "Qclass": lambda asked: asked.question.qclass,
        "String": lambda asked: asked.text,
    }


class Subnet:
    """The network of a client (RFC 7871 section 6)."""

    def __init__(self, data: bytes) -> None:
        self.family = int.from_bytes(data[:2], "big")
        self.source, self.scope = [*data[2:4], 0, 0][:2]
        size = 16 if self.family == 2 else 4
        self.address = ipaddress.ip_address(data[4 : 4 + size].ljust(size, b"\0"))

    def __str__(self) -> str:
        address = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{address}/{self.source}/{self.scope}"


class EdnsOption(Struct):
    """One option of the OPT record; its data as the option has them, or as octets."""

    type_name = "dns.EDNS0"

    def __init__(self, option: Option) -> None:
        self.code, self.data = option
        self.subnet = Subnet(option.data) if option.code == SUBNET else None

    def text(self) -> str:
        if self.subnet is not None:
            return str(self.subnet)
        if self.code in (NSID, COOKIE):
            return self.data.hex()
        if self.code == PADDING:
            return self.data.hex().upper()
        return f"{self.code}:0x{self.data.hex()}"

    FIELDS: ClassVar[Fields] = {
        "Code": lambda option: option.code,
        "Option": lambda option: lambda: option.code,
        "String": lambda option: option.text,
        "Nsid": lambda option: option.data.hex(),
        "Cookie": lambda option: option.data.hex(),
        "Data": lambda option: list(option.data),
        "Padding": lambda option: list(option.data),
        "Family": lambda option: option.subnet.family,
        "SourceNetmask": lambda option: option.subnet.source,
        "SourceScope": lambda option: option.subnet.scope,
        "Address": lambda option: str(option.subnet.address),
    }
    _OF: ClassVar[Mapping[str, int]] = {  # codes of the options that have these
        "Nsid": NSID,
        "Cookie": COOKIE,
        "Padding": PADDING,
        **dict.fromkeys(("Family", "SourceNetmask", "SourceScope", "Address"), SUBNET),
    }

    def has(self, name: str) -> bool:
        if name == "Data":
            return self.code not in (NSID, SUBNET, COOKIE, PADDING)
        return name in self.FIELDS and self.code == self._OF.get(name, self.code)


class RecordHeader(Struct):
    """What every record begins with, of the OPT record."""

    type_name = "dns.RR_Header"

    def __init__(self, edns: Edns) -> None:
        self.edns = edns

    FIELDS: ClassVar[Fields] = {
        "Name": lambda header: ".",
        "Rrtype": lambda header: OPT,
        "Class": lambda header: header.edns.size,
        "Ttl": lambda header: (
            header.edns.extended_rcode << 24 | header.edns.version << 16 | header.edns.flags
        ),
        "Rdlength": lambda header: sum(4 + len(option.data) for option in header.edns.options),
    }


class OptRecord(Struct):
    """The OPT record (RFC 6891)."""

    type_name = "*dns.OPT"

    def __init__(self, edns: Edns) -> None:
        self.edns = edns

    def text(self) -> str:
        edns = self.edns
        flags = " do" * edns.do + " co" * bool(edns.flags & COMPACT)
        rest = edns.flags & ~DO & ~COMPACT
        reserved = f"MBZ: 0x{rest:04x}, " if rest else ""
        lines = [
            "",
            ";; OPT PSEUDOSECTION:",
            f"; EDNS: version {edns.version}; flags:{flags}; {reserved}udp: {edns.size}",
            *(
                f"; {_title(each.code)}: {EdnsOption(each).text()}{_spelled(each)}"
                for each in edns.options
            ),
        ]
        return "\n".join(lines)

    FIELDS: ClassVar[Fields] = {
        "Hdr": lambda record: RecordHeader(record.edns),
        "Header": lambda record: lambda: RecordHeader(record.edns),
        "Option": lambda record: [EdnsOption(option) for option in record.edns.options],
        "Do": lambda record: lambda: record.edns.do,
        "Co": lambda record: lambda: bool(record.edns.flags & COMPACT),
        "Z": lambda record: lambda: record.edns.flags & ~DO & ~COMPACT,
        "UDPSize": lambda record: lambda: record.edns.size,
        "Version": lambda record: lambda: record.edns.version,
        "ExtendedRcode": lambda record: lambda: record.edns.extended_rcode << 4,
        "String": lambda record: record.text,
    }


def _title(code: int) -> str:
    return {SUBNET: "SUBNET", COOKIE: "COOKIE", NSID: "NSID", PADDING: "PADDING"}.get(
        code, "LOCAL OPT"
    )


def _spelled(option: Option) -> str:
    """The octets of an NSID once more, as they read."""
    text = "".join([f"({chr(octet)})" for octet in option.data])
    return f"  {text}" if option.code == NSID else ""


def _flag(bit: int) -> Callable[[Any], bool]:
    return lambda message: bool(message.query.flags & bit)


class Header(Struct):
    """The header (RFC 1035 section 4.1.1)."""

    type_name = "dns.MsgHdr"

    def __init__(self, query: Query) -> None:
        self.query = query

    FIELDS: ClassVar[Fields] = {
        "Id": lambda message: int.from_bytes(message.query.octets[:2], "big"),
        "Response": lambda message: False,
        "Opcode": lambda message: (message.query.flags & OPCODE) >> 11,
        "Authoritative": _flag(AA),
        "Truncated": _flag(TC),
        "RecursionDesired": _flag(RD),
        "RecursionAvailable": _flag(RA),
        "Zero": _flag(RESERVED),
        "AuthenticatedData": _flag(AD),
        "CheckingDisabled": _flag(CD),
        "Rcode": lambda message: message.query.flags & 0xF,
    }


class Message(Header):
    """Header, question, and the OPT record as the additional section."""

    type_name = "*dns.Msg"

    def opt(self) -> OptRecord | None:
        return OptRecord(self.query.edns) if self.query.edns else None

    FIELDS: ClassVar[Fields] = {
        **Header.FIELDS,
        "MsgHdr": lambda message: Header(message.query),
        "Compress": lambda message: False,
        "Question": lambda message: [Asked(message.query.question)],
        "Answer": lambda message: [],
        "Ns": lambda message: [],
        "Extra": lambda message: [message.opt()] if message.query.edns else [],
        "IsEdns0": lambda message: message.opt,
    }
