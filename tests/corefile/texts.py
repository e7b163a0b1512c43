"""What the tests of the Corefile parser share: readers of files that exist nowhere, and texts."""

import fnmatch
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from clusterdns.corefile.files import Reader


def reader(files: Mapping[str, str | OSError]) -> Reader:
    """A Reader of these files, by path; an error stands for a file that cannot be read."""

    def read(pattern: str) -> Sequence[tuple[str, str]]:
        found = []
        for path in sorted(path for path in files if fnmatch.fnmatchcase(path, pattern)):
            content = files[path]
            if isinstance(content, OSError):
                raise content
            found.append((path, content))
        return found

    return read


# Texts made of what the grammar is made of meet its corners far sooner than any text does.
PIECES = st.sampled_from(
    [
        *'{}"#\\,\n\r ()$%:/.',
        *("import", "log", "(s)", "s", "a.conf", "*", "{$A}", "{%A%}", ".:53", "10.0.0.0/9"),
        *("\n}", "{\n", " ", "\n", "\ufeff", "\xa0", "\x00", "é"),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))
