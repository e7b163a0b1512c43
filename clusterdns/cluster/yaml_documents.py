"""YAML text -> the API objects in it, built from the parser's events, one step at a time.

PyYAML's own constructor would hold the loop for a whole document and make dates of texts; what a
plain scalar means here is what Kubernetes takes it for. Documents are told apart before they are
parsed, as kubectl does it, so that a fault in one leaves the others readable.
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import yaml

from clusterdns.cluster.lists import Item, Step, Top, Unreadable, taken_apart
from clusterdns.errors import Place

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML has it
EVENTS_A_STEP = 64  # 0.3 ms of parsing with libyaml, 5 ms without


def read_yaml(stream: BinaryIO, file: str) -> Iterator[Step]:
    """Every object of a file of YAML documents."""
    sections = _Sections(stream)
    number = 0
    while sections.another():
        number += 1
        first_line = sections.first_line
        try:
            yield from _Builder(number, first_line).items(sections)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column) if mark else (0, 0)
            message = error.problem or error.context or "not well-formed"
            yield Unreadable(number, Place(file, first_line + line, column + 1), message)
        except (yaml.YAMLError, ValueError) as error:
            message = str(error).splitlines()[0]
            yield Unreadable(number, Place(file, first_line, 1), message)
        sections.skip()


class _Sections:
    """A file of YAML, document by document: `read` ends before each line that starts with `---`."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._line = b""  # the line that comes next
        self._number = 0  # its number, from 1
        self._ended = True  # whether the section is read to its end
        self._content = False  # whether the section holds more than comments and directives
        self.first_line = 1
        self._advance()

    def another(self) -> bool:
        """Goes on to the next section that holds anything; False at the end of the file."""
        while self._line and _holds_nothing(self._line):
            self._advance()
        self.first_line = self._number
        self._ended = self._content = False
        return bool(self._line)

    def skip(self) -> None:
        """Reads the rest of the section, that nobody wants."""
        while self.read(1 << 16):
            pass

    def read(self, size: int) -> bytes:
        """The next octets of the section, whole lines; b"" at its end."""
        lines: list[bytes] = []
        length = 0
        while length < size and not self._ended:
            if not self._line or (self._content and _is_marker(self._line)):
                self._ended = True
                break
            self._content = self._content or not _idle(self._line)
            lines.append(self._line)
            length += len(self._line)
            self._ended = self._line.startswith(b"...")
            self._advance()
        return b"".join(lines)

    def _advance(self) -> None:
        self._line = self._stream.readline()
        self._number += 1


def _is_marker(line: bytes) -> bool:
    return line.startswith(b"---") and line[3:4] in (b"", b" ", b"\t", b"\r", b"\n")


def _holds_nothing(line: bytes) -> bool:
    """Whether a line between documents may be passed over; directives belong to what follows."""
    if _is_marker(line):
        return _idle(line[3:])
    return line.startswith(b"...") or (_idle(line) and not line.startswith(b"%"))


def _idle(line: bytes) -> bool:
    """Whether a line is blank, a comment or a directive."""
    stripped = line.strip()
    return not stripped or stripped.startswith(b"#") or line.startswith(b"%")


class _Frame:
    """A collection that is still being read."""

    __slots__ = ("anchor", "has_key", "key", "line", "merged", "streams", "value")

    def __init__(self, value: Any, line: int, anchor: str | None, streams: bool) -> None:
        self.value: Any = value  # a dict or a list
        self.line, self.anchor = line, anchor
        self.has_key = False
        self.key: Any = None
        self.merged: list[dict[Any, Any]] = []  # what `<<` brings in
        self.streams = streams  # `items` of the outermost mapping


class _Builder:
    """Makes the objects of one document from the parser's events."""

    def __init__(self, document: int, first_line: int) -> None:
        self._document, self._first_line = document, first_line
        self._top = Top(document, first_line)
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Any] = {}
        self._streamed = False  # whether the value just finished went out element by element
        self._whole: list[Item] = []  # the document itself, until it is known to end well

    def items(self, sections: _Sections) -> Iterator[Step]:
        loader = _Loader(sections)
        try:
            count = 0
            while loader.check_event():
                yield from self._step(loader.get_event())
                count += 1
                if count % EVENTS_A_STEP == 0:
                    yield None
        finally:
            loader.dispose()
        yield from self._whole

    def _step(self, event: yaml.Event) -> Iterator[Item]:
        if isinstance(event, yaml.ScalarEvent):
            yield from self._value(_scalar(event), event, event.anchor)
        elif isinstance(event, yaml.MappingStartEvent):
            value = {} if self._stack else self._top.fields
            self._open(value, event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open([], event)
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self._stack.pop()
            self._streamed = frame.streams
            for merged in frame.merged:
                for key, value in merged.items():
                    frame.value.setdefault(key, value)
            yield from self._value(frame.value, event, frame.anchor, frame.line)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:  # or it stands inside of what it names
                raise _fault(f"found undefined alias {event.anchor!r}", event)
            yield from self._value(self._anchors[event.anchor], event, None)

    def _open(self, value: Any, event: yaml.NodeEvent) -> None:
        streams = (
            isinstance(value, list)
            and len(self._stack) == 1
            and (self._stack[0].has_key and self._stack[0].key == "items")
        )
        if streams:
            self._top.begin_items()
        line = self._first_line + _line(event)
        self._stack.append(_Frame(value, line, event.anchor, streams))

    def _value(
        self, value: Any, event: yaml.Event, anchor: str | None, line: int = 0
    ) -> Iterator[Item]:
        """Puts a finished value where it belongs."""
        if anchor:
            self._anchors[anchor] = value
        if not self._stack:
            if value is self._top.fields:
                self._whole += self._top.end()
            else:
                self._whole += taken_apart(Item(self._document, line or self._first_line, value))
            return
        frame = self._stack[-1]
        if frame.streams:
            here = line or self._first_line + _line(event)
            yield from self._top.element(here, value)
        elif isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.has_key:
            self._pair(frame, value, event)
        else:
            if isinstance(value, dict | list):
                raise _fault("found a collection as a key", event)
            merges = value == "<<" and isinstance(event, yaml.ScalarEvent) and _is_plain(event)
            frame.has_key, frame.key = True, _MERGE if merges else value

    def _pair(self, frame: _Frame, value: Any, event: yaml.Event) -> None:
        frame.has_key = False
        if frame.key is _MERGE:
            merged = value if isinstance(value, list) else [value]
            if not all(isinstance(each, dict) for each in merged):
                raise _fault("expected a mapping to merge", event)
            frame.merged += merged
        elif not self._streamed:
            frame.value[frame.key] = value
        self._streamed = False


def _line(event: yaml.Event) -> int:
    """Where it starts, from 0 and counted in its document."""
    return event.start_mark.line if event.start_mark else 0


def _fault(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]  # the stubs forget the C parser


def _scalar(event: yaml.ScalarEvent) -> Any:
    """What Kubernetes takes a scalar for: dates stay text, as do unknown tags."""
    return _plain(event.value) if _is_plain(event) else event.value


def _is_plain(event: yaml.ScalarEvent) -> bool:
    """Whether its text decides what it is, as it is neither quoted nor tagged as text."""
    return bool(event.implicit[0] if event.tag is None else event.tag in _PLAIN_TAGS)


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    """The number that this spells, or else the text itself."""
    digits = text.replace("_", "")
    if _DECIMAL.fullmatch(digits):
        return int(digits)
    if _FLOAT.fullmatch(digits):
        return float(digits)
    if _BASED.fullmatch(digits):
        return int(digits, 0)
    if _OCTAL.fullmatch(digits):
        return int(digits, 8)
    return text


_MERGE = object()  # the key `<<`, unless it is quoted
_PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null"))
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{
        form: word in ("true", "yes", "on")
        for word in ("true", "yes", "on", "false", "no", "off")
        for form in (word, word.title(), word.upper())
    },
}
# at most 20 digits: more would be no number that any field of the API could hold
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,19})")
_BASED = re.compile(r"[+-]?0(?:x[0-9a-fA-F]{1,16}|b[01]{1,64}|o[0-7]{1,22})")
_OCTAL = re.compile(r"[+-]?0[0-7]{1,22}")
_FLOAT = re.compile(
    r"[+-]?(?:[0-9]{1,20}\.[0-9]{0,20}|\.[0-9]{1,20}|[0-9]{1,20}(?=[eE]))(?:[eE][+-]?[0-9]{1,3})?"
)
