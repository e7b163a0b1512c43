import time

import pytest

from clusterdns.plugins.base import Sees
from clusterdns.plugins.erratic import Erratic
from clusterdns.plugins.query import Reply
from tests.plugins.asking import Next, fault, parsed, query, texts


def erratic(text: str) -> Erratic:
    plugin = parsed(text)
    assert isinstance(plugin, Erratic)
    return plugin


@pytest.mark.parametrize(
    ("lines", "expected"),  # drop, delay, truncate, seconds
    [
        ("", (2, 0, 0, 0.1)),
        ("drop", (2, 0, 0, 0.1)),
        ("drop 2\n delay 3 1ms", (2, 3, 0, 0.001)),
        ("truncate 2\n delay 3 1ms", (0, 3, 2, 0.001)),
        ("drop 3\n delay", (3, 2, 0, 0.1)),
        ("drop 3\n truncate", (3, 0, 2, 0.1)),
        ("drop\n truncate", (0, 0, 2, 0.1)),
        ("drop 0", (0, 0, 0, 0.1)),
        ("large", (2, 0, 0, 0.1)),
        ("delay 1 -1s", (0, 1, 0, 0.0)),
    ],
)
def test_parse(lines: str, expected: tuple[int, int, int, float]) -> None:
    plugin = erratic(f"erratic {{\n {lines}\n}}")
    assert (plugin.drop, plugin.delay, plugin.truncate, plugin.delay_s) == expected
    assert erratic("erratic").drop == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("erratic x", "1:9: erratic takes no argument"),
        ("erratic {\n drop -1\n}", "2:7: -1 is no integer of 0 to 2147483647"),
        ("erratic {\n drop 1 2\n}", "2:9: drop takes at most 1 argument"),
        ("erratic {\n delay -1\n}", "2:8: -1 is no integer"),
        ("erratic {\n delay 1 2 4\n}", "2:12: delay takes at most 2 arguments"),
        ("erratic {\n delay 15.a\n}", "2:8: '15.a' is no integer"),
        ("erratic {\n drop 3\n delay 3 bla\n}", "3:10: 'bla' is no duration"),
        ("erratic {\n truncate 15.a\n}", "2:11: '15.a' is no integer"),
        ("erratic {\n truncate 2147483648\n}", "2:11: 2147483648 is no integer"),
        ("erratic {\n large x\n}", "2:8: large takes no argument"),
        ("erratic {\n something-else\n}", "2:2: unknown property 'something-else' of erratic"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


async def ask(plugin: Erratic, qtype: str = "A", name: str = "Example.org.") -> Reply | None:
    return await plugin.resolve(query(name, qtype), Next())


async def test_drop() -> None:
    plugin = erratic("erratic {\n drop 3\n}")
    assert [await ask(plugin, qtype) is None for qtype in ("A", "A", "MX", "MX", "AXFR")] == [
        True,
        False,
        False,
        True,
        False,
    ]


async def test_truncate() -> None:
    plugin = erratic("erratic {\n truncate 2\n}")
    replies = [await ask(plugin, qtype) for qtype in ("A", "A", "AAAA", "AAAA")]
    assert [reply and reply.truncated for reply in replies] == [True, True, False, False]


async def test_delay() -> None:
    plugin = erratic("erratic {\n delay 2 20ms\n}")
    times = []
    for _ in range(2):
        before = time.monotonic()
        assert await ask(plugin)
        times.append(time.monotonic() - before)
    assert times[0] >= 0.02 > times[1]


@pytest.mark.parametrize(
    ("qtype", "rcode", "expected"),
    [
        ("A", 0, ["Example.org. 0 IN A 192.0.2.53"]),
        ("AAAA", 0, ["Example.org. 0 IN AAAA 2001:db8::53"]),
        ("HINFO", 2, []),
    ],
)
async def test_answers(qtype: str, rcode: int, expected: list[str]) -> None:
    reply = await ask(erratic("erratic {\n drop 0\n}"), qtype)
    assert reply is not None
    assert (reply.rcode, texts(reply.answer)) == (rcode, expected)
    assert (reply.authoritative, reply.until) == (rcode == 0, 0)


async def test_large() -> None:
    reply = await ask(erratic("erratic {\n drop 0\n large\n}"))
    assert reply is not None
    assert len(reply.answer) == 30


@pytest.mark.parametrize(("options", "count"), [("drop 0", 6), ("truncate 1", 5)])
async def test_transfer(options: str, count: int) -> None:
    reply = await ask(erratic(f"erratic {{\n {options}\n}}"), "AXFR", "xx.")
    assert reply is not None
    soa = "xx. 0 IN SOA sns.dns.icann.org. noc.dns.icann.org. 2018050825 7200 3600 1209600 3600"
    assert (
        texts(reply.answer)
        == [
            soa,
            "xx. 0 IN NS b.xx.",
            "xx. 0 IN NS a.xx.",
            "a.xx. 0 IN AAAA 2001:bd8::53",
            "b.xx. 0 IN AAAA 2001:500::54",
            soa,
        ][:count]
    )


async def test_transfer_of_a_name_without_room() -> None:
    name = ".".join(["a" * 63] * 3 + ["a" * 61]) + "."  # 255 octets in wire form
    reply = await ask(erratic("erratic {\n drop 0\n}"), "AXFR", name)
    assert reply is not None
    assert {str(record.rname) for record in reply.answer} == {name}


async def test_ready_now_and_then() -> None:
    plugin = erratic("erratic {\n drop 0\n}")
    found = []
    for _ in range(6):
        found.append(plugin.ready())
        await ask(plugin)
    assert found == [False, False, False, True, True, False]


def test_each_query_counts() -> None:
    assert Erratic.sees is Sees.EVERY_QUERY
