"""DNS messages in HTTP of any version (RFC 8484): what is asked, and what a response holds."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clusterdns.errors import UpstreamError
from clusterdns.wire.patch import ttl_offsets, with_ttls

PATH = "/dns-query"  # as in CoreDNS, and where nearly every server has it
MEDIA = "application/dns-message"
MOST_OCTETS = 65535  # of a reply, which has no length in front of it here
_UNTYPED = b"application/octet-stream"  # RFC 9110 section 8.3: what it may be taken for


@dataclass(frozen=True)
class Form:
    """How one upstream is asked. Nothing is told of us that the answer does not need (section 8.2).

    method: POST or GET. authority: its name, and its port if that is another than HTTPS's.
    """

    method: str
    authority: str

    def target(self, message: bytes) -> str:
        """Path and query."""
        if self.method == "POST":
            return PATH
        return f"{PATH}?dns={base64.urlsafe_b64encode(message).rstrip(b'=').decode()}"

    def body(self, message: bytes) -> bytes:
        """What follows the head."""
        return message if self.method == "POST" else b""


class Response(NamedTuple):
    """What came of a request. headers: by their names in small letters."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


class Refused(NamedTuple):
    """What came of a request that the upstream has not even begun with: it may be sent again.

    reason: for when it was refused before.
    """

    reason: str


# One of them comes of each request; the error is about it alone.
Outcome = Response | Refused | UpstreamError


def message_in(response: Response) -> bytes:
    """The DNS message in a response, its TTLs as low as they are by now.

    Raises UpstreamError if there is none, MalformedMessage if that shows.
    """
    if response.status // 100 != 2:  # RFC 8484 section 4.2.1: also SERVFAIL and such are 200
        raise UpstreamError(f"HTTP status {response.status}")
    words = response.headers.get(b"content-type", _UNTYPED).partition(b";")
    media = words[0].strip().lower().decode("ascii", "backslashreplace")
    if media != MEDIA:
        raise UpstreamError(f"content of type {media}, not {MEDIA}")
    age = response.headers.get(b"age", b"0")
    if age.isdigit() and int(age[:10]):  # it was in a cache, section 5.1
        return with_ttls(response.body, ttl_offsets(response.body), int(age[:10]))
    return response.body


def too_large() -> UpstreamError:
    """For a body that is no DNS message by its size."""
    return UpstreamError(f"a reply of more than {MOST_OCTETS} octets")
