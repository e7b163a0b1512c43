"""How plain questions pass a plugin on their way to an upstream and back, without its `resolve`.

A question that only goes to an upstream needs none of what most plugins do. So each says beforehand
which questions it lets pass; the server sends those on as octets, at half of the cost. Nor does one
that `kubernetes` answers at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from clusterdns.errors import UpstreamError
from clusterdns.wire.plain import Plain
from clusterdns.wire.received import Received

if TYPE_CHECKING:
    from clusterdns.plugins.query import Reply

# One of the two is None.
Told = Callable[[Received | None, UpstreamError | None], object]
Stops = Callable[[Plain, float], bool]
Holds = Callable[[Plain, float], "Reply | Literal[False] | None"]
Finds = Callable[[Plain], "Reply | None"]
Back = Callable[[Plain, "Reply", float], "Reply | None"]


class Way(Protocol):
    """Who takes plain questions, as a `forward` line does."""

    def send(self, question: Plain, flags: int, now: float, deadline: float, told: Told) -> bool:
        """Whether the question is on its way; `told` is then called once, perhaps before this
        returns, with the reply or with why there is none. False: `resolve` knows why not.

        flags: the second 16 bits of the header to send. now, deadline: monotonic seconds.
        """
        ...


class Came(NamedTuple):
    """What a way has told already, of a query that takes the full path all the same."""

    way: Way
    found: Received | None
    error: UpstreamError | None


@dataclass(frozen=True, slots=True)
class Passage:
    """What a plugin has to do with plain questions.

    ways: who takes the names of a zone (absolute, lower-case), `except` for zones below it; None
        for a zone whose names are `resolve`'s alone.
    sources: what answers the names of a zone at once; gives None for what is for `resolve`.
    stops: whether this question at this monotonic second is for `resolve`, looked at without a
        side effect; None: none is, but for those of `ways`.
    holds: the reply that it has for this question at this monotonic second, whose `sent_again` is
        told once it is sent; gives None if it has none, and False for what is for `resolve`.
    back: what the plugin makes of the reply from behind it; gives None, and has done nothing, if
        that is for `resolve` (which will find the reply there). None: passes on what it gets.
    flags: header bits that it sets in what is behind it.
    """

    ways: Mapping[str, Way | None] = field(default_factory=dict)
    sources: Mapping[str, Finds] = field(default_factory=dict)
    stops: Stops | None = None
    holds: Holds | None = None
    back: Back | None = None
    flags: int = 0
