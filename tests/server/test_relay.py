"""What is relayed is what the full path would have sent, and counted as it would have been."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rrset
import pytest

from clusterdns import metrics
from clusterdns.corefile.parser import parse
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.passage import Passage, Told, Way
from clusterdns.plugins.query import Reply
from clusterdns.server.answers import Answers
from clusterdns.server.block import Block, Router
from clusterdns.server.configuration import configure
from clusterdns.server.listener import Listener
from clusterdns.server.relay import Lane, Relay, lanes
from clusterdns.wire.message import REFUSED
from clusterdns.wire.plain import Plain
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index
from tests.beside import beside
from tests.plugins.forward.stubs import Asked, Behaviour, reply, right, silent, upstream, with_rcode
from tests.server.asking import opt, query, udp
from tests.server.toys import serving

FORWARD = "forward . {to}"
STOCK = "errors\n prometheus\n loadbalance\n cache 30\n loop\n" + FORWARD
CORES = {
    "forward alone": FORWARD,
    "as in a stock Corefile": STOCK,
    "hosts in front": "prometheus\n cache\n hosts {{\n 192.0.2.9 known.test\n fallthrough\n }}\n"
    + FORWARD,
    "a template in front": "cache\n template ANY ANY a.test {{\n rcode NXDOMAIN\n }}\n" + FORWARD,
    "bufsize": "bufsize 600\n" + FORWARD,
    "no failure is anybody's last word": "forward . {to} {to} {{\n failover SERVFAIL\n }}",
}


def with_records(*texts: str, flags: int = 0, rcode: int = 0, compress: bool = True) -> Behaviour:
    """A reply of records in master-file text; @ is the name asked for."""

    def behave(asked: Asked) -> list[bytes]:
        message = dns.message.from_wire(reply(asked, "", flags=flags, rcode=rcode))
        for text in texts:
            section = message.authority if " SOA " in text else message.answer
            name, ttl, rclass, rtype, data = text.replace("@", asked.name).split(None, 4)
            section.append(dns.rrset.from_text(name, int(ttl), rclass, rtype, data))
        if compress:
            return [message.to_wire(max_size=65535)]
        return [uncompressed(message)]

    return behave


def uncompressed(message: dns.message.Message) -> bytes:
    """Every owner spelled out, as some servers do."""
    question = message.question[0]
    counts = [1, len(message.answer), len(message.authority), 0]
    octets = b"".join(each.to_bytes(2, "big") for each in (message.id, message.flags, *counts))
    octets += wire(question.name) + question.rdtype.to_bytes(2, "big") + b"\0\1"
    for rrset in (*message.answer, *message.authority):
        rdata = wire(rrset[0])
        octets += wire(rrset.name) + rrset.rdtype.to_bytes(2, "big") + b"\0\1"
        octets += rrset.ttl.to_bytes(4, "big") + len(rdata).to_bytes(2, "big") + rdata
    return octets


def wire(what: dns.name.Name | dns.rdata.Rdata) -> bytes:
    octets = what.to_wire()
    assert octets is not None
    return octets


def bare_refused(asked: Asked) -> list[bytes]:
    return [asked.octets[:2] + b"\x81\x05" + bytes(8)]


def other_question(asked: Asked) -> list[bytes]:
    return [reply(asked).replace(b"\1a", b"\1z"), reply(asked)]


def with_options(asked: Asked) -> list[bytes]:
    message = dns.message.from_wire(reply(asked))
    message.use_edns(0, 0, 1232, options=[dns.edns.GenericOption(dns.edns.OptionType.EDE, b"\0\7")])
    return [message.to_wire()]


BEHAVIOURS: dict[str, Behaviour] = {
    "an address": right,
    "several addresses": with_records(*[f"@ 60 IN A 192.0.2.{n}" for n in (1, 2, 3)]),
    "an alias": with_records("@ 60 IN CNAME b.test.", "b.test. 20 IN A 192.0.2.1"),
    "NXDOMAIN": with_records("test. 60 IN SOA ns.test. h.test. 1 2 3 4 5", rcode=3),
    "NODATA": with_records("test. 60 IN SOA ns.test. h.test. 1 2 3 4 5"),
    "a TTL of 0": with_records("@ 0 IN TXT x"),
    "SERVFAIL": with_rcode(2),
    "REFUSED": with_rcode(5),
    "REFUSED without a question": bare_refused,
    "AA and AD": with_records("@ 60 IN A 192.0.2.1", flags=dns.flags.AA | dns.flags.AD),
    "RA is clear": lambda asked: [
        octets[:3] + bytes([octets[3] & 0x7F]) + octets[4:] for octets in right(asked)
    ],
    "TC": with_records(flags=dns.flags.TC),
    "too much for 512 octets": with_records(*[f"@ 60 IN TXT {n:0200}" for n in range(4)]),
    "owners spelled out": with_records("@ 60 IN A 192.0.2.1", compress=False),
    "an EDNS option": with_options,
    "another question first": other_question,
    "MX": with_records("@ 60 IN MX 10 b.test.", "@ 60 IN MX 20 c.test."),
}
QUERIES = {
    "A": query("a.test."),
    "OPT": query("a.test.", opt=opt(1400)),
    "DO, AD, CD": query("a.test.", flags=0x0130, opt=opt(4096, do=True)),
    "AAAA without RD": query("a.test.", "AAAA", flags=0),
    "MX": query("a.test.", "MX"),
    "known to hosts": query("known.test."),
}


@asynccontextmanager
async def served(corefile: str, *, relays: bool = True) -> AsyncIterator[Listener]:
    parsed = parse(f". {{\n bind 127.0.0.1\n {corefile}\n}}", "test", {})
    found = configure(parsed, lambda selection, api: Index(selection), 0)
    listener = Listener("127.0.0.1", 0, found.sockets[0].router)
    listener.open()
    if not relays:
        for each in listener._udp:
            each.relay.route(Router([]))
    plugins = [each for each in found.plugins if each.name != "loop"]  # its probes would be counted
    async with beside(listener.serve, *[each.serve for each in plugins]):
        yield listener


def counted() -> dict[str, Mapping[tuple[str, ...], int]]:
    """All counters but those of the sockets that happened to be used."""
    found: dict[str, Mapping[tuple[str, ...], int]] = {}
    for counter in metrics.COUNTERS:
        if "conn_cache" not in counter.name:
            found[counter.name] = dict(counter.values)
    for histogram in metrics.HISTOGRAMS:
        found[histogram.name] = {labels: sum(each) for labels, each in histogram.buckets.items()}
    return found


def difference(before: dict[str, Mapping[tuple[str, ...], int]], port: int, to: int) -> object:
    """What was counted since then, with the ports out of it."""
    found = {}
    for name, values in counted().items():
        for labels, count in values.items():
            more = count - before.get(name, {}).get(labels, 0)
            texts = [text.replace(str(port), "P").replace(str(to), "T") for text in labels]
            if more:
                found[name, tuple(texts)] = more
    return found


async def asked_of(corefile: str, behave: Behaviour, *, relays: bool) -> object:
    """Replies to each query, twice, the octets that the upstream got, and what was counted."""
    async with upstream(behave) as stub:
        core = corefile.format(to=f"127.0.0.1:{stub.port}")
        async with served(core, relays=relays) as listener:
            before = counted()
            async with udp(listener.addresses[0]) as client:
                replies = [await client.ask(octets) for octets in QUERIES.values() for _ in "12"]
            for tell in listener.tells():
                tell()
            since = difference(before, listener.port, stub.port)
        got = [each.octets[2:] for each in stub.asked]
    return [ordered(each) for each in replies], got, since


def ordered(octets: bytes) -> object:
    """A reply, its addresses and mail exchanges in whatever order."""
    message = dns.message.from_wire(octets, one_rr_per_rrset=True)
    sections = [sorted(map(str, section)) for section in message.sections]
    return octets[:12], sections, message.edns, message.payload, message.options, len(octets)


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
@pytest.mark.parametrize("behave", BEHAVIOURS.values(), ids=BEHAVIOURS)
async def test_replies_are_those_of_the_full_path(core: str, behave: Behaviour) -> None:
    relayed = await asked_of(core, behave, relays=True)
    full = await asked_of(core, behave, relays=False)
    assert relayed == full


class Sends:
    """A way that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[Plain, int]] = []
        self.told: list[Told] = []
        self.is_open = True

    def send(self, question: Plain, flags: int, now: float, deadline: float, told: Told) -> bool:
        self.sent.append((question, flags))
        self.told.append(told)
        return self.is_open


class Passes(Plugin):
    """Lets pass what it is told."""

    name = "passes"

    def __init__(self, passage: Passage | None) -> None:
        self._passage = passage

    async def resolve(self, query: object, next: object) -> Reply:
        raise AssertionError("the full path")

    def passage(self, server: str, view: str) -> Passage | None:
        return self._passage


A, B = Sends(), Sends()


def block(zones: str, *ways: Mapping[str, Way | None] | None) -> Block:
    passages = [None if each is None else Passage(each) for each in ways]
    return Block(zones.split(), [Passes(each) for each in passages])


LANES: dict[str, tuple[list[Block], dict[str, Way | None]]] = {
    "one way for all": ([block(".", {".": A})], {".": A, "x.": A}),
    "a zone of its own": ([block(".", {"a.": A})], {"x.a.": A, "a.": A, "b.": None}),
    "the first line that takes a name": (
        [block(".", {"a.": A, ".": B, "b.": A})],
        {"x.a.": A, "x.b.": B, "c.": B},
    ),
    "a zone claimed in front": (
        [block(".", {"cluster.": None}, {".": A, "x.cluster.": B})],
        {"cluster.": None, "x.cluster.": None, "y.": A},
    ),
    "the whole block is claimed": ([block("a.b.", {"b.": None}, {".": A})], {"a.b.": None}),
    "excepted": ([block(".", {"corp.": None, ".": A})], {"x.corp.": None, "org.": A}),
    "behind the way nobody is asked": (
        [block(".", {".": A}, {"a.": None}, None)],
        {"a.": A},
    ),
    "a plugin that must see all": ([block(".", None, {".": A})], {"a.": None}),
    "no way at all": ([block(".", {"a.": None})], {"a.": None, "b.": None}),
    "blocks in blocks": (
        [block(".", {"x.a.": None}, {".": A}), block("a.", {".": B})],
        {"x.a.": B, "a.": B, "b.": A},
    ),
    "another block's names": (
        [block(".", {".": A, "a.": A}), block("a.", None, {".": B})],
        {"x.a.": None, "b.": A},
    ),
    "the first of two with one zone": (
        [block(".", {".": A}), block(".", {".": B})],
        {"a.": A},
    ),
    "outside of all": ([block("a.", {".": A})], {"b.": None, "x.a.": A}),
}


@pytest.mark.parametrize(("blocks", "expected"), LANES.values(), ids=LANES)
def test_ways(blocks: Iterable[Block], expected: Mapping[str, Way | None]) -> None:
    found = lanes(Router(blocks), Answers())
    for name, way in expected.items():
        lane = of(found, Question.of(name, 0).folded)
        assert (lane.way if lane else None) is way, name


def of(found: Mapping[bytes, Lane | None], name: bytes) -> Lane | None:
    while name not in found:
        if name == b"\0":
            return None
        name = name[name[0] + 1 :]
    return found[name]


async def test_the_usual_question_takes_no_full_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a block as of the stock Corefile; else all the other tests would show nothing."""
    finished: list[object] = []
    monkeypatch.setattr(Relay, "_resolve", lambda *given: finished.append(given))
    async with upstream() as stub:
        core = STOCK.format(to=f"127.0.0.1:{stub.port}")
        async with served(core) as listener, udp(listener.addresses[0]) as client:
            for responder in listener._responders:
                monkeypatch.setattr(responder, "respond", lambda *given: finished.append(given))
            for octets in (query("a.test."), query("b.test.", "AAAA", opt=opt(1232, do=True))):
                assert (await client.ask(octets))[:2] == octets[:2]
    assert not finished
    assert len(stub.asked) == 2


async def test_a_silent_upstream_is_SERVFAIL() -> None:
    async with upstream(silent) as stub:
        core = f"errors\n forward . 127.0.0.1:{stub.port} {{\n read_timeout 50ms\n }}"
        async with served(core) as listener, udp(listener.addresses[0]) as client:
            found = await client.ask(query("a.test."))
    assert found[3] & 0xF == 2


async def test_too_many_are_refused() -> None:
    async with upstream(silent) as stub:
        core = f"forward . 127.0.0.1:{stub.port} {{\n max_concurrent 1\n read_timeout 300ms\n }}"
        async with served(core) as listener, udp(listener.addresses[0]) as client:
            await client.send(query("a.test.", id=1), query("b.test.", id=2))
            found = [await client.receive() for _ in range(2)]
    assert [(each[1], each[3] & 0xF) for each in found] == [(2, 5), (1, 2)]


async def test_a_stopping_listener_waits_for_it() -> None:
    arrived = asyncio.Event()

    def late(asked: Asked) -> list[bytes]:
        arrived.set()
        return []

    async with upstream(late) as stub, asyncio.TaskGroup() as tasks:
        core = f"forward . 127.0.0.1:{stub.port} {{\n read_timeout 100ms\n }}"
        async with served(core) as listener:
            client = tasks.create_task(one(listener.addresses[0]))
            await arrived.wait()
            assert len(listener._under_way) == 1
        assert (await client)[3] & 0xF == 2


async def one(address: tuple[str, int]) -> bytes:
    async with udp(address) as client:
        return await client.ask(query("a.test."))


async def test_an_event_meanwhile_has_all_plugins_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have the name by now."""
    resolved = []
    resolve = Relay._resolve

    def counts(self: Relay, *given: Any) -> None:
        resolved.append(given)
        resolve(self, *given)

    monkeypatch.setattr(Relay, "_resolve", counts)
    listeners: list[Listener] = []

    def meanwhile(asked: Asked) -> list[bytes]:
        listeners[0].forget([("namespace", "a")])
        return right(asked)

    async with upstream(meanwhile) as stub:
        core = STOCK.format(to=f"127.0.0.1:{stub.port}")
        async with served(core) as listener, udp(listener.addresses[0]) as client:
            listeners.append(listener)
            found = await client.ask(query("a.test."))
    assert found[6:8] == b"\0\1"  # an address
    assert len(resolved) == 1
    assert len(stub.asked) == 1


async def test_a_bug_on_the_way_back_is_SERVFAIL(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Lane, "packed", fails)
    async with upstream() as stub:
        before = metrics.panics.total()
        core = FORWARD.format(to=f"127.0.0.1:{stub.port}")
        async with served(core) as listener, udp(listener.addresses[0]) as client:
            assert (await client.ask(query("a.test.")))[3] & 0xF == 2
        assert metrics.panics.total() == before + 1


async def test_a_bug_on_the_way_there_is_for_the_full_path() -> None:
    def fails(asked: Plain, now: float) -> bool:
        raise RuntimeError("a bug")

    class Answers(Passes):
        async def resolve(self, query: Any, next: Any) -> Reply:
            return Reply(REFUSED)

    for passage in (Passage({".": A}, stops=fails), Passage({".": Raises()})):
        async with (
            serving(Block(["."], [Answers(passage)])) as listener,
            udp(listener.addresses[0]) as client,
        ):
            assert (await client.ask(query("a.test.")))[3] & 0xF == REFUSED
            assert len(listener._under_way) == 0


class Raises:
    """A way with a bug."""

    def send(self, question: Plain, flags: int, now: float, deadline: float, told: Told) -> bool:
        raise RuntimeError("a bug")
