"""CPU microseconds per question never asked before, and asked before, by kinds of questions.

    python -m bench.cold [--services N] [--endpoints N] [--in-process] [--profile WORDS]

First in this process, by the full path from octets to octets; then over UDP, where the server's CPU
time counts, user and system, and the asking process's does not. There the objects come from a
simulated API, and CoreDNS is asked the same where its binary is on PATH or in $COREDNS.

--profile: shows where the time goes, in this process, for the kinds whose text has these words.
"""

import argparse
import cProfile
import gc
import pstats
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from bench import cluster
from bench.api import simulated
from bench.asking import ask_each
from bench.figures import machine
from bench.processes import Server, clusterdns, coredns, coredns_binary
from bench.questions import Kind, kinds
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.decode import decode_namespace, decode_service, decode_slice
from clusterdns.cluster.events import Event, Synced
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.parser import parse
from clusterdns.server.answers import Answers
from clusterdns.server.configuration import configure
from clusterdns.server.respond import Responder
from clusterdns.zone.index import Index

COREFILE = """\
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 30
    }
    loadbalance
}
"""
PEER = ("127.0.0.1", 40_000)
OPTIONS = "pods insecure\n ttl 30\n"
HOT_NAMES, HOT_QUERIES = 1000, 100_000  # fewer names than any table of answers holds

Run = Callable[[Path, str], AbstractContextManager[Server]]


def in_process(shape: cluster.Shape, profile: str | None) -> None:
    """Prints each kind's cost by the full path."""
    responder = _responder(shape)
    print("in this process, without sockets:")
    for kind in kinds(shape):
        if profile is None:
            print(f"  {kind.text:36}{_respond(responder, kind):8.1f} us")
        elif profile in kind.text:
            print(f"  {kind.text}")
            with cProfile.Profile() as found:
                _respond(responder, kind)
            pstats.Stats(found).sort_stats("tottime").print_stats(25)


def _responder(shape: cluster.Shape) -> Responder:
    """The whole server but for its sockets, with this cluster."""
    index = Index(Selection())
    for obj in cluster.objects(shape):
        index.apply(_event(obj), now=1.0)
    for kind in Selection().kinds:
        index.apply(Synced(kind), now=1.0)
    gc.collect()
    gc.freeze()  # as the server does once it is synced

    def of(selection: Selection, api: ApiOptions) -> Index:
        return index

    router = configure(parse(COREFILE, "bench", {}), of, 53).sockets[0].router
    return Responder(router, Answers(), "udp", ("127.0.0.1", 53))


def _event(obj: cluster.Json) -> Event:
    octets = msgspec.json.encode(obj)
    match obj["kind"]:
        case "Namespace":
            return decode_namespace(octets)
        case "Service":
            found = decode_service(octets)
        case _:
            found = decode_slice(octets, Selection())
    assert not isinstance(found, tuple), f"no records: {obj['metadata']['name']}"
    return found


def _respond(responder: Responder, kind: Kind) -> float:
    """CPU microseconds per question."""
    before = time.process_time()
    for question in kind.queries:
        reply = responder.respond(b"\0\1" + question, PEER, 1.0)
    used = time.process_time() - before
    assert isinstance(reply, bytes), kind
    assert reply[3] & 15 == kind.rcode, kind
    return used / len(kind.queries) * 1e6


def over_udp(shape: cluster.Shape) -> None:
    """Prints each kind's cost cold and hot, with CoreDNS's beside it."""
    servers: list[Run] = [clusterdns, *([coredns] if coredns_binary() else [])]
    found = [_ask_all(run, shape) for run in servers]
    names = "".join(f"{run.__name__:>18}" for run in servers)
    print(f"over UDP, us CPU cold/hot: {names}   ratio cold   hot")
    for text, *costs in ((text, *(each[text] for each in found)) for text in found[0]):
        cells = "".join(f"{cold:10.1f}/{hot:7.1f}" for cold, hot in costs)
        ratios = [f"{a / b:8.2f}" for a, b in zip(*costs, strict=True)] if len(costs) > 1 else []
        print(f"  {text:36}{cells}   {''.join(ratios)}")


def _ask_all(run: Run, shape: cluster.Shape) -> dict[str, tuple[float, float]]:
    """CPU microseconds per question by kind: never asked before, and asked before."""
    with (
        simulated(shape) as api,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        run(Path(folder), f"{OPTIONS} endpoint {api.url}") as server,
    ):
        server.until_ready()
        return {kind.text: (_ask(server, kind), _ask_again(server, kind)) for kind in kinds(shape)}


def _ask(server: Server, kind: Kind) -> float:
    before = server.cpu_s
    told = ask_each(server.address, kind.queries)
    used = server.cpu_s - before
    assert told.rcodes.keys() == {kind.rcode}, f"{kind.text}: {told}"
    return used / told.answered * 1e6


def _ask_again(server: Server, kind: Kind) -> float:
    few = kind.queries[:HOT_NAMES]
    ask_each(server.address, few)
    times = HOT_QUERIES // len(few)
    return _ask(server, kind._replace(queries=few * times))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    cluster.add_shape(parser)
    parser.add_argument("--in-process", action="store_true", help="nothing over UDP")
    parser.add_argument("--profile", metavar="WORDS", help="in this process only")
    given = parser.parse_args()
    shape = cluster.shape_of(given)
    print(f"{machine()}; {shape.services} Services of {shape.endpoints} endpoints")
    in_process(shape, given.profile)
    if not (given.in_process or given.profile):
        over_udp(shape)


if __name__ == "__main__":
    main()
