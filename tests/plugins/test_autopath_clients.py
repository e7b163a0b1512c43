"""`autopath @kubernetes` in the full path: finished answers for clients with one search list."""

import math
from ipaddress import ip_address

import pytest
from dnslib import DNSLabel

from clusterdns.cluster.events import Delete, Upsert
from clusterdns.cluster.model import Pod
from clusterdns.cluster.selection import Selection
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import Aging, Query, Reply, Resolve
from clusterdns.server.answers import Answers
from clusterdns.server.block import Block, Router
from clusterdns.server.respond import Responder
from clusterdns.server.steps import Steps
from clusterdns.zone.index import Index, Key
from clusterdns.zone.view import View, ZoneOptions
from tests.plugins.asking import new_setup, parsed, records
from tests.server.asking import LOCAL, NOW, opt, option, query, read

SHOP, SHOP_TOO, BANK, NOBODY = "10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.9"
WALKED = "www.example.org.shop.svc.cluster.local."
KEY: Key = ("namespace", "shop")


class Behind(Plugin):
    """What is asked behind: www.example.org and the Service web exist, other names do not."""

    name = "behind"
    aging: Aging | None = None

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(self, query: Query, next: Resolve) -> Reply:
        name = query.question.text
        self.asked.append(name)
        if name not in ("www.example.org.", "web.shop.svc.cluster.local."):
            return Reply(3, keys=frozenset({KEY}), until=math.inf)
        reply = Reply(answer=records(f"{name} 60 IN A 192.0.2.1"), until=math.inf)
        if self.aging is not None:
            reply.aging, reply.until = self.aging, self.aging.turn(60)
        return reply


class Copying(Plugin):
    """A directive in front that makes a reply of its own, and knows nothing of personas."""

    name = "copying"

    async def resolve(self, query: Query, next: Resolve) -> Reply:
        found = await next(query)
        assert found is not None
        return Reply(found.rcode, answer=found.answer).rests_on(found.keys, found.until)


class Server:
    """The full path for several clients."""

    def __init__(self, front: Plugin | None = None) -> None:
        self.index = Index(Selection(pods=True))
        for name, namespace, address in (
            ("a", "shop", SHOP),
            ("b", "shop", SHOP_TOO),
            ("c", "bank", BANK),
        ):
            self.put(namespace, name, address)
        setup = new_setup()
        options = ZoneOptions((DNSLabel("cluster.local"),), pods="verified")
        setup.views.append(View(self.index, options))
        self.behind = Behind()
        plugins = [parsed("autopath @kubernetes", setup), self.behind]
        self.answers = Answers(100, 100)
        router = Router([Block(["."], [front, *plugins] if front else plugins)])
        self.responder = Responder(router, self.answers, "udp", LOCAL)

    def put(self, namespace: str, name: str, address: str) -> None:
        self.index.apply(Upsert(Pod(namespace, name, ip_address(address).packed)), 0.0)

    def ask(self, peer: str, octets: bytes, now: float = NOW) -> tuple[str, int]:
        """The last record of the answer, or the rcode; and how often plugins were asked."""
        before = len(self.behind.asked)
        reply = self.answers.reply(octets, now)
        if reply is None:
            found = self.responder.respond(octets, (peer, 4321), now)
            assert isinstance(found, bytes)
            assert not isinstance(found, Steps)
            reply = found
        message = read(reply)
        text = message.answer[-1].to_text() if message.answer else str(int(message.rcode()))
        return text, len(self.behind.asked) - before


FOUND = "www.example.org. 60 IN A 192.0.2.1"


def test_clients_with_the_same_list_share_an_answer() -> None:
    server = Server()
    octets = query(WALKED)
    assert server.ask(SHOP, octets) == (FOUND, 4)
    assert server.ask(SHOP, octets) == (FOUND, 0)
    assert server.ask(SHOP_TOO, octets) == (FOUND, 0)
    assert server.ask(BANK, octets) == ("3", 1)
    assert server.ask(NOBODY, octets) == ("3", 1)
    assert server.ask(BANK, octets) == ("3", 0)
    assert server.ask(NOBODY, octets) == ("3", 0)
    assert server.ask(SHOP, octets) == (FOUND, 0)


@pytest.mark.parametrize(
    "edns", [b"", opt(), opt(options=option(10, b"cookies!"))], ids=["no OPT", "OPT", "cookie"]
)
@pytest.mark.parametrize("spelled", ["www", "wWw"])
def test_however_it_is_asked(spelled: str, edns: bytes) -> None:
    server = Server()
    octets = query(WALKED.replace("www", spelled), opt=edns)
    assert server.ask(SHOP, octets)[1] == 4
    assert server.ask(SHOP_TOO, octets)[1] == 0
    assert server.ask(BANK, octets) == ("3", 1)
    assert server.ask(BANK, octets) == ("3", 0)


def test_what_exists_is_for_everybody() -> None:
    server = Server()
    octets = query("web.shop.svc.cluster.local.")
    answer = "web.shop.svc.cluster.local. 60 IN A 192.0.2.1"
    assert server.ask(BANK, octets) == (answer, 1)
    for peer in (SHOP, SHOP_TOO, NOBODY):
        assert server.ask(peer, octets) == (answer, 0)


def test_an_event_ends_it() -> None:
    server = Server()
    octets = query(WALKED)
    assert server.ask(SHOP, octets)[1] == 4
    server.answers.forget([KEY])
    assert server.ask(SHOP, octets) == (FOUND, 4)


def test_an_address_that_is_another_pod_s_by_now() -> None:
    server = Server()
    octets = query(WALKED)
    assert server.ask(SHOP, octets) == (FOUND, 4)
    assert server.ask(BANK, octets) == ("3", 1)
    server.index.apply(Delete("Pod", "shop", "a"), 0.0)
    assert server.ask(SHOP, octets) == ("3", 1)
    server.put("bank", "d", SHOP)
    assert server.ask(SHOP, octets) == ("3", 0)
    server.put("shop", "e", NOBODY)
    assert server.ask(NOBODY, octets) == (FOUND, 0)


def test_ttls_count_down() -> None:
    server = Server()
    server.behind.aging = Aging(NOW, 60, NOW + 50)
    octets = query(WALKED)
    assert server.ask(SHOP, octets) == (FOUND, 4)
    assert server.ask(SHOP, octets, NOW + 20.5) == (FOUND.replace("60", "40"), 0)
    assert server.ask(SHOP, octets, NOW + 51)[1] == 4


def test_a_directive_in_front_that_knows_nothing_of_it() -> None:
    """Its reply is nobody's, and not everybody's."""
    server = Server(Copying())
    octets = query(WALKED)
    for _ in range(2):
        assert server.ask(SHOP, octets) == (FOUND, 4)
        assert server.ask(BANK, octets) == ("3", 1)


def test_who_makes_it_hold_for_less() -> None:
    reply = Reply(until=0.0, persona="x", until_for_persona=9.0)
    assert reply.rests_on([], 5.0).until_for_persona == 5.0
