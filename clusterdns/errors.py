"""The families of errors. What a library raises is wrapped once, at the border, with `from`."""

from typing import NamedTuple


class Place(NamedTuple):
    """Where in a text something stands. line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ClusterDnsError(Exception):
    """Everything that clusterdns raises itself."""


class ConfigError(ClusterDnsError):
    """A Corefile, flag or file named by them that cannot be used.

    place: None where there is none, as for a flag.
    """

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place


class MalformedMessage(ClusterDnsError):
    """Octets that are no DNS message we may answer from its content.

    rcode: what to answer; None: drop it without a word (RFC 9499: no reply).
    """

    def __init__(self, message: str, rcode: int | None) -> None:
        super().__init__(message)
        self.rcode = rcode


class SourceError(ClusterDnsError):
    """Cluster objects that cannot be had or read; names the file or URL, and the object."""


class UpstreamError(ClusterDnsError):
    """An upstream that did not answer, or not usably."""


class ResolveError(ClusterDnsError):
    """A query that a plugin could not answer; the client gets rcode, `errors` logs the text.

    told: the rcode that `errors` logs with it.
    """

    def __init__(  # 2: SERVFAIL, RFC 1035 section 4.1.1
        self, message: str, rcode: int = 2, told: int | None = None
    ) -> None:
        super().__init__(message)
        self.rcode = rcode
        self.told = rcode if told is None else told
