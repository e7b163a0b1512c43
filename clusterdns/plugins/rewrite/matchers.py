"""Which names a rule is about, and what they become: exact, prefix, suffix, substring, regex.

All compare texts, as CoreDNS does: absolute, in presentation form, those of questions in lower
case. So a suffix need not begin at a label, unless its first character is a dot. Names in replies
have the spelling of whoever sent them, of which what is not exchanged stays.
"""

import re
from collections.abc import Callable, Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.patterns import Pattern, pattern
from clusterdns.errors import ConfigError

EXACT, PREFIX, SUFFIX, SUBSTRING, REGEX = KINDS = (
    *("exact", "prefix", "suffix"),
    *("substring", "regex"),
)
MOST_GROUP = 100  # CoreDNS looks for {0} to {100} when it counts what a text uses

Test = Callable[[str], bool]
Rewriting = Callable[[str], str | None]  # None: the name is none that it is about

_GROUP = re.compile(r"\{(0|[1-9][0-9]*)\}")


def kind(token: Token, field: str) -> str:
    """The way to compare, in lower case. Raises ConfigError at a word that is none."""
    word = token.text.lower()
    if word not in KINDS:
        raise ConfigError(
            f"{token.text!r} is no way to match names of {field}: {', '.join(KINDS)}", token.place
        )
    return word


def split(
    words: Sequence[Token], count: int, takes: str, place: Token
) -> tuple[str, Sequence[Token]]:
    """The way to compare, and the `count` words that stand behind it; EXACT needs no saying.

    takes: what the words are. place: the field.
    Raises ConfigError where there are fewer or more.
    """
    if not count <= len(words) <= count + 1:
        where = words[count + 1] if len(words) > count else place
        field = place.text.lower()
        raise ConfigError(f"{field} takes {takes}, with a way to match before them", where.place)
    if len(words) == count:
        return EXACT, words
    return kind(words[0], place.text.lower()), words[1:]


def absolute(text: str) -> str:
    """A name, or a part of one, in lower case and with a dot at its end."""
    text = text.lower()
    backslashes = len(text.removesuffix(".")) - len(text.removesuffix(".").rstrip("\\"))
    return text if text.endswith(".") and backslashes % 2 == 0 else text + "."


def test(how: str, token: Token) -> Test:
    """Whether a name is one of those that the word stands for. how: one of KINDS."""
    if how == REGEX:
        search = pattern(token).search
        return lambda name: search(name) is not None
    part = absolute(token.text)
    tests: dict[str, Test] = {
        EXACT: lambda name: name == part,
        PREFIX: lambda name: name.startswith(part),
        SUFFIX: lambda name: name.endswith(part),
        SUBSTRING: lambda name: part in name,
    }
    return tests[how]


def rewriting(how: str, old: str, new: str) -> Rewriting:
    """What names become: old and new as they stand, for each of KINDS but regex."""
    ways: dict[str, Rewriting] = {
        EXACT: lambda name: new if name == old else None,
        PREFIX: lambda name: new + name[len(old) :] if name.startswith(old) else None,
        SUFFIX: lambda name: _with_end(name, old, new) if name.lower().endswith(old) else None,
        SUBSTRING: lambda name: name.replace(old, new) if old in name else None,
    }
    return ways[how]


def remapping(old: str, new: str) -> Rewriting:
    """The name itself becomes another one, and names below it are below that."""
    below = "." + old

    def remapped(name: str) -> str | None:
        folded = name.lower()
        if folded == old:
            return new
        return _with_end(name, old, new) if folded.endswith(below) else None

    return remapped


def _with_end(name: str, old: str, new: str) -> str:
    return name[: len(name) - len(old)] + new


def substituting(found: Pattern, new: str) -> Rewriting:
    """The whole name becomes `new` if the pattern is anywhere in it; {N} is its group N.

    A {N} of a group that the pattern does not have stays as it stands.
    """
    groups = found.groups

    def substituted(name: str) -> str | None:
        match = found.search(name)
        if match is None:
            return None

        def group(place: re.Match[str]) -> str:
            number = int(place[1])
            return place[0] if number > groups else match.group(number) or ""

        return _GROUP.sub(group, new)

    return substituted


def substitution(old: Token, new: Token, ignore_case: bool = False) -> Rewriting:
    """As `substituting`, the new name made absolute.

    Raises ConfigError at the wrong word: no pattern, or one with fewer groups than are used.
    """
    found = pattern(old, ignore_case)
    check_groups(new, found)
    return substituting(found, absolute(new.text))


def check_groups(new: Token, found: Pattern) -> None:
    """Refuses a text that uses more groups than the pattern has, as CoreDNS counts: {0} is one."""
    used = {number for number in map(int, _GROUP.findall(new.text)) if number <= MOST_GROUP}
    if len(used) > found.groups:
        raise ConfigError(
            f"{new.text!r} uses more groups than {found.pattern!r} has: {found.groups}", new.place
        )
