"""What templates can see of a query."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from clusterdns.plugins.query import Query
from clusterdns.plugins.template.message import Asked, Message
from clusterdns.plugins.template.values import Struct, Variables


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
        self.variables = Variables()
        self.sees_more = False

    def written(self) -> str:
        return f"{super().written()[:-1]} map[]}}"  # what Go has the labels in, and no template

    def text(self) -> str:
        return f"&{self.written()}"

    def remote(self) -> str:
        """The client's address."""
        self.sees_more = True
        return self.query.peer[0]

    def message(self) -> Message:
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
