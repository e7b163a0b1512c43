"""A hosts file as a table: addresses by name, names by address (hosts(5))."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from clusterdns.corefile.names import parse_address
from clusterdns.errors import ResolveError
from clusterdns.plugins.zones import Zones
from clusterdns.wire.question import Question

_ASTERISK = b"\1*"  # the label in wire form

Address = bytes  # packed: 4 octets or 16
Key = tuple[int, bytes]  # family, folded wire name; of a wildcard the name behind its asterisk
Complain = Callable[[int, str], None]  # line number from 1, what is wrong with it


class Line(NamedTuple):
    """One entry, split at white space, comment cut off."""

    number: int
    words: list[str]


@dataclass
class Table:
    """What some hosts lines say; lists keep the order of the lines."""

    exact: dict[Key, list[Address]] = field(default_factory=dict)
    wild: dict[Key, list[Address]] = field(default_factory=dict)
    names: dict[Address, list[tuple[bytes, ...]]] = field(default_factory=dict)  # lower-case labels

    def __len__(self) -> int:
        """Addresses of names and names of addresses, as CoreDNS counts entries."""
        return sum(
            len(each) for part in (self.exact, self.wild, self.names) for each in part.values()
        )

    def addresses(self, family: int, name: bytes) -> list[Address]:
        """Those of a folded wire name; a wildcard counts where the name itself has none.

        A wildcard right below the root counts for no name, as in CoreDNS.
        """
        found = self.exact.get((family, name))
        if found is None and len(above := name[name[0] + 1 :]) > 1:
            found = self.wild.get((family, above))
        return found or []


def split(text: str) -> Iterable[Line]:
    """The entries of a hosts file."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            yield Line(number, words)


def read(lines: Iterable[Line], zones: Zones, reverse: bool, complain: Complain) -> Table:
    """The table of these lines.

    zones: names outside are left out, without a word.
    reverse: whether addresses get names.
    complain: told of a line that is left out because it has no address or no name.
    """
    table = Table()
    for number, (word, *names) in lines:
        address = parse_address(word.partition("%")[0])  # scopes mean nothing to a client
        if address is None:
            complain(number, f"{word!r} is no IP address")
        elif not names:
            complain(number, f"no name behind {word}")
        else:
            for name in names:
                try:
                    question = Question.of(name.lower(), 0)
                except ResolveError:
                    complain(number, f"{name!r} is no domain name")
                    continue
                if not name.isascii():  # D38
                    complain(number, f"{name!r} is not ASCII; write it as xn--...")
                    continue
                if question in zones:
                    _add(table, address.version, address.packed, question, reverse)
    return table


def _add(table: Table, family: int, address: Address, question: Question, reverse: bool) -> None:
    name = question.folded
    if name.startswith(_ASTERISK):
        table.wild.setdefault((family, name[len(_ASTERISK) :]), []).append(address)
        return
    table.exact.setdefault((family, name), []).append(address)
    if reverse:
        table.names.setdefault(address, []).append(question.labels)
