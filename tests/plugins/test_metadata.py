from collections.abc import Callable

import pytest

from clusterdns.cluster.events import Synced, Upsert
from clusterdns.cluster.model import Pod
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import parse
from clusterdns.plugins.base import Plugin, Query, Reply, Resolve, Setup
from clusterdns.plugins.kubernetes.labels import client_labels, name_labels
from clusterdns.plugins.metadata import Metadata
from clusterdns.plugins.order import build
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index
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


async def labels_of(name: str, text: str, *tellers: Plugin) -> dict[str, str] | None:
    """The labels that the next plugin sees, with their values."""
    setup = new_setup()
    plugin = parsed(text, setup)
    setup.plugins = [plugin, *tellers]
    behind = Next(Reply())
    assert await plugin.resolve(query(name), behind) is behind.reply
    found = behind.asked[0].labels
    return None if found is None else {label: value() for label, value in found.items()}


async def test_collects_from_all() -> None:
    tellers = Teller("a/b", "x"), Teller("c/d", "y")
    assert await labels_of("n.", "metadata", *tellers) == {"a/b": "x of n.", "c/d": "y of n."}


async def test_only_in_its_zones() -> None:
    tellers = (Teller("a/b", "x"),)
    assert await labels_of("n.", "metadata a b", *tellers) is None
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


NOTHING = ("", "", "", "", "", "")
NAMES: list[tuple[str, tuple[str, ...] | None]] = [  # as `_parts` has them
    ("cluster.local.", NOTHING),
    ("svc.cluster.local.", NOTHING),
    ("pod.cluster.local.", NOTHING),
    ("shop.svc.cluster.local.", ("", "", "", "", "shop", "svc")),
    ("Web.shop.svc.CLUSTER.local.", ("", "", "", "web", "shop", "svc")),
    ("a.web.shop.svc.cluster.local.", ("", "", "a", "web", "shop", "svc")),
    ("_http._tcp.web.shop.svc.cluster.local.", ("http", "tcp", "", "web", "shop", "svc")),
    ("10-0-0-1.shop.pod.cluster.local.", ("", "", "", "10-0-0-1", "shop", "pod")),
    ("a.b.c.d.e.svc.cluster.local.", None),
    ("dns-version.cluster.local.", None),
    ("1.0.0.10.in-addr.arpa.", None),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_parts_of_names(name: str, expected: tuple[str, ...] | None) -> None:
    zones = [(b"cluster", b"local"), (b"in-addr", b"arpa"), (b"local",)]
    found = {label: value() for label, value in name_labels(Question.of(name, 1).labels, zones)}
    if expected is None:
        assert found == {"kubernetes/parse-error": "invalid query name"}
    else:
        kinds = ("port-name", "protocol", "endpoint", "service", "namespace", "kind")
        assert found == {
            f"kubernetes/{kind}": value for kind, value in zip(kinds, expected, strict=True)
        }


def test_names_outside_have_no_parts() -> None:
    assert not list(name_labels((b"example", b"org"), [(b"cluster", b"local")]))


def test_pods_that_ask() -> None:
    index = Index(Selection(pods=True))
    pod = Pod("shop", "cart-1", bytes(map(int, CLIENT[0].split("."))))
    index.apply(Upsert(pod), 1.0)
    index.apply(Synced("Pod"), 1.0)
    found = {label: value() for label, value in client_labels(query(), index)}
    assert found == {
        "kubernetes/client-namespace": "shop",
        "kubernetes/client-pod-name": "cart-1",
    }
    assert not list(client_labels(query(peer=("10.9.9.9", 1)), index))
