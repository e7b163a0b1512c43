"""`autopath`: whose search list, and what comes of walking it (3.14)."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from dnslib import DNSLabel

from clusterdns.cluster.events import Upsert
from clusterdns.cluster.model import Pod
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import parse
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.plugins import autopath
from clusterdns.plugins.autopath import Autopath
from clusterdns.plugins.base import Setup
from clusterdns.plugins.order import build
from clusterdns.plugins.query import Query, Reply
from clusterdns.server.block import Block
from clusterdns.zone.index import Index
from clusterdns.zone.view import View, ZoneOptions
from tests.plugins.asking import CLIENT, fault, lines, new_setup, parsed, query, records, texts
from tests.plugins.cache.replies import upstream_reply

SOA = "example.org. 1800 IN SOA example.org. example.org. 1 14400 3600 604800 14400"
RESOLV_CONF = """\
# a comment
nameserver 1.2.3.4
domain foo.com
search bar.com baz.com
options ndots:5
"""
LIST = ((b"example", b"org"), (b"example", b"com"), (b"com",), ())


@dataclass
class Names:
    """The plugins behind: rcode or A records by name; what is not there is SERVFAIL, as `hosts`."""

    known: dict[str, int | str]
    from_upstream: bool = False
    asked: list[str] = field(default_factory=list)

    async def __call__(self, query: Query) -> Reply | None:
        name = query.question.text
        self.asked.append(name)
        said = self.known.get(name, 2)
        if said == "no reply":
            return None
        if said == "error":
            raise ResolveError("i/o timeout")
        if isinstance(said, int):
            authority = SOA if said in (0, 3) else ""
            if self.from_upstream:
                return upstream_reply(name, authority=authority, rcode=said)
            return Reply(said, authority=records(authority))
        if self.from_upstream:
            return upstream_reply(name, answer=said)
        return Reply(answer=records(said), authoritative=True)


def walker(search: tuple[tuple[bytes, ...], ...] = LIST) -> Autopath:
    return Autopath(["."], lambda question, peer: search)


CASES: dict[
    str, tuple[dict[str, Any], list[str], int]
] = {  # names and what they hold: what b.example.org is answered, and how many were asked
    "the third element": (
        {"b.example.org.": 3, "b.example.com.": 3, "b.com.": "b.com. 60 IN A 127.0.0.53"},
        ["0", "b.example.org. 60 IN CNAME b.com.", "b.com. 60 IN A 127.0.0.53"],
        3,
    ),
    "the first": (
        {"b.example.org.": "b.example.org. 60 IN A 127.0.0.53"},
        ["0", "b.example.org. 60 IN A 127.0.0.53"],
        1,
    ),
    "the name alone": (
        {"b.example.org.": 3, "b.example.com.": 3, "b.com.": 3, "b.": "b. 9 IN A 127.0.0.1"},
        ["0", "b.example.org. 9 IN CNAME b.", "b. 9 IN A 127.0.0.1"],
        4,
    ),
    "NODATA is an answer": ({"b.example.org.": 3, "b.example.com.": 0}, ["0"], 2),
    "nowhere": (
        {"b.example.org.": 3, "b.example.com.": 3, "b.com.": 3, "b.": 3},
        ["3"],
        4,
    ),
    "nobody knows": ({"b.example.org.": 2}, ["2"], 4),
    "refused on the way": ({"b.example.org.": 3, "b.example.com.": 5}, ["5"], 2),
    "an alias that leads on": (
        {
            "b.example.org.": 3,
            "b.example.com.": "b.example.com. 9 IN CNAME c.\nc. 9 IN A 127.0.0.1",
        },
        [
            "0",
            "b.example.org. 9 IN CNAME b.example.com.",
            "b.example.com. 9 IN CNAME c.",
            "c. 9 IN A 127.0.0.1",
        ],
        2,
    ),
    "an alias of its own": (
        {"b.example.org.": "b.example.org. 9 IN CNAME c.\nc. 9 IN A 127.0.0.1"},
        ["0", "b.example.org. 9 IN CNAME c.", "c. 9 IN A 127.0.0.1"],
        1,
    ),
}


@pytest.mark.parametrize("from_upstream", [False, True], ids=["own", "upstream's"])
@pytest.mark.parametrize("name", CASES)
async def test_walk(name: str, from_upstream: bool) -> None:
    known, expected, asked = CASES[name]
    if name == "nobody knows" and from_upstream:
        asked = 1  # what an upstream says is its word
    behind = Names(dict(known), from_upstream)
    reply = await walker().resolve(query("b.example.org."), behind)
    assert reply is not None
    assert [str(reply.rcode), *texts(reply.answer)] == expected
    assert len(behind.asked) == asked
    assert reply.authoritative == (not from_upstream and len(expected) > 1)


PASSED = ["a.example.com.", "org.", "example.org.", "EXAMPLE.org.", "notexample.org."]


@pytest.mark.parametrize("name", PASSED)
async def test_not_below_the_first_element(name: str) -> None:
    """D24: the search domain itself has its ordinary answer."""
    behind = Names({})
    await walker().resolve(query(name), behind)
    assert behind.asked == [name.lower()]


async def test_spelled_as_asked() -> None:
    behind = Names({"b.example.org.": 3, "b.example.com.": "b.example.com. 9 IN A 127.0.0.1"})
    reply = await walker().resolve(query("B.eXample.org."), behind)
    assert reply is not None
    assert texts(reply.answer)[0] == "B.eXample.org. 9 IN CNAME b.example.com."


async def test_errors_and_no_replies_end_the_walk() -> None:
    with pytest.raises(ResolveError):
        await walker().resolve(
            query("b.example.org."), Names({"b.example.org.": 3, "b.example.com.": "error"})
        )
    behind = Names({"b.example.org.": 3, "b.example.com.": "no reply"})
    assert await walker().resolve(query("b.example.org."), behind) is None
    assert len(behind.asked) == 2


async def test_names_that_become_too_long() -> None:
    long = (b"x" * 63, b"y" * 63, b"z" * 63, b"!")
    behind = Names({f"{'a' * 60}.org.": 3, f"{'a' * 60}.": "b. 9 IN A 127.0.0.1"})
    search = ((b"org",), long, ())
    reply = await walker(search).resolve(query(f"{'a' * 60}.org."), behind)
    assert reply is not None
    assert reply.rcode == 0
    assert len(behind.asked) == 2


async def test_rests_on_all_that_was_tried() -> None:
    behind: list[Reply] = [
        Reply(3, keys=frozenset({("one",)}), until=9.0),
        Reply(3, keys=frozenset({("two",)}), until=7.0),
        Reply(0, keys=frozenset({("three",)}), until=8.0),
    ]

    async def next(_: Query) -> Reply:
        return behind.pop(0)

    reply = await walker().resolve(query("b.example.org."), next)
    assert reply is not None
    assert reply.keys == frozenset({("one",), ("two",), ("three",)})
    assert reply.until == 7.0


async def test_counted() -> None:
    before = autopath.successes.total()
    known = Names({"b.example.org.": 3, "b.example.com.": 0})
    await walker().resolve(query("b.example.org."), known)
    await walker().resolve(query("b.example.org."), Names({}))
    await walker().resolve(query("b.example.net."), known)
    assert autopath.successes.total() == before + 1


IN_SEARCH_PATH = {  # CoreDNS: TestInSearchPath
    "google.com.": 1,
    "a.default.svc.cluster.local.": 4,
    "a.b.svc.cluster.local.": 1,
}


@pytest.mark.parametrize(("name", "asked"), IN_SEARCH_PATH.items())
async def test_first_element(name: str, asked: int) -> None:
    zone = (b"svc", b"cluster", b"local")
    behind = Names({name: 3, "a.svc.cluster.local.": 3, "a.cluster.local.": 3, "a.": 3})
    search = ((b"default", *zone), zone, zone[1:], ())
    await walker(search).resolve(query(name), behind)
    assert len(behind.asked) == asked


async def test_lines(tmp_path: Path) -> None:
    """CoreDNS: TestSetupAutoPath."""
    path = tmp_path / "resolv.conf"
    path.write_text(RESOLV_CONF)
    plugin = parsed(f"autopath {path}")
    assert isinstance(plugin, Autopath)
    assert plugin.search(query().question, CLIENT) == ((b"bar", b"com"), (b"baz", b"com"), ())
    for text, zone in {"example.org": "example.org.", "10.0.0.0/8": "10.in-addr.arpa."}.items():
        plugin = parsed(f"autopath {text} @kubernetes")
        assert isinstance(plugin, Autopath)
        assert plugin._zones.names == (zone,)
    plugin = parsed(f"autopath @kubernetes\nautopath {path}")
    assert isinstance(plugin, Autopath)
    assert plugin.search(query().question, CLIENT)
    assert not plugin.personal(query("a.b.svc.cluster.local.").question)


RESOLV_CONFS = {
    "": (),
    "nameserver 10.0.0.1": (),
    "domain a.b": ((b"a", b"b"), ()),
    "search A.b. c": ((b"a", b"b"), (b"c",), ()),
    "search a\ndomain b": ((b"b",), ()),
    "search a\nsearch b": ((b"b",), ()),
    ";search a\n#search b": (),
    "search a..b c .": ((b"c",), ()),
}


@pytest.mark.parametrize(("text", "expected"), RESOLV_CONFS.items(), ids=repr)
def test_resolv_conf(text: str, expected: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    plugin = parsed(f"autopath {tmp_path}/resolv.conf")
    assert isinstance(plugin, Autopath)
    assert plugin.search(query().question, CLIENT) == expected


BAD = {
    "autopath": "1:1: autopath takes at least 1 argument, not 0",
    "autopath kubernetes": "1:10: cannot read 'kubernetes': No such file or directory",
    'autopath ""': "1:10: cannot read '': Is a directory",
}


@pytest.mark.parametrize(("text", "expected"), BAD.items(), ids=BAD)
def test_faults(text: str, expected: str) -> None:
    assert fault(text) == expected


WARNED = {
    "autopath @bad": "Corefile:1:14: there is no directive 'bad' here: nothing is done",
    "autopath @kubernetes": "Corefile:1:14: there is no directive 'kubernetes' here: nothing is "
    "done",
    "autopath @erratic": "Corefile:1:14: there is no directive 'erratic' here: nothing is done",
    "autopath @bind\nbind 127.0.0.1": "Corefile:1:14: there is no directive 'bind' here: nothing "
    "is done",
    "autopath @kubernetes\nkubernetes a.b": "Corefile:1:14: kubernetes knows no clients without "
    "`pods verified`",
}


def built(text: str) -> Setup:
    setup = new_setup()
    build(type("Block", (), {"directives": lines(text)})(), setup)
    return setup


@pytest.mark.parametrize(("text", "expected"), WARNED.items(), ids=WARNED)
def test_nobody_knows_the_clients(text: str, expected: str) -> None:
    """7.5 (28): accepted, and without effect."""
    setup = built(text)
    assert setup.warnings == [expected]
    plugin = next(plugin for plugin in setup.plugins if isinstance(plugin, Autopath))
    assert not plugin.search(query("b.a.example.org.").question, CLIENT)


@pytest.mark.parametrize("name", ["whoami", "autopath", "log"])
def test_directives_that_know_no_clients(name: str) -> None:
    """As CoreDNS, which ends: NAME does not implement the AutoPather interface."""
    with pytest.raises(ConfigError) as raised:
        built(f"{'' if name == 'autopath' else name}\nautopath @{name}")
    assert str(raised.value).endswith(
        f"2:10: {name} knows no search lists of clients, only kubernetes does"
    )


def test_erratic_has_a_list_for_everybody() -> None:
    setup = built("autopath @erratic\nerratic")
    plugin = next(plugin for plugin in setup.plugins if isinstance(plugin, Autopath))
    search = plugin.search(query("c.a.example.org.").question, CLIENT)
    found = [b".".join(labels).decode() for labels in search]
    assert found == ["a.example.org", "b.example.org", ""]


def client(
    view: View | None, name: str, peer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[str]:
    """The search list for a query by this client."""
    (tmp_path / "own").write_text("search node.example")
    monkeypatch.setattr(autopath, "OWN_RESOLV_CONF", tmp_path / "own")
    setup: Setup = new_setup()
    plugin = parsed("autopath @kubernetes", setup)
    assert isinstance(plugin, Autopath)
    setup.views += [view] if view else []
    search = plugin.search(query(name).question, (peer, 4321))
    return [b".".join(labels).decode() for labels in search]


def view_of(
    pods: str = "verified", zones: tuple[str, ...] = ("cluster.local", "10.in-addr.arpa")
) -> View:
    index = Index(Selection(pods=True))
    for name, namespace, address in (
        ("web", "shop", "10.1.0.1"),
        ("six", "shop", "fd00::7"),
        ("proxy", "kube-system", "192.0.2.1"),
        ("logs", "logging", "192.0.2.1"),
    ):
        index.apply(Upsert(Pod(namespace, name, ip_address(address).packed)), 0.0)
    options = ZoneOptions(tuple(map(DNSLabel, zones)), pods=pods)  # type: ignore[arg-type]
    return View(index, options)


POD_LIST = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "node.example", ""]
CLIENTS = {
    "a pod": ("a.cluster.local.", "10.1.0.1", POD_LIST),
    "a pod by IPv6": ("A.Cluster.LOCAL.", "fd00::7", POD_LIST),
    "nobody's address": ("a.cluster.local.", "10.1.0.2", []),
    "pods of two namespaces": ("a.cluster.local.", "192.0.2.1", []),
    "a name outside of the zone": ("example.org.", "10.1.0.1", []),
    "a reverse name": ("1.0.1.10.in-addr.arpa.", "10.1.0.1", []),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_search_list_of_a_pod(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked, peer, expected = CLIENTS[name]
    assert client(view_of(), asked, peer, monkeypatch, tmp_path) == expected


@pytest.mark.parametrize("pods", ["disabled", "insecure"])
def test_only_with_pods_verified(
    pods: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert client(view_of(pods), "a.cluster.local.", "10.1.0.1", monkeypatch, tmp_path) == []
    assert client(None, "a.cluster.local.", "10.1.0.1", monkeypatch, tmp_path) == []


def test_root_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = client(view_of(zones=(".",)), "a.", "10.1.0.1", monkeypatch, tmp_path)
    assert found == ["shop.svc", "svc", "", "node.example", ""]


@pytest.mark.parametrize("name", ["secret.protected.example.", "secret.public.example."])
async def test_acl_sees_what_is_walked_to(name: str, tmp_path: Path) -> None:
    """CoreDNS: TestACLAuthorizesAutopathExpandedName, CVE-2026-26017."""
    (tmp_path / "resolv.conf").write_text("search public.example protected.example")
    text = f"""acl protected.example. {{
    block
}}
autopath {tmp_path}/resolv.conf
cache
hosts {tmp_path}/none {{
    192.0.2.123 secret.protected.example
}}"""
    (block,) = parse(f". {{\n{text}\n}}", "Corefile").blocks
    plugins = build(block, new_setup())
    reply = await Block(["."], plugins).resolve(query(name))
    assert reply is not None
    assert (reply.rcode, reply.answer) == (5, [])


PERSONAL = {  # replies for names that do not exist, which the search list of some pod may lead on
    "www.example.org.shop.svc.cluster.local.": True,
    "www.SHOP.Svc.cluster.local.": True,
    "shop.svc.cluster.local.": False,
    "www.svc.cluster.local.": False,
    "www.example.cluster.local.": False,
    "www.shop.svc.example.org.": False,
    "svc.cluster.local.": False,
}


async def resolved(name: str, rcode: int, pods: str = "verified") -> Reply:
    setup = new_setup()
    setup.views.append(view_of(pods))
    plugin = parsed("autopath @kubernetes", setup)

    async def next(_: Query) -> Reply:
        return Reply(rcode, until=9.0)

    reply = await plugin.resolve(query(name, peer=("10.1.0.2", 4321)), next)
    assert reply is not None
    return reply


@pytest.mark.parametrize(("name", "personal"), PERSONAL.items(), ids=PERSONAL)
async def test_only_what_the_pod_decides_is_for_its_like(name: str, personal: bool) -> None:
    """Any other reply is the same for every client, so it may become a finished answer."""
    missing = await resolved(name, 3)
    assert missing.until == (0.0 if personal else 9.0)
    assert (missing.persona, missing.until_for_persona) == (((), 9.0) if personal else (None, 0.0))
    assert (await resolved(name, 0)).until == 9.0
    assert (await resolved(name, 3, "insecure")).until == 9.0


async def test_a_block_keeps_finished_answers() -> None:
    setup = built("autopath @kubernetes\nkubernetes cluster.local {\n pods verified\n}")
    assert Block(["."], setup.plugins).keeps


async def test_a_reply_sent_again_is_counted() -> None:
    told: list[tuple[int, float]] = []

    async def next(_: Query) -> Reply:
        reply = Reply(until=9.0)
        reply.sent_again = lambda times, until: told.append((times, until))
        return reply

    before = autopath.successes.total()
    reply = await walker().resolve(query("b.example.org."), next)
    assert reply is not None
    assert reply.sent_again is not None
    reply.sent_again(3, 8.0)
    assert autopath.successes.total() == before + 4
    assert told == [(3, 8.0)]
