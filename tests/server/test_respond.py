import asyncio
import dataclasses
import logging
import random
import struct
from collections.abc import Sequence

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from dnslib import QTYPE, RR, SOA, A, DNSLabel
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns import metrics
from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin, Sees
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.server.answers import Answers
from clusterdns.server.respond import Responder
from clusterdns.server.steps import Steps
from clusterdns.wire.edns import OUR_SIZE, Option
from clusterdns.wire.message import encode, reply_flags
from clusterdns.wire.question import Question
from tests.server.asking import opt, option, query, read, texts
from tests.server.toys import ZONE, Drops, Gate, Raises, Toy, key_of_label, router


def wire(
    name: str,
    qtype: str = "A",
    *,
    id: int = 4711,
    flags: int = 0x0100,
    size: int | None = None,
    do: bool = False,
    options: bytes = b"",
    qclass: int = 1,
    version: int = 0,
) -> bytes:
    """A query. size: in its OPT record; None: without one."""
    record = b"" if size is None else opt(size, do=do, version=version, options=options)
    return query(name, qtype, id=id, flags=flags, qclass=qclass, opt=record)


PEER = ("192.0.2.7", 5353)
LOCAL = ("127.0.0.1", 53)
DO, CD, AD, RD, AA, RA, TC = 0x8000, 0x10, 0x20, 0x100, 0x400, 0x80, 0x200


def responder(*plugins: Plugin, transport: str = "udp") -> Responder:
    return Responder(router(*plugins), Answers(), transport, LOCAL)


def ask(server: Responder, octets: bytes, now: float = 1.0) -> bytes | None:
    """The reply of a server whose plugins do not wait."""
    reply = server.respond(octets, PEER, now)
    assert not isinstance(reply, Steps)
    return reply


def answer(server: Responder, octets: bytes, now: float = 1.0) -> dns.message.Message:
    reply = ask(server, octets, now)
    assert reply is not None
    return read(reply)


class Says(Plugin):
    """Always the same reply; keeps the last query."""

    name = "says"

    def __init__(self, **reply: object) -> None:
        self.reply = Reply(**reply)  # type: ignore[arg-type]
        self.query: Query | None = None

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        self.query = query
        return dataclasses.replace(self.reply)


def plain_chain() -> Responder:
    errors = Raises(
        refused=ResolveError("no", 5),
        failed=ResolveError("upstream silent"),
        crash=ZeroDivisionError("oh"),
    )
    return responder(errors, Drops(), Toy())


COOKIE = 10
HEADER = struct.Struct("!6H")


def header(flags: int = 0, *counts: int) -> bytes:
    return HEADER.pack(0xABCD, flags, *(counts or (1, 0, 0, 0)))


QUESTION = wire("a1.cluster.test")[12:]
NOTIFY, UPDATE = 4 << 11, 5 << 11
DROPPED = {
    "1.1.1 nothing": b"",
    "1.1.1 shorter than a header": header()[:11],
    "1.1.1 a reply": header(0x8000) + QUESTION,
    "1.1.1 a reply with an unknown opcode": header(0x8000 | UPDATE) + QUESTION,
    "1.1.1 a plugin that drops": wire("drop.cluster.test"),
}


@pytest.mark.parametrize("octets", DROPPED.values(), ids=DROPPED)
def test_no_reply(octets: bytes) -> None:
    assert ask(plain_chain(), octets) is None


REFUSALS = {
    # octets, rcode, whether the question is in the reply
    "1.1.2 UPDATE": (header(UPDATE) + QUESTION, "NOTIMP", False),
    "1.1.2 no question": (header(0, 0, 0, 0, 0), "FORMERR", False),
    "1.1.2 two questions": (header(0, 2, 0, 0, 0) + QUESTION * 2, "FORMERR", False),
    "1.1.3 a name that is cut off": (header() + b"\3ab", "FORMERR", False),
    "1.1.3 a pointer to itself": (header() + b"\xc0\x0c\0\1\0\1", "FORMERR", False),
    "D23 a bare header": (header(), "FORMERR", False),
    "D27 a question without type": (header() + QUESTION[:-4], "FORMERR", False),
    "D27 absent records": (header(0, 1, 0, 0, 1) + QUESTION, "FORMERR", True),
    "D28 NOTIFY": (header(NOTIFY) + QUESTION, "REFUSED", True),
    "1.1.5 2 class CH": (wire("a1.cluster.test", qclass=3), "REFUSED", True),
    "1.1.5 2 class ANY": (wire("a1.cluster.test", qclass=255), "REFUSED", True),
    "1.1.5 3 EDNS version 1": (wire("a1.cluster.test", size=512, version=1), "BADVERS", True),
    "1.1.5 the class comes before the version": (
        wire("a1.cluster.test", qclass=3, size=512, version=1),
        "REFUSED",
        True,
    ),
    "1.1.5 4 another zone": (wire("a1.cluster.example"), "REFUSED", True),
    "1.1.5 5 end of the chain": (wire("deep.er.cluster.test"), "SERVFAIL", True),
    "a plugin's rcode": (wire("refused.cluster.test"), "REFUSED", True),
    "a plugin that could not answer": (wire("failed.cluster.test"), "SERVFAIL", True),
    "1.1.5 6 a plugin that crashes": (wire("crash.cluster.test"), "SERVFAIL", True),
}


@pytest.mark.parametrize(("octets", "rcode", "question"), REFUSALS.values(), ids=REFUSALS)
def test_refusal(octets: bytes, rcode: str, question: bool) -> None:
    reply = answer(plain_chain(), octets)
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert bool(reply.question) == question
    assert reply.id == int.from_bytes(octets[:2], "big")
    assert not reply.flags & dns.flags.AA
    assert reply.flags & dns.flags.QR
    assert reply.sections[1:] == [[], [], []]


class AnyClass(Toy):
    any_class = True


def test_other_classes_reach_a_block_that_wants_them() -> None:
    reply = answer(responder(AnyClass()), wire("a1.cluster.test", qclass=3))
    assert reply.rcode() == 0


def test_badvers_has_our_opt() -> None:
    """D6."""
    reply = answer(plain_chain(), wire("a1.cluster.test", size=4096, version=3, do=True))
    assert (reply.edns, reply.payload, reply.ednsflags & DO) == (0, OUR_SIZE, DO)


BITS = {
    # query flags, reply of the plugin, flags of the reply
    "1.2.3 RD and CD are copied": (RD | CD, {}, RD | CD),
    "1.2.3 nothing to copy": (0, {}, 0),
    "1.2.3 Z, AD, RA, TC, AA of a query are not": (0x06E0, {}, 0),
    "1.2.3 AA": (0, {"authoritative": True}, AA),
    "1.2.3 TC as found upstream": (0, {"truncated": True}, TC),
    "RA as the plugin says": (0, {"recursion": True}, RA),
    "AD for who asks with AD": (AD, {"authentic": True}, AD),
    "RFC 6840 5.8 AD for nobody else": (0, {"authentic": True}, 0),
}


@pytest.mark.parametrize(("asked", "reply", "expected"), BITS.values(), ids=BITS)
def test_header_bits(asked: int, reply: dict[str, object], expected: int) -> None:
    got = answer(responder(Says(**reply)), wire("a.cluster.test", flags=asked))
    assert got.flags == 0x8000 | expected


def test_recursive_blocks_set_ra_on_everything_they_answer() -> None:
    """D33."""

    class Forward(Toy):
        recursive = True

    server = responder(Raises(failed=ResolveError("upstream silent")), Forward())
    for name in ("a1", "nx", "failed"):
        assert answer(server, wire(f"{name}.cluster.test")).flags & RA
    assert not answer(server, wire("a1.example.org")).flags & RA


def test_ad_for_who_asks_with_do() -> None:
    server = responder(Says(authentic=True))
    assert answer(server, wire("a.cluster.test", size=512, do=True)).flags & AD


OPTS = {
    # size of the query's OPT, DO, reply of the plugin -> OPT of the reply
    "1.2.1 none without one": (None, False, {}, None),
    "D5 our size": (4096, False, {}, (OUR_SIZE, 0, ())),
    "1.2.1 DO is copied": (0, True, {}, (OUR_SIZE, DO, ())),
    "1.2.1 forced": (None, False, {"force_edns": True}, (OUR_SIZE, DO, ())),
    "options of the plugin": (
        512,
        False,
        {"options": [Option(15, b"\0\x0f")]},
        (OUR_SIZE, 0, (dns.edns.EDEOption(dns.edns.EDECode.BLOCKED),)),
    ),
}


@pytest.mark.parametrize(("size", "do", "reply", "expected"), OPTS.values(), ids=OPTS)
def test_opt(
    size: int | None,
    do: bool,
    reply: dict[str, object],
    expected: tuple[int, int, Sequence[dns.edns.Option]] | None,
) -> None:
    asked = wire("a.cluster.test", size=size, do=do, options=option(COOKIE, b"8 octets"))
    got = answer(responder(Says(**reply)), asked)
    if expected is None:
        assert got.edns == -1
    else:
        assert (got.edns, got.payload, got.ednsflags, got.options) == (0, *expected)


def test_extended_rcode() -> None:
    assert answer(responder(Says(rcode=23)), wire("a.cluster.test", size=512)).rcode() == 23
    assert answer(responder(Says(rcode=23)), wire("a.cluster.test")).rcode() == 2


LIMITS = {
    "1.2.2 without OPT": ("udp", None, 512),
    "1.2.2 OPT below 512": ("udp", 100, 512),
    "1.2.2 OPT": ("udp", 1500, 1500),
    "1.2.2 TCP": ("tcp", 600, 65535),
}


@pytest.mark.parametrize(("transport", "size", "limit"), LIMITS.values(), ids=LIMITS)
def test_limit(transport: str, size: int | None, limit: int) -> None:
    server = responder(Toy(), transport=transport)
    octets = ask(server, wire("a300.cluster.test", size=size))
    assert octets is not None
    assert limit - 16 < len(octets) <= limit or (limit == 65535 and len(octets) > 4800)
    assert bool(read(octets).flags & TC) == (limit < 65535)


def test_what_a_plugin_is_told() -> None:
    says = Says()
    octets = wire("A.cluster.test", size=900, flags=RD | CD)
    ask(responder(says), octets, 10.0)
    query = says.query
    assert query is not None
    assert (query.octets, query.question.text, query.flags) == (octets, "a.cluster.test.", RD | CD)
    assert (query.peer, query.local, query.transport) == (PEER, LOCAL, "udp")
    assert (query.limit, query.zone, query.depth) == (900, ZONE, 0)
    assert (query.received, query.deadline) == (10.0, 15.0)


def soa_reply(zone: str, mname: str, rname: str, rcode: int = 3) -> Reply:
    soa = SOA(DNSLabel(mname), DNSLabel(rname), (7, 7200, 1800, 86400, 30))
    return Reply(rcode=rcode, authority=[RR(zone, QTYPE.SOA, ttl=9, rdata=soa)])


NEGATIVES = {
    "the cluster's": soa_reply(ZONE, f"ns.dns.{ZONE}", f"hostmaster.{ZONE}"),
    "names that are the zone's": soa_reply(ZONE, ZONE, ZONE, 0),
    "the root's": soa_reply(".", "a.root.", "x.y."),
    "names outside of the zone": soa_reply(ZONE, "ns.example.org", f"hostmaster.{ZONE}"),
    "a zone that the question is not in": soa_reply("x.org", "ns.x.org", "h.x.org"),
    "a zone spelled otherwise": soa_reply(ZONE.upper(), f"ns.{ZONE}", f"hostmaster.{ZONE}"),
    "an rcode that needs OPT": soa_reply(ZONE, f"ns.dns.{ZONE}", f"hostmaster.{ZONE}", 23),
}


@pytest.mark.parametrize("reply", NEGATIVES.values(), ids=NEGATIVES)
@pytest.mark.parametrize("name", ["a.cluster.test", "x.y.a.cluster.test", "cluster.test"])
def test_negative_replies_say_what_the_records_say(reply: Reply, name: str) -> None:
    """Whatever zone the SOA record is of, and wherever its names are."""

    class Says(Plugin):
        name = "says"

        async def resolve(self, query: Query, next: Resolve) -> Reply | None:
            return reply

    got = answer(responder(Says()), wire(name, size=512))
    expected = encode(
        id=4711,
        flags=reply_flags(RD),
        question=Question.of(name, QTYPE.A),
        rcode=reply.rcode,
        authority=reply.authority,
        edns=None,
        limit=512,
    )
    assert got.authority == read(expected).authority
    assert [rrset.ttl for rrset in got.authority] == [9]
    assert got.rcode() == reply.rcode
    assert got.flags & ~0xF == read(expected).flags & ~0xF


def test_a_crash_is_counted_and_logged_once_in_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("clusterdns.server.respond.time.monotonic", lambda: clock[0])
    server = responder(Raises(crash=ZeroDivisionError("oh")), Toy())
    before = metrics.panics.total()
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            ask(server, wire("crash.cluster.test"))
        clock[0] += 2
        ask(server, wire("crash.cluster.test"))
    assert metrics.panics.total() - before == 6
    assert [record.getMessage() for record in caplog.records] == [
        "query from 192.0.2.7 failed",
        "query from 192.0.2.7 failed (4 more failed since the last such message)",
    ]
    assert caplog.records[0].exc_info is not None


def test_records_that_cannot_be_encoded_are_servfail(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(A):  # type: ignore[misc]
        def pack(self, buffer: object) -> None:
            raise ValueError("no octets")

    broken = RR("a.cluster.test", QTYPE.A, rdata=Broken("1.2.3.4"))
    with caplog.at_level(logging.CRITICAL):  # whether it is logged is not the point
        reply = answer(responder(Says(answer=[broken])), wire("a.cluster.test"))
    assert reply.rcode() == 2


class TestKeeping:
    def asks(self, server: Responder, toy: Toy, octets: bytes, times: int = 3) -> int:
        """How often the plugin was asked for so many of the same query over the full path."""
        toy.asked = 0
        for _ in range(times):
            if server._answers.reply(octets, 1.0) is None:
                ask(server, octets)
        return toy.asked

    def test_kept(self) -> None:
        toy = Toy()
        assert self.asks(responder(toy), toy, wire("a1.cluster.test")) == 1

    @pytest.mark.parametrize("sees", [Sees.CLIENT, Sees.EVERY_QUERY])
    def test_not_where_a_plugin_must_see_more(self, sees: Sees) -> None:
        class Curious(Toy):
            pass

        Curious.sees = sees
        toy = Curious()
        assert self.asks(responder(toy), toy, wire("a1.cluster.test")) == 3

    def test_not_where_the_plugin_does_not_say_for_how_long(self) -> None:
        says = Says()
        server = responder(says)
        ask(server, wire("a.cluster.test"))
        assert len(server._answers) == 0

    def test_not_what_is_over(self) -> None:
        server = responder(Says(until=1.0))
        ask(server, wire("a.cluster.test"), now=1.0)
        assert len(server._answers) == 0

    def test_cookies_and_spellings_are_found_at_a_second_look(self) -> None:
        toy = Toy()
        server = responder(toy)
        for number, name in enumerate(["a1.cluster.test", "A1.cluster.test", "a1.CLUSTER.test"]):
            cookie = option(COOKIE, bytes([number] * 8))
            octets = wire(name, size=1232, options=cookie, id=number)
            assert server._answers.reply(octets, 1.0) is None
            got = answer(server, octets)
            assert got.id == number
            assert got.question[0].to_text() == f"{name}. IN A"
            assert texts(got.to_wire()) == [f"{name}. 30 IN A 10.1.0.0"]
        assert toy.asked == 1

    def test_a_plugin_that_reads_an_option_gets_it(self) -> None:
        class Cookies(Toy):
            options = frozenset({10})

        toy = Cookies()
        server = responder(toy)
        for octet in b"aab":
            cookie = option(COOKIE, bytes([octet] * 8))
            ask(server, wire("a1.cluster.test", size=1232, options=cookie))
        assert toy.asked == 2

    async def test_not_what_an_event_may_have_changed_meanwhile(self) -> None:
        gate, toy = Gate(b"a1"), Toy()
        server = responder(gate, toy)
        steps = server.respond(wire("a1.cluster.test"), PEER, 1.0)
        assert isinstance(steps, Steps)
        ended = asyncio.Event()
        steps.then(lambda reply, error: ended.set())
        server._answers.forget([key_of_label(b"other")])
        gate.open.set()
        await ended.wait()
        assert len(server._answers) == 0

    async def test_cancelled_it_is_servfail(self) -> None:
        gate = Gate(b"a1")
        server = responder(gate, Toy())
        steps = server.respond(wire("a1.cluster.test"), PEER, 1.0)
        assert isinstance(steps, Steps)
        told: list[tuple[bytes | None, BaseException | None]] = []
        ended = asyncio.Event()

        def end(reply: bytes | None, error: BaseException | None) -> None:
            told.append((reply, error))
            ended.set()

        steps.then(end)
        steps.cancel()
        async with asyncio.timeout(5):
            await ended.wait()
        [(reply, error)] = told
        assert error is None
        assert reply is not None
        assert read(reply).rcode() == 2
        assert gate.waiting == 0


# What holds for all input.

Names = st.sampled_from(
    ["a1", "a3", "a60", "t3", "t30", "c", "n", "nx", "a1.b", "x" * 63, "a1\\000b", "failed"]
)
Zones = st.sampled_from(["cluster.test", "cluster.test", "example.org"])


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """Queries of few names in many forms."""
    name = f"{draw(Names)}.{draw(Zones)}"
    if draw(st.booleans()):
        name = "".join(random.Random(draw(st.integers(0, 3))).choice([c, c.upper()]) for c in name)
    name = name.replace("X" * 63, "x" * 63)
    options = option(COOKIE, draw(st.sampled_from([b"8 octets", b"8 OCTETS"])))
    return wire(
        name,
        draw(st.sampled_from(["A", "AAAA", "TXT", "SOA", "CNAME"])),
        id=draw(st.integers(0, 0xFFFF)),
        flags=draw(st.sampled_from([0, RD, RD | AD, RD | CD, AD])),
        size=draw(st.sampled_from([None, 0, 512, 600, 1232, 65535])),
        do=draw(st.booleans()),
        options=options if draw(st.booleans()) else b"",
    )


Steps_ = st.lists(
    st.one_of(
        queries(),
        st.tuples(st.sampled_from([b"a1", b"a3", b"t3", b"c", b"n", b"nx"]), st.integers(0, 255)),
        st.integers(0, 2**32 - 1),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(Steps_, st.sampled_from(["udp", "tcp"]))
def test_the_fast_answer_is_that_of_the_full_path(
    steps: list[bytes | tuple[bytes, int] | int], transport: str
) -> None:
    """Whatever is asked, in whatever form, and whatever events come between."""
    toy = Toy()
    chain = (Raises(failed=ResolveError("no")), toy)
    fast, slow = (responder(*chain, transport=transport) for _ in range(2))
    asked: list[bytes] = []
    for step in steps:
        if isinstance(step, bytes):
            asked.append(step)
        elif isinstance(step, int):
            toy.serial = step
        else:
            toy.values[step[0]] = step[1]
            fast._answers.forget([key_of_label(step[0])])
        for octets in asked[-6:]:
            slow._answers.clear()
            reply = fast._answers.reply(octets, 1.0) or ask(fast, octets)
            assert reply == ask(slow, octets)


@settings(max_examples=20, deadline=None)
@given(st.lists(queries(), max_size=4), st.integers(0, 20))
def test_orders_differ_and_nothing_else(asked: list[bytes], times: int) -> None:
    class Shuffled(Toy):
        async def resolve(self, query: Query, next: Resolve) -> Reply | None:
            reply = await super().resolve(query, next)
            if reply is not None and len(reply.answer) > 1:
                random.shuffle(reply.answer)
                reply.reorder = lambda reply: reply
            return reply

    fast, slow = (responder(plugin, transport="tcp") for plugin in (Shuffled(), Toy()))
    for octets in asked * times:
        slow._answers.clear()
        reply = fast._answers.reply(octets, 1.0) or ask(fast, octets)
        expected = ask(slow, octets)
        assert reply is not None
        assert expected is not None
        assert sorted(texts(reply)) == sorted(texts(expected))
        assert (reply[:12], len(reply)) == (expected[:12], len(expected))


def limit_of(octets: bytes, transport: str) -> int:
    """What a reply to these octets may have, by dnspython's reading of them."""
    if transport == "tcp":
        return 65535
    try:
        query = dns.message.from_wire(octets, ignore_trailing=True)
    except Exception:  # dnspython refuses more than we do
        return 65507
    return max(512, query.payload) if query.edns >= 0 else 512


Octets = st.one_of(
    st.binary(max_size=60),
    st.tuples(queries(), st.integers(0, 80), st.binary(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
    ),
    st.tuples(queries(), st.integers(0, 90)).map(lambda parts: parts[0][: parts[1]]),
    st.tuples(st.binary(min_size=10, max_size=10), st.binary(max_size=40)).map(
        lambda parts: b"\0\1" + parts[0] + parts[1]
    ),
)


@settings(max_examples=300, deadline=None)
@given(Octets, st.sampled_from(["udp", "tcp"]))
def test_any_octets(octets: bytes, transport: str) -> None:
    """No exception, no reply to a reply, no reply over its limit."""
    before = metrics.panics.total()
    server = responder(Toy(), transport=transport)
    reply = ask(server, octets)
    assert metrics.panics.total() == before
    if len(octets) < 12 or octets[2] & 0x80:
        assert reply is None
        return
    assert reply is not None
    assert reply[:2] == octets[:2]
    assert reply[2] & 0x80
    assert len(reply) <= limit_of(octets, transport)
    read(reply)
    assert server._answers.reply(octets, 1.0) in (None, reply)
