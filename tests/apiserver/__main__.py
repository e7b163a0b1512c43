"""`python -m tests.apiserver --objects FILE --port N`: the simulated API server as a process."""

import argparse
import asyncio
import signal
from pathlib import Path

import msgspec

from tests.apiserver.server import ApiServer
from tests.apiserver.store import Json


def main() -> None:
    """Serves the objects of the files until SIGINT or SIGTERM; prints the URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.apiserver", description=__doc__)
    parser.add_argument(
        "--objects",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="JSON: an API object, a List, or an array of objects; may be given again",
    )
    parser.add_argument("--port", metavar="N", type=int, default=0, help="0: any free one")
    parser.add_argument(
        "--no-streaming-lists", action="store_true", help="answer 422 to sendInitialEvents"
    )
    options = parser.parse_args()
    objects = [obj for path in options.objects for obj in _objects(path)]
    asyncio.run(_serve(objects, options.port, streaming_lists=not options.no_streaming_lists))


async def _serve(objects: list[Json], port: int, *, streaming_lists: bool) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with ApiServer(objects, port=port, streaming_lists=streaming_lists) as api:
        print(api.url, flush=True)
        await stopping.wait()


def _objects(path: Path) -> list[Json]:
    document = msgspec.json.decode(path.read_bytes(), type=list[Json] | Json)
    if isinstance(document, list):
        return document
    found: list[Json] = document.get("items", [document])
    return found


if __name__ == "__main__":
    main()
