"""Patterns on a real file system; the rules are those of Go's filepath.Glob."""

import os
from pathlib import Path

import pytest

from clusterdns.corefile.files import matching, no_files, read_files


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in ("a.conf", "b.conf", ".hidden.conf", "a*b", "d/a.conf", "e/a.conf", "e/b"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATTERNS = {
    "a.conf": ["a.conf"],
    "none": [],
    "*.conf": [".hidden.conf", "a.conf", "b.conf"],
    "?.conf": ["a.conf", "b.conf"],
    "*/a.conf": ["d/a.conf", "e/a.conf"],
    "?/?": ["e/b"],
    "none/*": [],
    "a.conf/*": [],
    "a\\*b": ["a*b"],
    "d": ["d"],
    "x\0*": [],
    "\0": [],
    "x\0/*": [],
    "*\n": [],
}


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS.items())
def test_matching(tree: Path, pattern: str, expected: list[str]) -> None:
    assert matching(pattern) == expected
    assert matching(f"{tree}/{pattern}") == [f"{tree}/{path}" for path in expected]


def test_a_link_that_leads_nowhere_is_found_and_cannot_be_read(tree: Path) -> None:
    os.symlink("nowhere", tree / "link")
    with pytest.raises(FileNotFoundError):
        read_files("link")


def test_a_directory_that_matches_cannot_be_read(tree: Path) -> None:
    """As with `..data` in a mounted ConfigMap, when the pattern is `custom/*`."""
    with pytest.raises(IsADirectoryError) as raised:
        read_files("*")
    assert raised.value.filename == "d"


def test_octets_that_are_no_utf_8(tree: Path) -> None:
    (tree / "x").write_bytes(b"a\xff\r\nb")
    assert read_files("x") == [("x", "a\ufffd\r\nb")]


def test_no_files() -> None:
    assert no_files("*") == ()
