"""clusterdns as a process: started, listened to, told to end."""

import asyncio
import os
import signal
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.scenarios.asking import At

LIMIT_S = 20.0  # for anything that a process is waited for; only a broken one takes so long
ROOT = Path(__file__).parents[2]
BIN = Path(sysconfig.get_path("scripts"))
CLUSTERDNS = str(BIN / "clusterdns")


class Process:
    """A process and what it has printed, standard error with it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def line(self, part: str) -> str:
        """The first line with this text in it, waited for."""
        return (await self.lines_with(part, 1))[0]

    async def lines_with(self, part: str, count: int) -> list[str]:
        """So many lines with this text in them, waited for."""

        def found() -> list[str]:
            return [line for line in self.lines if part in line]

        try:
            async with asyncio.timeout(LIMIT_S), self._news:
                await self._news.wait_for(lambda: len(found()) >= count or self._reading.done())
        except TimeoutError:
            pass
        assert len(found()) >= count, f"not {count} lines with {part!r} but:\n{self.text}"
        return found()

    async def write(self, text: str) -> None:
        """Gives it this on standard input, which has to be a pipe."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        await self.process.stdin.drain()

    async def close_input(self) -> None:
        """Ends its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.stdin.wait_closed()

    def send(self, number: signal.Signals) -> None:
        """To whoever has not been seen to end.

        Not by `send_signal`: before Python 3.13 that asks whether the process has ended, which
        nobody can ask twice, and whoever waits for it is told 255 (python/cpython#87744).
        """
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    async def listening(self) -> At:
        """Where its first server block listens, as it says at start."""
        line = await self.line(" on 127.0.0.1")
        return At("127.0.0.1", int(line.removesuffix(" on 127.0.0.1").rpartition(":")[2]))

    async def exit_code(self) -> int:
        """How it ended, waited for."""
        async with asyncio.timeout(LIMIT_S):
            await self._reading
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            async with self._news:
                self._news.notify_all()

    async def end(self) -> None:
        """Kills it if it runs, and lets go of it."""
        self.send(signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.exit_code()


@asynccontextmanager
async def running(
    *words: str | Path,
    program: str | Path = CLUSTERDNS,
    stdin: int = subprocess.DEVNULL,
    cwd: Path | None = None,
    new_group: bool = False,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Process]:
    """`clusterdns WORDS...`; killed afterwards if it still runs.

    environ: variables beside those that this process has.
    """
    process = Process(
        await asyncio.create_subprocess_exec(
            program,
            *words,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=new_group,
            env={**os.environ, **environ} if environ else None,
        )
    )
    try:
        yield process
    finally:
        await process.end()


def ended(
    *words: str, stdin: str = "", program: tuple[str, ...] = (CLUSTERDNS,), cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`clusterdns WORDS...` that ends by itself, and all that it said."""
    return subprocess.run(
        [*program, *words], input=stdin, capture_output=True, text=True, timeout=LIMIT_S, cwd=cwd
    )
