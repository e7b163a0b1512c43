"""The fast answer is the answer of the full path, for any cluster, change and question.

Two ways to the same Index: one as a listener has it, with finished answers and told of every
event's keys, and one that keeps nothing. All that may differ is the order of addresses, where
`loadbalance` gives one.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dns.message
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from hypothesis.strategies import SearchStrategy

from clusterdns.cluster.events import Delete, Event, Upsert
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.kubernetes import Kubernetes
from clusterdns.plugins.loadbalance import LoadBalance
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.server.answers import Answers
from clusterdns.server.block import Block, Router
from clusterdns.server.respond import Responder
from clusterdns.server.steps import Steps
from clusterdns.wire.message import TC
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index
from clusterdns.zone.view import ZoneOptions
from tests.server.asking import (
    AD,
    CD,
    CLIENT,
    LOCAL,
    NOW,
    RD,
    Path,
    opt,
    option,
    query,
    read,
    texts,
)
from tests.server.toys import Toy
from tests.zone.sample import EVERYTHING, HTTP, alias, members, options, service
from tests.zone.test_properties import NAMES as ZONE_NAMES
from tests.zone.test_properties import WORLD, chosen_options, events
from tests.zone.test_properties import step as step_of_walk

FALLTHROUGH = "in-addr.arpa. web.shop.svc.cluster.local."
TYPES = ("A", "A", "A", "AAAA", "SRV", "PTR", "TXT", "SOA", "NS", "CNAME", "ANY", "HTTPS", "DS")
NAMES = [".".join(label.decode() for label in name) for name in ZONE_NAMES]
NAMES += ["a3.cluster.test", "c.cluster.test", "x.cluster.test", "nobody.has.this"]


class Foreign(Plugin):
    """Has three addresses for every name, by a key of its own: ("service", "toy", "a3")."""

    name = "foreign"

    def __init__(self) -> None:
        self.toy = Toy()

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        known = Question.of("a3.cluster.test.", query.question.qtype)
        return await self.toy.resolve(query.inner(known), next)


@dataclass
class Twins:
    """One cluster, asked by two ways."""

    fast: Path
    full: Responder
    index: Index
    toys: tuple[Toy, ...]

    @classmethod
    def of(
        cls, zone_options: ZoneOptions, past: Iterable[Event], transport: str, size: int = 8
    ) -> "Twins":
        """size: of the tables of finished answers."""
        index, missing, outside, toy = Index(EVERYTHING), Foreign(), Foreign(), Toy()
        for event in past:
            index.apply(event, NOW)
        kubernetes = Kubernetes(zone_options, index, FALLTHROUGH.split())
        zones = [str(zone).lower() for zone in zone_options.zones]

        def router() -> Router:
            return Router(
                [
                    Block(zones, [LoadBalance(), kubernetes, missing]),
                    Block(["cluster.test."], [toy]),
                    Block(["com."], [outside]),
                ]
            )

        full = Responder(router(), Answers(), transport, LOCAL)
        toys = (missing.toy, outside.toy, toy)
        return cls(Path(router(), transport, size, size), full, index, toys)

    def apply(self, event: Event, now: float) -> None:
        self.fast.answers.forget(self.index.apply(event, now))

    def check(self, octets: bytes) -> None:
        """Asked twice, the second time of what was kept at the first."""
        for _ in range(2):
            got = self.fast.ask(octets)
            self.full._answers.clear()
            expected = self.full.respond(octets, CLIENT, NOW)
            assert not isinstance(expected, Steps)
            if got != expected:
                assert got is not None
                assert expected is not None
                assert shown(got) == shown(expected), (octets, read(got), read(expected))


def shown(octets: bytes) -> tuple[object, ...]:
    """All of a reply but the order of records; of one cut off, how much is left.

    Letter case counts: of the question, of owners, and of names in rdata.
    """
    reply = read(octets)
    head = reply.id, reply.flags, reply.rcode(), reply.question[0].to_text(), opt_of(reply)
    sections = (reply.answer, reply.authority, reply.additional)
    if reply.flags & TC:  # which addresses are left is chance
        return *head, len(octets), *map(len, sections)
    return *head, *[sorted(rrset.to_text() for rrset in section) for section in sections]


def opt_of(reply: dns.message.Message) -> tuple[object, ...]:
    return reply.edns, reply.payload, reply.ednsflags, tuple(reply.options)


def spelled(name: str, dice: random.Random) -> str:
    return "".join(dice.choice((letter.upper(), letter)) for letter in name)


OPTIONS = (option(10, b"12345678"), option(10, b"87654321"), option(12, bytes(9)))
FEW_NAMES = (
    "web.shop.svc.cluster.local",  # falls through where it does not exist
    "db.shop.svc.cluster.local",
    "db.shop.svc.cluster.local",
    "a.db.shop.svc.cluster.local",
    "_http._tcp.db.shop.svc.cluster.local",
    "10-0-0-1.shop.pod.cluster.local",
    "shop.svc.cluster.local",
    "cluster.local",
    "1.0.0.10.in-addr.arpa",
    "a3.cluster.test",
    "nobody.has.this",
)
opts = st.one_of(
    st.sampled_from((b"", opt())),
    st.builds(
        opt,
        st.sampled_from((0, 512, 530, 1232, 65535)),
        do=st.booleans(),
        options=st.lists(st.sampled_from(OPTIONS), max_size=2).map(b"".join),
    ),
)
# One question in the forms that clients give it: all that is one to a client, and nearly is.
forms = st.fixed_dictionaries(
    {
        "spelling": st.sampled_from((None, None, 1, 2)),
        "id": st.sampled_from((0, 65535)),
        "flags": st.sampled_from((RD, RD, RD, 0, RD | CD, RD | AD, 0x0200 | RD, 4 << 11)),
        "qclass": st.sampled_from((1, 1, 1, 1, 1, 1, 1, 3, 255)),
        "opt": opts,
        "more": st.sampled_from((b"", b"", b"", b"junk")),
    }
)
changes: SearchStrategy[Event] = st.one_of(
    events,
    st.sampled_from(("example.com", "a3.cluster.test", "web.shop.svc.cluster.local")).map(
        lambda target: Upsert(alias("db", target))
    ),
    st.sampled_from(("10.0.0.1", "10.0.0.2 fd00::1")).map(
        lambda ips: Upsert(service("db", ips, HTTP))
    ),
    st.sampled_from(("10.0.0.1", "10.0.0.1 10.0.0.2 10.0.0.3")).map(
        lambda ips: Upsert(members("db", ips, HTTP))
    ),
)


def in_form(name: str, qtype: str, form: dict[str, Any]) -> bytes:
    given = dict(form)
    if spelling := given.pop("spelling"):
        name = spelled(name, random.Random(spelling))
    return query(name, qtype, **given)


class Serving(RuleBasedStateMachine):
    """Events and questions in any order."""

    @initialize(
        past=st.lists(changes, max_size=8),
        world=st.sampled_from((WORLD, WORLD, WORLD, [])),
        chosen=chosen_options,
        transport=st.sampled_from(("udp", "udp", "tcp")),
    )
    def start(
        self, past: list[Event], world: list[Event], chosen: ZoneOptions, transport: str
    ) -> None:
        self.twins = Twins.of(chosen, [*world, *past], transport)
        self.asked: list[bytes] = []
        self.now = NOW

    @rule(event=changes, seconds=st.sampled_from((0, 0, 1, 1000)))
    def happens(self, event: Event, seconds: int) -> None:
        self.now += seconds
        self.twins.apply(event, self.now)
        self.ask_again()

    @rule(
        name=st.one_of(st.sampled_from(FEW_NAMES), st.sampled_from(NAMES)),
        qtype=st.sampled_from(TYPES),
        found=st.lists(forms, min_size=2, max_size=6),
    )
    def is_asked(self, name: str, qtype: str, found: list[dict[str, Any]]) -> None:
        queries = [in_form(name, qtype, form) for form in found]
        self.asked += queries
        for octets in queries:
            self.twins.check(octets)

    @rule(value=st.integers(0, 255))
    def what_is_foreign_changes(self, value: int) -> None:
        for toy in self.twins.toys:
            toy.values[b"a3"] = value
        self.twins.fast.answers.forget([("service", "toy", "a3")])
        self.ask_again()

    def ask_again(self) -> None:
        for octets in self.asked[-20:]:
            self.twins.check(octets)


TestServing = Serving.TestCase
TestServing.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("seed", range(6))
def test_all_names_on_a_long_walk(seed: int) -> None:
    """As above, but every name after each change: what no chance question would find."""
    dice = random.Random(seed)
    chosen = options(
        pods=dice.choice(("insecure", "verified")),
        namespaces=dice.choice((None, frozenset({"shop"}))),
        endpoint_pod_names=dice.random() < 0.5,
    )
    walk = [step_of_walk(dice) for _ in range(45)]
    twins = Twins.of(chosen, [*WORLD, *walk[:30]], dice.choice(("udp", "tcp")), size=4096)
    asked = [
        query(name, dice.choice(TYPES), opt=dice.choice((b"", opt(), opt(600))))
        for name in dice.sample(NAMES, 60)
    ]
    for event in walk[30:]:
        for octets in asked:
            twins.check(octets)
        twins.apply(event, NOW)
    assert twins.fast.answers.hits > len(walk[30:]) * len(asked) * 0.75  # it was fast indeed


A_QUERY = query("db.shop.svc.cluster.local")
RESTS_ON: dict[str, tuple[list[Event], bytes, list[Event | str]]] = {
    # what there is, what is asked, and what must be seen when it happens; a word is a foreign key
    "an alias to another block": ([Upsert(alias("db", "x.example.com"))], A_QUERY, [
        "a3", Upsert(alias("db", "y.example.com")), Delete("Service", "shop", "db"),
        Delete("Namespace", "", "shop"),
    ]),
    "an alias to another block, NODATA there": (
        [Upsert(alias("db", "x.cluster.test"))], A_QUERY, ["x", Delete("Service", "shop", "db")],
    ),
    "aliases through the zone, then out of it": (
        [Upsert(alias("db", "tcp.shop.svc.cluster.local")), Upsert(alias("tcp", "x.example.com"))],
        A_QUERY,
        ["a3", Delete("Service", "shop", "tcp"), Delete("Service", "shop", "db")],
    ),
    "what falls through": ([], query("web.shop.svc.cluster.local"), [
        "a3", Upsert(service("web", "10.0.0.1")), Delete("Namespace", "", "shop"),
    ]),
    "a reverse name that falls through": ([], query("1.0.0.10.in-addr.arpa", "PTR"), [
        "a3", Upsert(service("web", "10.0.0.1")), Upsert(members("web", "10.0.0.1")),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("past", "octets", "seen"), RESTS_ON.values(), ids=RESTS_ON)
def test_what_an_answer_of_two_places_rests_on(
    past: list[Event], octets: bytes, seen: list[Event | str]
) -> None:
    """The keys of both: each alone forgets it, and nothing else does."""
    for what in seen:
        twins = Twins.of(options(), [*WORLD, *past], "udp")
        twins.check(octets)
        kept = len(twins.fast.answers)
        twins.fast.answers.forget([("service", "shop", "cache"), ("address", b"\x0a\0\0\7")])
        assert len(twins.fast.answers) == kept == 1
        if isinstance(what, str):
            twins.fast.answers.forget([("service", "toy", what)])
        else:
            twins.apply(what, NOW)
        assert len(twins.fast.answers) == 0, what
        twins.check(octets)


def test_an_alias_out_of_every_zone_is_kept_alone() -> None:
    """REFUSED there is no news; that it could not be had, ever, decides nothing either."""
    twins = Twins.of(options(), [*WORLD, Upsert(alias("db", "example.org"))], "udp")
    for _ in range(2):
        assert texts(twins.fast.ask(A_QUERY)) == [
            "db.shop.svc.cluster.local. 5 IN CNAME example.org."
        ]
    assert twins.fast.was_raw
