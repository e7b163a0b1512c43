import pytest

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.patterns import pattern
from clusterdns.errors import ConfigError, Place

PLACE = Place("Corefile", 4, 18)


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("timeout$", "i/o timeout", "i/o timeout\n"),
        ("^[[:alpha:]]+$", "abc", "ab1"),
        ("(?i)REFUSED", "connection refused", "reset"),
        ("", "anything", None),
        ("ü", "grün", "grun"),
        ("a" * 10_000, "a" * 10_000, "a"),
    ],
)
def test_search(text: str, matching: str, other: str | None) -> None:
    compiled = pattern(Token(text, PLACE))
    assert compiled.pattern == text
    assert compiled.search(matching)
    assert other is None or not compiled.search(other)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("())", "unexpected"),
        ("(?=look)", "invalid perl operator"),
        (r"(a)\1", "invalid escape"),
        ("[", "missing"),
        ("a" * 10_001, "over 10000"),
    ],
)
def test_refused(text: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=reason) as fault:
        pattern(Token(text, PLACE))
    assert fault.value.place == PLACE
    assert capfd.readouterr() == ("", "")
