import pytest

from clusterdns.plugins.cancel import Cancel
from clusterdns.plugins.query import Reply
from tests.plugins.asking import Next, fault, parsed, query


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("cancel", 5.001),
        ("cancel 5s", 5.0),
        ("cancel 1ms", 0.001),
        ("cancel 2s\ncancel 3s", 3.0),
        ("cancel 2s\ncancel", 5.001),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Cancel)
    assert plugin.timeout_s == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cancel 5", "1:8: '5' is no duration"),
        ("cancel -1s", "1:8: -1s is no duration of 0s and up"),
        ("cancel 0s", "1:8: a query needs some time"),
        ("cancel 1s 2s", "1:11: cancel takes at most 1 argument"),
        ("cancel {\n x\n}", "1:1: cancel takes no block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


@pytest.mark.parametrize(("text", "deadline"), [("cancel 2s", 12.0), ("cancel 9s", 15.0)])
async def test_deadline(text: str, deadline: float) -> None:
    behind = Next(Reply())
    asked = query(received=10.0, deadline=15.0)
    assert await parsed(text).resolve(asked, behind) is behind.reply
    assert behind.asked[0].deadline == deadline
