"""`template` under CoreDNS and clusterdns: its texts, matches, expressions and sections."""

from collections import Counter
from pathlib import Path

from tests.oracle.asking import Edns, Question
from tests.oracle.comparing import answers
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import (
    USUAL,
    Rules,
    as_asked,
    compare,
    own_opt,
    recursive,
    same_questions,
    sides,
)

pytestmark = needs_coredns

# what follows `template`, in a block for the zone @z; those behind a blank line are another one
BLOCKS: tuple[str, ...] = (
    'IN A {\n answer "{{ .Name }} 60 IN A 192.0.2.1"\n}',
    'IN ANY {\n answer "{{ .Name }} {{ .Type }} {{ .Class }}"\n}',
    'ANY ANY {\n answer "{{ .Name }} 60 TXT \\"{{ .Type }} {{ .Class }} {{ .Zone }} {{ .Regex'
    ' }}\\""\n}',
    "IN A {\n match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]\n"
    ' answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"\n fallthrough\n}',
    "IN A {\n match ^ip-(?P<a>[0-9]+)-([0-9]+)[.]\n"
    ' answer "{{ .Name }} 60 IN A 10.0.{{ index .Match 1 }}.{{ index .Match 2 }}"\n}',
    'IN A a.@z b.@z {\n answer "{{ .Name }} 5 IN A 192.0.2.{{ len .Zone }}"\n}',
    'IN A {\n match ^a[.] ^b[.]\n answer "{{ .Name }} IN CNAME {{ .Zone }}"\n fallthrough b.@z\n}',
    'IN A {\n match ^a[.]\n match ^c[.]\n answer "{{ .Name }} IN TXT {{ .Regex }}"\n'
    " fallthrough\n}",
    "IN A {\n rcode NXDOMAIN\n"
    ' authority "{{ .Zone }} 60 IN SOA ns.{{ .Zone }} h.{{ .Zone }} (1 60 60 60 60)"\n}',
    "IN ANY {\n rcode NXDOMAIN\n}",
    "IN ANY {\n rcode SERVFAIL\n}",
    "IN ANY {\n rcode REFUSED\n}",
    'IN ANY {\n rcode NOERROR\n ederror 21 "Blocked by policy"\n}',
    "IN A {\n rcode NXDOMAIN\n ederror 15\n}",
    'IN ANY {\n answer "{{ .Name }} 60 IN A 192.0.2.1" "{{ .Name }} 60 IN A 192.0.2.2"\n'
    ' answer "{{ .Name }} 60 IN A 192.0.2.3"\n}',
    'IN SRV {\n answer "{{ .Name }} 60 IN SRV 1 2 80 t.{{ .Zone }}"\n'
    ' additional "t.{{ .Zone }} 60 IN A 192.0.2.9"\n authority "@z. 60 NS ns.@z."\n}',
    'IN A {\n match ^a[.]\n answer "{{ .Name }} 60 IN CNAME www.elsewhere.test."\n fallthrough\n}',
    'IN ANY {\n answer "{{ .Name }} 60 IN CNAME chain.elsewhere.test."\n}',
    'IN A {\n answer "{{ .Name }} 60 IN CNAME nx.elsewhere.test."\n}',
    'IN A {\n answer "{{ .Name }} 60 IN CNAME fail.elsewhere.test."\n}',
    'IN A {\n match ^self[.]\n answer "{{ .Name }} 60 IN CNAME ok.@z."\n fallthrough\n}\n\n'
    'IN A {\n match ^ok[.]\n answer "{{ .Name }} 60 IN A 192.0.2.4"\n}',
    'IN A {\n match ^a[.]\n answer "{{ .Name }} A 192.0.2.5"\n fallthrough\n}\n\n'
    'IN A {\n answer "{{ .Name }} A 192.0.2.6"\n}\n\nIN AAAA {\n rcode NXDOMAIN\n}',
    'IN TXT {\n answer "{{ .Name }} TXT \\"{{ .Question.Name }} {{ .Question.Qtype }} {{'
    ' .Question.Qclass }}\\""\n}',
    'IN TXT {\n answer "{{ .Name }} TXT \\"{{ .Message.Question }} {{ index .Message.Question 0 }}'
    " {{ print (index .Message.Question 0) }} {{ printf `%s %+v` .Question .Message.Question"
    ' }}\\""\n}',
    'IN TXT {\n answer "{{ .Name }} TXT \\"{{ .Message }}{{ .Message.MsgHdr }}\\""\n}',
    'IN TXT {\n answer "{{ .Name }} TXT \\"{{ . }}{{ range .Message.Extra }}{{ .Hdr }}{{ end'
    ' }}\\""\n}',
    'IN TXT {\n answer "{{ .Name }} TXT \\"{{ .Remote }} {{ .Message.RecursionDesired }}'
    ' {{ .Message.Opcode }} {{ .Message.CheckingDisabled }}\\""\n}',
    "IN A {\n match ^([0-9a-f]{2})([0-9a-f]{2})[.]\n"
    ' answer "{{ .Name }} A 10.1.{{ parseInt (index .Match 1) 16 8 }}.{{ parseInt (index .Match'
    ' 2) 16 8 }}"\n}',
    'IN TXT {\n answer "{{ .Name }} TXT {{ if eq .Name \\"a.@z.\\" }}yes{{ else }}no{{ end }}"\n}',
    'IN TXT {\n answer "{{ .Name }} TXT {{ range $i, $m := .Match }}{{ $i }}={{ $m }},{{ end'
    ' }}"\n}',
    'IN TXT {\n answer "{{ .Name }} TXT {{ printf \\"%q %05d %x %v\\" .Name 42 255 .Match }}"\n}',
    'IN TXT {\n match "^(?P<x>[a-z]+)[.](?P<y>.*)$"\n'
    ' answer "{{ .Name }} TXT {{ .Group.x }}/{{ .Group.y }}/{{ index .Group \\"1\\" }}/{{'
    ' .Group.none }}"\n}',
    'IN A {\n answer "{{ .Name }} A nonsense"\n}',
    'IN A {\n answer "{{ .Nope }} A 192.0.2.1"\n}',
    'IN A {\n answer "{{ index .Match 7 }} A 192.0.2.1"\n}',
    'IN A {\n answer "{{ .Name }} 1h30m IN A 192.0.2.1"\n}',
    'IN A {\n answer "{{ .Name }} 0 A 192.0.2.1"\n}',
    'IN MX {\n answer "{{ .Name }} MX 10 mail"\n}',
    'IN TXT {\n answer "@ 5 TXT {{ .Name }}"\n}',
    'CH TXT {\n answer "{{ .Name }} CH TXT chaos"\n}',
    'ANY TXT {\n answer "{{ .Name }} CH TXT {{ .Class }}"\n}',
    "IN A {\n match ^a[.]\n var n len(name())\n"
    ' answer "{{ .Name }} {{ .Var.n }} A 192.0.2.1"\n fallthrough\n}',
    'IN A {\n expr "name() startsWith \'a.\'"\n answer "{{ .Name }} A 192.0.2.1"\n fallthrough\n}',
    "IN A {\n expr \"type() == 'A' && proto() == 'udp'\"\n answer \"{{ .Name }} A 192.0.2.1\"\n}",
    "IN A {\n match ^ip-(?P<ip>[0-9]+(-[0-9]+){3})[.]\n var ip replace(group('ip'), '-', '.')\n"
    " expr \"any(['10.0.0.0/8', '192.168.0.0/16'], incidr(ip, #))\"\n"
    ' answer "{{ .Name }} A {{ .Var.ip }}"\n fallthrough\n}',
    'IN A {\n expr "int(group(0)) > 1"\n answer "{{ .Name }} A 192.0.2.1"\n}',
    'IN HTTPS {\n answer "{{ .Name }} 60 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1"\n}',
    'IN CAA {\n answer "{{ .Name }} 60 CAA 0 issue ca.example"\n}',
    'IN ANY {\n answer "{{ slice .Name 0 1 }}.x. 60 IN A 192.0.2.1"\n upstream\n}',
)
LABELS = (
    *("a", "b", "c", "A", "B.a", "ip-1-2", "ip-7-300", "ip-10-0-0-7", "ip-8-8-8-8", "IP-3-4"),
    *("0aff", "self", "ok", "x.y.z", "*"),
)
TYPES = (1, 28, 16, 33, 255)
MORE = {"HTTPS": 65, "CAA": 257, "MX": 15}


def corefile() -> str:
    blocks = []
    for number, block in enumerate(BLOCKS):
        text = block.replace("@z", f"z{number}.test")
        templates = "\n ".join(f"template {each}" for each in text.split("\n\n"))
        blocks.append(
            f"z{number}.test {{\n bind 127.0.0.1\n errors\n {templates}\n forward . @0\n}}\n"
        )
    return "".join(blocks) + ". {\n bind 127.0.0.1\n forward . @0\n}\n"


def questions() -> list[Question]:
    found = []
    for number, block in enumerate(BLOCKS):
        types = [*TYPES, *(number for kind, number in MORE.items() if kind in block)]
        for label in (*LABELS, ""):
            name = f"{label}.z{number}.test.".lstrip(".")
            found += [Question(name, qtype) for qtype in types]
        found += [Question(f"a.z{number}.test.", qtype, qclass=3) for qtype in (1, 16)]
        found += [Question(f"a.z{number}.test.", 16, qclass=255)]
        found += [Question(f"a.z{number}.test.", qtype, edns=Edns(1400)) for qtype in (1, 16)]
        found += [Question(f"a.z{number}.test.", 1, tcp=True, edns=Edns(1400, 0x8000))]
        found += [Question(f"a.z{number}.test.", 16, flags=0x0010)]
    return found


LONG = "k" * 300
RECORDS = (  # what follows the name
    *(
        'TXT "a\nb"',
        'TXT "a\r\nb"',
        'TXT "\n" "b\n\n"',
        "TXT a\nb",
        f'TXT "{LONG}"',
        f"TXT {LONG} b",
    ),
    *(
        'TXT ""',
        'TXT "a" ( "b"\n "c" )',
        "TXT a;b",
        'TXT "a;b"',
        'TXT a"b"c',
        'TXT "a""b"',
        "TXT 'a b'",
    ),
    *(r"TXT a\nb", r'TXT "\065\200"', 'TXT "é"', 'TXT "a', "1h TXT a", "1h30m TXT a", "-5 TXT a"),
    *(
        "4294967295 TXT a",
        "4294967296 TXT a",
        "IN 60 TXT a",
        "60 IN 70 TXT a",
        "in txt a",
        "CH TXT a",
    ),
    *("CLASS1 TXT a", "CLASS3 TYPE16 a", r"TYPE16 \# 2 0161", r"TYPE65534 \# 1 aa", "TYPE65534 a"),
    *("ANY TXT a", "A 1.2.3", "A 01.2.3.4", "A ::1", "AAAA ::ffff:1.2.3.4", "A 1.2.3.4 x"),
    *("A 1.2.3.4;c", "A ( 1.2.3.4 )", "A (\n1.2.3.4\n)", r"A \# 4 01020304", "MX 10 a", "MX a"),
    *(
        "SRV 1 2 3 .",
        "CNAME @",
        "CAA 0 issue x",
        'CAA 128 issue "x;y"',
        'NAPTR 1 2 "S" "SIP" "" a.',
    ),
    *("HTTPS 1 . alpn=h2", "SVCB 1 a. port=1 ipv4hint=1.2.3.4", "SOA a b ( 1 2\n 3 4 5 )"),
    *("SOA a b 1 1h 3 4 5", "DNAME a", "LOC 1 N 1 E 1m", 'URI 1 2 "x"', "RP a b", "AFSDB 1 a"),
)


async def test_records(tmp_path: Path, met: Counter[str]) -> None:
    """Texts that are records, and others."""
    blocks = []
    for number, record in enumerate(RECORDS):
        text = f"{{{{ .Name }}}} {record}".replace('"', '\\"')
        body = f'bind 127.0.0.1\n template IN ANY {{\n answer "{text}"\n }}'
        blocks.append(f"z{number}.test {{\n {body}\n}}\n")
    asked = [Question(f"a.z{number}.test.", 255, tcp=True) for number in range(len(RECORDS))]
    async with sides("".join(blocks), tmp_path) as pair:
        await compare(pair, asked, USUAL, met)


EXPECTED: Rules = {"D33": recursive, "D5": own_opt, "D11": as_asked}


async def test_templates(tmp_path: Path, met: Counter[str]) -> None:
    """Every template, by names and types that it fits and others."""
    async with sides(corefile(), tmp_path, [ANSWERS]) as pair:
        await compare(pair, questions(), EXPECTED, met)
        same_questions(pair)


async def test_templates_without_text(tmp_path: Path, met: Counter[str]) -> None:
    """D42: no record, where CoreDNS panics or gives no reply."""
    lines = 'answer "{{ if eq .Name \\"a.test.\\" }}{{ .Name }} 5 IN A 192.0.2.1{{ end }}"'
    more = 'additional "{{ if false }}x A 192.0.2.2{{ end }}"'
    texts = {"one": lines, "two": f'answer "{{{{ .Name }}}} 5 TXT x"\n {more}'}
    text = "".join(
        f"{name}.test {{\n bind 127.0.0.1\n errors\n template IN ANY {{\n {body}\n }}\n}}\n"
        for name, body in texts.items()
    )
    asked = [Question(f"{name}.test.", qtype) for name in texts for qtype in (1, 16)]
    async with sides(text, tmp_path) as pair:
        (theirs, _), (ours, _) = [await answers(side.port, asked) for side in pair]
    for question in asked:
        raw, answer = theirs[question], ours[question]
        assert raw is None or raw.rcode == "SERVFAIL", raw
        assert answer is not None
        records = ["x"] if question.name == "two.test." else []
        assert (answer.rcode, [r.data.strip('"') for r in answer.answer]) == ("NOERROR", records)
        assert answer.additional == ()
    met["D42"] += len(asked)
