"""Which objects of the cluster a source is asked for: the server side of `kubernetes`' options.

Label selectors follow the grammar of the Kubernetes API, so that a file answers as a cluster would.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clusterdns.cluster.events import Kind
from clusterdns.errors import ConfigError


@dataclass(frozen=True)
class Selection:
    """What one zone needs to see. Zones with equal selections share a source and an index.

    labels, namespace_labels: Kubernetes label selectors, "" for all; `labels` is applied to
        Services, Pods and EndpointSlices, `namespace_labels` to Namespaces and, as in CoreDNS, to
        ServiceImports.
    """

    labels: str = ""
    namespace_labels: str = ""
    endpoints: bool = True  # False: `noendpoints`
    pods: bool = False  # True: `pods verified`
    pod_labels: bool = False  # True: `pods verified` with `metadata`; pods keep their labels
    pod_names: bool = False  # True: `endpoint_pod_names`; slices keep targetRef names
    topology_zones: bool = False  # True: `zonal`
    multicluster: bool = False  # True: `multicluster`; ServiceImports, and slices of theirs

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds a source must have listed before the zone is synced."""
        imports: tuple[Kind, ...] = ("ServiceImport",) if self.multicluster else ()
        with_slices = self.endpoints or self.multicluster
        slices: tuple[Kind, ...] = ("EndpointSlice",) if with_slices else ()
        pods: tuple[Kind, ...] = ("Pod",) if self.pods else ()
        return ("Service", *imports, *slices, *pods, "Namespace")


Labels = Mapping[str, str]


class Requirement(NamedTuple):
    """One condition of a selector, on one label."""

    key: str
    operator: str  # "in", "notin", "exists", "absent", ">" or "<"; = and != are in and notin
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        return _OPERATORS[self.operator](labels.get(self.key), self.values)


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed label selector: all of its requirements must hold."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """The selector that this text spells; "" selects everything.

    `a=b`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x)`, `a`, `!a`, `a>1`, `a<1`; a comma is "and".
    Raises ConfigError without a place; its message names the position in the text, from 1.
    """
    return _Parser(text).selector()


def _number(text: str | None) -> int | None:
    """A decimal integer, or None."""
    return int(text) if text is not None and _INTEGER.fullmatch(text) else None


def _greater(value: str | None, values: frozenset[str]) -> bool:
    number = _number(value)
    return number is not None and all(number > int(limit) for limit in values)


def _less(value: str | None, values: frozenset[str]) -> bool:
    number = _number(value)
    return number is not None and all(number < int(limit) for limit in values)


_OPERATORS: dict[str, Callable[[str | None, frozenset[str]], bool]] = {
    "in": lambda value, values: value is not None and value in values,
    "notin": lambda value, values: value is None or value not in values,  # absent counts as unequal
    "exists": lambda value, values: value is not None,
    "absent": lambda value, values: value is None,
    ">": _greater,
    "<": _less,
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # within 64 bits, as the API has it

_TOKEN = re.compile(r"\s*(?:(==|!=|[=!(),<>])|([^\s=!(),<>]+))")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")  # also the form of a value
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_MAX_PREFIX = 253  # a DNS subdomain, as the API has it


class _Token(NamedTuple):
    symbol: str  # "" for a word, or at the end
    word: str
    position: int  # from 1

    def __str__(self) -> str:
        return repr(self.symbol or self.word) if self.symbol or self.word else "the end"


def _tokens(text: str) -> Iterator[_Token]:
    text = text.rstrip()
    position = 0
    while found := _TOKEN.match(text, position):
        start = found.start(found.lastindex or 0)
        yield _Token(found[1] or "", found[2] or "", start + 1)
        position = found.end()
    yield _Token("", "", len(text) + 1)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0

    def selector(self) -> Selector:
        if self._at_end:
            return Selector()
        requirements = [self._requirement()]
        while self._took(","):
            requirements.append(self._requirement())
        if not self._at_end:
            raise self._unexpected("',' or the end")
        return Selector(tuple(requirements))

    def _requirement(self) -> Requirement:
        if self._took("!"):
            return Requirement(self._key(), "absent")
        key = self._key()
        if self._took("=") or self._took("=="):
            return Requirement(key, "in", frozenset((self._value(),)))
        if self._took("!="):
            return Requirement(key, "notin", frozenset((self._value(),)))
        for word in ("in", "notin"):
            if self._token.word == word:
                self._next += 1
                return Requirement(key, word, self._set())
        for symbol in ("<", ">"):
            if self._took(symbol):
                return Requirement(key, symbol, frozenset((self._integer(),)))
        if self._token.symbol == "," or self._at_end:
            return Requirement(key, "exists")
        raise self._unexpected("one of = == != < > in notin , or the end")

    def _set(self) -> frozenset[str]:
        """(x,y); the empty value may stand between commas, as in the API."""
        if not self._took("("):
            raise self._unexpected("'('")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        if not self._took(")"):
            raise self._unexpected("',' or ')'")
        return frozenset(values)

    def _key(self) -> str:
        token = self._token
        prefix, slash, name = token.word.rpartition("/")
        good_prefix = len(prefix) <= _MAX_PREFIX and _PREFIX.fullmatch(prefix) if slash else True
        if not (good_prefix and _NAME.fullmatch(name)):
            raise self._unexpected("a label key")
        self._next += 1
        return token.word

    def _value(self) -> str:
        token = self._token
        if not token.word:
            return ""
        if not _NAME.fullmatch(token.word):
            raise self._unexpected("a label value")
        self._next += 1
        return token.word

    def _integer(self) -> str:
        token = self._token
        if not _INTEGER.fullmatch(token.word):
            raise self._unexpected("an integer")
        self._next += 1
        return token.word

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    @property
    def _at_end(self) -> bool:
        return self._next == len(self._tokens) - 1

    def _took(self, symbol: str) -> bool:
        """Whether this symbol comes next; it is then behind us."""
        if self._token.symbol != symbol:
            return False
        self._next += 1
        return True

    def _unexpected(self, expected: str) -> ConfigError:
        token = self._token
        return ConfigError(
            f"label selector {self._text!r}, position {token.position}: "
            f"expected {expected}, found {token}"
        )
