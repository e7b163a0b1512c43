"""What is kept of which reply: CoreDNS's TestCacheInsertion and the reference's 3.2.3."""

from dataclasses import dataclass, fields

import pytest
from dnslib import QTYPE
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.plugins.cache.intake import Taken, take, take_plain
from clusterdns.plugins.cache.options import Limits, Rules
from clusterdns.plugins.cache.survey import Link, is_answered
from clusterdns.plugins.cache.table import DENIAL, SUCCESS, Entry
from clusterdns.plugins.query import Reply
from clusterdns.wire.edns import Option
from clusterdns.wire.message import AA, AD, RA, TC
from clusterdns.wire.plain import plain
from clusterdns.wire.question import Question
from clusterdns.wire.received import Received
from tests.plugins.asking import records, texts
from tests.plugins.cache.replies import START, rules, soa, upstream_reply

UNIX = 1_492_772_000  # in April 2017, within the second one's validity
RRSIG = "{owner} 1800 IN RRSIG MX 8 2 1800 {times} 12051 miek.nl. lAaEzB5teQLLKyDenatm"
EXPIRED = RRSIG.format(owner="miek.nl.", times="20160521031301 20160421031301")
VALID = RRSIG.format(owner="miek.nl.", times="20170521031301 20170421031301")
NOT_YET = RRSIG.format(owner="miek.nl.", times="20180521031301 20180421031301")
MX = "miek.nl. {ttl} IN MX 1 aspmx.l.google.com.\nmiek.nl. {ttl} IN MX 10 aspmx2.googlemail.com."
ALIAS = "alias.example.org. 3600 IN CNAME target.example.net."
OTHER_ALIAS = "alias.example.org. 3600 IN CNAME other.example.net."
TARGET = "target.example.net. 3600 IN A 127.0.0.1"
LONG = Limits(1024, 3600)
EVERYTHING = Rules((".",), LONG, LONG)


@dataclass
class Case:
    """A reply, and the store that it belongs to with its TTL; None: it is not kept."""

    reply: Reply
    store: str | None
    ttl: int
    name: str = "alias.example.org."
    qtype: str = "A"


def alias(*lines: str, qtype: str = "A", authority: str = "") -> Reply:
    return upstream_reply("alias.example.org.", qtype, "\n".join(lines), authority)


def about(name: str, qtype: str = "A", **fields: object) -> Reply:
    return upstream_reply(name, qtype, **fields)  # type: ignore[arg-type]


CASES = {
    "more than the cap": Case(
        about("miek.nl.", "MX", answer=MX.format(ttl=3601), flags=RA | AD),
        *(SUCCESS, 3600, "miek.nl.", "MX"),
    ),
    "truncated": Case(
        about("miek.nl.", "MX", answer=MX.format(ttl=1800), flags=TC), None, 1800, "miek.nl.", "MX"
    ),
    "NXDOMAIN": Case(about("example.org.", rcode=3, authority=soa()), DENIAL, 3600, "example.org."),
    "NXDOMAIN without SOA": Case(about("example.org.", rcode=3), None, 5, "example.org."),
    "SERVFAIL": Case(about("example.org.", rcode=2), DENIAL, 5, "example.org."),
    "NOTIMP": Case(about("example.org.", rcode=4), DENIAL, 5, "example.org."),
    "REFUSED": Case(about("example.org.", rcode=5, authority=soa()), None, 5, "example.org."),
    "FORMERR": Case(about("example.org.", rcode=1), None, 5, "example.org."),
    "signature expired": Case(
        about("miek.nl.", "MX", answer=f"{MX.format(ttl=3600)}\n{EXPIRED}"),
        None,
        5,
        "miek.nl.",
        "MX",
    ),
    "signature not valid yet": Case(
        about("miek.nl.", "MX", answer=f"{MX.format(ttl=3600)}\n{NOT_YET}"),
        None,
        5,
        "miek.nl.",
        "MX",
    ),
    "signature valid": Case(
        about("miek.nl.", "MX", answer=f"{MX.format(ttl=3600)}\n{VALID}"),
        *(SUCCESS, 1800, "miek.nl.", "MX"),
    ),
    "aliases that lead nowhere": Case(
        alias(ALIAS, "target.example.net. 3600 IN CNAME target2.example.net."), None, 3600
    ),
    "alias to another type": Case(alias(ALIAS, "target.example.net. 3600 IN AAAA ::1"), None, 3600),
    "alias without MX": Case(alias(ALIAS, qtype="MX"), None, 3600, qtype="MX"),
    "alias to MX": Case(
        alias(ALIAS, "target.example.net. 3600 IN MX 10 mail.example.net.", qtype="MX"),
        *(SUCCESS, 3600, "alias.example.org.", "MX"),
    ),
    "alias and an address aside": Case(
        alias(ALIAS, "unrelated.example.net. 3600 IN A 192.0.2.1"), None, 3600
    ),
    "alias to ANY": Case(alias(ALIAS, qtype="ANY"), SUCCESS, 3600, qtype="ANY"),
    "alias to A": Case(alias(ALIAS, TARGET), SUCCESS, 3600),
    "alias to A, backwards": Case(alias(TARGET, ALIAS), SUCCESS, 3600),
    "alias to CNAME": Case(alias(ALIAS, qtype="CNAME"), SUCCESS, 3600, qtype="CNAME"),
    "two aliases": Case(alias(ALIAS, OTHER_ALIAS, TARGET), None, 3600),
    "two aliases, backwards": Case(alias(OTHER_ALIAS, ALIAS, TARGET), None, 3600),
    "aliases in a circle": Case(
        alias(
            ALIAS,
            "target.example.net. 3600 IN CNAME alias.example.org.",
            "alias.example.org. 3600 IN A 192.0.2.1",
        ),
        *(None, 3600),
    ),
    "the same alias twice": Case(alias(ALIAS, ALIAS, TARGET), SUCCESS, 3600),
    "alias that leads nowhere, with SOA": Case(alias(ALIAS, authority=soa(1200, 900)), DENIAL, 900),
    "NXDOMAIN behind an alias": Case(
        about("alias.example.org.", answer=ALIAS, rcode=3, authority=soa()), None, 5
    ),
    "NODATA": Case(about("example.org.", authority=soa()), DENIAL, 3600, "example.org."),
    "D10: SOA minimum below its TTL": Case(
        about("example.org.", authority=soa(3600, 60)), DENIAL, 60, "example.org."
    ),
    "D10: SOA TTL below its minimum": Case(
        about("example.org.", authority=soa(70, 3600)), DENIAL, 70, "example.org."
    ),
    "nothing at all": Case(about("example.org."), SUCCESS, 5, "example.org."),
    "referral": Case(
        about("example.org.", authority="org. 900 IN NS a.org."), SUCCESS, 5, "example.org."
    ),
    "additional only": Case(
        about("example.org.", additional="example.org. 40 IN A 127.0.0.1"),
        *(SUCCESS, 40, "example.org."),
    ),
    "the lowest of all sections": Case(
        about(
            "example.org.",
            answer="example.org. 300 IN A 127.0.0.1",
            authority="example.org. 200 IN NS ns.example.org.",
            additional="ns.example.org. 20 IN A 127.0.0.1",
        ),
        *(SUCCESS, 20, "example.org."),
    ),
    "TTL 0": Case(
        about("example.org.", answer="example.org. 0 IN A 127.0.0.1"), SUCCESS, 5, "example.org."
    ),
    "a TTL above 31 bits is a long one, RFC 8767 section 4": Case(
        about("example.org.", answer="example.org. 4294967295 IN A 127.0.0.1"),
        *(SUCCESS, 3600, "example.org."),
    ),
    "another class": Case(
        about("example.org.", answer="example.org. 60 CH A 127.0.0.1"), None, 60, "example.org."
    ),
    "another name": Case(
        about("example.org.", answer="www.example.org. 60 IN A 127.0.0.1"), None, 60, "example.org."
    ),
}


def taken(case: Case, using: Rules = EVERYTHING) -> Taken:
    question = Question.of(case.name, int(getattr(QTYPE, case.qtype)))
    return take(case.reply, question, using, START, UNIX)


# A reply is parsed, once, when somebody looks at its records.
ARRIVED = {name: case.reply.received for name, case in CASES.items() if case.reply.received}


@pytest.mark.parametrize("name", CASES)
def test_kept(name: str) -> None:
    case = CASES[name]
    found = taken(case)
    assert (found.entry.store if found.entry else None) == case.store
    reply = found.reply
    sections = [*reply.answer, *reply.authority, *reply.additional]
    assert {record.ttl for record in sections} <= {case.ttl}  # whether it is kept or not
    if found.entry is not None:
        assert found.entry.ttl == case.ttl


TTLS = {  # CoreDNS: TestComputeTTL, and both stores
    (10, "success 1024 30 5"): 10,
    (1, "success 1024 30 5"): 5,
    (60, "success 1024 30 5"): 30,
    (60, "success 1024 3600 120"): 120,
    (86400, "success 1024 7200"): 7200,
    (60, "success 1024 30 120"): 30,  # the cap counts more
    (0, "success 1024 30 0"): 0,
}


@pytest.mark.parametrize(("given", "expected"), TTLS.items(), ids=map(str, TTLS))
def test_limits(given: tuple[int, str], expected: int) -> None:
    ttl, lines = given
    answer = Case(
        about("a.", answer=f"a. {ttl} IN A 127.0.0.1"),
        SUCCESS if expected else None,
        expected,
        "a.",
    )
    assert (found := taken(answer, rules(lines)).entry) is None or found.ttl == expected
    assert (found is not None) == bool(expected)
    denial = Case(about("a.", rcode=3, authority=soa(ttl, ttl)), DENIAL, expected, "a.")
    assert (found := taken(denial, rules(lines.replace("success", "denial"))).entry) is None or (
        found.ttl == expected
    )


@pytest.mark.parametrize(("lines", "ttl"), [("servfail 0", 0), ("servfail 90s", 90)])
def test_servfail(lines: str, ttl: int) -> None:
    found = taken(Case(about("a.", rcode=2), DENIAL, ttl, "a."), rules(lines)).entry
    assert (found.ttl if found else 0) == ttl


def test_signatures_do_not_matter_without_do() -> None:
    case = CASES["signature expired"]
    found = take(case.reply, Question.of(case.name, QTYPE.MX), EVERYTHING, START, None)
    assert found.entry is not None


def test_a_reply_to_another_question() -> None:
    found = taken(Case(about("other.org.", answer="other.org. 9 IN A 127.0.0.1"), None, 9, "a."))
    assert found.is_other
    assert found.entry is None


def test_flags_and_options() -> None:
    """D9: AA is what the zone's own server says; AD and RA stay, and why a failure is one."""
    why = Option(15, b"\0\x16no reachable authority")
    reply = about("a.", answer="a. 9 IN A 127.0.0.1", flags=AA | AD | RA)
    reply.options = [why, Option(10, b"a cookie")]
    entry = taken(Case(reply, SUCCESS, 9, "a.")).entry
    assert entry is not None
    assert not entry.authoritative
    assert entry.recursion
    assert entry.received.flags & AD
    assert entry.options == (why,)


def test_owner_without_pointer_is_spelled_as_asked() -> None:
    """D11; an upstream that does not compress."""
    question = Question.of("ExAmple.org.", 1)
    asked = Question.of("example.org.", 1)
    reply = about("example.org.", answer="example.org. 60 IN A 127.0.0.1")
    assert reply.received is not None
    head, record = reply.received.octets[: asked.end], reply.received.octets[asked.end :]
    plain = head + b"\7EXAMPLE\3org\0" + record[2:]
    reply.received = reply.received._replace(octets=plain, end=len(plain))
    found = take(reply, question, EVERYTHING, START)
    assert texts(found.reply.answer) == ["ExAmple.org. 60 IN A 127.0.0.1"]
    assert found.entry is not None


OWN = {
    "holds until an event": (
        Reply(answer=records("a. 60 IN A 127.0.0.1"), until=float("inf")),
        None,
    ),
    "says nothing of it": (Reply(answer=records("a. 60 IN A 127.0.0.1")), SUCCESS),
    "a denial": (Reply(3, authority=records(soa(60, 30))), DENIAL),
    "a failure of our own, 7.5 (18)": (Reply(2), None),
    "an alias that leads nowhere": (Reply(answer=records("a. 60 IN CNAME b.")), None),
}


@pytest.mark.parametrize("name", OWN)
def test_replies_of_other_plugins(name: str) -> None:
    reply, store = OWN[name]
    reply.authoritative = True
    found = take(reply, Question.of("a.", 1), EVERYTHING, START).entry
    assert (found.store if found else None) == store
    if found is not None:
        assert found.authoritative


def test_records_of_other_plugins_are_not_changed() -> None:
    glue = records("a. 60 IN A 127.0.0.1\na. 28800 IN A 127.0.0.2")
    reply = take(Reply(answer=glue), Question.of("a.", 1), EVERYTHING, START).reply
    assert [record.ttl for record in reply.answer] == [60, 60]
    assert [record.ttl for record in glue] == [60, 28800]


NAMES = [b"\1a\0", b"\1b\0", b"\1c\0", b"\1d\0"]
LINKS = st.lists(
    st.builds(
        lambda owner, target, rtype: Link(owner, rtype, 1, target if rtype == 5 else None),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from([1, 5, 28]),
    ),
    max_size=6,
)


@given(LINKS, st.randoms())
def test_the_order_of_records_never_matters(links: list[Link], random: object) -> None:
    question = Question(b"\1a\0", 1)
    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert is_answered(links, question) == is_answered(shuffled, question)


@given(LINKS)
def test_an_answer_has_the_type_asked_for(links: list[Link]) -> None:
    if is_answered(links, Question(b"\1a\0", 1)):
        assert any(link.rtype == 1 for link in links)


def as_both(came: Received, name: str, qtype: str) -> tuple[object, object]:
    """What is kept of a reply to a plain question, and sent: by its own way, and by the usual one.

    The first is False where the usual one is left to do it.
    """
    question = Question.of(name, int(getattr(QTYPE, qtype)))
    asked = plain(bytes([0, 7, 1, 0, 0, 1, *bytes(6)]) + question.section)
    assert asked is not None
    quick, usual = Reply.of(came), Reply.of(came)
    entry = take_plain(quick, asked, EVERYTHING, START, UNIX)
    taken = take(usual, question, EVERYTHING, START, UNIX)
    expected = (taken.entry and fields_of(taken.entry)), taken.reply.received
    if entry is False:
        return False, expected
    return ((entry and fields_of(entry)), quick.received), expected


def fields_of(entry: Entry) -> dict[str, object]:
    return {each.name: getattr(entry, each.name) for each in fields(entry)}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.qtype != "ANY"])
def test_plain_questions_have_the_same_kept(name: str) -> None:
    ours, usual = as_both(ARRIVED[name], CASES[name].name, CASES[name].qtype)
    assert ours in (False, usual)


OWNERS = st.sampled_from(["a.test.", "a.test.", "a.test.", "b.test.", "test.", "A.TEST."])
RECORDS = st.builds(
    "{} {} {}".format,
    OWNERS,
    st.sampled_from([0, 1, 4, 5, 30, 3600, 1 << 20, (1 << 31) + 5, (1 << 32) - 1]),
    st.sampled_from(
        ["IN A 192.0.2.1", "IN A 192.0.2.2", "IN AAAA ::1", "IN CNAME b.test.", "CH A 192.0.2.3"]
    ),
)


@given(
    st.lists(RECORDS, max_size=4),
    st.lists(RECORDS, max_size=1),
    st.sampled_from(["A", "A", "CNAME"]),
    st.sampled_from([0, 0, 0, 3]),
    st.sampled_from([RA, RA | TC]),
)
def test_any_plain_question_has_the_same_kept(
    answer: list[str], additional: list[str], qtype: str, rcode: int, flags: int
) -> None:
    lines = "\n".join(answer), "", "\n".join(additional)
    came = upstream_reply("a.test.", qtype, *lines, rcode, flags).received
    assert came is not None
    ours, usual = as_both(came, "a.test.", qtype)
    assert ours in (False, usual)
    if ours is False:  # only for names that are no pointers to the question
        assert any(not each.startswith("a.test.") for each in answer)
