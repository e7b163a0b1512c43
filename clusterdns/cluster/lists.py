"""Lists of API objects, taken apart while they are read.

A file of 44 MB so never stands in memory as a whole, and a reader can do other things between any
two objects.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from clusterdns.errors import Place


class Item(NamedTuple):
    """One object of a file. Nothing is checked but that it was well-formed YAML or JSON."""

    document: int  # from 1
    line: int  # where it starts, from 1
    value: Any


class Unreadable(NamedTuple):
    """A document, or the rest of one, that is not well-formed."""

    document: int
    place: Place
    message: str


Step = Item | Unreadable | None  # None: nothing yet, a good moment to do something else


class Top:
    """The outermost mapping of a document while it is read: one object, or a List of them."""

    def __init__(self, document: int, line: int) -> None:
        self._document, self._line = document, line
        self.fields: dict[Any, Any] = {}  # what has been read so far, "items" left out
        self._nameless: list[tuple[int, Any]] = []  # items that wait for the List's kind
        self._items = False

    def begin_items(self) -> None:
        """`items` come now, each to be given to `element`."""
        self._items = True

    def element(self, line: int, value: Any) -> Iterator[Item]:
        """The objects of one element of `items`, as far as they can be told already."""
        kind = self.fields.get("kind")
        if isinstance(kind, str) and not _is_list(kind):
            return  # an object that has a field `items`; none that DNS needs does
        if _lacks_kind(value) and not ("kind" in self.fields and "apiVersion" in self.fields):
            self._nameless.append((line, value))
        else:
            yield from self._objects(line, value)

    def end(self) -> Iterator[Item]:
        """What is left, once the mapping is read to its end."""
        for line, value in self._nameless:
            yield from self._objects(line, value)
        whole = Item(self._document, self._line, self.fields)
        if "items" in self.fields:  # not given element by element: an alias
            yield from taken_apart(whole)
        elif not (self._items and _is_list(self.fields.get("kind"))):
            yield whole

    def _objects(self, line: int, value: Any) -> Iterator[Item]:
        if _lacks_kind(value):
            value = self._named(value)
        if isinstance(value, dict) and _is_list(value.get("kind")):
            yield from taken_apart(Item(self._document, line, value))
        else:
            yield Item(self._document, line, value)

    def _named(self, value: dict[Any, Any]) -> dict[Any, Any]:
        kind = self.fields.get("kind")
        if not isinstance(kind, str) or kind == "List":
            return value
        named = {"apiVersion": self.fields.get("apiVersion"), "kind": kind.removesuffix("List")}
        return named | value


def taken_apart(item: Item) -> Iterator[Item]:
    """The object itself, or the objects of the List that it is."""
    if item.value is None:
        return
    if not isinstance(item.value, dict) or not isinstance(item.value.get("items"), list):
        yield item
        return
    top = Top(item.document, item.line)
    top.fields = {key: value for key, value in item.value.items() if key != "items"}
    top.begin_items()
    for element in item.value["items"]:
        yield from top.element(item.line, element)
    yield from top.end()


def _lacks_kind(value: Any) -> bool:
    return isinstance(value, dict) and "kind" not in value


def _is_list(kind: Any) -> bool:
    return isinstance(kind, str) and kind.endswith("List")
