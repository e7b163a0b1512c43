"""Functions that look at each item of a list by an expression, in which # is the item."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from clusterdns.plugins.expressions.builtins import ordered, total
from clusterdns.plugins.expressions.values import ANY, LIST, MAP, NUMBER, TEXT, TRUTH, kind_of

Pair = tuple[Any, Any]  # an item, and what the predicate gives for it
Pairs = Iterable[Pair]


class Predicate(NamedTuple):
    """What is made of a list and its predicate.

    apply: of the pairs, and of the argument behind the predicate, if there is one.
    wants: the type of what the predicate gives. gives: the type of the result.
    optional: there need be no predicate: the items are taken for what it gives.
    more: the type of the argument behind it; "" if it takes none.
    """

    apply: Callable[..., Any]
    wants: str
    gives: str
    optional: bool = False
    more: str = ""


def _found(pairs: Pairs) -> Iterator[int]:
    return (number for number, (_, found) in enumerate(pairs) if found)


def _last(pairs: Pairs) -> Pair:
    """The last one that is true, or nothing."""
    return next((pair for pair in reversed(list(pairs)) if pair[1]), (None, None))


def _groups(pairs: Pairs) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for item, key in pairs:
        if not isinstance(key, str):
            raise ValueError(f"groupBy() groups by texts, not by a {kind_of(key)}")
        groups.setdefault(key, []).append(item)
    return groups


def _sorted(pairs: Pairs, order: str = "asc") -> list[Any]:
    return [item for item, _ in ordered(list(pairs), order, key=lambda pair: pair[1])]


REDUCE = "reduce"  # LIST, PREDICATE, START: in its predicate #acc is what came of the items before
PREDICATES = {
    "all": Predicate(lambda pairs: all(found for _, found in pairs), TRUTH, TRUTH),
    "any": Predicate(lambda pairs: any(found for _, found in pairs), TRUTH, TRUTH),
    "none": Predicate(lambda pairs: not any(found for _, found in pairs), TRUTH, TRUTH),
    "one": Predicate(lambda pairs: len(list(_found(pairs))) == 1, TRUTH, TRUTH),
    "count": Predicate(lambda pairs: len(list(_found(pairs))), TRUTH, NUMBER, optional=True),
    "filter": Predicate(lambda pairs: [item for item, found in pairs if found], TRUTH, LIST),
    "map": Predicate(lambda pairs: [found for _, found in pairs], ANY, LIST),
    "find": Predicate(
        lambda pairs: next((item for item, found in pairs if found), None), TRUTH, ANY
    ),
    "findIndex": Predicate(lambda pairs: next(_found(pairs), None), TRUTH, ANY),
    "findLast": Predicate(lambda pairs: _last(pairs)[0], TRUTH, ANY),
    "findLastIndex": Predicate(lambda pairs: max(_found(pairs), default=None), TRUTH, ANY),
    "groupBy": Predicate(_groups, ANY, MAP),
    "sortBy": Predicate(_sorted, ANY, LIST, more=TEXT),
    "sum": Predicate(
        lambda pairs: total([found for _, found in pairs]), NUMBER, NUMBER, optional=True
    ),
}
