"""A template read, and how it is written out for a query."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusterdns.plugins.template import values
from clusterdns.plugins.template.functions import FUNCTIONS, LAZY
from clusterdns.plugins.template.values import EvaluationError, is_true, shown

DEEPEST = 100  # templates that use templates; Go's 100,000 would be more than our stack
MOST_OUTPUT = 65536  # characters: no record is longer
MOST_STEPS = 100_000  # turns of loops, and uses of templates: 50 ms, and more than any record takes
_NOTHING: Any = object()  # no value comes through the pipeline


@dataclass
class Sheet:
    """What is written on, and how much was done for it."""

    parts: list[str] = field(default_factory=list)
    size: int = 0
    steps: int = 0

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MOST_OUTPUT:
            raise EvaluationError(f"more than {MOST_OUTPUT} characters of output")
        self.parts.append(text)

    def step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise EvaluationError(f"more than {MOST_STEPS} steps")


@dataclass
class State:
    """A template being written. variables: the innermost last; the first is $."""

    definitions: Mapping[str, "Body"]
    variables: list[tuple[str, Any]]
    sheet: Sheet = field(default_factory=Sheet)
    depth: int = 0

    def find(self, name: str) -> int:
        """Where the innermost variable of this name is."""
        for at in reversed(range(len(self.variables))):
            if self.variables[at][0] == name:
                return at
        raise EvaluationError(f"undefined variable: {name}")

    def put(self, names: Sequence[str], values: Sequence[Any], declares: bool) -> None:
        """Gives variables values: new ones, or those that there are."""
        for name, value in zip(names, values, strict=False):
            if declares:
                self.variables.append((name, value))
            else:
                self.variables[self.find(name)] = (name, value)


class Break(Exception):
    """{{break}}"""


class Continue(Exception):
    """{{continue}}"""


class Node:
    """What stands in a template one behind the other. As a text it is as Go writes it again."""

    def write(self, state: State, dot: Any) -> None:
        raise NotImplementedError


class Operand:
    """What stands for a value."""

    def value(self, state: State, dot: Any) -> Any:
        raise NotImplementedError

    def call(self, state: State, dot: Any, arguments: Callable[[], list[Any]]) -> Any:
        """The value with arguments behind it, which only functions and methods take."""
        raise EvaluationError(f"can't give argument to non-function {self}")


@dataclass(frozen=True)
class Body:
    """Nodes in their order, with variables of their own."""

    nodes: tuple[Node, ...]

    def write(self, state: State, dot: Any) -> None:
        count = len(state.variables)
        for node in self.nodes:
            node.write(state, dot)
        del state.variables[count:]

    def __str__(self) -> str:
        return "".join(map(str, self.nodes))


@dataclass(frozen=True)
class Text(Node):
    """What stands outside of {{ }}."""

    text: str

    def write(self, state: State, dot: Any) -> None:
        state.sheet.write(self.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Output(Node):
    """A pipeline whose value is printed."""

    pipeline: "Pipeline"

    def write(self, state: State, dot: Any) -> None:
        value = self.pipeline.value(state, dot)
        if not self.pipeline.names:
            state.sheet.write(shown(value))

    def __str__(self) -> str:
        return f"{{{{{self.pipeline}}}}}"


@dataclass(frozen=True)
class If(Node):
    """{{if}} and {{with}}, for which `dot` becomes the value."""

    pipeline: "Pipeline"
    body: Body
    otherwise: Body
    moves_dot: bool

    def write(self, state: State, dot: Any) -> None:
        count = len(state.variables)
        value = self.pipeline.value(state, dot)
        if is_true(value):
            self.body.write(state, value if self.moves_dot else dot)
        else:
            self.otherwise.write(state, dot)
        del state.variables[count:]

    def __str__(self) -> str:
        return _block("with" if self.moves_dot else "if", self.pipeline, self.body, self.otherwise)


@dataclass(frozen=True)
class Range(Node):
    """{{range}} over a list, the values of a dict by its sorted keys, or the numbers below one."""

    pipeline: "Pipeline"
    names: tuple[str, ...]
    declares: bool
    body: Body
    otherwise: Body

    def write(self, state: State, dot: Any) -> None:
        count = len(state.variables)
        items = self._items(self.pipeline.value(state, dot))
        for key, item in items:
            state.sheet.step()
            named = (key, item) if len(self.names) == 2 else (item,)
            try:
                state.put(self.names, named, self.declares)
                self.body.write(state, item)
            except Continue:
                pass
            except Break:
                break
            finally:
                del state.variables[count:]
        if not items:
            self.otherwise.write(state, dot)

    def __str__(self) -> str:
        pipeline = Pipeline(self.pipeline.commands, self.names, self.declares)
        return _block("range", pipeline, self.body, self.otherwise)

    @staticmethod
    def _items(value: Any) -> Sequence[tuple[Any, Any]]:
        if value is None or value is values.NO_VALUE:
            return ()
        if isinstance(value, list):
            return list(enumerate(value))
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            if value > MOST_STEPS:
                raise EvaluationError(f"range over {value} is too long")
            return [(number, number) for number in range(value)]
        raise EvaluationError(f"range can't iterate over {shown(value)}")


@dataclass(frozen=True)
class Use(Node):
    """{{template}}: another one, defined elsewhere in the text."""

    name: str
    pipeline: "Pipeline | None"

    def write(self, state: State, dot: Any) -> None:
        value = values.NO_VALUE if self.pipeline is None else self.pipeline.value(state, dot)
        if self.name not in state.definitions:
            raise EvaluationError(f"template {self.name!r} not defined")
        if state.depth >= DEEPEST:
            raise EvaluationError(f"templates {DEEPEST} deep in each other")
        state.sheet.step()
        inner = State(state.definitions, [("$", value)], state.sheet, state.depth + 1)
        state.definitions[self.name].write(inner, value)

    def __str__(self) -> str:
        data = "" if self.pipeline is None else f" {self.pipeline}"
        return f"{{{{template {_quoted(self.name)}{data}}}}}"


@dataclass(frozen=True)
class Leave(Node):
    """{{break}} and {{continue}}."""

    way: type[Break] | type[Continue]

    def write(self, state: State, dot: Any) -> None:
        raise self.way

    def __str__(self) -> str:
        return "{{break}}" if self.way is Break else "{{continue}}"


def _block(word: str, pipeline: "Pipeline", body: Body, otherwise: Body) -> str:
    behind = f"{{{{else}}}}{otherwise}" if otherwise.nodes else ""
    return f"{{{{{word} {pipeline}}}}}{body}{behind}{{{{end}}}}"


@dataclass(frozen=True)
class Constant(Operand):
    """A literal. source: as it is written; "" for true and its like."""

    constant: Any
    source: str = ""

    def value(self, state: State, dot: Any) -> Any:
        return self.constant

    def __str__(self) -> str:
        return self.source or ("nil" if self.constant is None else shown(self.constant))


@dataclass(frozen=True)
class Fields(Operand):
    """`dot`, a variable, or a pipeline in parentheses, and fields of it.

    start: None is `dot`.
    """

    start: "str | Pipeline | None"
    names: tuple[str, ...]

    def value(self, state: State, dot: Any) -> Any:
        return self.call(state, dot, list) if self.names else self._start(state, dot)

    def call(self, state: State, dot: Any, arguments: Callable[[], list[Any]]) -> Any:
        """Arguments go to the last field, which must be a method then."""
        found = self._start(state, dot)
        for name in self.names[:-1]:
            found = _called(values.field(found, name), name, [])
        if self.names:
            return _called(values.field(found, self.names[-1]), self.names[-1], arguments())
        raise EvaluationError(f"can't give argument to non-function {self}")

    def _start(self, state: State, dot: Any) -> Any:
        if self.start is None:
            return dot
        if isinstance(self.start, str):
            return state.variables[state.find(self.start)][1]
        return self.start.value(state, dot)

    def __str__(self) -> str:
        start = f"({self.start})" if isinstance(self.start, Pipeline) else self.start or ""
        return f"{start}{''.join([f'.{name}' for name in self.names])}" or "."


def _called(found: Any, name: str, arguments: list[Any]) -> Any:
    """A field's value; a method's if it is one."""
    if not callable(found):
        if arguments:
            raise EvaluationError(f"{name} has arguments but cannot be invoked as function")
        return found
    try:
        return found(*arguments)
    except TypeError as error:
        raise EvaluationError(
            f"wrong number or type of arguments for {name}: {len(arguments)}"
        ) from error


@dataclass(frozen=True)
class Function(Operand):
    """A function, by its name."""

    name: str

    def value(self, state: State, dot: Any) -> Any:
        return self.call(state, dot, list)

    def call(self, state: State, dot: Any, arguments: Callable[[], list[Any]]) -> Any:
        given = arguments()
        try:
            return FUNCTIONS[self.name](*given)
        except TypeError as error:
            raise EvaluationError(f"wrong number or type of arguments for {self.name}") from error
        except EvaluationError as error:
            raise EvaluationError(f"error calling {self.name}: {error}") from error

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Command:
    """A value, or a function or method with its arguments."""

    operands: tuple[Operand, ...]

    def value(self, state: State, dot: Any, final: Any) -> Any:
        """final: what comes from the command before, the last argument; _NOTHING: none."""
        first, *others = self.operands
        has_final = final is not _NOTHING
        if isinstance(first, Constant) and first.constant is None:
            raise EvaluationError("nil is not a command")
        if isinstance(first, Function) and first.name in LAZY:
            return self._lazily(state, dot, LAZY[first.name], final)
        if not others and not has_final:
            return self._checked(first.value, state, dot)

        def arguments() -> list[Any]:
            found = [operand.value(state, dot) for operand in others]
            found += [final] if has_final else []
            return [None if each is values.NO_VALUE else each for each in found]

        return self._checked(first.call, state, dot, arguments)

    def _lazily(self, state: State, dot: Any, stops: bool, final: Any) -> Any:
        """`and` and `or`: the first value that settles it, else the last."""
        others = self.operands[1:]
        if not others and final is _NOTHING:
            raise EvaluationError(f"wrong number of arguments for {self}: 0")
        value = final
        for operand in others:
            value = operand.value(state, dot)
            if is_true(value) == stops:
                return value
        return value if final is _NOTHING else final

    def _checked(self, evaluate: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return evaluate(*arguments)
        except EvaluationError as error:
            text = str(error)
            raise EvaluationError(
                text if text.startswith("at <") else f"at <{self}>: {text}"
            ) from error

    def __str__(self) -> str:
        return " ".join(map(str, self.operands))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True)
class Pipeline(Operand):
    """Commands, each with the value of the one before as its last argument.

    names: variables that get the value. declares: they are new ones (:=).
    """

    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    declares: bool = True

    def value(self, state: State, dot: Any) -> Any:
        value = _NOTHING
        for command in self.commands:
            value = command.value(state, dot, value)
        state.put(self.names, (value,), self.declares)
        return value

    def __str__(self) -> str:
        sign = " := " if self.declares else " = "
        return (
            ", ".join(self.names)
            + (sign if self.names else "")
            + " | ".join(map(str, self.commands))
        )
