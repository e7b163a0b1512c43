"""A template while it is written out: its variables, what is written, and how much that took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterdns.plugins.template.values import EvaluationError

if TYPE_CHECKING:
    from clusterdns.plugins.template.nodes import Body

MOST_OUTPUT = 65536  # characters: no record is longer
MOST_STEPS = 100_000  # turns of loops, and uses of templates: 50 ms, and more than any record takes


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
