"""The nameservers of a resolv.conf-like file; nothing else in it means anything here."""

from collections.abc import Iterator
from pathlib import Path


def nameservers(path: Path) -> list[str]:
    """What stands behind each `nameserver`, in the file's order.

    Raises OSError for a file that cannot be read.
    """
    return list(_nameservers(path.read_text("utf-8", "replace")))


def _nameservers(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line[:1] in ("#", ";"):
            continue
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            yield words[1]
