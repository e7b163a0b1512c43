"""`rewrite` under CoreDNS and clusterdns: every field and way to match, and what upstreams see."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import dns.rdataclass
import dns.rdatatype

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
    in_lower_case,
    own_opt,
    passed_opt,
    recursive,
    same_questions,
    sides,
)
from tests.oracle.upstreams import Seen

pytestmark = needs_coredns

LABELS = tuple(label or "www" for label in ANSWERS if label != "options")
TYPES = {"srv": 33, "mixed": 15, "naptr": 35, "txt": 16}

# rules of a server block for the zone of its number: Z
RULES: tuple[str, ...] = (
    "name exact www.Z other.example.org",
    "name chain.Z Chain.Example.ORG",
    "name exact srv.Z srv.up.example.\n"
    "name exact mixed.Z mixed.up.example\n"
    "name exact naptr.Z naptr.up",
    "name exact below.Z below.z.y.x",
    "name prefix www.Z other.",
    "name prefix ww other",
    "name prefix chain. chain.z.",
    "name suffix .Z .up.example",
    "name suffix Z up.example. answer auto",
    "name suffix .Z .up.example answer auto",
    "name suffix in.Z out.z. answer auto",
    "name substring Z up.example",
    "name substring .Z .up.example answer auto",
    "name substring test org",
    "name regex (.*)[.]Z {1}.up.example",
    "name regex (.*)[.]Z {1}.up.example answer auto",
    "name regex ^([a-z]+)[.](.*)$ {2}.{1}.Up",
    "name regex (.*)[.]Z {1}.up.example answer name (.*)[.]up[.]example {1}.Z",
    "name regex (.*)[.]Z {1}.up.example answer name (.*)[.]up[.]example {1}.Z"
    " answer value (.*)[.]up[.]example {1}.Z",
    "name regex (.*)[.]Z {1}.up.example answer name nothing z value (.*)[.]up.* v.{1}",
    "name regex (.*)[.]Z {1}.up answer value (.*)[.]test T.{1}.Z",
    "stop {\n"
    " name regex (.*)[.]Z {1}.up\n"
    " answer name (.*)[.]up {1}.Z\n"
    " answer value test[.]$ x.y\n"
    " }",
    "continue name suffix .Z .one.example answer auto\n"
    "name suffix .one.example .two.example answer auto",
    "continue name exact www.Z txt.Z\ncontinue type A TXT\nname exact txt.Z txt.two.example",
    "continue name regex (.*)[.]Z {1}.q.example\n"
    "continue ttl regex .*[.]Z 77\n"
    "ttl suffix q.example. 11",
    "type A AAAA\ntype AAAA A",
    "continue type A TXT\ntype TXT MX",
    "type ANY HINFO",
    "type A A",
    "class IN CH",
    "class CH IN",
    "ttl exact www.Z 5",
    "ttl suffix .Z 30-60",
    "ttl regex .* -100",
    "ttl prefix zero 50-",
    "ttl substring Z 0",
    "ttl www.Z 4294967295",
    "continue ttl suffix .Z 100-\nttl suffix .Z -10",
    "rcode exact nx.Z NXDOMAIN NOERROR",
    "rcode suffix .Z NXDOMAIN SERVFAIL",
    "rcode regex .* SERVFAIL NXDOMAIN",
    "rcode prefix refused 5 0",
    "rcode substring Z NOERROR REFUSED",
    "rcode nodata.Z 0 3",
    "continue rcode suffix .Z SERVFAIL NXDOMAIN\nrcode suffix .Z NXDOMAIN NOTIMP",
    "cname exact end.test. www.elsewhere.Z.",
    "cname Mid.Chain.test nx.elsewhere.Z",
    "cname prefix mid txt",
    "cname suffix .chain.test. .up.example.",
    "cname suffix .test .nowhere.invalid",
    "cname substring chain srv",
    "cname regex (.*)[.]chain[.]test[.] chain.{1}.nodata.example.",
    "cname exact mid.chain.test fail.elsewhere.org",
    "cname exact mid.chain.test refused.elsewhere.org",
    "cname exact mid.chain.test empty.elsewhere.org",
    "cname exact below.below.Z www.Z",
    "continue cname exact mid.chain.test www.Z\nttl suffix .Z 9",
    "name exact www.Z a..b",
    "name regex ^www(.*) {1}.x",
    "continue name suffix .Z .up answer auto\nrcode suffix .up NXDOMAIN NOERROR",
    "edns0 local set 0xffee 0x61626364",
    "edns0 local set 65518 abcd revert",
    "edns0 local append 0xffee abcd",
    "edns0 local append 0xffee abcd revert",
    "edns0 local replace 0xffee {qname}",
    "edns0 local replace 0xffee wxyz revert",
    "edns0 local set 0xffed {qname}\nedns0 local set 0xffee {qtype}",
    "continue edns0 local set 0xffed {qtype}\nedns0 local set 0xffee {client_ip}",
    "continue edns0 local set 0xffee {protocol}\n"
    "continue edns0 local append 0xffee {server_ip}\n"
    "name suffix .Z .up answer auto",
    "edns0 local unset 0xffee",
    "edns0 nsid set",
    "edns0 nsid append",
    "edns0 nsid replace revert",
    "edns0 nsid set revert",
    "edns0 nsid unset",
    "edns0 subnet set 24 56",
    "edns0 subnet append 0 0",
    "edns0 subnet replace 32 128 revert",
    "edns0 subnet set 13 13 revert",
    "edns0 subnet unset",
)
OPTIONS = (
    None,
    Edns(1232),
    Edns(1400, 0x8000, options=bytes.fromhex("ffee000477787978")),
    Edns(4096, options=bytes.fromhex("00030000 ffee0001aa ffee0001bb")),
    Edns(512, options=bytes.fromhex("0008000700011800c00002")),
)


def folded(question: Question, raw: Answer) -> Answer:
    """D11: names that are turned back are spelled as asked, as far as they are that name."""
    return in_lower_case(question, raw) if question.name != question.name.lower() else raw


def opt(question: Question, raw: Answer) -> Answer:
    """D5: the options that upstreams send, and no others."""
    rule = passed_opt if question.name.startswith("options.") else own_opt
    return rule(question, raw)


def available(question: Question, raw: Answer) -> Answer:
    """D33, where the server made the reply itself."""
    return recursive(question, raw) if raw.rcode == "SERVFAIL" else raw


def restored(question: Question, raw: Answer) -> Answer:
    """D45: the question is the client's, even if the last rule that fits says `continue`."""
    kind = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(question.qtype))
    space = dns.rdataclass.to_text(dns.rdataclass.RdataClass.make(question.qclass))
    return replace(raw, question=f"{question.name} {space} {kind}")


EXPECTED: Rules = {
    "D45": restored,
    "D33": available,
    "D39": asked_for_opt,
    "D5": opt,
    "D11": as_asked,
    "D11 below": folded,
}


def zone(number: int) -> str:
    return f"z{number}.test"


def corefile() -> str:
    blocks = []
    for number, rules in enumerate(RULES):
        lines = "\n ".join(
            f"rewrite {line}" if not line.startswith(" ") else line
            for line in rules.replace("Z", zone(number)).splitlines()
        )
        blocks.append(f"{zone(number)} {{\n bind 127.0.0.1\n errors\n {lines}\n forward . @0\n}}\n")
    return "".join(blocks) + ". {\n bind 127.0.0.1\n forward . @0\n}\n"


def questions(dice: Random) -> list[Question]:
    found = []
    for number, rules in enumerate(RULES):
        labels = [*LABELS, "x.www", "x.chain", "WWW", "a.in", "in"]
        if "cname" in rules:  # whose letter case counts in CoreDNS: D40
            labels = [label for label in labels if label != "WWW"]
        for label in labels:
            name = f"{label}.{zone(number)}."
            qtype = TYPES.get(label, 1)
            found.append(Question(name, qtype))
            if "cname" not in rules:
                found.append(Question(name.upper(), qtype, tcp=True))
        found += [Question(f"{zone(number)}.", qtype) for qtype in (1, 16, 255)]
        if "edns0" in rules:
            for label in ("www", "options", "nx"):
                found += [Question(f"{label}.{zone(number)}.", 1, edns=e) for e in OPTIONS]
                found += [Question(f"{label}.{zone(number)}.", 1, tcp=True, edns=OPTIONS[2])]
        if "class" in rules:
            found.append(Question(f"www.{zone(number)}.", 1, qclass=3))
    return list(dict.fromkeys(found))


def made_opt(seen: Seen) -> Seen:
    """D5, D39: the OPT record that is made for an option tells our size, and there is none that
    has no option."""
    opt = seen.opt and seen.opt._replace(size=0)
    return seen._replace(opt=opt if opt and (opt.options or opt.flags) else None)


async def test_rules(tmp_path: Path, met: Counter[str]) -> None:
    """Every rule, by names that it fits and others; upstreams are asked the same."""
    async with sides(corefile(), tmp_path, [ANSWERS]) as pair:
        await compare(pair, questions(Random(3)), EXPECTED, met, ours_as=folded)
        same_questions(pair, made_opt)


async def test_letter_case_in_replies(tmp_path: Path, met: Counter[str]) -> None:
    """D40: a name in a reply is the same in whatever letter case."""
    zones = [number for number, rules in enumerate(RULES) if "cname" in rules]
    asked = [Question(f"{n}.{zone(z)}.", 1) for z in zones for n in ("chain", "below", "www")]
    async with sides(corefile(), tmp_path, [ANSWERS]) as (coredns, clusterdns):
        theirs, _ = await answers(coredns.port, asked)
        loud = [question._replace(name=question.name.upper()) for question in asked]
        ours, _ = await answers(clusterdns.port, loud)
    for question, upper in zip(asked, loud, strict=True):
        expected, answer = theirs[question], ours[upper]
        assert expected is not None
        assert answer is not None
        wanted = in_lower_case(question, replace(expected, question=""))
        found = in_lower_case(question, replace(answer, question=""))
        assert found.sections == wanted.sections, (question, answer, expected)
        assert found.rcode == wanted.rcode
    met["D40"] += len(asked)
