"""From the words of a template to its nodes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterdns.plugins.template.functions import FUNCTIONS
from clusterdns.plugins.template.nodes import Body, If, Leave, Node, Output, Range, Text, Use
from clusterdns.plugins.template.operands import (
    Command,
    Constant,
    Fields,
    Function,
    Operand,
    Pipeline,
)
from clusterdns.plugins.template.scanner import TemplateError, Word, words
from clusterdns.plugins.template.state import Break, Continue, State
from clusterdns.plugins.template.values import EvaluationError

DEEPEST = (
    50  # parentheses and blocks in each other: more than anybody reads, less than a stack holds
)
KEYWORDS = {
    *("if", "else", "end", "range", "with", "template", "define", "block", "break", "continue")
}
_CONSTANTS = {"true": True, "false": False, "nil": None}
_ENDS = ("end", "else")


@dataclass(frozen=True)
class Template:
    """A template read.

    text: as Go writes it again, in metrics. fields: the first names of fields of the data, wherever
        `$` or `.` is it.
    """

    text: str
    body: Body
    definitions: Mapping[str, Body]
    fields: frozenset[str]

    def write(self, data: Any) -> str:
        """The template for these data. Raises EvaluationError where it gives nothing."""
        state = State(self.definitions, [("$", data)])
        try:
            self.body.write(state, data)
        except (OverflowError, RecursionError) as error:
            raise EvaluationError(f"too much: {error}") from error
        return "".join(state.sheet.parts)


def parse(text: str) -> Template:
    """The template of a text. Raises TemplateError at what is none."""
    parser = _Parser(text)
    body = parser.body(())
    parser.need("end")
    return Template(str(body), body, parser.definitions, frozenset(parser.fields))


class _Parser:
    """One pass over the words, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._words = list(words(text))
        self._at = 0
        self._depth = 0
        self._loops = 0
        self._names = ["$"]  # variables in scope
        self._is_data = True  # whether `dot` is the data
        self._is_main = True  # whether $ is
        self.definitions: dict[str, Body] = {}
        self.fields: set[str] = set()

    @property
    def word(self) -> Word:
        return self._words[self._at]

    def body(self, ends: tuple[str, ...]) -> Body:
        """Nodes up to an action that is one of these keywords, which comes next."""
        self._deeper()
        nodes: list[Node] = []
        count = len(self._names)
        while self.word.kind != "end" and not self._is_end(ends):
            if self.word.kind == "text":
                nodes.append(Text(self._take().value))
            else:
                self.need("left")
                if node := self._action():
                    nodes.append(node)
        del self._names[count:]
        self._depth -= 1
        return Body(tuple(nodes))

    def need(self, kind: str, value: str | None = None) -> Word:
        """Takes a word of this kind."""
        word = self.word
        if word.kind != kind or (value is not None and word.value != value):
            raise self._unexpected(value or {"right": "}}", "end": "the end"}.get(kind, kind))
        return self._take()

    def _take(self) -> Word:
        self._at += 1
        return self._words[self._at - 1]

    def _took(self, kind: str, value: str) -> bool:
        is_here = self.word.kind == kind and self.word.value == value
        self._at += is_here
        return is_here

    def _is_end(self, ends: tuple[str, ...]) -> bool:
        behind = self._words[min(self._at + 1, len(self._words) - 1)]
        return self.word.kind == "left" and behind.kind == "word" and behind.value in ends

    def _unexpected(self, wanted: str) -> TemplateError:
        word = self.word
        found = "the end" if word.kind == "end" else repr(word.value)
        return TemplateError(f"{found} stands where {wanted} should", word.at)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateError(f"more than {DEEPEST} levels in each other", self.word.at)

    def _action(self) -> Node | None:
        word = self.word
        if word.kind != "word" or word.value not in KEYWORDS:
            pipeline = self._pipeline("right")
            return Output(pipeline)
        self._take()
        ways: dict[str, Callable[[], Node | None]] = {
            "if": lambda: self._if(moves_dot=False),
            "with": lambda: self._if(moves_dot=True),
            "range": self._range,
            "template": self._use,
            "define": self._define,
            "block": self._block,
            "break": lambda: self._leave(word, Break),
            "continue": lambda: self._leave(word, Continue),
        }
        if word.value not in ways:
            raise TemplateError(f"{{{{{word.value}}}}} without a beginning", word.at)
        return ways[word.value]()

    def _if(self, moves_dot: bool) -> Node:
        count = len(self._names)
        pipeline = self._pipeline("right")
        body = self._inside(_ENDS, moves_dot)
        otherwise = self._otherwise("with" if moves_dot else "if")
        del self._names[count:]
        return If(pipeline, body, otherwise, moves_dot)

    def _inside(self, ends: tuple[str, ...], moves_dot: bool) -> Body:
        was_data, self._is_data = self._is_data, self._is_data and not moves_dot
        body = self.body(ends)
        self._is_data = was_data
        return body

    def _otherwise(self, keyword: str) -> Body:
        """What stands behind {{else}}, which may be another {{if}}; takes the {{end}}."""
        self.need("left")
        if self._took("word", "end"):
            self.need("right")
            return Body(())
        self.need("word", "else")
        if keyword != "range" and self._took("word", keyword):
            return Body((self._if(moves_dot=keyword == "with"),))
        self.need("right")
        body = self.body(("end",))
        self._end()
        return body

    def _end(self) -> None:
        self.need("left")
        self.need("word", "end")
        self.need("right")

    def _range(self) -> Node:
        count = len(self._names)
        pipeline = self._pipeline("right", most=2)
        self._loops += 1
        body = self._inside(_ENDS, moves_dot=True)
        self._loops -= 1
        otherwise = self._otherwise("range")
        del self._names[count:]
        items = Pipeline(pipeline.commands)
        return Range(items, pipeline.names, pipeline.declares, body, otherwise)

    def _leave(self, word: Word, way: type[Break] | type[Continue]) -> Node:
        if not self._loops:
            raise TemplateError(f"{{{{{word.value}}}}} outside of {{{{range}}}}", word.at)
        self.need("right")
        return Leave(way)

    def _name(self) -> str:
        word = self.need("constant")
        if not isinstance(word.value, str):
            raise TemplateError(f"{word.value!r} is no name of a template", word.at)
        return word.value

    def _use(self) -> Node:
        name = self._name()
        if self.word.kind == "right":
            self._take()
            return Use(name, None)
        return Use(name, self._pipeline("right"))

    def _define(self) -> None:
        if self._depth > 1:
            raise TemplateError("{{define}} inside of something else", self.word.at)
        name = self._name()
        self.need("right")
        self.definitions[name] = self._separate()

    def _block(self) -> Node:
        name = self._name()
        pipeline = self._pipeline("right")
        self.definitions[name] = self._separate()
        return Use(name, pipeline)

    def _separate(self) -> Body:
        """The body of a template of its own, with {{end}}: no variable but $ is seen in it."""
        before = self._names, self._loops, self._is_data, self._is_main
        self._names, self._loops, self._is_data, self._is_main = ["$"], 0, False, False
        body = self.body(("end",))
        self._end()
        self._names, self._loops, self._is_data, self._is_main = before
        return body

    def _pipeline(self, end: str, most: int = 1) -> Pipeline:
        """Up to and with the word that ends it: "right" or ")"."""
        self._deeper()
        names, declares = self._declared(most)
        commands = [self._command()]
        while self._took("sign", "|") and not self._ends_command():  # Go lets a | end it
            commands.append(self._command())
            if isinstance(commands[-1].operands[0], Constant):
                raise TemplateError("a constant behind |", self.word.at)
        if end == "right":
            self.need("right")
        else:
            self.need("sign", ")")
        self._names += names
        self._depth -= 1
        return Pipeline(tuple(commands), names, declares)

    def _declared(self, most: int) -> tuple[tuple[str, ...], bool]:
        """The variables before := or =, and whether it is :=."""
        start, names = self._at, list[str]()
        while self.word.kind == "variable" and len(names) < most:
            names.append(self._take().value)
            if self._is_sign(":=", "="):
                return tuple(names), self._take().value == ":="
            if not self._took("sign", ","):
                break
        self._at = start
        return (), True

    def _check_variable(self, name: str, at: int) -> None:
        if name not in self._names:
            raise TemplateError(f"undefined variable {name!r}", self._words[at].at)

    def _command(self) -> Command:
        operands: list[Operand] = []
        while not self._ends_command():
            if operands and self.word.glued:
                raise self._unexpected("white space")
            operands.append(self._operand())
        if not operands:
            raise self._unexpected("a value")
        return Command(tuple(operands))

    def _ends_command(self) -> bool:
        word = self.word
        return word.kind in ("right", "end") or self._is_sign("|", ")", ":=", "=", ",")

    def _is_sign(self, *signs: str) -> bool:
        return self.word.kind == "sign" and self.word.value in signs

    def _operand(self) -> Operand:
        at, word = self._at, self._take()
        match word.kind:
            case "constant":
                return Constant(word.value, word.source)
            case "word" if word.value in _CONSTANTS:
                return Constant(_CONSTANTS[word.value])
            case "word" if word.value in FUNCTIONS:
                return Function(word.value)
            case "word" if word.value in KEYWORDS:
                raise TemplateError(f"{word.value!r} stands where a value should", word.at)
            case "word":
                raise TemplateError(f"function {word.value!r} not defined", word.at)
            case "field":
                names = (word.value, *self._more_fields())
                if self._is_data:
                    self.fields.add(names[0])
                return Fields(None, names)
            case "variable":
                self._check_variable(word.value, at)
                names = self._more_fields()
                if word.value == "$" and self._is_main:
                    self.fields.update(names[:1])
                return Fields(word.value, names)
            case "sign" if word.value == ".":
                return Fields(None, ())
            case "sign" if word.value == "(":
                return Fields(self._pipeline(")"), self._more_fields())
        self._at = at
        raise self._unexpected("a value")

    def _more_fields(self) -> tuple[str, ...]:
        names = []
        while self.word.kind == "field" and self.word.glued:
            names.append(self._take().value)
        return tuple(names)
