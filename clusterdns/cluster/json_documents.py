"""JSON text -> the API objects in it, read through a window that moves along the file."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from clusterdns.cluster.lists import Item, Step, Top, Unreadable, taken_apart
from clusterdns.errors import Place

CHUNK = 128 * 1024  # octets a read; decoding them takes 0.1 ms


def read_json(stream: BinaryIO, file: str) -> Iterator[Step]:
    """Every object of a file of JSON values, one after the other; `---` may stand between them.

    The first fault ends the reading: where the next value starts cannot be told.
    """
    window = _Window(stream)
    document = 0
    try:
        while window.skip_separator():
            document += 1
            yield from _document(window, document)
    except (ValueError, RecursionError) as error:
        line, column, message = window.fault(error)
        yield Unreadable(max(document, 1), Place(file, line, column), message)


def _document(window: "_Window", number: int) -> Iterator[Step]:
    line = window.line
    if window.peek() != "{":
        yield from taken_apart(Item(number, line, window.value()))
        return
    top = Top(number, line)
    for key in window.pairs():
        if key == "items" and window.peek() == "[":
            top.begin_items()
            for line in window.elements():
                yield from top.element(line, window.value())
                yield None
        else:
            top.fields[key] = window.value()
        yield None
    yield from top.end()


class _Window:
    """A stretch of the text, and where in it we are."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False
        self._line = 1  # where `_counted` is, from 1
        self._counted = 0  # how far in the window newlines are counted
        self._columns = 0  # characters before the window in the line that it starts in

    @property
    def line(self) -> int:
        """The line of the next character that is not white space, from 1."""
        self.peek()
        self._count()
        return self._line

    def peek(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches ""
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._fill(CHUNK)

    def take(self, character: str) -> None:
        """Steps over this character; raises JSONDecodeError when another comes."""
        if self.peek() != character:
            raise json.JSONDecodeError(f"expected {character!r}", self._text, self._at)
        self._at += 1

    def skip_separator(self) -> bool:
        """Steps over `---`; False at the end of the text."""
        while self.peek() == "-":
            for _ in range(3):
                self.take("-")
        return self.peek() != ""

    def value(self) -> Any:
        """The JSON value that comes next, whole."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or not self._may_be_cut(error):
                    raise
            else:
                if end < len(self._text) or self._ended:  # a number may go on in the next chunk
                    self._at = end
                    return value
            self._fill(max(CHUNK, len(self._text) - self._at))

    def pairs(self) -> Iterator[str]:
        """The keys of the object that comes next; the value must be read after each."""
        self.take("{")
        more = self.peek() != "}"
        while more:
            if self.peek() != '"':
                raise json.JSONDecodeError("expected a key", self._text, self._at)
            key: str = self.value()
            self.take(":")
            yield key
            more = self._another()
        self.take("}")

    def elements(self) -> Iterator[int]:
        """The line of each element of the array that comes next; each must then be read."""
        self.take("[")
        more = self.peek() != "]"
        while more:
            yield self.line
            more = self._another()
        self.take("]")

    def fault(self, error: Exception) -> tuple[int, int, str]:
        """Line, column and text for an error that reading raised."""
        at, message = self._at, str(error) or type(error).__name__
        if isinstance(error, json.JSONDecodeError):
            at, message = error.pos, error.msg[:1].lower() + error.msg[1:]
        elif isinstance(error, RecursionError):
            message = "nested too deeply"
        newline = self._text.rfind("\n", 0, at)
        column = at - newline if newline >= 0 else self._columns + at + 1
        return self._line + self._text.count("\n", self._counted, at), column, message

    def _another(self) -> bool:
        if self.peek() != ",":
            return False
        self._at += 1
        return True

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the fault may just be that the window ends here.

        A word, a number or an escape is cut within 16 characters of the end; a cut string is
        reported at its start.
        """
        return error.msg.startswith("Unterminated") or error.pos >= len(self._text) - 16

    def _count(self) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at

    def _fill(self, octets: int) -> None:
        """Drops what lies behind and reads on."""
        self._count()
        newline = self._text.rfind("\n", 0, self._at)
        self._columns = self._at - newline - 1 if newline >= 0 else self._columns + self._at
        data = self._stream.read(octets)
        self._ended = not data
        self._text = self._text[self._at :] + self._decoder.decode(data, final=self._ended)
        self._at = self._counted = 0


_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
