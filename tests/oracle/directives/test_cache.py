"""`cache` and `forward` beside CoreDNS: what is kept, TTLs, and what upstreams see."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.oracle.answers import Answer, Opt
from tests.oracle.asking import Edns, Question
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import (
    Rule,
    Rules,
    Side,
    as_asked,
    asked_for_opt,
    compare,
    not_authoritative,
    passed_opt,
    recursive,
    same_questions,
    sides,
)
from tests.oracle.upstreams import Said, Seen

pytestmark = needs_coredns

LONG_SOA = "test. 5000 SOA ns.test. host.test. 7 7200 1800 86400 4000"
SCRIPT = dict(ANSWERS) | {
    "long": Said("@ 86400 A 192.0.2.1"),
    "short": Said("@ 4 A 192.0.2.1\n@ 300 A 192.0.2.2"),
    "longnx": Said(rcode="NXDOMAIN", authority=LONG_SOA),
    "barenx": Said(rcode="NXDOMAIN"),
    "cnamenx": Said("@ 50 CNAME gone.test.", LONG_SOA, rcode="NXDOMAIN"),
    "cnameonly": Said("@ 50 CNAME other.test."),
    "cnamesoa": Said("@ 50 CNAME other.test.", LONG_SOA),
    "referral": Said(
        authority="sub.test. 70 NS ns.sub.test.", additional="ns.sub.test. 60 A 192.0.2.9"
    ),
    "authentic": Said("@ 300 A 192.0.2.1", flags=0x00A0),
    "aa": Said("@ 300 A 192.0.2.1", flags=0x0480),
    "other": Said("another.test. 300 A 192.0.2.1"),
    "formerr": Said(rcode="FORMERR"),
    "extra": Said("@ 300 A 192.0.2.1", additional="x.test. 20 A 192.0.2.2"),
}
BLOCKS = (
    "cache",
    "cache 30",
    "cache 30 z2.test",
    "cache 30 elsewhere.test",
    "cache {\n success 5000 100 20\n denial 5000 50 10\n }",
    "cache {\n servfail 0\n }",
    "cache {\n disable success\n }",
    "cache {\n disable denial z7.test\n }",
    "cache 40 {\n keepttl\n }",
    "cache {\n success 5000 100 0\n denial 5000 100 0\n }",
    "cache {\n prefetch 100 1m 10%\n }",
    "cache {\n serve_stale 1h immediate\n servfail 4s\n }",
    "forward",
)
LABELS = ("www", *(each for each in SCRIPT if each not in ("", "options")), "WWW-2")
AGE_S = (
    6  # seconds after which they are asked again: more than any reply holds that holds for 4 or 5
)


def corefile() -> str:
    found = []
    for number, lines in enumerate(BLOCKS):
        lines = "" if lines == "forward" else lines
        forward = "forward . @0 {\n max_fails 0\n }"
        found.append(f"z{number}.test {{\n bind 127.0.0.1\n {lines}\n {forward}\n}}\n")
    return "".join(found)


def questions(number: int) -> list[Question]:
    """Those for one of the blocks."""
    kinds = {"srv": 33, "mixed": 15, "naptr": 35, "txt": 16}
    found = [Question(f"{label}.z{number}.test.", kinds.get(label, 1)) for label in LABELS]
    for label in ("www", "nx", "authentic"):
        name = f"{label}.z{number}.test."
        found += [Question(name, 1, flags=flags) for flags in (0x0110, 0x0120, 0)]
        found += [Question(name, 1, edns=Edns(1400, do)) for do in (0, 0x8000)]
        found += [Question(name, 1, tcp=True), Question(name, 28)]
    return found


def cached(question: Question) -> bool:
    """Whether the name is in a zone of the block's `cache`."""
    return ".z3.test." not in question.name and f".z{len(BLOCKS) - 1}.test." not in question.name


def lowest(side: Side) -> Rule:
    """D10: a denial holds for the SOA record's minimum, if that is lower.

    side: CoreDNS, so that the reply that it has kept is as old here.
    """

    def rule(question: Question, raw: Answer) -> Answer:
        soas = [r for r in raw.authority if r.type == "SOA"]
        if raw.answer or not soas or not cached(question):
            return raw
        is_kept = ".z7." not in question.name
        most = int(soas[0].data.rpartition(" ")[2]) - side.ages[question][0].least * is_kept
        lowered = tuple(r._replace(ttl=min(r.ttl, most)) for r in raw.authority)
        return replace(raw, authority=lowered)

    return rule


def kept_apart(question: Question) -> bool:
    """Whether the answer is not kept, so that AA is the upstream's."""
    return question.name == "aa.z6.test." or not cached(question)


def authority(question: Question, raw: Answer) -> Answer:
    """D9: of what is not kept, AA is the upstream's."""
    return raw if kept_apart(question) else not_authoritative(question, raw)


def asked_for_ad(question: Question, raw: Answer) -> Answer:
    """D48: AD only for those who ask for it."""
    asks = question.flags & 0x0020 or (question.edns and question.edns.flags & 0x8000)
    return raw if asks else replace(raw, bits=raw.bits - {"AD"})


EXPECTED: Rules = {
    "D39": asked_for_opt,
    "D5": passed_opt,
    "D11": as_asked,
    "D33": recursive,
    "D9": authority,
    "D48": asked_for_ad,
}


def by_key(seen: Seen) -> Seen:
    """As far as it decides what is kept apart: of questions asked at once the first one goes"
    " out."""
    flags = " ".join(flag for flag in seen.flags.split() if flag in ("AD", "CD"))
    do = Opt(0, 0, seen.opt.flags & 0x8000) if seen.opt and seen.opt.flags & 0x8000 else None
    is_kept = ".z3." not in seen.name and ".z12." not in seen.name
    return seen._replace(flags=flags if is_kept else "", opt=do, transport="")


async def test_first_and_again(tmp_path: Path, met: Counter[str]) -> None:
    """The same answers the first time, from the cache, and some seconds later; and the same
    questions for upstreams, so that as much is kept."""
    blocks = [questions(number) for number in range(len(BLOCKS))]
    async with sides(corefile(), tmp_path, [SCRIPT]) as pair:

        async def asked(questions: list[Question]) -> None:
            for side in pair:
                side.upstreams[0].seen.clear()
            await compare(pair, questions, {**EXPECTED, "D10": lowest(pair[0])}, met)
            same_questions(pair, by_key)

        for block in blocks:  # so few that no machine takes seconds
            await asked(block)
            await asked(block)
        await asyncio.sleep(AGE_S)
        await asked([question for block in blocks for question in block])
