"""Which files a manifests source reads, when each changed, and what to watch for that."""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from clusterdns.errors import SourceError

SUFFIXES = (".yaml", ".yml", ".json")  # of files in directories, as `kubectl apply -f DIR` has it
STANDARD_INPUT = "-"
MOST_LINKS = 40  # symbolic links in a row, the kernel's own limit


class State(NamedTuple):
    """Changes whenever what stands at a path is another file, or was written to."""

    device: int
    inode: int
    modified_ns: int
    size: int


class Files:
    """The files that paths lead to: files, directories (not those below them), standard input."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        """Raises SourceError for a path that does not exist."""
        for path in paths:
            if path != STANDARD_INPUT and not os.path.exists(path):
                raise SourceError(f"{path}: no such file or directory")
        self._paths = tuple(dict.fromkeys(path.rstrip("/") or "/" for path in paths))
        self._ranks = {path: rank for rank, path in enumerate(self._paths)}

    def streams(self) -> list[str]:
        """The paths that can be read once only: standard input and pipes."""
        return [path for path in self._paths if path == STANDARD_INPUT or _is_pipe(path)]

    def rank(self, file: str) -> tuple[int, str]:
        """Its place in the order of the paths; files of one directory go by name."""
        rank = self._ranks.get(file)
        return (self._ranks.get(os.path.dirname(file), 0) if rank is None else rank, file)

    def present(self) -> Iterator[tuple[str, State]]:
        """Every regular file that is there now, in order."""
        for path in self._paths:
            if path == STANDARD_INPUT:
                continue
            for file in _entries(path) if os.path.isdir(path) else (path,):
                if (state := state_of(file)) is not None:
                    yield file, state

    def watched(self) -> set[tuple[str, int]]:
        """The directories whose entries matter, with their inodes.

        A file is watched in its directory: an editor puts another file in its place. A directory is
        in its parent's; a ConfigMap's files are links to links, and those are replaced.
        """
        found: set[tuple[str, int]] = set()
        for path in self._paths:
            if path == STANDARD_INPUT or _is_pipe(path):
                continue
            for directory in _around(os.path.abspath(path)):
                try:
                    found.add((directory, os.stat(directory).st_ino))
                except OSError:
                    continue  # what comes in its place is seen in its parent
        return found


def _entries(directory: str) -> list[str]:
    """The manifests in a directory, sorted; hidden ones are an editor's or a tool's."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []  # as if it were empty: it has just been removed
    return sorted(
        os.path.join(directory, name)
        for name in names
        if name.endswith(SUFFIXES) and not name.startswith(".")
    )


def state_of(file: str) -> State | None:
    """None for what is no regular file, or not there."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return State(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _is_pipe(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _around(path: str) -> Iterator[str]:
    """Directories in which this path, or a link on the way to what it names, is an entry."""
    yield os.path.dirname(path)
    for _ in range(MOST_LINKS):
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            break
        yield os.path.dirname(path)
    yield os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        yield path
