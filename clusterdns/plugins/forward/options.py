"""The options of `forward`."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import zone_name
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import (
    address,
    arguments,
    duration,
    integer,
    no_arguments,
    one_argument,
    zone_names,
)
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Setup
from clusterdns.plugins.forward.policy import POLICIES, Policy, random
from clusterdns.plugins.forward.resuming import Resuming
from clusterdns.plugins.forward.targets import Target, nameserver, targets
from clusterdns.plugins.lines import choice, nearest, read_options
from clusterdns.wire.texts import rcode_text

MOST_TARGETS = 15  # CoreDNS's
# What CoreDNS takes for an rcode, and a spelling that it once had.
RCODES = {rcode_text(rcode): rcode for rcode in range(24) if not rcode_text(rcode).isdigit()} | {
    "BADVERS": 16,
    "NOTIMPL": 4,
    "STATEFULTYPENOTIMPLEMENTED": 11,
}
HTTP_VERSIONS = ("h2", "http/1.1")  # by ALPN, the better one first
_UINT32 = (1 << 32) - 1


@dataclass
class Options:
    """One `forward`, read. Times are seconds; defaults are CoreDNS's.

    zone: FROM. attempts: how many may fail for a question; 0 for any number.
    context: of TLS; None where no upstream has tls:// or https://. http_context: the same for
    https:// alone, with a choice of versions of HTTP.
    """

    zone: str = "."
    targets: list[Target] = field(default_factory=list)
    excepted: tuple[str, ...] = ()
    force_tcp: bool = False
    prefer_udp: bool = False
    expire_s: float = 10.0
    max_age_s: float = 0.0
    max_idle_conns: int = 0
    read_timeout_s: float = 2.0
    max_fails: int = 2
    attempts: int = 0
    policy: Policy = field(default_factory=random)
    health_check_s: float = 0.5
    probe_recursive: bool = True
    probe_name: str = "."
    max_concurrent: int = 0
    next_rcodes: frozenset[int] = frozenset()
    next_on_nodata: bool = False
    fail_fast: bool = False
    failover: frozenset[int] = frozenset()
    source_address: str | None = None
    doh_method: str = "POST"
    context: ssl.SSLContext | None = None
    http_context: ssl.SSLContext | None = None


def read(directive: Directive, setup: Setup) -> Options:
    """The options of one `forward`. Raises ConfigError; those of its block are in setup.faults."""
    return _Reader(directive, setup).options


_Read = Callable[[Directive], None]


class _Reader:
    """Reads one `forward`."""

    def __init__(self, directive: Directive, setup: Setup) -> None:
        self.options = Options()
        self._setup = setup
        self._attempts: int | None = None
        self._max_age: Token | None = None
        self._resolvers: list[tuple[str, int]] = []
        self._tls: list[Token] | None = None
        self._server_name = ""
        self._method: Token | None = None
        zone, *words = arguments(directive, least=2)
        self.options.zone = self._from(zone)
        before = len(setup.faults)
        read_options(directive, setup, self._known())
        self._check_age()
        if len(setup.faults) == before:  # else a word may be refused for what an option has wrong
            self._find_targets(words)
        if self.options.context is None and self._tls:
            with setup.attempt():
                self._context()  # so that files that cannot be used are told of

    def _known(self) -> dict[str, _Read]:
        flags = {
            "force_tcp": "force_tcp",
            "prefer_udp": "prefer_udp",
            "next_on_nodata": "next_on_nodata",
            "failfast_all_unhealthy_upstreams": "fail_fast",
        }
        return {
            "except": self._except,
            "max_fails": lambda line: self._put("max_fails", _count(line)),
            "max_connect_attempts": self._max_connect_attempts,
            "health_check": self._health_check,
            "tls": self._read_tls,
            "tls_servername": self._read_server_name,
            "expire": lambda line: self._put("expire_s", _seconds(line)),
            "max_age": self._read_max_age,
            "max_idle_conns": lambda line: self._put(
                "max_idle_conns", integer(one_argument(line), 0)
            ),
            "read_timeout": self._read_timeout,
            "doh_method": self._doh_method,
            "policy": self._policy,
            "max_concurrent": lambda line: self._put(
                "max_concurrent", integer(one_argument(line), 0)
            ),
            "next": self._next,
            "failover": self._failover,
            "resolver": self._resolver,
            "source_address": lambda line: self._put(
                "source_address", str(address(one_argument(line)))
            ),
            **{word: self._flag(name) for word, name in flags.items()},
        }

    def _put(self, name: str, value: object) -> None:
        setattr(self.options, name, value)

    def _flag(self, name: str) -> _Read:
        def read_flag(line: Directive) -> None:
            no_arguments(line)
            self._put(name, True)

        return read_flag

    def _from(self, word: Token) -> str:
        first, *others = zone_names([word])
        if others:
            self._setup.warn(
                word.place,
                f"unsupported CIDR notation: {word.text} expands to {len(others) + 1} zones; "
                f"only {first} is used",
            )
        return first

    def _except(self, line: Directive) -> None:
        words = arguments(line, least=1)
        self.options.excepted += zone_names(words, warnings=self._setup.warnings)

    def _max_connect_attempts(self, line: Directive) -> None:
        self._attempts = _count(line)

    def _health_check(self, line: Directive) -> None:
        pause, *words = arguments(line, least=1)
        self.options.health_check_s = duration(pause, least=0)
        self.options.probe_name = "."
        rest = iter(words)
        for word in rest:
            if choice(word, ("no_rec", "domain")) == "no_rec":
                self.options.probe_recursive = False
                continue
            name = next(rest, None)
            if name is None:
                raise ConfigError("a name is missing behind domain", word.place)
            try:
                self.options.probe_name = zone_name(name.text)
            except ValueError as error:
                raise ConfigError(
                    f"health_check: invalid domain name {name.text!r}: {error}", name.place
                ) from error

    def _read_tls(self, line: Directive) -> None:
        self._tls = list(arguments(line, 0, 3))

    def _read_server_name(self, line: Directive) -> None:
        self._server_name = one_argument(line).text

    def _read_max_age(self, line: Directive) -> None:
        self._max_age = one_argument(line)
        self.options.max_age_s = _seconds(line)

    def _check_age(self) -> None:
        options = self.options
        if self._max_age and 0 < options.max_age_s < options.expire_s:
            fault = ConfigError(
                f"max_age ({self._max_age.text}) must not be less than expire "
                f"({options.expire_s:g}s)",
                self._max_age.place,
            )
            self._setup.faults.append(fault)

    def _read_timeout(self, line: Directive) -> None:
        word = one_argument(line)
        seconds = duration(word)
        if seconds <= 0:
            raise ConfigError(f"read_timeout must be positive: {word.text}", word.place)
        self.options.read_timeout_s = seconds

    def _doh_method(self, line: Directive) -> None:
        self._put("doh_method", choice(one_argument(line), ("POST", "GET")))
        self._method = line.name

    def _policy(self, line: Directive) -> None:
        self.options.policy = POLICIES[choice(one_argument(line), POLICIES)]()

    def _next(self, line: Directive) -> None:
        self.options.next_rcodes |= _rcodes(line)

    def _failover(self, line: Directive) -> None:
        found = _rcodes(line)
        if 0 in found:
            raise ConfigError("NOERROR cannot be used in failover", line.name.place)
        self.options.failover |= found

    def _resolver(self, line: Directive) -> None:
        self._resolvers = [nameserver(word, self._setup) for word in arguments(line, least=1)]

    def _find_targets(self, words: Sequence[Token]) -> None:
        options = self.options
        found = targets(words, self._resolvers, self._setup)
        if len(found) > MOST_TARGETS:
            raise ConfigError(
                f"more than {MOST_TARGETS} TOs configured: {len(found)}", words[MOST_TARGETS].place
            )
        options.targets = [self._named(each, words[0]) for one in found for each in one]
        if not options.targets:
            raise ConfigError("no valid upstream addresses found", words[0].place)
        options.attempts = 2 * len(options.targets) if self._attempts is None else self._attempts
        if any(each.is_tls or each.is_https for each in options.targets):
            options.context = self._context()
        if any(each.is_https for each in options.targets):
            options.http_context = self._context()
            options.http_context.set_alpn_protocols(HTTP_VERSIONS)
        if self._method and not any(each.is_https for each in options.targets):
            self._setup.warn(
                self._method.place, "doh_method means nothing without https:// upstreams"
            )

    def _named(self, target: Target, word: Token) -> Target:
        """The target with the server name that holds for all of them."""
        if not ((target.is_tls or target.is_https) and self._server_name):
            return target
        if target.is_tls and target.server_name:
            raise ConfigError(
                f"both forward ({self._server_name!r}) and proxy level ({target.server_name!r}) "
                f"TLS servernames are set for upstream {target.address}",
                word.place,
            )
        return target._replace(server_name=self._server_name)

    def _context(self) -> ssl.SSLContext:
        """CA alone, CERT KEY, or CERT KEY CA. Raises ConfigError at a file that cannot be used."""
        words = self._tls or []
        ca = words[-1] if len(words) in (1, 3) else None
        context = Resuming(ssl.PROTOCOL_TLS_CLIENT)  # checks certificates and names
        try:
            if ca is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(self._path(ca))
        except (OSError, ValueError) as error:
            assert ca is not None
            raise ConfigError(
                f"no CA certificates in {ca.text}: {_why(error)}", ca.place
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # As Go: a CA in the file need not be its own root, nor have all that RFC 5280 asks for,
        # which those made by hand often lack.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if len(words) > 1:
            try:
                context.load_cert_chain(self._path(words[0]), self._path(words[1]))
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"could not load TLS certificate {words[0].text} with key {words[1].text}: "
                    f"{_why(error)}",
                    words[0].place,
                ) from error
        return context

    def _path(self, word: Token) -> Path:
        return Path(self._setup.root, word.text)


def _count(line: Directive) -> int:
    word = one_argument(line)
    if word.text.startswith("+"):
        raise ConfigError(f"{word.text!r} has a sign", word.place)
    return integer(word, 0, _UINT32)


def _seconds(line: Directive) -> float:
    return duration(one_argument(line), least=0)


def _rcodes(line: Directive) -> frozenset[int]:
    return frozenset(_rcode(word) for word in arguments(line, least=1))


def _rcode(word: Token) -> int:
    name = word.text.upper()
    if name not in RCODES:
        raise ConfigError(f"{word.text} is not a valid rcode; {nearest(name, RCODES)}", word.place)
    return RCODES[name]


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
