"""`python -m tests.soak --minutes N`: a server follows a cluster of changes and faults.

The API server is the simulated one. What has not changed for a few seconds must be answered right,
before and during every fault, and everything at the end; memory must not grow.
"""

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.apiserver.server import ApiServer
from tests.scenarios.processes import Process, running
from tests.soak.troubles import Troubles
from tests.soak.watching import SETTLE_S, Memory, Watcher
from tests.soak.world import World

COREFILE = """\
.:0 {{
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        endpoint {url}
    }}
}}
"""
HISTORY = 500  # changes that a watch can resume from; whoever is away for longer hears 410
AT_THE_END_S = 30.0  # for all to be right, after the last trouble is over
MOST_GROWTH_MB = 10.0  # the allocator keeps what a list needed for a moment
MOST_LOG = 20_000  # characters of the server's log that are shown when something was wrong
LEAST_RIGHT = 500  # answers a minute that could be judged; with fewer the run says nothing


def main() -> int:
    """Runs, tells what was seen, and gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--services", metavar="N", type=int, default=400)
    parser.add_argument("--changes", metavar="N", type=float, default=10.0, help="a second")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(soak(options, Path(folder)))


async def soak(options: argparse.Namespace, folder: Path) -> int:
    """Gives the exit code: 0 when nothing was wrong."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # connections break, it is meant
    dice = random.Random(options.seed)
    world = World(dice, options.services)
    async with ApiServer(world.objects(), history=HISTORY) as api:
        world.follow_with(api)
        (folder / "Corefile").write_text(COREFILE.format(url=api.url))
        words = ("-m", "clusterdns", "-conf", folder / "Corefile")
        async with running(*words, program=sys.executable) as server:
            at = await server.listening()
            await server.line("dig ")  # told once everything is served
            troubles = Troubles(api, random.Random(dice.random()))
            watcher = Watcher(world, troubles, at, random.Random(dice.random()))
            memory = Memory(server.process.pid)
            stopping = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(memory.serve(stopping))
                tasks.create_task(watcher.serve(stopping))
                tasks.create_task(troubles.serve(stopping))
                tasks.create_task(change(world, options.changes, stopping))
                await asyncio.sleep(options.minutes * 60)
                stopping.set()
            await asyncio.sleep(troubles.left_s())
            last_s = await watcher.everything(AT_THE_END_S)
            server.send(signal.SIGTERM)
            code = await server.exit_code()
    for line in troubles.told:
        print(line)
    print(f"{world.changes} changes, {len(troubles.told)} troubles")
    print(
        f"answers: {watcher.right} right, {watcher.in_trouble} of them in trouble; "
        f"{watcher.unsettled} of what had changed less than {SETTLE_S:g} s before; "
        f"{watcher.wrong_count} wrong"
    )
    print(f"all of the zone was right {last_s:.1f} s after the last trouble")
    print(
        f"memory: {memory.mb[0]:.1f} MB at the start, {max(memory.mb):.1f} MB at most, "
        f"{memory.mb[-1]:.1f} MB at the end; growth {memory.growth_mb:+.1f} MB"
    )
    faults = list(judge(options, watcher, memory, server, code))
    if faults:
        print(f"the server said:\n{server.text[-MOST_LOG:]}")
    print("\n".join(faults) or "nothing was wrong")
    return 1 if faults else 0


def judge(
    options: argparse.Namespace, watcher: Watcher, memory: Memory, server: Process, code: int
) -> list[str]:
    """What must not be."""
    faults = list(watcher.wrong)
    if watcher.right < LEAST_RIGHT * options.minutes:
        faults.append("too few answers could be judged")
    if memory.growth_mb > MOST_GROWTH_MB:
        faults.append(f"memory grew by {memory.growth_mb:.1f} MB")
    if "Traceback" in server.text:
        faults.append("an exception is in the log")
    if code:
        faults.append(f"the server ended with {code}")
    return faults


async def change(world: World, rate: float, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        world.change()
        await asyncio.sleep(1 / rate)


if __name__ == "__main__":
    sys.exit(main())
