"""Load time, memory and stalls of a server that reads a large cluster from files.

    python -m bench.load [--services N] [--endpoints N] [--edits N]

Another process asks a name of a small first file a thousand times a second from the start on: an
answer that takes longer than usual shows how long reading held up answering. Then files change.
"""

import argparse
import tempfile
import time
from pathlib import Path

from bench import cluster
from bench.asking import Steady, connected, query, received, steadily
from bench.figures import answer_times, machine, spread
from bench.processes import Server, clusterdns

CANARY = cluster.Site(10**6)  # a headless Service whose one endpoint is what is edited
SETTLE_S = 1.0
ASK_S = 0.002  # between two questions whether an edit is served
LOST_S = 60.0


def canary(number: int) -> list[cluster.Json]:
    """The objects of the small file after so many edits."""
    return [
        cluster.namespace(cluster.seeded(), CANARY.namespace),
        cluster.service(cluster.seeded(), CANARY),
        cluster.endpoint_slice(cluster.seeded(), CANARY, addresses=[_address(number)]),
    ]


def _address(number: int) -> str:
    return f"10.250.{number >> 8}.{number & 255}"


def canary_query() -> bytes:
    return query(f"{CANARY.name}.{CANARY.namespace}.svc.cluster.local")


def load(folder: Path, shape: cluster.Shape, edits: int) -> None:
    """Starts a server on the files of the folder, prints what is seen of it."""
    with clusterdns(folder, "ttl 30", ["--manifests", str(folder)]) as server:
        with steadily(server.address, [canary_query()]) as asker:
            seconds = server.until_ready()
            cpu, waited = server.cpu_s, server.waited_s
            seen = asker.seen()
            print(f"ready after {seconds:.2f} s, {cpu:.2f} s of CPU, {waited:.2f} s without a core")
            refused = sum(each.rcode == 2 for each in seen)
            print(f"while loading, {answer_times(seen)} ({refused} SERVFAIL)")
            time.sleep(SETTLE_S)
            print(f"resident {server.rss_mb:.0f} MB, at most {server.peak_mb:.0f} MB")
            edit_small(server, folder, asker, edits)
            edit_large(server, folder, shape, asker)
        print(f"resident {server.rss_mb:.0f} MB after the edits, at most {server.peak_mb:.0f} MB")


def edit_small(server: Server, folder: Path, asker: Steady, edits: int) -> None:
    """Edits a file of three objects."""
    times_ms = []
    asker.seen()
    for number in range(1, edits + 1):
        asked = canary_query()
        times_ms.append(
            _until_served(server, asked, _address(number), folder / "0-canary.json", canary(number))
        )
    print(f"edit of a small file -> answer: {spread(times_ms)}")
    print(f"meanwhile, {answer_times(asker.seen())}")


def edit_large(server: Server, folder: Path, shape: cluster.Shape, asker: Steady) -> None:
    """Edits the last headless slice in the file of all slices."""
    file, found = list(cluster.lists(shape))[-1]
    site = cluster.Site((shape.services - 1) // cluster.HEADLESS_EVERY * cluster.HEADLESS_EVERY)
    former = found[site.number]["endpoints"]
    found[site.number]["endpoints"] = [{**former[0], "addresses": [_address(0)]}]
    asked = query(f"{site.name}.{site.namespace}.svc.cluster.local")
    asker.seen()
    before = server.cpu_s
    took = _until_served(server, asked, _address(0), folder / file, found)
    time.sleep(SETTLE_S)
    used = server.cpu_s - before
    print(f"edit of the file of all slices -> answer: {took:.0f} ms, {used:.2f} s of CPU")
    print(f"meanwhile, {answer_times(asker.seen())}")


def _until_served(
    server: Server, asked: bytes, address: str, file: Path, found: list[cluster.Json]
) -> float:
    """Writes the file; gives the milliseconds until the address is in an answer."""
    wanted = bytes(map(int, address.split(".")))
    cluster.write_list(file, found)
    written = time.time_ns()
    with connected(server.address) as sock:
        while time.time_ns() < written + LOST_S * 1e9:
            sock.send(b"\0\0" + asked)
            time.sleep(ASK_S)
            for at, octets in received(sock):
                if octets.endswith(wanted):
                    return (at - written) / 1e6
    raise RuntimeError(f"{file.name}: not served after {LOST_S:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    cluster.add_shape(parser)
    parser.add_argument("--edits", type=int, default=10, metavar="N", help="of a small file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        shape = cluster.shape_of(given)
        cluster.write_list(folder / "0-canary.json", canary(0))
        octets = cluster.write(folder, shape)
        print(f"{machine()}; {shape.services} Services, files of {octets / 1e6:.0f} MB")
        load(folder, shape, given.edits)


if __name__ == "__main__":
    main()
