"""Rules that clusters have, before `kubernetes`, from the query's octets to the reply's."""

import ipaddress

import pytest

from clusterdns.cluster.events import KINDS, Synced, Upsert
from clusterdns.cluster.model import Endpoint, EndpointSlice, Namespace, Port, Service
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import parse
from clusterdns.plugins.base import Setup
from clusterdns.plugins.order import build
from clusterdns.server.block import Block, Router
from clusterdns.zone.index import Index
from tests.server.asking import Path, query, read, texts

ZONE = "cluster.local."
SECONDS = 1_700_000_000  # of the last change, Unix


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


WEB = Service("shop", "web", (packed("10.3.0.1"),), (Port("http", 80),))
OBJECTS = (
    *(Namespace("default"), Namespace("shop"), WEB),
    Service("default", "api", (packed("10.3.0.2"),), (Port("", 443),)),
    Service("shop", "bank", external_name="api.default.svc.cluster.local"),
    Service("shop", "db"),
    EndpointSlice.pack(
        "shop", "db-1", "db", (Port("sql", 5432),), [Endpoint(packed("10.1.0.7"), "10-1-0-7")]
    ),
)


class Server:
    """A server block of these rules and `kubernetes`, asked as over UDP."""

    def __init__(self, rules: str) -> None:
        self.index = Index(Selection())
        for thing in OBJECTS:
            self.index.apply(Upsert(thing), SECONDS)
        for kind in KINDS:
            self.index.apply(Synced(kind), SECONDS)
        text = f". {{\n{rules}\nkubernetes {ZONE} in-addr.arpa\n}}"
        setup = Setup(zones=(".",), cluster=lambda selection, api: self.index)
        self.path = Path(Router([Block((".",), build(parse(text, "Corefile").blocks[0], setup))]))

    def ask(self, question: str) -> bytes | None:
        name, *qtype = question.split()
        return self.path.ask(query(name, *qtype))


ANSWERS = [  # rules, question, answer without TTL and class
    (
        "rewrite name exact foo.example.com web.shop.svc.cluster.local",
        "foo.example.com.",
        ["foo.example.com. A 10.3.0.1"],
    ),
    (
        "rewrite name foo.example.com web.shop.svc.cluster.local",
        "Foo.EXAMPLE.com.",
        ["Foo.EXAMPLE.com. A 10.3.0.1"],
    ),
    (
        "rewrite name suffix .old.domain .cluster.local answer auto",
        "web.shop.svc.old.domain.",
        ["web.shop.svc.old.domain. A 10.3.0.1"],
    ),
    (
        "rewrite name suffix .old.domain .cluster.local answer auto",
        "_SQL._tcp.DB.shop.svc.Old.domain. SRV",
        ["_SQL._tcp.DB.shop.svc.Old.domain. SRV 0 100 5432 10-1-0-7.DB.shop.svc.Old.domain."],
    ),
    (
        "rewrite name suffix .old.domain .cluster.local",
        "WEB.shop.svc.old.domain.",
        ["web.shop.svc.cluster.local. A 10.3.0.1"],
    ),
    (
        r"rewrite name regex (.*)\.internal\.example\.com {1}.default.svc.cluster.local",
        "api.internal.example.com.",
        ["api.default.svc.cluster.local. A 10.3.0.2"],
    ),
    (
        r"rewrite stop {"
        "\n"
        r"name regex (.*)\.internal\.example\.com {1}.default.svc.cluster.local"
        "\n"
        r"answer name (.*)\.default\.svc\.cluster\.local {1}.internal.example.com"
        "\n}",
        "API.internal.example.com.",
        ["API.internal.example.com. A 10.3.0.2"],
    ),
    (
        r"rewrite name regex (.*)\.x (.*).shop.svc.cluster.local answer auto".replace(
            "(.*).shop", "{1}.shop"
        ),
        "bank.x.",
        [
            "bank.x. CNAME api.default.svc.cluster.local.",
            "api.default.svc.cluster.local. A 10.3.0.2",
        ],
    ),
    (
        "rewrite cname exact api.default.svc.cluster.local web.shop.svc.cluster.local",
        "bank.shop.svc.cluster.local.",
        [
            "bank.shop.svc.cluster.local. CNAME web.shop.svc.cluster.local.",
            "web.shop.svc.cluster.local. A 10.3.0.1",
        ],
    ),
    (
        "rewrite type AAAA A",
        "web.shop.svc.cluster.local. AAAA",
        ["web.shop.svc.cluster.local. A 10.3.0.1"],
    ),
    (
        "rewrite stop {\n name suffix .arpa .arpa\n answer auto\n"
        r" answer value (.*)\.cluster\.local {1}.old.domain" + "\n}",
        "1.0.3.10.in-addr.arpa. PTR",
        ["1.0.3.10.in-addr.arpa. PTR web.shop.svc.old.domain."],
    ),
]


@pytest.mark.parametrize(("rules", "question", "expected"), ANSWERS)
def test_answer(rules: str, question: str, expected: list[str]) -> None:
    reply = Server(rules).ask(question)
    assert [
        " ".join([name, rtype, *rdata])
        for name, _, _, rtype, *rdata in (text.split() for text in texts(reply))
    ] == expected
    (asked,) = read(reply).question
    assert asked.name.to_text() == question.split()[0]


def test_missing_name_is_nxdomain() -> None:
    server = Server("rewrite name suffix .old.domain .cluster.local answer auto")
    reply = read(server.ask("none.shop.svc.old.domain."))
    assert reply.rcode() == 3
    (soa,) = reply.authority
    assert soa.name.to_text() == "cluster.local."


def test_rcode() -> None:
    server = Server("rewrite rcode suffix .cluster.local NXDOMAIN NOERROR")
    assert read(server.ask("none.shop.svc.cluster.local.")).rcode() == 0


def test_ttl() -> None:
    reply = Server("rewrite ttl suffix .svc.cluster.local 60").ask("web.shop.svc.cluster.local.")
    assert read(reply).answer[0].ttl == 60


RULES = "rewrite name suffix .old.domain .cluster.local answer auto"


def test_reply_is_kept_until_the_service_changes() -> None:
    server = Server(RULES)
    assert texts(server.ask("web.shop.svc.old.domain."))[0].endswith("10.3.0.1")
    assert texts(server.ask("web.shop.svc.old.domain."))[0].endswith("10.3.0.1")
    assert server.path.was_raw
    changed = Service("shop", "web", (packed("10.3.0.9"),), WEB.ports)
    server.path.answers.forget(server.index.apply(Upsert(changed), SECONDS + 1))
    assert texts(server.ask("web.shop.svc.old.domain."))[0].endswith("10.3.0.9")


def test_serial_of_a_kept_reply_moves_on() -> None:
    server = Server(RULES)
    for later in (0, 60):
        server.index.apply(Upsert(Namespace(f"new-{later}")), SECONDS + later)
        reply = read(server.ask("none.shop.svc.old.domain."))
        assert reply.authority[0][0].serial == server.index.serial
    assert server.path.was_raw


def test_kept_reply_is_spelled_as_asked() -> None:
    server = Server(RULES)
    for name in (
        "web.shop.svc.old.domain.",
        "WEB.shop.svc.OLD.domain.",
        "Web.shop.svc.old.domain.",
    ):
        assert texts(server.ask(name)) == [f"{name} 5 IN A 10.3.0.1"]


def test_invalid_name_is_servfail() -> None:
    server = Server("rewrite name exact a.example. b..example.")
    reply = read(server.ask("a.example."))
    assert reply.rcode() == 2
    assert reply.question[0].name.to_text() == "a.example."


def test_class() -> None:
    """Other classes are refused before any rule without `chaos` or `forward`, as in CoreDNS."""
    octets = query("web.shop.svc.cluster.local.", qclass=3)
    for chaos, rcode in (("", 5), ("chaos", 0)):
        assert read(Server(f"rewrite class CH IN\n{chaos}").path.ask(octets)).rcode() == rcode
