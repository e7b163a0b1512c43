"""What clusterdns must answer: what CoreDNS answers, changed by the differences that are meant.

A rule is no excuse but a prescription: it says what the different answer is, record for record,
and makes it of other answers of CoreDNS. Numbers are those of docs/differences.md.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import dns.rdatatype

from tests.objects import Json
from tests.oracle.answers import UNREADABLE, Answer, Opt, Record, Section
from tests.oracle.asking import Question
from tests.oracle.truth import Truth, weight
from tests.oracle.variants import Variant

A, NS, CNAME, SOA, PTR, AAAA, SRV, ANY = 1, 2, 5, 6, 12, 28, 33, 255
OUR_SIZE = 1232  # D5: what our OPT says
TRANSFERS = (251, 252)  # IXFR, AXFR
LINKS = 11  # D34: of a chain, the first and as many behind it as CoreDNS ever follows
FROM_QUERY = frozenset({"RD", "CD"})

TREES = ("svc", "pod")  # D1: with nothing below them in a reverse zone they do not exist there

Key = tuple[str, int]  # name as asked, type
Expected = tuple[Answer, frozenset[str]]  # and the rules that changed something


class Rules:
    """The answers expected under one Corefile, from those that CoreDNS gave."""

    def __init__(
        self, variant: Variant, objects: Iterable[Json], replies: Mapping[Question, Answer | None]
    ) -> None:
        """replies: by question; all names with the types of BASE_TYPES, as plain UDP, at least."""
        self._variant = variant
        self._replies = replies
        self._truth = Truth(objects, variant)
        self._unusable = tuple(
            f"{name}{zone}" for name in self._truth.unusable() for zone in variant.served
        )
        self._zones = sorted(variant.served, key=len, reverse=True)
        self._memo: dict[Key, Expected] = {}
        self._existing = self._find_existing()

    def expected(self, question: Question) -> Expected:
        """The whole reply to a question, in whatever way it is asked."""
        raw = self._replies[question]
        if question.qclass != 1:
            assert raw is not None, question
            return self._with_opt(raw, raw, question)
        if question.edns is not None and question.edns.version:
            assert raw is not None, question
            return self._with_opt(raw, raw, question)
        plain, rules = self._plain((question.name, question.qtype))
        if raw is None:
            return plain, rules
        if not rules and "TC" not in raw.bits:
            plain = raw
        elif question.tcp:  # `whoami` tells the transport
            plain = _renamed(plain, "_udp.", "_tcp.")
        bits = (plain.bits - FROM_QUERY - {"TC"}) | (raw.bits & FROM_QUERY)
        answer, more = self._with_opt(replace(plain, bits=bits), raw, question)
        return answer, rules | more

    def zone(self, name: str) -> str | None:
        """The zone of a name, spelled as in the name; None: no cluster name."""
        lower = name.lower()
        for zone in self._zones:
            if lower == zone or lower.endswith(f".{zone}"):
                return name[-len(zone) :]
        return None

    def _with_opt(self, answer: Answer, raw: Answer, question: Question) -> Expected:
        """D5 and D6: the OPT speaks of us, and echoes nothing but DO."""
        if raw.opt is None or question.edns is None:
            return answer, frozenset()
        opt = Opt(OUR_SIZE, 0, question.edns.flags & 0x8000)
        rule = "D6" if question.edns.version else "D5"
        return replace(answer, opt=opt), frozenset({rule} if opt != raw.opt else ())

    def _plain(self, key: Key) -> Expected:
        """The reply to a question over UDP without EDNS, were there no limit to its size."""
        if key not in self._memo:
            answer, rules = self._changed(key)
            self._memo[key] = answer, rules
        return self._memo[key]

    def _changed(self, key: Key) -> Expected:
        name, qtype = key
        zone = self.zone(name)
        if zone is None or qtype in TRANSFERS:
            return self._raw(key), frozenset()
        lower = name.lower()
        special = (lower == zone.lower() and qtype == NS) or lower == f"ns.dns.{zone.lower()}"
        if special and name != lower:
            return self._lower_case(key, zone)
        if (lower.startswith(self._unusable) and qtype != SOA) or self._is_unusable(lower):
            return self._missing(key), frozenset({"D19"})
        if qtype == PTR and _address_part(lower) in self._truth.reverse:
            return self._pointers(key)
        raw = self._raw(key)
        if (target := self._alias(key)) is not None and not _hinfo(raw):
            return self._followed(key, target)
        return self._existence(key, raw)

    def _raw(self, key: Key) -> Answer:
        """What CoreDNS says, in full: over TCP where UDP cut something off."""
        reply = self._replies[Question(*key)]
        if reply is not None and "TC" in reply.bits:
            reply = self._replies[Question(*key, tcp=True)]
        return reply or UNREADABLE

    def _is_unusable(self, name: str) -> bool:
        return any(name == held or name.endswith(f".{held}") for held in self._unusable)

    # D4 -----------------------------------------------------------------------------------------

    def _lower_case(self, key: Key, zone: str) -> Expected:
        """D4: what the lower-case name has, spelled as asked."""
        name, qtype = key
        answer, rules = self._plain((name.lower(), qtype))
        spelled = _respelled(answer, name, zone)
        changed = spelled.said() != self._raw(key).said()
        return spelled, rules | {"D4"} if changed else rules

    # D19 to D22 ---------------------------------------------------------------------------------

    def _pointers(self, key: Key) -> Expected:
        """D19 to D22, and D12: one PTR for each visible owner of the address."""
        raw = self._raw(key)
        owners = self._truth.reverse[_address_part(key[0].lower())]
        told = {record.data for record in raw.answer}
        rules = set(owners.rules)
        if self._variant.zones[0].endswith(".arpa"):
            rules.add("D12")
        if told == owners.targets and (told or _denies(raw)):
            return raw, frozenset()
        if not rules:
            return raw, frozenset({"unknown PTR difference"})
        if not owners.targets:
            return self._missing(key), frozenset(rules)
        records = [Record(key[0], "PTR", target, self._variant.ttl) for target in owners.targets]
        found = Answer(
            "NOERROR", frozenset({"AA", "RD"}), _asked(key), answer=tuple(sorted(records))
        )
        return found, frozenset(rules)

    # D34 ----------------------------------------------------------------------------------------

    def _alias(self, key: Key) -> str | None:
        """The target when the name is that of an ExternalName Service."""
        reply = self._replies.get(Question(key[0], CNAME))
        if reply is None or not reply.answer or reply.answer[0].type != "CNAME":
            return None
        return reply.answer[0].data

    def _followed(self, key: Key, target: str) -> Expected:
        """D34: the CNAME whatever the type; A and AAAA with all that it leads to."""
        name, qtype = key
        raw = self._raw(key)
        link = Record(name, "CNAME", target, self._variant.ttl)
        records, rules, seen = [link], frozenset({"D34"}), {name.lower()}
        while qtype in (A, AAAA) and target.lower() not in seen:
            seen.add(target.lower())
            if Question(target, qtype) not in self._replies:
                break
            further = self._alias((target, qtype))
            if further is None or self.zone(target) is None:
                records += self._plain((target, qtype))[0].answer
                break
            if len(records) == LINKS:
                break
            records.append(Record(target, "CNAME", further, self._variant.ttl))
            target = further
        found = Answer(
            "NOERROR", frozenset({"AA", "RD"}), _asked(key), answer=tuple(sorted(records))
        )
        return (raw, frozenset()) if found.said() == raw.said() else (found, rules)

    # D1 to D3, D14, D15 -------------------------------------------------------------------------

    def _existence(self, key: Key, raw: Answer) -> Expected:
        name, qtype = key
        exists = name.lower() in self._existing
        if exists and _denies(raw):
            return self._nodata(key), frozenset(
                {"D3" if name.lower() in self._truth.reverse else "D1"}
            )
        if not exists and raw.rcode == "NOERROR" and not raw.answer and not _denies(raw):
            return self._missing(key), frozenset({"D1"})
        if qtype == SRV and raw.answer:
            return self._weighed(key, raw)
        return self._global(raw)

    def _nodata(self, key: Key) -> Answer:
        """NODATA as CoreDNS says it of this name: below the apex it does for SOA, always."""
        name = key[0]
        other = A if name == self.zone(name) else SOA
        return replace(self._raw((name, other)), question=_asked(key))

    def _missing(self, key: Key) -> Answer:
        """NXDOMAIN, or what the next plugin says, as CoreDNS answers a missing name."""
        name = key[0]
        zone = self.zone(name)
        assert zone is not None
        for qtype in (A, PTR, SRV):
            reply = self._raw((name, qtype))
            if _denies(reply):
                return replace(reply, question=_asked(key))
        template = f"nope.{zone.lower()}"
        reply = replace(self._raw((template, A)), question=_asked(key))
        return _respelled(_renamed(reply, template, name), name, zone)

    def _weighed(self, key: Key, raw: Answer) -> Expected:
        """D15: a pair of address and port counts once, in however many slices it is."""
        zone = self.zone(key[0])
        assert zone is not None
        labels = key[0].lower().removesuffix(f".svc.{zone.lower()}").split(".")
        if len(labels) < 2:
            return raw, frozenset()
        *filters, name, space = labels
        pairs = [pair for pair in self._truth.pairs(space, name) if _selected(pair, filters)]
        if len(pairs) == len(set(pairs)):
            return raw, frozenset()
        before, after = f"0 {weight(len(pairs))} ", f"0 {weight(len(set(pairs)))} "
        changed = [r._replace(data=r.data.replace(before, after, 1)) for r in raw.answer]
        return replace(raw, answer=tuple(sorted(changed))), frozenset({"D15"})

    def _global(self, raw: Answer) -> Expected:
        """D14: no link-local address among those of the name server."""
        sections = [tuple(r for r in section if not _link_local(r)) for section in raw.sections]
        answer, authority, additional = sections
        found = replace(raw, answer=answer, authority=authority, additional=additional)
        return found, frozenset({"D14"} if found != raw else ())

    def _find_existing(self) -> frozenset[str]:
        """The names in lower case that have records, or names below them."""
        known: set[str] = set()
        for question, reply in self._replies.items():
            zone = self.zone(question.name)
            if zone is None or question.qtype in (SOA, ANY, *TRANSFERS) or question.qclass != 1:
                continue
            if reply is not None and reply.rcode == "NOERROR" and not _denies(reply):
                known.add(question.name.lower())
        for pointer, owners in self._truth.reverse.items():
            known.discard(pointer)
            if owners.targets and self.zone(pointer):
                known.add(pointer)
        for zone in self._zones:
            known |= {f"dns-version.{zone}", f"dns.{zone}"}  # D2: ns.dns is always there
        known = {name for name in known if not self._is_unusable(name)}
        for name in list(known):
            zone = self.zone(name) or name
            if not zone.endswith("arpa."):  # a part of an address is no name, as ever
                known |= set(_above(name, zone))
        return frozenset(
            known
            - {f"{tree}.{zone}" for tree in TREES for zone in self._zones if zone.endswith("arpa.")}
        )


def _address_part(name: str) -> str:
    """1.11: the name without the labels, up to three, that may stand before 32 nibbles."""
    labels = name.split(".")
    return ".".join(labels[-35:]) if name.endswith(".ip6.arpa.") and len(labels) <= 38 else name


def _above(name: str, zone: str) -> Iterator[str]:
    """The name and those above it, up to the zone."""
    while len(name) > len(zone):
        yield name
        name = name.partition(".")[2]


def _denies(reply: Answer) -> bool:
    """Whether CoreDNS takes the name for missing: NXDOMAIN, or the next plugin was asked."""
    unanswered = reply.rcode == "SERVFAIL" and "AA" not in reply.bits
    whoami = not reply.answer and not reply.authority and bool(reply.additional)
    return reply.rcode == "NXDOMAIN" or unanswered or whoami


def _asked(key: Key) -> str:
    return f"{key[0]} IN {dns.rdatatype.to_text(dns.rdatatype.RdataType.make(key[1]))}"


def _hinfo(reply: Answer) -> bool:
    """Whether `any` answered."""
    return any(record.type == "HINFO" for record in reply.answer)


def _selected(pair: tuple[str, str, int, str, str], filters: list[str]) -> bool:
    """1.4: whether the labels left of the Service choose this endpoint or port."""
    endpoint, _, _, name, protocol = pair
    if len(filters) == 1:
        return filters == [endpoint]
    if len(filters) == 2:
        wanted, way = (label.removeprefix("_") for label in filters)
        return wanted in ("", name) and way in ("", protocol)
    return not filters


def _renamed(answer: Answer, old: str, new: str) -> Answer:
    """With other owners of additional records: `whoami` makes them of the question."""
    named = tuple(r._replace(owner=r.owner.replace(old, new)) for r in answer.additional)
    return replace(answer, additional=tuple(sorted(named)))


def _respelled(answer: Answer, name: str, zone: str) -> Answer:
    """The answer to the lower-case name as this name's: owner and zone part spelled as asked."""
    question = f"{name} {answer.question.partition(' ')[2]}"
    sections = [_respelled_section(section, name, zone) for section in answer.sections]
    found = replace(answer, question=question)
    return replace(found, answer=sections[0], authority=sections[1], additional=sections[2])


def _respelled_section(section: Section, name: str, zone: str) -> Section:
    def spelled(text: str) -> str:
        return text[: -len(zone)] + zone if text.lower().endswith(zone.lower()) else text

    return tuple(
        sorted(
            record._replace(
                owner=name if record.owner.lower() == name.lower() else spelled(record.owner),
                data=" ".join(spelled(word) for word in record.data.split(" ")),
            )
            for record in section
        )
    )


def _link_local(record: Record) -> bool:
    return record.type == "AAAA" and ipaddress.ip_address(record.data).is_link_local
