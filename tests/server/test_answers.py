"""Finished answers: under what they are found again, and when they are not any more."""

import asyncio
import math
import random
from collections import Counter

import pytest
from dnslib import QTYPE, RR, A

from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.waiter import Waiter
from clusterdns.server.answers import Answers
from clusterdns.server.steps import Steps
from clusterdns.wire.question import parse_question
from clusterdns.zone.index import Key
from tests.server.asking import (
    AD,
    CD,
    CLIENT,
    NOW,
    RD,
    Path,
    opt,
    option,
    query,
    read,
    texts,
)
from tests.server.toys import ZONE, Toy, key_of_label, router

COOKIE = opt(options=option(10, b"12345678"))
OTHER_COOKIE = opt(options=option(10, b"abcdefgh"))
PADDING = opt(options=option(12, bytes(30)))


def toy_path(hot: int = 100, cold: int = 100) -> tuple[Toy, Path]:
    toy = Toy()
    return toy, Path(router(toy), hot=hot, cold=cold)


AGAIN: dict[str, tuple[bytes, bytes, bool]] = {
    # the first query, the second one, whether the second one's octets are known
    "the same octets": (query(), query(), True),
    "another id": (query(), query(id=1), True),
    "with OPT": (query(opt=opt()), query(opt=opt(), id=1), True),
    "other letters": (query(), query("A.Cluster.TEST."), False),
    "other letters first": (query("A.cluster.test."), query(), False),
    "a cookie": (query(opt=COOKIE), query(opt=OTHER_COOKIE), False),
    "a cookie and the same without": (query(opt=COOKIE), query(opt=PADDING), False),
    "octets behind": (query(more=b"\0"), query(more=b"junk"), False),
    "sizes of at most 512": (
        query(opt=opt(1, options=option(12))),
        query(opt=opt(512, options=option(12))),
        False,
    ),
    "NODATA in other letters": (query("n.Cluster.test."), query("N.cluster.test."), False),
    "NXDOMAIN": (query("x.cluster.test."), query("x.cluster.test.", id=1), True),
    "NXDOMAIN in other letters": (query("X.cluster.test."), query("x.CLUSTER.test."), False),
}


@pytest.mark.parametrize(("first", "second", "raw"), AGAIN.values(), ids=AGAIN)
def test_what_is_found_again(first: bytes, second: bytes, raw: bool) -> None:
    toy, path = toy_path()
    _, other = toy_path()
    path.ask(first)
    path.ask(first)
    assert path.ask(second) == other.ask(second)
    # Letters in lower case are looked for by their octets only: asked once more, and then known.
    asked = toy.asked
    assert path.ask(second) == other.ask(second)
    assert (toy.asked, path.was_raw) == (asked, raw or key_is_raw(second))
    assert asked <= 2


def key_is_raw(octets: bytes) -> bool:
    return octets == octets.lower() and octets[10:12] == b"\0\0" and octets.endswith(b"\0\1")


def texts_query(opt: bytes) -> bytes:
    """For 9 records of 100 octets."""
    return query("t9.cluster.test.", "TXT", opt=opt)


APART: dict[str, tuple[bytes, bytes]] = {
    "RD": (query(flags=RD), query(flags=0)),
    "CD": (query(flags=RD), query(flags=RD | CD)),
    "AD": (query(flags=RD), query(flags=RD | AD)),
    "OPT or none": (query(), query(opt=opt())),
    "size": (texts_query(opt(600)), texts_query(opt(900))),
    "DO": (query(opt=opt()), query(opt=opt(do=True))),
    "type": (query(), query(qtype="AAAA")),
    "class": (query(), query(qclass=3)),
    "name": (query(), query("a2.cluster.test.")),
    "A and 65 is not a letter": (query("a.cluster.test.", "A"), query("a.cluster.test.", "TYPE97")),
    "DO, by second look": (query(opt=PADDING), query(opt=opt(do=True, options=option(12)))),
    "size, by second look": (
        texts_query(opt(600, options=option(12))),
        texts_query(opt(900, options=option(12))),
    ),
    "RD, by second look": (query("A.cluster.test."), query("A.cluster.test.", flags=0)),
    "OPT, by second look": (query("A.cluster.test."), query("A.cluster.test.", opt=opt())),
}


@pytest.mark.parametrize(("one", "other"), APART.values(), ids=APART)
def test_what_is_kept_apart(one: bytes, other: bytes) -> None:
    """Each is answered as by a server that never heard of the other one."""
    _, path = toy_path()
    for octets in (one, other, one, other):
        assert path.ask(octets) == toy_path()[1].ask(octets)


def with_counts(octets: bytes, an: int = 0, ns: int = 0, ar: int = 0) -> bytes:
    return octets[:6] + bytes([0, an, 0, ns, 0, ar]) + octets[12:]


RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\1\2\3\4"
NEVER_KEPT = {
    "a record in Answer": with_counts(query(more=RECORD), an=1),
    "a record in Authority": with_counts(query(more=RECORD), ns=1),
    "a record in Additional": with_counts(query(more=RECORD), ar=1),
    "a record beside OPT": with_counts(query(more=RECORD + opt()), ar=2),
    "no zone": query("a.other."),
    "class CH": query(qclass=3),
    "EDNS version 1": query(opt=opt(version=1)),
    "NOTIFY": query(flags=4 << 11),
    "STATUS": query(flags=2 << 11),
    "no question": query()[:12],
}


@pytest.mark.parametrize("octets", NEVER_KEPT.values(), ids=NEVER_KEPT)
def test_what_is_never_kept(octets: bytes) -> None:
    _, path = toy_path()
    first = path.ask(octets)
    assert first is not None
    assert path.ask(octets) == first
    assert len(path.answers) == 0
    assert not path.was_raw


def test_a_kept_answer_stays_for_a_query_with_other_records() -> None:
    """The answer to the bare question is not the answer to the one with records."""
    toy, path = toy_path()
    path.ask(query())
    path.ask(NEVER_KEPT["a record in Additional"])
    assert toy.asked == 2


def test_spelled_as_asked() -> None:
    _, path = toy_path()
    for name in ("a.cluster.test.", "A.CLUSTER.TEST.", "a.Cluster.Test.", "A.CLUSTER.TEST."):
        reply = read(path.ask(query(name)))
        assert reply.question[0].name.to_text() == name
        assert [rrset.name.to_text() for rrset in reply.answer] == [name]


def test_an_alias_is_spelled_by_the_plugins() -> None:
    """Its target repeats letters of the question, so it cannot be respelled in finished octets."""
    toy, path = toy_path()
    for name in ("c.Cluster.test.", "C.cluster.TEST.", "c.Cluster.test."):
        target = f"target-1.{name.partition('.')[2]}"
        assert texts(path.ask(query(name))) == [f"{name} 30 IN CNAME {target}"]
    assert toy.asked == 3
    path.ask(query("c.Cluster.test.", id=1))  # spelled as the one kept
    assert toy.asked == 3


@pytest.mark.parametrize(
    ("name", "table"), [("a.cluster.test.", "_hot"), ("n.cluster.test.", "_cold")]
)
def test_records_and_none_have_tables_of_their_own(name: str, table: str) -> None:
    _, path = toy_path()
    path.ask(query(name))
    assert [len(getattr(path.answers, each)) for each in ("_hot", "_cold")] == [
        int(table == each) for each in ("_hot", "_cold")
    ]


def test_a_flood_of_names_that_are_none_drops_no_answers() -> None:
    _, path = toy_path(hot=4, cold=4)
    path.ask(query())
    for i in range(50):
        path.ask(query(f"x{i}.cluster.test."))
    assert len(path.answers) <= 1 + 8
    path.ask(query())
    assert path.was_raw


@pytest.mark.parametrize("kind", ["a", "n"])
def test_a_flood_of_any_names_stays_within_the_bound(kind: str) -> None:
    _, path = toy_path(hot=4, cold=4)
    for i in range(50):
        path.ask(query(f"{kind}{i}.cluster.test."))
    assert len(path.answers) <= 8


def test_an_answer_that_came_to_have_records_is_kept_once() -> None:
    """As after a key that nobody touched: the old one must not come back."""
    answers = Answers(4, 4)
    question = query()[2:]
    asked = parse_question(query())
    answers.keep(question, query(), Reply(until=math.inf), asked, NOW)
    record = RR(ZONE, QTYPE.A, rdata=A("10.0.0.1"))
    answers.keep(question, query(), Reply(answer=[record], until=math.inf), asked, NOW)
    assert len(answers) == 1
    answers.keep(question, query(), Reply(until=math.inf), asked, NOW)
    assert len(answers) == 1


EVENTS: dict[str, tuple[set[Key], str]] = {
    "the key of one": ({key_of_label(b"a1")}, "a1 A1 "),
    "the keys of two": ({key_of_label(b"a1"), key_of_label(b"n1")}, "a1 A1 n1 "),
    "a name that is none": ({key_of_label(b"x1")}, "x1 "),
    "a key that nobody looked at": ({key_of_label(b"a7"), ("namespace", "a1")}, ""),
    "none": (set(), ""),
}


@pytest.mark.parametrize(("keys", "asked_again"), EVENTS.values(), ids=EVENTS)
def test_exactly_what_rests_on_a_key_is_forgotten(keys: set[Key], asked_again: str) -> None:
    toy, path = toy_path()
    labels = ("a1", "a2", "A1", "A2", "n1", "n2", "x1", "c1")
    queries = {label: query(f"{label}.cluster.test.") for label in labels}
    for octets in queries.values():
        path.ask(octets)
    toy.value = 2
    path.answers.forget(keys)
    again = ""
    for label, octets in queries.items():
        before = toy.asked
        reply = read(path.ask(octets))
        again += f"{label} " * (toy.asked > before)
        if label in ("a1", "A1"):
            value = 2 if label in asked_again else 1
            assert [rrset[0].to_text() for rrset in reply.answer] == [f"10.{value}.0.0"]
    assert again == asked_again


def test_clear_drops_all() -> None:
    toy, path = toy_path()
    path.ask(query())
    path.ask(query("n.cluster.test."))
    path.answers.clear()
    assert len(path.answers) == 0
    path.ask(query())
    assert toy.asked == 3


def test_the_serial_of_a_negative_answer_moves_without_asking() -> None:
    toy, path = toy_path()
    for serial in (1, 5, 5, 9):
        toy.serial = serial
        for octets in (query("n.cluster.test."), query("X.cluster.test.")):
            (soa,) = read(path.ask(octets)).authority
            assert soa[0].serial == serial
    assert toy.asked == 2


def test_hits() -> None:
    _, path = toy_path()
    for octets in (query(), query(), query("A.cluster.test."), query("A.Cluster.test.")):
        path.ask(octets)
    assert path.answers.hits == 2
    path.answers.forget([key_of_label(b"a")])
    path.ask(query())
    assert path.answers.hits == 2


class Ends(Plugin):
    """An answer that ends by the clock."""

    name = "ends"

    def __init__(self, until: float) -> None:
        self.until = until
        self.asked = 0

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        self.asked += 1
        record = RR(query.question.label, QTYPE.A, rdata=A((10, 0, 0, self.asked)))
        return Reply(answer=[record], until=self.until)


@pytest.mark.parametrize(
    ("until", "later", "asked"),
    [
        (NOW + 10, 9.99, 1),
        (NOW + 10, 10, 2),
        (NOW, 0, 2),  # at its end already: never kept
        (0.0, 0, 2),
        (math.inf, 1e9, 1),
    ],
)
@pytest.mark.parametrize("name", ["a.cluster.test.", "A.cluster.test."])
def test_until(until: float, later: float, asked: int, name: str) -> None:
    ends = Ends(until)
    path = Path(router(ends))
    path.ask(query(name))
    reply = read(path.ask(query(name), NOW + later))
    assert (ends.asked, str(reply.answer[0][0])) == (asked, f"10.0.0.{asked}")


class Shuffles(Plugin):
    """Addresses in a new order each time, as `loadbalance` has them."""

    name = "shuffles"

    def __init__(self) -> None:
        self.dice = random.Random(1)
        self.asked = 0

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        self.asked += 1
        label = query.question.label
        found = [RR(label, QTYPE.A, rdata=A((10, 0, 0, i))) for i in range(4)]
        return self._shuffled(Reply(answer=found, until=math.inf))

    def _shuffled(self, reply: Reply) -> Reply:
        self.dice.shuffle(reply.answer)
        reply.reorder = self._shuffled
        return reply


@pytest.mark.parametrize(
    "queries",
    [[query()], [query("A.cluster.test."), query("a.CLUSTER.test.")], [query(opt=COOKIE)]],
    ids=["raw", "in any spelling", "with a cookie"],
)
def test_each_address_comes_first(queries: list[bytes]) -> None:
    shuffles = Shuffles()
    path = Path(router(shuffles))
    first = Counter[str]()
    for i in range(4000):
        octets = queries[i % len(queries)]
        reply = read(path.ask(octets))
        assert reply.question[0].name == read(octets).question[0].name
        assert {str(rrset[0]) for rrset in reply.answer} == {f"10.0.0.{i}" for i in range(4)}
        assert {rrset.name.to_text() for rrset in reply.answer} == {
            read(octets).question[0].name.to_text()
        }
        first[str(reply.answer[0][0])] += 1
    assert min(first.values()) > 700, first
    assert shuffles.asked < 100


class Reads(Plugin):
    """Answers by the client's cookie, which it says that it reads."""

    name = "reads"
    options = frozenset({10})

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        found = [each.data for each in query.edns.options if each.code == 10] if query.edns else []
        record = RR(query.question.label, QTYPE.A, rdata=A((10, 0, 0, sum(map(len, found)))))
        return Reply(answer=[record], until=math.inf)


def test_an_option_that_a_plugin_reads_is_part_of_the_question() -> None:
    path = Path(router(Reads()))
    for _ in range(2):
        for size in (8, 16, 24):
            octets = query(opt=opt(options=option(10, bytes(size)) + option(12, bytes(3))))
            assert str(read(path.ask(octets)).answer[0][0]) == f"10.0.0.{size}"
    assert len(path.answers) == 3


class AnyClass(Toy):
    any_class = True


@pytest.mark.parametrize("name", ["a.cluster.test.", "A.cluster.test."])
def test_the_class_is_part_of_the_question(name: str) -> None:
    toy = AnyClass()
    path = Path(router(toy))
    for qclass in (1, 3, 255, 1, 3, 255):
        assert read(path.ask(query(name, qclass=qclass))).question[0].rdclass == qclass
    assert toy.asked == 3


class Waits(Toy):
    """Looks, and then waits for its release."""

    name = "waits"

    def __init__(self) -> None:
        super().__init__()
        self.releases: list[Waiter[None]] = []

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        reply = await super().resolve(query, next)
        waiter = Waiter[None]()
        self.releases.append(waiter)
        await waiter
        return reply


@pytest.mark.parametrize("touched", [True, False])
async def test_what_was_looked_up_before_an_event_is_not_kept_after(touched: bool) -> None:
    waits = Waits()
    path = Path(router(waits))
    steps = path.responder.respond(query(), CLIENT, NOW)
    assert isinstance(steps, Steps)
    if touched:
        path.answers.forget([key_of_label(b"a")])
    else:
        path.answers.forget([])
    (release,) = waits.releases
    release.set(None)
    for _ in range(2):  # a test is a Task, where a Waiter needs the loop's turn
        await asyncio.sleep(0)
    assert steps.done
    assert len(path.answers) == (not touched)
