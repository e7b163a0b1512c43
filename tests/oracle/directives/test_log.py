"""Lines of `log` and `errors` of CoreDNS and clusterdns, after the same queries."""

import re
from collections import Counter
from pathlib import Path

from tests.oracle.asking import Edns, Question
from tests.oracle.comparing import answers
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import Side, sides

pytestmark = needs_coredns

ALL = (
    "{type} {name} {class} {proto} {size} {>bufsize} {>do} {>id} {>opcode} {rcode} {>rflags}"
    " {rsize}"
    " {remote} {local} {common} {combined} {nonsense} {/forward/upstream} {port} {duration} {>qr}"
)
BLOCKS = (
    "log\n whoami",
    "log . {combined}\n forward . @0",
    f'log . "{ALL}"\n whoami',
    "log a.@z www.@z\n forward . @0",
    'log a.@z "{name} a"\n log b.@z "{name} b"\n log @z "{name} rest"\n whoami',
    'log "{common}"\n whoami',
    "log . {\n class denial\n }\n forward . @0",
    "log . {\n class error\n }\n forward . @0",
    "log . {\n class success error\n }\n forward . @0",
    "log . {common} {\n class success\n }\n forward . @0",
    'metadata\n log . "{/forward/upstream} {/log/class} {/log/type} {/view/name} {name}"\n'
    " forward . @0",
    "log\n errors\n hosts absent @z {\n 192.0.2.1 www.@z\n }",
    "errors\n forward . 127.0.0.1:1",
    "errors\n log\n forward . 127.0.0.1:1 {\n max_connect_attempts 1\n }",
    'errors\n template IN A {\n answer "{{ .Name }} A x"\n }',
    'errors\n template IN A {\n answer "{{ index .Match 3 }} A x"\n }',
    "errors",
    "errors\n rewrite rcode regex .* SERVFAIL NXDOMAIN\n forward . 127.0.0.1:1",
    "errors\n rewrite name suffix .@z .x..y\n whoami",
    "log\n acl {\n block type A\n filter type TXT\n drop type MX\n }\n whoami",
    "log\n rewrite name suffix .@z .other.test answer auto\n forward . @0",
    "log\n any\n minimal\n loadbalance\n cache\n forward . @0",
)
LABELS = ("www", "a", "WWW", "b", "nx", "nodata", "fail", "refused", "empty", "srv", "zero")
MORE = ("odd\\032octet", "x\\.y", "caf\\195\\169", "a\\\\b", "under_score")


def corefile() -> str:
    found = []
    for number, lines in enumerate(BLOCKS):
        zone = f"z{number}.test"
        found.append(f"{zone} {{\n bind 127.0.0.1\n {lines.replace('@z', zone)}\n}}\n")
    return "".join(found)


def questions() -> list[Question]:
    found = []
    for number in range(len(BLOCKS)):
        for label in (*LABELS, *MORE):
            name = f"{label}.z{number}.test."
            found += [Question(name, 1), Question(name, 16, tcp=True), Question(name, 15)]
        name = f"www.z{number}.test."
        found += [Question(name, qtype) for qtype in (28, 65, 255, 65400, 0, 252)]
        found += [
            Question(name, 1, edns=Edns(size, do)) for size in (400, 4096) for do in (0, 0x8000)
        ]
        found += [Question(name, 1, flags=flags) for flags in (0, 0x0110, 0x0120, 0x0160)]
    return found


FILTERS = (
    # texts of the system and of Go's text/template, which each server has its own of
    (re.compile(r"(dns: bad |template: answer|template answer at ).*"), "TEXT"),
    (re.compile(r"(read udp .*: )(read|write)(: )"), r"\1TRIED\3"),
    (re.compile(r"write udp (.*: )write(: )"), r"read udp \1TRIED\2"),
    (re.compile(r"[0-9.]+(e-[0-9]+)?s\b"), "DURATION"),
    (re.compile(r"127\.0\.0\.1:[0-9]+"), "127.0.0.1:PORT"),
    (re.compile(r" - [0-9]+ "), " - ID "),
)
# D9 and D33: AA and RA; a query's size after `rewrite`: told as the client sent it
MEANT = (
    (re.compile(r"(\.z21\.test\. .*) qr,(aa,)?(rd,?)?(ra)? "), r"\1 FLAGS "),
    (re.compile(r"(\.z20\.test\. (udp|tcp)) [0-9]+ "), r"\1 SIZE "),
)


def lines(side: Side) -> Counter[str]:
    """What it logged of queries and errors, without what is its own: ports, ids, durations."""
    found: Counter[str] = Counter()
    for line in side.log():
        if not re.match(r"\[(INFO|ERROR)\] (127|\S+ IN |\S+\.test|plugin/errors|- |[A-Z])", line):
            continue
        for pattern, text in (*FILTERS, *MEANT):
            line = pattern.sub(text, line)
        found[line] += 1
    return found


async def test_lines(tmp_path: Path, met: Counter[str]) -> None:
    """The same lines, as often."""
    asked = questions()
    async with sides(corefile(), tmp_path, [ANSWERS]) as pair:
        for side in pair:
            await answers(side.port, asked)
    theirs, ours = map(lines, pair)
    met["questions"] += len(asked)
    problem = [f"CoreDNS: {n} x {line}" for line, n in sorted((theirs - ours).items())]
    problem += [f"ours:    {n} x {line}" for line, n in sorted((ours - theirs).items())]
    assert not problem, f"{len(problem)}:\n" + "\n".join(problem[:60])


KEPT = """. {
 bind 127.0.0.1
 metadata
 log . "{name} {/forward/upstream} {/zone/wildcard} {/log/type}"
 cache
 file @/db w.test
 forward . @0
}
"""


async def test_labels_of_what_is_kept(tmp_path: Path, met: Counter[str]) -> None:
    """No upstream replied to what `cache` answers; a wildcard stands in for every name."""
    (tmp_path / "db").write_text("$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n*.a A 192.0.2.1\n")
    names = ("www.test.", "nx.test.", "fail.test.", "x.a.w.test.", "no.w.test.")
    asked = [Question(name, 1, edns=edns) for name in names for edns in (None, Edns(), None)]
    async with sides(KEPT.replace("@/", f"{tmp_path}/"), tmp_path, [ANSWERS]) as pair:
        for side in pair:
            for question in asked:
                await answers(side.port, [question])
    theirs, ours = map(lines, pair)
    met["questions"] += len(asked)
    assert theirs == ours
    upstream = re.compile("127.0.0.1:PORT").search
    told = [line for line in theirs.elements() if upstream(line)]
    assert len(told) < theirs.total() == len(asked)
