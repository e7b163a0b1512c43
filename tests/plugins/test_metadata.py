from collections.abc import Callable

import pytest
from dnslib import DNSLabel

from clusterdns.cluster.events import Synced, Upsert
from clusterdns.cluster.model import Pod
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import parse
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.kubernetes.labels import client_labels, name_labels
from clusterdns.plugins.metadata import Metadata
from clusterdns.plugins.order import build
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index
from clusterdns.zone.view import ZoneOptions
from tests.plugins.asking import CLIENT, Next, fault, new_setup, parsed, query


@pytest.mark.parametrize(
    ("text", "zones"),
    [
        ("metadata", (".",)),
        ("metadata example.com.", ("example.com.",)),
        ("metadata example.com. Net", ("example.com.", "net.")),
    ],
)
def test_parse(text: str, zones: tuple[str, ...]) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Metadata)
    assert plugin.zones == zones


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata example.com. {\n some\n}", "1:1: metadata takes no block"),
        ("metadata\nmetadata", "2:1: metadata stands at Corefile:1:5 already"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


class Teller(Plugin):
    """Tells one label."""

    def __init__(self, label: str, value: str) -> None:
        self.label, self.value = label, value

    def metadata(self, query: Query) -> dict[str, Callable[[], str]]:
        return {self.label: lambda: f"{self.value} of {query.question.text}"}


async def labels_of(name: str, text: str, *tellers: Plugin) -> dict[str, str]:
    """The labels that the next plugin sees, with their values."""
    setup = new_setup()
    plugin = parsed(text, setup)
    setup.plugins = [plugin, *tellers]
    behind = Next(Reply())
    assert await plugin.resolve(query(name), behind) is behind.reply
    found = behind.asked[0].labels
    assert found is not None
    return {label: value() for label, value in found.items()}


async def test_collects_from_all() -> None:
    tellers = Teller("a/b", "x"), Teller("c/d", "y")
    assert await labels_of("n.", "metadata", *tellers) == {"a/b": "x of n.", "c/d": "y of n."}


async def test_only_in_its_zones() -> None:
    tellers = (Teller("a/b", "x"),)
    assert await labels_of("n.", "metadata a b", *tellers) == {}
    assert await labels_of("n.B.", "metadata a b", *tellers) == {"a/b": "x of n.b."}


async def test_log_writes_labels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    text = '. {\nlog . "{/kubernetes/service}|{/kubernetes/kind}|{/no/such}"\nmetadata\n'
    text += "kubernetes cluster.local\n}"
    (block,) = parse(text, "Corefile").blocks
    setup: Setup = new_setup()
    resolve: Resolve = Next(Reply())
    for plugin in reversed(build(block, setup)):
        resolve = _before(plugin, resolve)
    await resolve(query("web.shop.svc.cluster.local."))
    assert caplog.messages[-1] == "web|svc|-"


def _before(plugin: Plugin, next: Resolve) -> Resolve:
    async def resolve(query: Query) -> Reply | None:
        return await plugin.resolve(query, next)

    return resolve


NONE = dict.fromkeys(("port-name", "protocol", "endpoint", "service", "namespace", "kind"), "")
SVC = {"namespace": "shop", "kind": "svc"}
WEB = {"service": "web", **SVC}
NAMES: list[tuple[str, dict[str, str] | None]] = [  # what is not empty; None: no name of the zone
    ("cluster.local.", {}),
    ("svc.cluster.local.", {}),
    ("pod.cluster.local.", {}),
    ("shop.svc.cluster.local.", SVC),
    ("Web.shop.svc.CLUSTER.local.", WEB),
    ("a.web.shop.svc.cluster.local.", {"endpoint": "a", **WEB}),
    ("_http._TCP.web.shop.svc.cluster.local.", {"port-name": "http", "protocol": "tcp", **WEB}),
    ("a.b.web.shop.svc.cluster.local.", {"port-name": "a", "protocol": "b", **WEB}),
    (
        "10-0-0-1.shop.pod.cluster.local.",
        {"service": "10-0-0-1", "namespace": "shop", "kind": "pod"},
    ),
    ("a.b.c.d.e.svc.cluster.local.", None),
    ("dns-version.cluster.local.", None),
    ("1.0.0.10.in-addr.arpa.", None),
]


def options(*zones: str, **changed: object) -> ZoneOptions:
    names = zones or ("cluster.local.", "in-addr.arpa.", "local.")
    return ZoneOptions(zones=tuple(map(DNSLabel, names)), **changed)  # type: ignore[arg-type]


def told_of(name: str, zone_options: ZoneOptions) -> dict[str, str]:
    found = name_labels(Question.of(name, 1).labels, zone_options)
    return {label.removeprefix("kubernetes/"): value() for label, value in found}


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_parts_of_names(name: str, expected: dict[str, str] | None) -> None:
    told = told_of(name, options())
    assert told == ({"parse-error": "invalid query name"} if expected is None else NONE | expected)


ZONAL: list[tuple[str, dict[str, str] | None]] = [
    ("web.shop.svc", WEB),
    ("eu-1.pin._zone.web.shop.svc", {"zone": "eu-1", **WEB}),
    ("EU.1.prefer._zone.web.shop.svc", {"zone": "eu.1", **WEB}),
    ("pin._zone.web.shop.svc", {"port-name": "pin", "protocol": "zone", **WEB}),
    ("eu-1.near._zone.web.shop.svc", None),
    ("eu-1.pin._zone.web.shop.pod", None),
    ("eu-1.pin.zone.web.shop.svc", None),
]


@pytest.mark.parametrize(("name", "expected"), ZONAL)
def test_parts_with_zonal(name: str, expected: dict[str, str] | None) -> None:
    told = told_of(f"{name}.cluster.local.", options(zonal=True))
    none = NONE | {"zone": ""}
    assert told == ({"parse-error": "invalid query name"} if expected is None else none | expected)


MULTICLUSTER: list[tuple[str, dict[str, str]]] = [
    ("web.shop.svc", WEB),
    ("a.web.shop.svc", {"endpoint": "a", **WEB}),
    ("a.east.web.shop.svc", {"endpoint": "a", "cluster": "east", **WEB}),
    ("_http._tcp.web.shop.svc", {"port-name": "http", "protocol": "tcp", **WEB}),
    ("_http.tcp.web.shop.svc", {"port-name": "http", "protocol": "tcp", **WEB}),
]


@pytest.mark.parametrize(("name", "expected"), MULTICLUSTER)
def test_parts_in_a_multicluster_zone(name: str, expected: dict[str, str]) -> None:
    of = options(
        "cluster.local.", "clusterset.local.", multicluster=(DNSLabel("ClusterSet.local."),)
    )
    assert told_of(f"{name}.clusterset.local.", of) == NONE | {"cluster": ""} | expected
    assert "cluster" not in told_of("web.shop.svc.cluster.local.", of)


def test_names_outside_have_no_parts() -> None:
    assert not told_of("example.org.", options("cluster.local."))


def test_pods_that_ask() -> None:
    index = Index(Selection(pods=True))
    labels = ("app.kubernetes.io/name", "cart", "empty", "")
    pod = Pod("shop", "cart-1", bytes(map(int, CLIENT[0].split("."))), labels)
    index.apply(Upsert(pod), 1.0)
    index.apply(Synced("Pod"), 1.0)
    found = {label: value() for label, value in client_labels(query(), index)}
    assert found == {
        "kubernetes/client-namespace": "shop",
        "kubernetes/client-pod-name": "cart-1",
        "kubernetes/client-label/app.kubernetes.io/name": "cart",
        "kubernetes/client-label/empty": "",
    }
    assert not list(client_labels(query(peer=("10.9.9.9", 1)), index))


@pytest.mark.parametrize("text", ["metadata\n", ""])
@pytest.mark.parametrize("pods", ["pods verified\n", ""])
def test_labels_of_pods_are_kept_where_they_are_told(text: str, pods: str) -> None:
    (block,) = parse(f". {{\n{text}kubernetes cluster.local {{\n{pods}}}\n}}", "Corefile").blocks
    asked: list[Selection] = []

    def cluster(selection: Selection, api: object) -> Index:
        asked.append(selection)
        return Index(selection)

    setup = new_setup()
    setup.cluster = cluster
    build(block, setup)
    assert [each.pod_labels for each in asked] == [bool(text and pods)]
