"""Tables of the cluster's objects by name or address; an object may be at several places."""

from bisect import bisect
from collections.abc import Iterable
from typing import TypeVar

from clusterdns.cluster.model import Address, EndpointSlice, Pod, Service

Held = TypeVar("Held", bound=Service | EndpointSlice | Pod)
Name = tuple[str, str]  # namespace, name
Place = TypeVar("Place", Name, Address)


def swap(table: dict[Name, Held], name: Name, new: Held | None) -> Held | None:
    """Puts the new object into the table, or takes the old one out; gives the old one.

    An equal one stays where it is, and the new one itself is given: nothing changed.
    """
    old = table.get(name)
    if old == new:
        return new
    if new is None:
        del table[name]
    else:
        table[name] = new
    return old


def move(
    table: dict[Place, Held | tuple[Held, ...]],
    before: Iterable[Place],
    old: Held | None,
    after: Iterable[Place],
    new: Held | None,
) -> None:
    """Takes the old object from where it was and puts the new one where it belongs."""
    if old is not None:
        for place in before:
            left = tuple(each for each in standing(table, place) if each is not old)
            if len(left) > 1:
                table[place] = left
            elif left:
                table[place] = left[0]
            else:
                del table[place]
    if new is not None:
        for place in after:
            table[place] = _joined(standing(table, place), new) if place in table else new


def _joined(there: tuple[Held, ...], new: Held) -> tuple[Held, ...]:
    """With the new object at its place: in order of names, not of arrival."""
    rank = bisect(there, _order(new), key=_order)
    return (*there[:rank], new, *there[rank:])


def standing(table: dict[Place, Held | tuple[Held, ...]], place: Place) -> tuple[Held, ...]:
    """The objects at a place."""
    held = table.get(place)
    if held is None:
        return ()
    return held if isinstance(held, tuple) else (held,)


def _order(held: Service | EndpointSlice | Pod) -> tuple[str, str, str]:
    return type(held).__name__, held.namespace, held.name
