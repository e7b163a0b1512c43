"""What a `cache` line and its block say."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import (
    arguments,
    duration,
    integer,
    no_arguments,
    one_argument,
    refuse_brace,
    zone_names,
)
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.lines import choice, read_options

# CoreDNS's: replies in shards of a hash, 256 of them, each with room for at least four.
SHARDS, LEAST_PER_SHARD = 256, 4
CAPACITY = 9984  # of 10,000 wanted
MIN_TTL = 5
MAX_TTL, MAX_DENIAL_TTL = 3600, 1800
SERVFAIL_S, MOST_SERVFAIL_S = 5.0, 300.0  # RFC 2308 section 7.1: at most 5 minutes
STALE_S = 3600.0
MOST_RECHECK_S = 300.0  # RFC 8767 section 5
HIGHEST_TTL = (1 << 31) - 1  # RFC 2181 section 8
HIGHEST_STALE_TTL = (1 << 32) - 1  # CoreDNS's
POLICIES = ("prefer_positive",)
STORES = ("success", "denial")

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True)
class Limits:
    """Of one of the two stores.

    capacity: replies that it holds at most.
    ttl, min_ttl: seconds that a reply is kept at most, and at least whatever its records say.
    """

    capacity: int
    ttl: int
    min_ttl: int = MIN_TTL


@dataclass(frozen=True)
class Prefetch:
    """Replies are asked for again before their end once they have been asked for `amount` times
    with less than `gap_s` between, and `percentage` of their time is left."""

    amount: int
    gap_s: float = 60.0
    percentage: int = 10


@dataclass(frozen=True)
class Stale:
    """Replies are sent for so long after their end (RFC 8767).

    verify: only once the plugins behind had no better one, or none after `verify_s` (0: however
        long they take); else at once.
    ttl: of the records sent. recheck_s: how long a refresh that failed is not tried again.
    prefer_positive: also in the place of a denial that is known since.
    """

    for_s: float = STALE_S
    verify: bool = False
    verify_s: float = 0.0
    ttl: int = 0
    recheck_s: float = 0.0
    prefer_positive: bool = False


@dataclass(frozen=True)
class Rules:
    """All that a `cache` directive says; equal ones keep equal replies.

    zones: whose names are kept. unkept_successes, unkept_denials: those in them that are not.
    """

    zones: tuple[str, ...]
    success: Limits = Limits(CAPACITY, MAX_TTL)
    denial: Limits = Limits(CAPACITY, MAX_DENIAL_TTL)
    servfail_s: float = SERVFAIL_S
    prefetch: Prefetch | None = None
    stale: Stale | None = None
    keep_ttl: bool = False
    unkept_successes: tuple[str, ...] = ()
    unkept_denials: tuple[str, ...] = ()


def read(directive: Directive, setup: Setup) -> Rules:
    """What the directive says. Faults of its block are kept in setup.faults."""
    return _Reader(directive, setup).rules


class _Reader:
    """Reads line by line into `rules`."""

    def __init__(self, directive: Directive, setup: Setup) -> None:
        self._setup = setup
        self._policy: Token | None = None
        words = directive.arguments
        refuse_brace(words)
        self.rules = Rules(setup.zones)
        if words and _NUMBER.fullmatch(words[0].text):
            limits = Limits(CAPACITY, _ttl(words[0]))
            self._set(success=limits, denial=limits)
            words = words[1:]
        self._set(zones=zone_names(words, setup.zones, setup.warnings) or setup.zones)
        known: dict[str, Callable[[Directive], None]] = {
            "success": self._limits,
            "denial": self._limits,
            "prefetch": self._prefetch,
            "serve_stale": self._serve_stale,
            "serve_stale_policy": self._stale_policy,
            "servfail": self._servfail,
            "disable": self._disable,
            "keepttl": self._keep_ttl,
        }
        read_options(directive, setup, known)
        if self._policy is not None:
            self._prefer(self._policy)

    def _set(self, **changed: object) -> None:
        self.rules = replace(self.rules, **changed)  # type: ignore[arg-type]  # names are checked

    def _limits(self, line: Directive) -> None:
        """CAPACITY [TTL [MINTTL]]; what is not given stays."""
        words = arguments(line, least=1)
        store = line.name.text
        old: Limits = getattr(self.rules, store)
        capacity = _capacity(integer(words[0]))
        ttl = _ttl(words[1]) if len(words) > 1 else old.ttl
        least = integer(words[2], 0) if len(words) > 2 else old.min_ttl
        if len(words) > 3:
            self._setup.warn(words[3].place, f"what is behind {words[2].text} is ignored")
        self._set(**{store: Limits(capacity, ttl, min(least, HIGHEST_TTL))})

    def _prefetch(self, line: Directive) -> None:
        """AMOUNT [DURATION [PERCENTAGE%]]"""
        words = arguments(line, 1, 3)
        found = Prefetch(integer(words[0], 0))
        if len(words) > 1:
            found = replace(found, gap_s=duration(words[1]))
        if len(words) > 2:
            found = replace(found, percentage=_percentage(words[2]))
        self._set(prefetch=found if found.amount else None)

    def _serve_stale(self, line: Directive) -> None:
        """[DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]"""
        words = arguments(line, 0, 5)
        for_s = duration(words[0], 0) if words else STALE_S
        verify = len(words) > 1 and _mode(words[1]) == "verify"
        rest = list(words[2:])
        verify_s = duration(rest.pop(0), 0) if verify and rest else 0.0
        ttl = _stale_ttl(rest.pop(0)) if rest else 0
        recheck_s = duration(rest.pop(0), 0, MOST_RECHECK_S) if rest else 0.0
        if rest:
            raise ConfigError(f"{rest[0].text!r} is too much", rest[0].place)
        self._set(stale=Stale(for_s, verify, verify_s, ttl, recheck_s))

    def _stale_policy(self, line: Directive) -> None:
        if self._policy is not None:
            raise ConfigError(f"{line.name.text} can only be used once", line.name.place)
        word = one_argument(line)
        choice(word._replace(text=word.text.lower()), POLICIES)
        self._policy = line.name

    def _prefer(self, line: Token) -> None:
        with self._setup.attempt():
            if self.rules.stale is None:
                raise ConfigError(f"{line.text} needs serve_stale", line.place)
            self._set(stale=replace(self.rules.stale, prefer_positive=True))

    def _servfail(self, line: Directive) -> None:
        self._set(servfail_s=duration(one_argument(line), 0, MOST_SERVFAIL_S))

    def _disable(self, line: Directive) -> None:
        """success|denial [ZONES]; a later line of the same word takes the place of an earlier."""
        store, *zones = arguments(line, least=1)
        field = "unkept_successes" if choice(store, STORES) == "success" else "unkept_denials"
        self._set(**{field: zone_names(zones, (".",))})

    def _keep_ttl(self, line: Directive) -> None:
        no_arguments(line)
        self._set(keep_ttl=True)


def _capacity(given: int) -> int:
    """As many as CoreDNS keeps of so many: full shards."""
    return SHARDS * max(LEAST_PER_SHARD, given // SHARDS)


def _ttl(word: Token) -> int:
    return min(integer(word, 1), HIGHEST_TTL)


def _stale_ttl(word: Token) -> int:
    seconds = duration(word, 0, HIGHEST_STALE_TTL)
    if seconds != int(seconds):
        raise ConfigError(f"{word.text} is no whole number of seconds", word.place)
    return int(seconds)


def _mode(word: Token) -> str:
    return choice(word._replace(text=word.text.lower()), ("immediate", "verify"))


def _percentage(word: Token) -> int:
    if not word.text.endswith("%"):
        raise ConfigError(f"{word.text!r} must end in a percent sign, as 10% does", word.place)
    return integer(word._replace(text=word.text.removesuffix("%")), 10, 90)
