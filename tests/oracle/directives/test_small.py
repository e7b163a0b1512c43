"""Directives with few options under CoreDNS and clusterdns, each in blocks of their own."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.oracle.answers import Answer
from tests.oracle.asking import Edns, Question
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import (
    OUR_SIZE,
    Rules,
    as_asked,
    asked_for_opt,
    compare,
    own_opt,
    passed_opt,
    recursive,
    same_questions,
    sides,
)
from tests.oracle.upstreams import Seen

pytestmark = needs_coredns

COOKIE = 10
NSID = bytes.fromhex("00030000")
EDNS = (
    Edns(1400),
    Edns(4096, 0x8000, options=NSID),
    Edns(512, options=NSID),
    Edns(0),
    Edns(65535, 0x8000),
    Edns(1232, options=bytes.fromhex("000a00080102030405060708")),
)
TYPES = (1, 28, 12, 15, 16, 33, 6, 2, 255, 5)
LABELS = (
    "www",
    "nx",
    "nodata",
    "empty",
    "fail",
    "refused",
    "chain",
    "srv",
    "mixed",
    "options",
    "A",
)
FORWARD = "forward . @0"

BLOCKS: dict[str, tuple[str, ...]] = {
    "any": ("any", FORWARD),
    "minimal": ("minimal", FORWARD),
    "minimal any": ("minimal", "any", "whoami"),
    "whoami": ("whoami",),
    "bufsize": ("bufsize", FORWARD),
    "bufsize small": ("bufsize 600", FORWARD),
    "chaos": ("chaos", FORWARD),
    "chaos words": ('chaos "A Name 1.0" "Some Body" Another', FORWARD),
    "header": ("header {\n response set aa\n response clear ra rd\n }", FORWARD),
    "header query": ("header {\n query set rd aa\n query clear ra\n }", FORWARD),
    "header both": ("header {\n query clear rd\n response set rd ra aa\n }", FORWARD),
    "header twice": (
        "header {\n response set aa\n }\n header {\n response clear ra\n }",
        FORWARD,
    ),
    "header of whoami": ("header {\n response set ra\n response clear aa\n }", "whoami"),
    "local": ("local", FORWARD),
    "local off": ("local {\n localhost_prefix off\n }", FORWARD),
    "nsid": ("nsid me and you", FORWARD),
    "nsid of whoami": ("nsid here", "whoami"),
    "nsid minimal": ("nsid here", "minimal", FORWARD),
    "acl block": ("acl {\n block type A net 127.0.0.0/8\n filter type AAAA\n }", FORWARD),
    "acl allow": ("acl {\n allow type TXT net 127.0.0.1\n block\n }", "whoami"),
    "acl zone": ("acl a.@z www.@z {\n block net *\n }\n acl {\n filter type MX SRV\n }", FORWARD),
    "acl other": (
        "acl {\n block net 10.0.0.0/8 fd00::/8\n filter type ANY net 127.0.0.1\n }",
        FORWARD,
    ),
    "acl drop": ("acl {\n drop type NS\n allow\n }", "whoami"),
    "acl empty": ("acl", "whoami"),
    "dns64": ("dns64 {\n allow_ipv4\n }", FORWARD),
    "dns64 off": ("dns64", FORWARD),
    "dns64 all": (
        "dns64 {\n prefix 2001:db8:1::/48\n translate_all\n allow_ipv4\n }",
        FORWARD,
    ),
    "dns64 long": ("dns64 {\n prefix 2001:db8:0:7::/64\n allow_ipv4\n }", FORWARD),
    "loadbalance": ("loadbalance", FORWARD),
    "loadbalance prefer": ("loadbalance {\n prefer 192.0.2.7/32 10.0.0.0/8\n }", FORWARD),
    "nothing": ("errors",),
    "cancel": ("cancel 500ms", FORWARD),
    "metadata": ("metadata", "log", FORWARD),
    "root": ("root /tmp", "whoami"),
    "debug": ("debug", "whoami"),
    "template": (
        "header {\n response set ra\n }",
        "template IN ANY {\n rcode NXDOMAIN\n ederror 4\n }",
    ),
}
ROOT = "local\n chaos Version-1 Authors\n minimal\n forward . @0"


def corefile() -> str:
    blocks = []
    for number, lines in enumerate(BLOCKS.values()):
        body = "\n ".join(lines).replace("@z", f"z{number}.test")
        blocks.append(f"z{number}.test {{\n bind 127.0.0.1\n {body}\n}}\n")
    blocks.append(f". {{\n bind 127.0.0.1\n {ROOT}\n}}\n")
    return "".join(blocks)


def questions() -> list[Question]:
    found = []
    for number, kind in enumerate(BLOCKS):
        zone = f"z{number}.test."
        names = [f"{label}.{zone}" for label in LABELS] + [zone]
        names += [f"{each}.{zone}" for each in ("localhost", "a", "x.localhost", "v6", "both")]
        found += [Question(name, qtype) for name in names for qtype in TYPES]
        for label in ("www", "nx", "fail", "options", "v6", "zero"):
            name = f"{label}.{zone}"
            found += [Question(name, 1, edns=edns) for edns in EDNS]
            found += [Question(name, 28, edns=edns, tcp=True) for edns in EDNS[:2]]
            flags = (0, 0x0110, 0x0120, 0x0490, 0x07B0)
            found += [Question(name, 1, flags=each) for each in flags]
        found.append(Question(f"www.{zone}", 255, tcp=True, edns=EDNS[1]))
        if "chaos" in kind:
            found += [Question(f"www.{zone}", 16, qclass=3)]
    local = [
        "localhost.",
        "LocalHost.",
        "a.localhost.",
        "1.0.0.127.in-addr.arpa.",
        "localhost.a.b.",
    ]
    local += ["127.in-addr.arpa.", "0.127.in-addr.arpa.", "0.0.127.in-addr.arpa.", "localhost.com."]
    local += [
        "2.0.0.127.in-addr.arpa.",
        "0.in-addr.arpa.",
        "1.0.in-addr.arpa.",
        "255.in-addr.arpa.",
    ]
    local += [
        "255.255.255.255.in-addr.arpa.",
        "0.0.0.0.in-addr.arpa.",
        "x.a.localhost.",
        "localhosts.",
    ]
    found += [Question(name, qtype) for name in local for qtype in (*TYPES, 65, 13)]
    found += [Question(name, 1, tcp=True, edns=EDNS[1]) for name in local]
    for name in (
        "version.bind.",
        "version.server.",
        "authors.bind.",
        "hostname.bind.",
        "id.server.",
    ):
        for qtype in (16, 1, 255):
            found += [Question(name, qtype, qclass=qclass) for qclass in (1, 3, 4, 255)]
        found.append(Question(name.upper(), 16, qclass=3))
        found.append(Question(name, 16, qclass=3, edns=EDNS[0]))
    return list(dict.fromkeys(found))


SCRIPT = dict(ANSWERS) | {
    "v6 AAAA": ANSWERS["nodata"],
    "both AAAA": ANSWERS["nodata"],
}


def lines_of(question: Question) -> str:
    """The server block that answers."""
    label = question.name.lower().removesuffix(".test.").rpartition(".")[2]
    if label[1:].isdigit() and label[0] == "z":
        return "\n".join(list(BLOCKS.values())[int(label[1:])])
    return ROOT


def opt(question: Question, raw: Answer) -> Answer:
    """D5: the size of `bufsize`, else ours; the options that an upstream or `nsid` gave."""
    if raw.opt is None:
        return raw
    lines = lines_of(question)
    given = 3 if lines.startswith("nsid") else 0
    from_upstream = question.name.startswith("options.") and FORWARD in lines
    from_upstream &= "minimal" not in lines
    expected = (passed_opt if from_upstream else own_opt)(question, raw)
    assert expected.opt is not None
    options = [o for o in raw.opt.options if o[0] == given or o in expected.opt.options]
    size = 600 if "bufsize 600" in lines else OUR_SIZE
    return replace(expected, opt=expected.opt._replace(size=size, options=tuple(sorted(options))))


def copied(question: Question, raw: Answer) -> Answer:
    """D44: DO is that of the query."""
    if raw.opt is None or not lines_of(question).startswith("nsid") or question.edns is None:
        return raw
    return replace(raw, opt=raw.opt._replace(flags=question.edns.flags & 0x8000))


def failing(question: Question, raw: Answer) -> Answer:
    """D43: a failure stays one."""
    is_hidden = lines_of(question).startswith("dns64 {") and question.qtype == 28
    rcodes = {"fail": "SERVFAIL", "refused": "REFUSED"}
    rcode = rcodes.get(question.name.partition(".")[0])
    return replace(raw, rcode=rcode) if is_hidden and rcode else raw


def sorted_options(question: Question, answer: Answer) -> Answer:
    """Their order means nothing."""
    if answer.opt is None:
        return answer
    return replace(answer, opt=answer.opt._replace(options=tuple(sorted(answer.opt.options))))


def available(question: Question, raw: Answer) -> Answer:
    """D33: unless `header` says otherwise."""
    lines = lines_of(question)
    is_forwarding = FORWARD in lines and "clear ra" not in lines
    return recursive(question, raw) if is_forwarding else raw


EXPECTED: Rules = {
    "D39": asked_for_opt,
    "D5": opt,
    "D11": as_asked,
    "D33": available,
    "D43": failing,
    "D44": copied,
}


def without_cookie(seen: Seen) -> Seen:
    """D41: a cookie is between a client and the server that it asks (RFC 7873)."""
    if seen.opt is None:
        return seen
    options = tuple(option for option in seen.opt.options if option[0] != COOKIE)
    return seen._replace(opt=seen.opt._replace(options=options))


async def test_blocks(tmp_path: Path, met: Counter[str]) -> None:
    """Every directive, whatever is behind it."""
    async with sides(corefile(), tmp_path, [SCRIPT]) as pair:
        await compare(pair, questions(), EXPECTED, met, ours_as=sorted_options)
        same_questions(pair, without_cookie)
