"""Environment variables in the words of a Corefile: {$NAME} and {%NAME%}."""

from collections.abc import Mapping

from clusterdns.corefile.findings import Findings
from clusterdns.errors import Place

# A value may hold references too, and those may lead in a circle, or grow without end.
MAX_ROUNDS = 100  # more variables than any word names
MAX_LENGTH = 1 << 20  # characters; Linux gives one variable 128 KiB


def substitute(word: str, environ: Mapping[str, str], place: Place, findings: Findings) -> str:
    """The word with each reference replaced by its variable's value, an unset one by nothing.

    A fault when values refer to each other without end; the word is then left as it has become.
    """
    for opening, closing in (("{%", "%}"), ("{$", "}")):  # CoreDNS' order
        word = _replaced(word, opening, closing, environ, place, findings)
    return word


def _replaced(
    word: str,
    opening: str,
    closing: str,
    environ: Mapping[str, str],
    place: Place,
    findings: Findings,
) -> str:
    for _ in range(MAX_ROUNDS):
        start = word.find(opening)
        end = word.find(closing, start)
        if start < 0 or end <= start + len(opening):  # none, cut off, or without a name
            return word
        name = word[start + len(opening) : end]
        if name not in environ:
            findings.warn(f"environment variable {name} is not set: nothing takes its place", place)
        word = word.replace(word[start : end + len(closing)], environ.get(name, ""))
        if len(word) > MAX_LENGTH:
            break
    findings.fault("environment variables that refer to each other without end", place)
    return word
