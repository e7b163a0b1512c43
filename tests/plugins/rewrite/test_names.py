"""`name`: what is asked for, and what becomes of names in the reply."""

import math

import pytest
from dnslib import DNAME, QTYPE, RD, RR

from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Sees
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import Question
from tests.plugins.asking import Next, parsed, query, records, texts
from tests.plugins.rewrite.rewriting import Printer, asked_for, made, owners, resolved

SEVERAL = r"""rewrite name from.nl. to.nl.
rewrite name regex (core)\.(dns)\.(rocks)\.(nl) {2}.{1}.{3}.{4} answer name (dns)\.(core) {2}.{1}
rewrite name exact from.exact.nl. to.nl.
rewrite name prefix prefix to
rewrite name suffix .suffix. .nl.
rewrite name substring from.substring to
rewrite name regex (f.*m)\.regex\.(nl) to.{2}
rewrite continue name regex consul\.(rocks) core.dns.{1}
rewrite name core.dns.rocks to.nl.
rewrite continue class HS CH
rewrite class CH IN
rewrite type ANY HINFO"""

QUESTIONS = [  # rules, what the client asks for, what is asked for behind them
    (SEVERAL, "from.nl. A IN", "to.nl. A IN"),
    (SEVERAL, "a.nl. A IN", "a.nl. A IN"),
    (SEVERAL, "a.nl. A CH", "a.nl. A IN"),
    (SEVERAL, "a.nl. ANY IN", "a.nl. HINFO IN"),
    (SEVERAL, "from.nl. ANY IN", "to.nl. ANY IN"),
    (SEVERAL, "from.exact.nl. A IN", "to.nl. A IN"),
    (SEVERAL, "prefix.nl. A IN", "to.nl. A IN"),
    (SEVERAL, "to.suffix. A IN", "to.nl. A IN"),
    (SEVERAL, "from.substring.nl. A IN", "to.nl. A IN"),
    (SEVERAL, "from.regex.nl. A IN", "to.nl. A IN"),
    (SEVERAL, "consul.rocks. A IN", "to.nl. A IN"),
    (SEVERAL, "a.nl. ANY CH", "a.nl. ANY IN"),
    (SEVERAL, "a.nl. ANY HS", "a.nl. ANY IN"),
    (SEVERAL, "core.dns.rocks.nl. A IN", "dns.core.rocks.nl. A IN"),
    ("rewrite name prefix foo bar", "foo.example.com.", "bar.example.com."),
    ("rewrite name prefix foo. bar.", "foo.example.com.", "bar.example.com."),
    ("rewrite name prefix foo bar", "coredns.foo.", "coredns.foo."),
    ("rewrite name prefix foo bar.", "coredns.foo.", "coredns.foo."),
    ("rewrite name prefix pre- post-", "pre-1.example.com.", "pre-1.example.com."),
    ("rewrite name suffix com org", "foo.example.com.", "foo.example.org."),
    ("rewrite name suffix .com .org", "foo.example.com.", "foo.example.org."),
    ("rewrite name suffix com org", "com.coredns.", "com.coredns."),
    ("rewrite name suffix com org.", "com.coredns.", "com.coredns."),
    ("rewrite name suffix .a.b c.b", "x.a.b.", "xc.b."),
    ("rewrite name suffix .com .org", "com.", "com."),
    ("rewrite name substring service svc", "com.coredns.", "com.coredns."),
    ("rewrite name substring a b", "a.a.c.", "b.b.c."),
    ("rewrite name substring a b", "aa.ca.c.", "ab.cb.c."),
    ("rewrite name exact a.com b.com", "A.CoM.", "b.com."),
    ("rewrite name exact A.com B.com", "a.com.", "b.com."),
    ("rewrite name exact a.com b.com", "x.a.com.", "x.a.com."),
    (r"rewrite name regex (.*)\.A\. {1}.b", "x.a.", "x.a."),
    (r"rewrite name regex b c.d", "abc.", "c.d."),
    (r"rewrite name regex ^(a)(x)?\. {1}{2}.b", "a.", "a.b."),
    (r"rewrite name regex ^(a)\. {2}.b", "a.", "{2}.b."),
    (r"rewrite name regex ^(.*)(\.a\.)$ {1}.{0}b", "{0}.a.", "{0}.{0}.a.b."),
    (r"rewrite name regex ^(.*)\.(a)\.$ {1}.{2}", "{2}.a.", "{2}.a."),
    ("rewrite name suffix .a .b\nrewrite name suffix .b .c", "x.a.", "x.b."),
    ("rewrite continue name suffix .a .b\nrewrite name suffix .b .c", "x.a.", "x.c."),
    ("rewrite continue name suffix .a .b\nrewrite name suffix .a .c", "x.a.", "x.b."),
    ("rewrite name suffix .local. .", "a.local.", "a."),
    (r"rewrite name exact a\.b.c d.c", r"a\.b.c.", "d.c."),
    (r"rewrite name exact a\. b", r"a\..", "b."),
]


@pytest.mark.parametrize(("rules", "question", "expected"), QUESTIONS)
async def test_question(rules: str, question: str, expected: str) -> None:
    assert await asked_for(rules, question) == expected


OWNERS = [  # rules, question, owner name in the reply; behind them every name is answered
    ("rewrite name prefix prefix to", "prefix.nl.", "to.nl."),
    ("rewrite name suffix .suffix. .nl.", "to.suffix.", "to.nl."),
    ("rewrite name substring from.substring to", "from.substring.nl.", "to.nl."),
    (r"rewrite name regex (f.*m)\.regex\.(nl) to.{2}", "from.regex.nl.", "to.nl."),
    ("rewrite name suffix .ingress.a nginx.a", "x.ingress.a.", "xnginx.a."),
    ("rewrite name prefix foo bar answer auto", "foo.example.com.", "foo.example.com."),
    ("rewrite name suffix com org answer auto", "foo.example.com.", "foo.example.com."),
    ("rewrite name suffix .com .org answer auto", "foo.example.com.", "foo.example.com."),
    ("rewrite name suffix .ingress.a nginx.a answer auto", "x.ingress.a.", "x.ingress.a."),
    ("rewrite name substring b c answer auto", "a.b.d.", "a.b.d."),
    ("rewrite name exact a.rocks b.consul answer auto", "a.rocks.", "a.rocks."),
    ("rewrite name exact a.rocks b.consul", "a.rocks.", "a.rocks."),
    ("rewrite name a.rocks b.consul", "a.rocks.", "a.rocks."),
    ("rewrite name exact a.org. b.consul.", "a.rocks.", "a.rocks."),
    (r"rewrite name regex (.*)\.rocks {1}.maps answer auto", "foo.rocks.", "foo.rocks."),
    (r"rewrite name regex (.*).rocks {1}.maps answer name (.*).maps {1}.up", "a.rocks.", "a.up."),
    (r"rewrite name regex (.*)\.rocks {1}.maps", "foo.rocks.", "foo.maps."),
    (
        "rewrite name regex (.*).a {1}.b answer name (.*).C {1}.d name (.*).b {1}.C",
        "x.a.",
        "x.d.",
    ),
    (
        "rewrite continue name suffix .a .b answer auto\nrewrite name suffix .b .c answer auto",
        "x.a.",
        "x.a.",
    ),
    ("rewrite continue name suffix .a .b\nrewrite name suffix .b .c answer auto", "x.a.", "x.b."),
    ("rewrite name exact a b answer name ^a. c", "a.", "a."),  # the last rule comes first
    ("rewrite name exact a b answer name ^b. c", "a.", "c."),
]


@pytest.mark.parametrize(("rules", "question", "expected"), OWNERS)
async def test_owner(rules: str, question: str, expected: str) -> None:
    reply = await resolved(rules, query(question), Printer())
    assert owners(reply.answer) == [expected]


SPELLINGS = [  # D11: names that are the client's are spelled as the client spells them
    ("rewrite name exact web.old.x web.new.y", "WEB.Old.x.", "WEB.Old.x."),
    ("rewrite name suffix .old.x .new.y answer auto", "WEB.Old.X.", "WEB.Old.X."),
    (r"rewrite name regex (.*)\.x {1}.y answer auto", "WEB.Old.X.", "WEB.Old.X."),
    (r"rewrite name regex (.*)\.x {1}.y answer name (.*)\.y {1}.x", "WEB.Old.X.", "WEB.Old.X."),
    (
        "rewrite continue name suffix .a .b answer auto\nrewrite name suffix .b .c answer auto",
        "X.A.",
        "X.A.",
    ),
    ("rewrite type AAAA A", "WEB.x.", "WEB.x."),
    ("rewrite name suffix .x .x", "WEB.x.", "WEB.x."),
]


@pytest.mark.parametrize(("rules", "question", "expected"), SPELLINGS)
async def test_spelled_as_asked(rules: str, question: str, expected: str) -> None:
    class Echo(Printer):
        async def __call__(self, query: "object") -> Reply:
            await super().__call__(query)  # type: ignore[arg-type]
            name = str(self.asked[-1].question.label)
            return Reply(answer=records(f"{name} A 10.0.0.1"))

    reply = await resolved(rules, query(question), Echo())
    assert owners(reply.answer) == [expected]


async def test_names_below_and_beside_are_spelled_as_far_as_they_are_the_question() -> None:
    answer = "a.b.c. SRV 0 0 1 x.a.b.c.\na.b.c. CNAME other.b.c.\na.b.c. CNAME a.B.elsewhere."
    rules = (
        "rewrite name suffix .b.c .old.z answer auto\nrewrite name suffix .old.z .b.c answer auto"
    )
    reply = await resolved(rules, query("A.Old.Z."), Printer(answer))
    assert [text.rpartition(" ")[2] for text in texts(reply.answer)] == [
        "x.A.Old.Z.",
        "other.Old.Z.",
        "a.B.elsewhere.",
    ]


REGEX = r"rewrite name regex (.*)\.domain\.uk {1}.cluster.local answer name (.*)\.cluster\.local "
REGEX += r"{1}.domain.uk answer value (.*)\.cluster\.local {1}.domain.uk"
WAYS_BACK = {
    "regex": REGEX,
    "continue": REGEX.replace("rewrite", "rewrite continue"),
    "suffix": r"rewrite name suffix .domain.uk .cluster.local answer auto "
    r"answer value (.*)\.cluster\.local {1}.domain.uk",
    "two rules": "rewrite continue name suffix .domain.uk .domain.us answer auto\n"
    "rewrite name suffix .domain.us .cluster.local answer auto",
}
SOA = "1502165581 14400 3600 604800 14400"
NAPTR = '100 10 "S" "SIP+D2U" "!^.*$!sip:customer-service@example.com!"'
VALUES = [  # type, rdata behind, rdata in the reply
    ("SRV", "0 100 100 srv1.my.cluster.local.", "0 100 100 srv1.my.domain.uk."),
    ("CNAME", "cname.cluster.local.", "cname.domain.uk."),
    ("MX", "1 mx1.cluster.local.", "1 mx1.domain.uk."),
    ("NS", "ns1.cluster.local.", "ns1.domain.uk."),
    ("PTR", "ptr.cluster.local.", "ptr.domain.uk."),
    (
        "SOA",
        f"ns1.cluster.local. admin.cluster.local. {SOA}",
        f"ns1.domain.uk. admin.cluster.local. {SOA}",
    ),
    ("NAPTR", f"{NAPTR} _sip._udp.cluster.local.", f"{NAPTR} _sip._udp.domain.uk."),
    ("TXT", '"x.cluster.local."', '"x.cluster.local."'),
    ("A", "10.0.0.1", "10.0.0.1"),
    ("CNAME", "elsewhere.example.", "elsewhere.example."),
]


@pytest.mark.parametrize("rules", WAYS_BACK.values(), ids=WAYS_BACK)
@pytest.mark.parametrize(("qtype", "before", "after"), VALUES)
async def test_values(rules: str, qtype: str, before: str, after: str) -> None:
    glue = "glue.cluster.local. 5 IN A 10.0.0.1"
    behind = Printer(f"my.cluster.local. 5 IN {qtype} {before}", glue)
    reply = await resolved(rules, made("my.domain.uk.", qtype), behind)
    assert texts(reply.answer) == texts(records(f"my.domain.uk. 5 IN {qtype} {after}"))
    assert owners(reply.additional) == ["glue.domain.uk."]


@pytest.mark.parametrize("rules", WAYS_BACK.values(), ids=WAYS_BACK)
@pytest.mark.parametrize("rdata", [DNAME("x.cluster.local"), RD(b"\1x\7cluster\5local\0")])
async def test_dname(rules: str, rdata: RD) -> None:
    """dnslib cannot read one from text, and leaves it as octets when it reads a message."""
    behind = Next(Reply(answer=[RR("my.cluster.local", QTYPE.DNAME, ttl=5, rdata=rdata)]))
    reply = await resolved(rules, made("my.domain.uk.", "ANY"), behind)
    (record,) = reply.answer
    assert (str(record.rname), str(record.rdata.label)) == ("my.domain.uk.", "x.domain.uk.")


async def test_dname_that_is_none_stays_as_it_is() -> None:
    record = RR("b.", QTYPE.DNAME, rdata=RD(b"\7x"))
    reply = await resolved("rewrite name exact a b", query("a."), Next(Reply(answer=[record])))
    assert reply.answer[0].rdata is record.rdata


REMAPPED = [  # `exact example.org example.com`: owner behind, owner in the reply
    ("example.com.", "example.org."),
    ("EXAMPLE.com.", "example.org."),
    ("sub.example.com.", "sub.example.org."),
    ("a.b.example.com.", "a.b.example.org."),
    ("notexample.com.", "notexample.com."),
    ("example.net.", "example.net."),
    ("com.", "com."),
]


@pytest.mark.parametrize(("owner", "expected"), REMAPPED)
async def test_exact_turns_back_names_below_too(owner: str, expected: str) -> None:
    behind = Printer(f"{owner} 5 CNAME {owner}")
    reply = await resolved("rewrite name example.org example.com", query("example.org."), behind)
    assert texts(reply.answer) == [f"{expected} 5 IN CNAME {expected}"]


async def test_all_sections_are_turned_back() -> None:
    behind = Next(Reply(authority=records("b. NS ns.b."), additional=records("ns.b. A 10.0.0.1")))
    reply = await resolved("rewrite name exact a b", query("a."), behind)
    assert texts(reply.authority) == ["a. 0 IN NS ns.a."]
    assert owners(reply.additional) == ["ns.a."]


async def test_records_behind_stay_as_they_are() -> None:
    """They may be what an index or a cache has."""
    kept = records("b. 5 SRV 0 0 1 x.b.")
    section = list(kept)
    await resolved("rewrite name exact a b", query("a."), Next(Reply(answer=section)))
    assert section == kept
    assert texts(kept) == ["b. 5 IN SRV 0 0 1 x.b."]


async def test_reply_holds_as_long_as_the_one_behind() -> None:
    keys = frozenset({("apex",)})
    behind = Reply(answer=records("b. A 10.0.0.1"), keys=keys, until=math.inf, authoritative=True)
    reply = await resolved("rewrite name exact a b", query("a."), Next(behind))
    assert (reply.keys, reply.until, reply.authoritative) == (keys, math.inf, True)


async def test_the_query_itself_stays_as_it_came() -> None:
    asked = query("A.", "TXT")
    behind = Printer()
    await resolved("rewrite continue name a b\nrewrite type TXT A", asked, behind)
    assert asked.question == Question.of("A.", 16)
    assert behind.asked[0].question == Question.of("b.", 1)


async def test_what_is_set_behind_counts() -> None:
    """`header` sets flags of the query, and those of the reply follow."""

    async def header(asked: object) -> Reply:
        asked.flags = 0  # type: ignore[attr-defined]
        return Reply()

    asked = query("a.", flags=0x0100)
    await resolved("rewrite name a b", asked, header)
    assert asked.flags == 0


async def test_nothing_that_fits() -> None:
    asked, behind = query("a."), Next(Reply())
    assert await parsed("rewrite name b c").resolve(asked, behind) is behind.reply
    assert behind.asked == [asked]


async def test_no_reply_stays_none() -> None:
    assert await parsed("rewrite name a b").resolve(query("a."), Next(None)) is None


@pytest.mark.parametrize(
    ("rules", "question", "name"),
    [
        ("rewrite name example.org. example..org.", "example.org.", "example..org."),
        (r"rewrite name regex ^(.*)\.a\.$ .{1}", "b.a.", ".b."),
        (r"rewrite name suffix .a {X}".replace("{X}", "x" * 64), "b.a.", "b" + "x" * 64 + "."),
    ],
)
async def test_invalid_name(rules: str, question: str, name: str) -> None:
    with pytest.raises(ResolveError, match="invalid name after rewrite") as raised:
        await resolved(rules, query(question), Printer())
    assert str(raised.value).endswith(name)
    assert raised.value.rcode == 2


async def test_invalid_name_in_a_reply() -> None:
    with pytest.raises(ResolveError, match="invalid name after rewrite in a reply: c"):
        await resolved("rewrite name exact a b answer name b c..d", query("a."), Printer())


async def test_error_behind_goes_on() -> None:
    with pytest.raises(ResolveError, match="no way") as raised:
        await resolved("rewrite name a b", query("a."), Next(ResolveError("no way", 5)))
    assert raised.value.rcode == 5


def test_the_question_decides() -> None:
    assert parsed("rewrite name a b\nrewrite type A AAAA\nrewrite cname a b").sees is Sees.QUESTION
