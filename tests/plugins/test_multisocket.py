import os

import pytest

from clusterdns.plugins.multisocket import Multisocket
from tests.plugins.asking import fault, parsed


@pytest.mark.parametrize(
    ("text", "sockets"),
    [
        ("multisocket", os.cpu_count()),
        ("multisocket 1", 1),
        ("multisocket 2", 2),
        ("multisocket 1024", 1024),
    ],
)
def test_parse(text: str, sockets: int) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Multisocket)
    assert plugin.sockets == sockets
    assert not plugin.in_chain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("multisocket text", "1:13: 'text' is no integer"),
        ("multisocket 0", "1:13: 0 is no integer of 1 to 1024"),
        ("multisocket -1", "1:13: -1 is no integer of 1 to 1024"),
        ("multisocket 1025", "1:13: 1025 is no integer of 1 to 1024"),
        ("multisocket 2 2", "1:15: multisocket takes at most 1 argument"),
        ("multisocket 2 {\n block\n}", "1:1: multisocket takes no block"),
        ("multisocket\nmultisocket", "2:1: multisocket stands at Corefile:1:5 already"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)
