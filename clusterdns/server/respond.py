"""The full path of a query: octets and peer in, octets out, every plugin asked."""

import asyncio
import logging
import time
from collections.abc import Hashable, Iterator
from itertools import chain
from typing import NamedTuple

from clusterdns import metrics
from clusterdns.errors import MalformedMessage, ResolveError
from clusterdns.plugins.passage import Came
from clusterdns.plugins.query import LongReply, Query, Reply
from clusterdns.server.answers import Answers, Look, key_of
from clusterdns.server.block import Block, Route, Router, serves_class
from clusterdns.server.counting import DROPPED, Kind, Outcome
from clusterdns.server.steps import Steps, start
from clusterdns.wire.edns import OUR_SIZE, Edns, limit_for, reply_edns
from clusterdns.wire.message import (
    AD,
    BADVERS,
    NOERROR,
    NOTIFY,
    RD,
    REFUSED,
    SERVFAIL,
    Message,
    encode,
    error_reply,
    header_reply,
    malformed_reply,
    parse,
    reply_flags,
    screen,
)
from clusterdns.wire.received import passed_on
from clusterdns.wire.sizes import plain_size
from clusterdns.wire.texts import rcode_text
from clusterdns.wire.transfer import Begun, several

QUERY_TIME_S = 5.0  # what stub resolvers wait by default (resolv.conf, `timeout`)
# A traceback for each of thousands of queries a second would fill disks and tell nothing more.
_TRACEBACK_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Responder:
    """Answers the queries that come in at one address over one transport."""

    def __init__(
        self, router: Router, answers: Answers, transport: str, local: tuple[str, int]
    ) -> None:
        """transport: "udp" or "tcp". local: the listener's address and port."""
        self.router = router
        self._answers = answers
        self._transport = transport
        self._local = local
        self._next_traceback = 0.0  # monotonic seconds
        self._untold = 0  # failures since the last traceback

    def respond(
        self, octets: bytes, peer: tuple[str, int], now: float, came: Came | None = None
    ) -> bytes | Steps[bytes | None] | None:
        """The reply, or None for none, or Steps if a plugin waits for something.

        peer: address without IPv6 scope, and port. now: monotonic seconds.
        came: what an upstream has said already to this query of that time.
        No octets and no plugin make it raise anything. Cancelled, it gives SERVFAIL.
        """
        return start(self._respond(octets, peer, now, came))

    def finished(
        self, octets: bytes, reply: Reply, route: Route, peer: tuple[str, int], now: float
    ) -> tuple[bytes, int]:
        """The octets of a reply to this query, which parses; and how many it would have had without
        compression and truncation."""
        message = parse(octets)
        finished = _finish(message, reply, route, self._query(octets, message, peer, now))
        return finished, _size(message, reply, finished)

    def failed(self, octets: bytes, peer: tuple[str, int]) -> bytes:
        """The reply to a query that ended in the exception being handled; counts and logs it."""
        self._failed(peer)
        return header_reply(octets, SERVFAIL)

    async def _respond(
        self, octets: bytes, peer: tuple[str, int], now: float, came: Came | None
    ) -> bytes | None:
        began = time.monotonic() if came is None else now
        try:
            screened = screen(octets)
            if screened is not None:
                return self._rejected(screened or None)
            message = parse(octets)
            viewed = self._query(octets, message, peer, now) if self.router.filtered else None
            route = self.router.find(message.question, viewed)
            asked = _Asked(octets, message, route, began, came)
            return await self._answer(asked, peer, now)
        except MalformedMessage as error:
            rcode = error.rcode
            return self._rejected(None if rcode is None else malformed_reply(octets, rcode))
        except Exception:  # an edge: one query may not end the server
            return self.failed(octets, peer)

    async def _answer(self, asked: "_Asked", peer: tuple[str, int], now: float) -> bytes | None:
        octets, message, route, began, came = asked
        if (rcode := self._refused(message, route)) is not None:
            return self._error(asked, rcode, DROPPED)
        assert route is not None
        limit = limit_for(message.edns, self._transport)
        key: Hashable = None
        if route.block.keeps:
            key = key_of(octets, message, limit, self.router.options)
        for look in _looks(key, route.block.persona(message.question, peer)):
            known = self._answers.second_look(message, look, now)
            if known is not None:
                self._answers.count_second_look(look, len(octets), time.monotonic() - began)
                return known
        query = self._query(octets, message, peer, now)
        query.zone, query.view, query.came = route.zone, route.block.view, came
        epoch = self._answers.epoch
        try:
            is_notify = message.opcode == NOTIFY
            resolve = route.block.notify if is_notify else route.block.resolve
            reply = await resolve(query)
            if isinstance(reply, LongReply):
                return self._several(asked, reply, query)
            if reply is None:
                self._count(asked, route.zone, None, "", 0)
                return None
            finished = _finish(message, reply, route, query)
        except ResolveError as error:
            return self._error(asked, error.rcode, route.zone)
        except asyncio.CancelledError:  # too late, or the server stops: the client may ask another
            return self._error(asked, SERVFAIL, route.zone)
        except Exception:  # an edge: one query may not end the server
            self._failed(peer)
            return self._error(asked, SERVFAIL, route.zone)
        size = _size(message, reply, finished) if route.block.counted else 0
        kind = self._count(asked, route.zone, reply.rcode, route.block.writer, size)
        if key is not None and reply.persona is not None:
            key, reply.until = (key, reply.persona), reply.until_for_persona
        # What an event touched meanwhile may be in a reply that waited: then it is not kept.
        if key is not None and reply.until > now and epoch == self._answers.epoch:
            sizes = len(octets), size
            self._answers.keep(key, finished, reply, message.question, now, kind, sizes)
        return finished

    def _query(self, octets: bytes, message: Message, peer: tuple[str, int], now: float) -> Query:
        """The query as it came, of no zone yet."""
        return Query(
            octets=octets,
            question=message.question,
            flags=message.flags,
            edns=message.edns,
            peer=peer,
            local=self._local,
            transport=self._transport,
            limit=limit_for(message.edns, self._transport),
            zone="",
            exchange=self.router,
            received=now,
            deadline=now + QUERY_TIME_S,
            server=self._answers.tally.server,
        )

    def _several(self, asked: "_Asked", reply: LongReply, query: Query) -> Begun:
        """The first message of a long reply; it is counted when the last one has been made."""
        message, route = asked.message, asked.route
        assert route is not None
        flags, edns = _head(message, reply, route, query)
        records = chain(reply.answer, reply.rest)
        question = message.question
        begun = several(id=message.id, flags=flags, question=question, records=records, edns=edns)
        begun.rest = self._counted(asked, begun, begun.rest)
        return begun

    def _counted(self, asked: "_Asked", begun: Begun, rest: Iterator[bytes]) -> Iterator[bytes]:
        size = len(begun)
        for piece in rest:
            size += len(piece)
            yield piece
        assert asked.route is not None
        self._count(asked, asked.route.zone, NOERROR, asked.route.block.writer, size)

    def _rejected(self, reply: bytes | None) -> bytes | None:
        """Counts a message that was no query to answer; gives the reply."""
        rcode = "" if reply is None else rcode_text(reply[3] & 0xF)
        metrics.rejected_messages.add(self._transport, rcode)
        return reply

    def _error(self, asked: "_Asked", rcode: int, zone: str) -> bytes:
        """Counts a query whose reply no plugin wrote; gives the reply."""
        reply = _error(asked.message, rcode, asked.route)
        self._count(asked, zone, rcode, "", len(reply))
        return reply

    def _count(
        self, asked: "_Asked", zone: str, rcode: int | None, plugin: str, size: int
    ) -> Kind | None:
        """Counts a query; None: its server block is not counted. size: octets of the reply."""
        octets, message, route, began, _ = asked
        block = None if route is None or zone is DROPPED else route.block
        if block is not None and not block.counted:
            return None
        if block is not None:
            zone = block.counted_as(message.question, zone)
        do = message.edns is not None and message.edns.do
        view = "" if block is None else block.view
        outcome = Outcome(zone, view, message.question.qtype, do, rcode, plugin)
        seconds = time.monotonic() - began
        return self._answers.tally.ask(outcome, len(octets), size, seconds)

    @staticmethod
    def _refused(message: Message, route: Route | None) -> int | None:
        """The rcode for a query that no plugin is asked; None: go on."""
        if message.opcode == NOTIFY and not (route and route.block.takes_notify):
            return REFUSED
        if route is None or route.block.empty or not serves_class(route.block, message.question):
            return REFUSED
        if message.edns is not None and message.edns.version:
            return BADVERS
        return None

    def _failed(self, peer: tuple[str, int]) -> None:
        """Counts and logs the exception being handled, at most one in a while."""
        metrics.panics.add()
        now = time.monotonic()
        if now < self._next_traceback:
            self._untold += 1
            return
        more = f" ({self._untold} more failed since the last such message)" if self._untold else ""
        log.exception("query from %s failed%s", peer[0], more)
        self._next_traceback, self._untold = now + _TRACEBACK_EVERY_S, 0


class _Asked(NamedTuple):
    """A query on the full path; route: None if no server block has its name."""

    octets: bytes
    message: Message
    route: Route | None
    began: float  # monotonic seconds
    came: Came | None


def _looks(key: Hashable, persona: Hashable) -> Iterator[Hashable]:
    """What else than its octets a finished answer to a query may be known by."""
    if isinstance(key, Look):
        yield key
    if key is not None and persona is not None:
        yield key, persona


def _error(message: Message, rcode: int, route: Route | None) -> bytes:
    """A reply without records, for what never became a Reply."""
    recursive = route is not None and route.block.recursive
    return error_reply(
        id=message.id,
        flags=reply_flags(message.flags, recursion_available=recursive),
        question=message.question,
        rcode=rcode,
        edns=reply_edns(message.edns, OUR_SIZE if route is None else route.block.edns_size),
    )


def _size(message: Message, reply: Reply, octets: bytes) -> int:
    """Octets before compression and truncation; of what an upstream packed, as they are."""
    if reply.received is not None:
        return reply.received.plain or len(octets)
    return plain_size(message.question, chain(reply.answer, reply.authority, reply.additional))


def _head(message: Message, reply: Reply, route: Route, query: Query) -> tuple[int, Edns | None]:
    """Flags and OPT record of the reply. Flags are those that plugins have left to the query."""
    edns = message.edns
    asks_ad = message.flags & AD != 0 or (edns is not None and edns.do)
    flags = flags_of(reply, query.flags, asks_ad, route.block)
    if reply.desired is not None:
        flags = flags | RD if reply.desired else flags & ~RD
    return flags, reply_edns(edns, route.block.edns_size, tuple(reply.options), reply.force_edns)


def flags_of(reply: Reply, flags: int, asks_ad: bool, block: Block) -> int:
    """The header bits of a reply to a query with these flags, but for RD and the rcode.

    asks_ad: AD or DO was set in the query (RFC 6840 section 5.8).
    """
    return reply_flags(
        flags,
        authoritative=reply.authoritative,
        recursion_available=block.recursive if reply.recursion is None else reply.recursion,
        authentic=reply.authentic and asks_ad,
        truncated=reply.truncated,
    )


def _finish(message: Message, reply: Reply, route: Route, query: Query) -> bytes:
    """The reply's octets, as many as plugins have left to the query."""
    flags, edns = _head(message, reply, route, query)
    limit = query.limit
    if reply.received is not None:
        octets = passed_on(
            reply.received,
            id=message.id,
            flags=flags,
            question=message.question,
            rcode=reply.rcode,
            edns=edns,
            limit=limit,
        )
        if octets is not None:
            return octets
    return encode(
        id=message.id,
        flags=flags,
        question=message.question,
        rcode=reply.rcode,
        answer=reply.answer,
        authority=reply.authority,
        additional=reply.additional,
        edns=edns,
        limit=limit,
    )
