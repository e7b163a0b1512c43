"""Suggested questions: every one has records, whatever the zone shows."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from clusterdns.cluster.events import Event
from clusterdns.cluster.manifests import Manifests
from clusterdns.cluster.model import Namespace, Object, Port
from clusterdns.cluster.selection import Selection
from clusterdns.tools.suggest import suggestions
from clusterdns.zone.index import Index
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.view import ZoneOptions
from tests.zone.sample import HTTP, alias, ask, index_of, members, options, service

EXAMPLES = Path(__file__).parents[2] / "examples"
KUBERNETES = service("kubernetes", "10.96.0.1", Port("https", 443), namespace="default")
DNS = service("kube-dns", "10.96.0.10", Port("dns", 53, "udp"), namespace="kube-system")
NAMESPACES = [Namespace("default"), Namespace("kube-system"), Namespace("shop")]

CASES: dict[str, tuple[list[Object], ZoneOptions, str]] = {
    "one of each kind": (
        [service("web", "10.0.0.1", HTTP), service("db"), members("db", "10.1.0.1")],
        options(),
        """web.shop.svc.cluster.local A
        db.shop.svc.cluster.local A
        _http._tcp.web.shop.svc.cluster.local SRV
        -x 10.0.0.1""",
    ),
    "nothing to show": ([], options(), ""),
    "outside names alone": ([alias("www", "example.com")], options(), ""),
    "a new cluster": (
        [KUBERNETES, DNS],
        options(),
        """kubernetes.default.svc.cluster.local A
        _https._tcp.kubernetes.default.svc.cluster.local SRV
        -x 10.96.0.1""",
    ),
    "the system's own come last": (
        [KUBERNETES, DNS, service("web", "10.0.0.1")],
        options(),
        """web.shop.svc.cluster.local A
        _https._tcp.kubernetes.default.svc.cluster.local SRV
        -x 10.0.0.1""",
    ),
    "IPv6 alone": (
        [service("web", "fd00::1"), service("db"), members("db", "fd00::2")],
        options(),
        """web.shop.svc.cluster.local AAAA
        db.shop.svc.cluster.local AAAA
        -x fd00::1""",
    ),
    "headless, the first without endpoints": (
        [service("a"), members("a", "", unready=2), service("b"), members("b", "10.1.0.1")],
        options(),
        "b.shop.svc.cluster.local A",
    ),
    "noendpoints": (
        [service("db"), members("db", "10.1.0.1")],
        options(noendpoints=True),
        "",
    ),
    "a namespace that is not shown": (
        [KUBERNETES, service("web", "10.0.0.1")],
        options(namespaces=frozenset(["default"])),
        """kubernetes.default.svc.cluster.local A
        _https._tcp.kubernetes.default.svc.cluster.local SRV
        -x 10.96.0.1""",
    ),
    "ignore empty_service": (
        [service("a", "10.0.0.1"), service("b", "10.0.0.2"), members("b", "10.1.0.1")],
        options(ignore_empty=True),
        """b.shop.svc.cluster.local A
        -x 10.0.0.1""",
    ),
    "no reverse zone": (
        [service("web", "10.0.0.1")],
        options("cluster.local"),
        "web.shop.svc.cluster.local A",
    ),
    "a reverse zone of other addresses": (
        [service("a", "10.0.0.1"), service("b", "10.7.0.1")],
        options("cluster.local 7.10.in-addr.arpa"),
        """a.shop.svc.cluster.local A
        -x 10.7.0.1""",
    ),
    "reverse zones alone": ([service("web", "10.0.0.1")], options("in-addr.arpa"), ""),
    "the first forward zone": (
        [service("web", "10.0.0.1")],
        options("in-addr.arpa b.local a.local"),
        """web.shop.svc.b.local A
        -x 10.0.0.1""",
    ),
}


@pytest.mark.parametrize(("things", "shown", "expected"), CASES.values(), ids=CASES)
def test_suggestions(things: list[Object], shown: ZoneOptions, expected: str) -> None:
    index = index_of([*NAMESPACES, *things])
    found = list(suggestions(index, shown))
    assert found == [line.strip() for line in expected.splitlines()]
    assert_answered(index, shown, found)


@pytest.mark.parametrize(
    "folder", [EXAMPLES, EXAMPLES / "real-cluster"], ids=lambda path: path.name
)
async def test_examples_have_one_of_each_kind(folder: Path) -> None:
    index = await loaded(folder)
    found = list(suggestions(index, options()))
    assert [line.split()[-1] if line[0] != "-" else "-x" for line in found] == [
        "A",
        "A",
        "SRV",
        "-x",
    ]
    assert_answered(index, options(), found)


def assert_answered(index: Index, shown: ZoneOptions, found: list[str]) -> None:
    lookup = Lookup(index, shown)
    for line in found:
        name, qtype = line.split()
        if name == "-x":
            name, qtype = ip_address(qtype).reverse_pointer, "PTR"
        assert ask(lookup, name, qtype) not in ("NODATA", "NXDOMAIN", "SERVFAIL", "NOT OURS"), line


async def loaded(folder: Path) -> Index:
    """Everything in a folder of manifests."""
    index, stopping = Index(Selection()), asyncio.Event()

    def sink(events: Sequence[Event]) -> None:
        for event in events:
            index.apply(event, now=1_700_000_000)
        if index.synced:
            stopping.set()

    async with asyncio.timeout(10):
        await Manifests([str(folder)], Selection()).serve(stopping, sink)
    return index
