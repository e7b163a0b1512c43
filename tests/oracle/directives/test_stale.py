"""`serve_stale` beside CoreDNS: what is sent when the time of a reply is over, what is asked."""

import asyncio
import re
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

from tests.oracle.answers import Answer
from tests.oracle.asking import Edns, Question
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import (
    DO,
    EDE,
    Rules,
    Sides,
    as_asked,
    asked_of,
    asked_the_same,
    compare,
    not_authoritative,
    own_opt,
    recursive,
    sides,
)
from tests.oracle.upstreams import SILENT, Said, Script

pytestmark = needs_coredns

SOA = "test. {ttl} SOA ns.test. host.test. 7 7200 1800 86400 {ttl}"
LIMITS = "success 5000 100 0\n denial 5000 100 0\n servfail 4s"
BLOCKS = (
    f"cache {{\n {LIMITS}\n serve_stale\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 6s\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h immediate 30s\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h immediate 0s 1m\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h verify\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h verify 100ms\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h verify 0s 7s 1m\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h verify 100ms 7s 1m\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h\n keepttl\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h immediate 9s\n keepttl\n }}",
    f"cache {{\n {LIMITS}\n serve_stale\n serve_stale_policy prefer_positive\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h verify\n serve_stale_policy prefer_positive\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h verify 100ms\n serve_stale_policy prefer_positive\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h\n disable denial\n servfail 0\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 1h verify\n disable success\n servfail 0\n }}",
    f"cache {{\n {LIMITS}\n serve_stale 0s\n }}",
)
FORWARD = "forward . @0 {\n max_fails 0\n read_timeout 1s\n max_connect_attempts 1\n }"


def kinds(ttl: int) -> dict[str, Said]:
    """Replies of every sort, with records of this TTL."""
    soa = SOA.format(ttl=ttl)
    return {
        "a": Said(f"@ {ttl} A 192.0.2.{ttl}"),
        "nx": Said(rcode="NXDOMAIN", authority=soa),
        "nodata": Said(authority=soa),
        "empty": Said(),
        "chain": Said(f"@ {ttl} CNAME end.test.\nend.test. {ttl} A 192.0.2.{ttl}"),
        "chainless": Said(f"@ {ttl} CNAME end.test."),
        "chainnodata": Said(f"@ {ttl} CNAME end.test.", soa),
        "chainnx": Said(f"@ {ttl} CNAME end.test.", soa, rcode="NXDOMAIN"),
        "barenx": Said(rcode="NXDOMAIN"),
        "fail": Said(rcode="SERVFAIL"),
        "notimp": Said(rcode="NOTIMP"),
        "refused": Said(rcode="REFUSED"),
        "formerr": Said(rcode="FORMERR"),
        "zero": Said(f"@ 0 A 192.0.2.{ttl}"),
        "cut": Said(f"@ {ttl} A 192.0.2.{ttl}", flags=0x0280),
        "silent": SILENT,
        "slow": Said(f"@ {ttl} A 192.0.2.{ttl}", after_s=0.2),
        "slowfail": Said(rcode="SERVFAIL", after_s=0.2),
        "slownx": Said(rcode="NXDOMAIN", authority=soa, after_s=0.2),
    }


FIRST = ("a", "nx", "nodata", "fail")
SHORT_S, LONG_S, LAST_S = 4, 20, 30  # TTLs of what is replied first, then, last
# D50: what `verify` without a time makes of answers that come after denials.
MASKED = [
    number
    for number, lines in enumerate(BLOCKS)
    if re.search("verify( 0s.*)?$", lines, re.M) and "prefer" not in lines
]
ANSWERS = ("a", "chain", "slow", "empty", "zero")


def script(phase: int, ttl: int) -> Script:
    """What is replied to names like a+slow: `a` first, then `slow`, and then `a` again."""
    said = kinds(ttl)
    found = {"": said["a"]}
    return found | {
        f"{first}+{then}": said[(first, then)[phase]] for first, then in product(FIRST, said)
    }


def questions() -> list[Question]:
    found = []
    for number in range(len(BLOCKS)):
        for first, then in product(FIRST, kinds(0)):
            if not is_masked(number, first, then):
                found.append(Question(f"{first}+{then}.z{number}.test.", 1))
        for then in ("a", "fail", "nx"):
            found.append(Question(f"a+{then}-edns.z{number}.test.", 1, edns=Edns(1400)))
            found.append(Question(f"a+{then}.z{number}.test.", 1, edns=Edns(1400, DO)))
    return found


def is_masked(number: int, first: str, then: str) -> bool:
    """D50: whether CoreDNS keeps an answer where a denial hides it."""
    return number in MASKED and first in ("nx", "nodata") and then in ANSWERS


def corefile() -> str:
    return "".join(
        f"z{number}.test {{\n bind 127.0.0.1\n {lines}\n {FORWARD}\n}}\n"
        for number, lines in enumerate(BLOCKS)
    )


def plainly(question: Question, answer: Answer) -> Answer:
    """Without saying that it is stale (RFC 8914), which CoreDNS does not."""
    if answer.opt is None:
        return answer
    options = tuple(option for option in answer.opt.options if option[0] != EDE)
    return replace(answer, opt=answer.opt._replace(options=options))


EXPECTED: Rules = {
    "D5": own_opt,
    "D11": as_asked,
    "D33": recursive,
    "D9": not_authoritative,
}


def say(pair: Sides, phase: int, ttl: int) -> None:
    """Has the upstreams reply so from now on."""
    for side in pair:
        side.upstreams[0].script = script(phase, ttl)


# The pause before they are all asked, what is replied then, and its TTL
STEPS = (
    (0, 0, SHORT_S),  # every reply is new
    (SHORT_S, 1, LONG_S),  # its time is over
    (0, 1, LONG_S),  # what was asked for behind has come
    (6, 0, LAST_S),  # all is as it was, where it is looked for
    (0, 0, LAST_S),
)
SETTLE_S = 0.6  # until nothing is asked for behind any more


async def test_stale(tmp_path: Path, met: Counter[str]) -> None:
    """All that may be replied first and then, in every mode: what is sent, and what is asked."""
    async with sides(corefile(), tmp_path, [script(0, SHORT_S)]) as pair:
        for pause_s, phase, ttl in STEPS:
            await asyncio.sleep(pause_s)
            say(pair, phase, ttl)
            await compare(pair, questions(), EXPECTED, met, ours_as=plainly, at_once=True)
            await asyncio.sleep(SETTLE_S)
            asked_the_same(pair)


async def test_an_answer_after_a_stale_denial(tmp_path: Path, met: Counter[str]) -> None:
    """D50: it is kept here; CoreDNS asks for it with each query, and forgets it in a failure."""
    asked = [
        Question(f"{first}+{then}.z{number}.test.", 1)
        for number, first, then in product(MASKED, ("nx", "nodata"), ("a", "chain"))
    ]
    async with sides(corefile(), tmp_path, [script(0, SHORT_S)]) as pair:
        await compare(pair, asked, EXPECTED, met)
        await asyncio.sleep(SHORT_S + 0.2)
        say(pair, 1, LONG_S)
        await compare(pair, asked, EXPECTED, met)
        asked_the_same(pair)
        await compare(pair, asked, EXPECTED, met)
        assert [sum(asked_of(side).values()) for side in pair] == [len(asked), 0]
        for side in pair:
            side.upstreams[0].script = {"": Said(rcode="SERVFAIL")}
        (theirs, _), (ours, _) = [await side.answers(asked) for side in pair]
    for question in asked:
        raw, answer = theirs[question], ours[question]
        assert raw is not None
        assert answer is not None
        assert raw.answer == ()
        assert "192.0.2.20" in [record.data for record in answer.answer]
    met["D50"] += len(asked)
