"""What templates can see of a query."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from clusterdns.plugins.base import Query
from clusterdns.plugins.template.values import Struct
from clusterdns.wire.message import AA, AD, CD, OPCODE, RA, RD, TC
from clusterdns.wire.question import Question, presented


class Data(Struct):
    """Everything, as `.` and `$`.

    sees_more: whether something was looked at that the question does not decide, so that the reply
        is this client's, at this moment.
    """

    type_name = "*template.templateData"

    def __init__(self, query: Query, name: str) -> None:
        """name: the question's, in lower case."""
        self.query = query
        self.name = name
        self.zone = self.regex = self.class_ = self.type = ""
        self.match: list[str] = []
        self.group: dict[str, str] = {}
        self.variables: dict[str, Any] = {}
        self.sees_more = False

    def remote(self) -> str:
        """The client's address."""
        self.sees_more = True
        return self.query.peer[0]

    def message(self) -> "Message":
        self.sees_more = True
        return Message(self.query)

    def label(self, label: str) -> str:
        """A label of `metadata`; empty where there is none."""
        self.sees_more = True
        if not isinstance(label, str):
            raise TypeError("the name of a label is a text")
        found = (self.query.labels or {}).get(label)
        return found() if found else ""

    FIELDS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "Zone": lambda data: data.zone,
        "Name": lambda data: data.name,
        "Regex": lambda data: data.regex,
        "Match": lambda data: data.match,
        "Group": lambda data: data.group,
        "Class": lambda data: data.class_,
        "Type": lambda data: data.type,
        "Message": lambda data: data.message(),
        "Question": lambda data: Asked(data.query.question),
        "Remote": lambda data: data.remote(),
        "Var": lambda data: data.variables,
        "Meta": lambda data: data.label,
    }


class Asked(Struct):
    """The question section."""

    type_name = "*dns.Question"

    def __init__(self, question: Question) -> None:
        self.question = question

    FIELDS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "Name": lambda asked: presented(asked.question.labels),
        "Qtype": lambda asked: asked.question.qtype,
        "Qclass": lambda asked: asked.question.qclass,
    }


def _flag(bit: int) -> Callable[[Any], bool]:
    return lambda message: bool(message.query.flags & bit)


class Message(Struct):
    """The query's header, and its question."""

    type_name = "*dns.Msg"

    def __init__(self, query: Query) -> None:
        self.query = query

    FIELDS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "Id": lambda message: int.from_bytes(message.query.octets[:2], "big"),
        "Response": lambda message: False,
        "Opcode": lambda message: (message.query.flags & OPCODE) >> 11,
        "Authoritative": _flag(AA),
        "Truncated": _flag(TC),
        "RecursionDesired": _flag(RD),
        "RecursionAvailable": _flag(RA),
        "Zero": _flag(0x0040),  # the bit that RFC 1035 section 4.1.1 reserves
        "AuthenticatedData": _flag(AD),
        "CheckingDisabled": _flag(CD),
        "Rcode": lambda message: message.query.flags & 0xF,
        "Question": lambda message: [Asked(message.query.question)],
        "Answer": lambda message: [],
        "Ns": lambda message: [],
        "Extra": lambda message: [],
    }
