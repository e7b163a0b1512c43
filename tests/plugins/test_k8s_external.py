"""`k8s_external`: its options, and the way from what the zone says to a reply."""

import math
from dataclasses import dataclass, field

import pytest

from clusterdns.cluster.events import KINDS, Synced, Upsert
from clusterdns.cluster.model import Namespace, Port, Service
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import parse
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.k8s_external import K8sExternal
from clusterdns.plugins.order import build
from clusterdns.plugins.query import Query, Reply
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index
from tests.plugins.asking import Exchange, Next, fault, new_setup, parsed, query, records, texts

SERIAL = 1_700_000_000
Z = "example.org."
SOA = f"{Z} 5 IN SOA ns1.dns.{Z} hostmaster.dns.{Z} 0 7200 1800 86400 5"


def read(text: str, setup: Setup | None = None) -> K8sExternal:
    plugin = parsed(text, setup)
    assert isinstance(plugin, K8sExternal)
    return plugin


@pytest.mark.parametrize(
    ("text", "zone", "apex", "headless", "fallthrough"),
    [  # setup_test.go
        ("k8s_external", ".", "dns", False, ()),
        ("k8s_external example.org", Z, "dns", False, ()),
        ("k8s_external example.org {\n apex testdns\n}", Z, "testdns", False, ()),
        ("k8s_external example.org {\n headless\n}", Z, "dns", True, ()),
        ("k8s_external example.org {\n fallthrough\n}", Z, "dns", False, (".",)),
        (
            "k8s_external example.org {\n fallthrough ip6.arpa inaddr.arpa foo.com\n}",
            Z,
            "dns",
            False,
            ("ip6.arpa.", "inaddr.arpa.", "foo.com."),
        ),
    ],
)
def test_options(
    text: str, zone: str, apex: str, headless: bool, fallthrough: tuple[str, ...]
) -> None:
    plugin = read(text)
    options = plugin.zone_options
    assert [str(each) for each in options.zones] == [zone]
    assert (options.apex, options.headless, options.ttl) == (apex, headless, 5)
    assert plugin.fallthrough.names == fallthrough


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k8s_external a {\n ttl\n}", "2:2: ttl takes at least 1 argument"),
        ("k8s_external a {\n ttl five\n}", "2:6: 'five' is no integer"),
        ("k8s_external a {\n ttl -1\n}", "2:6: -1 is no integer of 0 to 3600"),
        ("k8s_external a {\n ttl 3601\n}", "2:6: 3601 is no integer of 0 to 3600"),
        ("k8s_external a {\n apex\n}", "2:2: apex takes at least 1 argument"),
        ("k8s_external a {\n apex a..b\n}", "2:7: 'a..b' is no label of a domain name"),
        ("k8s_external a {\n upstream\n}", "2:2: unknown property 'upstream' of k8s_external; "),
        ("k8s_external a\nk8s_external b", "2:1: k8s_external can only be used once per server"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ttl 5 seconds", "2:8: what is behind ttl 5 is ignored"),
        ("apex a b", "2:9: what is behind apex a is ignored"),
        ("headless yes", "2:11: what is behind headless is ignored"),
    ],
)
def test_accepted_with_a_warning(line: str, expected: str) -> None:
    setup = new_setup()
    read(f"k8s_external a {{\n {line}\n}}", setup)
    assert setup.warnings == [f"Corefile:{expected}"]


# With `kubernetes` beside it.


def built(text: str, index: Index | None = None) -> K8sExternal:
    """The plugin of a whole server block."""
    found = index or new_index()
    (block,) = parse(f". {{\n{text}\n}}", "Corefile").blocks
    plugins = build(block, Setup(zones=(".",), cluster=lambda selection, api: found))
    return next(plugin for plugin in plugins if isinstance(plugin, K8sExternal))


def new_index(synced: bool = True) -> Index:
    found = Index(Selection())
    outside = {"ports": (Port("http", 80),), "cluster_ips": (b"\n\0\0\1",)}
    web = Service("shop", "web", external_ips=(b"\xc0\0\2\1",), **outside)  # type: ignore[arg-type]
    edge = Service("shop", "edge", external_hosts=("lb.test",), **outside)  # type: ignore[arg-type]
    for thing in (Namespace("shop"), web, edge):
        found.apply(Upsert(thing), SERIAL)
    for kind in KINDS if synced else ():
        found.apply(Synced(kind), SERIAL)
    return found


KUBERNETES = "kubernetes cluster.local"
BOTH = f"k8s_external {Z} in-addr.arpa\n{KUBERNETES}"


@pytest.mark.parametrize("text", [BOTH, f"{KUBERNETES}\nk8s_external {Z}"])
async def test_finds_the_cluster_whatever_comes_first(text: str) -> None:
    reply = await built(text).resolve(query(f"Web.shop.{Z}"), Next())
    assert reply is not None
    assert texts(reply.answer) == [f"Web.shop.{Z} 5 IN A 192.0.2.1"]
    assert (reply.rcode, reply.authoritative, reply.until) == (0, True, math.inf)
    assert reply.keys >= {("external", "shop", "web"), ("namespace", "shop")}


def test_needs_kubernetes() -> None:
    with pytest.raises(ConfigError, match="needs a `kubernetes`") as raised:
        built(f"errors\nk8s_external {Z}")
    assert raised.value.place is not None
    assert raised.value.place.line == 3


def test_a_fault_of_kubernetes_is_told_alone() -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        built(f"k8s_external {Z}\n{KUBERNETES} {{\n nonsense\n}}")


@pytest.mark.parametrize(
    ("name", "qtype", "rcode"),
    [
        (f"web.shop.{Z}", "TXT", 0),
        (f"shop.{Z}", "A", 0),
        (f"nope.shop.{Z}", "A", 3),
        (f"x.dns.{Z}", "A", 3),
        (Z, "A", 0),
    ],
)
async def test_negative(name: str, qtype: str, rcode: int) -> None:
    index = new_index()
    reply = await built(BOTH, index).resolve(query(name, qtype), Next())
    assert reply is not None
    assert (reply.rcode, reply.authoritative, reply.answer) == (rcode, True, [])
    assert texts(reply.authority) == [SOA]
    assert reply.serial is not None
    index.external_serial = 7
    assert reply.serial() == 7


async def test_apex_soa_has_the_serial_of_now() -> None:
    reply = await built(BOTH).resolve(query(Z, "SOA"), Next())
    assert reply is not None
    assert texts(reply.answer) == [SOA]
    assert reply.serial is not None


@pytest.mark.parametrize(
    ("name", "goes_on"),
    [
        (f"nope.shop.{Z}", True),
        ("9.9.9.9.in-addr.arpa.", True),
        (f"web.shop.{Z}", False),
        (f"shop.{Z}", False),
        (f"x.dns.{Z}", False),  # as CoreDNS: what is the zone's own is nobody else's
        ("web.shop.svc.cluster.local.", True),  # not in the zone at all
    ],
)
async def test_fallthrough(name: str, goes_on: bool) -> None:
    behind = Next(Reply(3, until=math.inf))
    plugin = built(BOTH.replace("\n", " {\n fallthrough\n}\n", 1))
    reply = await plugin.resolve(query(name), behind)
    assert reply is not None
    assert (len(behind.asked) == 1) == goes_on
    if goes_on and name.endswith(Z):
        assert ("external", "shop", "nope") in reply.keys


@pytest.mark.parametrize("qclass", [3, 255])
async def test_other_classes_are_refused(qclass: int) -> None:
    """D8."""
    question = Question.of(f"web.shop.{Z}", 1, qclass)
    reply = await built(BOTH).resolve(query(question=question), Next())
    assert reply == Reply(5, until=math.inf)


@dataclass
class Hosts(Exchange):
    """A server that knows these records by type; for others it has nothing."""

    known: dict[int, str] = field(default_factory=dict)

    async def resolve(self, query: Query) -> Reply | None:
        self.asked.append(query)
        keys = frozenset({("hosts", "x")})
        return Reply(answer=records(self.known.get(query.question.qtype, "")), keys=keys, until=9.0)


LB = {1: "lb.test. 60 IN A 198.51.100.1", 28: "lb.test. 60 IN AAAA 2001:db8::1"}


@pytest.mark.parametrize(("qtype", "number"), [("A", 1), ("AAAA", 28)])
async def test_hosts_are_followed(qtype: str, number: int) -> None:
    exchange = Hosts(known=LB)
    name = f"edge.shop.{Z}"
    reply = await built(BOTH).resolve(query(name, qtype, exchange), Next())
    assert reply is not None
    assert texts(reply.answer) == [f"{name} 5 IN CNAME lb.test.", LB[number]]
    assert [each.question.text for each in exchange.asked] == ["lb.test."]
    assert (reply.until, ("hosts", "x") in reply.keys) == (9.0, True)


async def test_hosts_of_srv_are_glue() -> None:
    name = f"_http._tcp.edge.shop.{Z}"
    reply = await built(BOTH).resolve(query(name, "SRV", Hosts(known=LB)), Next())
    assert reply is not None
    assert texts(reply.answer) == [f"{name} 5 IN SRV 0 100 80 lb.test."]
    assert texts(reply.additional) == [*LB.values()]


@pytest.mark.parametrize("answer", [None, ResolveError("no")])
async def test_a_host_that_cannot_be_had(answer: ResolveError | None) -> None:
    """The CNAME stands for itself, and the reply is not kept."""
    name = f"edge.shop.{Z}"
    reply = await built(BOTH).resolve(query(name, "A", Exchange(answer)), Next())
    assert reply is not None
    assert (texts(reply.answer), reply.until) == ([f"{name} 5 IN CNAME lb.test."], 0.0)


async def test_not_synced() -> None:
    plugin = built(BOTH, new_index(synced=False))
    reply = await plugin.resolve(query(f"nope.shop.{Z}"), Next())
    assert reply is not None
    assert (reply.rcode, reply.until, texts(reply.authority)) == (2, 0, [SOA])


async def test_the_last_known_state() -> None:
    """A TTL of at most 5 and RFC 8914's error 3, until synced."""
    index = new_index(synced=False)
    index.restore(SERIAL)
    plugin = built(f"{KUBERNETES}\nk8s_external {Z} {{\n ttl 60\n}}", index)
    for name, rcode in ((f"web.shop.{Z}", 0), (f"shop.{Z}", 0)):
        reply = await plugin.resolve(query(name), Next())
        assert reply is not None
        assert [each.ttl for each in (*reply.answer, *reply.authority)] == [5]
        assert (reply.rcode, reply.options) == (rcode, [(15, b"\0\3")])
        assert ("synced",) in reply.keys


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (Z, True),
        ("Example.ORG.", True),
        (f"shop.{Z}", False),  # not the zone itself
        ("in-addr.arpa.", False),
        ("example.net.", False),
    ],
)
def test_zone_copy(name: str, given: bool) -> None:
    copy = built(BOTH).zone_copy(Question.of(name, 252))
    assert (copy is not None) == given
    if copy:
        names = [str(record.rname) for record in copy.records()]
        assert sum(each.endswith(f"shop.{name}") for each in names) == 5
        assert [line.lower() for line in texts([copy.soa])] == [SOA.lower()]


def test_zone_copy_before_all_is_known() -> None:
    with pytest.raises(ResolveError, match="not listed yet"):
        built(BOTH, new_index(synced=False)).zone_copy(Question.of(Z, 252))
