"""Questions worth asking: what to type after `dig` to see the cluster answer."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from typing import NamedTuple

from dnslib import QTYPE

from clusterdns.cluster.model import Service
from clusterdns.wire.question import Question
from clusterdns.zone.found import Records, RRset
from clusterdns.zone.index import Index
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.view import ZoneOptions

SYSTEM = "kube-system"  # its Services are everybody's; others tell more
# Services looked at for each kind of question: the first of them has an answer nearly always, and a
# cluster of ten thousand without one must not hold up the start.
LOOKED_AT = 1000


class Suggestion(NamedTuple):
    """A question, and the words for `dig` that ask it."""

    name: str
    qtype: str
    words: str


def suggestions(index: Index, options: ZoneOptions) -> Iterator[str]:
    """Up to four, each the words for `dig`: an address, a headless name, a port, a reverse name.

    Every one of them has records in this zone.
    """
    zone = next((str(zone) for zone in options.zones if not _is_reverse(str(zone))), None)
    if zone is None:
        return
    lookup = Lookup(index, options)
    services = sorted(index.services(), key=_most_telling_first)
    addressed = [each for each in services if each.cluster_ips]
    headless = [each for each in services if each.headless]
    for kind in (
        (each for service in addressed for each in _addresses(service, zone)),
        (each for service in headless for each in _addresses(service, zone)),
        (each for service in addressed for each in _ports(service, zone)),
        (each for service in addressed for each in _reverse(service)),
    ):
        yield from islice(_answered(kind, lookup), 1)


def _most_telling_first(service: Service) -> tuple[bool, bool, str, str]:
    is_api = (service.namespace, service.name) == ("default", "kubernetes")
    return service.namespace == SYSTEM, is_api, service.namespace, service.name


def _answered(questions: Iterable[Suggestion], lookup: Lookup) -> Iterator[str]:
    for name, qtype, words in islice(questions, LOOKED_AT):
        question = Question.of(name, getattr(QTYPE, qtype))
        if isinstance(lookup.find(question.labels, question.qtype), Records | RRset):
            yield words


def _addresses(service: Service, zone: str) -> Iterator[Suggestion]:
    for qtype in ("A", "AAAA"):
        yield _suggestion(_name(service, zone), qtype)


def _ports(service: Service, zone: str) -> Iterator[Suggestion]:
    for port in service.ports:
        if port.name:
            yield _suggestion(f"_{port.name}._{port.protocol}.{_name(service, zone)}", "SRV")


def _reverse(service: Service) -> Iterator[Suggestion]:
    for address in map(ip_address, service.cluster_ips):
        yield Suggestion(address.reverse_pointer, "PTR", f"-x {address}")


def _suggestion(name: str, qtype: str) -> Suggestion:
    return Suggestion(name, qtype, f"{name} {qtype}")


def _name(service: Service, zone: str) -> str:
    return f"{service.name}.{service.namespace}.svc.{zone}".rstrip(".")


def _is_reverse(zone: str) -> bool:
    return zone.rstrip(".").endswith(("in-addr.arpa", "ip6.arpa"))
