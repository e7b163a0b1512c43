"""From a question to a reply."""

import math

import pytest
from dnslib import QTYPE

from clusterdns.errors import ResolveError
from clusterdns.plugins.query import Query, Reply
from clusterdns.plugins.template import plugin
from clusterdns.wire.edns import Option
from clusterdns.wire.question import Question
from clusterdns.wire.texts import class_number, type_number
from tests.plugins.asking import Exchange, Next, new_setup, parsed, query, records, texts

SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
PASSED = "passed on"

IP = """match "(^|[.])ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$"
fallthrough"""
ADDRESS = "{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
NAME = "ip-10-95-12-8.example."
EXAMPLE = "match [.]example[.]$"
SOA = "invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"


def block(text: str, head: str = "ANY ANY .") -> str:
    return f"template {head} {{\n{text}\n}}"


def asking(question: str, **changed: object) -> Query:
    """NAME [TYPE [CLASS]]"""
    name, *rest = question.split()
    qtype, qclass = [*rest, *["A", "IN"][len(rest) :]]
    numbers = type_number(qtype), class_number(qclass)
    assert None not in numbers
    known = Question.of(name, numbers[0] or 0, numbers[1] or 0)
    spelled = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    found = Question(spelled + b"\0", known.qtype, known.qclass, known.end)
    return query(question=found, **changed)  # type: ignore[arg-type]


async def replied(text: str, asked: Query) -> Reply | None:
    """The reply; None: the next plugin was asked."""
    behind = Next(Reply(until=math.inf))
    found = await parsed(text, new_setup(("test.",))).resolve(asked, behind)
    return None if behind.asked else found


async def said(text: str, question: str) -> str:
    """What comes of a question, in short."""
    try:
        reply = await replied(text, asking(question, exchange=Exchange(Reply())))
    except ResolveError as error:
        return str(error)
    if reply is None:
        return PASSED
    if not (reply.answer or reply.authority or reply.additional):
        return f"rcode {reply.rcode}"
    sections = (reply.answer, reply.additional, reply.authority)
    return f"rcode {reply.rcode}: " + " / ".join("; ".join(texts(section)) for section in sections)


MULTI = r"""template IN A {
    rcode REFUSED
}
template IN TXT {
    match "$^"
    rcode SERVFAIL
    fallthrough
}
template CH TXT coredns.invalid {
    answer "{{ .Name }} 60 CH TXT \"test\""
}
template IN A example {
    match ^ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
    answer "{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
    fallthrough
}
template IN MX example {
    match ^ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
    answer "{{ .Name }} 60 IN MX 10 {{ .Name }}"
    additional "{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
}"""

CASES = [  # template, question, what comes of it
    (block("rcode SERVFAIL"), "test.invalid.", "rcode 2"),
    (block(f'{IP}\nanswer "{ADDRESS}"'), "test.invalid.", PASSED),
    (block(f'{IP}\nanswer "{ADDRESS}"'), NAME, f"rcode 0: {NAME} 60 IN A 10.95.12.8 /  / "),
    (
        block(f'{IP}\nanswer "{ADDRESS}"'),
        "IP-10-95-12-8.Example.",
        "rcode 0: IP-10-95-12-8.Example. 60 IN A 10.95.12.8 /  / ",
    ),
    (
        block(r'match "^ip0a(?P<b>[a-f0-9]{2})[.]example[.]$"' "\n"
              'answer "{{ .Name }} 60 IN A 10.95.12.{{ parseInt .Group.b 16 8 }}"'),
        "ip0a09.example.",
        "rcode 0: ip0a09.example. 60 IN A 10.95.12.9 /  / ",
    ),
    (
        block('answer "{{ .Name }} 60 IN A {{ .Remote }}"'),
        "test.example.",
        "rcode 0: test.example. 60 IN A 10.240.0.1 /  / ",
    ),
    (
        block(f'{IP}\nanswer "{ADDRESS}"\nadditional "ns0.example. IN A 203.0.113.8"\n'
              'authority "example. IN NS ns0.example.com."'),
        NAME,
        f"rcode 0: {NAME} 60 IN A 10.95.12.8 / ns0.example. 3600 IN A 203.0.113.8 / "
        "example. 3600 IN NS ns0.example.com.",
    ),
    (
        block(f'{IP}\nanswer "{{{{ .Name }}}} 60 MX 10 {{{{ .Name }}}}"\nadditional "{ADDRESS}"'),
        f"{NAME} MX",
        f"rcode 0: {NAME} 60 IN MX 10 {NAME} / {NAME} 60 IN A 10.95.12.8 / ",
    ),
    (
        block(f'match "[.]invalid[.]$"\nrcode NXDOMAIN\nanswer "{SOA}"'),
        "test.invalid. MX",
        "rcode 3: invalid. 60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60 /  / ",
    ),
    (
        block(f'rcode NXDOMAIN\nauthority "{SOA}"'),
        "test.invalid. TXT CH",
        "rcode 3:  /  / invalid. 60 CH SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60",
    ),
    (
        block('match "example[.]net[.]"\nanswer "example.net 60 IN CNAME target.example.com"'),
        "example.net. AAAA",
        "rcode 0: example.net. 60 IN CNAME target.example.com. /  / ",
    ),
    (
        block(rf'{EXAMPLE}' '\nanswer "{{ .Name }} 60 IN TXT \\"{{ index .Match 2 }}\\""'),
        "test.example. ANY",
        "template answer at Corefile:3:8: at <index .Match 2>: error calling index: "
        "index out of range: 2",
    ),
    (
        block(rf'{EXAMPLE}' '\nanswer "{{ .Name }} 60 TXT \\"{{ parseInt \\"gg\\" 16 8 }}\\""'),
        "test.example. ANY",
        'template answer at Corefile:3:8: at <parseInt "gg" 16 8>: error calling parseInt: '
        'parsing "gg": invalid syntax',
    ),
    (
        block(f'{EXAMPLE}\nanswer "{{{{ .Name }}}}"'),
        "test.example.",
        "template answer at Corefile:3:8: 'test.example.': expecting an identifier",
    ),
    (
        block(f'{EXAMPLE}\nadditional "{{{{ .Name }}}}"'),
        "test.example.",
        "template additional at Corefile:3:12: 'test.example.': expecting an identifier",
    ),
    (
        block(f'{EXAMPLE}\nauthority "{{{{ .Name }}}}"'),
        "test.example.",
        "template authority at Corefile:3:11: 'test.example.': expecting an identifier",
    ),
    (block(""), "a.", "rcode 0"),
    (block("rcode NXDOMAIN"), "a.", "rcode 3"),
    (block("match b"), "a.", "rcode 2"),
    (block("match b\nfallthrough"), "a.", PASSED),
    (block("match b\nfallthrough x."), "a.", "rcode 2"),
    (block("match b\nfallthrough x."), "a.x.", PASSED),
    (block("", "IN A x."), "a.", PASSED),
    (block("", "IN A x."), "a.x. AAAA", PASSED),
    (block("", "IN A x."), "a.X.", "rcode 0"),
    (block("", "CH A x."), "a.x.", PASSED),
    (block("", "CH A x."), "a.x. A CH", "rcode 0"),
    (block("", "CH A x."), "a.x. A ANY", "rcode 0"),
    (block("", "IN MX x."), "a.x. ANY", "rcode 0"),
    (block("", "ANY MX x."), "a.x. MX HS", "rcode 0"),
    (block('answer "{{ .Class }}.{{ .Type }}. A 10.0.0.1"', "IN MX x."), "a.x. ANY ANY",
     "rcode 0: IN.MX. 3600 IN A 10.0.0.1 /  / "),
    (block('answer "{{ .Zone }} A 10.0.0.1"', "IN A x. y.x."), "a.y.X.",
     "rcode 0: y.X. 3600 IN A 10.0.0.1 /  / "),
    (block('answer "{{ .Name }} TXT {{ .Regex }}"', "IN A x."), "a.x.",
     'rcode 0: a.x. 3600 IN TXT ".*" /  / '),
    (block('match ^b (a)\nanswer "a. TXT \\"{{ .Regex }}{{ index .Match 1 }}\\""', "IN A x."),
     "a.x.", 'rcode 0: a. 3600 IN TXT "(a)a" /  / '),
    (block('match ^(?P<n>x)?\nanswer "{{ .Name }} TXT \\"<{{ .Group.n }}>\\""', "IN A x."),
     "a.x.", 'rcode 0: a.x. 3600 IN TXT "<>" /  / '),
    (block('answer "{{ if false }}x{{ end }}"'), "a.", "rcode 0"),
    (block('answer "a. A 10.0.0.1" "a. A 10.0.0.2"'), "a.",
     "rcode 0: a. 3600 IN A 10.0.0.1; a. 3600 IN A 10.0.0.2 /  / "),
    (block('answer "{{ .Meta `a/b` }}x A 10.0.0.1"'), "a.", "rcode 0: x. 3600 IN A 10.0.0.1 /  / "),
    (MULTI, "some.test.", "rcode 5"),
    (MULTI, "some.test. TXT", PASSED),
    (MULTI, "coredns.invalid. TXT CH", 'rcode 0: coredns.invalid. 60 CH TXT "test" /  / '),
    (MULTI, "ip-10-1-2-3.example.", "rcode 0: ip-10-1-2-3.example. 60 IN A 10.1.2.3 /  / "),
    (MULTI, "ip-10-11-12-13.example. MX",
     "rcode 0: ip-10-11-12-13.example. 60 IN MX 10 ip-10-11-12-13.example. / "
     "ip-10-11-12-13.example. 60 IN A 10.11.12.13 / "),
    (MULTI, "something.example.", PASSED),
    (MULTI, "something.example. MX", "rcode 2"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "question", "expected"), CASES)
async def test_said(text: str, question: str, expected: str) -> None:
    assert await said(text, question) == expected


async def test_header() -> None:
    reply = await replied(block("rcode NXDOMAIN"), asking("a."))
    assert reply is not None
    assert (reply.authoritative, reply.recursion, reply.until) == (True, None, math.inf)


async def test_labels_of_metadata() -> None:
    labels = {"foo": lambda: "myfoo", "bar": lambda: "mybar"}
    text = block(
        'answer "{{ .Meta `foo` }}-{{ .Name }} A 10.0.0.1"\n'
        'additional "{{ .Meta `bar` }}.example. A 10.0.0.2"\n'
        'authority "example. NS {{ .Meta `bar` }}.example.com."'
    )
    reply = await replied(text, asking(NAME, labels=labels))
    assert reply is not None
    assert texts(reply.answer) == [f"myfoo-{NAME} 3600 IN A 10.0.0.1"]
    assert texts(reply.additional) == ["mybar.example. 3600 IN A 10.0.0.2"]
    assert texts(reply.authority) == ["example. 3600 IN NS mybar.example.com."]


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ("ederror 21", b"\0\x15"),
        ('ederror 21 "Blocked due to RFC2606"', b"\0\x15Blocked due to RFC2606"),
        ("ederror 65535 ä", b"\xff\xff\xc3\xa4"),
    ],
)
async def test_extended_error(line: str, data: bytes) -> None:
    reply = await replied(block(f"rcode NXDOMAIN\n{line}"), asking("a."))
    assert reply is not None
    assert (reply.options, reply.force_edns) == ([Option(15, data)], True)


CNAME = block('answer "cname.test. 600 IN CNAME test.up"', "IN ANY test.")


async def test_cname_is_followed() -> None:
    keys = frozenset({("apex",)})
    found = Reply(answer=records("test.up. 600 IN A 1.2.3.4"), truncated=True, keys=keys, until=9.0)
    server = Exchange(found)
    reply = await replied(CNAME, asking("cname.test.", exchange=server))
    assert reply is not None
    assert texts(reply.answer) == [
        "cname.test. 600 IN CNAME test.up.",
        "test.up. 600 IN A 1.2.3.4",
    ]
    assert (reply.truncated, reply.keys, reply.until) == (True, keys, 9.0)
    assert server.asked[0].question == Question.of("test.up.", QTYPE.A)


@pytest.mark.parametrize("found", [None, ResolveError("no way")])
async def test_cname_that_leads_nowhere(found: ResolveError | None) -> None:
    reply = await replied(CNAME, asking("cname.test.", exchange=Exchange(found)))
    assert reply is not None
    assert texts(reply.answer) == ["cname.test. 600 IN CNAME test.up."]
    assert reply.until == 0


async def test_cname_is_followed_for_addresses_only() -> None:
    server = Exchange(Reply())
    reply = await replied(CNAME, asking("cname.test. TXT", exchange=server))
    assert reply is not None
    assert (server.asked, reply.until) == ([], math.inf)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (block('answer "{{ .Name }} A 10.0.0.1"'), True),
        (block('answer "{{ .Name }} A {{ .Remote }}"'), False),
        (block('answer "{{ if false }}{{ .Remote }}{{ end }}a A 10.0.0.1"'), True),
        (block("expr name() == 'a.'"), True),
        (block("expr client_ip() == '10.240.0.1'"), False),
        (block("expr client_ip() == '10.0.0.1'"), False),
        (block("expr client_ip() == '10.0.0.1'\nfallthrough"), False),
        (block("expr name() == 'b.'\nfallthrough"), True),
        (block("match b\nexpr client_ip() == '10.0.0.1'\nfallthrough"), True),
        (block("var x client_ip()"), False),
    ],
)
async def test_replies_about_the_client_are_not_kept(text: str, kept: bool) -> None:
    reply = await parsed(text).resolve(asking("a."), Next(Reply(until=math.inf)))
    assert reply is not None
    assert reply.until == (math.inf if kept else 0)


EXPRESSIONS = [  # template, question, what comes of it
    ("expr name() == 'a.example.'\nanswer \"{{ .Name }} A 10.0.0.1\"", "a.example.", "10.0.0.1"),
    ("expr name() == 'b.example.'", "a.example.", SERVFAIL),
    ("expr name() == 'b.example.'\nfallthrough", "a.example.", PASSED),
    ("expr name() == 'b.example.'\nfallthrough other.example.", "a.example.", SERVFAIL),
    (
        "expr name() == 'b.example.'\nanswer \"{{ .Name }} A 10.0.0.1\"\nfallthrough\n}\n"
        'template IN A example. {\nanswer "{{ .Name }} A 10.0.0.2"',
        "a.example.",
        "10.0.0.2",
    ),
    (
        "expr name() == 'a.example.'\nexpr type() == 'A'\nexpr incidr(client_ip(), '10.0.0.0/8')\n"
        'answer "{{ .Name }} A 10.0.0.1"',
        "a.example.",
        "10.0.0.1",
    ),
    (
        "expr type() == 'A'\nexpr incidr(client_ip(), '192.0.2.0/24')\nfallthrough",
        "a.example.",
        PASSED,
    ),
    (
        "match ^(?P<n>[0-9]+)[.]example[.]$\nvar num int(group('n'))\nexpr num > 1\n"
        'answer "{{ .Name }} A 10.0.0.{{ .Var.num }}"\nfallthrough',
        "2.example.",
        "10.0.0.2",
    ),
    (
        "match ^(?P<n>[0-9]+)[.]example[.]$\nvar num int(group('n'))\nexpr num > 1\nfallthrough",
        "1.example.",
        PASSED,
    ),
    (
        "match ^(?P<n>[0-9]+)[.]example[.]$\nexpr group('n') == '2' && group(0) == '2.example.'\n"
        'answer "{{ .Name }} A 10.0.0.{{ .Group.n }}"',
        "2.example.",
        "10.0.0.2",
    ),
    ("expr metadata('test/region') == 'eu'\nanswer \"a A 10.0.0.1\"", "a.example.", "10.0.0.1"),
    ("expr metadata('test/region') == 'us'\nfallthrough", "a.example.", PASSED),
    ("expr 1\nfallthrough", "a.example.", PASSED),
    ("expr incidr('notanip', '10.0.0.0/8')\nfallthrough", "a.example.", SERVFAIL),
    ("match ^a[.]\nexpr incidr('notanip', '10.0.0.0/8')\nfallthrough", "b.example.", PASSED),
    ('var ttl 60\nanswer "{{ .Name }} {{ .Var.ttl }} IN A 10.0.0.1"', "a.example.", "10.0.0.1"),
    (
        "var a 1\nvar b a + 1\nvar c b * 10\n"
        'answer "{{ .Name }} A 10.{{ .Var.a }}.{{ .Var.b }}.{{ .Var.c }}"',
        "a.example.",
        "10.1.2.20",
    ),
    (
        "match ^(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]example[.]$\nvar a group('a')\nvar b group(2)\n"
        'var whole group(0)\nanswer "{{ .Var.whole }} A 10.0.{{ .Var.a }}.{{ .Var.b }}"',
        "12-34.example.",
        "10.0.12.34",
    ),
    (
        "match ^(?P<a>[a-z]+)[.]\nvar missing group('nosuchgroup') + group(9)\n"
        'answer "{{ .Name }} TXT \\"empty={{ eq .Var.missing `` }}\\""',
        "a.example.",
        '"empty=true"',
    ),
    ('var ip client_ip()\nanswer "{{ .Name }} A {{ .Var.ip }}"', "a.example.", "10.240.0.1"),
    (
        "var local incidr(client_ip(), '10.0.0.0/8')\n"
        'answer "{{ .Name }} A {{ if .Var.local }}10.0.0.1{{ else }}192.0.2.1{{ end }}"',
        "a.example.",
        "10.0.0.1",
    ),
    ('answer "{{ .Name }} TXT \\"{{ len .Var }}\\""', "a.example.", '"0"'),
    ("var bad incidr('notanip', '10.0.0.0/8')\nfallthrough", "a.example.", SERVFAIL),
    ("var bad int('x')\nfallthrough", "a.example.", SERVFAIL),
    ("var bad int(1) % (len(name()) - 10)\nfallthrough", "a.example.", SERVFAIL),
    ("var bad split(name(), '.')[9]\nfallthrough", "a.example.", SERVFAIL),
    ("match ^a[.]\nvar bad int('x')\nfallthrough", "b.example.", PASSED),
    ("var x split(name(), '.')[0]\nanswer \"{{ .Name }} TXT {{ .Var.x }}\"", "a.example.", '"a"'),
    ('var x 7 / 2\nanswer "{{ .Name }} TXT {{ .Var.x }}"', "a.example.", '"3.5"'),
    (
        "match ^(?P<ip>[0-9]{1,3}(-[0-9]{1,3}){3})[.]\nvar ip replace(group('ip'), '-', '.')\n"
        "expr \"any(['10.0.0.0/8', '172.16.0.0/12'], incidr(ip, #))\"\n"
        'answer "{{ .Name }} 60 IN A {{ .Var.ip }}"',
        "10-1-2-3.example.",
        "10.1.2.3",
    ),
    (
        "match ^(?P<ip>[0-9]{1,3}(-[0-9]{1,3}){3})[.]\nvar ip replace(group('ip'), '-', '.')\n"
        "expr \"any(['10.0.0.0/8', '172.16.0.0/12'], incidr(ip, #))\"",
        "8-8-8-8.example.",
        SERVFAIL,
    ),
]


@pytest.mark.parametrize(("text", "question", "expected"), EXPRESSIONS)
async def test_expressions(text: str, question: str, expected: str | int) -> None:
    labels = {"test/region": lambda: "eu"}
    reply = await replied(block(text, "IN A example."), asking(question, labels=labels))
    if isinstance(expected, int):
        assert reply is not None
        assert (reply.rcode, reply.answer) == (expected, [])
    elif expected == PASSED:
        assert reply is None
    else:
        assert reply is not None
        (answer,) = texts(reply.answer)
        assert answer.split(" ", 4)[-1] == expected


async def test_counters() -> None:
    text = block('answer "{{ .Name }} {{ .Remote }}"\nauthority "{{ index .Match 3 }}"', "IN A x.")
    for counter in (plugin.matches, plugin.template_failures, plugin.rr_failures):
        counter.values.clear()
    with pytest.raises(ResolveError):
        await replied(text, asking("a.x.", server="dns://:53", view="v"))
    labels = ("dns://:53", "x.", "v", "IN", "A")
    assert plugin.matches.values[labels] == 1
    assert plugin.rr_failures.values[*labels, "answer", "{{.Name}} {{.Remote}}"] == 1
    text = block('authority "{{ index .Match 3 }}"', "IN A x.")
    with pytest.raises(ResolveError):
        await replied(text, asking("a.x.", server="dns://:53", view="v"))
    assert plugin.template_failures.values[*labels, "authority", "{{index .Match 3}}"] == 1


async def test_what_is_sent_again_is_counted_too() -> None:
    plugin.matches.values.clear()
    reply = await replied(block("", "IN A x."), asking("a.x."))
    assert reply is not None
    assert reply.sent_again is not None
    reply.sent_again(5, math.inf)
    assert plugin.matches.total() == 6
