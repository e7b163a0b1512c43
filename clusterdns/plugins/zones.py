"""Zones that a directive is about."""

from collections.abc import Iterable

from clusterdns.wire.names import folded_name, upward
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question


class Zones:
    """Some zones, asked whether a name is in one of them. Letter case does not matter, RFC 4343."""

    def __init__(self, names: Iterable[str]) -> None:
        """names: absolute or not, in presentation form."""
        self.names = tuple(names)
        self._wire = {folded_name(name): name for name in self.names}
        self._ends = tuple(self._wire)

    def __contains__(self, question: Question | Plain) -> bool:
        return self.match(question) is not None

    def exact(self, question: Question) -> str | None:
        """The zone of this very name, as it was given; None: there is none."""
        return self._wire.get(question.folded)

    def match(self, question: Question | Plain) -> str | None:
        """The longest zone that the name is in, as it was given; None: it is in none."""
        name = question.folded
        if not name.endswith(self._ends):
            return None  # nearly always; what ends like one may still do so within a label
        return next(filter(None, map(self._wire.get, upward(name))), None)
