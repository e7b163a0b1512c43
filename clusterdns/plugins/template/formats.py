"""printf, as Go has it."""

import re
from collections.abc import Callable
from typing import Any

from clusterdns.plugins.expressions.values import float_text
from clusterdns.plugins.template.values import (
    EvaluationError,
    Short,
    Struct,
    Unsigned,
    kind,
    shown,
)

MOST_WIDTH = 10_000  # characters that one verb may fill up to

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>[0-9]+|\*)?(?P<dot>\.(?P<precision>[0-9]+|\*)?)?"
    r"(?:\[(?P<index>[0-9]+)\])?(?P<verb>.)?",
    re.DOTALL,
)


class _Arguments:
    """Those of one call, taken one after the other or by number."""

    def __init__(self, found: tuple[Any, ...]) -> None:
        self.found = found
        self.at = 0
        self.by_number = False

    def take(self, number: str | None = None) -> Any:
        """The next one. Raises IndexError if there is none."""
        if number is not None:
            self.at, self.by_number = int(number) - 1, True
            if self.at < 0:
                raise IndexError
        self.at += 1
        return self.found[self.at - 1]

    def rest(self) -> str:
        """What is told of arguments that no verb took."""
        extra = () if self.by_number else self.found[self.at :]
        if not extra:
            return ""
        return f"%!(EXTRA {', '.join([f'{kind(each)}={shown(each)}' for each in extra])})"


def sprintf(form: Any, *arguments: Any) -> str:
    """The form with values in it; what does not fit is told in the text, as Go does."""
    if not isinstance(form, str):
        raise EvaluationError(f"wrong type for value; expected string; got {kind(form)}")
    taken = _Arguments(arguments)

    def value(match: re.Match[str]) -> str:
        verb = match["verb"]
        if verb is None:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        try:
            width = _size(match["width"], taken)
            precision = _size(match["precision"], taken)
            if match["dot"] == ".":
                precision = 0
            found = taken.take(match["index"])
        except IndexError:
            return f"%!{verb}({'BADINDEX' if match['index'] else 'MISSING'})"
        return _formatted(found, verb, match["flags"], width, precision)

    return _VERB.sub(value, form) + taken.rest()


def _size(text: str | None, taken: _Arguments) -> int | None:
    if text is None:
        return None
    size = taken.take() if text.endswith("*") else int(text)
    if not isinstance(size, int) or abs(size) > MOST_WIDTH:
        raise EvaluationError(f"printf to a width of {shown(size)}")
    return size


def _formatted(value: Any, verb: str, flags: str, width: int | None, precision: int | None) -> str:
    if verb == "T":
        return _filled(kind(value), flags, width)
    if "#" in flags and verb == "v":
        return _filled(_source(value), flags, width)
    if isinstance(value, Struct) and not value.by_value and verb in ("v", *_TEXTS):
        value = value.text()
    if isinstance(value, list | dict | Struct):
        return _composed(value, verb, flags, width, precision)
    if verb == "v":
        return _filled(shown(value), flags, width)
    if value is None:
        return f"%!{verb}(<nil>)"
    if isinstance(value, str) and verb in _TEXTS:
        text = value if precision is None or verb not in "sq" else value[:precision]
        return _filled(_TEXTS[verb](text), flags, width)
    if isinstance(value, bool) and verb == "t":
        return _filled(shown(value), flags, width)
    if isinstance(value, int) and not isinstance(value, bool) and verb in _INTEGERS:
        digits = _INTEGERS[verb](abs(value)).rjust(precision or 0, "0")
        prefix = _PREFIXES.get(verb, "") if "#" in flags else ""
        return _filled(prefix + digits, flags, width, _sign(value < 0, flags))
    if isinstance(value, float) and verb in "eEfFgG":
        return _filled(_float(abs(value), verb, precision), flags, width, _sign(value < 0, flags))
    return f"%!{verb}({kind(value)}={shown(value)})"


def _composed(
    value: list[Any] | dict[str, Any] | Struct,
    verb: str,
    flags: str,
    width: int | None,
    precision: int | None,
) -> str:
    """What has parts: the verb is for each of them."""

    def part(found: Any) -> str:
        return _formatted(found, verb, flags, width, precision)

    if isinstance(value, list):
        return f"[{' '.join(map(part, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join([f'{part(key)}:{part(value[key])}' for key in sorted(value)])}]"
    has_names = "+" in flags and verb == "v"
    parts = [f"{name}:" * has_names + part(each) for name, each in value.fields().items()]
    return f"{'' if value.by_value else '&'}{{{' '.join(parts)}}}"


def _source(value: Any) -> str:
    """As it would stand in a Go program."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Unsigned | Short):
        return hex(value)
    if isinstance(value, list):
        return f"{kind(value)}{{{', '.join(map(_source, value))}}}"
    if isinstance(value, dict):
        parts = [f"{_quoted(key)}:{_source(value[key])}" for key in sorted(value)]
        return f"{kind(value)}{{{', '.join(parts)}}}"
    if isinstance(value, Struct):
        fields = [f"{name}:{_source(each)}" for name, each in value.fields().items()]
        return f"{'' if value.by_value else '&'}{kind(value).lstrip('*')}{{{', '.join(fields)}}}"
    return shown(value)


def _filled(text: str, flags: str, width: int | None, sign: str = "") -> str:
    width = width or 0
    if "-" in flags or width < 0:
        return (sign + text).ljust(abs(width))
    if "0" in flags:
        return sign + text.rjust(width - len(sign), "0")
    return (sign + text).rjust(width)


def _sign(is_negative: bool, flags: str) -> str:
    if is_negative:
        return "-"
    return "+" if "+" in flags else " " if " " in flags else ""


def _float(value: float, verb: str, precision: int | None) -> str:
    if verb in "gG" and precision is None:
        text = float_text(value)
        return text.upper() if verb == "G" else text
    return f"{value:.{6 if precision is None else precision}{verb}}"


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_TEXTS: dict[str, Callable[[str], str]] = {
    "s": lambda text: text,
    "q": _quoted,
    "x": lambda text: text.encode().hex(),
    "X": lambda text: text.encode().hex().upper(),
}
_INTEGERS: dict[str, Callable[[int], str]] = {
    "b": lambda value: f"{value:b}",
    "c": lambda value: chr(value) if value < 0x110000 else "\ufffd",
    "d": str,
    "o": lambda value: f"{value:o}",
    "O": lambda value: f"0o{value:o}",
    "q": lambda value: f"'{chr(value)}'" if value < 0x110000 else "'\ufffd'",
    "U": lambda value: f"U+{value:04X}",
    "x": lambda value: f"{value:x}",
    "X": lambda value: f"{value:X}",
}
_PREFIXES = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}
