import io
import logging
from collections.abc import Iterator

import pytest

from clusterdns import logs
from tests.loggers import as_before

LINES = {
    "a plugin": ("clusterdns.plugins.errors", logging.ERROR, "[ERROR] plugin/errors: text\n"),
    "a module below a plugin": (
        "clusterdns.plugins.forward.policy",
        logging.WARNING,
        "[WARNING] plugin/forward: text\n",
    ),
    "any other part": ("clusterdns.lifecycle", logging.INFO, "[INFO] text\n"),
    "what ends the process": (
        "clusterdns.plugins.loop",
        logging.CRITICAL,
        "[FATAL] plugin/loop: text\n",
    ),
    "our own DEBUG is off": ("clusterdns.plugins.log", logging.DEBUG, ""),
    "a library's INFO is off": ("aiohttp.access", logging.INFO, ""),
    "a library's warning": ("asyncio", logging.WARNING, "[WARNING] text\n"),
}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where lines go; the loggers are as before afterwards."""
    written = io.StringIO()
    with as_before():
        logs.install(written)
        yield written


@pytest.mark.parametrize(("name", "level", "expected"), LINES.values(), ids=LINES)
def test_line(stream: io.StringIO, name: str, level: int, expected: str) -> None:
    logging.getLogger(name).log(level, "%s", "text")
    assert stream.getvalue() == expected


def test_debug_lines_when_asked_for(stream: io.StringIO) -> None:
    logs.install(stream, debug=True)
    logging.getLogger("clusterdns.zone").debug("text")
    assert stream.getvalue() == "[DEBUG] text\n"


def test_installed_again_writes_once(stream: io.StringIO) -> None:
    logs.install(stream)
    logs.plugin_logger("health").info("Going into lameduck mode for %s", "5s")
    assert stream.getvalue() == "[INFO] plugin/health: Going into lameduck mode for 5s\n"


def test_traceback_follows(stream: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("clusterdns.server").exception("query failed")
    first, second, *_, last = stream.getvalue().splitlines()
    assert first == "[ERROR] query failed"
    assert second.startswith("Traceback")
    assert last == "ValueError: broken"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (5, "5s"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (90, "1m30s"),
        (90.25, "1m30.25s"),
        (3600, "1h0m0s"),
        (3601, "1h0m1s"),
        (0.5, "500ms"),
        (0.0015, "1.5ms"),
        (0.0000025, "2.5µs"),
        (0.000000007, "7ns"),
        (-5, "-5s"),
        (-0.25, "-250ms"),
        (100 * 3600, "100h0m0s"),
    ],
)
def test_duration_text(seconds: float, text: str) -> None:
    assert logs.duration_text(seconds) == text
