"""Starts both servers under one Corefile, asks both the same, and says where they differ."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tests.apiserver.server import ApiServer
from tests.objects import Json
from tests.oracle.ages import Span
from tests.oracle.answers import UNREADABLE, Answer, chained, decode
from tests.oracle.asking import Question, ask
from tests.oracle.rules import Rules
from tests.oracle.servers import clusterdns_command, coredns_command, running
from tests.ports import free_port

SHOWN = 25  # differences told in full

Answers = dict[Question, Answer | None]


@dataclass
class Report:
    """What a comparison found."""

    asked: int = 0
    rules: Counter[str] = field(default_factory=Counter)  # how often each difference was met
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        shown = self.differences[:SHOWN]
        count = f"{len(self.differences)} of {self.asked} answers differ without a rule"
        return "\n\n".join([count, *shown])


@asynccontextmanager
async def both(
    corefile: Callable[[str, int], str], objects: list[Json], folder: Path, *, files: bool = False
) -> AsyncIterator[tuple[int, int]]:
    """CoreDNS and clusterdns on a simulated API server; gives their DNS ports.

    corefile: the text for an API server's URL and a port for readiness.
    files: give clusterdns the objects as a manifest instead.
    """
    manifest = folder / "objects.json" if files else None
    if manifest:
        items = {"kind": "List", "apiVersion": "v1", "items": objects}
        manifest.write_bytes(msgspec.json.encode(items))
    async with ApiServer(objects) as api, AsyncExitStack() as stack:
        ports = free_port(), free_port()
        for name, port in zip(("coredns", "clusterdns"), ports, strict=True):
            ready, path = free_port(), folder / f"Corefile.{name}"
            path.write_text(corefile(api.url, ready))
            if name == "coredns":
                command = coredns_command(path, port)
            else:
                command = clusterdns_command(path, port, manifest)
            await stack.enter_async_context(running(command, ready, folder / f"{name}.log"))
        yield ports


async def answers(
    port: int, questions: Iterable[Question], spans: dict[Question, Span] | None = None
) -> tuple[Answers, dict[Question, bytes]]:
    """Every answer, and the replies as they came.

    spans: filled with when each was asked and answered.
    """
    found: Answers = {}
    octets: dict[Question, bytes] = {}
    for tcp in (False, True):
        asked = [question for question in questions if question.tcp == tcp]
        replies = await ask(port, [question.octets() for question in asked], tcp=tcp)
        if spans is not None:
            spans.update(zip(asked, replies.spans, strict=True))
        for question, reply in zip(asked, replies.octets, strict=True):
            found[question] = decode(reply, replies.client_port)
            if reply is not None:
                octets[question] = reply
    return found, octets


async def cut_off(port: int, found: Answers) -> Answers:
    """The answers with those questions again over TCP whose answers were cut."""
    again = {q._replace(tcp=True, edns=None) for q, a in found.items() if a and "TC" in a.bits}
    return found | (await answers(port, again - found.keys()))[0]


def compare(
    rules: Rules,
    theirs: Answers,
    ours: Answers,
    octets: dict[Question, bytes],
    asked: Sequence[Question],
) -> Report:
    """Each of our answers against what CoreDNS's answer and the rules ask for."""
    report = Report(len(asked))
    for question in asked:
        expected, used = rules.expected(question)
        raw, answer = theirs[question], ours[question] or UNREADABLE
        problem = _problem(question, expected, raw, answer)
        if not problem and not chained(octets[question]):
            problem = "a CNAME stands behind what it leads to"
        if problem:
            report.differences.append(told(question, problem, expected, raw, answer, used))
            continue
        if raw is not None and {"TC"} & (raw.bits | answer.bits):
            used |= {"D29, D30"}
        report.rules.update(used)
    return report


def differing(
    asked: Sequence[Question],
    theirs: Answers,
    ours: Answers,
    rule: Callable[[Question, Answer, Answer], str],
    met: Counter[str],
) -> list[str]:
    """What differs without a rule, told.

    rule: the number of the difference that CoreDNS's answer and ours make; "" where it is none.
    """
    found = []
    for question in asked:
        raw, answer = theirs[question] or UNREADABLE, ours[question] or UNREADABLE
        number = rule(question, raw, answer)
        met[number or "questions"] += 1
        if raw.said() != answer.said() and not number:
            found.append(f"{question}\n  CoreDNS    {raw}\n  clusterdns {answer}")
    return found


def _problem(question: Question, expected: Answer, raw: Answer | None, ours: Answer) -> str:
    if raw is not None and "TC" in raw.bits:
        return _problem_of_cut(question, expected, raw, ours)
    for name in ("opcode", "rcode", "bits", "question", "answer", "authority", "additional", "opt"):
        if getattr(expected, name) != getattr(ours, name):
            return name
    return ""


def _problem_of_cut(question: Question, expected: Answer, raw: Answer, ours: Answer) -> str:
    """D29 and D30: as much of the answer as fits, no less than CoreDNS; TC when it is not all."""
    limit = 65535 if question.tcp else max(512, question.edns.size if question.edns else 0)
    if ours.size > limit:
        return f"{ours.size} octets, more than {limit}"
    if Counter(ours.answer) - Counter(expected.answer) or len(ours.answer) < len(raw.answer):
        return "answer (what fits of it)"
    if Counter(ours.additional) - Counter(expected.additional):
        return "additional (what fits of it)"
    if ("TC" in ours.bits) != (ours.answer != expected.answer):
        return "TC"
    kept = replace(
        expected,
        answer=ours.answer,
        additional=ours.additional,
        bits=expected.bits | ours.bits & {"TC"},
    )
    return "" if kept.said() == ours.said() else "header, authority or OPT"


def told(
    question: Question,
    problem: str,
    expected: Answer,
    raw: Answer | None,
    ours: Answer,
    used: frozenset[str],
) -> str:
    lines = [f"{question}: {problem}", f"clusterdns: {ours}", f"CoreDNS:    {raw}"]
    if used:
        lines.append(f"expected by {', '.join(sorted(used))}: {expected}")
    return "\n".join(lines)
