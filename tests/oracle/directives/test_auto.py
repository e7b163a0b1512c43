"""`auto` beside CoreDNS: which files are zones of which names, as they come, change and go."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.answers import Answer
from tests.oracle.asking import Question
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import Rules, as_asked, compare, in_lower_case, own_opt, recursive, sides

pytestmark = needs_coredns

ZONE = """@ 60 IN SOA ns1 host ( {serial} 7200 3600 1209600 60 )
@ 60 IN NS ns1.test.
@ 60 IN TXT "{text}"
www 60 IN TXT "{text}"
"""


@dataclass
class Case:
    """What stands behind `auto` and `directory DIR`, and the files; @z is the zone of the case.

    links: names of symbolic links, and what they lead to.
    """

    files: tuple[str, ...]
    pattern: str = ""
    origins: str = ""
    links: tuple[tuple[str, str], ...] = ()
    behind: str = "forward . @0"


CASES = {
    "the usual name": Case(("db.@z", "db.sub.@z", "db.other.@z.swp", "@z", "xdb.x.@z", "db.")),
    "letter case of the pattern": Case(("DB.low.@z",)),
    "a folder below": Case(("below/db.a.@z", "below/more/db.b.@z", ".hidden/db.c.@z")),
    "one zone twice": Case(("b/db.@z", "c/db.@z")),
    "above and below": Case(("a/db.@z", "db.@z", "e/db.@z", "z/db.x.@z", "db.x.@z")),
    "a folder named like a file": Case(("db.a.@z/db.b.@z", "db.c.@z")),
    "links": Case(
        ("real/one", "real/db.two.@z"),
        links=(("db.one.@z", "real/one"), ("db.three.@z", "real"), ("db.four.@z", "nothing")),
    ),
    "a mounted ConfigMap": Case(
        ("..2024/db.@z", "..2024/db.x.@z"),
        links=(
            ("..data", "..2024"),
            ("db.@z", "..data/db.@z"),
            ("db.x.@z", "..data/db.x.@z"),
        ),
    ),
    "another pattern": Case(("a.@z.zone", "b.@z.zone.old", "db.c.@z"), r"(.*)\.zone {1}"),
    "an anchored one": Case(("a.@z.zone", "b.@z.zone.old"), r"^(.*)\.zone$ {1}"),
    "more around it": Case(("a.zone", "b.c.zone"), r"^(.*)\.zone$ {1}.@z"),
    "two groups": Case(("a-b.zone", "c-d.zone"), r"^(.*)-(.*)\.zone$ {2}.{1}.@z"),
    "a named group": Case(("a.zone",), r"^(?P<it>.*)\.zone$ {it}.@z"),
    "dollars": Case(("a.zone", "b.zone"), r"^(.*)\.zone$ $1.@z"),
    "dollars and a brace": Case(("a.zone", "b.zone"), r"^(.*)\.zone$ $${1}.@z"),
    "two dollars": Case(("a.zone",), r"^(.*)\.zone$ $$1.@z"),
    "a name that goes on": Case(("a.zone",), r"^(.*)\.zone$ $1x.@z"),
    "a group that is none": Case(("a.zone",), r"^(.*)\.zone$ {7}x.@z"),
    "all of it": Case(("a.@z",), r"^(.*)$ {0}"),
    "a brace too many": Case(("a.zone",), r"^(.*)\.zone$ {1.@z"),
    "a group that took no part": Case(("a.zone", "b.old"), r"^(.*)\.(?:zone|(old))$ {1}{2}.@z"),
    "no letters of a zone": Case(("a.zone",), r"^(.*)\.zone$ @z"),
    "a final dot": Case(("a.@z.zone", "b.@z..zone"), r"^(.*)\.zone$ {1}."),
    "one origin": Case(("db.a.@z", "db.b.@z", "db.c.a.@z", "db.@z"), origins="a.@z"),
    "two origins": Case(("db.a.@z", "db.b.@z", "db.c.@z"), origins="a.@z b.@z"),
    "an origin in upper case": Case(("db.a.@z",), origins="A.@z"),
    "the root": Case(("db.a.@z", "db.@z"), origins="."),
    "nothing behind": Case(("db.a.@z",), behind=""),
    "odd names": Case(("db.-.@z", "db._x.@z", "db.*.@z", "db.ä.@z")),
    "too long": Case(("db." + "a" * 64 + ".@z", "db." + "a" * 63 + ".@z")),
}  # but for upper case in names of files: CoreDNS finds such a zone, and no record in it (D4)
LABELS = (
    *("", "a", "b", "c", "x", "low", "one", "two", "three", "four", "sub", "b.a", "c.a"),
    *("d.c", "$1", "$a", "x.a", "-", "_x", r"a\.b", "a" * 63, "b.c", "bold"),
)


def write(folder: Path, name: str, serial: int = 1, text: str = "") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ZONE.format(serial=serial, text=text or name.replace("\\", "-")))


def corefile(folder: Path) -> str:
    blocks = []
    for number, case in enumerate(CASES.values()):
        zone, below = f"z{number}.test", folder / f"z{number}"
        below.mkdir()
        for name in case.files:
            write(below, name.replace("@z", zone))
        for name, target in case.links:
            os.symlink(target.replace("@z", zone), below / name.replace("@z", zone))
        pattern, origins = (each.replace("@z", zone) for each in (case.pattern, case.origins))
        blocks.append(
            f"{zone} {{\n bind 127.0.0.1\n auto {origins} {{\n directory {below} {pattern}\n }}\n"
            f" {case.behind}\n}}\n"
        )
    return "".join(blocks)


def questions() -> list[Question]:
    found = []
    for number in range(len(CASES)):
        for label in LABELS:
            name = f"{label}.z{number}.test.".removeprefix(".")
            found += [Question(name, qtype) for qtype in (16, 6, 2, 1)]
            found += [Question(f"www.{name}", 16), Question(f"nope.{name}", 16)]
            found.append(Question(name.upper(), 16))
    return found


def available(question: Question, raw: Answer) -> Answer:
    """D33: where there is a `forward`."""
    forwards = list(CASES.values())[zone_of(question)].behind
    return recursive(question, raw) if forwards else raw


def zone_of(question: Question) -> int:
    """The number of the case."""
    return int(question.name.lower().removesuffix(".test.").rpartition(".")[2][1:])


EXPECTED: Rules = {"D5": own_opt, "D11": as_asked, "D33": available, "D4": in_lower_case}


async def test_which_files(tmp_path: Path, met: Counter[str]) -> None:
    async with sides(corefile(tmp_path), tmp_path, [ANSWERS]) as pair:
        await compare(pair, questions(), EXPECTED, met, ours_as=in_lower_case)


# Zones and what becomes of their files: (serial, what they say), a text that is no zone, or None
Said = tuple[int, str] | str | None
STAYS, GONE = (1, "stays"), None
CHANGES: dict[str, tuple[Said, Said, Said]] = {
    "stays": (STAYS, STAYS, STAYS),
    "comes": (None, (1, "came"), (2, "came again")),
    "changes": ((1, "one"), (2, "two"), (3, "three")),
    "back": ((7, "seven"), (2, "two"), (1, "one")),
    "serial": ((1, "one"), (1, "two"), (2, "three")),
    "goes": ((1, "one"), GONE, GONE),
    "returns": ((1, "one"), GONE, (1, "one again")),
    "broken": ("no zone\n", "no zone at all\n", (1, "whole")),
    "breaks": ((1, "whole"), "no zone\n", "no zone at all\n"),
    "mends": ((1, "whole"), "no zone\n", (2, "whole again")),
    "empty": ((1, "one"), "", (2, "two")),
    "sub.stays": (None, (1, "below"), None),
    "moves": ((1, "here"), (2, "there"), (3, "here")),
}
RELOAD_S = 1
SEEN_S = 2.6  # CoreDNS looks for files, and into each of them, at turns of their own


def lay(folder: Path, phase: int) -> None:
    """Puts the files as they are then."""
    for zone, phases in CHANGES.items():
        said = phases[phase]
        path = folder / ("there" if zone == "moves" and phase == 1 else "") / f"db.{zone}.test"
        for old in (folder / path.name, folder / "there" / path.name):
            if old != path or said is None:
                old.unlink(missing_ok=True)
        if isinstance(said, tuple):
            write(path.parent, path.name, *said)
        elif said is not None:
            path.write_text(said)
    swap(folder / "mounted", phase)


def swap(folder: Path, phase: int) -> None:
    """What a kubelet does when a ConfigMap has changed."""
    write(folder, f"..{phase}/db.map.test", phase + 1, f"map {phase}")
    if phase:
        (folder / "..new").symlink_to(f"..{phase}")
        (folder / "..new").replace(folder / "..data")
        (folder / f"..{phase - 1}/db.map.test").unlink()
        (folder / f"..{phase - 1}").rmdir()
    else:
        (folder / "..data").symlink_to("..0")
        (folder / "db.map.test").symlink_to("..data/db.map.test")


async def test_files_come_change_and_go(tmp_path: Path, met: Counter[str]) -> None:
    """Seen at the same looks, and what was read stays while a file cannot be read."""
    folder = tmp_path / "zones"
    blocks = [
        f"test {{\n bind 127.0.0.1\n auto {{\n directory {folder}\n reload {RELOAD_S}s\n }}\n"
        " forward . @0\n}\n",
        f"example {{\n bind 127.0.0.1\n auto {{\n directory {folder}\n reload 0\n }}\n"
        " forward . @0\n}\n",
    ]
    write(folder, "db.never.example", 1, "never")
    lay(folder, 0)
    names = [f"{zone}.test." for zone in [*CHANGES, "map"]]
    names += ["never.example.", "new.example."]
    asked = [Question(f"{label}{each}", 16) for each in names for label in ("", "www.", "no.")]
    rules: Rules = {"D5": own_opt, "D11": as_asked, "D33": recursive}
    async with sides("".join(blocks), tmp_path, [ANSWERS]) as pair:
        await compare(pair, asked, rules, met)
        for phase in (1, 2):
            lay(folder, phase)
            write(folder, "db.never.example", phase + 1, "changed")
            write(folder, "db.new.example", phase + 1, "changed")
            await asyncio.sleep(SEEN_S)
            await compare(pair, asked, rules, met)
