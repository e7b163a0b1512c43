import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.errors import ConfigError, Place, ResolveError
from clusterdns.plugins.base import MAX_DEPTH, Plugin, Reply, Setup, Zones, nearest, read_options
from clusterdns.wire.question import Question
from tests.plugins.asking import Next, lines, new_setup, query

PLACE = Place("Corefile", 1, 1)


@pytest.mark.parametrize(
    ("zones", "name", "expected"),
    [
        (["."], "example.org.", True),
        (["."], ".", True),
        ([], ".", False),
        (["example.org."], "example.org.", True),
        (["Example.ORG"], "a.EXAMPLE.org.", True),
        (["example.org."], "notexample.org.", False),
        (["example.org."], r"a\.example.org.", False),
        (["example.org."], "org.", False),
        (["a.", "b."], "x.b.", True),
        ([r"a\.b.c."], r"x.a\.b.c.", True),
        ([r"a\.b.c."], "x.a.b.c.", False),
    ],
)
def test_zones(zones: list[str], name: str, expected: bool) -> None:
    assert (Question.of(name, 1) in Zones(zones)) is expected


names = st.lists(st.sampled_from(["a", "A", "b", r"a\.b", "a-b"]), max_size=4).map(
    lambda labels: ".".join(labels) + "."
)


@settings(max_examples=200)
@given(names, names)
def test_zones_are_what_dnspython_takes_for_superdomains(zone: str, name: str) -> None:
    expected = dns.name.from_text(name).is_subdomain(dns.name.from_text(zone))
    assert (Question.of(name, 1) in Zones([zone])) is expected


def test_a_reply_rests_on_what_it_was_made_of() -> None:
    reply = Reply(keys=frozenset({("apex",)}), until=9.0)
    assert reply.rests_on({("namespace", "a")}) is reply
    assert reply.keys == {("apex",), ("namespace", "a")}
    assert reply.until == 9.0
    assert reply.rests_on((), 3.0).until == 3.0
    assert reply.rests_on((), 5.0).until == 3.0


def test_inner_queries_end() -> None:
    found = query("a.", flags=0x0110, peer=("10.0.0.1", 5), transport="tcp", limit=9)
    for depth in range(1, MAX_DEPTH + 1):
        outer, found = found, found.inner(Question.of("b.", 28))
        assert (found.depth, found.question.text) == (depth, "b.")
        for name in ("octets", "flags", "peer", "transport", "limit", "received", "deadline"):
            assert getattr(found, name) == getattr(outer, name)
    with pytest.raises(ResolveError):
        found.inner(Question.of("b.", 28))


async def test_a_plugin_passes_on_unless_it_does_more() -> None:
    class Toy(Plugin):
        """Does nothing."""

        name = "toy"

    reply = Reply()
    assert await Toy().resolve(query(), Next(reply)) is reply
    assert not Toy.in_chain()
    assert Toy().ready()


def test_attempt_keeps_faults_of_the_configuration_only() -> None:
    setup = new_setup()
    with setup.attempt():
        raise ConfigError("no", PLACE)
    assert [str(each) for each in setup.faults] == ["Corefile:1:1: no"]
    with pytest.raises(ZeroDivisionError), setup.attempt():
        raise ZeroDivisionError


def test_read_options_goes_on_behind_a_fault() -> None:
    read: list[str] = []

    def take(line: object) -> None:
        read.append("taken")

    setup: Setup = new_setup()
    (directive,) = lines("toy {\n tak\n take\n take {\n x\n }\n take\n xyz\n}")
    read_options(directive, setup, {"take": take, "more": take})
    assert read == ["taken", "taken"]
    assert [str(each) for each in setup.faults] == [
        "Corefile:2:2: unknown property 'tak' of toy; did you mean 'take'?",
        "Corefile:4:2: take takes no block",
        "Corefile:8:2: unknown property 'xyz' of toy; there are more, take",
    ]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("Forwrad", "did you mean 'forward'?"),
        ("cach", "did you mean 'cache'?"),
        ("x", "there are cache, forward"),
    ],
)
def test_nearest(word: str, hint: str) -> None:
    assert nearest(word, ["forward", "cache"]) == hint
