"""`transfer`: who gets which zone, and who is told of changes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest
from dnslib import RR

from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin, Setup, ZoneCopy
from clusterdns.plugins.query import LongReply
from clusterdns.plugins.transfer import Transfer, notifying
from clusterdns.plugins.transfer import plugin as transfer
from clusterdns.plugins.transfer.options import Stanza
from clusterdns.wire.question import Question
from tests.beside import beside
from tests.plugins.asking import Next, fault, lines, new_setup, parsed, query, texts

SOA = "{0} 300 IN SOA ns.{0} admin.{0} {1} 3600 600 86400 60"
SERIAL = 7
HERE, THERE = "10.0.0.1", "10.0.0.2"


class Zone(Plugin):
    """Has one zone, of so many addresses."""

    name = "zone"

    def __init__(self, origin: str = "example.org.", count: int = 2, serial: int = SERIAL) -> None:
        self.question = Question.of(origin, 0)
        self.soa = RR.fromZone(SOA.format(origin, serial))[0]
        self.count = count

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        if question.folded != self.question.folded:
            return None
        return ZoneCopy(self.soa, self._records)

    def _records(self) -> Iterator[RR]:
        for number in range(self.count):
            yield RR.fromZone(f"h{number}.{self.question.text} 300 IN A 10.0.0.{number}")[0]


class Absent(Plugin):
    """Has every zone, but not now."""

    name = "absent"

    def zone_copy(self, question: Question) -> ZoneCopy | None:
        raise ResolveError("it is not there")


def built(text: str, *plugins: Plugin) -> Transfer:
    setup = new_setup()
    found = parsed(text, setup)
    assert isinstance(found, Transfer)
    setup.plugins += [found, *(plugins or [Zone()])]
    return found


def ixfr(*authority: str) -> bytes:
    """The octets of an IXFR query with these records in Authority."""
    message = dns.message.make_query("example.org.", "IXFR", flags=0)
    for line in authority:
        owner, ttl, rclass, rtype, rdata = line.split(" ", 4)
        message.authority.append(dns.rrset.from_text(owner, int(ttl), rclass, rtype, rdata))
    return message.to_wire()


async def said(plugin: Transfer, **asked: object) -> str:
    """What becomes of a query, in a word: `next`, the rcode, `soa` or `zone`."""
    fields = {"name": "example.org.", "qtype": "AXFR", "transport": "tcp", "peer": (HERE, 4000)}
    behind = Next(None)
    try:
        reply = await plugin.resolve(query(**(fields | asked)), behind)  # type: ignore[arg-type]
    except ResolveError as error:
        return dns.rcode.to_text(dns.rcode.Rcode(error.rcode))
    if behind.asked:
        return "next"
    assert reply is not None
    assert reply.until == 0.0, "the next client may be another one"
    if reply.rcode:
        return dns.rcode.to_text(dns.rcode.Rcode(reply.rcode))
    assert reply.authoritative
    assert len(reply.answer) == 1
    if not isinstance(reply, LongReply):
        return "soa"
    *records, last = reply.rest
    assert texts([last]) == texts(reply.answer)
    return f"zone of {len(records)}"


OPTIONS = {
    "addresses and ports": (
        "transfer example.net example.org {\n to 1.2.3.4 5.6.7.8:1053 [1::2]:34\n}",
        "example.net. example.org.",
        "1.2.3.4:53 5.6.7.8:1053 [1::2]:34",
        None,
    ),
    "a scope, and a source": (
        "transfer example.net {\n to [fe80::1%eth0]:53 fe80::2%lo\n source 2001:DB8::53\n}",
        "example.net.",
        "[fe80::1%eth0]:53 [fe80::2%lo]:53",
        "2001:db8::53",
    ),
    "everybody, and one is told": (
        "transfer {\n to * 1.2.3.4\n}",
        ".",
        "1.2.3.4:53",
        None,
    ),
    "several lines": ("transfer {\n to 1.2.3.4\n to ::1\n}", ".", "1.2.3.4:53 [::1]:53", None),
    "a network's zones": ("transfer 10.0.0.0/24 {\n to *\n}", "0.0.10.in-addr.arpa.", "", None),
}


class TestOptions:
    @pytest.mark.parametrize(("text", "zones", "targets", "source"), OPTIONS.values(), ids=OPTIONS)
    def test_read(self, text: str, zones: str, targets: str, source: str | None) -> None:
        stanza = Stanza(lines(text)[0], new_setup())
        assert stanza.zones == tuple(zones.split())
        assert list(map(str, stanza.targets)) == targets.split()
        assert stanza.source == source

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("transfer", "1:1: transfer needs `to` with those who may have it"),
            ("transfer x {\n}", "1:1: transfer needs `to` with those who may have it"),
            ("transfer {\n source ::1\n}", "1:1: transfer needs `to`"),
            ("transfer {\n to\n}", "2:2: to takes at least 1 argument, not 0"),
            ("transfer {\n to example.com\n}", "2:5: 'example.com' is no IP address"),
            ("transfer {\n to 1.2.3.4:x\n}", "2:5: 'x' is no port"),
            ("transfer {\n to 1.2.3.4 [::1\n}", "2:13: '[::1' is no address and port"),
            ("transfer {\n to 10.0.0.0/8\n}", "2:5: '10.0.0.0/8' is no IP address"),
            ("transfer {\n to *\n source example.org\n}", "3:9: 'example.org' is no IP address"),
            ("transfer {\n to *\n source\n}", "3:2: source takes 1 argument, not 0"),
            (
                "transfer {\n to *\n source ::1\n source ::2\n}",
                "4:9: there is a source already, ::1",
            ),
            ("transfer {\n from *\n}", "2:2: unknown property 'from' of transfer; "),
        ],
    )
    def test_refused(self, text: str, expected: str) -> None:
        assert fault(text).startswith(expected)


BROKEN_SOA = ixfr(r"example.org. 5 IN TYPE65280 \# 4 00000001").replace(b"\xff\0", b"\0\6")
EVERYBODY = "transfer {\n to *\n}"
ONE = f"transfer {{\n to {HERE}:5353 fd00::1 fe80::1%eth0\n}}"
ASKED = {
    "1.19 AXFR": (EVERYBODY, {}, "zone of 2"),
    "1.19 over TLS": (EVERYBODY, {"transport": "tls"}, "zone of 2"),
    "1.19 over UDP": (EVERYBODY, {"transport": "udp"}, "REFUSED"),
    "1.19 over UDP, no zone of it": (
        "transfer x {\n to *\n}",
        {"transport": "udp", "qtype": "IXFR"},
        "REFUSED",
    ),
    "1.19 in the list": (ONE, {}, "zone of 2"),
    "1.19 in the list, IPv6": (ONE, {"peer": ("fd00:0::1", 1)}, "zone of 2"),
    "1.19 in the list, with a scope": (ONE, {"peer": ("fe80::1", 1)}, "zone of 2"),
    "1.19 not in the list": (ONE, {"peer": (THERE, 1)}, "REFUSED"),
    "1.19 not in the list, IXFR": (ONE, {"peer": (THERE, 1), "qtype": "IXFR"}, "REFUSED"),
    "other types": (ONE, {"qtype": "SOA", "peer": (THERE, 1)}, "next"),
    "other classes": (
        EVERYBODY,
        {"question": Question.of("example.org.", 252, 3)},
        "next",
    ),
    "a zone that nobody has": (EVERYBODY, {"name": "example.net."}, "next"),
    "not the zone itself": (EVERYBODY, {"name": "sub.example.org."}, "next"),
    "letters": (EVERYBODY, {"name": "Example.ORG."}, "zone of 2"),
    "outside of its zones": ("transfer example.net {\n to *\n}", {}, "next"),
    "1.19 IXFR, the serial is current": (
        EVERYBODY,
        {"qtype": "IXFR", "octets": ixfr(SOA.format("example.org.", 7))},
        "soa",
    ),
    "1.19 IXFR, an older one": (
        EVERYBODY,
        {"qtype": "IXFR", "octets": ixfr(SOA.format("example.org.", 6))},
        "zone of 2",
    ),
    "1.19 IXFR, a newer one": (
        EVERYBODY,
        {"qtype": "IXFR", "octets": ixfr(SOA.format("example.org.", 8))},
        "zone of 2",
    ),
    "1.19 IXFR without a SOA record": (EVERYBODY, {"qtype": "IXFR", "octets": ixfr()}, "SERVFAIL"),
    "1.19 IXFR with another record": (
        EVERYBODY,
        {"qtype": "IXFR", "octets": ixfr("example.org. 5 IN A 10.0.0.1")},
        "SERVFAIL",
    ),
    "1.19 IXFR with a SOA record in pieces": (
        EVERYBODY,
        {
            "qtype": "IXFR",
            "octets": BROKEN_SOA,
        },
        "SERVFAIL",
    ),
    "1.19 IXFR with two SOA records": (
        EVERYBODY,
        {"qtype": "IXFR", "octets": ixfr(*[SOA.format(z, 7) for z in ("a.", "b.")])},
        "SERVFAIL",
    ),
    "IXFR of serial 0 is AXFR": (
        EVERYBODY,
        {"qtype": "IXFR", "octets": ixfr(SOA.format("example.org.", 0))},
        "zone of 2",
    ),
    "the longest zone decides": (
        f"transfer org {{\n to {THERE}\n}}\ntransfer example.org {{\n to {HERE}\n}}",
        {},
        "zone of 2",
    ),
    "the longest zone decides, in any order": (
        f"transfer example.org {{\n to {HERE}\n}}\ntransfer org {{\n to {THERE}\n}}",
        {"peer": (THERE, 1)},
        "REFUSED",
    ),
    "of two for one zone the first": (
        f"transfer example.org {{\n to {HERE}\n}}\ntransfer example.org {{\n to {THERE}\n}}",
        {"peer": (THERE, 1)},
        "REFUSED",
    ),
}


@pytest.mark.parametrize(("text", "asked", "expected"), ASKED.values(), ids=ASKED)
async def test_asked(text: str, asked: dict[str, object], expected: str) -> None:
    assert await said(built(text), **asked) == expected


async def test_the_first_plugin_that_has_it() -> None:
    plugins = Zone("example.net."), Zone(count=3), Zone(count=4)
    assert await said(built(EVERYBODY, *plugins)) == "zone of 3"


async def test_a_zone_that_is_not_there_now() -> None:
    assert await said(built(EVERYBODY, Absent())) == "SERVFAIL"


async def test_serials_that_are_zero() -> None:
    octets = ixfr(SOA.format("example.org.", 0))
    plugin = built(EVERYBODY, Zone(serial=0))
    assert await said(plugin, qtype="IXFR", octets=octets) == "zone of 2"


async def test_only_so_many_at_once() -> None:
    plugin = built(EVERYBODY)
    asked = query("example.org.", "AXFR", transport="tcp")
    kept = [await plugin.resolve(asked, Next()) for _ in range(transfer.MOST)]
    assert await said(plugin) == "SERVFAIL"
    kept.pop()  # its client went away
    assert await said(plugin) == "zone of 2"


async def test_what_the_log_tells(caplog: pytest.LogCaptureFixture) -> None:
    plugin = built(EVERYBODY)
    with caplog.at_level(logging.INFO):
        await said(plugin)
        await said(plugin, qtype="IXFR", octets=ixfr(SOA.format("example.org.", 7)))
    assert caplog.messages == [
        'Outgoing transfer of 4 records of zone "example.org." to 10.0.0.1 for 7 SOA serial',
        'Outgoing noop, incremental transfer for up to date zone "example.org." to 10.0.0.1 '
        "for 7 SOA serial",
    ]


class Listens(asyncio.DatagramProtocol):
    """Another server, which answers NOTIFY messages by this rcode; None: not at all."""

    def __init__(self, rcode: int | None = 0) -> None:
        self.rcode = rcode
        self.came: asyncio.Queue[tuple[dns.message.Message, tuple[str, int]]] = asyncio.Queue()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = dns.message.from_wire(data)
        self.came.put_nowait((message, addr))
        if self.rcode is not None:
            reply = dns.message.make_response(message)
            reply.set_rcode(dns.rcode.Rcode(self.rcode))
            self.transport.sendto(reply.to_wire(), addr)

    async def next(self) -> tuple[dns.message.Message, tuple[str, int]]:
        async with asyncio.timeout(5):
            return await self.came.get()


@asynccontextmanager
async def listening(rcode: int | None = 0, address: str = "127.0.0.1") -> AsyncIterator[Listens]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: Listens(rcode), local_addr=(address, 0)
    )
    try:
        yield server
    finally:
        transport.close()


@asynccontextmanager
async def telling(text: str) -> AsyncIterator[Setup]:
    """A `transfer` that runs; its setup's `changed` tells it of zones."""
    setup = new_setup()
    plugin = parsed(text, setup)
    async with beside(plugin.serve):
        yield setup


async def logged(caplog: pytest.LogCaptureFixture) -> None:
    """Waits for a line in the log."""
    for _ in range(500):
        if caplog.messages:
            return
        await asyncio.sleep(0.01)
    pytest.fail("nothing is in the log")


class TestNotify:
    async def test_told(self) -> None:
        """RFC 1996 section 3.6."""
        async with (
            listening() as one,
            listening(address="127.0.0.2") as other,
            telling(
                f"transfer example.org {{\n to * 127.0.0.1:{one.port} 127.0.0.2:{other.port}\n}}"
            ) as setup,
        ):
            setup.changed("example.net.")
            setup.changed("a.example.org.")
            for server in (one, other):
                message, _ = await server.next()
                assert message.opcode() == dns.opcode.NOTIFY
                assert message.flags & dns.flags.AA
                assert not message.flags & dns.flags.RD
                assert message.question[0].to_text() == "a.example.org. IN SOA"
            await asyncio.sleep(0.05)
            assert one.came.empty()
            assert other.came.empty()

    async def test_source(self) -> None:
        async with (
            listening() as server,
            telling(f"transfer {{\n to 127.0.0.1:{server.port}\n source 127.0.0.9\n}}") as setup,
        ):
            setup.changed("example.org.")
            _, (host, _) = await server.next()
            assert host == "127.0.0.9"

    async def test_the_longest_zone_decides(self) -> None:
        async with (
            listening() as one,
            listening() as other,
            telling(
                f"transfer org {{\n to 127.0.0.1:{one.port}\n}}\n"
                f"transfer example.org {{\n to 127.0.0.1:{other.port}\n}}"
            ) as setup,
        ):
            setup.changed("example.org.")
            await other.next()
            setup.changed("example2.org.")
            message, _ = await one.next()
            assert message.question[0].to_text() == "example2.org. IN SOA"
            assert other.came.empty()

    @pytest.mark.parametrize(
        ("rcode", "told"), [(5, "rcode was REFUSED"), (None, "The DNS operation timed out")]
    )
    async def test_told_three_times(
        self,
        rcode: int | None,
        told: str,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(notifying, "ANSWER_S", 0.05 if rcode is None else 5.0)
        async with (
            listening(rcode) as server,
            telling(f"transfer {{\n to 127.0.0.1:{server.port}\n}}") as setup,
        ):
            setup.changed("example.org.")
            for _ in range(notifying.TRIES):
                await server.next()
            await logged(caplog)
            await asyncio.sleep(0.05)
            assert server.came.empty()
        [line] = caplog.messages
        assert line.startswith(
            'Failed sending notifies: notify for zone "example.org." was not accepted by '
            f"127.0.0.1:{server.port}: {told}"
        )

    async def test_a_source_of_the_other_family(self, caplog: pytest.LogCaptureFixture) -> None:
        async with telling("transfer {\n to 127.0.0.1:9\n source ::1\n}") as setup:
            setup.changed("example.org.")
            await logged(caplog)
        assert "was not accepted by 127.0.0.1:9" in caplog.text

    async def test_changes_that_wait_are_told_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notifying, "AT_ONCE", 1)
        async with (
            listening() as server,
            telling(f"transfer {{\n to 127.0.0.1:{server.port}\n}}") as setup,
        ):
            for zone in ("a.", "b.", "a.", "b."):
                setup.changed(zone)
            names = [(await server.next())[0].question[0].name.to_text() for _ in range(2)]
            assert names == ["a.", "b."]
            await asyncio.sleep(0.05)
            assert server.came.empty()
            setup.changed("a.")
            await server.next()
