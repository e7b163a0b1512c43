"""What a table of finished answers keeps, and what goes at its bound."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.plugins.query import Reply
from clusterdns.server.finished import Finished
from clusterdns.server.table import Table
from clusterdns.wire.question import Question
from clusterdns.zone.index import Key
from tests.server.asking import query

QUESTION = Question.of("a.test.", 1)


def answer(*keys: str) -> Finished:
    found = frozenset(("namespace", key) for key in keys)
    return Finished(query(), Reply(keys=found, until=math.inf), QUESTION)


def key(name: str) -> Key:
    return ("namespace", name)


def known(table: Table, names: str = "abcdefgh") -> str:
    """Which of these names there are; looked at where looking changes nothing."""
    there = {*table._young.answers, *table._old.answers}
    return "".join(name for name in names if name in there)


def filled(names: str, bound: int = 2) -> Table:
    table = Table(bound)
    for name in names:
        table.put(name, answer(name))
    return table


@pytest.mark.parametrize(
    ("bound", "put", "kept"),
    [
        (2, "ab", "ab"),
        (2, "abc", "abc"),  # a, b have become the old generation
        (2, "abcd", "abcd"),
        (2, "abcde", "cde"),  # which goes as a whole
        (1, "abc", "bc"),
        (3, "abcdefg", "defg"),
        (2, "aab", "ab"),  # the same name again takes no room
    ],
)
def test_what_goes_at_the_bound(bound: int, put: str, kept: str) -> None:
    table = filled(put, bound)
    assert known(table) == kept
    assert len(table) == len(kept) <= 2 * bound


def test_what_is_asked_for_again_stays() -> None:
    table = filled("abc")  # old: a, b; young: c
    first = table.get("a")
    assert first is not None
    table.put("d", answer("d"))  # young was c, a: they are old now
    table.put("e", answer("e"))
    assert known(table) == "acde"
    assert table.get("a") is first


def test_coming_back_counts_at_the_bound() -> None:
    table = filled("abcd")  # old: a, b; young: c, d
    table.get("a")  # fills the third place of two
    assert known(table) == "acd"
    assert len(table) == 3


def test_recent_is_the_young_generation() -> None:
    table = filled("ab")
    assert set(table.recent) == {"a", "b"}
    table.put("c", answer())
    assert set(table.recent) == {"c"}
    table.get("a")
    assert set(table.recent) == {"a", "c"}
    table.clear()
    assert table.recent == {}
    assert len(table) == 0


def test_an_answer_replaced_rests_on_its_old_keys_no_more() -> None:
    table = Table(4)
    table.put("a", answer("x", "y"))
    table.put("a", answer("y", "z"))
    table.forget(key("x"))
    assert known(table) == "a"
    table.forget(key("z"))
    assert known(table) == ""


def test_forget_takes_all_that_rest_on_the_key_in_both_generations() -> None:
    table = Table(2)
    for name, keys in {"a": "x", "b": "y", "c": "xy", "d": "z"}.items():
        table.put(name, answer(*keys))
    assert {*table.recent} == {"c", "d"}
    table.forget(key("x"))
    assert known(table) == "bd"
    table.forget(key("nobody"))
    assert known(table) == "bd"


def test_hits_of_what_is_gone_still_count() -> None:
    table = Table(1)
    for number, name in enumerate("abcdef", 1):
        table.put(name, answer(name))
        found = table.get(name)
        assert found is not None
        found.hits += number
    assert table.hits == 21
    table.forget(key("f"))
    table.put("e", answer())
    assert table.hits == 21
    table.clear()
    assert table.hits == 21


names = st.sampled_from("abcdefgh")
steps = st.one_of(
    st.tuples(st.just("put"), names, st.sets(st.sampled_from("xyz"))),
    st.tuples(st.just("get"), names, st.none()),
    st.tuples(st.just("drop"), names, st.none()),
    st.tuples(st.just("forget"), st.sampled_from("xyz"), st.none()),
)


@given(st.integers(1, 4), st.lists(steps, max_size=60))
@settings(max_examples=100, deadline=None)
def test_a_table_never_gives_what_was_forgotten_and_never_outgrows(
    bound: int, walk: list[tuple[str, str, set[str] | None]]
) -> None:
    """Against a dict that never forgets by itself."""
    table, told = Table(bound), dict[str, Finished]()
    for what, name, keys in walk:
        if what == "put":
            told[name] = answer(*keys or ())
            table.put(name, told[name])
        elif what == "get":
            assert table.get(name) in (None, told.get(name))
        elif what == "drop":
            told.pop(name, None)
            table.drop(name)
        else:
            told = {each: found for each, found in told.items() if key(name) not in found.keys}
            table.forget(key(name))
        assert len(table) <= 2 * bound
        assert all(table.get(each) is None for each in set("abcdefgh") - told.keys())
        for generation in (table._young, table._old):
            listed = {(k, n) for k, found in generation.names.items() for n in found}
            rests = {(k, n) for n, found in generation.answers.items() for k in found.keys}
            assert listed == rests  # nothing of what is gone stays behind
