"""`loadbalance`: addresses in a new order for each reply, or in one that weights or nets decide."""

import asyncio
import ipaddress
import logging
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from dnslib import QTYPE, RR

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, duration, network, one_argument
from clusterdns.errors import ConfigError, Place, ResolveError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import choice, read_options
from clusterdns.plugins.passage import Passage
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.names import folded_name, wire_name
from clusterdns.wire.plain import Plain
from clusterdns.wire.received import with_addresses, with_glue

POLICIES = ("round_robin", "weighted")  # the first is the default
ADDRESSES = (QTYPE.A, QTYPE.AAAA)
WEIGHTED_TYPES = (*ADDRESSES, QTYPE.SRV)
TRANSFERS = (QTYPE.AXFR, QTYPE.IXFR)
RELOAD_S = 30.0  # CoreDNS's default
MOST_WEIGHT = 255  # CoreDNS's: what an octet holds
# A finished answer is kept in some orders only, which cannot show a weight of 255 to 1. So they are
# drawn again each second: over time every address is first as often as its weight says.
WEIGHTED_HOLD_S = 1.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Reorder = Callable[[Reply], Reply]

log = logging.getLogger(__name__)


class LoadBalance(Plugin):
    """Gives NOERROR replies an order, and the server a way to give them another one later.

    weights: None for `round_robin`, which is a random order.
    preferred: addresses in the first of these nets come first, then those in the second ...
    """

    name = "loadbalance"

    def __init__(self, weights: "Weights | None" = None, preferred: Sequence[Network] = ()) -> None:
        self.weights = weights
        self.preferred = list(preferred)

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "LoadBalance":
        """Of several lines the last policy counts; nets add up, until a `weighted` drops them."""
        plugin = cls()
        for directive in directives:
            with setup.attempt():
                _read(directive, plugin, setup)
        if plugin.weights:
            with setup.attempt():
                plugin.weights.load()
        return plugin

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        reply = await next(query)
        qtype = query.question.qtype
        if reply is None or reply.rcode or qtype in TRANSFERS:
            return reply
        if self.weights is None:
            return self._rotated(reply)
        if qtype not in WEIGHTED_TYPES:
            return reply
        reply = _ordered(reply, self.weights.ordered)
        return reply.rests_on((), query.received + WEIGHTED_HOLD_S) if reply.reorder else reply

    def passage(self, server: str, view: str) -> Passage | None:
        return Passage(back=self._back) if self.weights is None else None

    def _back(self, asked: Plain, reply: Reply, now: float) -> Reply:
        return reply if reply.rcode else self._rotated(reply)

    def _rotated(self, reply: Reply) -> Reply:
        if reply.received is not None and not self.preferred and _shuffle_octets(reply):
            return reply
        return _ordered(reply, partial(_shuffled, self.preferred))

    async def serve(self, stopping: asyncio.Event) -> None:
        if self.weights:
            await self.weights.serve(stopping)


def _read(directive: Directive, plugin: LoadBalance, setup: Setup) -> None:
    policy = choice(directive.arguments[0], POLICIES) if directive.arguments else POLICIES[0]
    if policy == "weighted":
        _, word = arguments(directive, 2, 2)
        plugin.weights = Weights(Path(setup.root, word.text), word.place)
        plugin.preferred.clear()
        read_options(directive, setup, {"reload": partial(_reload, plugin.weights)})
    else:
        arguments(directive, 0, 1)
        plugin.weights = None
        read_options(directive, setup, {"prefer": partial(_prefer, plugin)})


def _prefer(plugin: LoadBalance, line: Directive) -> None:
    for word in arguments(line):
        if "/" not in word.text:
            raise ConfigError(f"{word.text!r} is no CIDR, as 10.0.0.0/8 is", word.place)
        plugin.preferred.append(network(word))


def _reload(weights: "Weights", line: Directive) -> None:
    weights.reload_s = duration(one_argument(line), least=0)


def _ordered(reply: Reply, order: Reorder) -> Reply:
    """The reply in this order; with a way to another order where there is a choice."""
    sections = (reply.answer, reply.authority, reply.additional)
    if max(map(len, sections)) < 2:
        return reply  # most replies, of one record or of the SOA alone: there is nothing to order
    return replace(order(reply), reorder=order if _has_choice(sections) else None)


def _shuffle_octets(reply: Reply) -> bool:
    """Puts the addresses of an upstream's reply into any order; False: its records must be parsed
    for that."""
    before = found = reply.received
    assert before is not None
    if before.answer < 2 and before.additional < 2:
        return True  # most: there is no choice
    # Glue, or the addresses of SRV targets. What we packed ourselves stays: clients take these by
    # name, and 15 of them would cost 12 us.
    if before.additional > 1 and not before.plain:
        found = with_glue(before, _shuffle)
    ordered = found
    if found is not None and found.answer > 1:
        ordered = with_addresses(found, _shuffle)
    if ordered is None:
        return False
    reply.received = ordered
    if ordered is not found:  # orders of Additional alone are not worth being kept
        reply.reorder = partial(_shuffled, ())
    return True


def _has_choice(sections: Iterable[Sequence[RR]]) -> bool:
    """Whether there is more than one order."""
    for section in sections:
        types = [record.rtype for record in section]
        if sum(rtype in ADDRESSES for rtype in types) > 1 or types.count(QTYPE.MX) > 1:
            return True
    return False


@dataclass
class Sorted:
    """The records of a section, a client's CNAME chain in its order."""

    cnames: list[RR] = field(default_factory=list)
    addresses: list[RR] = field(default_factory=list)
    mx: list[RR] = field(default_factory=list)
    rest: list[RR] = field(default_factory=list)

    @classmethod
    def of(cls, section: Iterable[RR]) -> "Sorted":
        found = cls()
        kinds = {QTYPE.CNAME: found.cnames, QTYPE.MX: found.mx}
        kinds |= dict.fromkeys(ADDRESSES, found.addresses)
        for record in section:
            kinds.get(record.rtype, found.rest).append(record)
        return found

    def joined(self) -> list[RR]:
        return [*self.cnames, *self.rest, *self.addresses, *self.mx]


def _shuffled(preferred: Sequence[Network], reply: Reply) -> Reply:
    """Every order equally likely, but for preferred nets, which come first."""
    answer, authority, additional = (
        _shuffled_section(section) for section in (reply.answer, reply.authority, reply.additional)
    )
    if preferred:
        answer = _preferred_first(preferred, answer)
        additional = _preferred_first(preferred, additional)
    return replace(reply, answer=answer, authority=authority, additional=additional)


def _shuffled_section(section: list[RR]) -> list[RR]:
    if len(section) < 2:
        return section
    found = Sorted.of(section)
    _shuffle(found.addresses)
    _shuffle(found.mx)
    return found.joined()


def _shuffle(records: list[Any]) -> None:
    """Any order, each as likely, in a third of the time that random.shuffle takes."""
    records.sort(key=lambda _: random.random())


def _preferred_first(preferred: Sequence[Network], section: Sequence[RR]) -> list[RR]:
    """Unlike without preferred nets, other types come last: CoreDNS has it so."""
    found = Sorted.of(section)
    found.addresses.sort(key=lambda record: _preference(preferred, _address(record)))
    return [*found.cnames, *found.addresses, *found.mx, *found.rest]


def _preference(preferred: Sequence[Network], address: "Address") -> int:
    for index, net in enumerate(preferred):
        if address in net:
            return index
    return len(preferred)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(record: RR) -> Address:
    return _unmapped(ipaddress.ip_address(bytes(record.rdata.data)))


def _unmapped(address: Address) -> Address:
    """An IPv4-mapped IPv6 address is IPv4, as in Go."""
    return getattr(address, "ipv4_mapped", None) or address


class Weights:
    """How often each address of a name is to be the first, from a file that is read again.

    A name stands on a line of its own, its addresses and their weights on the lines behind it;
    an address that is not there weighs 1.
    """

    def __init__(self, path: Path, place: Place) -> None:
        self.path = path
        self.reload_s = RELOAD_S  # 0: never read again
        self._place = place  # where the file is named
        self._weights: dict[tuple[bytes, Address], int] = {}  # by folded wire name
        self._text = ""

    def load(self) -> None:
        """Reads the file for the first time.

        One that is not there yet may come, if it is to be read again; what is wrong with one that
        is there, raises ConfigError.
        """
        try:
            self._take(self._read())
        except OSError as error:
            if not self.reload_s:
                raise ConfigError(
                    f"cannot read weights from {self.path}: {error.strerror}", self._place
                ) from error
            log.warning("Failed to read weights from %s: %s", self.path, error.strerror)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Reads the file every `reload_s` until `stopping` is set; a bad one is passed over."""
        while self.reload_s and not stopping.is_set():
            try:
                async with asyncio.timeout(self.reload_s):
                    await stopping.wait()
            except TimeoutError:
                await self._try_update()

    def ordered(self, reply: Reply) -> Reply:
        """The reply with one address moved to the front, each as often as its weight says."""
        return replace(
            reply,
            answer=self._ordered_section(reply.answer),
            additional=self._ordered_section(reply.additional),
        )

    def _ordered_section(self, section: Sequence[RR]) -> list[RR]:
        found = Sorted.of(section)
        addresses = found.addresses
        if not addresses:
            return list(section)
        weights = [self._weight(record) for record in addresses]
        (top,) = random.choices(range(len(addresses)), weights)
        addresses[0], addresses[top] = addresses[top], addresses[0]
        return found.joined()

    def _weight(self, record: RR) -> int:
        owner = wire_name(record.rname.label)
        return self._weights.get((owner.lower(), _address(record)), 1)

    async def _try_update(self) -> None:
        try:
            self._take(await asyncio.to_thread(self._read))
        except OSError as error:
            log.error("cannot read weights from %s: %s", self.path, error.strerror)
        except ConfigError as error:
            log.error("%s", error)

    def _read(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace")

    def _take(self, text: str) -> None:
        if text == self._text:
            return
        self._text = text
        self._weights = _parse_weights(text, str(self.path))
        log.info("Successfully reloaded weight file %s", self.path)


def _parse_weights(text: str, file: str) -> dict[tuple[bytes, Address], int]:
    """Raises ConfigError at the word of the file that is wrong."""
    weights: dict[tuple[bytes, Address], int] = {}
    owner: bytes | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = [
            Token(found[0], Place(file, number, found.start() + 1))
            for found in re.finditer(r"\S+", line)
        ]
        if not words or words[0].text.startswith("#"):
            continue
        if len(words) == 1:
            owner = _owner(words[0])
        elif len(words) > 2:
            raise ConfigError("a line has a name, or an address and its weight", words[2].place)
        elif owner is None:
            raise ConfigError("a name must stand before its addresses", words[0].place)
        else:
            weights.setdefault((owner, _weighed(words[0])), _weight(words[1]))
    return weights


def _owner(word: Token) -> bytes:
    """A name as folded wire octets."""
    if parse_address(word.text):
        raise ConfigError(f"{word.text} has no weight, or is no domain name", word.place)
    try:
        return folded_name(word.text)
    except ResolveError as error:
        raise ConfigError(f"{word.text!r} is no domain name", word.place) from error


def _weighed(word: Token) -> Address:
    if address := parse_address(word.text):
        return address
    raise ConfigError(f"{word.text!r} is no IP address", word.place)


def _weight(word: Token) -> int:
    if not (word.text.isascii() and word.text.isdigit() and 0 < int(word.text) <= MOST_WEIGHT):
        raise ConfigError(f"{word.text!r} is no weight: 1 to {MOST_WEIGHT}", word.place)
    return int(word.text)
