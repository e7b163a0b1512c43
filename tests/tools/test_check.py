"""`clusterdns check`: every fault of a Corefile, in the order of the file, and its warnings."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import ifaddr  # noqa: F401  # at its import it runs ldconfig, which is not to be seen below
import pytest

from clusterdns.errors import ConfigError
from clusterdns.tools.check import Report, check_corefile
from tests.certificates import make, make_ca, needs_openssl
from tests.plugins.test_docs import examples

GOOD = """\
.:1053 {
    errors
    health
    kubernetes cluster.local in-addr.arpa
}
"""

FAULTS: dict[str, tuple[str, str]] = {
    # a Corefile, and the places of its faults with a word of each
    "none": (GOOD, ""),
    "a word that is no directive": (".:1053 {\n    erors\n}\n", "2:5 errors"),
    "two in a directive, one behind": (
        ".:1053 {\n    kubernetes c.local {\n        ttl x\n        pods no\n    }\n    who\n}\n",
        "3:13 x\n4:14 no\n6:5 who",
    ),
    "in two blocks": (
        "a.local {\n    health x:y:z\n}\nb.local {\n    ready\n    ready\n}\n",
        "2:12 x:y:z\n6:5 once",
    ),
    "in a key, and behind it": ("a.local:99999 {\n    nothing\n}\n", "1:1 99999\n2:5 nothing"),
    "a zone that a faulty block has": (
        "a.local {\n    nothing\n}\na.local {\n    whoami\n}\n",
        "2:5 nothing\n4:1 already defined",
    ),
    "a zone of a faulty block that binds": (
        "a.local {\n    bind 127.0.0.1\n    nothing\n}\na.local {\n    bind ::1\n    whoami\n}\n",
        "3:5 nothing",
    ),
}


@pytest.mark.parametrize(("text", "faults"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path: Path, text: str, faults: str) -> None:
    path = tmp_path / "Corefile"
    path.write_text(text)
    found = check_corefile(str(path), 53).errors
    expected = [line.split(" ", 1) for line in faults.splitlines()]
    assert [line.split(": ")[0] for line in found] == [f"{path}:{place}" for place, _ in expected]
    for line, (_, word) in zip(found, expected, strict=True):
        assert word in line


def test_the_default_port_counts(tmp_path: Path) -> None:
    """Two keys are the same, or not, depending on -dns.port."""
    path = tmp_path / "Corefile"
    path.write_text("a.local {\n    whoami\n}\na.local:1053 {\n    whoami\n}\n")
    assert check_corefile(str(path), 53).errors == []
    assert len(check_corefile(str(path), 1053).errors) == 1


def test_warnings_do_not_make_it_unusable(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(GOOD.replace("    errors\n", "    errors\n    any\n    any x\n"))
    warnings, errors = check_corefile(str(path), 53)
    assert errors == []
    assert [line.split(": ")[0] for line in warnings] == [f"{path}:4:5"]


@pytest.mark.parametrize("word", ["-", "stdin"])
def test_standard_input_with_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """What it imports is checked with it, and named by its own file."""
    (tmp_path / "more").write_text("errors\nnothing\n")
    text = f".:1053 {{\n    import {tmp_path}/more\n    whoami x\n}}\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    places = {line.split(": ")[0] for line in check_corefile(word, 53).errors}
    assert places == {f"{tmp_path}/more:2:1", "stdin:3:12"}


def test_the_examples_corefile() -> None:
    path = Path(__file__).parents[2] / "examples" / "Corefile"
    assert check_corefile(str(path), 53) == Report([], [])


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the Corefile"):
        check_corefile(str(tmp_path / "none"), 53)


WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EFFECTS = ("socket.", "subprocess.", "os.", "shutil.", "tempfile.")
HARMLESS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "socket.gethostname"}
HARMLESS |= {"os.putenv", "os.unsetenv"}  # pytest tells the name of each test so


class Watch:
    """Notes what this process does to the world while it is on. Such a hook stays for ever."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, what: tuple[object, ...]) -> None:
        if not self.on or event in HARMLESS:
            return
        writes = event == "open" and isinstance(what[2], int) and what[2] & WRITES
        if writes or event.startswith(EFFECTS):
            self.seen.append(f"{event} {what}")


WATCH = Watch()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is done to the world in a test."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    WATCH.seen.clear()
    WATCH.on = True
    yield WATCH.seen
    WATCH.on = False


ASKING = """\
tls://example.org:%(port)d .:1053 {
    root %(folder)s
    bind 127.0.0.1
    tls tls.crt tls.key {
        keylog secrets
    }
    health 127.0.0.1:0
    ready 127.0.0.1:0
    prometheus 127.0.0.1:0
    pprof 127.0.0.1:0
    nsid
    chaos
    loop
    reload
    cache
    kubernetes cluster.local {
        endpoint http://127.0.0.1:1
    }
    hosts missing
    file db.example.org example.org
    auto {
        directory %(folder)s
    }
    forward . upstream.example.org:53 tls://dns.example.net {
        resolver 192.0.2.1
    }
    forward example.net ns.example.net
}
"""


@needs_openssl
def test_no_side_effects(tmp_path: Path, seen: list[str]) -> None:
    WATCH.on = False
    make_ca(tmp_path)
    make(tmp_path, "tls")
    (tmp_path / "Corefile").write_text(ASKING % {"port": 853, "folder": tmp_path})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    WATCH.on = True
    found = check_corefile(str(tmp_path / "Corefile"), 53)
    assert [line.partition(": ")[2] for line in found.errors] == []
    assert seen == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("name", "text"), examples())
def test_examples_have_no_side_effects(
    name: str, text: str, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    check_corefile("-", 53)
    assert seen == []
