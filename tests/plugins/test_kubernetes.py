"""`kubernetes`: its options, and from what the zone says to a reply."""

import asyncio
import ipaddress
import math
from dataclasses import replace

import ifaddr
import pytest

from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.events import KINDS, Synced, Upsert
from clusterdns.cluster.model import Endpoint, EndpointSlice, Namespace, Port, Service
from clusterdns.cluster.selection import Selection
from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.kubernetes import Kubernetes
from clusterdns.plugins.query import Query, Reply
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index
from clusterdns.zone.view import ZoneOptions
from tests.plugins.asking import Exchange, Next, fault, new_setup, parsed, query, records, texts

ZONE = "cluster.local."


class Adapter:
    """An interface as ifaddr gives it."""

    def __init__(self, *ips: str | tuple[str, int, int]) -> None:
        self.name = "eth0"
        self.ips = [ifaddr.IP(ip, 8, "eth0") for ip in ips]


@pytest.fixture(autouse=True)
def local_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    adapters = [Adapter("127.0.0.1", ("::1", 0, 0)), Adapter("10.9.0.5", ("fe80::5", 0, 2))]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)


def read(text: str, setup: Setup | None = None) -> Kubernetes:
    plugin = parsed(text, setup)
    assert isinstance(plugin, Kubernetes)
    return plugin


def zones(options: ZoneOptions) -> list[str]:
    return [str(zone) for zone in options.zones]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kubernetes coredns.local", ["coredns.local."]),
        ("kubernetes Coredns.LOCAL. test.local", ["coredns.local.", "test.local."]),
        ("kubernetes a.b 10.96.0.0/16", ["a.b.", "96.10.in-addr.arpa."]),
        (
            "kubernetes a 10.0.0.0/15",
            ["a.", "0.10.in-addr.arpa.", "1.10.in-addr.arpa."],
        ),
        ("kubernetes a fd00::/8", ["a.", "d.f.ip6.arpa."]),
        ("kubernetes", ["block.zone.", "0.10.in-addr.arpa."]),
        ("kubernetes .", ["."]),
    ],
)
def test_zones(text: str, expected: list[str]) -> None:
    setup = new_setup(("block.zone.", "0.10.in-addr.arpa."))
    assert zones(read(text, setup).zone_options) == expected
    assert setup.warnings == []


def test_only_the_two_reverse_tops_is_odd_but_accepted() -> None:
    setup = new_setup()
    plugin = read("kubernetes in-addr.arpa ip6.arpa", setup)
    assert zones(plugin.zone_options) == ["in-addr.arpa.", "ip6.arpa."]
    assert setup.warnings == [
        "Corefile:1:16: PTR records lead into in-addr.arpa., for want of another"
    ]


OPTIONS = {
    "none": ("", {}, {}),
    "empty block": (" {\n}", {}, {}),
    "pods disabled": (" {\n pods disabled\n}", {"pods": "disabled"}, {}),
    "pods insecure": (" {\n pods insecure\n}", {"pods": "insecure"}, {}),
    "pods verified": (" {\n pods verified\n}", {"pods": "verified"}, {"pods": True}),
    "the last pods counts": (" {\n pods verified\n pods insecure\n}", {"pods": "insecure"}, {}),
    "namespaces": (" {\n namespaces demo\n}", {"namespaces": {"demo"}}, {}),
    "namespaces add up": (
        " {\n namespaces demo test\n namespaces more\n}",
        {"namespaces": {"demo", "test", "more"}},
        {},
    ),
    "labels": (" {\n labels environment=prod\n}", {}, {"labels": "environment=prod"}),
    "labels in sets": (
        " {\n labels environment in (production, staging, qa),application=nginx\n}",
        {},
        {"labels": "environment in (production, staging, qa),application=nginx"},
    ),
    "labels, every operator": (
        " {\n labels a==b,c!=d,e notin (f),g,!h\n}",
        {},
        {"labels": "a==b,c!=d,e notin (f),g,!h"},
    ),
    "namespace_labels": (
        " {\n namespace_labels istio-injection=enabled\n}",
        {},
        {"namespace_labels": "istio-injection=enabled"},
    ),
    "ttl 0": (" {\n ttl 0\n}", {"ttl": 0}, {}),
    "ttl 30": (" {\n ttl 30\n}", {"ttl": 30}, {}),
    "ttl 3600": (" {\n ttl 3600\n}", {"ttl": 3600}, {}),
    "ttl +5": (" {\n ttl +5\n}", {"ttl": 5}, {}),
    "noendpoints": (" {\n noendpoints\n}", {"noendpoints": True}, {"endpoints": False}),
    "endpoint_pod_names": (
        " {\n endpoint_pod_names\n}",
        {"endpoint_pod_names": True},
        {"pod_names": True},
    ),
    "ignore": (" {\n ignore empty_service\n}", {"ignore_empty": True}, {}),
}


@pytest.mark.parametrize(("block", "options", "selection"), OPTIONS.values(), ids=OPTIONS)
def test_options(block: str, options: dict[str, object], selection: dict[str, object]) -> None:
    asked: list[Selection] = []

    def cluster(selection: Selection, api: ApiOptions) -> Index:
        asked.append(selection)
        return Index(selection)

    setup = Setup(zones=(".",), cluster=cluster)
    plugin = read(f"kubernetes coredns.local{block}", setup)
    usual = ZoneOptions(
        plugin.zone_options.zones,
        local_addresses=plugin.zone_options.local_addresses,
    )
    assert plugin.zone_options == replace(usual, **options)  # type: ignore[arg-type]
    assert asked == [replace(Selection(), **selection)]  # type: ignore[arg-type]
    assert setup.warnings == []
    assert plugin.startup_timeout == 5


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("", ApiOptions()),
        (" {\n endpoint http://localhost:9090\n}", ApiOptions(endpoint="http://localhost:9090")),
        (" {\n tls cert key ca\n}", ApiOptions(tls=("cert", "key", "ca"))),
        (" {\n kubeconfig file\n}", ApiOptions(kubeconfig="file")),
        (" {\n kubeconfig file context\n}", ApiOptions(kubeconfig="file", context="context")),
        (" {\n kubeconfig file context\n kubeconfig b\n}", ApiOptions(kubeconfig="b")),
        (" {\n apiserver_qps 2.5\n}", ApiOptions(qps=2.5)),
        (" {\n apiserver_qps 0\n}", ApiOptions()),
        (" {\n apiserver_burst 20\n}", ApiOptions(burst=20)),
        (" {\n apiserver_max_inflight 7\n}", ApiOptions(max_inflight=7)),
    ],
)
def test_api_options(block: str, expected: ApiOptions) -> None:
    asked: list[ApiOptions] = []

    def cluster(selection: Selection, api: ApiOptions) -> Index:
        asked.append(api)
        return Index(selection)

    read(f"kubernetes a{block}", Setup(zones=(".",), cluster=cluster))
    assert asked == [expected]


@pytest.mark.parametrize(("text", "expected"), [("1s", 1), ("1m30s", 90), ("0s", 0), ("-1s", 0)])
def test_startup_timeout(text: str, expected: float) -> None:
    """D25: 0 does not wait."""
    plugin = read(f"kubernetes a {{\n startup_timeout {text}\n}}", new_setup())
    assert plugin.startup_timeout == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("fallthrough", ["."]),
        ("fallthrough ip6.arpa inaddr.arpa Foo.com", ["ip6.arpa.", "inaddr.arpa.", "foo.com."]),
        ("fallthrough 10.0.0.0/8", ["10.in-addr.arpa."]),
        ("fallthrough a\n fallthrough b", ["b."]),
    ],
)
def test_fallthrough_zones(line: str, expected: list[str]) -> None:
    assert list(read(f"kubernetes a {{\n {line}\n}}").fallthrough.names) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("endpoint http://a http://b", "2:20: only the first endpoint is used, http://a"),
        ("ttl 5 seconds", "2:8: what is behind ttl 5 is ignored"),
        ("startup_timeout 5s 6s", "2:21: what is behind startup_timeout 5s is ignored"),
        ("ignore", "2:2: ignore does nothing without empty_service"),
        ("ignore empty_service ixnay", "2:23: what is behind ignore empty_service is ignored"),
        ("multicluster", "2:2: multicluster does nothing without zones"),
    ],
)
def test_accepted_with_a_warning(line: str, expected: str) -> None:
    setup = new_setup()
    read(f"kubernetes a {{\n {line}\n}}", setup)
    assert setup.warnings == [f"Corefile:{expected}"]


def block(lines: str) -> str:
    return f"kubernetes a b {{\n {lines}\n}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kubernetes a\nkubernetes b", "2:1: kubernetes can only be used once per server block"),
        ("kubernetes 10.in-addr.arpa", "1:12: one zone must be no reverse zone"),
        ("kubernetes 10.0.0.0/8 fd00::/8", "1:12: one zone must be no reverse zone"),
        (block("endpoint"), "2:2: endpoint takes at least 1 argument"),
        (block("tls"), "2:2: tls takes 3 arguments, not 0"),
        (block("tls a b"), "2:8: tls takes 3 arguments, not 2"),
        (block("tls a b c d"), "2:12: tls takes at most 3 arguments; 'd'"),
        (block("kubeconfig"), "2:2: kubeconfig takes at least 1 argument"),
        (block("kubeconfig a b c"), "2:17: kubeconfig takes at most 2 arguments; 'c'"),
        (block("namespaces"), "2:2: namespaces takes at least 1 argument"),
        (block("labels"), "2:2: labels takes at least 1 argument"),
        (block("namespace_labels"), "2:2: namespace_labels takes at least 1 argument"),
        (block("labels environment in (production, qa"), "2:9: 'environment in (production, qa'"),
        (block("namespace_labels ="), "2:19: '=' is no label selector"),
        (block("labels a>1"), "2:9: 'a>1': '>' is no operator here"),
        (block("pods"), "2:2: pods takes 1 argument, not 0"),
        (block("pods giant_seed"), "2:7: 'giant_seed' is none of disabled, insecure, verified"),
        (block("pods insecure x"), "2:16: pods takes at most 1 argument; 'x'"),
        (block("endpoint_pod_names giant_seed"), "2:21: endpoint_pod_names takes no argument"),
        (block("noendpoints ixnay on"), "2:14: noendpoints takes no argument"),
        (block("zonal x"), "2:8: zonal takes no argument"),
        (block("ttl"), "2:2: ttl takes at least 1 argument"),
        (block("ttl -1"), "2:6: -1 is no integer of 0 to 3600"),
        (block("ttl 3601"), "2:6: 3601 is no integer of 0 to 3600"),
        (block("ttl five"), "2:6: 'five' is no integer"),
        (block("ttl 1_0"), "2:6: '1_0' is no integer"),
        (block("ttl 5s"), "2:6: '5s' is no integer"),
        (block("ignore ixnay"), "2:9: 'ixnay' is none of empty_service"),
        (block("startup_timeout"), "2:2: startup_timeout takes at least 1 argument"),
        (block("startup_timeout 5"), "2:18: '5' is no duration"),
        (block("apiserver_qps"), "2:2: apiserver_qps takes 1 argument, not 0"),
        (block("apiserver_qps -1"), "2:16: -1 is no number of 0 and up"),
        (block("apiserver_qps fast"), "2:16: 'fast' is no number"),
        (block("apiserver_burst 1.5"), "2:18: '1.5' is no integer"),
        (block("apiserver_burst -1"), "2:18: -1 is no integer of 0 and up"),
        (block("apiserver_max_inflight x"), "2:25: 'x' is no integer"),
        (block("apiserver_max_inflight 1 2"), "2:27: apiserver_max_inflight takes at most 1"),
        (
            block("resyncperiod 5m"),
            "2:2: property 'resyncperiod' of kubernetes is no part of CoreDNS any more: ",
        ),
        (
            block("upstream"),
            "2:2: property 'upstream' of kubernetes is no part of CoreDNS any more: ",
        ),
        (
            block("transfer to *"),
            "2:2: property 'transfer' of kubernetes is no part of CoreDNS any more: ",
        ),
        (
            block("fallthru"),
            "2:2: unknown property 'fallthru' of kubernetes; did you mean 'fallthr",
        ),
        (
            block("namespaces a\n namespace_labels b=c"),
            "3:2: namespaces and namespace_labels cannot both be set",
        ),
        (
            block("namespace_labels b=c\n namespaces a"),
            "3:2: namespaces and namespace_labels cannot both be set",
        ),
        (block("zonal\n noendpoints"), "3:2: zonal needs the endpoints that noendpoints"),
        (block("multicluster b c"), "2:17: multicluster zone c. is none of kubernetes: a. b."),
        (block("pods insecure {\n x\n }"), "2:2: pods takes no block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_multicluster() -> None:
    asked: list[Selection] = []

    def cluster(selection: Selection, api: ApiOptions) -> Index:
        asked.append(selection)
        return Index(selection)

    plugin = read(block("multicluster B."), Setup(zones=(".",), cluster=cluster))
    assert [str(zone) for zone in plugin.zone_options.multicluster] == ["b."]
    assert asked == [Selection(multicluster=True)]


async def test_zones_of_several_clusters_have_a_serial_of_their_own() -> None:
    found = index()
    setup = Setup(zones=(".",), cluster=lambda selection, api: found)
    plugin = read("kubernetes a b {\n multicluster b\n}", setup)
    found.import_serial = 7
    for name, qtype in (("nope.b.", "A"), ("b.", "SOA"), ("b.", "TXT")):
        reply = await plugin.resolve(query(name, qtype), Next())
        assert reply is not None
        assert reply.serial is not None
        assert reply.serial() == 7
        assert " 7 7200 " in texts(reply.authority or reply.answer)[0]
    reply = await plugin.resolve(query("a.", "SOA"), Next())
    assert reply is not None
    assert reply.serial is not None
    assert reply.serial() == SERIAL


def test_every_fault_is_told() -> None:
    setup = new_setup()
    with pytest.raises(Exception, match="'five'"):
        read(block("ttl five\n pods yes\n ttl 5\n nonsense"), setup)
    assert [each.place and each.place.line for each in setup.faults] == [2, 3, 5]


def test_local_addresses() -> None:
    """D14; with `bind` none: section 1.6.2."""
    found = read("kubernetes a").zone_options.local_addresses
    assert ipaddress.ip_address("10.9.0.5").packed in found
    setup = new_setup()
    setup.bind.append("10.9.0.5")
    assert read("kubernetes a", setup).zone_options.local_addresses == ()


# From what the zone says to a reply.


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


WEB = Service("shop", "web", (packed("10.3.0.1"),), (Port("http", 80),))
BANK = Service("shop", "bank", external_name="Bank.example.org")
SLICE = EndpointSlice.pack(
    "shop", "db-1", "db", (Port("", 5432),), [Endpoint(packed("10.1.0.7"), "10.1.0.7")]
)
SERIAL = 1_700_000_000


def index(synced: bool = True) -> Index:
    found = Index(Selection())
    for thing in (Namespace("shop"), WEB, BANK, Service("shop", "db"), SLICE):
        found.apply(Upsert(thing), SERIAL)
    if synced:
        for kind in KINDS:
            found.apply(Synced(kind), SERIAL)
    return found


def zone(found: Index | None = None, options: str = "") -> Kubernetes:
    found = found or index()
    setup = Setup(zones=(".",), cluster=lambda selection, api: found)
    return read(f"kubernetes {ZONE} in-addr.arpa {{\n ttl 30\n {options}\n}}", setup)


def soa(serial: int = SERIAL, owner: str = ZONE) -> str:
    return f"{owner} 30 IN SOA ns.dns.{owner} hostmaster.{owner} {serial} 7200 1800 86400 30"


async def test_records() -> None:
    reply = await zone().resolve(query(f"WEB.shop.svc.{ZONE}"), Next())
    assert reply is not None
    assert texts(reply.answer) == [f"WEB.shop.svc.{ZONE} 30 IN A 10.3.0.1"]
    assert (reply.rcode, reply.authoritative, reply.authority) == (0, True, [])
    assert reply.keys >= {("service", "shop", "web"), ("namespace", "shop")}
    assert (reply.until, reply.recursion, reply.truncated) == (math.inf, None, False)


async def test_glue_of_srv() -> None:
    reply = await zone().resolve(query(f"_http._tcp.web.shop.svc.{ZONE}", "SRV"), Next())
    assert reply is not None
    assert texts(reply.additional) == [f"web.shop.svc.{ZONE} 30 IN A 10.3.0.1"]


@pytest.mark.parametrize(
    ("name", "qtype", "rcode", "keys"),
    [
        (f"web.shop.svc.{ZONE}", "TXT", 0, {("service", "shop", "web")}),
        (f"nope.shop.svc.{ZONE}", "A", 3, {("service", "shop", "nope")}),
        (f"web.nope.svc.{ZONE}", "A", 3, {("namespace", "nope")}),
        (f"nope.{ZONE}", "SOA", 3, set()),
    ],
)
async def test_negative(name: str, qtype: str, rcode: int, keys: set[tuple[str, ...]]) -> None:
    reply = await zone().resolve(query(name, qtype), Next())
    assert reply is not None
    assert (reply.rcode, reply.authoritative, reply.answer) == (rcode, True, [])
    assert texts(reply.authority) == [soa()]
    assert reply.keys >= keys
    assert reply.until == math.inf


@pytest.mark.parametrize(("name", "qtype"), [(ZONE, "SOA"), (f"nope.{ZONE}", "A"), (ZONE, "MX")])
async def test_serial_is_the_one_of_now(name: str, qtype: str) -> None:
    found = index()
    reply = await zone(found).resolve(query(name, qtype), Next())
    assert reply is not None
    assert reply.serial is not None
    assert reply.serial() == SERIAL
    found.apply(Upsert(Namespace("new")), SERIAL + 60)
    assert reply.serial() == SERIAL + 60


async def test_the_zone_is_spelled_as_asked() -> None:
    reply = await zone().resolve(query("x.Cluster.LOCAL."), Next())
    assert reply is not None
    assert texts(reply.authority) == [soa(owner="Cluster.LOCAL.")]


@pytest.mark.parametrize("name", ["example.org.", "local.", ".", r"a.cluster\.local."])
async def test_foreign_names_go_on_untouched(name: str) -> None:
    given, behind = Reply(5), Next(Reply(5))
    behind.reply = given
    assert await zone(options="fallthrough").resolve(query(name), behind) is given
    assert given.keys == frozenset()


@pytest.mark.parametrize("qclass", [3, 4, 254, 255, 65280])
async def test_other_classes_are_refused(qclass: int) -> None:
    """D8; foreign names go on."""
    behind = Next(Reply())
    plugin = zone(options="fallthrough")
    reply = await plugin.resolve(query(question=Question.of(f"x.{ZONE}", 1, qclass)), behind)
    assert reply == Reply(5, until=math.inf)
    assert (
        await plugin.resolve(query(question=Question.of("x.org", 1, qclass)), behind) is not reply
    )
    assert len(behind.asked) == 1


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
@pytest.mark.parametrize("name", [ZONE, f"nope.{ZONE}"])
async def test_transfers_are_refused(qtype: str, name: str) -> None:
    """Section 1.5: without `transfer`, AA=0, no fallthrough."""
    reply = await zone(options="fallthrough").resolve(query(name, qtype), Next())
    assert reply == Reply(5, until=math.inf)


@pytest.mark.parametrize(
    ("line", "name", "goes_on"),
    [
        ("", f"nope.{ZONE}", False),
        ("fallthrough", f"nope.{ZONE}", True),
        ("fallthrough", "9.9.9.10.in-addr.arpa.", True),
        ("fallthrough in-addr.arpa ip6.arpa", f"nope.{ZONE}", False),
        ("fallthrough IN-addr.arpa ip6.arpa", "9.9.9.10.in-ADDR.arpa.", True),
        ("fallthrough nope.cluster.local", f"a.nope.{ZONE}", True),
        ("fallthrough ope.cluster.local", f"nope.{ZONE}", False),
    ],
)
async def test_fallthrough(line: str, name: str, goes_on: bool) -> None:
    behind = Next(Reply(3, until=7.0, keys=frozenset({("apex",)})))
    reply = await zone(options=line).resolve(query(name), behind)
    assert reply is not None
    assert (len(behind.asked) == 1) == goes_on
    if goes_on:  # it holds only as long as the name does not come to exist here
        assert reply is behind.reply
        assert reply.until == 7.0
        assert ("apex",) in reply.keys


async def test_fallthrough_rests_on_what_was_looked_at() -> None:
    behind = Next(Reply(3, until=math.inf))
    reply = await zone(options="fallthrough").resolve(query(f"nope.shop.svc.{ZONE}"), behind)
    assert reply is not None
    assert ("service", "shop", "nope") in reply.keys


async def test_fallthrough_to_no_reply() -> None:
    assert await zone(options="fallthrough").resolve(query(f"nope.{ZONE}"), Next(None)) is None


async def test_nodata_does_not_fall_through() -> None:
    """Section 1.5: only names that do not exist."""
    behind = Next(Reply(3))
    reply = await zone(options="fallthrough").resolve(query(f"web.shop.svc.{ZONE}", "TXT"), behind)
    assert reply is not None
    assert (reply.rcode, behind.asked) == (0, [])


@pytest.mark.parametrize("options", ["", "fallthrough"])
@pytest.mark.parametrize(
    ("name", "owner"),
    [
        (f"nope.shop.svc.{ZONE}", ZONE),
        ("9.9.9.10.in-addr.arpa.", "in-addr.arpa."),
    ],
)
async def test_not_synced(options: str, name: str, owner: str) -> None:
    """Section 1.20 and D13: SERVFAIL with AA and serial 0, before any fallthrough, not kept."""
    plugin = zone(index(synced=False), options)
    behind = Next(Reply(3))
    reply = await plugin.resolve(query(name), behind)
    assert reply is not None
    assert (reply.rcode, reply.authoritative, reply.until) == (2, True, 0)
    assert texts(reply.authority) == [soa(0, owner)]
    assert reply.serial is None
    assert behind.asked == []


async def test_not_synced_answers_what_is_known() -> None:
    reply = await zone(index(synced=False)).resolve(query(f"web.shop.svc.{ZONE}"), Next())
    assert reply is not None
    assert texts(reply.answer) == [f"web.shop.svc.{ZONE} 30 IN A 10.3.0.1"]


STALE = {
    "known": (f"web.shop.svc.{ZONE}", "A", 0, True, [5]),
    "another type": (f"web.shop.svc.{ZONE}", "TXT", 0, True, [5]),
    "the CNAME of an ExternalName": (f"bank.shop.svc.{ZONE}", "CNAME", 0, True, [5]),
    "what is lacking": (f"nope.shop.svc.{ZONE}", "A", 2, False, [5]),
}


@pytest.mark.parametrize(("name", "qtype", "rcode", "told", "ttls"), STALE.values(), ids=STALE)
async def test_the_last_known_state(
    name: str, qtype: str, rcode: int, told: bool, ttls: list[int]
) -> None:
    """A TTL of at most 5 and, for what is answered, RFC 8914's error 3; until synced."""
    found = index(synced=False)
    found.restore(SERIAL)
    plugin = zone(found, "ttl 30\nfallthrough")
    reply = await plugin.resolve(query(name, qtype), Next(Reply(3)))
    assert reply is not None
    assert reply.rcode == rcode
    assert reply.options == ([(15, b"\0\3")] if told else [])
    assert (("synced",) in reply.keys) == told
    assert [record.ttl for record in (*reply.answer, *reply.authority)] == ttls
    assert not plugin.ready()
    for kind in KINDS:
        found.apply(Synced(kind), SERIAL)
    if told:
        reply = await plugin.resolve(query(name, qtype), Next())
        assert reply is not None
        assert (reply.options, ("synced",) in reply.keys) == ([], False)
        assert {record.ttl for record in (*reply.answer, *reply.authority)} == {30}


async def test_a_small_ttl_is_kept_by_the_last_known_state() -> None:
    found = index(synced=False)
    found.restore(SERIAL)
    reply = await zone(found, "ttl 2").resolve(query(f"web.shop.svc.{ZONE}"), Next())
    assert reply is not None
    assert [record.ttl for record in reply.answer] == [2]


def test_ready_once_synced() -> None:
    found = index(synced=False)
    plugin = zone(found)
    assert not plugin.ready()
    for kind in KINDS:
        found.apply(Synced(kind), SERIAL)
    assert plugin.ready()


CNAME = f"bank.shop.svc.{ZONE} 30 IN CNAME Bank.example.org."
TARGET = "Bank.example.org. 5 IN A 192.0.2.9"
CHASED = {
    "found": (Reply(answer=records(TARGET), until=9.0, truncated=False), [TARGET], 9.0, False),
    "found for as long as a key": (
        Reply(answer=records(TARGET), until=math.inf),
        [TARGET],
        math.inf,
        False,
    ),
    "truncated": (
        Reply(answer=records(TARGET), until=9.0, truncated=True),
        [TARGET],
        9.0,
        True,
    ),
    "NXDOMAIN": (Reply(3, until=9.0), [], 9.0, False),
    "NXDOMAIN behind a CNAME": (
        Reply(3, answer=records("Bank.example.org. 5 IN CNAME b."), until=9.0),
        ["Bank.example.org. 5 IN CNAME b."],
        9.0,
        False,
    ),
    "SERVFAIL": (Reply(2), [], 0, False),
    "REFUSED": (Reply(5), [], 0, False),
    "no reply": (None, [], 0, False),
    "an error": (ResolveError("i/o timeout"), [], 0, False),
}


@pytest.mark.parametrize(("found", "behind", "until", "truncated"), CHASED.values(), ids=CHASED)
@pytest.mark.parametrize("qtype", ["A", "AAAA"])
async def test_external_name_is_followed(
    found: Reply | ResolveError | None,
    behind: list[str],
    until: float,
    truncated: bool,
    qtype: str,
) -> None:
    """Section 1.9 and D34: the CNAME always, what is behind it as far as it goes."""
    exchange = Exchange(found)
    asked = query(f"bank.shop.svc.{ZONE}", qtype, exchange)
    reply = await zone().resolve(asked, Next())
    assert reply is not None
    assert texts(reply.answer) == [CNAME, *behind]
    assert (reply.rcode, reply.authoritative, reply.authority) == (0, True, [])
    assert (reply.until, reply.truncated) == (until, truncated)
    assert ("service", "shop", "bank") in reply.keys
    (inner,) = exchange.asked
    assert (inner.question.text, inner.question.qtype) == (
        "bank.example.org.",
        asked.question.qtype,
    )
    assert (inner.peer, inner.flags, inner.depth) == (asked.peer, asked.flags, 1)


async def test_what_is_behind_an_external_name_adds_its_keys() -> None:
    keys = frozenset({("service", "other", "target")})
    exchange = Exchange(Reply(answer=records(TARGET), until=math.inf, keys=keys))
    reply = await zone().resolve(query(f"bank.shop.svc.{ZONE}", "A", exchange), Next())
    assert reply is not None
    assert reply.keys >= keys | {("service", "shop", "bank")}


@pytest.mark.parametrize("qtype", ["CNAME", "TXT", "MX", "SRV", "ANY", "HTTPS"])
async def test_external_name_is_not_followed_for_other_types(qtype: str) -> None:
    exchange = Exchange(Reply(answer=records(TARGET)))
    reply = await zone().resolve(query(f"bank.shop.svc.{ZONE}", qtype, exchange), Next())
    assert reply is not None
    assert texts(reply.answer) == [CNAME]
    assert reply.until == math.inf
    assert exchange.asked == []


async def test_names_that_lead_to_each_other_end() -> None:
    """An ExternalName that comes back to itself through the server: CNAMEs, and no answer."""
    plugin = zone()

    class Loop(Exchange):
        async def resolve(self, query: Query) -> Reply | None:
            self.asked.append(query)
            back = replace(query, question=Question.of(f"bank.shop.svc.{ZONE}", 1))
            return await plugin.resolve(back, Next())

    exchange = Loop()
    reply = await plugin.resolve(query(f"bank.shop.svc.{ZONE}", "A", exchange), Next())
    assert reply is not None
    assert texts(reply.answer) == [CNAME]
    assert 1 < len(exchange.asked) < 20
    assert reply.until == 0


async def told(synced: bool, timeout_s: float, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What `serve` says of waiting for the API, until it has no more to say."""
    caplog.set_level("INFO")
    plugin = zone(index(synced))
    plugin.startup_timeout = timeout_s
    async with asyncio.timeout(5):
        await plugin.serve(asyncio.Event())
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


async def test_lines_while_the_api_is_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4.8: the words that people look for."""
    monkeypatch.setattr("clusterdns.plugins.kubernetes.plugin.WAITING_S", 0.01)
    *waiting, last = await told(False, 0.05, caplog)
    assert set(waiting) == {"INFO waiting for Kubernetes API before starting server"}
    assert last == "WARNING starting server with unsynced Kubernetes API"


async def test_nothing_is_said_where_nothing_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await told(True, 0.05, caplog) == []
    assert await told(False, 0.0, caplog) == [  # D25
        "WARNING starting server with unsynced Kubernetes API"
    ]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (ZONE, True),
        (ZONE.upper(), True),
        (f"below.{ZONE}", True),  # 1.19: taken for the zone
        ("in-addr.ARPA.", False),
        ("1.10.in-addr.arpa.", False),
        ("example.org.", False),
    ],
)
def test_zone_copy(name: str, given: bool) -> None:
    copy = zone().zone_copy(Question.of(name, 252))
    assert (copy is not None) == given
    if copy:
        assert texts([copy.soa]) == [soa(owner=name)]
        assert all(str(record.rname).endswith(name) for record in copy.records())


def test_zone_copy_before_all_is_known() -> None:
    with pytest.raises(ResolveError, match="not listed yet"):
        zone(index(synced=False)).zone_copy(Question.of(ZONE, 252))
