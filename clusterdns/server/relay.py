"""Plain questions that only go to an upstream, or that one plugin answers at once, as octets.

The full path would build a query, a coroutine for each plugin and a reply for them, which costs as
much as all of the rest. Here plugins have said beforehand what passes them (`plugins.passage`), and
what is not as usual takes the full path: at once, or with the upstream's reply in hand.
"""

import struct
import time
from collections.abc import Sequence

from clusterdns.errors import UpstreamError
from clusterdns.plugins.passage import Back, Came, Finds, Passage, Way
from clusterdns.plugins.query import Reply
from clusterdns.server.answers import Answers
from clusterdns.server.block import Route, Router
from clusterdns.server.counting import Series
from clusterdns.server.respond import QUERY_TIME_S, Responder, flags_of
from clusterdns.server.steps import Steps
from clusterdns.server.underway import Send, UnderWay
from clusterdns.wire.edns import reply_edns
from clusterdns.wire.message import AD
from clusterdns.wire.names import folded_name, upward
from clusterdns.wire.plain import QUERY_EDNS, Plain, plain
from clusterdns.wire.question import HEADER
from clusterdns.wire.received import Received

_HEAD = struct.Struct("!5H")  # all of the header behind the id
_RCODE = 0xF


class Relay:
    """What may be relayed of the datagrams of one socket."""

    def __init__(self, responder: Responder, answers: Answers, under_way: UnderWay) -> None:
        self._responder = responder
        self._answers = answers
        self._under_way = under_way
        self.route(responder.router)

    def route(self, router: Router) -> None:
        """Goes by these blocks from now on."""
        self._lanes = lanes(router, self._answers)
        self._root = self._lanes.get(b"\0")
        # What ends like none of the others needs no look at each of its labels.
        self._ends = tuple(zone for zone in self._lanes if zone != b"\0")

    def takes(self, octets: bytes, peer: tuple[str, int], send: Send, now: float) -> bool:
        """Whether a query is on its way, and `send` will get its reply; False: it must take the
        full path.

        peer: address without IPv6 scope, and port. now: monotonic seconds.
        """
        if not self._lanes:
            return False
        asked = plain(octets)
        if asked is None or (lane := self._lane(asked.name)) is None:
            return False
        try:
            for stops in lane.stops:
                if stops(asked, now):
                    return False
            for holds, backs in lane.holds:
                held = holds(asked, now)
                if held is not None:
                    return held is not False and self._answered(
                        lane, held, backs, asked, peer, send, now
                    )
            if lane.finds is None:
                return self._sent(lane, asked, peer, send, now)
            found = lane.finds(asked)
            return found is not None and self._answered(
                lane, found, lane.backs, asked, peer, send, now
            )
        except Exception:  # an edge: the full path will tell what is wrong
            return False

    def _sent(
        self, lane: "Lane", asked: Plain, peer: tuple[str, int], send: Send, now: float
    ) -> bool:
        """Whether a query is on its way."""
        assert lane.way is not None
        trip = Trip(self, lane, asked, peer, send, now, self._answers.epoch)
        is_sent = False
        self._under_way.enter()
        try:
            flags = asked.flags | lane.flags
            is_sent = lane.way.send(asked, flags, now, now + QUERY_TIME_S, trip.told)
        finally:
            if not is_sent:
                self._under_way.leave()
        return is_sent

    def _answered(
        self,
        lane: "Lane",
        found: Reply,
        backs: Sequence[Back],
        asked: Plain,
        peer: tuple[str, int],
        send: Send,
        now: float,
    ) -> bool:
        """Whether a query could be answered with what was found at once; then it was."""
        reply = _through(backs, asked, found, now)
        if reply is None:
            return False
        octets = self._finished(lane, asked, reply, peer, now, time.monotonic())
        if found.sent_again is not None:
            found.sent_again(1, now)
        send(octets)  # the last step: what fails before it has the full path reply
        return True

    def told(self, trip: "Trip", found: Received | None, error: UpstreamError | None) -> None:
        """Sends the reply to the client."""
        now = time.monotonic()
        try:
            reply = None
            # An event may be why somebody else has the name by now.
            if found is not None and trip.epoch == self._answers.epoch:
                reply = _passed_back(trip, found, now)
            if reply is None:
                self._resolve(trip, found, error)
            else:
                lane, asked = trip.lane, trip.asked
                trip.send(self._finished(lane, asked, reply, trip.peer, trip.now, now))
        except Exception:  # an edge: one query may not end the server
            trip.send(self._responder.failed(trip.asked.octets, trip.peer))
        finally:
            self._under_way.leave()

    def _lane(self, name: bytes) -> "Lane | None":
        """That of the longest zone that a folded name is in."""
        if not name.endswith(self._ends):
            return self._root
        lanes = self._lanes
        while name not in lanes:  # `upward` would cost 0.2 us more
            if not (length := name[0]):
                return None
            name = name[length + 1 :]
        return lanes[name]

    def _finished(
        self,
        lane: "Lane",
        asked: Plain,
        reply: Reply,
        peer: tuple[str, int],
        came: float,
        now: float,
    ) -> bytes:
        """The octets to send; they are counted and kept.

        came: monotonic seconds at which the query did.
        """
        octets = lane.packed(asked, reply)
        if octets is not None:
            assert reply.received is not None
            size = reply.received.plain or len(octets)
        else:
            octets, size = self._responder.finished(asked.octets, reply, lane.route, peer, came)
        sizes = len(asked.octets), size
        kind = None
        if lane.counted is not None:
            kind = lane.counted.ask(asked.qtype, asked.do, reply.rcode, *sizes, now - came)
        if reply.until > now and lane.route.block.keeps:
            self._answers.keep(asked.octets[2:], octets, reply, asked, now, kind, sizes)
        return octets

    def _resolve(self, trip: "Trip", found: Received | None, error: UpstreamError | None) -> None:
        """Takes the full path, with the upstream's word in hand."""
        assert trip.lane.way is not None
        came = Came(trip.lane.way, found, error)
        reply = self._responder.respond(trip.asked.octets, trip.peer, trip.now, came)
        if isinstance(reply, Steps):
            self._under_way.add(reply, trip.send)
        else:
            trip.send(reply)


def _passed_back(trip: "Trip", found: Received, now: float) -> Reply | None:
    """The reply as it leaves the plugins; None: `resolve` of each must see it."""
    if found.options:
        return None
    return _through(trip.lane.backs, trip.asked, Reply.of(found), now)


def _through(backs: Sequence[Back], asked: Plain, reply: Reply, now: float) -> Reply | None:
    """The reply as it leaves the plugins in front; None: `resolve` of each must see it."""
    for back in backs:
        if (changed := back(asked, reply, now)) is None:
            return None
        reply = changed
    return reply


def _backs(passages: Sequence[Passage]) -> list[Back]:
    return [each.back for each in reversed(passages) if each.back is not None]


class Trip:
    """One query on its way."""

    __slots__ = ("_relay", "asked", "epoch", "lane", "now", "peer", "send")

    def __init__(
        self,
        relay: Relay,
        lane: "Lane",
        asked: Plain,
        peer: tuple[str, int],
        send: Send,
        now: float,
        epoch: int,
    ) -> None:
        """now: monotonic seconds at which it came. epoch: that of the answers at that time."""
        self._relay = relay
        self.lane = lane
        self.asked = asked
        self.peer = peer
        self.send = send
        self.now = now
        self.epoch = epoch

    def told(self, found: Received | None, error: UpstreamError | None) -> None:
        """What came of it: one of the two."""
        self._relay.told(self, found, error)


class Lane:
    """How plain questions of one zone reach upstreams.

    route: to the server block.
    way: who takes them. finds: what answers them at once. One of the two is None.
    stops, backs: of the plugins in front of that: outermost first, and innermost first.
    holds: of those that may have the reply, outermost first, each with the backs in front of it.
    flags: header bits that plugins add to the query.
    counted: None: the block is not counted.
    """

    def __init__(
        self,
        route: Route,
        to: Way | Finds,
        passages: Sequence[Passage],
        answers: Answers,
    ) -> None:
        """passages: in the order of the plugins."""
        block = route.block
        self.route = route
        self.finds: Finds | None = to if callable(to) else None
        self.way: Way | None = None if callable(to) else to
        self.stops = [each.stops for each in passages if each.stops is not None]
        self.backs = _backs(passages)
        self.holds = [
            (each.holds, _backs(passages[:place]))
            for place, each in enumerate(passages)
            if each.holds is not None
        ]
        self.flags = 0
        for each in passages:
            self.flags |= each.flags
        self.counted = Series(answers.tally, route.zone, block.writer) if block.counted else None
        edns = [reply_edns(each, block.edns_size) for each in QUERY_EDNS]
        self._opts = [b"" if each is None else each.pack() for each in edns]

    def packed(self, asked: Plain, reply: Reply) -> bytes | None:
        """The message to send; None: that takes more than putting octets together."""
        found, rcode = reply.received, reply.rcode
        if found is None or rcode > _RCODE or reply.options or reply.desired is not None:
            return None
        opt = self._opts[asked.has_opt + asked.do]
        octets, start, end = found.octets, found.start, found.end
        if end + len(opt) > asked.size:
            return None
        asks_ad = asked.do or asked.flags & AD != 0
        flags = flags_of(reply, asked.flags, asks_ad, self.route.block) | rcode
        counts = found.answer, found.authority, found.additional + asked.has_opt
        query = asked.octets
        return b"".join(
            (
                query[:2],
                _HEAD.pack(flags, 1, *counts),
                query[HEADER : asked.end],
                octets[start:end],
                opt,
            )
        )


def lanes(router: Router, answers: Answers) -> dict[bytes, Lane | None]:
    """By zone, as folded wire form, of which the longest decides.

    None: its names take the full path. Nothing at all: every name does.
    """
    routes = router.unfiltered
    found = {
        at: lane
        for top, route in routes.items()
        for at, lane in _lanes_of(top, route, answers).items()
        if next(each for each in upward(at) if each in routes) == top
    }
    return found if any(found.values()) else {}


def _lanes_of(top: bytes, route: Route, answers: Answers) -> dict[bytes, Lane | None]:
    """Those of one zone of a block; it has no others behind it (yet)."""
    block = route.block
    found: dict[bytes, Lane | None] = {}
    passages: list[Passage] = []
    for plugin in block.resolving:
        passage = plugin.passage(answers.tally.server, block.view)
        if passage is None:  # what was found does not come to it
            break
        passages.append(passage)
        for name, to in {**passage.ways, **passage.sources}.items():
            at = folded_name(name)
            if at in upward(top):
                at = top
            if top in upward(at) and not any(each in found for each in upward(at)):
                found[at] = None if to is None else Lane(route, to, passages, answers)
        if any(way is not None for way in passage.ways.values()):
            break
    return {top: None, **found}
