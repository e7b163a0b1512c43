"""Where a parser stands among the words of an expression."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from clusterdns.plugins.expressions.syntax import ExpressionError, Word

DEEPEST = 50  # parentheses in parentheses: far more than anybody reads, far less than a stack holds
# Names that stand for nothing else.
WORDS = ("in", "not", "and", "or", "matches", "contains", "startsWith", "endsWith", "let", "if")


class Cursor:
    """The words, one of which is next."""

    def __init__(self, found: Sequence[Word]) -> None:
        self._words = found
        self._at = 0
        self._depth = 0

    @property
    def word(self) -> Word:
        """The next one."""
        return self._words[self._at]

    def _take(self) -> Word:
        """The next word; the one behind it is next then."""
        self._at += 1
        return self._words[self._at - 1]

    def _is(self, *signs: str) -> bool:
        """Whether one of these is next, and no literal that reads like it."""
        return self.word.kind in ("operator", "name") and self.word.value in signs

    def _took(self, sign: str) -> bool:
        """Whether this was next; then it is taken."""
        is_here = self._is(sign)
        self._at += is_here
        return is_here

    def _need(self, sign: str) -> None:
        """Takes this. Raises ExpressionError where it is not next."""
        if not self._took(sign):
            found = str(self.word.value) or "the end"
            raise ExpressionError(f"{sign!r} is missing before {found!r}", self.word.at)

    def _name(self, operators_too: bool = False) -> Word:
        """Takes a name. Raises ExpressionError where none is next."""
        word = self.word
        if word.kind != "name" or (word.value in WORDS and not operators_too):
            raise ExpressionError(f"a name is missing before {word.value!r}", word.at)
        return self._take()

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        """Inside, words are in one more pair of parentheses, or as good as that."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpressionError(f"more than {DEEPEST} parentheses in each other", self.word.at)
        yield
        self._depth -= 1


@contextmanager
def placed(word: Word) -> Iterator[None]:
    """Says of a ValueError that it is about this word."""
    try:
        yield
    except ExpressionError:
        raise
    except ValueError as error:
        raise ExpressionError(str(error), word.at) from error
