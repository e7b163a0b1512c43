"""The question: RFC 1035 sections 2.3.4, 4.1.2, 4.1.4 and 5.1."""

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import pytest
from dnslib import DNSLabel, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import MalformedMessage, ResolveError
from clusterdns.wire.question import Question, parse_question
from tests.wire.build import QUESTION, header, label_sequences, wire

LONGEST = (b"\x3f" + b"a" * 63) * 3

REFUSED = {
    "4.1.4 a pointer to itself": b"\xc0\x0c\0\1\0\1",
    "4.1.4 a pointer into the header": b"\3www\xc0\x04\0\1\0\1",
    "4.1.4 a pointer to what follows": b"\3www\xc0\x15\0\1\0\1\3foo\0",
    "4.1.4 reserved label type 01": b"\x40" + b"a" * 64 + b"\0\0\1\0\1",
    "4.1.4 reserved label type 10": b"\x80" + b"a" * 64 + b"\0\0\1\0\1",
    "2.3.4 a name of 256 octets": LONGEST + b"\x3e" + b"a" * 62 + b"\0\0\1\0\1",
    "4.1.2 cut in a label": b"\3ww",
    "4.1.2 cut behind a label": b"\3www",
    "4.1.2 cut behind the name": b"\3www\0",
    "4.1.2 cut in the type": b"\3www\0\0",
    "4.1.2 cut behind the type": b"\3www\0\0\1",
    "4.1.2 cut in the class": b"\3www\0\0\1\0",
    "4.1.2 nothing": b"",
}


@pytest.mark.parametrize("question", REFUSED.values(), ids=REFUSED)
def test_what_is_no_question(question: bytes) -> None:
    with pytest.raises(MalformedMessage) as refused:
        parse_question(header() + question)
    assert refused.value.rcode == 1


TEXTS = {
    "root": ((), "."),
    "lower case": ((b"WwW", b"Example"), "www.example."),
    "5.1 a dot in a label": ((b"a.b", b"c"), "a\\.b.c."),
    "what the Go library escapes": ((b" '@;()\"\\",), "\\ \\'\\@\\;\\(\\)\\\"\\\\."),
    "not printable": ((b"\0\x1f\x7f\xc3\xa9",), "\\000\\031\\127\\195\\169."),
    "a length octet is no letter": ((b"A" * 63, b"b"), "a" * 63 + ".b."),
}


@pytest.mark.parametrize(("labels", "text"), TEXTS.values(), ids=TEXTS)
def test_text(labels: tuple[bytes, ...], text: str) -> None:
    question = parse_question(header() + wire(labels) + b"\0\1\0\1")
    assert question.text == text
    assert Question.of(text, 1).name == question.folded


def test_longest_name() -> None:
    name = LONGEST + b"\x3d" + b"a" * 61 + b"\0"
    assert parse_question(header() + name + b"\0\1\0\1").name == name


def test_spelling_type_class_and_end() -> None:
    question = parse_question(header() + b"\3wWw\7example\0\0\x41\0\3 and more")
    assert question == Question(b"\3wWw\7example\0", 65, 3)
    assert question.end == 29
    assert question.folded == b"\3www\7example\0"
    assert question.section == b"\3wWw\7example\0\0\x41\0\3"
    assert question.label.label == question.labels == (b"wWw", b"example")


NAMES = {
    "absolute": ("a.b.", (b"a", b"b")),
    "last dot left out": ("a.b", (b"a", b"b")),
    "root": (".", ()),
    "nothing is the root too, as in dnslib": ("", ()),
    "the longest label": ("a" * 63 + ".", (b"a" * 63,)),
    "5.1 escaped dot": (r"a\.b.c", (b"a.b", b"c")),
    "5.1 decimal": (r"\065\000.c", (b"A\0", b"c")),
    "beyond ASCII, as UTF-8": ("é.c", (b"\xc3\xa9", b"c")),
    "a backslash at the end is itself": ("a\\", (b"a\\",)),
}


@pytest.mark.parametrize(("text", "labels"), NAMES.values(), ids=NAMES)
def test_of_text(text: str, labels: tuple[bytes, ...]) -> None:
    question = Question.of(text, 28)
    assert (question.labels, question.qtype, question.qclass) == (labels, 28, 1)
    assert question.end == 12 + len(wire(labels)) + 4


@pytest.mark.parametrize(
    "name",
    ["a..b", ".a", "..", "a" * 64, ".".join(["a" * 63] * 4), DNSLabel([b""])],
)
def test_of_what_is_no_name(name: str | DNSLabel) -> None:
    with pytest.raises(ResolveError, match="no name"):
        Question.of(name, 1)


@given(label_sequences, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=9))
def test_reads_as_dnspython_does(
    labels: tuple[bytes, ...], qtype: int, qclass: int, rest: bytes
) -> None:
    octets = header() + wire(labels) + qtype.to_bytes(2, "big") + qclass.to_bytes(2, "big") + rest
    question = parse_question(octets)
    theirs = dns.message.from_wire(octets, ignore_trailing=True).question[0]
    assert theirs.name.labels == (*question.labels, b"")
    assert (theirs.rdtype, theirs.rdclass) == (question.qtype, question.qclass)
    assert octets[question.end :] == rest
    assert dns.name.from_text(question.text) == theirs.name
    assert Question.of(question.text, qtype, qclass).folded == question.folded
    assert Question.of(question.label, qtype, qclass) == question


@given(st.lists(st.text("abcxyz-_09AZ", min_size=1, max_size=20), min_size=1, max_size=8))
def test_reads_as_dnslib_does(labels: list[str]) -> None:
    octets = DNSRecord.question(DNSLabel([label.encode() for label in labels]), "SRV").pack()
    question = parse_question(octets)
    theirs = DNSRecord.parse(octets).q
    assert theirs.qname.label == question.labels
    assert (theirs.qtype, theirs.qclass) == (question.qtype, question.qclass)


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    try:
        question = parse_question(header() + octets)
    except MalformedMessage:
        return
    assert (header() + octets)[12 : question.end - 4] == question.name


def test_query_helper_of_dnspython_agrees() -> None:
    query = dns.message.make_query("wWw.example.", dns.rdatatype.A, dns.rdataclass.IN)
    assert query.to_wire()[12:] == QUESTION
