"""A finished answer: octets that are sent again as they are, and how long that is right."""

import math

from clusterdns.plugins.base import Reply
from clusterdns.server.counting import Kind
from clusterdns.wire.edns import OPT
from clusterdns.wire.patch import SOA, records, soa_serials, with_name, with_serials
from clusterdns.wire.question import HEADER, Question

# So many orders of the records are handed out in turn (`loadbalance`): the replies to the first
# eight asks, each through the plugins. More would cost octets and asks, fewer would favour some
# endpoints of a usual headless Service.
ORDERS = 8
# Every so many asks one of the orders is made anew by the plugins, since chance decided what the
# eight favour. It costs about 100 microseconds, so an ask pays 1 to 2 for it.
RENEW = 64

_WITHOUT_NAMES = {1, 28, SOA, OPT}  # A, AAAA; a SOA's names are the server's own and the zone


class Finished:
    """The reply to one question, octets after the id; counts how often it was sent again.

    keys: an event that touches one of them ends it.
    until: monotonic seconds; from then on it is not to be sent. math.inf: only an event ends it.
    plain: `body` is right as it stands: one order, no end by the clock, no serial that moves.
    """

    __slots__ = (
        "_asks",
        "_orders",
        "_serial",
        "_serial_at",
        "_serial_in",
        "_spelling_free",
        "body",
        "hits",
        "keys",
        "kind",
        "name",
        "plain",
        "request_size",
        "response_size",
        "until",
    )

    def __init__(
        self,
        octets: bytes,
        reply: Reply,
        question: Question,
        kind: Kind | None = None,
        sizes: tuple[int, int] = (0, 0),
    ) -> None:
        """octets: the message, id and all. reply, question: what it was made of.

        kind: what its hits are counted as; None: they are not told to metrics.
        sizes: octets of the query, and of the reply before it was compressed or cut.
        """
        self.body = octets[2:]
        self.hits = 0  # since `fold`
        self.kind = kind
        self.request_size, self.response_size = sizes
        self.keys = tuple(reply.keys)  # as the offsets: what no collection of garbage looks at
        self.until = reply.until
        self.name = question.name  # as spelled in it, wire form
        self._serial = reply.serial
        self._serial_at = tuple([at - 2 for at in soa_serials(octets)]) if reply.serial else ()
        self._serial_in = -1  # none yet: the first ask puts the serial of that moment
        self._orders = [self.body] if reply.reorder and not self._serial_at else None
        self._asks = 1
        self._spelling_free: bool | None = None  # None: nobody asked yet
        self.plain = self.until == math.inf and not self._serial_at and self._orders is None

    def at(self, now: float) -> bytes | None:
        """The body to send at this monotonic second; None: the plugins are to be asked.

        Does not count a hit.
        """
        if self.plain:
            return self.body
        if self.until <= now:
            return None
        if self._orders is not None:
            return self._next_order()
        if self._serial_at:
            self._put_serial()
        return self.body

    def spelled(self, id: bytes, body: bytes, name: bytes) -> bytes | None:
        """The message with this id and one of our bodies, for a question spelled like this.

        None: the plugins are to be asked, since some record repeats letters of the question.
        """
        octets = id + body
        if name == self.name:
            return octets
        return with_name(octets, name) if self._is_spelling_free() else None

    def takes(self, octets: bytes, reply: Reply, question: Question, now: float) -> bool:
        """Takes one more order of the same records; False: it is another answer."""
        if self._orders is None or not reply.reorder or reply.keys != set(self.keys):
            return False
        if self.until <= now:
            return False
        if question.name != self.name:
            if not self._is_spelling_free():
                return False
            octets = with_name(octets, self.name)
        self.until = min(self.until, reply.until)
        if len(self._orders) < ORDERS:
            self._orders.append(octets[2:])
        else:
            self._orders[self._asks // RENEW % ORDERS] = octets[2:]
        return True

    def fold(self) -> int:
        """Counts its hits as of its kind; gives how many there were since the last time."""
        hits, self.hits = self.hits, 0
        if hits and self.kind is not None:
            self.kind.hit(hits, self.request_size, self.response_size)
        return hits

    def _next_order(self) -> bytes | None:
        assert self._orders is not None
        self._asks += 1
        if len(self._orders) < ORDERS or self._asks % RENEW == 0:
            return None
        return self._orders[self._asks % ORDERS]

    def _put_serial(self) -> None:
        assert self._serial is not None
        serial = self._serial()
        if serial != self._serial_in:
            self.body = with_serials(self.body, self._serial_at, serial)
            self._serial_in = serial

    def _is_spelling_free(self) -> bool:
        """Whether the question is the only place where its letters stand.

        Records that name something copy whole labels of the question, or point to them. So it is
        enough that none of its labels with letters stands in the rest, in whatever case. Types
        whose rdata could hold a name in other ways are left to the plugins.
        """
        if self._spelling_free is None:
            octets = b"\0\0" + self.body
            rest = octets[HEADER + len(self.name) :].lower()
            self._spelling_free = all(
                record.rtype in _WITHOUT_NAMES for record in records(octets)
            ) and not any(
                bytes([len(label)]) + label.lower() in rest
                for label in Question(self.name, 0).labels
                if label.lower() != label.upper()
            )
        return self._spelling_free
