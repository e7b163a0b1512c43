"""`cache` as a plugin: hits, prefetching, stale replies, what is counted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from clusterdns.errors import ResolveError
from clusterdns.metrics import Counter
from clusterdns.plugins.cache import Cache, figures
from clusterdns.plugins.cache.plugin import HOLD_S
from clusterdns.plugins.query import Aging, Query, Reply
from clusterdns.wire.message import AA, AD, CD, RA
from clusterdns.wire.question import Question
from tests.metering import nothing_counted  # noqa: F401  # a fixture
from tests.plugins.asking import edns, query, records, texts
from tests.plugins.cache.replies import (
    START,
    Clock,
    Upstream,
    addresses,
    cache,
    soa,
    told,
    upstream_reply,
)

START_OF_TTL = 12 + 17 + 6  # header, question, and what stands before it in the record
FIRST = "example.org. {} IN A 127.0.0.1"


def failure() -> Reply:
    return upstream_reply("example.org.", rcode=2)


def nxdomain() -> Reply:
    return upstream_reply("example.org.", rcode=3, authority=soa(60, 60))


@asynccontextmanager
async def serving(plugin: Cache) -> AsyncIterator[None]:
    """The plugin with its background; ends without an error."""
    stopping = asyncio.Event()
    task = asyncio.create_task(plugin.serve(stopping))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        stopping.set()
        await task


async def settle() -> None:
    """Lets what was begun in the background end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_counts_down() -> None:
    clock = Clock()
    plugin, behind = cache("cache", clock), Upstream([*addresses()])
    for passed, expected in ((0, 60), (0.9, 60), (1, 59), (59.9, 1)):
        clock.now = START + passed
        reply = await plugin.resolve(query(), behind)
        assert told(reply) == ["0", FIRST.format(expected)]
        assert reply is not None
        assert reply.until == START + int(passed) + 1
        aging = None if expected == 1 else Aging(START, 60, START + 60, (START_OF_TTL,))
        assert reply.aging == aging
    clock.now = START + 60
    assert told(await plugin.resolve(query(), behind)) == ["0", "example.org. 60 IN A 127.0.0.2"]
    assert len(behind.asked) == 2


KEEP_TTL = {0: 60, 30: 60, 59: 60}  # CoreDNS: TestCacheKeepTTL


@pytest.mark.parametrize(("passed", "ttl"), KEEP_TTL.items())
async def test_keep_ttl(passed: int, ttl: int) -> None:
    clock = Clock()
    plugin, behind = cache("keepttl", clock), Upstream([*addresses()])
    await plugin.resolve(query(), behind)
    clock.now += passed
    reply = await plugin.resolve(query(), behind)
    assert told(reply) == ["0", FIRST.format(ttl)]
    assert reply is not None
    assert (reply.until, reply.aging) == (START + 60, None)
    clock.now = START + 60
    assert told(await plugin.resolve(query(), behind)) == ["0", "example.org. 60 IN A 127.0.0.2"]


SEPARATION = {  # CoreDNS: TestCacheSeparation and qclass_test.go; whether the two share a reply
    "the same": (query(), query(), True),
    "letter case": (query(), query("EXAMPLE.org."), True),
    "another client": (query(), query(peer=("10.0.0.9", 53)), True),
    "over TCP": (query(), query(transport="tcp"), True),
    "AD, which both get": (query(), query(flags=0x0100 | AD), True),
    "EDNS without DO": (query(), query(edns=edns()), True),
    "another type": (query(), query(qtype="AAAA"), False),
    "another name": (query(), query("www.example.org."), False),
    "DO": (query(), query(edns=edns(do=True)), False),
    "CD": (query(), query(flags=0x0100 | CD), False),
    "DO and CD": (query(edns=edns(do=True)), query(edns=edns(do=True), flags=CD), False),
    "another class": (query(), query(question=Question.of("example.org.", 1, 3)), False),
}


@pytest.mark.parametrize("name", SEPARATION)
async def test_who_shares_a_reply(name: str) -> None:
    one, other, shared = SEPARATION[name]
    plugin, behind = cache(), Upstream([*addresses()])
    await plugin.resolve(_alone(one), behind)
    await plugin.resolve(_alone(other), behind)
    assert len(behind.asked) == (1 if shared else 2)


def _alone(asked: Query) -> Query:
    """With the OPT record's count in the header of the message."""
    if asked.edns is not None:
        asked.octets = bytes(11) + b"\1" + asked.octets[12:]
    return asked


async def test_a_query_with_more_than_a_question_passes() -> None:
    """A TSIG: its reply is signed for one client."""
    plugin, behind = cache(), Upstream([*addresses()])
    for _ in range(2):
        await plugin.resolve(query(octets=bytes(11) + b"\1" + bytes(20)), behind)
    assert behind.asked == [("example.org.", 0x0100)] * 2


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
async def test_transfers_pass(qtype: str) -> None:
    plugin = cache()
    reply = Reply(answer=records("example.org. 1 IN A 127.0.0.1"))
    assert await plugin.resolve(query(qtype=qtype), Upstream([lambda: reply])) is reply
    assert reply.answer[0].ttl == 1


async def test_names_outside_its_zones_pass() -> None:
    plugin, behind = cache("cache example.com"), Upstream([*addresses(ttl=1)])
    assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(1)]
    assert len(plugin.table.success) == 0


DISABLED = {
    "disable success example.org": (0, 1),
    "disable denial example.org": (1, 0),
    "disable success example.net\ndisable denial net": (1, 1),
    "disable success\ndisable denial": (0, 0),
}


@pytest.mark.parametrize(("lines", "kept"), DISABLED.items())
async def test_disable(lines: str, kept: tuple[int, int]) -> None:
    """Not kept, but its TTLs are those that it would have been kept for."""
    plugin = cache(lines)
    answer = Upstream([*addresses("www.example.org.", 86_400)])
    reply = await plugin.resolve(query("www.example.org."), answer)
    assert told(reply) == ["0", "www.example.org. 3600 IN A 127.0.0.1"]
    await plugin.resolve(query(), Upstream([nxdomain]))
    assert (len(plugin.table.success), len(plugin.table.denial)) == kept


async def test_spelled_as_asked() -> None:
    """D11, as far as the plugin goes: owners point to the question."""
    plugin, behind = cache(), Upstream([*addresses("eXample.org.")])
    await plugin.resolve(query("eXample.org."), behind)
    reply = await plugin.resolve(query("EXAMPLE.ORG."), behind)
    assert reply is not None
    assert reply.received is not None
    start = reply.received.start
    assert reply.received.octets[start : start + 2] == b"\xc0\x0c"


async def test_upstreams_are_asked_with_ad() -> None:
    plugin, behind = cache(), Upstream([*addresses()])
    asked = query()
    await plugin.resolve(asked, behind)
    assert behind.asked == [("example.org.", 0x0100 | AD)]
    assert asked.flags == 0x0100


async def test_header_of_what_is_kept() -> None:
    flags = AA | AD | RA
    text = FIRST.format(60)
    plugin = cache()
    behind = Upstream([lambda: upstream_reply("example.org.", answer=text, flags=flags)])
    for _ in range(2):
        reply = await plugin.resolve(query(), behind)
        assert reply is not None
        assert (reply.authoritative, reply.authentic, reply.recursion) == (False, True, True)


async def test_failures_of_upstreams_that_do_not_reply_are_not_kept() -> None:
    plugin, behind = cache(), Upstream([ResolveError("i/o timeout"), *addresses()])
    with pytest.raises(ResolveError):
        await plugin.resolve(query(), behind)
    assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(60)]


async def test_no_reply_is_none() -> None:
    assert await cache().resolve(query(), Upstream([lambda: None])) is None


async def test_a_failure_gives_way_to_an_answer() -> None:
    """CoreDNS: TestServfailDoesNotShadowPositiveCache."""
    clock = Clock()
    plugin = cache("prefetch 1 1m 90%", clock)
    async with serving(plugin):
        behind = Upstream([*addresses()])
        await plugin.resolve(query(), behind)
        clock.now += 30
        await plugin.resolve(query(), Upstream([failure]))  # asks before the end
        await settle()
        assert len(plugin.table.denial) == 1
        assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(30)]


async def test_what_an_event_touches_goes() -> None:
    """`hosts` and `kubernetes` say what rests on their not having a name."""
    plugin = cache()
    key = ("hosts", "/etc/hosts")

    def passed() -> Reply:
        return nxdomain().rests_on([key])

    behind = Upstream([passed, passed, *addresses()])
    assert told(await plugin.resolve(query(), behind)) == ["3"]
    reply = await plugin.resolve(query(), behind)
    assert reply is not None
    assert reply.keys == {key}
    plugin.forget([("hosts", "another")])
    assert told(await plugin.resolve(query(), behind)) == ["3"]
    plugin.forget([key])
    await plugin.resolve(query(), behind)
    assert len(behind.asked) == 2


async def test_an_event_while_an_upstream_is_asked() -> None:
    plugin = cache()
    key = ("hosts", "/etc/hosts")

    def passed() -> Reply:
        plugin.forget([key])
        return nxdomain().rests_on([key])

    await plugin.resolve(query(), Upstream([passed]))
    assert len(plugin.table.denial) == 0


@dataclass
class At:
    """A query so many seconds after the first one, the reply to it, and how often was asked."""

    after: float
    ttl: int
    number: int  # 127.0.0.N
    asked: int
    do: bool = False
    cd: bool = False


PREFETCH = {  # CoreDNS: prefetch_test.go
    "hits are kept": ("prefetch 1", 80, [At(0, 80, 1, 1), At(73, 7, 1, 2), At(80, 73, 2, 2)]),
    "a short TTL": (
        *("prefetch 1", 5),
        [At(0, 5, 1, 1), At(1, 4, 1, 1), At(4, 1, 1, 2), At(5, 4, 2, 2)],
    ),
    "none": (
        *("prefetch 0", 30),
        [At(0, 30, 1, 1), At(15, 15, 1, 1), At(29, 1, 1, 1), At(30, 30, 2, 2)],
    ),
    "with DO": (
        *("prefetch 1", 80),
        [
            At(0, 80, 1, 1, do=True),
            At(73, 7, 1, 2, do=True),
            At(80, 73, 2, 2, do=True),
            At(80, 80, 3, 3),
        ],
    ),
    "with CD": (
        *("prefetch 1", 80),
        [
            At(0, 80, 1, 1, cd=True),
            At(73, 7, 1, 2, cd=True),
            At(80, 73, 2, 2, cd=True),
            At(80, 80, 3, 3),
        ],
    ),
    "not asked for often enough": (
        *("prefetch 3 1m 50%", 60),
        [At(0, 60, 1, 1), At(40, 20, 1, 1), At(41, 19, 1, 1), At(42, 18, 1, 2)],
    ),
    "too long a pause": (
        *("prefetch 2 10s 50%", 60),
        [At(0, 60, 1, 1), At(20, 40, 1, 1), At(40, 20, 1, 1), At(45, 15, 1, 2)],
    ),
}


@pytest.mark.parametrize("name", PREFETCH)
async def test_prefetch(name: str) -> None:
    lines, ttl, steps = PREFETCH[name]
    clock = Clock()
    plugin, behind = cache(lines, clock), Upstream([*addresses(ttl=ttl)])
    async with serving(plugin):
        for step in steps:
            clock.now = START + step.after
            asked = query(edns=edns(do=step.do), flags=CD * step.cd)
            reply = await plugin.resolve(_alone(asked), behind)
            await settle()
            assert told(reply) == ["0", f"example.org. {step.ttl} IN A 127.0.0.{step.number}"]
            assert len(behind.asked) == step.asked


async def test_prefetch_counts_what_finished_answers_sent() -> None:
    clock = Clock()
    plugin, behind = cache("prefetch 10 1m 50%", clock), Upstream([*addresses()])
    async with serving(plugin):
        reply = await plugin.resolve(query(), behind)
        assert reply is not None
        assert reply.sent_again is not None
        assert reply.aging == Aging(
            START, 60, START + 30, (START_OF_TTL,)
        )  # then the cache is to be asked
        reply.sent_again(9, START + 29)
        clock.now += 30
        reply = await plugin.resolve(query(), behind)
        assert reply is not None
        assert (reply.until, reply.aging) == (START + 30 + HOLD_S, None)
        await settle()
    assert len(behind.asked) == 2


@pytest.mark.parametrize("lines", ["serve_stale", "prefetch 1 1m 50%"])
async def test_many_ask_anew_only_once(lines: str) -> None:
    """CoreDNS: TestPrefetchDedup."""
    clock = Clock()
    plugin = cache(lines, clock)
    release = asyncio.Event()
    asked = []

    async def slow(query: object) -> Reply:
        asked.append(query)
        await release.wait()
        return next(addresses())()

    async with serving(plugin):
        await plugin.resolve(query(), Upstream([*addresses()]))
        clock.now += 70 if lines == "serve_stale" else 40
        for _ in range(200):
            reply = await plugin.resolve(query(), slow)
            assert told(reply) == ["0", FIRST.format(0 if lines == "serve_stale" else 20)]
            await asyncio.sleep(0)
        assert len(asked) == 1
        release.set()
        await settle()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("lines", "after", "transport"),
    [
        ("serve_stale", 70, "tcp"),
        ("prefetch 1 1m 50%", 40, "tcp"),
        ("serve_stale 1h verify", 70, "udp"),
        ("serve_stale 1h verify 1s", 70, "udp"),
    ],
)
async def test_asks_behind_by_tcp(lines: str, after: float, transport: str) -> None:
    """What nobody waits for may not be cut; CoreDNS: newPrefetchResponseWriter."""
    clock = Clock()
    plugin = cache(lines, clock)
    asked = []

    async def behind(query: Query) -> Reply:
        asked.append(query.transport)
        return next(addresses())()

    async with serving(plugin):
        await plugin.resolve(query(), behind)
        clock.now += after
        await plugin.resolve(query(), behind)
        await settle()
    assert asked == ["udp", transport]


@pytest.mark.parametrize("mode", ["immediate", "verify"])
async def test_what_takes_the_place_of_a_stale_reply_is_kept_in_spite_of_disable(mode: str) -> None:
    """Else that one would be sent on, though it is known to be wrong."""
    clock = Clock()
    plugin = cache(f"serve_stale 1h {mode}\ndisable denial", clock)
    behind = Upstream([next(addresses()), nxdomain])
    async with serving(plugin):
        await plugin.resolve(query(), behind)
        clock.now += 70
        await plugin.resolve(query(), behind)
        await settle()
        assert told(await plugin.resolve(query(), Upstream([failure]))) == ["3"]


HELD = {  # until when a stale reply is sent without a look, in seconds after that reply's end
    "while it is asked for anew": ("serve_stale 1h", 10 + HOLD_S),
    "until it may be asked for anew": ("serve_stale 1h immediate 0s 1m", 70),
    "not longer than it may be stale": ("serve_stale 40s immediate 0s 1m", 40),
    "never, as each is to be verified": ("serve_stale 1h verify", 10),
    "until it may be verified": ("serve_stale 1h verify 0s 0s 1m", 70),
}


@pytest.mark.parametrize("name", HELD)
async def test_stale_is_held(name: str) -> None:
    lines, until = HELD[name]
    clock = Clock()
    plugin, behind = cache(lines, clock), Upstream([next(addresses(ttl=60)), failure])
    async with serving(plugin):
        await plugin.resolve(query(), behind)
        clock.now += 70
        await plugin.resolve(query(), behind)
        await settle()
        reply = await plugin.resolve(query(), behind)
        assert reply is not None
        assert reply.until == START + 60 + until


async def test_the_longer_upstreams_are_silent_the_fewer_looks() -> None:
    clock = Clock()
    plugin, release = cache("serve_stale 1h", clock), asyncio.Event()

    async def silent(_: Query) -> Reply:
        await release.wait()
        return failure()

    async with serving(plugin):
        await plugin.resolve(query(), Upstream([*addresses()]))
        asked = START + 70
        for passed, held in ((0, HOLD_S), (0.01, HOLD_S), (0.25, 0.25), (3, 1)):
            clock.now = asked + passed
            reply = await plugin.resolve(query(), silent)
            assert reply is not None
            assert reply.until == clock.now + held
            await asyncio.sleep(0)
        release.set()
        await settle()


async def test_no_background_no_refresh() -> None:
    clock = Clock()
    plugin, behind = cache("serve_stale", clock), Upstream([*addresses()])
    await plugin.resolve(query(), behind)
    clock.now += 70
    assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(0)]
    assert len(behind.asked) == 1


STALE_WINDOW = {  # CoreDNS: TestServeFromStaleCache, minutes after a reply of 60 s
    ("example.org.", 30): True,
    ("example.org.", 60): True,
    ("example.org.", 70): False,
    ("www.example.org.", 30): False,
    ("www.example.org.", 60): False,
    ("www.example.org.", 70): False,
}


@pytest.mark.parametrize(("asked", "is_known"), STALE_WINDOW.items())
async def test_stale_window(asked: tuple[str, int], is_known: bool) -> None:
    name, minutes = asked
    clock = Clock()
    plugin = cache("serve_stale 1h", clock)
    await plugin.resolve(query(), Upstream([*addresses()]))
    clock.now += minutes * 60
    down = Upstream([ResolveError("down")])
    if is_known:
        assert told(await plugin.resolve(query(name), down)) == ["0", FIRST.format(0)]
    else:
        with pytest.raises(ResolveError):
            await plugin.resolve(query(name), down)


STALE_TTL = {  # CoreDNS: TestServeFromStaleCacheResponseTTL
    "0 unless given": ("serve_stale 1h immediate", False, 120, 0),
    "given": ("serve_stale 1h immediate 30s", False, 120, 30),
    "at the end": ("serve_stale 1h immediate 30s", False, 60, 30),
    "of a denial": ("serve_stale 1h immediate 25s", True, 120, 25),
    "after a failure": ("serve_stale 1h verify 0 45s", False, 120, 45),
    "more than keepttl": ("serve_stale 1h immediate 17s\nkeepttl", False, 120, 17),
    "before its end": ("serve_stale 1h immediate 30s", False, 10, 50),
}


@pytest.mark.parametrize("name", STALE_TTL)
async def test_stale_ttl(name: str) -> None:
    lines, is_denial, passed, ttl = STALE_TTL[name]
    clock = Clock()
    plugin = cache(lines, clock)
    await plugin.resolve(query(), Upstream([nxdomain] if is_denial else [*addresses()]))
    clock.now += passed
    reply = await plugin.resolve(query(), Upstream([ResolveError("down")]))
    assert reply is not None
    assert {each.ttl for each in [*reply.answer, *reply.authority]} == {ttl}
    codes = [option.data for option in reply.options]
    assert codes == ([] if passed < 60 else [b"\0\x13" if is_denial else b"\0\3"])


# CoreDNS: TestServeFromStaleCacheFetchVerify; what comes, what is sent then, whether it is kept
VERIFY: dict[str, tuple[Callable[[], Reply | None] | ResolveError, str, bool]] = {
    "an answer": (next(addresses(ttl=90)), "example.org. 90 IN A 127.0.0.1", True),
    "a denial": (nxdomain, "", True),
    "a failure": (failure, FIRST.format(0), False),
    "refused": (lambda: upstream_reply("example.org.", rcode=5), FIRST.format(0), False),
    "truncated": (lambda: upstream_reply("example.org.", flags=0x0200), FIRST.format(0), False),
    "no reply": (ResolveError("i/o timeout"), FIRST.format(0), False),
    "nothing sent": (lambda: None, FIRST.format(0), False),
    "another question": (lambda: upstream_reply("example.net."), FIRST.format(0), False),
}


@pytest.mark.parametrize("name", VERIFY)
@pytest.mark.parametrize("limit", ["0", "10s"])
async def test_verify(name: str, limit: str) -> None:
    comes, expected, is_kept = VERIFY[name]
    clock = Clock()
    plugin = cache(f"serve_stale 1h verify {limit}", clock)
    async with serving(plugin):
        await plugin.resolve(query(), Upstream([next(addresses(ttl=60))]))
        clock.now += 120
        behind = Upstream([comes])
        reply = await plugin.resolve(query(), behind)
        assert reply is not None
        assert texts(reply.answer) == ([expected] if expected else [])
        again = await plugin.resolve(query(), behind)
        assert again is not None
        assert texts(again.answer) == texts(reply.answer)
        assert len(behind.asked) == (1 if is_kept else 2)


async def test_verify_waits_no_longer_than_its_timeout() -> None:
    clock = Clock()
    plugin = cache("serve_stale 1h verify 5ms", clock)
    release = asyncio.Event()

    async def slow(_: object) -> Reply:
        await release.wait()
        return next(addresses(ttl=90))()

    async with serving(plugin):
        await plugin.resolve(query(), Upstream([*addresses()]))
        clock.now += 120
        assert told(await plugin.resolve(query(), slow)) == ["0", FIRST.format(0)]
        release.set()
        await settle()
        assert told(await plugin.resolve(query(), Upstream([failure]))) == ["0", FIRST.format(90)]


@pytest.mark.parametrize("mode", ["immediate", "verify 0", "verify 10s"])
async def test_a_failed_refresh_is_not_tried_again_at_once(mode: str) -> None:
    """CoreDNS: serve_stale_recheck_test.go."""
    clock = Clock()
    plugin = cache(f"serve_stale 1h {mode} 30s 30s", clock)
    async with serving(plugin):
        await plugin.resolve(query(), Upstream([*addresses()]))
        behind = Upstream([failure])
        for passed, asked in ((60, 1), (70, 1), (89, 1), (91, 2), (100, 2)):
            clock.now = START + passed
            assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(30)]
            await settle()
            assert len(behind.asked) == asked
        await plugin.resolve(query(), behind)
        clock.now = START + 130
        await plugin.resolve(query(), Upstream([next(addresses(ttl=90))]))
        await settle()
        assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(90)]


POSITIVE = "serve_stale 1h\nserve_stale_policy prefer_positive"
NON_ANSWERS: dict[
    str, Callable[[], Reply]
] = {  # CoreDNS: the TestPreferPositive... of cache_test.go
    "NXDOMAIN": nxdomain,
    "NODATA": lambda: upstream_reply("example.org.", authority=soa(60, 60)),
    "SERVFAIL": failure,
    "empty": lambda: upstream_reply("example.org."),
    "referral": lambda: upstream_reply("example.org.", authority="org. 60 IN NS a."),
    "additional": lambda: upstream_reply("example.org.", additional="a. 60 IN A 127.0.0.9"),
}


@pytest.mark.parametrize("name", NON_ANSWERS)
async def test_prefer_positive(name: str) -> None:
    """The answer that was is sent, as long as it is not too old."""
    clock = Clock()
    plugin = cache(POSITIVE, clock)
    async with serving(plugin):
        await plugin.resolve(query(), Upstream([*addresses()]))
        behind = Upstream([NON_ANSWERS[name]])
        for passed in (60, 61, 500, 3659):
            clock.now = START + passed
            assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(0)]
            await settle()
        clock.now = START + 3661
        reply = await plugin.resolve(query(), behind)
        assert reply is not None
        assert texts(reply.answer) == []
        await plugin.resolve(query(), Upstream([next(addresses(ttl=90))]))


async def test_denial_comes_first_without_prefer_positive() -> None:
    clock = Clock()
    plugin = cache("serve_stale 1h", clock)
    async with serving(plugin):
        await plugin.resolve(query(), Upstream([*addresses()]))
        clock.now += 61
        behind = Upstream([nxdomain])
        assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(0)]
        await settle()
        assert told(await plugin.resolve(query(), behind)) == ["3"]


async def test_an_answer_ends_a_stale_denial() -> None:
    """CoreDNS: TestNegativeStaleMaskingPositiveCache."""
    clock = Clock()
    plugin = cache("serve_stale 1h verify", clock)
    async with serving(plugin):
        await plugin.resolve(query(), Upstream([nxdomain]))
        clock.now += 61
        behind = Upstream([next(addresses(ttl=90))])
        assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(90)]
        clock.now += 1
        assert told(await plugin.resolve(query(), behind)) == ["0", FIRST.format(89)]
    assert len(behind.asked) == 1


async def test_a_fault_behind_does_not_end_the_background(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    plugin = cache("serve_stale", clock)

    async def broken(_: object) -> Reply:
        raise ZeroDivisionError

    async with serving(plugin):
        await plugin.resolve(query(), Upstream([*addresses()]))
        clock.now += 70
        await plugin.resolve(query(), broken)
        await settle()
        await plugin.resolve(query(), Upstream([next(addresses(ttl=90))]))
        await settle()
        reply = await plugin.resolve(query(), Upstream([failure]))
        assert told(reply) == ["0", FIRST.format(90)]
    assert "asking for a reply anew failed" in caplog.text


SERVER = "dns://:53"
BLOCK = (SERVER, ".", "")


@pytest.mark.usefixtures("nothing_counted")
async def test_figures() -> None:
    clock = Clock()
    plugin = cache("success 1024 10\nserve_stale 1h", clock)
    async with serving(plugin):
        await plugin.resolve(query(server=SERVER), Upstream([*addresses()]))
        await plugin.resolve(
            query("www.example.org.", server=SERVER), Upstream([failure, nxdomain])
        )
        reply = await plugin.resolve(query(server=SERVER), Upstream([]))
        assert reply is not None
        assert reply.sent_again is not None
        reply.sent_again(4, START)
        clock.now += 11
        await plugin.resolve(query(server=SERVER), Upstream([failure]))
    assert _counted(figures.requests) == {BLOCK: 8}
    assert _counted(figures.misses) == {BLOCK: 2}
    assert _counted(figures.hits) == {(SERVER, "success", ".", ""): 6}
    assert _counted(figures.served_stale) == {BLOCK: 1}
    assert _counted(figures.prefetches) == {BLOCK: 1}


@pytest.mark.usefixtures("nothing_counted")
async def test_figures_of_the_table() -> None:
    plugin = cache("success 1024")
    async with serving(plugin):
        for number in range(1030):
            name = f"n{number}."
            answer = f"{name} 60 IN A 127.0.0.1"
            behind = Upstream([lambda n=name, a=answer: upstream_reply(n, answer=a)])  # type: ignore[misc]
            await plugin.resolve(query(name, server=SERVER), behind)
        values = figures.entries.values()
        assert values == {
            (SERVER, "success", ".", ""): 1024,
            (SERVER, "denial", ".", ""): 0,
        }
    assert _counted(figures.evictions) == {(SERVER, "success", ".", ""): 6}


@pytest.mark.usefixtures("nothing_counted")
async def test_replies_to_other_questions_are_counted() -> None:
    behind = Upstream([lambda: upstream_reply("other.org.")])
    await cache().resolve(query(server=SERVER), behind)
    assert _counted(figures.drops) == {BLOCK: 1}


def _counted(counter: Counter) -> dict[tuple[str, ...], int]:
    return dict(counter.values)
