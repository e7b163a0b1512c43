"""What a `template` may say."""

import pytest

from clusterdns.plugins.template import Template
from tests.plugins.asking import fault, lines, new_setup, parsed

ADDRESS = '"{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"'
MATCH = "match ^ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$"

ACCEPTED = [
    "template ANY ANY {\n rcode NXDOMAIN\n}",
    "template ANY ANY",
    "template ANY ANY {\n\n}",
    'template ANY ANY {\n answer "{{ parseInt }}"\n additional "{{ parseInt }}"\n}',
    'template ANY ANY {\n authority "{{ parseInt }}"\n}',
    f"template ANY AAAA example.com {{\n {MATCH}\n answer {ADDRESS}\n fallthrough\n}}",
    "template ANY AAAA example.com {\n"
    ' authority "example.com 60 IN SOA ns.example.com host.example.com (1 60 60 60 60)"\n}',
    'template IN ANY example.com {\n match "[.](example[.]com[.]dc1[.]example[.]com[.])$"\n'
    ' rcode NXDOMAIN\n authority "{{ index .Match 1 }} SOA ns.{{ index .Match 1 }} x (1 6 6 6 6)"\n'
    " fallthrough example.com\n}",
    f"template IN A example {{\n {MATCH}\n answer {ADDRESS}\n}}\n"
    f'template IN MX example. {{\n {MATCH}\n answer "{{{{ .Name }}}} MX 10 {{{{ .Name }}}}"\n}}',
    "template IN A example {\n match ^ip0a(?P<b>[a-f0-9]{2})[.]example[.]$\n"
    ' answer "{{ .Name }} 3600 IN A 10.0.0.{{ parseInt .Group.b 16 8 }}"\n}',
    'template ANY ANY invalid {\n rcode NXDOMAIN\n ederror 21 "Blocked according to RFC2606"\n}',
    "template ANY ANY invalid {\n ederror 21\n}",
    "template IN A {\n match a b\n match c\n answer x y\n answer z\n}",
    "template IN A {\n upstream\n upstream 10.0.0.1 10.0.0.2\n}",
    "template CH TXT 10.0.0.0/8 {\n fallthrough in-addr.arpa ip6.arpa\n}",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    setup = new_setup(("domain.com.", "dynamic.domain.com."))
    assert isinstance(parsed(text, setup), Template)
    assert setup.warnings == []


REFUSED = [
    ("template", "1:1: template takes a class and a type"),
    ("template X", "1:1: template takes a class and a type"),
    ("template ANY", "1:1: template takes a class and a type"),
    ("template ANY X", "1:14: 'X' is no type of DNS"),
    ("template in A", "1:10: 'in' is no class of DNS; did you mean 'IN'?"),
    ("template IN a", "1:13: 'a' is no type of DNS; did you mean 'A'?"),
    ("template IN TYPE65", "1:13: 'TYPE65' is no type of DNS"),
    ("template ANY ANY .* {\n notavailable\n}", "2:2: unknown property 'notavailable' of template"),
    ("template ANY ANY {\n answr x\n}", "2:2: unknown property 'answr' of template; did you mean"),
    ("template ANY ANY {\n match\n}", "2:2: match takes at least 1 argument"),
    ("template ANY ANY {\n match (\n}", "2:8: '(' is no regular expression"),
    ("template ANY ANY {\n match a (?=b)\n}", "2:10: '(?=b)' is no regular expression"),
    (f"template ANY ANY {{\n match {'a' * 10001}\n}}", "2:8: a pattern of 10001 characters, over"),
    ("template ANY ANY {\n answer\n}", "2:2: answer takes at least 1 argument"),
    ("template ANY ANY {\n additional\n}", "2:2: additional takes at least 1 argument"),
    ("template ANY ANY {\n authority\n}", "2:2: authority takes at least 1 argument"),
    ("template ANY ANY {\n rcode\n}", "2:2: rcode takes 1 argument, not 0"),
    ("template ANY ANY {\n rcode UNDEFINED\n}", "2:8: 'UNDEFINED' is no rcode of DNS"),
    ("template ANY ANY {\n rcode nxdomain\n}", "2:8: 'nxdomain' is no rcode of DNS; did you mean"),
    ("template ANY ANY {\n rcode 3\n}", "2:8: '3' is no rcode of DNS"),
    ("template ANY ANY {\n rcode NXDOMAIN x\n}", "2:17: rcode takes at most 1 argument"),
    ('template ANY ANY {\n answer "{{"\n}', "2:9: '{{' is no template: {{ without }}, character 1"),
    ('template ANY ANY {\n additional "{{"\n}', "2:13: '{{' is no template"),
    ('template ANY ANY {\n authority "{{"\n}', "2:12: '{{' is no template"),
    (
        'template ANY ANY {\n answer "x {{ foo }}"\n}',
        "2:9: 'x {{ foo }}' is no template: function 'foo' not defined, character 6",
    ),
    ("template ANY ANY {\n ederror\n}", "2:2: ederror takes at least 1 argument"),
    ('template ANY ANY {\n ederror invalid "x"\n}', "2:10: 'invalid' is no extended error"),
    ("template ANY ANY {\n ederror 65536\n}", "2:10: '65536' is no extended error"),
    (
        "template ANY ANY {\n ederror too many arguments\n}",
        "2:19: ederror takes at most 2 argument",
    ),
    ("template ANY ANY {\n match a {\n }\n}", "2:2: match takes no block"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_every_fault_is_told() -> None:
    setup = new_setup()
    Template.parse(lines("template X\ntemplate IN A {\n rcode X\n foo\n}\ntemplate IN A"), setup)
    assert [fault.place.line for fault in setup.faults if fault.place] == [1, 3, 4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'template IN A {\n answer "{{ .Nam }}"\n}',
            "Corefile:2:9: templates have no field .Nam; did you mean 'Name'?",
        ),
        ("template IN A a..b", "Corefile:1:19: "),
        ("template IN A {\n expr 1\n}", "Corefile:2:7: it is never true: a number"),
    ],
)
def test_odd_but_accepted(text: str, expected: str) -> None:
    setup = new_setup()
    parsed(text, setup)
    assert setup.warnings[0].startswith(expected)


EXPRESSIONS = [  # lines of a template, and where the fault is; "": there is none
    ("var a 1", ""),
    ("var a 1\nvar b a + 1\nvar c 'x' + name()", ""),
    ('match ^(?P<a>[a-z]+)[.]example[.]$\nvar a group("a") + group(1) + group(0)', ""),
    ("var", "2:1: var takes at least 2 arguments"),
    ("var a", "2:5: var takes at least 2 arguments"),
    ("var 1a 1", "2:5: '1a' is no name of a variable"),
    ("var a-b 1", "2:5: 'a-b' is no name of a variable"),
    ("var name 1", "2:5: 'name' has a meaning in expressions already"),
    ("var group 1", "2:5: 'group' has a meaning in expressions already"),
    ("var len 1", "2:5: 'len' has a meaning in expressions already"),
    ("var toJSON 1", "2:5: 'toJSON' has a meaning in expressions already"),
    ("var true 1", "2:5: 'true' has a meaning in expressions already"),
    ("var let 1", "2:5: 'let' has a meaning in expressions already"),
    ("var a 1 +", "2:10: '1 +' is no expression"),
    ("var a invalid expression", "2:7: 'invalid expression' is no expression"),
    ("var a b + 1\nvar b 1", "2:7: 'b + 1' is no expression: 'b' is unknown"),
    ("var a undefined", "2:7: 'undefined' is no expression"),
    ("var a 1\nvar a 2", "3:5: there is a variable 'a' already"),
    ("var a 1\nvar b a + 1\nvar c 'x' + b", "4:11: \"'x' + b\" is no expression: '+' does not go"),
    ("expr name() == 'a.example.'", ""),
    ("expr name() == 'a.example.'\nexpr incidr(client_ip(), '10.0.0.0/8')", ""),
    ("var a 1\nexpr a == 1", ""),
    ("match ^(?P<a>[a-z]+)[.]example[.]$\nexpr group('a') != ''", ""),
    ("expr", "2:1: expr takes at least 1 argument"),
    ("expr name() ==", "2:15: 'name() ==' is no expression"),
    ("expr invalid expression", "2:6: 'invalid expression' is no expression"),
    ("expr undefined == 1", "2:6: 'undefined == 1' is no expression"),
    ("var a 1\nexpr a + 'x'", "3:8: \"a + 'x'\" is no expression"),
    ("expr \"any(['10.0.0.0/8'], incidr(name(), #))\"", ""),
    ("expr any(name(), true)", "2:6: 'any(name(), true)' is no expression: any() takes a list"),
    ('expr "# == 1"', "2:7: '# == 1' is no expression: # stands in predicates only"),
    ('expr "all([1], # + 1)"', "2:7: 'all([1], # + 1)' is no expression: all() takes a truth"),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS)
def test_expressions(text: str, expected: str) -> None:
    text = f"template ANY ANY example. {{\n{text}\n}}"
    if expected:
        assert fault(text).startswith(expected)
    else:
        parsed(text)
