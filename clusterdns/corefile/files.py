"""Files that an `import` names: where a pattern leads, and what is in them."""

import os
import re
from collections.abc import Callable, Sequence

# From a path or a pattern to (path, text) of each file that it names, in the order of their
# paths; () when there is none. Raises OSError for one that is there and cannot be read; its
# `filename` says which.
Reader = Callable[[str], Sequence[tuple[str, str]]]

_WILD = re.compile(r"[*?\\]")  # a backslash takes the meaning from what follows it
_PATTERN = re.compile(r"\\(?P<plain>.)|(?P<any>\*)|(?P<one>\?)|(?P<other>.)", re.DOTALL)


def no_files(pattern: str) -> Sequence[tuple[str, str]]:
    """A Reader for texts that stand alone: finds nothing."""
    return ()


def read_files(pattern: str) -> Sequence[tuple[str, str]]:
    """A Reader of the disk. Octets that are no UTF-8 become U+FFFD, as in CoreDNS."""
    return [(path, read_text(path)) for path in matching(pattern)]


def read_text(path: str) -> str:
    """The text of a file. Raises OSError."""
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def matching(pattern: str) -> list[str]:
    """The paths that match, sorted; `*` and `?` stand for no slash, but for a leading dot too.

    The rules of Go's path/filepath.Glob without its [ranges]; directories that cannot be read
    match nothing.
    """
    if not _WILD.search(pattern):
        return [pattern] if os.path.lexists(pattern) else []
    directory, name = os.path.split(pattern)
    fits = re.compile(_PATTERN.sub(_as_regex, name), re.DOTALL).fullmatch
    directories = matching(directory) if _WILD.search(directory) else [directory]
    return [
        os.path.join(parent, entry)
        for parent in directories
        for entry in sorted(_entries(parent))
        if fits(entry)
    ]


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory or ".")
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return []


def _as_regex(part: re.Match[str]) -> str:
    if part["any"]:
        return "[^/]*"
    if part["one"]:
        return "[^/]"
    return re.escape(part["plain"] or part["other"])
