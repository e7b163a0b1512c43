"""No name of the cluster leaves to an upstream, whatever is asked, and however it is written."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import dns.rdatatype
import pytest

from tests.objects import Json, endpoint, endpoint_slice, external_name, pod, port, service
from tests.plugins.forward.stubs import HOST, Asked, Stub, reply, upstream
from tests.ports import free_port
from tests.scenarios.asking import At, ask
from tests.scenarios.octets import ANY, CH, HS, IN, NONE, RD, Labels, ask_all, query, spelled
from tests.scenarios.servers import Server, served, started, write

OBJECTS: list[Json] = [
    service("shop", "web", "10.96.0.1", [port(80, "http")]),
    service("shop", "db", ports=[port(5432, "sql")]),
    endpoint_slice("shop", "db", [endpoint("10.244.0.7", hostname="db-0")], [port(5432, "sql")]),
    external_name("shop", "out", "www.example.com"),
    external_name("shop", "dead", "gone.shop.svc.cluster.local"),
    external_name("shop", "round", "round.shop.svc.cluster.local"),
    external_name("shop", "alias", "web.shop.svc.cluster.local"),
    pod("shop", "cart", HOST),  # who asks, for `autopath`
    pod("shop", "other", "10.244.0.8"),
]
COREFILE = """\
.:0 {{
    bind 127.0.0.1
    metadata
    rewrite stop name exact old.test web.shop.svc.cluster.local
    rewrite continue name suffix .corp.test .svc.cluster.local answer auto
    rewrite continue name regex (.*)\\.swap\\.cluster\\.local {{1}}.shop.svc.cluster.local
    rewrite continue ttl suffix example.org 5-60
    rewrite cname exact into.example.org. gone.shop.svc.cluster.local.
    autopath @kubernetes
    cache 30 {{
        serve_stale
        prefetch 1
    }}
    loadbalance
    template IN A alias.test {{
        answer "{{{{ .Name }}}} 30 IN CNAME gone.shop.svc.cluster.local."
    }}
    template ANY HTTPS {{
        match ^never$
        fallthrough
    }}
    hosts /nonexistent {{
        192.0.2.1 here.cluster.local
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        {options}
        pods verified
        fallthrough {through}
    }}
    loop
    forward . 127.0.0.1:{port} {{
        max_fails 0
    }}
}}
"""

# kubeadm's: nothing in it looks at each query, so most go to an upstream and back as octets.
STOCK = """\
.:0 {{
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        {options}
        pods insecure
        fallthrough {through}
        ttl 30
    }}
    forward . 127.0.0.1:{port} {{
        max_concurrent 1000
    }}
    cache 30 {{
        disable success cluster.local
        disable denial cluster.local
    }}
    loop
    loadbalance
}}
"""
COREFILES = {"all sorts of directives": COREFILE, "stock": STOCK}
REVERSE = "in-addr.arpa ip6.arpa"
CLUSTER = (b"cluster", b"local")
KNOWN = (b"web", b"db", b"out", b"dead", b"round", b"alias", b"db-0", b"_http", b"_tcp", b"shop")
COMMON = (
    *KNOWN,
    b"svc",
    b"pod",
    b"dns",
    b"ns",
    b"cluster",
    b"local",
    b"example",
    b"org",
    b"10-0-0-1",
)
ODD = (b"*", b"a.b", b"svc.cluster", b"cluster.local", b"\0", b"\xff\xc0", b" ", b"\\", b'"', b"@",
       b"x" * 63, b"\xc3\xa9", b"www.example.org", b"-", b"local.")  # fmt: skip
TYPES = (1, 28, 33, 5, 12, 16, 6, 2, 15, 43, 48, 46, 64, 65, 255, 251, 252, 13, 39, 41, 249, 250, 0)
CLASSES = (IN,) * 8 + (CH, HS, NONE, ANY, 0, 77)


def is_below(labels: Labels, zone: Labels = CLUSTER) -> bool:
    return tuple(label.lower() for label in labels[-len(zone) :]) == tuple(zone)


def upstream_says(asked: Asked) -> Iterator[bytes]:
    """What others have to say, now and then with a name of the cluster in it."""
    name = asked.name
    if asked.message.question[0].rdtype == dns.rdatatype.A and not name.startswith("w"):
        if name.lower().startswith("into."):
            yield reply(asked, f"{name} 2 IN CNAME web.shop.svc.cluster.local.")
        elif "x" not in name:
            yield reply(asked, rcode=3)
        else:
            yield reply(asked, f"{name} 2 IN A 192.0.2.9")
    else:
        yield reply(asked, rcode=len(name) % 4)


def names(dice: random.Random, count: int) -> Iterator[list[bytes]]:
    """Names below the cluster's zone, near it, and others."""
    for _ in range(count):
        labels = [
            dice.choice(ODD if dice.random() < 0.1 else COMMON) for _ in range(dice.randint(0, 6))
        ]
        match dice.randrange(10):
            case 0 | 1 | 2:
                labels += [b"svc", *CLUSTER]
            case 3:
                labels += [b"shop", b"svc", *CLUSTER]
            case 4 | 5:
                labels += CLUSTER
            case 6:
                labels += dice.choice(([b"corp", b"test"], [b"alias", b"test"], [b"old", b"test"]))
            case 7:
                labels += [b"swap", *CLUSTER]
            case 8:
                labels += [*dice.choice(([b"example", b"org"], [b"into", b"example", b"org"]))]
        yield spelled(labels, dice)


def questions(dice: random.Random, count: int) -> Iterator[bytes]:
    """Some as resolvers send them, some with all that a query can have."""
    for labels in names(dice, count):
        if dice.random() < 0.4:
            plain = [label.lower() for label in labels]
            yield query(plain, dice.choice((1, 28, 65)), size=dice.choice((None, 1232)))
            continue
        yield query(
            labels,
            dice.choice(TYPES) if dice.random() < 0.6 else dice.choice((1, 28)),
            dice.choice(CLASSES),
            flags=dice.choice((RD, RD, 0, RD | 0x20, RD | 0x10, RD | 0x30 | 0x40)),
            size=dice.choice((None, 512, 1232, 4096)),
        )


def leaked(stub: Stub) -> list[str]:
    """Names of the cluster that came upstream."""
    found = [asked.message.question[0].name for asked in stub.asked]
    return sorted({str(name) for name in found if is_below(name.labels[:-1])})


async def ask_much(at: At, dice: random.Random, count: int) -> Counter[int]:
    """Asks at random by UDP and TCP; gives how many replies had which rcode, -1 for none."""
    found: Counter[int] = Counter()
    for tcp in (False, True):
        replies = await ask_all(at, list(questions(dice, count)), tcp)
        found.update(-1 if each is None else each[3] & 0xF for each in replies)
    return found


def serving(
    folder: Path, stub: Stub, corefile: str, through: str = REVERSE
) -> AbstractAsyncContextManager[Server]:
    corefile = corefile.format(port=stub.port, options="namespaces shop", through=through)
    return served(folder, write(folder / "objects.yaml", OBJECTS), corefile=corefile)


each_corefile = pytest.mark.parametrize("corefile", COREFILES.values(), ids=COREFILES)


@pytest.mark.parametrize("seed", range(3))
@each_corefile
async def test_nothing_of_the_cluster_goes_upstream(
    tmp_path: Path, corefile: str, seed: int
) -> None:
    async with upstream(upstream_says) as stub, serving(tmp_path, stub, corefile) as server:
        rcodes = await ask_much(server.at, random.Random(seed), 1500)
        assert leaked(stub) == []
        assert len(stub.names()) > 300  # and what is not the cluster's did
        assert rcodes[0] > 300
        assert rcodes[3] > 300
        assert rcodes[-1] == 0


@each_corefile
async def test_it_would_be_seen(tmp_path: Path, corefile: str) -> None:
    """With `fallthrough` for all names, which the Corefiles of some distributions have, they do."""
    async with (
        upstream(upstream_says) as stub,
        serving(tmp_path, stub, corefile, through="") as server,
    ):
        await ask_much(server.at, random.Random(0), 50)
        assert leaked(stub)


@each_corefile
async def test_nothing_goes_upstream_before_the_cluster_is_known(
    tmp_path: Path, corefile: str
) -> None:
    """Not the reverse zones either (D13): their NXDOMAIN would be kept."""
    async with upstream(upstream_says) as stub:
        api = f"endpoint http://{HOST}:{free_port()}"
        corefile = corefile.format(port=stub.port, options=api, through=REVERSE)
        async with started(tmp_path, corefile=corefile) as server:
            rcodes = await ask_much(server.at, random.Random(7), 500)
            for name in ("1.0.96.10.in-addr.arpa", "9.9.9.9.IN-ADDR.arpa", "1.ip6.ARPA"):
                assert (await ask(server.at, name, "PTR")).rcode() == 2
            assert leaked(stub) == []
            assert not [name for name in stub.names() if name.lower().endswith(".arpa.")]
            assert rcodes[2] > 300
            assert rcodes[-1] == 0


@each_corefile
async def test_addresses_of_the_cluster_stay_too(tmp_path: Path, corefile: str) -> None:
    """What falls through are the addresses that nobody in the cluster has."""
    ours = ("1.0.96.10.in-addr.arpa", "7.0.244.10.in-addr.arpa")
    others = ("2.0.96.10.in-addr.arpa",)
    async with upstream(upstream_says) as stub, serving(tmp_path, stub, corefile) as server:
        for name in (*ours, *others):
            for qtype in ("PTR", "A", "TXT", "SOA", "ANY"):
                await ask(server.at, name, qtype)
        assert {f"{name}." for name in others} <= set(stub.names())
        assert not {f"{name}." for name in ours} & set(stub.names())
