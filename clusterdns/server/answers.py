"""Raw query octets -> finished answer: the hot path.

The key is the query after its id, as it came: flags, counts, question, OPT. Stub resolvers send few
spellings of a question, so it hits nearly always. What would never come the same way twice (a
cookie, padding, letters in random case) is found at a second look, by what of it decides the reply.
"""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from clusterdns.plugins.query import Reply
from clusterdns.server.counting import Kind, Tally
from clusterdns.server.finished import Finished
from clusterdns.server.table import Table
from clusterdns.wire.edns import Edns, Option
from clusterdns.wire.message import Message
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question
from clusterdns.zone.index import Key

# Answers with records: twice so many are kept, at 1 to 2 kB each with all that leads to them. A
# cluster's clients ask for some hundred to some thousand names. Dropping one generation takes 4 ms,
# which is what may hold the loop at most.
HOT = 8192
# Answers without: search lists make them of every name outside the cluster, and junk of every name
# at all. They have a table of their own, so that a flood of them costs the others nothing.
COLD = 4096

_OPT_WITHOUT_OPTIONS = 11  # octets


class Look(NamedTuple):
    """All of a query that decides its reply, when no plugin looks at more than the question."""

    name: bytes  # folded
    qtype: int
    qclass: int
    flags: int
    size: int | None  # octets that the reply may have; None: the query had no OPT record
    do: bool
    options: tuple[Option, ...]  # those that some plugin of the block reads


class Answers:
    """The finished answers of one socket.

    epoch: grows with every `forget`: what was looked up before may not be kept after.
    tally: counts what comes in by the socket.
    """

    def __init__(self, hot: int = HOT, cold: int = COLD, tally: Tally | None = None) -> None:
        self._hot, self._cold = Table(hot), Table(cold)
        self._second_looks = 0
        self.epoch = 0
        self.tally = tally or Tally()

    def __len__(self) -> int:
        return len(self._hot) + len(self._cold)

    @property
    def hits(self) -> int:
        """How many queries were answered from here."""
        return self._hot.hits + self._cold.hits + self._second_looks

    def reply(self, octets: bytes, now: float) -> bytes | None:
        """The reply to these octets at this monotonic second; None: not known here."""
        question = octets[2:]
        finished = self._hot.recent.get(question) or self._find(question)
        if finished is None:
            return None
        if finished.plain:
            finished.hits += 1
            return octets[:2] + finished.body
        if (body := finished.at(now)) is None:
            return None
        finished.hits += 1
        return octets[:2] + body

    def second_look(self, message: Message, look: Hashable, now: float) -> bytes | None:
        """The reply to a query whose octets are not known, but all that decides is.

        look: a Look; or raw query octets after the id, or a Look, with the client's persona.
        """
        finished = self._find(look)
        if finished is None or (body := finished.at(now)) is None:
            return None
        reply = finished.spelled(message.id.to_bytes(2, "big"), body, message.question.name)
        self._second_looks += reply is not None
        return reply

    def count_second_look(self, look: Hashable, size: int, seconds: float) -> None:
        """Counts a query that `second_look` just answered. size: its octets."""
        finished = self._find(look)
        if finished is not None and finished.kind is not None:
            self.tally.ask_again(finished.kind, size, finished.response_size, seconds)

    def tell(self) -> None:
        """Adds to the metrics what was counted since the last time."""
        self._hot.fold()
        self._cold.fold()
        self.tally.tell()

    def keep(
        self,
        key: Hashable,
        octets: bytes,
        reply: Reply,
        question: Question | Plain,
        now: float,
        kind: Kind | None = None,
        sizes: tuple[int, int] = (0, 0),
    ) -> None:
        """Keeps a reply until one of its keys is touched or its end by the clock.

        key: raw query octets after the id, or a Look; or one of them and a persona.
        octets: the whole message to send.
        kind, sizes: how its hits are counted, see Finished.
        """
        known = self._find(key)
        if known is not None and known.takes(octets, reply, question, now):
            return
        # What an upstream packed is not parsed for this.
        answers = reply.received.answer if reply.received is not None else len(reply.answer)
        table, other = (self._hot, self._cold) if answers else (self._cold, self._hot)
        finished = Finished(octets, reply, question, kind, sizes)
        if known is None:
            table.add(key, finished)
        else:
            table.put(key, finished)
            other.drop(key)

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops exactly the answers that rest on one of these keys."""
        keys = keys if isinstance(keys, set) else set(keys)
        self.epoch += len(keys)
        for table in (self._hot, self._cold):
            for key in table.needed(keys):
                table.forget(key)

    def clear(self) -> None:
        """Drops all: other plugins answer from now on."""
        self.epoch += 1
        self._hot.clear()
        self._cold.clear()

    def _find(self, key: Hashable) -> Finished | None:
        return self._hot.get(key) or self._cold.get(key)


def key_of(
    octets: bytes, message: Message, limit: int, options: frozenset[int]
) -> bytes | Look | None:
    """Under what the reply to a query may be kept; None: under nothing.

    The octets themselves are good for a query of a lower-case question, an OPT record without
    options, and nothing else: it will come again like this. One with records other than OPT may be
    about those records.

    options: the codes that some plugin looks at.
    """
    edns, question = message.edns, message.question
    if octets[6:12] != (b"\0\0\0\0\0\0" if edns is None else b"\0\0\0\0\0\1"):
        return None
    folded = question.folded
    end = question.end + (0 if edns is None else _OPT_WITHOUT_OPTIONS)
    if len(octets) == end and folded == question.name:
        return octets[2:]
    return Look(
        folded,
        question.qtype,
        question.qclass,
        message.flags,
        None if edns is None else limit,
        edns is not None and edns.do,
        _read(edns, options),
    )


def _read(edns: Edns | None, codes: frozenset[int]) -> tuple[Option, ...]:
    if edns is None or not codes:
        return ()
    return tuple(option for option in edns.options if option.code in codes)
