"""Log lines as CoreDNS writes them: `[LEVEL] plugin/NAME: text` on standard output, no time stamp.

The runtime of the container adds the time. A logger's name decides the prefix: one of a module of
`clusterdns.plugins` speaks as its directive, and every other one without a prefix.
"""

import logging
import sys
from typing import IO

PLUGINS = "clusterdns.plugins."
LEVELS = {logging.CRITICAL: "FATAL"}  # Python's names are CoreDNS's otherwise


class Lines(logging.Formatter):
    """Formats a record; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        level = LEVELS.get(record.levelno, record.levelname)
        return f"[{level}] {prefix(record.name)}{super().format(record)}"


def prefix(logger: str) -> str:
    """What a logger's lines begin with: `plugin/loop: ` for clusterdns.plugins.loop and below."""
    if not logger.startswith(PLUGINS):
        return ""
    return f"plugin/{logger.removeprefix(PLUGINS).partition('.')[0]}: "


def plugin_logger(name: str) -> logging.Logger:
    """The logger that speaks as this directive, for parts that are no plugin."""
    return logging.getLogger(PLUGINS + name)


def duration_text(seconds: float) -> str:
    """A duration as Go prints it, and so in the lines of CoreDNS: 5s, 1m30s, 1h0m0s, 1.5ms."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanoseconds else ""
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if 0 < nanoseconds < min(size * 1000, 10**9):
            return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _decimal(number: int, unit: int) -> str:
    """number / unit, exactly, without zeros at its end."""
    whole, rest = divmod(number, unit)
    digits = f"{rest:0{len(str(unit)) - 1}}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def install(stream: IO[str] | None = None, debug: bool = False) -> logging.Handler:
    """Sends all log lines to `stream`, standard output unless given; replaces what was installed.

    Libraries are heard from WARNING on. debug: our own DEBUG lines too (directive `debug`).
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, Lines):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("clusterdns").setLevel(logging.DEBUG if debug else logging.INFO)
    return handler
