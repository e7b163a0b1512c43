"""The commands that people type first: `make run`, and the `dig` lines that it and README show."""

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
    async with started(tmp_path, EXAMPLES, corefile=examples_corefile()) as server:
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


@needs_dig
async def test_the_readme_shows_what_dig_prints(tmp_path: Path) -> None:
    """Each line below a `$ dig` in the README is in what dig prints, white space apart."""
    readme = (ROOT / "README.md").read_text()
    async with started(tmp_path, EXAMPLES, corefile=examples_corefile()) as server:
        await server.synced()
        for words, shown in re.findall(
            r"^\$ dig @127\.0\.0\.1 -p 1053 (.+)\n((?:(?!\$ |```).+\n)*)", readme, re.MULTILINE
        ):
            printed = [
                line.split() for line in (await run_dig(server.at, *words.split())).splitlines()
            ]
            for line in filter(None, map(str.split, shown.splitlines())):
                assert line in printed, f"dig {words}"


def examples_corefile() -> str:
    """That of the examples, with free ports."""
    text = (EXAMPLES / "Corefile").read_text()
    return text.replace(".:1053", ".:0").replace(":8080", ":0").replace(":8181", ":0")
