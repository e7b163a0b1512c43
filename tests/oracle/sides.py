"""Both servers under one Corefile of directives, side by side, and what must come of a question.

What clusterdns must answer is CoreDNS's answer as the rules change it; each rule is a number of
docs/differences.md, so a difference that a rule prescribes is required and not only excused.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import dns.message
import pytest

from tests.oracle.answers import UNREADABLE, Answer, Opt, Record, Section
from tests.oracle.asking import Question
from tests.oracle.comparing import Report, answers, told
from tests.oracle.servers import (
    HOW_TO_GET_IT,
    clusterdns_command,
    coredns_binary,
    coredns_command,
    free_port,
    running,
)
from tests.oracle.upstreams import Script, Upstream, upstream

needs_coredns = pytest.mark.skipif(coredns_binary() is None, reason=HOW_TO_GET_IT)

OUR_SIZE = 1232
EDE = 15  # RFC 8914
Rule = Callable[[Question, Answer], Answer]
Rules = Mapping[str, Rule]  # in the order in which they are applied


@dataclass
class Side:
    """One server and the upstreams that only it asks."""

    name: str
    port: int
    folder: Path
    upstreams: list[Upstream] = field(default_factory=list)

    def log(self) -> list[str]:
        """Its output so far, line by line."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace").splitlines()


Sides = tuple[Side, Side]


@asynccontextmanager
async def sides(
    corefile: str, folder: Path, scripts: Sequence[Script] = (), first: str = "ready"
) -> AsyncIterator[Sides]:
    """CoreDNS and clusterdns, each with upstreams of these scripts.

    corefile: where @0, @1 ... stand for the upstreams; a block for `ready` is added.
    """
    async with AsyncExitStack() as stack:
        found = []
        for name, command in (("coredns", coredns_command), ("clusterdns", _ours)):
            side = Side(name, free_port(), folder)
            text = corefile
            for number, script in enumerate(scripts):
                side.upstreams.append(await stack.enter_async_context(upstream(script)))
                text = text.replace(f"@{number}", f"127.0.0.1:{side.upstreams[-1].port}")
            ready, path = free_port(), folder / f"Corefile.{name}"
            path.write_text(
                f"{first}.test {{\n bind 127.0.0.1\n ready 127.0.0.1:{ready}\n}}\n{text}"
            )
            log = folder / f"{name}.log"
            await stack.enter_async_context(running(command(path, side.port), ready, log))
            found.append(side)
        yield found[0], found[1]


def _ours(path: Path, port: int) -> list[str]:
    return clusterdns_command(path, port, None)


async def compare(
    pair: Sides,
    asked: Sequence[Question],
    rules: Rules,
    met: Counter[str],
    *,
    in_order: bool = False,
) -> tuple[dict[Question, Answer], dict[Question, Answer]]:
    """Asks both, and fails where ours is not what the rules make of CoreDNS's answer.

    in_order: the records of the answers are in one order, too.
    """
    (theirs, raws), (ours, octets) = [await answers(side.port, asked) for side in pair]
    report = Report(len(asked))
    for question in asked:
        raw, answer = theirs[question] or NOTHING, ours[question] or NOTHING
        expected, used = apply(rules, question, raw)
        report.rules.update(used)
        problem = _problem(expected, answer)
        if in_order and not problem and raw is not NOTHING:
            problem = _order(raws[question], octets[question])
        if problem:
            text = told(question, problem, expected, raw, answer, frozenset(used))
            report.differences.append(text)
    met.update(report.rules)
    met["questions"] += report.asked
    assert not report.differences, str(report)
    return (
        {question: found or NOTHING for question, found in theirs.items()},
        {question: found or NOTHING for question, found in ours.items()},
    )


NOTHING = replace(UNREADABLE, rcode="no reply")
PARTS = ("opcode", "rcode", "bits", "question", "answer", "authority", "additional", "opt")


def _problem(expected: Answer, answer: Answer) -> str:
    """The part of the answer that is not as expected."""
    for name in PARTS:
        if getattr(expected, name) != getattr(answer, name):
            return name
    return ""


def _order(theirs: bytes, ours: bytes) -> str:
    one, other = [
        [str(rrset[0]) for rrset in dns.message.from_wire(o, one_rr_per_rrset=True).answer]
        for o in (theirs, ours)
    ]
    return "" if one == other else f"order: {one}, ours {other}"


def apply(rules: Rules, question: Question, raw: Answer) -> tuple[Answer, list[str]]:
    """The answer that must come, and the rules that made it another one."""
    expected = raw
    used: list[str] = []
    if raw.rcode == NOTHING.rcode:
        return raw, []
    for name, rule in rules.items():
        after = rule(question, expected)
        if after != expected:
            expected, used = after, [*used, name]
    return expected, used


def same_questions(pair: Sides, *, counted: bool = True) -> None:
    """Fails where the upstreams of the two were not asked the same."""
    for number, (one, other) in enumerate(zip(pair[0].upstreams, pair[1].upstreams, strict=True)):
        theirs, ours = Counter(one.asked()), Counter(other.asked())
        if not counted:
            theirs, ours = Counter(set(theirs)), Counter(set(ours))
        problem = [f"CoreDNS asked, not we: {n} x {s}" for s, n in (theirs - ours).items()]
        problem += [f"we asked, not CoreDNS: {n} x {s}" for s, n in (ours - theirs).items()]
        assert not problem, f"upstream {number}:\n" + "\n".join(problem[:20])


def own_opt(question: Question, raw: Answer) -> Answer:
    """D5: our own size, DO as it was asked; of the options only an extended error."""
    if raw.opt is None:
        return raw
    flags = question.edns.flags & 0x8000 if question.edns else 0
    options = tuple(option for option in raw.opt.options if option[0] == EDE)
    return replace(raw, opt=Opt(OUR_SIZE, 0, flags, options))


def recursive(question: Question, raw: Answer) -> Answer:
    """D33: RA where the server block has `forward`."""
    return replace(raw, bits=raw.bits | {"RA"})


def not_authoritative(question: Question, raw: Answer) -> Answer:
    """D9: AA is not for what an upstream said."""
    return replace(raw, bits=raw.bits - {"AA"})


def as_asked(question: Question, raw: Answer) -> Answer:
    """D11: an owner that is the name asked for is spelled like it."""

    def spelled(section: Section) -> Section:
        name = raw.question.partition(" ")[0]
        return tuple(sorted(_spelled(record, name) for record in section))

    answer, authority, additional = map(spelled, raw.sections)
    return replace(raw, answer=answer, authority=authority, additional=additional)


def _spelled(record: Record, name: str) -> Record:
    return record._replace(owner=name) if record.owner.lower() == name.lower() else record


USUAL: Rules = {"D5": own_opt, "D11": as_asked}
