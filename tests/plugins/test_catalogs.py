"""Catalog zones of `secondary` (RFC 9432)."""

import pytest

from clusterdns.errors import SourceError
from clusterdns.plugins.query import Reply
from clusterdns.plugins.secondary.catalogs import Catalogs, Member, members
from clusterdns.zone.masterfile import read
from tests.plugins.asking import Next, Told, query
from tests.plugins.primary import (
    Master,
    ask,
    asked,
    becomes,
    master,
    notify,
    running,
    secondary,
    soon,
    version,
)

__all__ = ["soon"]
pytestmark = pytest.mark.usefixtures("soon")

ORIGIN = (b"example", b"org")
CATALOG = """\
version 0 TXT "2"
{members}
"""


def catalog(*members: str) -> str:
    return CATALOG.format(members="\n".join(members))


async def test_zones_come_and_go() -> None:
    told = Told()
    async with master() as server:
        server.origin = "cat.example."
        server.more = catalog("m1.zones 0 PTR a.example.org.", "m2.zones 0 PTR b.example.net.")
        text = f"secondary cat.example {{\n transfer from 127.0.0.1:{server.port}\n catalog org\n}}"
        async with running(secondary(text, told.setup())) as plugin:
            await becomes(plugin, "SERVFAIL", "a.example.org.")
            assert await ask(plugin, "b.example.net.") == "next"
            reply = await plugin.resolve(query("b.example.net."), Next(Reply(until=9.0)))
            assert reply is not None
            assert reply.keys == {("secondary zones", "cat.example.")}
            server.serial, server.more = 2, catalog("m3.zones 0 PTR c.example.org.")
            told.forgotten.clear()
            await notify(plugin, name="cat.example.")
            await becomes(plugin, "SERVFAIL", "c.example.org.")
            assert await ask(plugin, "a.example.org.") == "next"
            assert {key for keys in told.forgotten for key in keys} == {
                ("secondary zone", "cat.example."),
                ("secondary zone", "a.example.org."),
                ("secondary zones", "cat.example."),
            }


async def test_a_member_is_fetched_from_the_same_primary() -> None:
    async with master() as server:
        server.origin = "cat.example."
        server.more = catalog("m1.zones 0 PTR example.org.")
        text = f"secondary cat.example {{\n transfer from 127.0.0.1:{server.port}\n catalog\n}}"
        async with running(secondary(text)) as plugin:
            await becomes(plugin, "SERVFAIL")
            server.origin, server.more = "example.org.", ""
            await becomes(plugin, version(1))
            after = secondary(text)
            after.adopt(plugin)
            assert await ask(after) == version(1), "a reload keeps members too"


async def test_what_is_no_catalog_is_not_used() -> None:
    async with master() as server:
        server.origin = "cat.example."
        text = f"secondary cat.example {{\n transfer from 127.0.0.1:{server.port}\n catalog\n}}"
        async with running(secondary(text)) as plugin:
            await asked(server, 2)
            assert await ask(plugin, "a.cat.example.") == "SERVFAIL"


BROKEN = {
    "no version": ("m.zones 0 PTR a.", "is no catalog of version 2"),
    "another version": ('version 0 TXT "1"', "is no catalog of version 2"),
    "two versions": ('version 0 TXT "2"\nversion 0 TXT "1"', "is no catalog of version 2"),
    "two zones at one member": (
        catalog("m.zones 0 PTR a.", "m.zones 0 PTR b."),
        "m.zones.example.org. or its coo has more than one PTR record",
    ),
    "one zone twice": (
        catalog("m.zones 0 PTR a.", "n.zones 0 PTR A."),
        "has a. twice",
    ),
    "two owners": (
        catalog("m.zones 0 PTR a.", "coo.m.zones 0 PTR b.", "coo.m.zones 0 PTR c."),
        "m.zones.example.org. or its coo has more than one PTR record",
    ),
}


@pytest.mark.parametrize(("more", "told"), BROKEN.values(), ids=BROKEN)
def test_broken(more: str, told: str) -> None:
    server = Master()
    server.more = more
    with pytest.raises(SourceError, match=told):
        members(read(server.text(), ORIGIN, "here"))


def test_members() -> None:
    server = Master()
    server.more = catalog(
        "M.zones 0 PTR A.Example.",
        "coo.m.zones 0 PTR cat2.example.",
        "group.m.zones 0 TXT x",
        "n.zones 0 PTR b.example.",
        "deep.n.zones 0 PTR c.example.",
    )
    assert members(read(server.text(), ORIGIN, "here")) == {
        "a.example.": Member("a.example.", b"m", "cat2.example."),
        "b.example.": Member("b.example.", b"n"),
    }


def test_a_catalog_in_several_strings() -> None:
    server = Master()
    server.more = 'version 0 TXT "" "2"'
    assert members(read(server.text(), ORIGIN, "here")) == {}


SAID = {
    "new": ([("c", {"a.": "1"})], ({"a.": False}, [])),
    "the same again": ([("c", {"a.": "1"}), ("c", {"a.": "1"})], ({}, [])),
    "gone": ([("c", {"a.": "1"}), ("c", {})], ({}, ["a."])),
    "another id: what is known of it goes": (
        [("c", {"a.": "1"}), ("c", {"a.": "2"})],
        ({"a.": False}, []),
    ),
    "one that is configured": ([("c", {"static.": "1"})], ({}, [])),
    "another catalog's": ([("c", {"a.": "1"}), ("d", {"a.": "1"})], ({}, [])),
    "handed over": ([("c", {"a.": "1 d"}), ("d", {"a.": "1"})], ({"a.": True}, [])),
    "handed over under another id": (
        [("c", {"a.": "1 d"}), ("d", {"a.": "2"})],
        ({"a.": False}, []),
    ),
    "handed over to a third": ([("c", {"a.": "1 e"}), ("d", {"a.": "1"})], ({}, [])),
    "taken by another one, and gone from the first": (
        [("c", {"a.": "1 d"}), ("d", {"a.": "1"}), ("c", {})],
        ({}, []),
    ),
    "not among those that it may add": (
        [("org", {"a.": "1", "x.org.": "2"})],
        ({"x.org.": False}, []),
    ),
}


@pytest.mark.parametrize(("said", "expected"), SAID.values(), ids=SAID)
def test_applied(
    said: list[tuple[str, dict[str, str]]],
    expected: tuple[dict[str, bool], list[str]],
) -> None:
    catalogs = Catalogs({"c.": (), "d.": (), "e.": (), "org.": ("org.",)})
    for name, zones in said:
        found = {}
        for zone, words in zones.items():
            id, *moves = words.split()
            found[zone] = Member(zone, id.encode(), f"{moves[0]}." if moves else "")
        result = catalogs.apply(f"{name}.", found, {"static."})
    assert result == expected
