"""Standard input and pipes: they can be read only once, whoever wants to know what was in them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

from clusterdns.cluster.manifest_files import STANDARD_INPUT

STANDARD_INPUT_FD = 0

Ended = Callable[[str, bytes, str], None]  # path, all that was in it, why there is no more or ""


class Streams:
    """Reads each stream to its end for everybody who asks before that.

    Nothing is kept: who asks later gets what is left, which is nothing.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[Ended]] = {}

    def read(self, path: str, ended: Ended) -> None:
        """Calls `ended` in the loop at the end of the stream, and does not hold the loop.

        The thread is a daemon: whoever writes into the pipe may never end, and must not keep us
        alive.
        """
        waiting = self._waiting.setdefault(path, [])
        waiting.append(ended)
        if len(waiting) == 1:
            read = (asyncio.get_running_loop(), path)
            threading.Thread(
                target=self._read, args=read, name=f"reads {path}", daemon=True
            ).start()

    def _read(self, loop: asyncio.AbstractEventLoop, path: str) -> None:
        octets, error = b"", ""
        try:
            named = path != STANDARD_INPUT
            with open(path if named else STANDARD_INPUT_FD, "rb", closefd=named) as pipe:
                octets = pipe.read()
        except OSError as failure:
            error = failure.strerror or str(failure)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._tell, path, octets, error)

    def _tell(self, path: str, octets: bytes, error: str) -> None:
        for ended in self._waiting.pop(path):
            ended(path, octets, error)
