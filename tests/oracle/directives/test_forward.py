"""`forward` under CoreDNS and clusterdns: which upstream is asked what, and what becomes of it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.oracle.answers import Answer
from tests.oracle.asking import Edns, Question
from tests.oracle.comparing import answers
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import (
    Rules,
    as_asked,
    asked_for_opt,
    compare,
    passed_opt,
    recursive,
    same_questions,
    sides,
)
from tests.oracle.upstreams import Said, Seen

pytestmark = needs_coredns

MANY = "\n".join(f"@ 300 A 10.0.{n // 250}.{n % 250}" for n in range(400))


def flipped(octets: bytes) -> list[bytes]:
    """Another id first, then the reply."""
    return [bytes([octets[0] ^ 0xFF]) + octets[1:], octets]


def misled(octets: bytes) -> list[bytes]:
    """The reply to another question first."""
    return [octets[:13] + b"x" + octets[14:], octets]


FIRST = dict(ANSWERS) | {
    "first": Said("@ 300 A 192.0.2.101"),
    "cut": Said("@ 300 A 192.0.2.1", flags=0x0280),
    "cutempty": Said(flags=0x0280),
    "big": Said(MANY),
    "formerr": Said(rcode="FORMERR"),
    "notauth": Said(rcode="NOTAUTH"),
    "yx": Said(rcode="YXDOMAIN"),
    "otherid": Said("@ 300 A 192.0.2.2", mangle=flipped),
    "short": Said("@ 300 A 192.0.2.3", mangle=lambda octets: [octets[:7], octets]),
    "twice": Said("@ 300 A 192.0.2.4", mangle=lambda octets: [octets, octets]),
    "trailing": Said("@ 300 A 192.0.2.5", mangle=lambda octets: [octets + b"junk"]),
    "bits": Said("@ 300 A 192.0.2.6", flags=0x0000),
    "allbits": Said("@ 300 A 192.0.2.7", flags=0x04A0),
    "misled": Said("@ 300 A 192.0.2.10", mangle=misled),
    "slow": Said("@ 300 A 192.0.2.8", after_s=0.3),
    "opt": Said("@ 300 A 192.0.2.9", edns=b""),
}
SECOND = {"": Said("@ 300 A 192.0.2.102"), "both": Said(rcode="SERVFAIL")}
BLOCKS = (
    "forward . @0",
    "forward . @0 {\n force_tcp\n }",
    "forward . @0 {\n prefer_udp\n }",
    "forward . @0 @1 {\n policy sequential\n }",
    "forward . @0 @1 {\n policy sequential\n failover SERVFAIL REFUSED\n }",
    "forward . @0 @1 {\n policy sequential\n failover NXDOMAIN NOTIMP\n }",
    "forward . @0 {\n except www.@z x.srv.@z\n }\n forward . @1",
    "forward www.@z @1\n forward . @0",
    "forward . @0 {\n next NXDOMAIN SERVFAIL\n }\n forward . @1",
    "forward . @0 {\n next_on_nodata\n }\n forward . @1",
    "forward elsewhere.test @0",
    "forward . @0 {\n except @z\n }",
    "forward . 127.0.0.1:1 @1 {\n policy sequential\n }",
    "forward . 127.0.0.1:1 {\n max_connect_attempts 1\n }",
    "bufsize 700\n forward . @0",
)
LABELS = (
    "www",
    *(each for each in FIRST if each not in ("", "options", "misled")),
    "x.www",
    "both",
    "x.srv",
)


def corefile() -> str:
    return "".join(
        f"z{number}.test {{\n bind 127.0.0.1\n {lines.replace('@z', f'z{number}.test')}\n}}\n"
        for number, lines in enumerate(BLOCKS)
    )


def questions() -> list[Question]:
    found = []
    for number in range(len(BLOCKS)):
        for label in LABELS:
            name = f"{label}.z{number}.test."
            if label == "short" and number == 1:  # 7 octets end a TCP connection there
                continue
            if label == "big" and "next_on_nodata" in BLOCKS[number]:
                continue  # D49: nothing but TC, and so the next one is asked there
            found.append(Question(name, 1))
            found += [Question(name, 1, tcp=True)] * (label != "short")
        for label in ("www", "opt", "nx", *["big"] * ("next_on_nodata" not in BLOCKS[number])):
            name = f"{label}.z{number}.test."
            found += [
                Question(name, 1, edns=Edns(size, do)) for size in (512, 4096) for do in (0, 0x8000)
            ]
            subnet = bytes.fromhex("0008000700011800c00002")
            found.append(Question(name, 1, edns=Edns(1232, options=subnet)))
            found += [Question(name, 1, flags=flags) for flags in (0, 0x0110, 0x0120, 0x0140)]
            found += [Question(name, 1, qclass=3), Question(name, 65400), Question(name, 255)]
        found.append(Question(f"WwW.z{number}.TEST.", 28))
    return found


def asked_for_ad(question: Question, raw: Answer) -> Answer:
    """D48: AD only for those who ask for it."""
    asks = question.flags & 0x0020 or (question.edns and question.edns.flags & 0x8000)
    return raw if asks else replace(raw, bits=raw.bits - {"AD"})


def available(question: Question, raw: Answer) -> Answer:
    """D33: for what the server says itself; else the upstream's word counts."""
    own = raw.rcode in ("SERVFAIL", "REFUSED") and not raw.answer
    return recursive(question, raw) if own else raw


def cut(question: Question, answer: Answer) -> Answer:
    """D49: how much of a reply that is too long there is beside TC."""
    return replace(answer, answer=()) if "TC" in answer.bits else answer


def opt(question: Question, raw: Answer) -> Answer:
    """D5: the size of `bufsize`, else ours."""
    found = passed_opt(question, raw)
    if found.opt is None or ".z14." not in question.name:
        return found
    return replace(found, opt=found.opt._replace(size=700))


EXPECTED: Rules = {
    "D49": cut,
    "D39": asked_for_opt,
    "D5": opt,
    "D11": as_asked,
    "D33": available,
    "D48": asked_for_ad,
}


def seen_as(seen: Seen) -> Seen:
    """Without RD: of questions asked at once the first one goes out. A reply that is too long is
    asked for again by TCP in CoreDNS, and cut then (D49)."""
    if seen.name.startswith("big.z2."):
        return seen._replace(flags="", opt=None, transport="", qtype="", qclass=0)
    return seen._replace(flags="", opt=seen.opt and seen.opt._replace(size=0))


async def test_upstreams(tmp_path: Path, met: Counter[str]) -> None:
    """The same answers, and each upstream is asked the same."""
    async with sides(corefile(), tmp_path, [FIRST, SECOND]) as pair:
        await compare(pair, questions(), EXPECTED, met, ours_as=cut)
        same_questions(pair, seen_as)


async def test_the_reply_to_another_question(tmp_path: Path, met: Counter[str]) -> None:
    """D31: FORMERR in CoreDNS, here the right one is waited for."""
    question = Question("misled.z0.test.", 1)
    async with sides(corefile(), tmp_path, [FIRST, SECOND]) as pair:
        (theirs, _), (ours, _) = [await answers(side.port, [question]) for side in pair]
    raw, answer = theirs[question], ours[question]
    assert raw is not None
    assert answer is not None
    assert (raw.rcode, answer.rcode) == ("FORMERR", "NOERROR")
    assert [record.data for record in answer.answer] == ["192.0.2.10"]
    met["D31"] += 1
