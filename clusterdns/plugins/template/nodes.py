"""A template read, and how it is written out for a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusterdns.plugins.template import values
from clusterdns.plugins.template.operands import Pipeline
from clusterdns.plugins.template.state import MOST_STEPS, Break, Continue, State
from clusterdns.plugins.template.values import EvaluationError, is_true, shown, written

DEEPEST = 100  # templates that use templates; Go's 100,000 would be more than our stack


class Node:
    """What stands in a template one behind the other. As a text it is as Go writes it again."""

    def write(self, state: State, dot: Any) -> None:
        raise NotImplementedError


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

    pipeline: Pipeline

    def write(self, state: State, dot: Any) -> None:
        value = self.pipeline.value(state, dot)
        if not self.pipeline.names:
            state.sheet.write(written(value))

    def __str__(self) -> str:
        return f"{{{{{self.pipeline}}}}}"


@dataclass(frozen=True)
class If(Node):
    """{{if}} and {{with}}, for which `dot` becomes the value."""

    pipeline: Pipeline
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

    pipeline: Pipeline
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
    pipeline: Pipeline | None

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


def _block(word: str, pipeline: Pipeline, body: Body, otherwise: Body) -> str:
    behind = f"{{{{else}}}}{otherwise}" if otherwise.nodes else ""
    return f"{{{{{word} {pipeline}}}}}{body}{behind}{{{{end}}}}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
