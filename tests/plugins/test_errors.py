import asyncio
import logging

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.errors import Errors
from clusterdns.plugins.query import Reply
from tests.plugins.asking import Next, fault, parsed, query

TIMEOUT = ResolveError("read udp 10.0.0.1:4711->10.0.0.2:53: i/o timeout")
ACCEPTED = {
    "alone": ("errors", []),
    "to stdout": ("errors stdout", []),
    "empty braces": ("errors {\n}", []),
    "stacktrace": ("errors {\n stacktrace\n}", []),
    "both": (
        "errors {\n stacktrace\n consolidate 1m ^exact$\n}",
        [(60, "^exact$", "ERROR", False)],
    ),
    "a pattern in quotes": (
        'errors {\n consolidate 1m "format error"\n}',
        [(60, "format error", "ERROR", False)],
    ),
    "two of them": (
        "errors {\n consolidate 1m error1\n consolidate 5s error2\n}",
        [(60, "error1", "ERROR", False), (5, "error2", "ERROR", False)],
    ),
    "every level": (
        "errors {\n consolidate 1s a warning\n consolidate 1s b error\n"
        " consolidate 1s c info\n consolidate 1s d debug\n}",
        [
            (1, "a", "WARNING", False),
            (1, "b", "ERROR", False),
            (1, "c", "INFO", False),
            (1, "d", "DEBUG", False),
        ],
    ),
    "show_first": (
        "errors {\n consolidate 1m .* show_first\n}",
        [(60, ".*", "ERROR", True)],
    ),
    "a level and show_first": (
        "errors {\n consolidate 1m .* warning show_first\n}",
        [(60, ".*", "WARNING", True)],
    ),
}


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_parse(text: str, expected: list[tuple[float, str, str, bool]]) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Errors)
    assert [
        (each.period_s, each.pattern.pattern, logging.getLevelName(each.level), each.show_first)
        for each in plugin.consolidations
    ] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("errors errors.txt", "1:8: invalid log file 'errors.txt'"),
        ("errors visible", "1:8: invalid log file 'visible'"),
        ("errors stdout b", "1:15: errors takes at most 1 argument; 'b'"),
        ("errors\nerrors", "2:1: errors can only be used once per server block"),
        ("errors { log visible }", "1:10: unknown property 'log' of errors"),
        ("errors {\n consolidat 1m a\n}", "2:2: unknown property 'consolidat' of errors; did you"),
        ("errors {\n stacktrace on\n}", "2:13: stacktrace takes no argument"),
        ("errors {\n consolidate\n}", "2:2: consolidate takes at least 2 arguments"),
        ("errors {\n consolidate 1m\n}", "2:14: consolidate takes at least 2 arguments"),
        ("errors {\n consolidate 1m .* extra\n}", "2:20: 'extra' is none of error, warning"),
        ("errors {\n consolidate abc .*\n}", "2:14: 'abc' is no duration"),
        ("errors {\n consolidate 1 .*\n}", "2:14: '1' is no duration"),
        ("errors {\n consolidate 1m ())\n}", "2:17: '())' is no regular expression"),
        ("errors {\n consolidate 1m a warning error\n}", "2:27: consolidate takes one log level"),
        ("errors {\n consolidate 1m a info debug\n}", "2:24: consolidate takes one log level"),
        ("errors {\n consolidate 1m a show_first info\n}", "2:30: the log level must stand before"),
        ("errors {\n consolidate 1m a show_first x\n}", "2:30: "),
        ("errors {\n consolidate 1m a info show_first b\n}", "2:35: consolidate takes at most 4"),
        (f"errors {{\n consolidate 1m {'a' * 10_001}\n}}", "2:17: a pattern of 10001 characters"),
        ("errors {\n consolidate 1m a {\n b\n }\n}", "2:2: consolidate takes no block"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{each.levelname} {each.message}" for each in caplog.records]


@pytest.fixture(autouse=True)
def every_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "clusterdns")


@pytest.mark.parametrize(
    ("name", "qtype", "error", "expected"),
    [
        ("Example.ORG.", "A", TIMEOUT, f"ERROR 2 example.org. A: {TIMEOUT}"),
        ("a.b.", "TYPE65280", ResolveError("no", 5), "ERROR 5 a.b. TYPE65280: no"),
        (".", "NS", ResolveError("100%s", 2), "ERROR 2 . NS: 100%s"),
        ("a.", "A", ResolveError("rewritten", 3, told=0), "ERROR 0 a. A: rewritten"),
    ],
)
async def test_an_error_is_logged_and_goes_on(
    caplog: pytest.LogCaptureFixture, name: str, qtype: str, error: ResolveError, expected: str
) -> None:
    with pytest.raises(ResolveError) as raised:
        await Errors().resolve(query(name, qtype), Next(error))
    assert raised.value is error
    assert logged(caplog) == [expected]
    assert caplog.records[0].name == "clusterdns.plugins.errors"


@pytest.mark.parametrize("reply", [Reply(), Reply(3), Reply(5), None])
async def test_answers_are_no_errors(caplog: pytest.LogCaptureFixture, reply: Reply | None) -> None:
    assert await Errors().resolve(query(), Next(reply)) is reply
    assert logged(caplog) == []


async def fail(plugin: Errors, *texts: str) -> None:
    for text in texts:
        with pytest.raises(ResolveError):
            await plugin.resolve(query(), Next(ResolveError(text)))


CONSOLIDATED = {
    "each but the others": (
        "consolidate 1m timeout$",
        ["a timeout", "b", "c timeout"],
        ["ERROR 2 example.org. A: b", "ERROR 2 errors like 'timeout$' occurred in last 1m0s"],
    ),
    "one is a number too": (
        "consolidate 90s a",
        ["a"],
        ["ERROR 1 errors like 'a' occurred in last 1m30s"],
    ),
    "none is no line": ("consolidate 1m a", ["b"], ["ERROR 2 example.org. A: b"]),
    "at its level": (
        "consolidate 1m a info",
        ["a"],
        ["INFO 1 errors like 'a' occurred in last 1m0s"],
    ),
    "the first pattern counts": (
        "consolidate 1m ^a warning\n consolidate 5s .*",
        ["ab", "b"],
        [
            "WARNING 1 errors like '^a' occurred in last 1m0s",
            "ERROR 1 errors like '.*' occurred in last 5s",
        ],
    ),
    "show_first shows the first, at its level": (
        "consolidate 1m a warning show_first",
        ["a1", "a2", "a3"],
        [
            "WARNING 2 example.org. A: a1",
            "WARNING 3 errors like 'a' occurred in last 1m0s",
        ],
    ),
    "show_first has no number of one": (
        "consolidate 1m a show_first",
        ["a1"],
        ["ERROR 2 example.org. A: a1"],
    ),
}


@pytest.mark.parametrize(("lines", "errors", "expected"), CONSOLIDATED.values(), ids=CONSOLIDATED)
async def test_consolidate(
    caplog: pytest.LogCaptureFixture, lines: str, errors: list[str], expected: list[str]
) -> None:
    plugin = parsed(f"errors {{\n {lines}\n}}")
    assert isinstance(plugin, Errors)
    await fail(plugin, *errors)
    stopping = asyncio.Event()
    stopping.set()
    await plugin.serve(stopping)  # the end tells what was counted
    assert logged(caplog) == expected
    await plugin.serve(stopping)
    assert logged(caplog) == expected


async def test_a_period_ends_by_itself_and_another_begins(caplog: pytest.LogCaptureFixture) -> None:
    plugin = parsed("errors {\n consolidate 1ms a\n}")
    assert isinstance(plugin, Errors)
    for count in (2, 1):
        await fail(plugin, *["a"] * count)
        timer = plugin.consolidations[0].timer
        assert timer is not None
        ended = asyncio.Event()
        asyncio.get_running_loop().call_at(timer.when(), ended.set)
        async with asyncio.timeout(2):
            await ended.wait()
        assert plugin.consolidations[0].timer is None
    assert logged(caplog) == [
        "ERROR 2 errors like 'a' occurred in last 1ms",
        "ERROR 1 errors like 'a' occurred in last 1ms",
    ]
