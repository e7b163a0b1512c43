"""`root`: the folder that relative file names of the server block start from."""

import logging
import os
from collections.abc import Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import one_argument
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup

log = logging.getLogger(__name__)


class Root(Plugin):
    """Only configures: the folder is in setup.root, before any other directive is parsed."""

    name = "root"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Root":
        """Of several the last counts."""
        for directive in directives:
            word = one_argument(directive)
            if directive.block is not None:
                raise ConfigError("root takes no block", directive.name.place)
            setup.root = word.text
        _look_at(word)
        return cls()


def _look_at(word: Token) -> None:
    """Warns of a folder that does not exist, as it may come; raises ConfigError for worse."""
    try:
        os.stat(word.text)
    except FileNotFoundError:
        log.warning("Root path does not exist: %s", word.text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds a NUL character"
        raise ConfigError(f"cannot look at {word.text!r}: {reason}", word.place) from error
