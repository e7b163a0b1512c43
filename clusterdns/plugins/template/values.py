"""Values in templates: what they are called, when they are true, how they are printed.

Texts, numbers, truth, lists, dicts and None are Python's. Nothing else of Python is reached from a
template: what has fields is a Struct, which says what they are.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from clusterdns.plugins.expressions.values import float_text

Text = str


class EvaluationError(ValueError):
    """Why a template gives nothing for a query."""


class Unsigned(int):
    """A number that Go has as uint64."""


class Short(int):
    """A number that Go has as uint16."""


class Items(list[Any]):
    """A list of something else than texts. type_name: the Go type."""

    def __init__(self, type_name: str, items: Iterable[Any]) -> None:
        super().__init__(items)
        self.type_name = type_name


class Variables(dict[str, Any]):
    """A map whose values Go has as interfaces: one that is not there is no empty text."""


class Struct:
    """Something with fields and methods, and nothing else that a template can see.

    FIELDS: the way to each; a method gives a function.
    by_value: Go has no pointer to it. Only {{ }} finds the String method then; printf and what is
        around it print the fields.
    """

    FIELDS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    type_name: ClassVar[str]  # as errors call it
    by_value: ClassVar[bool] = False

    def has(self, name: str) -> bool:
        """Whether there is such a field or method."""
        return name in self.FIELDS

    def fields(self) -> dict[str, Any]:
        """What is in it, in its order and without methods."""
        found = {name: read(self) for name, read in self.FIELDS.items() if self.has(name)}
        return {name: value for name, value in found.items() if not callable(value)}

    def written(self) -> str:
        """How {{ }} prints it: by its String method, if it has one."""
        return "{" + " ".join(map(shown, self.fields().values())) + "}"

    def text(self) -> str:
        """How printf and the like print it."""
        return Struct.written(self) if self.by_value else self.written()


class _NoValue:
    """A key that a dict does not have; prints as in Go."""

    def __repr__(self) -> str:
        return "<no value>"


NO_VALUE = _NoValue()


def field(value: Any, name: str) -> Any:
    """What `.name` is of a value. Raises EvaluationError where there is none."""
    if value is NO_VALUE:
        return NO_VALUE
    if isinstance(value, Struct) and value.has(name):
        return value.FIELDS[name](value)
    if isinstance(value, dict):
        return value.get(name, NO_VALUE)
    if value is None:
        raise EvaluationError(f"nil has no field {name}")
    raise EvaluationError(f"can't evaluate field {name} in type {kind(value)}")


def is_true(value: Any) -> bool:
    """Whether `if` takes it: not for 0, "", false, nil, and what is empty."""
    return isinstance(value, Struct) or (value is not NO_VALUE and bool(value))


def kind(value: Any) -> str:
    """The Go type."""
    if isinstance(value, Struct):
        return value.type_name
    if isinstance(value, dict):
        return f"map[string]{'interface {}' if isinstance(value, Variables) else 'string'}"
    if isinstance(value, Items):
        return value.type_name
    if value is None or value is NO_VALUE:
        return "<nil>"
    names = {
        Unsigned: "uint64",
        Short: "uint16",
        Text: "string",
        bool: "bool",
        int: "int",
        float: "float64",
        list: "[]string",
    }
    return names.get(type(value), type(value).__name__)


def written(value: Any) -> str:
    """A value as {{ }} prints it."""
    return value.written() if isinstance(value, Struct) else shown(value)


def shown(value: Any) -> str:
    """A value as Go's %v has it."""
    if isinstance(value, Text):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, list):
        return f"[{' '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join([f'{key}:{shown(value[key])}' for key in sorted(value)])}]"
    if isinstance(value, Struct):
        return value.text()
    if value is None:
        return "<nil>"
    return str(value)
