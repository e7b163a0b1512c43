"""A Corefile's text as words: white space, quotes, comments and environment variables."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from clusterdns.corefile.environment import substitute
from clusterdns.corefile.findings import Findings
from clusterdns.errors import Place


class Token(NamedTuple):
    """One word, without its quotes and with environment variables put in.

    place: of its first character, or of its opening quote.
    first: it begins a line, or what an `import` brought.
    substituted: an environment variable stood in it; such a word is never a brace nor `import`.
    """

    text: str
    place: Place
    quoted: bool = False
    first: bool = False
    substituted: bool = False

    def opens(self) -> bool:
        """Whether it is the brace that opens a block."""
        return self.text == "{" and not self.substituted

    def closes(self) -> bool:
        """Whether it is the brace that closes a block."""
        return self.text == "}" and not self.substituted

    def imports(self) -> bool:
        """Whether it is the word `import`; where it stands decides if something is imported."""
        return self.text == "import" and not self.substituted


# White space as Go has it, without the carriage return: that one is skipped wherever it stands
# outside of quotes, within a word too. Python's \s has four control characters more.
_SPACE = "\t\n\v\f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_PIECE = re.compile(
    rf"""(?P<space> [{_SPACE}\r]+ )
    | (?P<comment> \#[^\n]* )
    | (?P<quote> ") (?P<quoted> (?: [^"\\] | \\. | \\\Z )*+ ) (?P<end> "?)
    | (?P<word> [^{_SPACE}\#]+ ) (?P<glued> \#[^{_SPACE}]* )?""",
    re.VERBOSE | re.DOTALL,  # VERBOSE leaves the white space in [] alone
)
_ESCAPE = re.compile(r"\\(\"|.|\Z)", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")  # octets of a variable or of standard input: no UTF-8
_NOT_BARE = re.compile(rf'^"|^$|[{_SPACE}\r#]')  # what cannot be written without quotes


def lex(text: str, file: str, environ: Mapping[str, str], findings: Findings) -> list[Token]:
    """The words of a text in order.

    Any text has words: a quote without its end reaches to the end of the text, with a warning.
    A fault where environment variables refer to each other without end.
    """
    return list(_tokens(text.removeprefix("\ufeff"), file, environ, findings))


def printed(tokens: Iterable[Token]) -> str:
    """A text with the same words on the same lines, which `lex` reads as the same tokens.

    A word that came in from the environment and fits no quoting is not promised to survive: one
    with white space and a backslash at its end or before a quote.
    """
    pieces = []
    for token in tokens:
        pieces.append("\n" if token.first else " ")
        bare = not token.quoted and not _NOT_BARE.search(token.text)
        pieces.append(token.text if bare else '"' + token.text.replace('"', '\\"') + '"')
    return "".join(pieces)


def _tokens(
    text: str, file: str, environ: Mapping[str, str], findings: Findings
) -> Iterator[Token]:
    line, line_start = 1, 0
    first = True
    cut: Place | None = None  # where a comment was glued to the word before, on this line
    for piece in _PIECE.finditer(text):
        place = Place(file, line, piece.start() - line_start + 1)
        if newlines := piece[0].count("\n"):
            line += newlines
            line_start = piece.start() + piece[0].rindex("\n") + 1
        if piece["space"]:
            if newlines:
                first, cut = True, None
            continue
        word = _word(piece, place, findings)
        if word is None:
            continue
        if cut:
            findings.warn("this comment ends at the next white space; put a space before #", cut)
        if piece["quote"] and word in ("{", "}"):
            findings.warn("a brace opens or closes a block in quotes too", place)
        replaced = substitute(word, environ, place, findings)
        yield Token(
            _SURROGATE.sub("\ufffd", replaced),
            place,
            quoted=piece["quote"] is not None,
            first=first,
            substituted=replaced != word,
        )
        first = False
        column = place.column + piece.end() - piece.start() - len(piece["glued"] or "")
        cut = place._replace(column=column) if piece["glued"] else None


def _word(piece: re.Match[str], place: Place, findings: Findings) -> str | None:
    """What a piece of text says; None for a comment and for a quote with nothing behind it."""
    if piece["word"]:
        return piece["word"].replace("\r", "")
    if piece["comment"]:
        return None
    word = _ESCAPE.sub(_unescaped, piece["quoted"])
    if piece["end"]:
        return word
    findings.warn("this quote is never closed: it reaches to the end of the file", place)
    return word or None


def _unescaped(escape: re.Match[str]) -> str:
    """A quote for a backslash and a quote; other backslashes are themselves."""
    if escape[1] == '"':
        return '"'
    return escape[0] if escape[1] else ""
