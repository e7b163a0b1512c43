"""`header`: flags of queries and replies set or cleared."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, no_arguments
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import nearest
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.message import AA, RA, RD

FLAGS = {"aa": AA, "ra": RA, "rd": RD}
ACTIONS = {"set": True, "clear": False}
SELECTORS = ("query", "response")


class Rule(NamedTuple):
    """One flag, and what it is to be."""

    flag: int
    state: bool


class Header(Plugin):
    """Applies rules to the query as it passes, and to the reply as it comes back.

    RD of a query is what its reply has too (RFC 1035 section 4.1.1).
    """

    name = "header"

    def __init__(self, of_queries: Sequence[Rule], of_replies: Sequence[Rule]) -> None:
        self.of_queries = of_queries
        self.of_replies = of_replies

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Header":
        """CoreDNS looks at the first `header` with a rule only."""
        found: Header | None = None
        for directive in directives:
            if found is not None:
                setup.warn(directive.name.place, "only the first header with rules is used")
                break
            with setup.attempt():
                found = _read(directive, setup)
        if found is None and not setup.faults:
            raise ConfigError("header has no rules", directives[0].name.place)
        return found or cls((), ())

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        for flag, state in self.of_queries:
            query.flags = query.flags | flag if state else query.flags & ~flag
        reply = await next(query)
        if reply is not None:
            for flag, state in self.of_replies:
                _put(reply, flag, state)
        return reply


def _put(reply: Reply, flag: int, state: bool) -> None:
    if flag == AA:
        reply.authoritative = state
    elif flag == RA:
        reply.recursion = state
    else:
        reply.desired = state


def _read(directive: Directive, setup: Setup) -> Header | None:
    """The rules of one directive; None: it has none."""
    no_arguments(directive)
    rules: dict[str, list[Rule]] = {selector: [] for selector in SELECTORS}
    for line in directive.block or ():
        with setup.attempt():
            selector = _word(line.name, SELECTORS, "property", "header")
            if line.block is not None:
                raise ConfigError(f"{line.name.text} takes no block", line.name.place)
            action, *flags = arguments(line, least=2)
            state = ACTIONS[_word(action, ACTIONS, "action", line.name.text)]
            rules[selector] += [
                Rule(FLAGS[_word(flag, FLAGS, "flag", "header")], state) for flag in flags
            ]
    if any(rules.values()) or setup.faults:
        return Header(rules["query"], rules["response"])
    return None


def _word(token: Token, known: Collection[str], kind: str, of: str) -> str:
    """The word in lower case, one of the known ones. Raises ConfigError at it."""
    word = token.text.lower()
    if word not in known:
        hint = nearest(word, known)
        raise ConfigError(f"unknown {kind} {token.text!r} of {of}; {hint}", token.place)
    return word
