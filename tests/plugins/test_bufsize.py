import pytest

from clusterdns.plugins.order import plugin_class
from clusterdns.plugins.query import Reply
from tests.plugins.asking import Next, edns, fault, lines, new_setup, parsed, query


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("bufsize", 1232),
        ('bufsize "1220"', 1220),
        ("bufsize 512", 512),
        ("bufsize 4096", 4096),
    ],
)
def test_parse(text: str, size: int) -> None:
    assert parsed(text).edns_size == size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('bufsize "5000"', "1:9: 5000 is no integer of 512 to 4096"),
        ('bufsize "512 512"', "1:9: '512 512' is no integer"),
        ("bufsize 512 512", "1:13: bufsize takes at most 1 argument"),
        ("bufsize 511", "1:9: 511 is no integer of 512 to 4096"),
        ("bufsize abc123", "1:9: 'abc123' is no integer"),
        ("bufsize {\n x\n}", "1:1: bufsize takes no block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_only_the_first_is_used() -> None:
    setup = new_setup()
    found = lines("bufsize 600\nbufsize 700")
    assert plugin_class(found[0].name).parse(found, setup).edns_size == 600
    assert setup.warnings == ["Corefile:2:1: only the first bufsize is used"]


@pytest.mark.parametrize(
    ("size", "limit", "transport", "expected"),
    [
        (1152, 1152, "udp", (1024, 1024)),
        (896, 896, "udp", (896, 896)),
        (100, 512, "udp", (100, 512)),
        (65535, 65507, "udp", (1024, 1024)),
        (1152, 65535, "tcp", (1024, 65535)),
        (None, 512, "udp", (None, 512)),
    ],
)
async def test_lowers_only(
    size: int | None, limit: int, transport: str, expected: tuple[int | None, int]
) -> None:
    asked = query(edns=edns(size) if size else None, limit=limit, transport=transport)
    behind = Next(Reply())
    assert await parsed("bufsize 1024").resolve(asked, behind) is behind.reply
    (seen,) = behind.asked
    assert (seen.edns.size if seen.edns else None, seen.limit) == expected
