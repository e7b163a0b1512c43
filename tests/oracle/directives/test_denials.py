"""What `cache` makes of odd denials and of more replies than it has room for, beside CoreDNS."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.metering import series
from tests.oracle.answers import Answer, Section
from tests.oracle.asking import Edns, Question
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import (
    Rule,
    Rules,
    Side,
    as_asked,
    asked_the_same,
    compare,
    not_authoritative,
    own_opt,
    recursive,
    sides,
)
from tests.oracle.upstreams import Said, Script

pytestmark = needs_coredns


def soa(ttl: int, least: int, owner: str = "test.") -> str:
    return f"{owner} {ttl} SOA ns.test. host.test. 7 7200 1800 86400 {least}"


# Authority of a denial
DENIALS = {
    "usual": soa(300, 300),
    "minimum0": soa(300, 0),
    "ttl0": soa(0, 300),
    "both0": soa(0, 0),
    "lower": soa(300, 40),
    "higher": soa(40, 300),
    "most": soa(2**31 - 1, 2**31 - 1),
    "negative": soa(2**31 + 60, 300),
    "allbits": soa(2**32 - 1, 2**32 - 1),
    "minimumall": soa(300, 2**32 - 1),
    "root": soa(300, 300, "."),
    "itself": soa(300, 300, "@"),
    "below": soa(300, 300, "x.@"),
    "foreign": soa(300, 300, "example.org."),
    "two": f"{soa(300, 300)}\n{soa(60, 300, 'x.test.')}",
    "twominima": f"{soa(300, 300)}\n{soa(200, 30, 'x.test.')}",
    "ns": f"test. 20 NS ns.test.\n{soa(300, 300)}",
    "nsonly": "test. 20 NS ns.test.",
    "a": "test. 20 A 192.0.2.1",
    "nothing": "",
}
OTHERS = {
    "inanswer": Said(soa(300, 300, "@")),
    "inanswernx": Said(soa(300, 300, "@"), rcode="NXDOMAIN"),
    "inadditional": Said(additional=soa(300, 300)),
    "inadditionalnx": Said(additional=soa(300, 300), rcode="NXDOMAIN"),
    "both": Said(soa(300, 300, "@"), soa(200, 20)),
    "glue": Said(authority=soa(300, 300), additional="ns.test. 10 A 192.0.2.1"),
    "failsoa": Said(authority=soa(300, 300), rcode="SERVFAIL"),
    "failanswer": Said("@ 300 A 192.0.2.1", rcode="SERVFAIL"),
    "refusedsoa": Said(authority=soa(300, 300), rcode="REFUSED"),
    "notimpsoa": Said(authority=soa(300, 300), rcode="NOTIMP"),
    "yxdomain": Said("@ 300 A 192.0.2.1", rcode="YXDOMAIN"),
    "nxcut": Said(authority=soa(300, 300), rcode="NXDOMAIN", flags=0x0280),
    "nxaa": Said(authority=soa(300, 300), rcode="NXDOMAIN", flags=0x0480),
    "bigttl": Said(f"@ {2**31 - 1} A 192.0.2.1"),
    "biggerttl": Said(f"@ {2**31 + 7} A 192.0.2.1"),
    "biggestttl": Said(f"@ {2**32 - 1} A 192.0.2.1\n@ 100 A 192.0.2.2"),
    "dname": Said("test. 300 DNAME example.org.\n@ 300 CNAME a.example.org.", soa(300, 300)),
    "othertype": Said("@ 300 TXT there"),
    "othertypesoa": Said("@ 300 TXT there", soa(300, 300)),
    "loop": Said("@ 300 CNAME b.test.\nb.test. 300 CNAME @", soa(300, 300)),
    "twoaliases": Said("@ 300 CNAME b.test.\n@ 300 CNAME c.test.\nb.test. 300 A 192.0.2.1"),
    "backwards": Said("b.test. 300 A 192.0.2.1\n@ 300 CNAME b.test."),
}
SCRIPT: Script = {
    "": Said("@ 300 A 192.0.2.1"),
    **{f"{label}+nx": Said(rcode="NXDOMAIN", authority=text) for label, text in DENIALS.items()},
    **{f"{label}+nodata": Said(authority=text) for label, text in DENIALS.items()},
    **OTHERS,
}
# Lines in `cache`; the least and the most seconds of a denial
BLOCKS = {
    "": (5, 1800),
    "denial 5000 100 0": (0, 100),
    "denial 5000 50 20": (20, 50),
    "success 5000 86400 7\n denial 5000 86400 7": (7, 86400),
    "denial 5000 10 60": (10, 10),
    "keepttl\n denial 5000 5000": (5, 5000),
}


def corefile() -> str:
    return "".join(
        f"z{number}.test {{\n bind 127.0.0.1\n cache {{\n {lines}\n }}\n"
        " forward . @0 {\n max_fails 0\n }\n}\n"
        for number, lines in enumerate(BLOCKS)
    )


def questions() -> list[Question]:
    names = [
        f"{label}.z{n}.test."
        for n, limits in enumerate(BLOCKS.values())
        for label in SCRIPT
        if label and (limits[0] or not label.startswith("minimum0"))  # D10: that is not kept
    ]
    return [Question(name, 1) for name in names] + [
        Question(name, 1, edns=Edns(1400, 0x8000)) for name in names[::3]
    ]


def lowest(side: Side) -> Rule:
    """D10: a denial holds for the SOA record's minimum, if that is lower.

    side: CoreDNS, so that the reply that it has kept is as old here.
    """

    def rule(question: Question, raw: Answer) -> Answer:
        minima = [int(each.data.split()[-1]) for each in raw.authority if each.type == "SOA"]
        if not minima or raw.rcode not in ("NOERROR", "NXDOMAIN") or "TC" in raw.bits:
            return raw
        number = int(question.name.split(".")[1][1:])
        lines, (least, most) = list(BLOCKS.items())[number]
        age = 0 if "keepttl" in lines else side.ages[question][0].least
        limit = min(max(min(minima), least), most) - age

        def lowered(section: Section) -> Section:
            return tuple(record._replace(ttl=min(record.ttl, limit)) for record in section)

        answer, authority, additional = map(lowered, raw.sections)
        return replace(raw, answer=answer, authority=authority, additional=additional)

    return rule


EXPECTED: Rules = {
    "D5": own_opt,
    "D11": as_asked,
    "D33": recursive,
    "D9": not_authoritative,
}


async def test_denials(tmp_path: Path, met: Counter[str]) -> None:
    """The same store, TTL and bits, first and then."""
    async with sides(corefile(), tmp_path, [SCRIPT]) as pair:
        for _ in range(2):
            expected = {**EXPECTED, "D10": lowest(pair[0])}
            await compare(pair, questions(), expected, met, at_once=True)
            await asyncio.sleep(0.1)
            asked_the_same(pair)


ROOM = 1024  # replies: CoreDNS's least


async def test_more_than_there_is_room_for(tmp_path: Path) -> None:
    """Both keep as many; which of them is up to each (CoreDNS: any)."""
    corefile = (
        "test {\n bind 127.0.0.1\n prometheus @page\n forward . @0\n"
        f" cache {{\n success 1 60\n denial {ROOM} 60\n }}\n}}\n"
    )
    script = {"": Said("@ 300 A 192.0.2.1"), "nx": Said(rcode="NXDOMAIN", authority=soa(60, 60))}
    asked = [Question(f"{label}-{n}.test.", 1) for label in ("a", "nx") for n in range(2 * ROOM)]
    async with sides(corefile, tmp_path, [script]) as pair:
        for side in pair:
            await side.answers(asked)
            families = await side.metrics()
            held = series(families, "coredns_cache_entries")
            gone = series(families, "coredns_cache_evictions_total")
            assert held.keys() == gone.keys()
            for labels, number in held.items():
                assert ROOM * 0.95 < number <= ROOM
                assert number + gone[labels] == 2 * ROOM
