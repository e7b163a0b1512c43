import socket

import pytest

from clusterdns.plugins.nsid import Nsid
from clusterdns.plugins.query import Reply
from clusterdns.wire.edns import Edns, Option
from tests.plugins.asking import Next, edns, fault, parsed, query


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("nsid", socket.gethostname()),
        ('nsid "ps0"', "ps0"),
        ("nsid worker1", "worker1"),
        ('nsid "tf 2"', "tf 2"),
        ("nsid tf   2", "tf 2"),
        ("nsid é", "é"),
        ('nsid ""', ""),
    ],
)
def test_parse(text: str, data: str) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Nsid)
    assert plugin.data == data.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nsid\nnsid", "2:1: nsid can only be used once per server block"),
        ("nsid {\n x\n}", "1:1: nsid takes no block"),
        (f"nsid {'a' * 513}", "1:6: 513 octets are too much to tell, over 512"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


ASKED = Option(3, b"")
MORE = Option(15, b"\0\x0f")


@pytest.mark.parametrize(
    ("asked", "given", "expected"),
    [
        (None, [], []),
        (edns(), [], []),
        (Edns(options=(Option(10, b"12345678"),)), [MORE], [MORE]),
        (Edns(options=(ASKED,)), [], [Option(3, b"ps0")]),
        (Edns(options=(ASKED,)), [MORE], [MORE, Option(3, b"ps0")]),
        (Edns(options=(ASKED,)), [Option(3, b"upstream"), MORE], [MORE, Option(3, b"ps0")]),
        (Edns(options=(Option(3, b"junk"),)), [], [Option(3, b"ps0")]),
    ],
)
async def test_told_to_who_asks(
    asked: Edns | None, given: list[Option], expected: list[Option]
) -> None:
    """RFC 5001 section 2"""
    reply = await parsed("nsid ps0").resolve(query(edns=asked), Next(Reply(options=given)))
    assert reply is not None
    assert reply.options == expected


async def test_no_reply_goes_on() -> None:
    asked = query(edns=Edns(options=(ASKED,)))
    assert await parsed("nsid").resolve(asked, Next(None)) is None


def test_answers_are_kept_by_the_option() -> None:
    """Else who does not ask would be told, and who asks would not."""
    assert parsed("nsid").options == {3}
