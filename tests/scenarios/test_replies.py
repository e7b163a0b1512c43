"""What holds for every reply, wherever it comes from: its size, who may have it, and to what."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from tests.objects import Json, endpoint, endpoint_slice, pod, service
from tests.plugins.forward.stubs import HOST, Asked, Stub, reply, upstream
from tests.scenarios.asking import TIMEOUT_S, At
from tests.scenarios.octets import AT_ONCE, QR, RD, ask_all, query
from tests.scenarios.servers import Server, served, write

MANY = 60  # addresses: 16 octets each, so more than 512 or 700 hold
ROADS = {  # names with so many, by where these come from
    "cluster": "db.shop.svc.cluster.local",
    "search list": "big.upstream.test.shop.svc.cluster.local",
    "hosts": "many.hosts.test",
    "template": "many.template.test",
    "file": "many.file.test",
    "forward": "big.upstream.test",
    "rewritten": "many.renamed.test",
}
# In which what must not come would have come: replies of this server take some milliseconds.
SILENCE_S = 0.2
OTHER = "127.0.0.2"  # a client that may not all
OBJECTS: list[Json] = [
    service("shop", "db"),
    endpoint_slice("shop", "db", [endpoint(f"10.244.1.{n}") for n in range(MANY)]),
    pod("shop", "cart", HOST),
    pod("shop", "other", OTHER),
]
COREFILE = """\
.:0 {{
    bind 127.0.0.1
    root {folder}
    {more}
    rewrite name many.renamed.test db.shop.svc.cluster.local
    autopath @kubernetes
    cache 30
    template IN A template.test {{
        answer {answers}
    }}
    hosts hosts hosts.test {{
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa {{
        pods verified
    }}
    file zone file.test
    forward . 127.0.0.1:{port}
}}
"""


# As stock Corefiles: what is forwarded goes as octets.
STOCK = """\
.:0 {{
    bind 127.0.0.1
    errors
    {more}
    cache 30
    kubernetes cluster.local in-addr.arpa {{
        pods insecure
    }}
    forward . 127.0.0.1:{port}
}}
"""
STOCK_ROADS = {road: ROADS[road] for road in ("cluster", "forward")}
each_corefile = pytest.mark.parametrize(
    ("corefile", "roads"), [(COREFILE, ROADS), (STOCK, STOCK_ROADS)], ids=["all", "stock"]
)


def upstream_says(asked: Asked) -> Iterator[bytes]:
    yield reply(asked, *[f"{asked.name} 30 IN A 198.51.100.{n}" for n in range(MANY)])


def serving(
    folder: Path, stub: Stub, more: str = "", corefile: str = COREFILE
) -> AbstractAsyncContextManager[Server]:
    """more: lines of the server block."""
    (folder / "hosts").write_text("".join(f"192.0.2.{n} many.hosts.test\n" for n in range(MANY)))
    records = "".join(f"many A 192.0.2.{n}\n" for n in range(MANY))
    (folder / "zone").write_text(f"$ORIGIN file.test.\n$TTL 30\n@ SOA a b 1 2 3 4 5\n{records}")
    answers = " ".join(f'"{{{{ .Name }}}} 30 IN A 192.0.2.{n}"' for n in range(MANY))
    corefile = corefile.format(folder=folder, port=stub.port, more=more, answers=answers)
    return served(folder, write(folder / "objects.yaml", OBJECTS), corefile=corefile)


def asking(name: str, **changed: int | None) -> bytes:
    return query(name.encode().split(b"."), **changed)  # type: ignore[arg-type]


def limit(size: int | None, tcp: bool, most: int) -> int:
    """RFC 6891 section 6.2.5: what the client can take, 512 octets at least."""
    if tcp:
        return 65535
    return 512 if size is None else max(512, min(size, most))


SIZES = (None, 0, 100, 512, 513, 600, 1231, 1232, 1233, 4096, 65535)


BOUNDS = [("", 65535), ("loadbalance", 65535), ("bufsize", 1232), ("bufsize 700", 700)]


@each_corefile
@pytest.mark.parametrize(("more", "most"), BOUNDS)
async def test_no_reply_is_larger_than_its_limit(
    tmp_path: Path, corefile: str, roads: dict[str, str], more: str, most: int
) -> None:
    """On every road, and again as a finished answer. What was cut says so, nothing else does."""
    async with upstream(upstream_says) as stub, serving(tmp_path, stub, more, corefile) as server:
        for road, name in [*roads.items(), ("forward", "")]:
            for number, size in enumerate(SIZES):
                for tcp in (False, False, True):
                    name = name if name in roads.values() else f"n{number}{tcp}.upstream.test"
                    [octets] = await ask_all(server.at, [asking(name, size=size)], tcp)
                    assert octets is not None, road
                    found = dns.message.from_wire(octets)
                    what = (road, size, tcp, len(octets))
                    assert not found.rcode(), what
                    assert len(octets) <= limit(size, tcp, most), what
                    is_cut = sum(len(rrset) for rrset in found.answer) < MANY
                    assert is_cut == bool(found.flags & dns.flags.TC), what
                    assert is_cut == (limit(size, tcp, most) < 1000), what
                    assert (found.edns >= 0) == (size is not None), what
        assert server.hits > len(SIZES) or more == "loadbalance"  # which first collects orders


async def said(
    at: At, names: Iterable[str], tcp: bool, source: str, drops: bool = False
) -> list[str]:
    """For each name how many addresses there are, or the rcode, or nothing.

    drops: some will have no reply.
    """
    queries = [asking(name, size=4096) for name in names]
    found = await ask_all(at, queries, tcp, source, SILENCE_S if drops else TIMEOUT_S)
    return ["nothing" if octets is None else summary(octets) for octets in found]


def summary(octets: bytes) -> str:
    found = dns.message.from_wire(octets)
    if found.rcode():
        return dns.rcode.to_text(found.rcode())
    return str(sum(len(rrset) for rrset in found.answer if rrset.rdtype == dns.rdatatype.A))


ACTIONS = {"block": "REFUSED", "filter": "0", "drop": "nothing"}


@each_corefile
@pytest.mark.parametrize(("action", "expected"), ACTIONS.items(), ids=ACTIONS)
async def test_acl_decides_before_anything_answers(
    tmp_path: Path, corefile: str, roads: dict[str, str], action: str, expected: str
) -> None:
    """Whatever somebody else had, and has again, from directives, caches or finished answers."""
    everything = [str(MANY)] * len(roads)
    acl = f"acl {{\n {action} net {OTHER}\n}}"
    async with upstream(upstream_says) as stub, serving(tmp_path, stub, acl, corefile) as server:
        for tcp in (False, True):
            assert await said(server.at, roads.values(), tcp, HOST) == everything
        before = len(stub.asked)
        names = [*roads.values(), *[f"new.{name}" for name in roads.values()]]
        for tcp in (False, True):
            found = await said(server.at, names, tcp, OTHER, action == "drop")
            assert found == [expected] * len(names)
        assert len(stub.asked) == before
        assert await said(server.at, roads.values(), False, HOST) == everything


@pytest.mark.parametrize("action", ACTIONS)
async def test_acl_sees_what_is_asked_in_the_end(tmp_path: Path, action: str) -> None:
    """A name that is closed cannot be had by another name that leads to it."""
    acl = f"acl upstream.test db.shop.svc.cluster.local {{\n {action} net {OTHER}\n}}"
    open_roads = {"hosts", "template", "file"}
    async with upstream(upstream_says) as stub, serving(tmp_path, stub, acl) as server:
        for source in (HOST, OTHER, HOST):
            for tcp in (False, True):
                drops = action == "drop" and source == OTHER
                found = await said(server.at, ROADS.values(), tcp, source, drops)
                got = {road for road, each in zip(ROADS, found, strict=True) if each == str(MANY)}
                assert got == (set(ROADS) if source == HOST else open_roads)


@each_corefile
@pytest.mark.parametrize("tcp", [False, True])
async def test_a_reply_has_no_reply(
    tmp_path: Path, corefile: str, roads: dict[str, str], tcp: bool
) -> None:
    """Two servers that answered each other would never end. What comes after it is answered."""
    async with upstream(upstream_says) as stub, serving(tmp_path, stub, "", corefile) as server:
        queries = [asking(name, size=size) for name in roads.values() for size in (None, 1232)]
        replies = await ask_all(server.at, queries, tcp)
        sent = [each for each in replies if each is not None]
        assert len(sent) == len(queries)
        sent += [asking(ROADS["cluster"], flags=flags) for flags in (QR, QR | RD)]
        sent += [asking("new.upstream.test", flags=QR | opcode << 11) for opcode in range(16)]
        sent += [each[:12] for each in sent] + [each[:-1] for each in sent]
        before = len(stub.asked)
        for start in range(0, len(sent), AT_ONCE - 1):
            some = [*sent[start : start + AT_ONCE - 1], queries[0]]
            *nothing, last = await ask_all(server.at, some, tcp, wait_s=SILENCE_S)
            assert nothing == [None] * len(nothing)
            assert last is not None
        assert len(stub.asked) == before
