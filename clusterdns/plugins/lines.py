"""What directives do with their lines, whatever stands in them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, no_arguments
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup


def read_options(
    directive: Directive, setup: Setup, known: Mapping[str, Callable[[Directive], None]]
) -> None:
    """Gives each line of the directive's block to the function that its first word names.

    A word that is none, and what a function raises, is kept in setup.faults: the lines behind it
    are read all the same.
    """
    for line in directive.block or ():
        with setup.attempt():
            word = line.name.text
            if word not in known:
                raise ConfigError(_why_not(directive.name.text, word, known), line.name.place)
            if line.block is not None:
                raise ConfigError(f"{word} takes no block", line.name.place)
            known[word](line)


def _why_not(directive: str, word: str, known: Iterable[str]) -> str:
    from clusterdns.plugins.refusals import option_refusal

    unknown = f"unknown property {word!r} of {directive}; {nearest(word, known)}"
    return option_refusal(directive, word) or unknown


def nearest(word: str, known: Iterable[str], least: float = 0.5) -> str:
    """A hint for who misspelled one of the known words.

    least: how much of both must be alike, of 1.
    """
    known = sorted(known)
    near = get_close_matches(word.lower(), known, n=1, cutoff=least)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def choice(token: Token, known: Iterable[str]) -> str:
    """The word, one of the known ones. Raises ConfigError at it."""
    known = tuple(known)
    if token.text not in known:
        raise ConfigError(f"{token.text!r} is none of {', '.join(known)}", token.place)
    return token.text


def first_argument(line: Directive, setup: Setup) -> Token:
    """The first argument, of at least one. Those behind it are warned of: CoreDNS ignores them."""
    first, *others = arguments(line, least=1)
    if others:
        setup.warn(others[0].place, f"what is behind {line.name.text} {first.text} is ignored")
    return first


def once(directives: Sequence[Directive]) -> Directive:
    """The only directive of its name in the server block. Raises ConfigError at the second one."""
    first, *others = directives
    if others:
        raise ConfigError(
            f"{first.name.text} can only be used once per server block; "
            f"it stands at {first.name.place} already",
            others[0].name.place,
        )
    return first


def bare(directives: Sequence[Directive], setup: Setup) -> None:
    """Checks that a directive stands alone. Raises ConfigError at what stands behind it.

    CoreDNS looks at the first of several equal ones only; the others are warned of.
    """
    first, *others = directives
    no_arguments(first)
    if first.block is not None:
        raise ConfigError(f"{first.name.text} takes no block", first.name.place)
    for other in others:
        if other.arguments or other.block is not None:
            setup.warn(other.name.place, f"what is behind the second {other.name.text} is ignored")
