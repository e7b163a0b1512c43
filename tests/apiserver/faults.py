"""What may go wrong with a request to the simulated API server; a test's hook decides each time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Call(NamedTuple):
    """A request as the hook sees it, and as `ApiServer.calls` keeps it."""

    resource: str  # "services" ..., or the path of anything else
    verb: str  # "list", "watch" or "get"
    query: Mapping[str, str]
    headers: Mapping[str, str]
    number: int  # counts the calls of this resource and verb from 1


@dataclass(frozen=True)
class Fault:
    """How a request goes wrong; the default is a right answer.

    status: answer this instead, with a Status object; retry_after: seconds, of its header.
    hang: read the request and never answer.
    mute: answer the headers of a watch, and then nothing for ever, not even bookmarks.
    body: send these octets, with status 200, instead of what was asked for.
    lines: send so many events of a watch, then cut the connection.
    octets: send so many octets of a list, then cut the connection.
    """

    status: int = 0
    retry_after: int | None = None
    hang: bool = False
    mute: bool = False
    body: bytes | None = None
    lines: int | None = None
    octets: int | None = None


FaultHook = Callable[[Call], Fault | None]
