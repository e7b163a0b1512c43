"""Arguments of directives, read as what they stand for. All raise ConfigError at the word."""

import math
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from clusterdns.corefile.keys import MAX_PORT, word_zones
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import AddressPort, parse_address, parse_cidr
from clusterdns.corefile.tree import Directive
from clusterdns.errors import ConfigError

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # the micro sign
    "μs": 1_000,  # the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = (1 << 63) - 1  # nanoseconds: what Go's time.Duration holds, 292 years
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")  # 30: more digits are out of every range
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INT64 = 1 << 63
_SCOPE = re.compile(r"%[^\]]*")  # RFC 4007 section 11


def arguments(directive: Directive, least: int = 0, most: int | None = None) -> tuple[Token, ...]:
    """The arguments, of which there must be `least` to `most` (None: any number)."""
    words = directive.arguments
    refuse_brace(words)
    if len(words) < least:
        count = str(least) if least == most else f"at least {least}"
        raise ConfigError(
            f"{directive.name.text} takes {count} {_plural(least)}, not {len(words)}",
            (words[-1] if words else directive.name).place,
        )
    if most is not None and len(words) > most:
        count = f"at most {most} {_plural(most)}" if most else "no argument"
        raise ConfigError(
            f"{directive.name.text} takes {count}; {words[most].text!r} is too much",
            words[most].place,
        )
    return words


def no_arguments(directive: Directive) -> None:
    """Refuses arguments."""
    arguments(directive, 0, 0)


def one_argument(directive: Directive) -> Token:
    """The only argument."""
    return arguments(directive, 1, 1)[0]


def refuse_brace(words: Iterable[Token]) -> None:
    """Refuses the } of a block in one line, which ends up among the arguments."""
    for word in words:
        if word.closes():
            raise ConfigError("the } of a block must stand on a line of its own", word.place)


def duration(token: Token, least: float | None = None, most: float | None = None) -> float:
    """Seconds, from Go's notation: 1h30m, 1.5s, 500ms, -2us, 0. Least and most are seconds too."""
    seconds = _nanoseconds(token) / 1_000_000_000
    if (least is not None and seconds < least) or (most is not None and seconds > most):
        raise ConfigError(f"{token.text} is no duration {_range(least, most, 's')}", token.place)
    return seconds


def integer(token: Token, low: int | None = None, high: int | None = None) -> int:
    """A plain decimal integer, sign allowed, from low to high (None: as far as 64 bits go)."""
    low_limit = -_INT64 if low is None else low
    high_limit = _INT64 - 1 if high is None else high
    if not _INTEGER.fullmatch(token.text):
        raise ConfigError(f"{token.text!r} is no integer", token.place)
    number = int(token.text)
    if not low_limit <= number <= high_limit:
        raise ConfigError(f"{token.text} is no integer {_range(low, high)}", token.place)
    return number


def decimal(token: Token, low: float | None = None, high: float | None = None) -> float:
    """A finite number, with or without point and exponent."""
    number = float(token.text) if _DECIMAL.fullmatch(token.text) else math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{token.text!r} is no number", token.place)
    if (low is not None and number < low) or (high is not None and number > high):
        raise ConfigError(f"{token.text} is no number {_range(low, high)}", token.place)
    return number


def zone_names(
    tokens: Iterable[Token], default: Sequence[str] = (), warnings: list[str] | None = None
) -> tuple[str, ...]:
    """The zones that these words name: absolute, lower-case, each CIDR as its reverse zones.

    default: the zones without any word, those of the server block.
    warnings: words that are no zone are noted here and left out, as CoreDNS leaves them out
        silently; None raises ConfigError for them.
    """
    words = tuple(tokens)
    refuse_brace(words)
    if not words:
        return tuple(default)
    zones: list[str] = []
    for word in words:
        try:
            zones.extend(word_zones(word))
        except ConfigError as error:
            if warnings is None:
                raise
            warnings.append(f"{error}; it is left out")
    return tuple(zones)


def address(token: Token) -> IPv4Address | IPv6Address:
    """An IP address by Go's rules: no scope, an IPv4-mapped one is IPv4."""
    found = parse_address(token.text)
    if found is None:
        raise ConfigError(f"{token.text!r} is no IP address", token.place)
    return found


def network(token: Token) -> IPv4Network | IPv6Network:
    """A CIDR, bits behind its prefix cut off; an address alone is a network of one."""
    found = parse_cidr(token.text)
    if found is None and (alone := parse_address(token.text)):
        found = alone, alone.max_prefixlen
    if found is None:
        raise ConfigError(f"{token.text!r} is no network and no IP address", token.place)
    return ip_network(found, strict=False)


def host_port(token: Token, default_port: int | None = None) -> tuple[str, int]:
    """Host and port from HOST:PORT, where HOST may be empty: every address.

    default_port: taken when there is no port; None: there must be one.
    An IPv6 address stands in brackets, which are taken off; only without a port may they lack.
    """
    host, port = _split(token)
    if port is None and default_port is None:
        raise ConfigError(f"{token.text!r} has no port, as in localhost:8080", token.place)
    if port is None:
        return host, default_port or 0
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > MAX_PORT:
        raise ConfigError(f"{port!r} is no port, which is 0 to {MAX_PORT}", token.place)
    return host, int(port)


def address_port(token: Token, default_port: int) -> AddressPort:
    """An IP address, and a port unless it is the usual one: 10.0.0.1, 10.0.0.1:53, fd00::1,
    [fd00::1]:53. An IPv6 address may have a scope, as in fe80::1%eth0, which is kept."""
    scope = _SCOPE.search(token.text)
    plain = _SCOPE.sub("", token.text)
    host, port = host_port(token._replace(text=plain), default_port)
    if parse_address(host) is None:
        raise ConfigError(f"{token.text!r} is no IP address, with or without :PORT", token.place)
    return AddressPort(host + (scope[0] if scope else ""), port)


def _nanoseconds(token: Token) -> int:
    text = (
        token.text.removeprefix("-")
        if token.text.startswith("-")
        else (token.text.removeprefix("+"))
    )
    at = total = 0
    while part := _PART.match(text, at):
        whole, fraction, unit = (
            part[1].lstrip("0")[:20] or "0",
            (part[2] or "")[:20],
            _NANOSECONDS[part[3]],
        )
        total += int(whole) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        at = part.end()
    if (text != "0" and (at == 0 or at < len(text))) or total > _LONGEST:
        raise ConfigError(
            f"{token.text!r} is no duration, which has a unit, as in 30s or 1h30m", token.place
        )
    return -total if token.text.startswith("-") else total


def _split(token: Token) -> tuple[str, str | None]:
    """Host and port of HOST:PORT, [IPV6]:PORT, [IPV6], or of a host alone."""
    text = token.text
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if bracket and (not rest or rest.startswith(":")) and parse_address(host):
            return host, rest[1:] if rest else None
    elif parse_address(text) and ":" in text:
        return text, None
    elif text.count(":") <= 1 and not re.search(r"[\[\]]", text):
        host, colon, port = text.partition(":")
        return host, port if colon else None
    raise ConfigError(f"{text!r} is no address and port; IPv6 needs [brackets]", token.place)


def _range(low: float | None, high: float | None, unit: str = "") -> str:
    if high is None:
        return f"of {low}{unit} and up" if low is not None else "of 64 bits"
    return f"of {low}{unit} to {high}{unit}" if low is not None else f"up to {high}{unit}"


def _plural(count: int) -> str:
    return "argument" if count == 1 else "arguments"
