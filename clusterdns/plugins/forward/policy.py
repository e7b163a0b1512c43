"""In which order the upstreams are asked: `policy`."""

import random as chance
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

Policy = Callable[[Sequence[Any]], Sequence[Any]]


def random() -> Policy:
    """Each time a new order, every one equally likely."""

    def order(upstreams: Sequence[Any]) -> Sequence[Any]:
        if len(upstreams) < 2:
            return upstreams
        return chance.sample(upstreams, len(upstreams))

    return order


def round_robin() -> Policy:
    """Each time the next one first, and the others behind it in the order of the Corefile."""
    turns = count(1)

    def order(upstreams: Sequence[Any]) -> Sequence[Any]:
        if not upstreams:
            return upstreams
        first = next(turns) % len(upstreams)
        return [upstreams[first], *upstreams[:first], *upstreams[first + 1 :]]

    return order


def sequential() -> Policy:
    """The order of the Corefile."""
    return lambda upstreams: upstreams


POLICIES = {"random": random, "round_robin": round_robin, "sequential": sequential}
