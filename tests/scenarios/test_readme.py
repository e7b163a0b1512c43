"""The commands that people type first: `make run`, the `dig` lines it prints, those in the README."""

import os
import re
import shlex
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.scenarios.asking import At, becomes, get, needs_dig, run_dig
from tests.scenarios.processes import BIN, ROOT, Process, running
from tests.scenarios.servers import started

MAKE = shutil.which("make")
EXAMPLES = ROOT / "examples"
DIG = re.compile(r"dig @127\.0\.0\.1 -p 1053 (.+?)(?: {2,}(.*))?$", re.MULTILINE)

needs_make = pytest.mark.skipif(MAKE is None, reason="make is not here: apt install make")


@asynccontextmanager
async def make_run() -> AsyncIterator[Process]:
    """`make run`, in this environment instead of .venv: nothing is installed."""
    assert MAKE is not None, "a test that makes is marked needs_make"
    words = ("-C", ROOT, "-o", ".venv/installed", f"BIN={BIN}", "run")
    async with running(*words, program=MAKE, new_group=True) as process:
        yield process
        if process.process.returncode is None:
            os.killpg(process.process.pid, signal.SIGKILL)


@needs_make
@needs_dig
async def test_make_run_prints_questions_that_it_answers() -> None:
    async with make_run() as process:
        lines = await process.lines_with("dig @", 4)
        for line in lines:
            program, *words = shlex.split(line)
            assert program == "dig"
            at = At(words[0].removeprefix("@"), int(words[2]))
            assert "status: NOERROR" in await run_dig(at, *words[3:])
            assert await run_dig(at, "+short", *words[3:])
            assert await run_dig(at, "+short", "+tcp", *words[3:])


@needs_make
async def test_ctrl_c_ends_make_run() -> None:
    """The terminal tells make and the server: both end, without a traceback."""
    async with make_run() as process:
        await process.lines_with("dig @", 4)
        os.killpg(process.process.pid, signal.SIGINT)
        await process.exit_code()
        assert "SIGINT: Shutting down" in process.text
        assert "Traceback" not in process.text


@needs_dig
async def test_questions_in_the_examples(tmp_path: Path) -> None:
    """Each file says what to ask; where it names an address or a name, that is the answer."""
    corefile = (EXAMPLES / "Corefile").read_text()
    corefile = re.sub(r"127\.0\.0\.1:\d+|\b1053\b", lambda found: anywhere(found[0]), corefile)
    async with started(tmp_path, EXAMPLES, corefile=corefile) as server:
        await server.synced()
        asked = 0
        for file in sorted(EXAMPLES.glob("*.yaml")):
            for words, said in DIG.findall(file.read_text()):
                found = await run_dig(server.at, "+short", *words.split())
                assert found, f"{file.name}: dig {words}"
                for told in re.findall(r"\d+\.\d+\.\d+\.\d+|[a-z.]+\.$", said):
                    assert told in found, f"{file.name}: dig {words}"
                asked += 1
        assert asked >= 10
        assert (await get(server.ready, "/ready"))[0] == 200


@needs_dig
async def test_the_second_pod_of_the_examples(tmp_path: Path) -> None:
    """The marks are taken off the last document of coffee-pods.yaml."""
    folder = Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))
    corefile = ".:0 {\n    bind 127.0.0.1\n    kubernetes cluster.local\n}\n"
    name, first, second = "coffee-pods.shop.svc.cluster.local", "10.244.1.11", "10.244.2.12"
    async with started(tmp_path, folder, corefile=corefile) as server:
        await server.synced()

        async def now() -> str:
            return " ".join(sorted((await run_dig(server.at, "+short", name)).split()))

        assert await now() == first
        text = (folder / "coffee-pods.yaml").read_text()
        (folder / "coffee-pods.yaml").write_text(
            re.sub(r"^# (?=---|  |\w+:)", "", text, flags=re.M)
        )
        await becomes(f"{first} {second}", now)


def test_the_readme_shows_targets_that_exist() -> None:
    shown = set(re.findall(r"^\$? ?make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    made = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test"} <= shown <= made


def anywhere(place: str) -> str:
    """The same place with any free port."""
    return "127.0.0.1:0" if ":" in place else "0"
