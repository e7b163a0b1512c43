"""Catalog zones (RFC 9432): their records say which other zones there are."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from dnslib import DNSLabel

from clusterdns.errors import SourceError
from clusterdns.plugins.secondary.follower import log
from clusterdns.plugins.zones import Zones
from clusterdns.wire.question import Question
from clusterdns.zone.masterfile import Labels, Zone

NS, PTR, TXT = 2, 12, 16
VERSION = b"2"  # of the schema, RFC 9432 section 4.2.1
_VERSION, _ZONES, _COO = b"version", b"zones", b"coo"


class Member(NamedTuple):
    """A zone in a catalog, under a label that is its own.

    moves_to: the catalog that may take it over (`coo`); "": none.
    """

    zone: str
    id: bytes
    moves_to: str = ""


def members(zone: Zone) -> dict[str, Member]:
    """The member zones of a catalog. Raises SourceError for a zone that is none."""
    apex = zone.nodes[zone.origin]
    if NS not in apex.rrsets:
        raise SourceError(f"{_text(zone.origin)} is no catalog: it has no NS record")
    version = zone.nodes.get((_VERSION, *zone.origin))
    texts = [rdata.data for rdata in version.rrsets[TXT].rdatas] if version else []
    if [_joined(text) for text in texts] != [VERSION]:
        raise SourceError(f"{_text(zone.origin)} is no catalog of version 2")
    found: dict[str, Member] = {}
    for member in _members(zone):
        other = found.setdefault(member.zone, member)
        if other is not member:
            raise SourceError(f"catalog {_text(zone.origin)} has {member.zone} twice")
    return found


def _members(zone: Zone) -> Iterator[Member]:
    above = (_ZONES, *zone.origin)
    for name in sorted(zone.nodes):
        if len(name) != len(above) + 1 or name[1:] != above:
            continue
        targets = _targets(zone, name)
        owners = _targets(zone, (_COO, *name))
        if len(targets) > 1 or len(owners) > 1:
            raise SourceError(f"{_text(name)} or its coo has more than one PTR record")
        if targets:
            yield Member(targets[0], name[0], owners[0] if owners else "")


def _targets(zone: Zone, name: Labels) -> list[str]:
    node = zone.nodes.get(name)
    if node is None or PTR not in node.rrsets:
        return []
    return [Question.of(rdata.label, 0).text for rdata in node.rrsets[PTR].rdatas]


class Catalogs:
    """What all catalogs of a directive say together."""

    def __init__(self, allowed: Mapping[str, Sequence[str]]) -> None:
        """allowed: by catalog the zones that its members must be in; none: any."""
        self._allowed = {catalog: Zones(zones or ".") for catalog, zones in allowed.items()}
        self._said: dict[str, dict[str, Member]] = {}  # by catalog
        self._owners: dict[str, tuple[str, bytes]] = {}  # catalog and id by member zone

    def __len__(self) -> int:
        return len(self._allowed)

    def __contains__(self, zone: str) -> bool:
        return zone in self._allowed

    def apply(
        self, catalog: str, found: dict[str, Member], others: Container[str]
    ) -> tuple[dict[str, bool], list[str]]:
        """The zones to fetch from now on, and those to drop. True: what is known of it stays.

        others: zones that no catalog decides about.
        """
        allowed = self._allowed[catalog]
        inside = {z: m for z, m in found.items() if allowed.match(Question.of(z, 0))}
        if len(inside) < len(found):
            log.warning(
                "catalog %s: %d zones are left out: they are not in those that it may add",
                *(catalog, len(found) - len(inside)),
            )
        starts = {}
        for zone, member in inside.items():
            if (keeps := self._starts(catalog, member, others)) is not None:
                starts[zone] = keeps
                self._owners[zone] = catalog, member.id
        gone = [z for z, (c, _) in self._owners.items() if c == catalog and z not in inside]
        for zone in gone:
            del self._owners[zone]
        self._said[catalog] = found
        return starts, gone

    def _starts(self, catalog: str, member: Member, others: Container[str]) -> bool | None:
        """Whether what is known of the zone stays, if it is to be fetched anew; None: it is not."""
        owner, id = self._owners.get(member.zone, ("", member.id))
        if owner == catalog:
            return None if id == member.id else False
        if not owner and member.zone not in others:
            return False
        before = self._said.get(owner, {}).get(member.zone)
        if before is not None and before.moves_to == catalog:
            return id == before.id == member.id
        log.warning("catalog %s: %s is left out: it is there already", catalog, member.zone)
        return None


def _joined(rdata: bytes) -> bytes:
    """The strings of a TXT record as one."""
    text, at = b"", 0
    while at < len(rdata):
        text += rdata[at + 1 : at + 1 + rdata[at]]
        at += 1 + rdata[at]
    return text


def _text(labels: Labels) -> str:
    return Question.of(DNSLabel(labels), 0).text
