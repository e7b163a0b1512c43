"""`acl`: who may ask what, by the client's address and the type of the question."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, NamedTuple, TypeVar, cast, get_args

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import network, refuse_brace, zone_names
from clusterdns.errors import ConfigError
from clusterdns.metrics import Counter
from clusterdns.plugins.base import Plugin, Sees, Setup
from clusterdns.plugins.lines import nearest
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire.edns import EXTENDED_ERROR, Option
from clusterdns.wire.message import NOERROR, REFUSED
from clusterdns.wire.texts import type_number

T = TypeVar("T")
Action = Literal["allow", "block", "filter", "drop"]
SECTIONS = ("type", "net")
EVERY = "*"
ANY_TYPE = 0  # what "None" is as a type: CoreDNS takes it for all types
BLOCKED, FILTERED = 15, 17  # INFO-CODEs, RFC 8914 sections 4.16 and 4.18

_LABELS = ("server", "zone", "view")
blocked = Counter("coredns_acl_blocked_requests_total", "Queries that were refused.", _LABELS)
filtered = Counter(
    "coredns_acl_filtered_requests_total", "Queries that were answered without records.", _LABELS
)
dropped = Counter("coredns_acl_dropped_requests_total", "Queries that got no reply.", _LABELS)
allowed = Counter(
    "coredns_acl_allowed_requests_total", "Queries that were let through.", ("server", "view")
)


class Acl(Plugin):
    """Decides by the first policy that fits, in the first stanza that has one; else allows."""

    name = "acl"
    passes_notify = True
    sees = Sees.CLIENT

    def __init__(self, stanzas: Sequence["Stanza"]) -> None:
        self.stanzas = stanzas

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Acl":
        stanzas = []
        for directive in directives:
            with setup.attempt():
                stanzas.append(_stanza(directive, setup))
        return cls(stanzas)

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        action, zone = self._decide(query)
        if action == "drop":
            dropped.add(query.server, zone, query.view)
            return None
        if action == "block":
            blocked.add(query.server, zone, query.view)
            return _reply(REFUSED, BLOCKED)
        if action == "filter":
            filtered.add(query.server, zone, query.view)
            return _reply(NOERROR, FILTERED)
        allowed.add(query.server, query.view)
        return await next(query)

    def _decide(self, query: Query) -> tuple[Action, str]:
        """The action, and the zone of the stanza that says so."""
        client = parse_address(query.peer[0])
        for stanza in self.stanzas:
            zone = stanza.zones.match(query.question)
            if zone is None:
                continue
            if client is None:
                return "block", zone
            for policy in stanza.policies:
                if policy.fits(query.question.qtype, client):
                    return policy.action, zone
        return "allow", ""


def _reply(rcode: int, reason: int) -> Reply:
    """A reply that tells the reason even to who sent no OPT record, as CoreDNS does."""
    option = Option(EXTENDED_ERROR, reason.to_bytes(2, "big"))
    return Reply(rcode, options=[option], force_edns=True)


class Networks:
    """Some networks, asked whether an address is in one of them; how many does not matter."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._first_bits: dict[tuple[int, int], set[int]] = {}  # by version and bits cut off
        for each in networks:
            cut = each.max_prefixlen - each.prefixlen
            bits = self._first_bits.setdefault((each.version, cut), set())
            bits.add(int(each.network_address) >> cut)

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        number, version = int(address), address.version
        return any(
            number >> cut in bits
            for (of_version, cut), bits in self._first_bits.items()
            if of_version == version
        )


@dataclass
class Policy:
    """What to do with queries of some types from some networks.

    types, networks: None is all.
    """

    action: Action
    types: set[int] | None = None
    networks: Networks | None = None

    def fits(self, qtype: int, client: IPv4Address | IPv6Address) -> bool:
        if self.types is not None and qtype not in self.types and ANY_TYPE not in self.types:
            return False
        return self.networks is None or client in self.networks


class Stanza(NamedTuple):
    """One `acl`: its policies, and the zones that they are for."""

    zones: Zones
    policies: list[Policy]


def _stanza(directive: Directive, setup: Setup) -> Stanza:
    zones = Zones(zone_names(directive.arguments, setup.zones, setup.warnings))
    policies = []
    for line in directive.block or ():
        with setup.attempt():
            policies.append(_policy(line))
    return Stanza(zones, policies)


def _policy(line: Directive) -> Policy:
    action = line.name.text.lower()
    if action not in get_args(Action):
        hint = nearest(line.name.text, get_args(Action))
        raise ConfigError(f"unknown action {line.name.text!r} of acl; {hint}", line.name.place)
    if line.block is not None:
        raise ConfigError(f"{line.name.text} takes no block", line.name.place)
    sections = _sections(line)
    types = _values(sections["type"], _qtype)
    networks = _values(sections["net"], network)
    return Policy(
        cast("Action", action),
        None if types is None else set(types),
        None if networks is None else Networks(networks),
    )


def _sections(line: Directive) -> dict[str, list[list[Token]]]:
    """The words behind each `type` and each `net`."""
    refuse_brace(line.arguments)
    sections: dict[str, list[list[Token]]] = {word: [] for word in SECTIONS}
    words: list[Token] = []
    for token in line.arguments:
        if token.text.lower() in SECTIONS:
            words = []
            sections[token.text.lower()].append(words)
        elif not any(sections.values()):
            raise ConfigError(f"{token.text!r} is none of {', '.join(SECTIONS)}", token.place)
        else:
            words.append(token)
    for word, found in sections.items():
        if not all(found):
            raise ConfigError(f"nothing behind {word}; write {EVERY} for all", line.name.place)
    return sections


def _values(sections: list[list[Token]], read: Callable[[Token], T]) -> list[T] | None:
    """What the words stand for; None for everything: there is no section, or a * in one.

    CoreDNS does not look at what is behind a *.
    """
    values: list[T] = []
    is_everything = not sections
    for words in sections:
        for word in words:
            if word.text == EVERY:
                is_everything = True
                break
            values.append(read(word))
    return None if is_everything else values


def _qtype(word: Token) -> int:
    qtype = type_number(word.text)
    if qtype is None:
        hint = f"; did you mean {word.text.upper()!r}?" if type_number(word.text.upper()) else ""
        raise ConfigError(f"{word.text!r} is no record type{hint}", word.place)
    return qtype
