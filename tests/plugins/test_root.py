from pathlib import Path

import pytest

from clusterdns.corefile.parser import parse
from clusterdns.plugins.hosts import Hosts
from clusterdns.plugins.order import build
from tests.plugins.asking import fault, new_setup, parsed


def test_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    setup = new_setup()
    parsed(f"root {tmp_path}", setup)
    assert setup.root == str(tmp_path)
    assert caplog.messages == []


def test_a_folder_that_may_come(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    setup = new_setup()
    parsed(f"root {tmp_path}/a", setup)
    assert setup.root == f"{tmp_path}/a"
    assert caplog.messages == [f"Root path does not exist: {tmp_path}/a"]


def test_the_last_counts(tmp_path: Path) -> None:
    setup = new_setup()
    parsed(f"root /nowhere\nroot {tmp_path}", setup)
    assert setup.root == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("root", "1:1: root takes 1 argument, not 0"),
        ("root a b", "1:8: root takes at most 1 argument"),
        ("root {\n x\n}", "1:1: root takes 1 argument, not 0"),
        ("root / {\n x\n}", "1:1: root takes no block"),
        ("root C:/file\0name", "1:6: cannot look at 'C:/file\\x00name': it holds a NUL character"),
        ("root /dev/null/x", "1:6: cannot look at '/dev/null/x': Not a directory"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_others_start_from_it_wherever_it_stands(tmp_path: Path) -> None:
    (block,) = parse(f". {{\n hosts a\n root {tmp_path}\n}}", "Corefile").blocks
    (hosts,) = [each for each in build(block, new_setup()) if isinstance(each, Hosts)]
    assert hosts.settings.path == tmp_path / "a"
