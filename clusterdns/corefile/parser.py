"""A Corefile's text as server blocks: `parse` and `load`.

What CoreDNS accepts is accepted, the odd things with a warning; what it refuses is a ConfigError.
Which directives exist, and what they take, is not known here.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType

from clusterdns.corefile.defaults import EMPTY
from clusterdns.corefile.files import Reader, no_files, read_files, read_text
from clusterdns.corefile.findings import Findings
from clusterdns.corefile.imports import Stop, Words, imports_itself
from clusterdns.corefile.keys import oddity
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Corefile, Directive, ServerBlock
from clusterdns.errors import ConfigError, Place

__all__ = ["Corefile", "Directive", "ServerBlock", "load", "parse"]

MAX_DEPTH = 20  # braces in braces; no directive has more than one level of its own
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


def parse(
    text: str,
    file: str,
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    read: Reader = no_files,
    errors: list[ConfigError] | None = None,
) -> Corefile:
    """The server blocks of a Corefile; of a text without any, CoreDNS' own default.

    file: its name in messages; what it imports is relative to its directory.
    errors: takes every fault, and the Corefile then holds what could be read beside them.
    Raises ConfigError at the first fault when `errors` is None.
    """
    findings = Findings(errors)
    parser = _Parser(Words(text, file, environ, read, findings), findings)
    with suppress(Stop):  # the fault has been gathered
        parser.run()
    if not parser.blocks and not errors:
        findings.warn("no server block: `whoami` and `log` are served for .", Place(file, 1, 1))
        return replace(parse(EMPTY, "default"), warnings=findings.warnings)
    return Corefile(tuple(parser.blocks), findings.warnings)


def load(
    path: str,
    environ: Mapping[str, str] = os.environ,
    errors: list[ConfigError] | None = None,
) -> Corefile:
    """The Corefile at a path, its imports read from the disk. As `parse`.

    Raises ConfigError, in any case, when the file itself cannot be read.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read the Corefile {path}: {reason}") from error
    return parse(text, path, environ, read_files, errors)


class _Parser:
    """Goes through the words once. Its methods take words and give parts of the tree."""

    def __init__(self, words: Words, findings: Findings) -> None:
        self.blocks: list[ServerBlock] = []
        self._words = words
        self._warn = findings.warn
        self._fault = findings.fault

    def run(self) -> None:
        """Fills `blocks`; snippets are set aside where they stand."""
        while (start := self._words.peek()) is not None:
            if self._words.last is not None and not start.first:
                self._warn(f"{start.text!r} behind a brace opens another server block", start.place)
            keys = self._keys()
            opening = self._words.peek()
            if opening is not None and _is_snippet(keys):
                self._snippet(keys[0])
            else:
                self._server_block(keys, start)

    def _server_block(self, keys: tuple[Token, ...], start: Token) -> None:
        for key in keys:
            if odd := oddity(key.text):
                self._warn(odd, key.place)
        directives = tuple(self._contents())
        if keys:
            self.blocks.append(ServerBlock(keys, directives))
        elif directives:
            self._warn("a server block without a key is passed over", start.place)

    def _keys(self) -> tuple[Token, ...]:
        """The keys of a server block, up to its brace or its first directive.

        They stand on one line, which goes on behind a comma at its end.
        """
        keys: list[Token] = []
        begun = False
        comma: Token | None = None  # the key before, when it ends in one
        while (token := self._words.peek()) is not None:
            if token.first and begun and not comma:
                break
            if token.first and token.text == "import":  # here a variable may say it
                self._words.next()
                self._words.import_named(token)
                continue
            if token.opens():
                break
            self._words.next()
            begun = True
            if token.text:
                comma = token if token.text.endswith(",") else None
            if key := self._key(token):
                keys.append(key)
        if comma is not None:
            self._fault("a key must follow the comma", comma.place)
        return tuple(keys)

    def _key(self, token: Token) -> Token | None:
        """A key without its comma; None for the empty word, which CoreDNS passes over."""
        if not token.text:
            self._warn("an empty key is passed over", token.place)
            return None
        if token.text == ",":
            self._fault("a comma needs a key before it", token.place)
            return None
        return token._replace(text=token.text.removesuffix(","))

    def _snippet(self, key: Token) -> None:
        """Sets a snippet aside; its body is parsed where it is imported."""
        opening = self._words.peek()
        name = key.text[1:-1]
        if opening is None or not opening.opens():
            self._fault(f"the snippet {name} needs a {{ behind its name", key.place)
            return
        self._words.next()
        body = self._body(opening)
        if name in self._words.snippets:
            self._fault(f"the snippet {name} is declared twice", key.place)
            return
        if own := imports_itself(name, body):
            self._fault(f"the snippet {name} imports itself", own.place)
        self._words.snippets[name] = body

    def _body(self, opening: Token) -> list[Token]:
        """The words up to the brace that closes the one just taken."""
        body: list[Token] = []
        depth = 1
        while (token := self._words.next()) is not None:
            depth += token.opens() - token.closes()
            if depth == 0:
                return body
            body.append(token)
        self._fault("this { is never closed", opening.place)
        return body

    def _contents(self) -> Iterator[Directive]:
        """The directives of a server block, with or without braces around them."""
        opening = self._words.peek()
        if opening is not None and opening.opens():
            self._words.next()
        else:
            opening = None
        empty = True
        while (token := self._words.next()) is not None:
            if token.closes() and not empty and not token.first:
                self._fault("} must stand on a line of its own, and close a {", token.place)
                following = self._words.peek()
                if following is not None and following.closes():
                    continue  # that one ends the block
            if token.closes():
                if opening is None:
                    self._warn("} without a { ends this server block", token.place)
                return
            if token.imports():
                self._words.import_named(token)
            else:
                empty = False
                yield from self._directive(token)
        if opening is not None:
            self._missing_end(opening)

    def _missing_end(self, opening: Token) -> None:
        """The text ended inside a server block. CoreDNS is content with any } as the last word."""
        last = self._words.last
        if last is not None and last.closes():
            self._warn("this { of a server block is never closed", opening.place)
        else:
            self._fault("this { of a server block is never closed", opening.place)

    def _directive(self, name: Token) -> Iterator[Directive]:
        """A directive; and once more the directive for each thing that stands behind its block."""
        if name.opens():
            self._fault("a { must stand on the line of what it belongs to", name.place)
            self._options(name, 1)
            return
        arguments, block, _ = self._line(0)
        yield Directive(name, arguments, block)
        while (token := self._words.peek()) is not None:
            if token.opens():
                yield from self._stray_block(name)
            elif token.first or token.closes():
                return
            else:
                yield self._again(name)

    def _again(self, name: Token) -> Directive:
        """Text behind a block's brace: CoreDNS takes its first word for the directive's name."""
        word = self._words.next()
        assert word is not None
        self._warn(f"{word.text!r} behind a brace counts as another {name.text}", word.place)
        arguments, block, _ = self._line(0)
        return Directive(name._replace(place=word.place), arguments, block)

    def _stray_block(self, name: Token) -> Iterator[Directive]:
        """A block that opens on a line of its own: CoreDNS takes each line for the directive."""
        opening = self._words.next()
        assert opening is not None
        message = f"this {{ is not on the line of {name.text}: each line counts as another one"
        self._warn(message, opening.place)
        yield Directive(name._replace(place=opening.place))
        for line in self._options(opening, 1)[0]:
            yield Directive(name._replace(place=line.name.place), line.arguments, line.block)

    def _line(self, depth: int) -> tuple[tuple[Token, ...], tuple[Directive, ...] | None, int]:
        """The rest of a line: arguments, the block that it opens, and how many it closes.

        depth: how many blocks are open. Their braces, when they close here, are arguments too;
            a brace that closes none of them is left.
        """
        arguments: list[Token] = []
        closed = 0
        while (token := self._words.peek()) is not None and not token.first:
            if token.opens() and closed:
                self._fault("a { behind a } on one line", token.place)
            elif token.opens():
                self._words.next()
                block, closed = self._options(token, depth + 1)
                return tuple(arguments), block, closed
            elif token.closes():
                if closed == depth:
                    break
                closed += 1
            arguments.append(token)
            self._words.next()
        return tuple(arguments), None, closed

    def _options(self, opening: Token, depth: int) -> tuple[tuple[Directive, ...], int]:
        """The lines of a block whose brace was just taken, and how many outer blocks end there."""
        if depth > MAX_DEPTH:
            self._fault(f"more than {MAX_DEPTH} blocks in one another", opening.place)
            raise Stop
        lines: list[Directive] = []
        while (token := self._words.next()) is not None:
            if token.closes():
                return tuple(lines), 0
            if token.imports() and token.first:
                self._words.import_named(token)
                continue
            if token.opens():
                arguments: tuple[Token, ...] = ()
                block: tuple[Directive, ...] | None
                block, closed = self._options(token, depth + 1)
            else:
                arguments, block, closed = self._line(depth)
            lines.append(Directive(token, arguments, block))
            if closed:
                return tuple(lines), closed - 1
        self._fault("this { is never closed", opening.place)
        return tuple(lines), 0


def _is_snippet(keys: tuple[Token, ...]) -> bool:
    return len(keys) == 1 and keys[0].text.startswith("(") and keys[0].text.endswith(")")
