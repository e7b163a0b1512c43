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
