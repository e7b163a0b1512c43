"""A finished answer: octets that are sent again as they are, and how long that is right."""

import math
from collections.abc import Sequence

from clusterdns.plugins.query import Aging, Reply
from clusterdns.server.counting import Kind
from clusterdns.wire.edns import OPT
from clusterdns.wire.patch import SOA, records, soa_serials, ttl_offsets, with_name, with_serials
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import HEADER, Question

# So many orders of the records are handed out in turn (`loadbalance`): the replies to the first
# eight asks, each through the plugins. More would cost octets and asks, fewer would favour some
# endpoints of a usual headless Service.
ORDERS = 8
# Every so many asks one of the orders is made anew by the plugins, since chance decided what the
# eight favour. It costs about 100 microseconds, so an ask pays 1 to 2 for it.
RENEW = 64

_SOA = SOA.to_bytes(2, "big")
_POINTER = 0xC0  # the two bits that mark one, RFC 1035 section 4.1.4
_TIMES = 20  # octets of a SOA record from its serial to its end
_WITHOUT_NAMES = {1, 28, SOA, OPT}  # A, AAAA; a SOA's names are the server's own and the zone


class Finished:
    """The reply to one question, octets after the id; counts how often it was sent again.

    keys: an event that touches one of them ends it.
    until: monotonic seconds; from then on it is not to be sent. math.inf: only an event ends it.
    plain: `body` is right as it stands: one order, no end by the clock, no serial that moves.
    """

    __slots__ = (
        "_aging",
        "_asks",
        "_orders",
        "_sent_again",
        "_serial",
        "_serial_at",
        "_serial_in",
        "_spelling_free",
        "_told",
        "_ttl",
        "_ttls_at",
        "_turn",
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
        question: Question | Plain,
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
        self._serial_at = _serials_at(octets, reply) if reply.serial else ()
        self._serial_in = -1  # none yet: the first ask puts the serial of that moment
        self._asks = 1
        self._spelling_free: bool | None = None  # None: nobody asked yet
        self._sent_again = reply.sent_again
        self._told = 0  # of `hits`
        self._aging: Aging | None = None
        self._ttl: int | None = None  # what all TTLs say; None: they stay as they are
        self._ttls_at: Sequence[int] = ()  # as in the whole message
        self._turn = math.inf  # monotonic seconds
        if reply.aging is not None:
            self._ttl, self._ttls_at = _ttls(octets, reply)
            if self._ttl is not None:
                self._aging, self.until = reply.aging, reply.aging.end
                self._turn = reply.aging.turn(self._ttl)
        # Every order with where its TTLs stand; None: there is one order.
        self._orders: list[tuple[bytes, Sequence[int]]] | None = None
        if reply.reorder and not self._serial_at:
            self._orders = [(self.body, self._ttls_at)]
        self.plain = self.until == math.inf and not self._serial_at and self._orders is None

    def at(self, now: float) -> bytes | None:
        """The body to send at this monotonic second; None: the plugins are to be asked.

        Does not count a hit.
        """
        if self.plain:
            return self.body
        if self.until <= now:
            self._tell_sent(min(self._turn, self.until))
            return None
        if self._turn <= now:
            self._count_down(now)
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

    def takes(self, octets: bytes, reply: Reply, question: Question | Plain, now: float) -> bool:
        """Takes one more order of the same records; False: it is another answer."""
        if self._orders is None or not reply.reorder or reply.keys != set(self.keys):
            return False
        ttl, ttls_at = _ttls(octets, reply)
        if self.until <= now or reply.aging != self._aging or ttl != self._ttl:
            return False
        if question.name != self.name:
            if not self._is_spelling_free():
                return False
            octets = with_name(octets, self.name)
        if self._aging is None:
            self.until = min(self.until, reply.until)
        order = octets[2:], ttls_at
        if len(self._orders) < ORDERS:
            self._orders.append(order)
        else:
            self._orders[self._asks // RENEW % ORDERS] = order
        return True

    def fold(self) -> int:
        """Counts its hits as of its kind; gives how many there were since the last time."""
        self._tell_sent(min(self._turn, self.until))
        hits, self.hits, self._told = self.hits, 0, 0
        if hits and self.kind is not None:
            self.kind.hit(hits, self.request_size, self.response_size)
        return hits

    def _tell_sent(self, until: float) -> None:
        if self._sent_again is not None and self.hits > self._told:
            self._sent_again(self.hits - self._told, until)
            self._told = self.hits

    def _count_down(self, now: float) -> None:
        """Puts the TTL of this second into every order."""
        assert self._aging is not None
        assert self._ttl is not None
        self._tell_sent(self._turn)
        self._ttl -= int(now - self._turn) + 1
        self._turn = self._aging.turn(self._ttl)
        if self._orders is None:
            self.body = _with_ttl(self.body, self._ttls_at, self._ttl)
        else:
            self._orders = [
                (_with_ttl(body, ttls_at, self._ttl), ttls_at) for body, ttls_at in self._orders
            ]

    def _next_order(self) -> bytes | None:
        assert self._orders is not None
        self._asks += 1
        if len(self._orders) < ORDERS or self._asks % RENEW == 0:
            return None
        return self._orders[self._asks % ORDERS][0]

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


def _serials_at(octets: bytes, reply: Reply) -> tuple[int, ...]:
    """Where the serials of SOA records stand in the octets after the id."""
    found = reply.received
    if found is not None and (found.answer, found.authority, found.additional) == (0, 1, 0):
        owner, rtype = octets[found.start], octets[found.start + 2 : found.start + 4]
        if owner >= _POINTER and rtype == _SOA:  # a denial of our own: no names to step over
            return (found.end - 2 - _TIMES,)
    return tuple([at - 2 for at in soa_serials(octets)])


def _ttls(octets: bytes, reply: Reply) -> tuple[int | None, Sequence[int]]:
    """What all TTLs say, and where, if they may be counted down; None if a plugin has changed them
    or `until`."""
    aging = reply.aging
    if aging is None:
        return None, ()
    ttls_at = aging.ttls_at if _is_as_received(octets, reply) else ttl_offsets(octets)
    ttls = {octets[at : at + 4] for at in ttls_at}
    if len(ttls) != 1:
        return None, ()
    ttl = int.from_bytes(ttls.pop(), "big")
    return (ttl, ttls_at) if reply.until == aging.turn(ttl) else (None, ())


def _is_as_received(octets: bytes, reply: Reply) -> bool:
    """Whether these are an upstream's records where they stood, all of them."""
    found = reply.received
    if found is None or reply.reorder is not None:
        return False
    counts = found.answer << 32 | found.authority << 16 | found.additional
    return int.from_bytes(octets[6:12], "big") - counts in (0, 1)  # 1: our OPT record


def _with_ttl(body: bytes, ttls_at: Sequence[int], ttl: int) -> bytes:
    """The body with this TTL. ttls_at: where they stand in the message, id and all."""
    octets = bytearray(body)
    word = ttl.to_bytes(4, "big")
    for at in ttls_at:
        octets[at - 2 : at + 2] = word
    return bytes(octets)
