"""The query as a message, for templates that look at its header, its question or its OPT record.

Fields and methods are those of the types that CoreDNS has for it.
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from clusterdns.plugins.query import Query
from clusterdns.plugins.template.values import Items, Short, Struct
from clusterdns.wire.edns import DO, OPT, Edns, Option
from clusterdns.wire.message import AA, AD, CD, OPCODE, RA, RD, TC
from clusterdns.wire.names import presented
from clusterdns.wire.question import Question
from clusterdns.wire.texts import class_text, rcode_text, type_text

Fields = Mapping[str, Callable[[Any], Any]]
NSID, SUBNET, COOKIE, PADDING = 3, 8, 10, 12  # codes of EDNS options
ANY = 255  # class and type
RESERVED = 0x0040  # the bit that RFC 1035 section 4.1.1 calls Z
COMPACT = 0x4000  # the flag of the OPT record that RFC 9824 has


def _class(number: int) -> str:
    """In words, unless they are those of a type as well."""
    return f"CLASS{ANY}" if number == ANY else class_text(number)


class Asked(Struct):
    """The question."""

    type_name = "*dns.Question"

    def __init__(self, question: Question) -> None:
        self.question = question

    def written(self) -> str:
        question = self.question
        kinds = f"{_class(question.qclass)}\t {type_text(question.qtype)}"
        return f";{presented(question.labels)}\t{kinds}"

    FIELDS: ClassVar[Fields] = {
        "Name": lambda asked: presented(asked.question.labels),
        "Qtype": lambda asked: Short(asked.question.qtype),
        "Qclass": lambda asked: Short(asked.question.qclass),
        "String": lambda asked: asked.written,
    }


class AskedItem(Asked):
    """The question as the item of a list."""

    type_name = "dns.Question"
    by_value = True


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

    def written(self) -> str:
        if self.subnet is not None:
            return str(self.subnet)
        if self.code in (NSID, COOKIE):
            return self.data.hex()
        if self.code == PADDING:
            return self.data.hex().upper()
        return f"{self.code}:0x{self.data.hex()}"

    FIELDS: ClassVar[Fields] = {
        "Code": lambda option: Short(option.code),
        "Option": lambda option: lambda: Short(option.code),
        "String": lambda option: option.written,
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

    type_name = "*dns.RR_Header"

    def __init__(self, edns: Edns) -> None:
        self.edns = edns

    def written(self) -> str:
        fields = self.fields()
        return f";.\t{fields['Ttl']}\t{_class(fields['Class'])}\t{type_text(OPT)}\t"

    FIELDS: ClassVar[Fields] = {
        "Name": lambda header: ".",
        "Rrtype": lambda header: Short(OPT),
        "Class": lambda header: Short(header.edns.size),
        "Ttl": lambda header: (
            header.edns.extended_rcode << 24 | header.edns.version << 16 | header.edns.flags
        ),
        "Rdlength": lambda header: Short(
            sum(4 + len(option.data) for option in header.edns.options)
        ),
        "String": lambda header: header.written,
    }


class RecordHeaderItself(RecordHeader):
    """The same as a part of the record."""

    type_name = "dns.RR_Header"
    by_value = True


class OptRecord(Struct):
    """The OPT record (RFC 6891)."""

    type_name = "*dns.OPT"

    def __init__(self, edns: Edns) -> None:
        self.edns = edns

    def written(self) -> str:
        edns = self.edns
        flags = " do" * edns.do + " co" * bool(edns.flags & COMPACT)
        rest = edns.flags & ~DO & ~COMPACT
        reserved = f"MBZ: 0x{rest:04x}, " if rest else ""
        lines = [
            "",
            ";; OPT PSEUDOSECTION:",
            f"; EDNS: version {edns.version}; flags:{flags}; {reserved}udp: {edns.size}",
            *(
                f"; {_title(each.code)}: {EdnsOption(each).written()}{_spelled(each)}"
                for each in edns.options
            ),
        ]
        return "\n".join(lines)

    FIELDS: ClassVar[Fields] = {
        "Hdr": lambda record: RecordHeaderItself(record.edns),
        "Header": lambda record: lambda: RecordHeader(record.edns),
        "Option": lambda record: Items("[]dns.EDNS0", map(EdnsOption, record.edns.options)),
        "Do": lambda record: lambda: record.edns.do,
        "Co": lambda record: lambda: bool(record.edns.flags & COMPACT),
        "Z": lambda record: lambda: Short(record.edns.flags & ~DO & ~COMPACT),
        "UDPSize": lambda record: lambda: Short(record.edns.size),
        "Version": lambda record: lambda: record.edns.version,
        "ExtendedRcode": lambda record: lambda: record.edns.extended_rcode << 4,
        "String": lambda record: record.written,
    }


def _title(code: int) -> str:
    return {SUBNET: "SUBNET", COOKIE: "COOKIE", NSID: "NSID", PADDING: "PADDING"}.get(
        code, "LOCAL OPT"
    )


def _spelled(option: Option) -> str:
    """The octets of an NSID once more, as they read."""
    text = "".join([f"({chr(octet)})" for octet in option.data])
    return f"  {text}" if option.code == NSID else ""


# As they are printed.
_FLAGS = {"aa": AA, "tc": TC, "rd": RD, "ra": RA, "z": RESERVED, "ad": AD, "cd": CD}


def _flag(bit: int) -> Callable[[Any], bool]:
    return lambda message: bool(message.query.flags & bit)


class Header(Struct):
    """The header (RFC 1035 section 4.1.1)."""

    type_name = "dns.MsgHdr"
    by_value = True

    def __init__(self, query: Query) -> None:
        self.query = query

    def written(self) -> str:
        flags = self.query.flags
        names = "".join([f" {name}" for name, bit in _FLAGS.items() if flags & bit])
        head = f";; opcode: QUERY, status: {rcode_text(flags & 0xF)}"  # templates see no other
        return f"{head}, id: {self.FIELDS['Id'](self)}\n;; flags:{names};"

    FIELDS: ClassVar[Fields] = {
        "Id": lambda message: Short(int.from_bytes(message.query.octets[:2], "big")),
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
        "String": lambda message: message.written,
    }


class Message(Header):
    """Header, question, and the OPT record as the additional section."""

    type_name = "*dns.Msg"
    by_value = False

    def written(self) -> str:
        opt = self.opt()
        counts = f"QUERY: 1, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: {int(opt is not None)}"
        asked = Asked(self.query.question).written()
        pseudo = f"{opt.written()}\n" if opt else ""
        head = f"{super().written()} {counts}\n"
        return f"{head}{pseudo}\n;; QUESTION SECTION:\n{asked}\n"

    def fields(self) -> dict[str, Any]:
        """Those of the header are in the field for it."""
        own = ("MsgHdr", "Compress", "Question", "Answer", "Ns", "Extra")
        return {name: self.FIELDS[name](self) for name in own}

    def opt(self) -> OptRecord | None:
        return OptRecord(self.query.edns) if self.query.edns else None

    FIELDS: ClassVar[Fields] = {
        **Header.FIELDS,
        "MsgHdr": lambda message: Header(message.query),
        "Compress": lambda message: False,
        "Question": lambda message: Items("[]dns.Question", [AskedItem(message.query.question)]),
        "Answer": lambda message: Items("[]dns.RR", []),
        "Ns": lambda message: Items("[]dns.RR", []),
        "Extra": lambda message: Items("[]dns.RR", filter(None, [message.opt()])),
        "IsEdns0": lambda message: message.opt,
    }
