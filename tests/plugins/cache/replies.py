"""Replies of upstreams for the tests of `cache`, and a clock that stands still."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dnslib import QTYPE

from clusterdns.errors import ResolveError
from clusterdns.plugins.cache import Cache
from clusterdns.plugins.cache.options import Rules
from clusterdns.plugins.query import Query, Reply
from clusterdns.wire.message import QR, RA, encode
from clusterdns.wire.question import Question
from clusterdns.wire.received import received
from tests.plugins.asking import parsed, records, texts

SOA = "example.org. {ttl} IN SOA sns.example.org. noc.example.org. 1 7200 3600 1209600 {minimum}"
START = 1000.0  # monotonic second


def soa(ttl: int = 3600, minimum: int = 3600) -> str:
    return SOA.format(ttl=ttl, minimum=minimum)


def upstream_reply(
    name: str,
    qtype: str = "A",
    answer: str = "",
    authority: str = "",
    additional: str = "",
    rcode: int = 0,
    flags: int = RA,
) -> Reply:
    """What an upstream replies; records in master-file text."""
    question = Question.of(name, int(getattr(QTYPE, qtype)))
    octets = encode(
        id=7,
        flags=QR | flags,
        question=question,
        rcode=rcode,
        answer=records(answer),
        authority=records(authority),
        additional=records(additional),
        edns=None,
        limit=65535,
    )
    return Reply.of(received(octets, question.end))


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Upstream:
    """The plugins behind: each query gets the next of `replies`, the last one again and again."""

    replies: list[Callable[[], Reply | None] | ResolveError]
    asked: list[tuple[str, int]] = field(default_factory=list)  # name and flags

    async def __call__(self, query: Query) -> Reply | None:
        self.asked.append((query.question.text, query.flags))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, ResolveError):
            raise reply
        return reply()


def addresses(name: str = "example.org.", ttl: int = 60) -> Iterator[Callable[[], Reply]]:
    """Replies of 127.0.0.1, 127.0.0.2 ..."""
    for number in range(1, 255):
        text = f"{name} {ttl} IN A 127.0.0.{number}"
        yield lambda text=text: upstream_reply(name, answer=text)  # type: ignore[misc]


def cache(text: str = "cache", clock: Clock | None = None) -> Cache:
    """A cache of these lines, or of this block's lines."""
    plugin = parsed(text if text.startswith("cache") else f"cache {{\n{text}\n}}")
    assert isinstance(plugin, Cache)
    return Cache(plugin.rules, clock or Clock(), lambda: 1_492_772_000.0)  # April 2017


def rules(text: str) -> Rules:
    return cache(text).rules


def told(reply: Reply | None) -> list[str]:
    """Rcode and Answer."""
    assert reply is not None
    return [str(reply.rcode), *texts(reply.answer)]
