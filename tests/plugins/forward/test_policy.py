import itertools
from collections import Counter

import pytest

from clusterdns.plugins.forward.policy import POLICIES


def test_random_gives_every_order() -> None:
    order = POLICIES["random"]()
    found = Counter(tuple(order("abc")) for _ in range(600))
    assert set(found) == set(itertools.permutations("abc"))
    assert min(found.values()) > 40  # of 100


def test_round_robin_begins_with_the_next_each_time() -> None:
    order = POLICIES["round_robin"]()
    assert ["".join(order("abc")) for _ in range(4)] == ["bac", "cab", "abc", "bac"]


def test_sequential_is_the_order_given() -> None:
    order = POLICIES["sequential"]()
    assert ["".join(order("abc")) for _ in range(2)] == ["abc", "abc"]


@pytest.mark.parametrize("name", POLICIES)
def test_of_one_there_is_one_order(name: str) -> None:
    assert list(POLICIES[name]()(["a"])) == ["a"]
    assert list(POLICIES[name]()([])) == []
