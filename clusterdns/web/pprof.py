"""The pages of `pprof`: what the interpreter knows of itself, and what tasks and threads do."""

import asyncio
import gc
import platform
import resource
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from io import StringIO

from aiohttp import web

from clusterdns import __version__
from clusterdns.web.app import TIMEOUT_S, serve, text

INDEX = "/debug/pprof/"


async def serve_pprof(
    sock: socket.socket, stopping: asyncio.Event, timeout_s: float = TIMEOUT_S
) -> None:
    """Serves the pages below /debug/pprof/ until `stopping` is set; closes the socket."""
    pages = {
        INDEX: _index,
        INDEX + "cmdline": _command_line,
        INDEX + "gc": _collector,
        INDEX + "tasks": _tasks,
        INDEX + "threads": _threads,
    }
    await serve(sock, pages, stopping, timeout_s)


async def _index(request: web.BaseRequest) -> web.Response:
    lines = [f"{name:<16}{figure}" for name, figure in _figures()]
    lines += ["", *(INDEX + page for page in ("cmdline", "gc", "tasks", "threads"))]
    return text("\n".join(lines) + "\n")


def _figures() -> Iterator[tuple[str, object]]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "clusterdns", __version__
    yield "python", platform.python_version()
    yield "cpu user", f"{used.ru_utime:.3f} s"
    yield "cpu system", f"{used.ru_stime:.3f} s"
    yield "cpu now", f"{time.process_time():.3f} s"
    yield "largest memory", f"{used.ru_maxrss} KiB"
    yield "switches", f"{used.ru_nvcsw} voluntary, {used.ru_nivcsw} not"
    yield "page faults", f"{used.ru_minflt} minor, {used.ru_majflt} major"
    yield "tasks", len(asyncio.all_tasks())
    yield "threads", threading.active_count()
    yield "gc counts", ", ".join(map(str, gc.get_count()))
    yield "gc frozen", gc.get_freeze_count()


async def _command_line(request: web.BaseRequest) -> web.Response:
    return text("\0".join(sys.orig_argv))


async def _collector(request: web.BaseRequest) -> web.Response:
    """What the garbage collector has done, by generation."""
    lines = [
        f"generation {number}: " + ", ".join(f"{each} {count}" for each, count in stats.items())
        for number, stats in enumerate(gc.get_stats())
    ]
    return text("\n".join(lines) + "\n")


async def _tasks(request: web.BaseRequest) -> web.Response:
    """Each task with the stack where it waits."""
    found = StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=found)
        found.write("\n")
    return text(found.getvalue())


async def _threads(request: web.BaseRequest) -> web.Response:
    """Each thread with its stack."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        stack = "".join(traceback.format_stack(frame))
        parts.append(f"Thread {names.get(ident, ident)}:\n{stack}")
    return text("\n".join(parts))
