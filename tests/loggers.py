"""Loggers that are as before once a test has ended that installs the server's handler."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from clusterdns.logs import Lines


@contextmanager
def as_before() -> Iterator[None]:
    """The handler writes to a stream of its test, which is closed for all that come later."""
    root, ours = logging.getLogger(), logging.getLogger("clusterdns")
    levels = root.level, ours.level
    try:
        yield
    finally:
        for handler in root.handlers[:]:
            if isinstance(handler.formatter, Lines):
                root.removeHandler(handler)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
