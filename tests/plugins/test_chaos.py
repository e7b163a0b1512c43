import math
import socket

import pytest

from clusterdns import __version__
from clusterdns.plugins.chaos import Chaos
from clusterdns.plugins.order import plugin_class
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import Question
from tests.plugins.asking import Next, fault, lines, new_setup, parsed, query, texts

HOST = socket.gethostname()


@pytest.mark.parametrize(
    ("text", "version", "authors"),
    [
        ("chaos", f"clusterdns-{__version__}", ["the maintainers of clusterdns"]),
        ("chaos {\n}", f"clusterdns-{__version__}", ["the maintainers of clusterdns"]),
        ("chaos v2", "v2", ["the maintainers of clusterdns"]),
        ('chaos v3 "A B"', "v3", ["A B"]),
        ("chaos v3 b a b", "v3", ["a", "b"]),
        (f"chaos {'v' * 300} {'a' * 300}", "v" * 255, ["a" * 255]),
    ],
)
def test_parse(text: str, version: str, authors: list[str]) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Chaos)
    assert plugin.version == version.encode()
    assert plugin.authors == [author.encode() for author in authors]
    assert plugin.any_class


def test_refused() -> None:
    assert fault("chaos v2 {\n unknown\n}") == "2:2: unknown property 'unknown' of chaos"


def test_only_the_first_is_used() -> None:
    setup = new_setup()
    found = lines("chaos a\nchaos b")
    plugin = plugin_class(found[0].name).parse(found, setup)
    assert getattr(plugin, "version", None) == b"a"
    assert setup.warnings == ["Corefile:2:1: only the first chaos is used"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("version.bind.", ["v1"]),
        ("Version.BIND.", ["v1"]),
        ("version.server.", ["v1"]),
        ("hostname.bind.", [HOST]),
        ("id.server.", [HOST]),
        ("authors.bind.", ["a", "b"]),
    ],
)
async def test_answers(name: str, expected: list[str]) -> None:
    asked = query(question=Question.of(name, 16, 3))
    reply = await parsed("chaos v1 a b").resolve(asked, Next())
    assert reply is not None
    assert sorted(texts(reply.answer)) == [f'{name} 0 CH TXT "{text}"' for text in expected]
    assert (reply.rcode, reply.authoritative) == (0, False)
    assert reply.until == (math.inf if len(expected) == 1 else 0)


@pytest.mark.parametrize(
    ("name", "qtype", "qclass"),
    [("version.bind.", 33, 3), ("version.bind.", 16, 1), ("other.bind.", 16, 3), (".", 16, 3)],
)
async def test_the_rest_goes_on(name: str, qtype: int, qclass: int) -> None:
    reply = Reply()
    asked = query(question=Question.of(name, qtype, qclass))
    assert await parsed("chaos").resolve(asked, Next(reply)) is reply
