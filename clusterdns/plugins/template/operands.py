"""What stands for a value in a template: literals, fields, functions, and pipelines of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clusterdns.plugins.template import values
from clusterdns.plugins.template.functions import FUNCTIONS, LAZY
from clusterdns.plugins.template.state import State
from clusterdns.plugins.template.values import EvaluationError, is_true, shown

_NOTHING: Any = object()  # no value comes through the pipeline


class Operand:
    """What stands for a value."""

    def value(self, state: State, dot: Any) -> Any:
        raise NotImplementedError

    def call(self, state: State, dot: Any, arguments: Callable[[], list[Any]]) -> Any:
        """The value with arguments behind it, which only functions and methods take."""
        raise EvaluationError(f"can't give argument to non-function {self}")


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
