"""`auto`: its options, and zones that come, change and go with their files."""

from pathlib import Path

import pytest

from clusterdns.plugins.auto import Auto
from clusterdns.plugins.query import Reply
from clusterdns.server.block import Block
from clusterdns.wire.question import Question
from tests.beside import beside, until
from tests.plugins.asking import Next, Told, fault, parsed, query, texts
from tests.plugins.zonefile import write


def auto(text: str, told: Told | None = None) -> Auto:
    found = parsed(text, (told or Told()).setup())
    assert isinstance(found, Auto)
    return found


async def ask(plugin: Auto, name: str) -> list[str]:
    """The answer section; ["next"] if the next directive was asked, else the rcode if not 0."""
    behind = Next(Reply())
    reply = await plugin.resolve(query(name), behind)
    assert reply is not None
    if behind.asked:
        return ["next"]
    return texts(reply.answer) or [str(reply.rcode)]


A1 = "300 IN A 10.0.0.1"


@pytest.mark.parametrize(
    ("words", "files", "zones"),
    [
        ("", ["db.example.org", "example.net", "readme.db"], ["example.org."]),
        ("", ["db.Example.ORG"], ["example.org."]),
        ("", ["deeper/db.example.org"], ["example.org."]),
        ("", ["..2026/db.example.org"], []),
        (r"(.*)\.db {1}", ["example.org.db", "b.example.db"], ["example.org.", "b.example."]),
        (r"(.*)\.db ${1}", ["example.org.db"], ["example.org."]),
        (r"(\w+)_(\w+) {2}.{1}", ["org_example"], ["example.org."]),
        (r"(.*)\.db $1.$$1", ["example.db"], ["example.$1."]),
        (r"(.*)\.db $${1}", ["example.db"], ["$example."]),
        (r"(?P<zone>.*)\.zone {zone}", ["example.org.zone"], ["example.org."]),
        (r"db\.(.*) {1}.internal", ["db.a"], ["a.internal."]),
    ],
)
async def test_zones(words: str, files: list[str], zones: list[str], tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        write(tmp_path / file)
    plugin = auto(f"auto {{\n directory {tmp_path} {words}\n}}")
    for zone in zones:
        assert await ask(plugin, f"a.{zone}") == [f"a.{zone} {A1}"]
        assert await ask(plugin, f"b.{zone}") == ["3"]
    for other in {"example.org.", "example.net.", "b.example."} - set(zones):
        assert await ask(plugin, other) == ["next"]


async def test_names_outside_of_the_origins(tmp_path: Path) -> None:
    for zone in ("example.org", "example.net"):
        write(tmp_path / f"db.{zone}")
    plugin = auto(f"auto org {{\n directory {tmp_path}\n}}")
    assert await ask(plugin, "a.example.org.") == [f"a.example.org. {A1}"]
    assert await ask(plugin, "a.example.net.") == ["next"]


async def test_zones_come_change_and_go(tmp_path: Path) -> None:
    told = Told()
    plugin = auto(f"auto {{\n directory {tmp_path}\n reload 10ms\n}}", told)

    async def until_forgotten() -> None:
        await until(lambda: told.forgotten)
        told.forgotten.clear()

    async with beside(plugin.serve):
        assert await ask(plugin, "a.example.org.") == ["next"]
        write(tmp_path / "db.example.org")
        await until_forgotten()
        assert await ask(plugin, "a.example.org.") == [f"a.example.org. {A1}"]
        write(tmp_path / "db.example.org", 2)
        await until_forgotten()
        assert await ask(plugin, "a.example.org.") == ["a.example.org. 300 IN A 10.0.0.2"]
        (tmp_path / "db.example.org").unlink()
        await until_forgotten()
        assert await ask(plugin, "a.example.org.") == ["next"]


async def test_what_is_passed_on_rests_on_the_folder(tmp_path: Path) -> None:
    plugin = auto(f"auto {{\n directory {tmp_path}\n}}")
    reply = await plugin.resolve(query("a.example.org."), Next(Reply(until=9.0)))
    assert reply is not None
    assert reply.keys == {("zone files", str(tmp_path))}
    assert reply.until == 9.0


async def test_a_broken_file_is_no_zone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "db.example.org", more="bad A x\n")
    plugin = auto(f"auto {{\n directory {tmp_path}\n}}")
    assert f"{tmp_path}/db.example.org:6: " in caplog.text
    assert await ask(plugin, "a.example.org.") == ["next"]


@pytest.mark.parametrize(("folder", "number"), [("b", 2), ("e", 1)])
async def test_two_files_of_one_zone(
    folder: str, number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first by name has it, folders and files alike."""
    (tmp_path / folder).mkdir()
    write(tmp_path / "db.example.org")
    write(tmp_path / folder / "db.example.org", 2)
    plugin = auto(f"auto {{\n directory {tmp_path}\n}}")
    assert "is of example.org. too, which" in caplog.text
    assert await ask(plugin, "a.example.org.") == [f"a.example.org. 300 IN A 10.0.0.{number}"]


@pytest.mark.parametrize("text", ["auto", "auto {\n reload 5s\n}"])
async def test_no_directory(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the process runs in, as with CoreDNS."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "db.example.org")
    told = Told()
    setup = told.setup()
    plugin = parsed(text, setup)
    assert isinstance(plugin, Auto)
    assert await ask(plugin, "a.example.org.") == [f"a.example.org. {A1}"]
    assert [str(each) for each in setup.warnings if f"it is {tmp_path}," in str(each)]


async def test_no_directory_in_the_folder_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a container's processes run: not all of its files are gone through."""
    monkeypatch.chdir("/")
    setup = Told().setup()
    plugin = parsed("auto", setup)
    assert isinstance(plugin, Auto)
    assert await ask(plugin, "a.example.org.") == ["next"]
    assert [each for each in setup.warnings if "serves nothing" in str(each)]


def test_no_such_folder(caplog: pytest.LogCaptureFixture) -> None:
    auto("auto {\n directory /nowhere/at/all\n}")
    assert "Directory does not exist: /nowhere/at/all" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto {\n directory\n}", "2:2: directory takes at least 1 argument, not 0"),
        ("auto {\n directory /etc (\n}", "2:17: '(' is no regular expression: "),
        ("auto {\n directory /etc db {1}\n}", "2:17: 'db' has no (group) for the zone"),
        ("auto {\n directory /etc (.*)\n}", "2:17: behind the pattern stands the zone, as in {1}"),
        ("auto {\n directory /etc (.*) {1} x\n}", "2:26: directory takes at most 3 arguments"),
        ("auto {\n reload\n}", "2:2: reload takes at least 1 argument, not 0"),
        ("auto {\n reload -1s\n}", "2:9: -1s is no duration of 0s and up"),
        ("auto {\n no_reload\n}", "2:2: property 'no_reload' of auto is no part of CoreDNS any"),
        ("auto\nauto", "2:1: auto can only be used once per server block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


async def test_metrics_know_its_zones(tmp_path: Path) -> None:
    """CoreDNS has them among the server block's; the longest one counts."""
    write(tmp_path / "db.example.org")
    plugin = auto(f"auto {{\n directory {tmp_path}\n}}")
    block = Block([".", "a.example.org."], [plugin])
    for name, zone, expected in (
        ("www.Example.org.", ".", "example.org."),
        ("example.net.", ".", "."),
        ("b.a.example.org.", "a.example.org.", "a.example.org."),
    ):
        assert block.counted_as(Question.of(name, 1), zone) == expected
    (tmp_path / "db.example.org").unlink()
    plugin.scan()
    assert block.counted_as(Question.of("www.example.org.", 1), ".") == "."
