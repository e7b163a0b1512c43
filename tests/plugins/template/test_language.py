"""The language: go.jsonl has what Go's text/template (1.26) makes of each template, message.jsonl
what it makes of a query as miekg/dns has it, source.jsonl how it writes a template again."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.plugins.template.data import Data
from clusterdns.plugins.template.parser import parse
from clusterdns.plugins.template.scanner import TemplateError
from clusterdns.plugins.template.values import EvaluationError
from clusterdns.wire.message import parse as parse_message
from tests.plugins.asking import query

HERE = Path(__file__).parent
GO, MESSAGES, SOURCES = (
    [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text("utf-8").splitlines()]
    for name in ("go", "message", "source")
)
PLAIN = "1267010000010000000000000749502d31302d31076578616d706c650000010001"
WITH_OPT = (
    "1267010000010000000000010749502d31302d31076578616d706c65000001000100002904d000008000003700080008"
    "00011900c0000280000a00083132333435363738fde9000261620003000378797a000c000200ab000800080002200020"
    "010db8"
)


def data() -> Data:
    """What Go was given too."""
    found = Data(query("IP-10-1.example."), "ip-10-1.example.")
    found.query.peer = ("10.240.0.1", 1)
    found.query.labels = {"a/b": lambda: "x"}
    found.zone, found.regex, found.class_, found.type = "example.", "r", "IN", "A"
    found.match = ["ip-10-1.example.", "10", "1"]
    found.group = {"0": "ip-10-1.example.", "1": "10", "2": "1", "a": "10", "b": "1"}
    found.variables.update({"n": 2, "s": "x", "t": True, "f": 1.5})
    return found


@pytest.mark.parametrize(("text", "expected"), [case[:2] for case in GO if case[2] == "text"])
def test_text(text: str, expected: str) -> None:
    assert parse(text).write(data()) == expected


@pytest.mark.parametrize("text", [case[0] for case in GO if case[2] == "error"])
def test_gives_nothing(text: str) -> None:
    template = parse(text)
    with pytest.raises(EvaluationError):
        template.write(data())


@pytest.mark.parametrize("text", [case[0] for case in GO if case[2] == "parse"])
def test_is_no_template(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)


def test_there_are_enough() -> None:
    kinds = [case[2] for case in GO]
    assert (kinds.count("text"), kinds.count("error"), kinds.count("parse")) == (199, 73, 61)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ index .Match 9 }}", "at <index .Match 9>: error calling index: index out of range: 9"),
        (
            '{{ parseInt "gg" 16 8 }}',
            'at <parseInt "gg" 16 8>: error calling parseInt: parsing "gg": invalid syntax',
        ),
        ("{{ .Grup.d }}", "at <.Grup.d>: can't evaluate field Grup in type *template.templateData"),
        ("{{ print (index .Match 9) }}", "at <index .Match 9>: error calling index: index out of"),
        ("{{ eq 1 `a` }}", "at <eq 1 `a`>: error calling eq: incompatible types for comparison"),
        ("{{ len }}", "at <len>: wrong number or type of arguments for len"),
        ("{{ .Message.Foo }}", "at <.Message.Foo>: can't evaluate field Foo in type *dns.Msg"),
    ],
)
def test_errors_name_their_place(text: str, expected: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        parse(text).write(data())
    assert str(raised.value).startswith(expected)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("a {{ .Name", 2, "{{ without }}"),
        ("a {{ foo }}", 5, "function 'foo' not defined"),
        ("a {{ $x }}", 5, "undefined variable '$x'"),
        ("{{ if true }}", 13, "the end stands where left should"),
        ("{{ end }}", 3, "{{end}} without a beginning"),
        ("{{ `a` }}{{ break }}", 12, "{{break}} outside of {{range}}"),
        ("{{ 1__2_ }}", 3, "1__2_ is no number"),
    ],
)
def test_parse_errors_name_their_place(text: str, at: int, expected: str) -> None:
    with pytest.raises(TemplateError) as raised:
        parse(text)
    assert (str(raised.value), raised.value.at) == (expected, at)


@pytest.mark.parametrize(
    "text",
    [
        "{{ range 99999999 }}x{{ end }}",
        "{{ range 60000 }}{{ range 60000 }}{{ end }}{{ end }}",
        '{{ define "x" }}{{ template "x" }}{{ template "x" }}{{ end }}{{ template "x" }}',
        "{{ range 60000 }}{{ range 60000 }}xx{{ end }}{{ end }}",
        '{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}',
        '{{ printf "%99999999d" 1 }}',
        '{{ printf "%*d" 99999999 1 }}',
        '{{ printf "%.99999999f" 1.5 }}',
    ],
)
def test_what_would_be_too_much_ends(text: str) -> None:
    with pytest.raises(EvaluationError):
        parse(text).write(data())


@pytest.mark.parametrize("text", ["{{ " + "(" * 60 + "1" + ")" * 60 + " }}", "{{if 1}}" * 60])
def test_what_is_too_deep_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="more than 50 levels"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .Name }}{{ .Var.x }}", {"Name", "Var"}),
        ("{{ .Nmae }}", {"Nmae"}),
        ("{{ with .Question }}{{ .Name }}{{ $.Zone }}{{ end }}", {"Question", "Zone"}),
        ("{{ range .Match }}{{ .Foo }}{{ else }}{{ .Type }}{{ end }}", {"Match", "Type"}),
        ('{{ define "x" }}{{ .Foo }}{{ end }}', set()),
    ],
)
def test_fields_of_the_data(text: str, expected: set[str]) -> None:
    assert parse(text).fields == expected


@pytest.mark.parametrize(
    ("text", "sees_more"),
    [
        ("{{ .Name }}{{ .Zone }}{{ .Group.a }}{{ .Question.Name }}{{ .Var.n }}", False),
        ("{{ .Remote }}", True),
        ("{{ .Message.RecursionDesired }}", True),
        ('{{ .Meta "a/b" }}', True),
        ("{{ if false }}{{ .Remote }}{{ end }}", False),
        ("{{ if .Remote }}{{ end }}", True),
        ("{{ . }}", True),
    ],
)
def test_what_was_looked_at(text: str, sees_more: bool) -> None:
    seen = data()
    parse(text).write(seen)
    assert seen.sees_more is sees_more


def test_message() -> None:
    seen = data()
    seen.query.flags = 0x0110
    text = "{{ .Message.Id }} {{ .Message.Opcode }} {{ .Message.RecursionDesired }} "
    text += "{{ .Message.CheckingDisabled }} {{ len .Message.Extra }} "
    text += "{{ (index .Message.Question 0).Name }} {{ .Question.Qtype }}"
    assert parse(text).write(seen) == "0 0 true true 0 IP-10-1.example. 1"


@pytest.mark.parametrize(
    ("text", "with_opt", "expected"),
    MESSAGES,
    ids=[f"{text}{' with OPT' * with_opt}" for text, with_opt, _ in MESSAGES],
)
def test_message_as_miekg_dns(text: str, with_opt: bool, expected: str | None) -> None:
    octets = bytes.fromhex(WITH_OPT if with_opt else PLAIN)
    message = parse_message(octets)
    seen = data()
    seen.query = replace(
        seen.query,
        octets=octets,
        question=message.question,
        flags=message.flags,
        edns=message.edns,
    )
    if expected is None:
        with pytest.raises(EvaluationError):
            parse(text).write(seen)
    else:
        assert parse(text).write(seen) == expected


@pytest.mark.parametrize(("text", "source"), SOURCES)
def test_written_again(text: str, source: str) -> None:
    """The label of metrics."""
    assert parse(text).text == source


@given(st.text("{}.$()|\"'`-/* :=a1Nenidrg", max_size=40))
def test_no_text_does_anything_else(text: str) -> None:
    for form in (text, "{{" + text + "}}"):
        with suppress(TemplateError, EvaluationError):
            parse(form).write(data())


def test_variables_that_are_not_there() -> None:
    """They are of no type, whatever others there are."""
    seen = data()
    for variables in ({}, {"s": "x"}):
        seen.variables.clear()
        seen.variables.update(variables)
        assert parse('{{ index .Var "zz" }}|{{ .Var.zz }}').write(seen) == "<no value>|<no value>"
        assert parse('{{ index .Group "zz" }}|').write(seen) == "|"
