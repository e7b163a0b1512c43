"""Regular expressions in a Corefile: RE2's, so that none takes longer than its text is long."""

from collections.abc import Mapping
from typing import Protocol

import re2

from clusterdns.corefile.lexer import Token
from clusterdns.errors import ConfigError

MOST = 10_000  # characters of a pattern, CoreDNS's bound


class Match(Protocol):
    """Where a pattern was found."""

    def group(self, number: int, /) -> str | None:
        """What one of its groups holds, 0 being all of it; None: it had no part in this."""
        ...


class Pattern(Protocol):
    """What re2 makes of a pattern, as far as it is used here."""

    pattern: str
    groups: int
    groupindex: Mapping[str, int]

    def search(self, text: str) -> Match | None: ...


def pattern(token: Token, ignore_case: bool = False) -> Pattern:
    """The compiled pattern. Raises ConfigError at the word for one that RE2 does not know."""
    if len(token.text) > MOST:
        raise ConfigError(f"a pattern of {len(token.text)} characters, over {MOST}", token.place)
    options = re2.Options()
    options.log_errors = False  # they are raised too
    options.case_sensitive = not ignore_case
    try:
        compiled: Pattern = re2.compile(token.text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise ConfigError(
            f"{token.text!r} is no regular expression: {reason}", token.place
        ) from error
    return compiled
