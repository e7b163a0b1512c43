"""What tests of `rewrite` share: what is asked behind it, and a reply to everything."""

from dataclasses import dataclass, field
from typing import Any

from dnslib import RR

from clusterdns.plugins.query import Query, Reply
from clusterdns.wire.question import Question
from clusterdns.wire.texts import class_text, type_text
from tests.plugins.asking import parsed, query, records, texts


@dataclass
class Printer:
    """The plugin behind: answers with these records, or with an A record for what is asked."""

    answer: str = ""
    additional: str = ""
    asked: list[Query] = field(default_factory=list)

    async def __call__(self, query: Query) -> Reply:
        self.asked.append(query)
        answer = self.answer or f"{query.question.text} 5 IN A 10.0.0.1"
        return Reply(answer=records(answer), additional=records(self.additional))


async def resolved(rules: str, asked: Query, behind: Any) -> Reply:
    reply = await parsed(rules).resolve(asked, behind)
    assert reply is not None
    return reply


async def asked_for(rules: str, question: str) -> str:
    """What is asked behind the rules for `NAME [TYPE [CLASS]]`, in the same form."""
    name, *rest = question.split()
    qtype, qclass = [*rest, *["A", "IN"][len(rest) :]]
    behind = Printer()
    await resolved(rules, made(name, qtype, qclass), behind)
    (found,) = behind.asked
    kinds = [type_text(found.question.qtype), class_text(found.question.qclass)]
    return " ".join([found.question.text, *kinds[: len(rest)]])


def made(name: str, qtype: str, qclass: str = "IN") -> Query:
    known = query(name, qtype)
    number = {"IN": 1, "CH": 3, "HS": 4}[qclass]
    found = known.question
    return query(question=Question(found.name, found.qtype, number, found.end))


def owners(section: list[RR]) -> list[str]:
    return [text.split()[0] for text in texts(section)]
