"""Memory, stalls and freshness of a server that follows the API of a large cluster.

    python -m bench.relist [--services N] [--endpoints N] [--relists N] [--changes N]

The API is the simulated one of the tests, in a process of its own, with 10,000 Services and 150,000
endpoints. Its history expires and its watches are cut, so that everything is listed anew, while
another process asks a thousand questions a second; then endpoints change, one at a time and many.
CoreDNS goes through the same where its binary is on PATH or in $COREDNS.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bench import cluster
from bench.api import CHANGING, Api, Due, address, name, simulated
from bench.asking import Steady, connected, query, received, steadily
from bench.figures import answer_times, machine, spread
from bench.processes import Server, clusterdns, coredns, coredns_binary

SETTLE_S = 3.0  # what was used for a list is given back, or is not
LOST_S = 30.0
LOOK_S = 0.0005  # between two questions for a change
ONE_AT_A_TIME, MANY = 20, 200  # changes a second
HOT = [
    query(f"{site.name}.{site.namespace}.svc.cluster.local")
    for site in map(cluster.Site, range(1, 64))
]

Run = Callable[[Path, str], AbstractContextManager[Server]]


def follow(run: Run, folder: Path, api: Api, relists: int, changes: int) -> None:
    """Everything about one server."""
    with run(folder, f"endpoint {api.url}") as server:
        with steadily(server.address, HOT) as asker:
            seconds = server.until_ready()
            print(f"{server.name}: ready after {seconds:.2f} s, {server.cpu_s:.2f} s of CPU")
            answered = [each for each in asker.seen() if each.rcode == 0]
            print(f"  since the first answer: {answer_times(answered)}")
            time.sleep(SETTLE_S)
            print(f"  resident {server.rss_mb:.0f} MB, at most {server.peak_mb:.0f} MB")
            for number in range(1, relists + 1):
                relist(server, api, asker, number)
        for first, rate in ((1, ONE_AT_A_TIME), (1 + changes, MANY)):
            before = server.cpu_s
            times_ms = list(changed(server, api, rate, first, changes))
            used_ms = (server.cpu_s - before) / changes * 1e3
            print(f"  {rate} changes/s -> answer: {spread(times_ms)}; {used_ms:.2f} ms of CPU each")


def relist(server: Server, api: Api, asker: Steady, number: int) -> None:
    """Has everything listed again, and prints what that did to answers and memory."""
    asker.seen()
    server.forget_peak()
    before, cpu, waited = server.rss_mb, server.cpu_s, server.waited_s
    due = api.expire(number)
    took_ms = _until_seen(server, due)
    seen = asker.seen()
    cpu, waited = server.cpu_s - cpu, server.waited_s - waited
    time.sleep(SETTLE_S)
    print(f"  relisted in {took_ms / 1e3:.2f} s, {cpu:.2f} s of CPU, {waited:.2f} s without a core")
    after = f"at most {server.peak_mb:.0f} MB, {server.rss_mb:.0f} MB afterwards"
    print(f"    resident {before:.0f} MB, {after}")
    print(f"    meanwhile {answer_times(seen)}")


def _until_seen(server: Server, due: Due) -> float:
    """Milliseconds from a change until it is in an answer. Raises RuntimeError."""
    with connected(server.address) as sock:
        while time.time_ns() < due.at + LOST_S * 1e9:
            sock.send(b"\0\0" + query(name(due.site)))
            time.sleep(LOOK_S)
            for at, octets in received(sock):
                if octets.endswith(_packed(due.address)):
                    return (at - due.at) / 1e6
    raise RuntimeError(f"{server.name}: {due} is not served after {LOST_S:g} s")


def changed(server: Server, api: Api, rate: float, first: int, count: int) -> Iterator[float]:
    """Milliseconds from each change until it is in an answer; first: the number of the first."""
    seen: dict[tuple[int, bytes], int] = {}  # place in CHANGING, address -> when it was seen first
    queries = [query(name(site)) for site in CHANGING]
    began = time.monotonic()
    api.change(rate, first, count)
    oldest, end = first, first + count  # the first that may not have been seen, and the last
    with connected(server.address) as sock:
        while oldest < end and time.monotonic() < began + count / rate + LOST_S:
            latest = min(end - 1, first + int((time.monotonic() - began) * rate))
            for number in range(oldest, latest + 1):
                place = number % len(CHANGING)
                sock.send(place.to_bytes(2, "big") + queries[place])
            time.sleep(LOOK_S)
            for at, octets in received(sock):
                seen.setdefault((int.from_bytes(octets[:2], "big"), octets[-4:]), at)
            while (oldest % len(CHANGING), _packed(address(oldest))) in seen:
                oldest += 1
    for due in api.changed():
        when = seen.get((CHANGING.index(due.site), _packed(due.address)))
        yield (when - due.at) / 1e6 if when else LOST_S * 1e3


def _packed(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    cluster.add_shape(parser)
    parser.add_argument("--relists", type=int, default=3, metavar="N")
    parser.add_argument("--changes", type=int, default=300, metavar="N", help="at each rate")
    given = parser.parse_args()
    shape = cluster.shape_of(given)
    print(f"{machine()}; {shape.services} Services of {shape.endpoints} endpoints")
    servers: list[Run] = [clusterdns, *([coredns] if coredns_binary() else [])]
    for run in servers:
        with simulated(shape) as api, tempfile.TemporaryDirectory(prefix="bench-") as folder:
            follow(run, Path(folder), api, given.relists, given.changes)


if __name__ == "__main__":
    main()
