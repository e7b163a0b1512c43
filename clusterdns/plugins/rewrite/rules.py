"""What a rule is: it fits a query or not, changes it, and says what becomes of the reply."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from clusterdns.plugins.base import Sees
from clusterdns.plugins.query import Query, Reply
from clusterdns.plugins.rewrite.matchers import Test
from clusterdns.wire.edns import Edns
from clusterdns.wire.question import Question


class ReplyRule(Protocol):
    """What is done to the reply of one query."""

    async def apply(self, reply: Reply) -> None:
        """Changes the reply. Its records may be somebody else's: they are replaced, not changed.

        Raises ResolveError where it leads to something that cannot be sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule that fits asks for. None: it stays as it is.

    replies: applied to the reply from the last one to the first.
    """

    question: Question | None = None
    edns: Edns | None = None
    replies: tuple[ReplyRule, ...] = ()


class Rule:
    """One line: FIELD and what is behind it."""

    field: ClassVar[str]  # the word in the Corefile
    sees: Sees = Sees.QUESTION  # what it looks at, as `Plugin.sees`
    options: frozenset[int] = frozenset()  # codes of EDNS options that it looks at

    def change(self, query: Query, name: str) -> Change | None:
        """What becomes of a query; None: the rule does not fit.

        name: the question's as `Question.text` has it, in lower case.
        """
        raise NotImplementedError


class NamedRule(Rule):
    """Leaves queries as they are, and changes what is replied to those for some names."""

    def __init__(self, test: Test, changes: ReplyRule) -> None:
        self.test = test
        self._change = Change(replies=(changes,))

    def change(self, query: Query, name: str) -> Change | None:
        return self._change if self.test(name) else None
