"""The words of a Corefile in the order they count: `import` replaced by what it names."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clusterdns.corefile.files import Reader
from clusterdns.corefile.findings import Findings
from clusterdns.corefile.lexer import Token, lex

# CoreDNS' own limits. An import that comes back to itself is found at once; these stop what
# doubles from import to import.
MAX_SNIPPETS = 10_000
MAX_FILES = 100_000


class Stop(Exception):
    """Reading ends here: going on would only repeat the fault that has been reported."""


@dataclass(slots=True)
class _Source:
    """Words being read: a snippet's, or those of all files that one import names."""

    words: Sequence[Token]
    snippet: str | None = None
    at: int = 0  # the next word

    def name(self) -> str:
        """The snippet, or the file of the word taken last."""
        return self.snippet or os.path.normpath(self.words[self.at - 1].place.file)


class Words:
    """The words of a Corefile and of all it imports, one after the other.

    Words are put in, not parsed parts, so that an imported file may open a block which the
    importing one closes.
    """

    def __init__(
        self,
        text: str,
        file: str,
        environ: Mapping[str, str],
        read: Reader,
        findings: Findings,
    ) -> None:
        self.last: Token | None = None  # the word that `next` gave last, imports aside
        self.snippets: dict[str, list[Token]] = {}
        self._environ = environ
        self._read = read
        self._findings = findings
        self._files: dict[str, list[Token]] = {}  # by path; a file is read once
        self._left = {"snippet": MAX_SNIPPETS, "file": MAX_FILES}
        self._sources: list[_Source] = []  # the import chain, the innermost last
        self._sources.append(_Source(lex(text, file, environ, findings)))

    def peek(self) -> Token | None:
        """The word that comes next; None at the end."""
        while self._sources:
            source = self._sources[-1]
            if source.at < len(source.words):
                return source.words[source.at]
            self._sources.pop()
        return None

    def next(self) -> Token | None:
        """The word that comes next, taken; None at the end."""
        token = self.peek()
        if token is not None:
            self._sources[-1].at += 1
            if not token.imports():
                self.last = token
        return token

    def import_named(self, word: Token) -> None:
        """Puts in what the rest of the line names; `word`, the `import`, was the last one taken."""
        arguments = self._rest_of_line()
        if not arguments:
            self._findings.fault("import needs the name of a file or snippet", word.place)
        elif len(arguments) > 1:
            message = (
                f"import takes one file, pattern or snippet; {arguments[1].text!r} is too much"
            )
            self._findings.fault(message, arguments[1].place)
        elif not arguments[0].text:
            self._findings.fault("import of an empty name", arguments[0].place)
        elif arguments[0].text in self.snippets:
            self._import_snippet(arguments[0])
        else:
            self._import_files(arguments[0])

    def _rest_of_line(self) -> list[Token]:
        """Words behind the last one taken. Looks at its source only, which stays on the chain."""
        source = self._sources[-1]
        start = source.at
        while source.at < len(source.words) and not source.words[source.at].first:
            source.at += 1
        return list(source.words[start : source.at])

    def _import_files(self, name: Token) -> None:
        directory = os.path.dirname(name.place.file)
        pattern = name.text
        if not os.path.isabs(pattern):
            pattern = os.path.normpath(os.path.join(directory, pattern))
        if wrong := _wrong_pattern(pattern):
            self._findings.fault(f"cannot import {name.text}: {wrong}", name.place)
            return
        try:
            files = self._read(pattern)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            path = getattr(error, "filename", None) or pattern
            reason = getattr(error, "strerror", None) or error
            self._findings.fault(f"cannot import {path}: {reason}", name.place, error)
            return
        if not files:
            self._none_found(name, pattern)
            return
        words = [word for path, text in files for word in self._words_of(path, text, name)]
        self._sources.append(_Source(words))

    def _words_of(self, path: str, text: str, importer: Token) -> list[Token]:
        """A file's words; none, and a fault, when it is on the way to itself."""
        if not self._may_enter(os.path.normpath(path), "file", importer):
            return []
        if path not in self._files:
            self._files[path] = lex(text, path, self._environ, self._findings)
        return self._files[path]

    def _import_snippet(self, name: Token) -> None:
        if self._may_enter(name.text, "snippet", name):
            words = list(self.snippets[name.text])
            words[:1] = [word._replace(first=True) for word in words[:1]]  # it stood behind a {
            self._sources.append(_Source(words, name.text))

    def _none_found(self, name: Token, pattern: str) -> None:
        if any(sign in pattern for sign in "*?[]"):
            # The line that people know from CoreDNS, and where it comes from.
            text = f"No files matching import glob pattern: {name.text}: nothing imported"
            self._findings.warn(text, name.place)
        else:
            self._findings.fault(f"the file to import is not there: {pattern}", name.place)

    def _may_enter(self, name: str, kind: str, importer: Token) -> bool:
        """Counts an import. Gives False, with a fault, when the chain of imports has it already."""
        chain = [
            source.name() for source in self._sources if bool(source.snippet) == (kind == "snippet")
        ]
        if name in chain:
            circle = " -> ".join([*chain[chain.index(name) :], name])
            self._findings.fault(f"the {kind} {name} imports itself: {circle}", importer.place)
            return False
        if self._left[kind] == 0:
            self._findings.fault(f"too many {kind}s are imported", importer.place)
            raise Stop
        self._left[kind] -= 1
        return True


def imports_itself(name: str, body: Sequence[Token]) -> Token | None:
    """The `import` in a snippet's body that names the snippet, at the start of a line."""
    for i, word in enumerate(body[:-1]):
        if word.imports() and (word.first or i == 0) and body[i + 1].text == name:
            return word
    return None


def _wrong_pattern(pattern: str) -> str | None:
    """What CoreDNS refuses in a pattern, or None. It fears patterns that take long to match."""
    if "[" in pattern:
        return "[ ] are not supported in patterns"
    if max(pattern.count("*"), pattern.count("?")) > 1:
        return "a pattern may hold one * and one ? at most"
    return None
