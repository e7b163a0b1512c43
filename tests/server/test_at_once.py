"""Plain questions of the cluster that take no full path get what it would have given them.

`test_cluster` compares whatever octets anybody sends; here is what does and what does not go so.
"""

import pytest

from clusterdns import metrics
from clusterdns.cluster.events import KINDS, Synced, Upsert
from clusterdns.cluster.model import (
    Endpoint,
    EndpointSlice,
    Namespace,
    Port,
    Service,
    parse_address,
)
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import parse
from clusterdns.server.answers import Answers
from clusterdns.server.configuration import configure
from clusterdns.server.respond import Responder
from clusterdns.zone.index import Index
from tests.server.asking import CLIENT, LOCAL, NOW, Path, opt, option, query, read

ZONES = "kubernetes cluster.local in-addr.arpa"
STOCK = "errors\n prometheus\n loadbalance\n cache 30\n"
STOCK += f"{ZONES} {{\n fallthrough in-addr.arpa\n }}\n"
WEB, DB, SQL = "web.shop.svc.cluster.local.", "db.shop.svc.cluster.local.", "_sql._tcp.db.shop.svc."
QUESTIONS = {
    "an address": query(WEB),
    "no such type": query(WEB, "AAAA"),
    "no such Service": query("no.shop.svc.cluster.local."),
    "no such namespace": query("example.org.shop.svc.cluster.local."),
    "endpoints": query(DB),
    "an endpoint": query(f"db-0.{DB}"),
    "ports": query(f"{SQL}cluster.local.", "SRV"),
    "ports, in 1232 octets": query(f"{SQL}cluster.local.", "SRV", opt=opt(1232)),
    "a pointer": query("1.0.96.10.in-addr.arpa.", "PTR"),
    "with DO": query(WEB, opt=opt(4096, do=True)),
    "without RD": query(WEB, flags=0),
    "AD": query(WEB, flags=0x0120),
}
FULL_PATH = {
    "an alias": query("alias.shop.svc.cluster.local."),
    "the apex": query("cluster.local.", "SOA"),
    "letters in both cases": query(WEB.title()),
    "an option": query(WEB, opt=opt(options=option(10, bytes(8)))),
    "another class": query(WEB, qclass=3),
    "ANY": query(WEB, "ANY"),
}


def index() -> Index:
    def ip(text: str) -> bytes:
        packed = parse_address(text)
        assert packed is not None
        return packed

    found = Index(Selection())
    pods = [Endpoint(ip(f"10.1.0.{n}"), f"10.1.0.{n}", hostname=f"db-{n}") for n in range(9)]
    for thing in (
        Namespace("shop"),
        Service("shop", "web", (ip("10.96.0.1"),), (Port("http", 80),)),
        Service("shop", "db", (), (Port("sql", 5432),)),
        Service("shop", "alias", external_name="web.shop.svc.cluster.local"),
        EndpointSlice.pack("shop", "db-1", "db", (Port("sql", 5432),), pods),
    ):
        found.apply(Upsert(thing), now=1)
    for kind in KINDS:
        found.apply(Synced(kind), now=1)
    return found


def served(corefile: str, known: Index | None = None) -> Path:
    text = f". {{\n {corefile}\n}}"
    held = known or index()
    found = configure(parse(text, "test", {}), lambda selection, api: held, 53)
    return Path(found.sockets[0].router)


def full(path: Path, octets: bytes) -> bytes:
    reply = Responder(path.responder.router, Answers(), "udp", LOCAL).respond(octets, CLIENT, NOW)
    assert isinstance(reply, bytes)
    return reply


def shown(octets: bytes | None) -> tuple[object, ...]:
    """All of a reply but the order of its addresses."""
    reply = read(octets)
    sections = [[each.to_text() for each in section] for section in reply.sections]
    sections[1].sort()
    return reply.id, reply.flags, reply.ednsflags, reply.payload, sections


@pytest.mark.parametrize("corefile", [ZONES, f"loadbalance\n {ZONES}", STOCK])
@pytest.mark.parametrize("octets", QUESTIONS.values(), ids=QUESTIONS)
def test_as_the_full_path(corefile: str, octets: bytes) -> None:
    path = served(corefile)
    first = path.ask(octets)
    assert path.was_relayed
    assert shown(first) == shown(full(path, octets))
    assert shown(path.ask(octets)) == shown(first)
    assert path.was_raw or len(read(first).answer) > 1  # it is kept, in some orders


@pytest.mark.parametrize("octets", FULL_PATH.values(), ids=FULL_PATH)
def test_takes_the_full_path(octets: bytes) -> None:
    path = served(STOCK)
    assert shown(path.ask(octets)) == shown(full(path, octets))
    assert not path.was_relayed


@pytest.mark.parametrize(
    "corefile",
    [
        f"log\n {ZONES}",
        f"rewrite name a.test {WEB}\n {ZONES}",
        f"acl {{\n block\n }}\n {ZONES}",
    ],
)
def test_a_plugin_in_front_must_see_it(corefile: str) -> None:
    path = served(corefile)
    path.ask(query(WEB))
    assert not path.was_relayed


def test_a_plugin_behind_need_not() -> None:
    path = served(f"{ZONES}\n whoami")
    path.ask(query(WEB))
    assert path.was_relayed


def test_what_falls_through() -> None:
    path = served(f"{ZONES} {{\n fallthrough\n }}\n whoami")
    octets = query("no.shop.svc.cluster.local.")
    assert shown(path.ask(octets)) == shown(full(path, octets))
    assert not path.was_relayed


def test_recursion_is_available_with_an_upstream() -> None:
    path = served(f"{ZONES}\n forward . 192.0.2.1")
    assert shown(path.ask(query(WEB))) == shown(full(path, query(WEB)))
    assert read(path.ask(query(WEB))).flags & 0x0080


def test_not_listed_yet_or_stale() -> None:
    empty = Index(Selection())
    path = served(ZONES, empty)
    assert read(path.ask(query(WEB))).rcode() == 2
    assert not path.was_relayed
    known = index()
    known.synced, known.stale = False, True
    path = served(ZONES, known)
    assert shown(path.ask(query(WEB))) == shown(full(path, query(WEB)))
    assert not path.was_relayed


def test_forgotten_when_an_event_touches_it() -> None:
    known = index()
    path = served(ZONES, known)
    before = read(path.ask(query(WEB)))
    gone = Service("shop", "web", (), (), external_name="example.org")
    path.answers.forget(known.apply(Upsert(gone), now=9))
    assert read(path.ask(query(WEB, "TXT"))).answer != before.answer


def test_a_fault_of_ours_is_told_by_the_full_path(monkeypatch: pytest.MonkeyPatch) -> None:
    path = served(ZONES)
    before = metrics.panics.total()
    monkeypatch.setattr("clusterdns.zone.lookup.Lookup.find", lambda *_: 1 // 0)
    assert read(path.ask(query(WEB))).rcode() == 2
    assert metrics.panics.total() == before + 1
