"""CPU microseconds per query with `cache` in front of `forward`, over UDP.

    python -m bench.cached [--queries N]

Names never asked before, each asked once; the same ones asked a second, a third and a fourth time;
and a hundred names asked again and again. The upstream is a process of its own, as in
bench.forward, and so is the asker; the server's CPU time counts alone. CoreDNS is asked the same
where its binary is on PATH or in $COREDNS.
"""

import argparse
import tempfile
from pathlib import Path

from bench.asking import Address, ask_each
from bench.figures import machine
from bench.forward import WARM_UP, names, upstream
from bench.processes import Server, clusterdns_with, coredns_binary, coredns_with

QUERIES = 8_000  # names; fewer than a cache holds
HOT = 100  # names
ROUNDS = 3  # the machine is shared: the best one is the least disturbed


def corefile(to: Address) -> str:
    """What stock Corefiles have between a query and its upstream."""
    return f"errors\n cache 30\n loadbalance\n forward . {to[0]}:{to[1]}"


def cost(server: Server, queries: list[bytes]) -> float:
    """Microseconds for each that was answered."""
    before = server.cpu_s
    told = ask_each(server.address, queries)
    return (server.cpu_s - before) / told.answered * 1e6


def measure(count: int) -> None:
    """Prints what a query costs each server."""
    print(f"{'':12}{'never asked':>14}{'second':>10}{'third':>10}{'fourth':>10}{'hot':>10}  us")
    for run in (clusterdns_with, *([coredns_with] if coredns_binary() else [])):
        rows = []
        for _ in range(ROUNDS):
            with (
                upstream() as to,
                tempfile.TemporaryDirectory(prefix="bench-") as folder,
                run(Path(folder), corefile(to)) as server,
            ):
                server.until_ready()
                ask_each(server.address, names(count, WARM_UP))
                new = names(0, count)
                hot = names(0, HOT) * (count * 5 // HOT)
                rows.append([cost(server, each) for each in (new, new, new, new, hot)])
        never, *others = (min(each) for each in zip(*rows, strict=True))
        print(f"{server.name:12}{never:14.1f}" + "".join(f"{each:10.1f}" for each in others))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=QUERIES)
    print(machine())
    measure(parser.parse_args().queries)


if __name__ == "__main__":
    main()
