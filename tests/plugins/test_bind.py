import socket

import ifaddr
import pytest

from tests.plugins.asking import fault, new_setup, parsed


class Adapter:
    """An interface as ifaddr gives it."""

    def __init__(self, name: str, *ips: str | tuple[str, int, int]) -> None:
        self.name = name
        self.ips = [ifaddr.IP(ip, 8, name) for ip in ips]


@pytest.fixture(autouse=True)
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    adapters = [
        Adapter("lo", "127.0.0.1", ("::1", 0, 0)),
        Adapter("eth0", "10.0.0.2", ("fd00::2", 0, 0), ("fe80::5", 0, 2)),
        Adapter("empty"),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bind 1.2.3.4", ["1.2.3.4"]),
        ("bind 1.2.3.4 ::5", ["1.2.3.4", "::5"]),
        ("bind ::1 1.2.3.4 ::5 127.9.9.0", ["::1", "1.2.3.4", "::5", "127.9.9.0"]),
        ("bind 1.2.3.4 lo", ["1.2.3.4", "127.0.0.1", "::1"]),
        ("bind lo {\n except 127.0.0.1\n}", ["::1"]),
        ("bind eth0", ["10.0.0.2", "fd00::2", "fe80::5%eth0"]),
        ("bind lo eth0 {\n except lo fd00:0::2\n}", ["10.0.0.2", "fe80::5%eth0"]),
        ("bind eth0 {\n except eth0\n except 10.0.0.2\n}", ["fd00::2", "fe80::5%eth0"]),
        ("bind 1.2.3.4\nbind ::5", ["1.2.3.4", "::5"]),
        ("bind lo {\n except ::1\n}\nbind ::1", ["127.0.0.1", "::1"]),
        ("bind 0.0.0.0", ["0.0.0.0"]),
        ("bind ::ffff:10.0.0.1", ["10.0.0.1"]),
        ("bind empty 1.2.3.4", ["1.2.3.4"]),
    ],
)
def test_bind(text: str, expected: list[str]) -> None:
    setup = new_setup()
    parsed(text, setup)
    assert setup.bind == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bind", "1:1: bind takes at least 1 argument"),
        ("bind 1.2.3.invalid", "1:6: '1.2.3.invalid' is no IP address, and no interface"),
        ("bind ::1 127.0.0.1 noone", "1:20: 'noone' is no IP address"),
        ("bind fe80::5%eth0", "1:6: 'fe80::5%eth0' is no IP address"),
        ("bind 010.0.0.1", "1:6: '010.0.0.1' is no IP address"),
        ("bind lo {\n except\n}", "2:2: except takes at least 1 argument"),
        ("bind lo {\n except nobody\n}", "2:9: 'nobody' is no IP address"),
        (
            "bind lo {\n excpt ::1\n}",
            "2:2: unknown property 'excpt' of bind; did you mean 'except'",
        ),
        ("bind 127.0.0.1\nbind 127.0.0.1", "2:6: address 127.0.0.1 is bound already"),
        ("bind 127.0.0.1 lo", "1:16: address 127.0.0.1 is bound already"),
        ("bind ::1 0::1", "1:10: address ::1 is bound already"),
        ("bind lo {\n except lo\n}", "1:1: bind leaves no address to listen on"),
        ("bind empty", "1:1: bind leaves no address to listen on"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_real_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    setup = new_setup()
    parsed(f"bind {loopback}", setup)
    assert "127.0.0.1" in setup.bind
