"""What a Corefile holds: server blocks, their keys and directives."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clusterdns.corefile.lexer import Token, printed


@dataclass(frozen=True, slots=True)
class Directive:
    """One line, and the block that it opens: a directive, or an option in a directive's block.

    block: None without braces; () for empty ones.
    A block closed on the line of its last option leaves the "}" among that option's arguments,
    as CoreDNS has it; what checks the arguments then says so (`values`).
    """

    name: Token
    arguments: tuple[Token, ...] = ()
    block: "tuple[Directive, ...] | None" = None

    def __str__(self) -> str:
        """What it means, as its lines; see Corefile."""
        return "\n".join(_lines(self, ""))


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """Keys as written, never none, and the directives in the file's order, imports done."""

    keys: tuple[Token, ...]
    directives: tuple[Directive, ...] = ()

    def __str__(self) -> str:
        """What it means, as one text; see Corefile."""
        return _block_text(self)


@dataclass(frozen=True, slots=True)
class Corefile:
    """A Corefile as it was read.

    warnings: "file:line:column: text" for all that was accepted though it is odd.
    """

    blocks: tuple[ServerBlock, ...]
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What the Corefile means, as one: imports, snippets and variables put in, no comments.

        Equal texts mean equal configurations, wherever the words stand in whichever file.
        """
        return "".join([_block_text(block) for block in self.blocks])


def _block_text(block: ServerBlock) -> str:
    lines = [line for directive in block.directives for line in _lines(directive, "    ")]
    keys = [key._replace(text=key.text + "," * key.text.endswith(",")) for key in block.keys]
    return "\n".join([f"{_words(keys)} {{", *lines, "}", ""])


def _lines(directive: Directive, indent: str) -> Iterator[str]:
    words = indent + _words((directive.name, *directive.arguments))
    if directive.block is None:
        yield words
        return
    yield words if directive.name.opens() else words + " {"  # an option may be a { alone
    for option in directive.block:
        yield from _lines(option, indent + "    ")
    if not _closed_by_last_line(directive.block):
        yield indent + "}"


def _closed_by_last_line(block: tuple[Directive, ...]) -> int:
    """How many blocks the last line of this one closes, from this one outwards."""
    if not block:
        return 0
    if block[-1].block is None:
        return sum(word.closes() for word in block[-1].arguments)
    return max(0, _closed_by_last_line(block[-1].block) - 1)


def _words(tokens: Iterable[Token]) -> str:
    return printed(token._replace(first=False) for token in tokens).lstrip(" ")
