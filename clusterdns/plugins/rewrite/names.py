"""`name`: another name is asked for; what the reply says can be turned back, or rewritten too."""

from collections.abc import Sequence
from typing import NamedTuple

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.patterns import pattern
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.query import Query
from clusterdns.plugins.rewrite.answers import Renamed, valid
from clusterdns.plugins.rewrite.matchers import (
    EXACT,
    KINDS,
    REGEX,
    SUFFIX,
    Rewriting,
    absolute,
    check_groups,
    kind,
    remapping,
    rewriting,
    substitution,
)
from clusterdns.plugins.rewrite.rules import Change, Rule
from clusterdns.wire.question import Question

ANSWER, AUTO, NAME, VALUE = "answer", "auto", "name", "value"


class AnswerRule(NamedTuple):
    """What owners, or values, of a reply become: `answer name` and `answer value`."""

    rewriting: Rewriting
    owners: bool
    values: bool


class NameRule(Rule):
    """Asks for another name.

    auto: what is at or below the new name in the reply is at or below the old one again.
    """

    field = "name"

    def __init__(self, rewriting: Rewriting, auto: bool, answers: Sequence[AnswerRule]) -> None:
        self.rewriting = rewriting
        self.auto = auto
        self.answers = tuple(answers)

    @classmethod
    def parse(cls, words: Sequence[Token], place: Token, setup: Setup) -> "NameRule":
        """words: what is behind `name`. place: that word."""
        if len(words) < 2:
            raise ConfigError("name takes two names at least", place.place)
        rest: Sequence[Token] = words[3:]
        if len(words) == 2:
            how, (old, new) = EXACT, words
            if old.text.lower() in KINDS:
                setup.warn(old.place, f"{old.text!r} is a name here, as there are two words only")
        else:
            how, old, new = kind(words[0], "name"), words[1], words[2]
        auto, answers = _answers(rest)
        if how == REGEX:
            return cls(substitution(old, new), auto, answers)
        before, after = absolute(old.text), absolute(new.text)
        if how == EXACT:
            _check_exact(old, new, setup)
            auto = True
        elif how == SUFFIX and auto:
            back = AnswerRule(rewriting(SUFFIX, after, before), owners=True, values=True)
            auto, answers = False, [back, *answers]
        return cls(rewriting(how, before, after), auto, answers)

    def change(self, query: Query, name: str) -> Change | None:
        new = self.rewriting(name)
        if new is None:
            return None
        question = query.question
        if new != name:
            question = Question.of(valid(new).label, question.qtype, question.qclass)
        answers = self.answers
        if self.auto:
            answers = (AnswerRule(remapping(new, name), owners=True, values=True), *answers)
        return Change(
            question, replies=tuple([Renamed(r, query.question, o, v) for r, o, v in answers])
        )


def _check_exact(old: Token, new: Token, setup: Setup) -> None:
    """Refuses what CoreDNS refuses: it takes TO for a pattern when it counts groups in FROM."""
    check_groups(old, pattern(new))
    try:
        valid(absolute(new.text))
    except ResolveError:
        setup.warn(new.place, f"{new.text!r} is no name: who asks for {old.text} gets SERVFAIL")


def _answers(words: Sequence[Token]) -> tuple[bool, list[AnswerRule]]:
    """Whether there is `auto`, and the rules in the words from the first `answer` on.

    `answer` may be left out before all but the first.
    """
    if words and words[0].text != ANSWER:
        raise ConfigError(f"{words[0].text!r} is too much; there can be {ANSWER}", words[0].place)
    auto, rules, at = False, list[AnswerRule](), 0
    names: Token | None = None
    while at < len(words):
        at += words[at].text == ANSWER
        if at == len(words):
            raise ConfigError(f"nothing behind {ANSWER}", words[-1].place)
        what = words[at]
        if what.text == AUTO:
            auto, at = True, at + 1
            continue
        if what.text not in (NAME, VALUE):
            known = f"{AUTO}, {NAME}, {VALUE}"
            raise ConfigError(f"{what.text!r} is no answer rule: {known}", what.place)
        if at + 2 >= len(words):
            raise ConfigError(f"{ANSWER} {what.text} takes 2 arguments", words[-1].place)
        if what.text == NAME:
            names = what
        rewritten = substitution(words[at + 1], words[at + 2], ignore_case=True)
        rules.append(AnswerRule(rewritten, what.text == NAME, what.text == VALUE))
        at += 3
    if auto and names is not None:
        raise ConfigError(f"{AUTO} cannot be combined with {ANSWER} {NAME}", names.place)
    return auto, rules
