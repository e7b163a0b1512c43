"""Which server block a name belongs to, and how its plugins are nested."""

import math

import dnslib
import pytest
from dnslib import RR

from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin, Sees
from clusterdns.plugins.query import MAX_DEPTH, Query, Reply, Resolve
from clusterdns.server.block import Block, Router
from clusterdns.server.steps import start
from clusterdns.wire.question import Question
from tests.plugins.asking import query as inner_query
from tests.server.asking import Path, opt, option, query, read, texts
from tests.server.toys import Toy, router


class Says(Plugin):
    """Notes that it was asked, in a list that several share, and passes on or answers."""

    name = "says"

    def __init__(self, word: str, said: list[str], answers: bool = False) -> None:
        self.word, self.said, self.answers = word, said, answers

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        self.said.append(f"{self.word} {query.question.text} in {query.zone}")
        return Reply(until=math.inf) if self.answers else await next(query)


class Configures(Plugin):
    """Is asked for no query."""

    name = "configures"
    sees = Sees.EVERY_QUERY
    options = frozenset({10})


class SeesClient(Says):
    sees = Sees.CLIENT


class SeesAll(Says):
    sees = Sees.EVERY_QUERY


class ReadsCookies(Says):
    options = frozenset({10})


class Forwards(Says):
    recursive = True
    any_class = True


def resolved(router: Router, name: str, qtype: int = 1, qclass: int = 1) -> Reply:
    reply = start(router.resolve(inner_query(question=Question.of(name, qtype, qclass))))
    assert isinstance(reply, Reply)
    return reply


A, SOA, DS, ANY = 1, 6, 43, 255
ROUTES: dict[str, tuple[str, str, int, str | None]] = {
    "the zone itself": (". a. b.a.", "b.a.", A, "b.a."),
    "below it": (". a. b.a.", "x.y.b.a.", A, "b.a."),
    "the longest wins, in any order": ("c.b.a. a. b.a.", "x.b.a.", A, "b.a."),
    "letter case does not matter": ("a. b.a.", "X.B.A.", A, "b.a."),
    "a label is not cut": ("b.a. .", "xb.a.", A, "."),
    "a suffix of octets that is none of labels": ("b.a.", "\\003xb.a.", A, None),
    "a dot inside of a label": ("b.a. .", "x.y\\.b.a.", A, "."),
    "the root has all": (".", "anything.", A, "."),
    "the root's own name": (". a.", ".", A, "."),
    "none": ("a. b.", "c.", A, None),
    "none for the root's own name": ("a.", ".", A, None),
    "none above": ("b.a.", "a.", A, None),
    "DS at the apex: the parent": ("a. b.a.", "b.a.", DS, "a."),
    "DS at the apex: the parent far above": (". c.b.a. a.", "c.b.a.", DS, "a."),
    "DS at the apex with the root alone above": (". c.b.a.", "c.b.a.", DS, "c.b.a."),
    "DS at the apex without a parent": ("b.a.", "b.a.", DS, "b.a."),
    "DS at the root": (". a.", ".", DS, "."),
    "DS below the apex": ("a. b.a.", "x.b.a.", DS, "b.a."),
    "SOA at the apex stays": ("a. b.a.", "b.a.", SOA, "b.a."),
}


@pytest.mark.parametrize(("zones", "name", "qtype", "expected"), ROUTES.values(), ids=ROUTES)
def test_route(zones: str, name: str, qtype: int, expected: str | None) -> None:
    route = Router(Block([zone], []) for zone in zones.split()).find(Question.of(name, qtype))
    assert (route and route.zone) == expected
    assert route is None or route.zone in route.block.zones


def test_of_two_blocks_with_a_zone_the_first_has_it() -> None:
    first, second = Block(["a."], []), Block(["a.", "b."], [])
    router = Router([first, second])
    found = [router.find(Question.of(name, A)) for name in ("a.", "b.")]
    assert [each and each.block for each in found] == [first, second]


def test_plugins_run_in_their_order_and_know_the_zone() -> None:
    said: list[str] = []
    plugins = [Says("1", said), Configures(), Says("2", said), Says("3", said, answers=True)]
    resolved(router(*plugins, Says("4", said), zone="test."), "x.test.")
    assert said == ["1 x.test. in test.", "2 x.test. in test.", "3 x.test. in test."]


def test_the_last_plugin_has_none_behind_it() -> None:
    with pytest.raises(ResolveError, match="plugin/says: no next plugin found") as raised:
        resolved(router(Says("1", [])), "x.cluster.test.")
    assert raised.value.rcode == 2


@pytest.mark.parametrize("plugins", [[], [Configures()]], ids=["none", "one that configures"])
def test_a_block_without_plugins_that_answer_refuses(plugins: list[Plugin]) -> None:
    reply = resolved(router(*plugins), "x.cluster.test.")
    assert (reply.rcode, reply.until) == (5, math.inf)


def test_what_a_block_says_of_its_plugins() -> None:
    said: list[str] = []
    plain = Block(["a."], [Says("1", said), Configures()])
    assert (plain.sees, plain.keeps, plain.options) == (Sees.QUESTION, True, frozenset())
    assert (plain.recursive, plain.any_class) == (False, False)
    client = Block(["a."], [Says("1", said), SeesClient("2", said)])
    assert (client.sees, client.keeps) == (Sees.CLIENT, False)
    both = Block(["a."], [SeesAll("1", said), SeesClient("2", said), ReadsCookies("3", said)])
    assert (both.sees, both.options) == (Sees.EVERY_QUERY, frozenset({10}))
    forwards = Block(["a."], [Says("1", said), Forwards("2", said)])
    assert (forwards.recursive, forwards.any_class, forwards.keeps) == (True, True, True)


def test_an_inner_query_starts_at_the_top_of_its_own_block() -> None:
    said: list[str] = []
    one, other = Block(["one."], [Says("1", said)]), Block(["other."], [Says("2", said, True)])
    outer = inner_query(question=Question.of("x.one.", A), zone="one.")
    reply = start(Router([one, other]).resolve(outer.inner(Question.of("y.other.", A))))
    assert isinstance(reply, Reply)
    assert (said, reply.until) == (["2 y.other. in other."], math.inf)


@pytest.mark.parametrize("plugin", [SeesClient, SeesAll])
def test_a_reply_from_a_block_that_must_see_more_is_not_kept(plugin: type[Says]) -> None:
    assert resolved(router(plugin("1", [], answers=True)), "x.cluster.test.").until == 0.0


@pytest.mark.parametrize(
    ("name", "qclass", "rcode"),
    [("x.other.", 1, 5), ("x.cluster.test.", 3, 5), ("x.cluster.test.", 1, 0)],
    ids=["no block has the name", "class CH", "class IN"],
)
def test_inner_queries_are_refused_as_others_are(name: str, qclass: int, rcode: int) -> None:
    found = resolved(router(Says("1", [], answers=True)), name, qclass=qclass)
    assert (found.rcode, found.until) == (rcode, math.inf)


class Deeper(Plugin):
    """Asks for a name one label longer, for ever, and counts how often."""

    name = "deeper"

    def __init__(self) -> None:
        self.depths: list[int] = []

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        self.depths.append(query.depth)
        inner = Question.of("x." + query.question.text, query.question.qtype)
        return await query.exchange.resolve(query.inner(inner))


def test_inner_queries_end() -> None:
    deeper = Deeper()
    reply = read(Path(router(deeper)).ask(query()))
    assert reply.rcode() == 2
    assert deeper.depths == list(range(MAX_DEPTH + 1))


class Alias(Plugin):
    """An alias into another block: its own record, and whatever that block says."""

    name = "alias"

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        inner = query.inner(Question.of("a1.cluster.test.", query.question.qtype))
        found = await query.exchange.resolve(inner)
        assert found is not None
        return found.rests_on({("service", "toy", "alias")})


@pytest.mark.parametrize("key", ["alias", "a1"])
def test_an_answer_made_of_two_blocks_rests_on_the_keys_of_both(key: str) -> None:
    toy = Toy()
    path = Path(Router([Block(["alias."], [Alias()]), Block(["cluster.test."], [toy])]))
    for _ in range(3):
        path.ask(query("x.alias."))
    assert toy.asked == 1
    path.answers.forget([("service", "toy", key)])
    path.ask(query("x.alias."))
    assert toy.asked == 2


def test_an_answer_made_of_a_block_that_sees_the_client_is_not_kept() -> None:
    toy = Toy()
    seeing = Block(["cluster.test."], [SeesClient("", []), toy])
    path = Path(Router([Block(["alias."], [Alias()]), seeing]))
    for _ in range(3):
        path.ask(query("x.alias."))
    assert (toy.asked, len(path.answers)) == (3, 0)


class CountsCookies(Plugin):
    """As many addresses as the client's cookie has octets."""

    name = "counts"
    options = frozenset({10})

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        assert query.edns is not None
        cookie = sum(len(each.data) for each in query.edns.options)
        found = [RR(query.question.label, 1, rdata=dnslib.A((10, 0, 0, i))) for i in range(cookie)]
        return Reply(answer=found, until=math.inf)


def test_an_option_that_another_block_reads_is_part_of_the_question() -> None:
    path = Path(Router([Block(["alias."], [Alias()]), Block(["cluster.test."], [CountsCookies()])]))
    for size in (8, 16, 8):
        octets = query("x.alias.", opt=opt(options=option(10, bytes(size))))
        assert len(texts(path.ask(octets))) == size
