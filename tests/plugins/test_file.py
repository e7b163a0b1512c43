"""`file`: its options, files that come, change and break, and replies. Look-ups: tests/zone."""

import asyncio
from pathlib import Path

import dns.message
import pytest

from clusterdns.corefile.parser import parse
from clusterdns.errors import ResolveError
from clusterdns.plugins.file import File
from clusterdns.plugins.query import Reply
from clusterdns.server.answers import Answers
from clusterdns.server.configuration import configure
from clusterdns.server.respond import Responder
from clusterdns.zone.index import Index
from tests.beside import beside, until
from tests.plugins.asking import (
    Exchange,
    Next,
    Told,
    fault,
    new_setup,
    parsed,
    query,
    records,
    texts,
)
from tests.plugins.zonefile import write


def plugin(text: str, told: Told | None = None) -> File:
    found = parsed(text, (told or Told()).setup(("example.org.",)))
    assert isinstance(found, File)
    return found


async def reply(file: File, name: str = "a.example.org.", qtype: str = "A") -> Reply:
    found = await file.resolve(query(name, qtype), Next())
    assert found is not None
    return found


async def test_answers(tmp_path: Path) -> None:
    file = plugin(f"file {write(tmp_path / 'db')}")
    found = await reply(file, "A.example.org.")
    assert found.authoritative
    assert texts(found.answer) == ["A.example.org. 300 IN A 10.0.0.1"]
    assert texts(found.authority) == ["example.org. 300 IN NS ns.other."]
    assert (await reply(file, "b.example.org.")).rcode == 3
    assert (await reply(file, "a.example.org.", "AXFR")).rcode == 5


async def test_other_names_go_on(tmp_path: Path) -> None:
    file = plugin(f"file {write(tmp_path / 'db')} example.org sub.example.net")
    behind = Next(Reply())
    for name in ("example.net.", "a.other.", "org."):
        await file.resolve(query(name), behind)
    assert [each.question.text for each in behind.asked] == ["example.net.", "a.other.", "org."]


REFUSED, SERVFAIL = 5, 2


@pytest.mark.parametrize(
    ("lines", "name", "rcode"),
    [
        ("file @/db a.test", "x.test.", REFUSED),
        ("file @/db a.test", "x.a.test.", 3),
        ("file @/db a.test {\n fallthrough\n}", "x.a.test.", SERVFAIL),
        ("file @/db a.test\nreload\nroot /", "x.test.", REFUSED),
        ("file @/db a.test\nview v {\n expr true\n}", "x.test.", SERVFAIL),
        ("file @/db a.test\nwhoami", "x.test.", 0),
        ("auto a.test {\n directory @\n}", "x.test.", SERVFAIL),
        ("auto a.test {\n directory @\n}", "x.a.test.", REFUSED),
        ("file @/db a.test\nauto b.test {\n directory @\n}", "x.test.", SERVFAIL),
        ("secondary a.test {\n transfer from 127.0.0.1\n}", "x.test.", REFUSED),
        ("secondary a.test {\n transfer from 127.0.0.1\n}", "x.a.test.", SERVFAIL),
        ("file @/db a.test\nsecondary b.test {\n transfer from 127.0.0.1\n}", "x.test.", REFUSED),
    ],
)
def test_names_outside_of_all_zones(lines: str, name: str, rcode: int, tmp_path: Path) -> None:
    """REFUSED where no directive stands behind it, as CoreDNS has it."""
    write(tmp_path / "db")
    corefile = parse(f"test {{\n{lines.replace('@', str(tmp_path))}\n}}", "Corefile")
    found = configure(corefile, lambda selection, api: Index(selection), 53)
    server = Responder(found.sockets[0].router, Answers(), "udp", ("127.0.0.1", 53))
    octets = dns.message.make_query(name, "A").to_wire()
    wire = server.respond(octets, ("127.0.0.1", 5), 0.0)
    assert isinstance(wire, bytes)
    assert dns.message.from_wire(wire).rcode() == rcode


async def test_the_longest_zone(tmp_path: Path) -> None:
    write(tmp_path / "db", more="x.sub A 10.9.9.9\n")
    write(tmp_path / "sub", 2)
    file = plugin(f"file {tmp_path}/db\nfile {tmp_path}/sub sub.example.org")
    assert (await reply(file, "x.sub.example.org.")).rcode == 3
    assert texts((await reply(file, "a.sub.example.org.")).answer) == [
        "a.sub.example.org. 300 IN A 10.0.0.2"
    ]


@pytest.mark.parametrize(
    ("option", "name", "passes"),
    [
        ("", "b.example.org.", False),
        ("fallthrough", "b.example.org.", True),
        ("fallthrough", "a.example.org.", False),
        ("fallthrough c.example.org", "b.example.org.", False),
        ("fallthrough c.example.org", "x.c.example.org.", True),
    ],
)
async def test_fallthrough(option: str, name: str, passes: bool, tmp_path: Path) -> None:
    file = plugin(f"file {write(tmp_path / 'db')} {{\n {option}\n}}")
    behind = Next(Reply(answer=records(f"{name} 5 A 1.1.1.1")))
    found = await file.resolve(query(name, "A"), behind)
    assert found is not None
    assert bool(behind.asked) == passes
    assert found.keys


OUT = "out.example.org. 300 IN CNAME www.other."


@pytest.mark.parametrize(
    ("said", "rcode", "answer", "authority"),
    [
        (
            Reply(answer=records("www.other. 5 A 1.1.1.1")),
            0,
            [OUT, "www.other. 5 IN A 1.1.1.1"],
            ["example.org. 300 IN NS ns.other."],
        ),
        (
            Reply(3, authority=records("other. 5 SOA a.other. b.other. 1 1 1 1 1")),
            3,
            [OUT],
            ["other. 5 IN SOA a.other. b.other. 1 1 1 1 1"],
        ),
        (Reply(5), 0, [OUT], ["example.org. 300 IN NS ns.other."]),
        (Reply(2), 2, [OUT], []),
        (ResolveError("too late"), 2, [OUT], []),
    ],
)
async def test_cname_out_of_the_zone(
    said: Reply | ResolveError, rcode: int, answer: list[str], authority: list[str], tmp_path: Path
) -> None:
    file = plugin(f"file {write(tmp_path / 'db')}")
    exchange = Exchange(said)
    found = await file.resolve(query("out.example.org.", "A", exchange), Next())
    assert found is not None
    assert [each.question.text for each in exchange.asked] == ["www.other."]
    assert (found.rcode, texts(found.answer)) == (rcode, answer)
    assert [" ".join(each.split()) for each in texts(found.authority)] == authority
    assert found.until == 0.0


async def test_a_file_that_comes_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    file = plugin(f"file {tmp_path}/db {{\n reload 10ms\n}}", told)
    assert "zone example.org. cannot be read, there are no answers until it can: " in caplog.text
    assert f"{tmp_path}/db: No such file or directory" in caplog.text
    assert (await reply(file)).rcode == 2
    async with beside(file.serve):
        write(tmp_path / "db")
        await until(lambda: told.forgotten)
        assert texts((await reply(file)).answer) == ["a.example.org. 300 IN A 10.0.0.1"]


async def test_a_broken_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    write(tmp_path / "db", more="bad A 10.0.0\n")
    file = plugin(f"file {tmp_path}/db {{\n reload 10ms\n}}", told)
    assert f"{tmp_path}/db:6: " in caplog.text
    assert (await reply(file)).rcode == 2
    async with beside(file.serve):
        write(tmp_path / "db", 2)
        await until(lambda: told.forgotten)
        write(tmp_path / "db", 3, "worse A 1\n")
        await until(lambda: "what it said stays" in caplog.text)
        assert texts((await reply(file)).answer) == ["a.example.org. 300 IN A 10.0.0.2"]
    assert caplog.text.count("there are no answers") == 1


def changed(path: Path) -> None:
    """The file's text differs, its serial does not."""
    path.write_text(path.read_text() + "more A 10.0.0.9\n")


TTLS = {
    "none is said": ("@ IN SOA a. b. 1 2 3 4 60\na IN A 10.0.0.1\n", 0, 0),
    "none is said, nor a class": ("@ SOA a. b. 1 2 3 4 60\na A 10.0.0.1\n", 0, 0),
    "the last one": ("@ IN SOA a. b. 1 2 3 4 60\nb 77 IN A 10.0.0.2\na IN A 10.0.0.1\n", 0, 77),
    "that of the SOA record": ("@ 9 IN SOA a. b. 1 2 3 4 60\na IN A 10.0.0.1\n", 9, 9),
    "$TTL": ("$TTL 5\n@ IN SOA a. b. 1 2 3 4 60\nb 77 IN A 10.0.0.2\na IN A 10.0.0.1\n", 5, 5),
}


@pytest.mark.parametrize("name", TTLS)
async def test_a_ttl_that_is_left_out(name: str, tmp_path: Path) -> None:
    """RFC 1035 section 5.1, RFC 2308 section 4."""
    text, of_soa, of_a = TTLS[name]
    (tmp_path / "db").write_text(text)
    file = plugin(f"file {tmp_path / 'db'}")
    assert [each.ttl for each in (await reply(file, "example.org.", "SOA")).answer] == [of_soa]
    assert [each.ttl for each in (await reply(file)).answer] == [of_a]


async def test_the_file_of_another_zone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As under `.:53`: its SOA record counts for the zone of the directive."""
    path = tmp_path / "db"
    path.write_text(
        "$ORIGIN below.example.org.\n$TTL 300\n@ SOA ns admin 1 2 3 4 60\na A 10.0.0.1\n"
    )
    file = plugin(f"file {path}")
    assert f"{path} is for the zone below.example.org., not for example.org." in caplog.text
    assert texts((await reply(file, "a.below.example.org.")).answer)[0].endswith(" A 10.0.0.1")
    (soa,) = texts((await reply(file, "a.below.example.org.", "TXT")).authority)
    assert soa.startswith("example.org. 60 IN SOA ns.below.example.org. ")
    found = await reply(file, "missing.example.org.")
    assert found.rcode == 3
    assert texts(found.authority) == [soa]
    assert len((await reply(file, "example.org.", "SOA")).answer) == 1


async def test_the_file_of_a_zone_elsewhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "db"
    path.write_text("$ORIGIN example.net.\n$TTL 300\n@ SOA ns admin 1 2 3 4 60\na A 10.0.0.1\n")
    file = plugin(f"file {path}")
    assert "there is no SOA record of example.org." in caplog.text
    assert (await reply(file)).rcode == 2


async def test_same_serial(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "db")
    file = plugin(f"file {path} {{\n reload 10ms\n}}")
    async with beside(file.serve):
        changed(path)
        await until(lambda: "its serial, 1, has not" in caplog.text)
    assert (await reply(file, "more.example.org.")).rcode == 3


async def test_reload_by_mtime(tmp_path: Path) -> None:
    told = Told()
    path = write(tmp_path / "db")
    file = plugin(f"file {path} {{\n reload 10ms\n reload_by_mtime\n}}", told)
    async with beside(file.serve):
        changed(path)
        await until(lambda: told.forgotten)
    assert (await reply(file, "more.example.org.")).rcode == 0


async def test_no_reload(tmp_path: Path) -> None:
    path = write(tmp_path / "db")
    file = plugin(f"file {path} {{\n reload 0\n}}")
    async with beside(file.serve):
        write(path, 2)
        await asyncio.sleep(0)
    assert texts((await reply(file)).answer) == ["a.example.org. 300 IN A 10.0.0.1"]


def test_below_root(tmp_path: Path) -> None:
    write(tmp_path / "db")
    setup = new_setup(("example.org.",))
    setup.root = str(tmp_path)
    parsed("file db {\n reload 0\n}", setup)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file", "1:1: file takes at least 1 argument, not 0"),
        ("file db {\n reload\n}", "2:2: reload takes at least 1 argument, not 0"),
        ("file db {\n reload soon\n}", "2:9: 'soon' is no duration"),
        ("file db {\n reload -1s\n}", "2:9: -1s is no duration of 0s and up"),
        ("file db {\n reload_by_mtime 1\n}", "2:18: reload_by_mtime takes no argument; '1' is"),
        (
            "file db {\n transfer to *\n}",
            "2:2: property 'transfer' of file is no part of CoreDNS any more: the",
        ),
        ("file nowhere {\n reload 0\n}", "1:6: zone .: nowhere: No such file or directory"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_finished_answers_follow_the_file(tmp_path: Path) -> None:
    """What is kept is sent again until the file changes, and not after that."""
    path = write(tmp_path / "db")
    answers = Answers()
    corefile = parse(f"example.org {{\n file {path}\n}}", "Corefile")
    found = configure(corefile, lambda selection, api: Index(selection), 53)
    server = Responder(found.sockets[0].router, answers, "udp", ("127.0.0.1", 53))
    octets = dns.message.make_query("a.example.org.", "A").to_wire()

    def ask() -> str:
        wire = answers.reply(octets, 0.0) or server.respond(octets, ("127.0.0.1", 5), 0.0)
        assert isinstance(wire, bytes)
        return str(dns.message.from_wire(wire).answer[0][0])

    assert (ask(), ask()) == ("10.0.0.1", "10.0.0.1")
    assert answers.hits == 1
    (file,) = found.plugins[0]._files  # type: ignore[attr-defined]
    write(path, 2)
    assert file.load()
    answers.forget({file.key})
    assert ask() == "10.0.0.2"
