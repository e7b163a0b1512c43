from typing import Any

import pytest

from clusterdns.corefile.parser import parse
from clusterdns.plugins.base import TcpTimes
from clusterdns.server.configuration import configure
from clusterdns.server.tcp import TcpLimits
from clusterdns.zone.index import Index
from tests.plugins.asking import fault, new_setup, parsed


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("read 30s", {"read_s": 30.0}),
        ("read 1m\n write 2m", {"read_s": 60.0, "write_s": 120.0}),
        ("idle 1h", {"idle_s": 3600.0}),
        ("read 10\n write 20\n idle 60", {"read_s": 10.0, "write_s": 20.0, "idle_s": 60.0}),
        ("maxtcpqueries 128", {"queries": 128}),
        ("maxtcpqueries -1", {"queries": -1}),
        ("read 10s\n maxtcpqueries 128", {"read_s": 10.0, "queries": 128}),
        ("read 24h\n}\ntimeouts {\n read 1s\n write 1s", {"read_s": 1.0, "write_s": 1.0}),
    ],
)
def test_parse(lines: str, expected: dict[str, Any]) -> None:
    setup = new_setup()
    parsed(f"timeouts {{\n {lines}\n}}", setup)
    assert setup.tcp_times == TcpTimes(**expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timeouts", "1:1: timeouts has no lines"),
        ("timeouts {\n}", "1:1: timeouts has no lines"),
        ("timeouts x", "1:10: timeouts takes no argument"),
        ("timeouts {\n read 10s\n giraffe 30s\n}", "3:2: unknown property 'giraffe' of timeouts"),
        ("timeouts {\n read 10s 20s\n}", "2:11: read takes at most 1 argument"),
        ("timeouts {\n write snake\n}", "2:8: 'snake' is no duration"),
        ("timeouts {\n idle 0s\n}", "2:7: 0s is no duration of 1.0s to 86400.0s"),
        ("timeouts {\n idle -5\n}", "2:7: -5s is no duration of 1.0s to 86400.0s"),
        ("timeouts {\n read 48h\n}", "2:7: 48h is no duration of 1.0s to 86400.0s"),
        ("timeouts {\n maxtcpqueries 0\n}", "2:16: write -1 for any number of queries"),
        ("timeouts {\n maxtcpqueries -2\n}", "2:16: -2 is no integer of -1 and up"),
        ("timeouts {\n maxtcpqueries snake\n}", "2:16: 'snake' is no integer"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_limits_of_sockets() -> None:
    """Blocks that share a socket share its limits; the last word counts."""
    corefile = parse(
        "a:5300 {\n timeouts {\n  read 7s\n  idle 8s\n }\n whoami\n}\n"
        "b:5300 {\n timeouts {\n  idle 9s\n }\n whoami\n}\n"
        "c:5301 {\n whoami\n}\n",
        "Corefile",
    )
    found = configure(corefile, lambda selection, api: Index(selection), 53)
    limits = {socket.port: socket.limits for socket in found.sockets}
    assert limits == {5300: TcpLimits(read_s=7.0, idle_s=9.0), 5301: TcpLimits()}
