"""Both servers under one Corefile of directives, side by side, and what must come of a question.

What clusterdns must answer is CoreDNS's answer as the rules change it; each rule is a number of
docs/differences.md, so a difference that a rule prescribes is required and not only excused.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import dns.message
from prometheus_client.metrics_core import Metric

from tests.metering import read
from tests.oracle.ages import NEW, Ages, Span, aged, ages, may_differ
from tests.oracle.answers import UNREADABLE, Answer, Opt, Record, Section
from tests.oracle.asking import Question
from tests.oracle.comparing import Report, answers, told
from tests.oracle.servers import clusterdns_command, coredns_command, running
from tests.oracle.upstreams import Key, Script, Seen, Upstream, upstream
from tests.ports import free_port

OUR_SIZE = 1232
EDE = 15  # RFC 8914
CD, DO = 0x0010, 0x8000
BEHIND_S = 0.3  # a reply is kept that soon; who asked may have had another one before
Rule = Callable[[Question, Answer], Answer]
Rules = Mapping[str, Rule]  # in the order in which they are applied


@dataclass
class Side:
    """One server and the upstreams that only it asks.

    spans: when each question was asked, those together that a cache has one reply for.
    ages: of the last reply to each question, each that it may have.
    """

    name: str
    port: int
    folder: Path
    page: int = 0  # the port of metrics, where the Corefile has them
    upstreams: list[Upstream] = field(default_factory=list)
    spans: dict[Key, list[Span]] = field(default_factory=dict)
    ages: dict[Question, list[Ages]] = field(default_factory=dict)

    async def answers(
        self, asked: Sequence[Question]
    ) -> tuple[dict[Question, Answer | None], dict[Question, bytes]]:
        """Its answers, and the replies as they came; how old they may be is in `ages`."""
        spans: dict[Question, Span] = {}
        found = await answers(self.port, asked, spans)
        for question, span in spans.items():
            self.spans.setdefault(_key(question), []).append(span)
        self.ages |= {question: self._ages(question, span) for question, span in spans.items()}
        return found

    def _ages(self, question: Question, span: Span) -> list[Ages]:
        """By the last reply of an upstream. One that came while this was asked may have been too
        late for it: then it may be by the one before, too."""
        key = _key(question)
        replied = [s for each in self.upstreams for s in each.replied.get(key, ())]
        replied = sorted(second for second in replied if second <= span.end)
        if not replied:
            return [NEW]
        found = [ages(self._kept(key, replied), span)]
        before = [second for second in replied if second < span.begin]
        if len(before) < len(replied) and before:
            found.append(ages(self._kept(key, before), span))
        return found

    def _kept(self, key: Key, replied: Sequence[float]) -> Span:
        """When the last of these replies was kept, or one to those who asked at the same time."""
        last = replied[-1]
        waiting = [each for each in self.spans[key] if each.begin <= last <= each.end]
        began = min((each.begin for each in waiting), default=last)
        first = next(second for second in replied if second >= began)
        return Span(first, max([last + BEHIND_S, *(each.end for each in waiting)]))

    def filled(self, corefile: str) -> str:
        """The Corefile with its ports."""
        ports = {str(n): upstream.port for n, upstream in enumerate(self.upstreams)}
        ports["page"] = self.page
        return re.sub(r"@(\d+|page)", lambda at: f"127.0.0.1:{ports[at[1]]}", corefile)

    async def metrics(self) -> dict[str, Metric]:
        """The families of its page; ports are @dns, and @0, @1 ... for those of the upstreams."""
        address = f"http://127.0.0.1:{self.page}/metrics"
        async with aiohttp.ClientSession() as client, client.get(address) as reply:
            text = await reply.text()
        ports = {self.port: "@dns"} | {up.port: f"@{n}" for n, up in enumerate(self.upstreams)}
        for port, name in ports.items():
            text = text.replace(f':{port}"', f':{name}"')
        return read("".join(line for line in text.splitlines(True) if "coredns_" in line))

    def log(self) -> list[str]:
        """Its output so far, line by line."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace").splitlines()


Sides = tuple[Side, Side]


@asynccontextmanager
async def sides(
    corefile: str, folder: Path, scripts: Sequence[Script] = (), first: str = "ready"
) -> AsyncIterator[Sides]:
    """CoreDNS and clusterdns, each with upstreams of these scripts.

    corefile: where @0, @1 ... stand for the upstreams, and @page for the port of metrics; a block
        for `ready` is added.
    """
    async with AsyncExitStack() as stack:
        found = []
        for name, command in (("coredns", coredns_command), ("clusterdns", _ours)):
            side = Side(name, free_port(), folder, free_port())
            for script in scripts:
                side.upstreams.append(await stack.enter_async_context(upstream(script)))
            text = side.filled(corefile)
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
    ours_as: Rule | None = None,
    at_once: bool = False,
) -> tuple[dict[Question, Answer], dict[Question, Answer]]:
    """Asks both, and fails where ours is not what the rules make of CoreDNS's answer.

    in_order: the records of the answers are in one order, too.
    ours_as: makes of our answer what is compared.
    at_once: both are asked at the same time, where it matters when.
    TTLs may be apart as far as the two may have got the same reply at different moments.
    """
    if at_once:
        found = await asyncio.gather(*[side.answers(asked) for side in pair])
    else:
        found = [await side.answers(asked) for side in pair]
    (theirs, raws), (ours, octets) = found
    report = Report(len(asked))
    zones: set[tuple[str, ...]] = set()
    for question in asked:
        raw, answer = theirs[question] or NOTHING, ours[question] or NOTHING
        expected, used = apply(rules, question, raw)
        report.rules.update(used)
        answer = ours_as(question, answer) if ours_as else answer
        kept = zip(*[side.ages[question] for side in pair], strict=False)  # both the same one
        apart = {seconds for each in kept for seconds in may_differ(*each)}
        problem = _problem(aged(expected, answer, apart), answer)
        if in_order and not problem and raw is not NOTHING:
            problem = _order(raws[question], octets[question])
        if problem:
            text = told(question, problem, expected, raw, answer, frozenset(used))
            zone = tuple(question.name.lower().split(".")[-3:])
            at = 0 if zone not in zones else len(report.differences)  # one of each zone first
            report.differences.insert(at, text)
            zones.add(zone)
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


def _key(question: Question) -> Key:
    is_secure = question.edns is not None and bool(question.edns.flags & DO)
    is_unchecked = bool(question.flags & CD)
    return Key(question.name.lower(), question.qtype, question.qclass, is_unchecked, is_secure)


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


def same_questions(pair: Sides, seen: Callable[[Seen], Seen] = lambda seen: seen) -> None:
    """Fails where the upstreams of the two were not asked the same.

    How often does not count, nor letter case: one of ours answers all who wait for it.
    seen: leaves out what is not to be compared.
    """
    for number, (one, other) in enumerate(zip(pair[0].upstreams, pair[1].upstreams, strict=True)):
        theirs, ours = [
            {seen(s._replace(name=s.name.lower())) for s in upstream.asked()}
            for upstream in (one, other)
        ]
        problem = [f"CoreDNS asked, not we: {s}" for s in sorted(theirs - ours, key=str)]
        problem += [f"we asked, not CoreDNS: {s}" for s in sorted(ours - theirs, key=str)]
        assert not problem, f"upstream {number}:\n" + "\n".join(problem[:40])


def asked_of(side: Side) -> Counter[tuple[str, str]]:
    """How often its upstreams were asked for each name, by TCP and UDP, since the last look."""
    found = Counter(
        (seen.name.lower(), seen.transport) for each in side.upstreams for seen in each.asked()
    )
    for each in side.upstreams:
        each.seen.clear()
    return found


def asked_the_same(pair: Sides) -> None:
    """Fails where an upstream was asked for a name, by TCP or UDP, and the other one was not.

    How often does not count: on a busy machine a client asks once more.
    """
    theirs, ours = map(asked_of, pair)
    problem = [f"CoreDNS asked, not we: {each}" for each in sorted(theirs.keys() - ours.keys())]
    problem += [f"we asked, not CoreDNS: {each}" for each in sorted(ours.keys() - theirs.keys())]
    assert not problem, "\n".join(problem[:40])


def own_opt(question: Question, raw: Answer) -> Answer:
    """D5: our own size; of the options only an extended error, of the flags DO."""
    if raw.opt is None:
        return raw
    options = tuple(option for option in raw.opt.options if option[0] == EDE)
    return replace(raw, opt=Opt(OUR_SIZE, 0, raw.opt.flags & 0x8000, options))


def asked_for_opt(question: Question, raw: Answer) -> Answer:
    """D39: an OPT record only for those who sent one, extended errors of directives apart."""
    has_error = raw.opt is not None and any(code == EDE for code, _ in raw.opt.options)
    return raw if question.edns or has_error else replace(raw, opt=None)


def passed_opt(question: Question, raw: Answer) -> Answer:
    """D5 for what an upstream put into its OPT record: our size, its options."""
    opt = raw.opt
    return (
        raw if opt is None else replace(raw, opt=Opt(OUR_SIZE, 0, opt.flags & 0x8000, opt.options))
    )


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


def in_lower_case(question: Question, raw: Answer) -> Answer:
    """The answer where letter case counts for nothing but owners that are the name asked for."""
    name = raw.question.partition(" ")[0]

    def folded(section: Section) -> Section:
        return tuple(
            sorted(
                r._replace(
                    owner=r.owner if r.owner == name else r.owner.lower(),
                    data=r.data if r.type == "TXT" else r.data.lower(),
                )
                for r in section
            )
        )

    answer, authority, additional = map(folded, raw.sections)
    return replace(raw, answer=answer, authority=authority, additional=additional)


USUAL: Rules = {"D5": own_opt, "D11": as_asked}
