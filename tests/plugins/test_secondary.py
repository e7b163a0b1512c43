"""`secondary`: its options, and zones that are fetched, followed, expire and come back."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from clusterdns.errors import UpstreamError
from clusterdns.plugins.secondary import follower, primaries
from clusterdns.plugins.secondary.follower import is_newer
from clusterdns.plugins.secondary.primaries import Primary
from tests.nameservers import needs_nsd, nsd
from tests.plugins.asking import Next, Told, fault, query
from tests.plugins.primary import (
    ZONE,
    Master,
    ask,
    asked,
    becomes,
    master,
    notify,
    of,
    running,
    secondary,
    soon,
    version,
)
from tests.scenarios.asking import becomes as changed

__all__ = ["soon"]
pytestmark = pytest.mark.usefixtures("soon")

Spoil = Callable[[list[bytes]], list[bytes]]
NOT_PATCHED = follower._jittered  # as it is outside of tests


class TestOptions:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("secondary", "1:1: secondary needs `transfer from` with who has the zones"),
            ("secondary x {\n}", "1:1: secondary needs `transfer from` with who has the zones"),
            ("secondary {\n fallthrough\n}", "1:1: secondary needs `transfer from`"),
            ("secondary {\n transfer\n}", "2:2: transfer takes at least 2 arguments, not 0"),
            ("secondary {\n transfer from\n}", "2:11: transfer takes at least 2 arguments, not 1"),
            ("secondary {\n transfer to 1.1.1.1\n}", "2:11: 'to' is none of from"),
            ("secondary {\n transfer from *\n}", "2:16: a zone comes from an address, not from *"),
            ("secondary {\n transfer from a.b\n}", "2:16: 'a.b' is no IP address"),
            ("secondary {\n transfer from 1.1.1.1 1.1.1.1:x\n}", "2:24: 'x' is no port"),
            ("secondary {\n upstream\n}", "2:2: unknown property 'upstream' of secondary; "),
            ("secondary {\n transfer from ::1\n catalog a..b\n}", "3:10: "),
        ],
    )
    def test_refused(self, text: str, expected: str) -> None:
        assert fault(text).startswith(expected)

    def test_primaries_of_several_lines(self) -> None:
        text = "secondary a b {\n transfer from 1.1.1.1 [::1]:54\n transfer from fe80::1%lo\n}"
        _, followers = secondary(text)._served
        assert {zone: list(map(str, each.primaries)) for zone, each in followers.items()} == {
            zone: ["1.1.1.1:53", "[::1]:54", "[fe80::1%lo]:53"] for zone in ("a.", "b.")
        }

    async def test_the_last_fallthrough_counts(self) -> None:
        text = "\n".join(
            f"secondary {zone} {{\n transfer from 127.0.0.1:1\n fallthrough {zones}\n}}"
            for zone, zones in (("a", "a"), ("b", ""))
        )
        plugin = secondary(text)
        assert plugin._fallthrough.names == (".",)


class TestFollowing:
    async def test_it_is_fetched(self) -> None:
        told = Told()
        async with master() as server:
            plugin = secondary(of(server), told.setup())
            assert await ask(plugin) == "SERVFAIL"
            assert await ask(plugin, "a.example.net.") == "next"
            async with running(plugin):
                await becomes(plugin, version(1))
                assert await ask(plugin, "b.example.org.") == "NXDOMAIN"
                assert await ask(plugin, "example.org.", "AXFR") == "REFUSED"
        assert told.changed == ["example.org."]
        assert told.forgotten == [{("secondary zone", "example.org.")}]
        assert server.asked == ["AXFR"]

    async def test_fallthrough(self) -> None:
        async with master() as server:
            plugin = secondary(of(server, more="fallthrough"))
            async with running(plugin):
                await becomes(plugin, version(1))
                assert await ask(plugin, "b.example.org.") == "next"

    async def test_an_alias_beside_other_records(self) -> None:
        """No zone should have one; primaries send it, and nothing of theirs is lost."""

        def with_alias(sent: list[bytes]) -> list[bytes]:
            message = dns.message.from_wire(sent[1])
            message.answer = [
                dns.rrset.from_text("example.org.", 60, "IN", "CNAME", "a.example.org.")
            ]
            return [sent[0], message.to_wire(), *sent[1:]]

        async with master() as server:
            server.spoil = with_alias
            plugin = secondary(of(server))
            async with running(plugin):
                await becomes(plugin, version(1))
                for qtype, types in (("A", [5, 1]), ("NS", [2]), ("SOA", [6]), ("TXT", [5])):
                    reply = await plugin.resolve(query("example.org.", qtype), Next())
                    assert reply is not None
                    assert [record.rtype for record in reply.answer] == types

    async def test_answers_rest_on_the_zone(self) -> None:
        plugin = secondary("secondary example.org {\n transfer from 127.0.0.1:1\n}")
        reply = await plugin.resolve(query("a.example.org."), Next())
        assert reply is not None
        assert reply.keys == {("secondary zone", "example.org.")}
        assert reply.until > 1e9

    async def test_tried_again_until_somebody_is_there(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with master(serves=False) as server:
            plugin = secondary(of(server))
            async with running(plugin):
                await asked(server, 4)
                assert await ask(plugin) == "SERVFAIL"
                server.serves = True
                await becomes(plugin, version(1))
        [line] = [each for each in caplog.messages if "cannot be transferred" in each]
        assert "example.org. cannot be transferred: 127.0.0.1:" in line
        assert "REFUSED" in line

    async def test_the_first_primary_that_works(self) -> None:
        async with master(serves=False) as down, master() as first, master() as second:
            first.serial, second.serial = 4, 5
            async with running(secondary(of(down, first, second))) as plugin:
                await becomes(plugin, version(4))
            assert (down.asked, second.asked) == (["AXFR"], [])

    async def test_refreshed(self) -> None:
        told = Told()
        async with master() as server:
            server.refresh = 1
            server.spoil = then(server, lambda sent: sent, refresh=3600)
            async with running(secondary(of(server), told.setup())) as plugin:
                await becomes(plugin, version(2))
            assert server.asked == ["AXFR", "SOA", "AXFR"]
        assert told.changed == ["example.org."] * 2

    async def test_not_newer_is_not_fetched(self) -> None:
        async with master() as server:
            server.serial, server.refresh = 2, 1
            async with running(secondary(of(server))) as plugin:
                await becomes(plugin, version(2))
                server.serial = 1
                await asked(server, len(server.asked) + 2)
                assert await ask(plugin) == version(2)
            assert server.asked == ["AXFR", *["SOA"] * (len(server.asked) - 1)]

    async def test_expired_and_back(self, caplog: pytest.LogCaptureFixture) -> None:
        told = Told()
        async with master() as server:
            server.refresh = server.retry = server.expire = 1
            async with running(secondary(of(server), told.setup())) as plugin:
                await becomes(plugin, version(1))
                server.serves = False
                await becomes(plugin, "SERVFAIL")
                assert "Zone example.org. is expired" in caplog.messages
                server.serves = True
                await becomes(plugin, version(1))
        assert told.changed == ["example.org."], "it is the same version"
        assert told.forgotten == [{("secondary zone", "example.org.")}] * 3

    async def test_expired_while_a_primary_takes_its_time(self) -> None:
        async with master() as server:
            server.refresh = server.retry = server.expire = 1
            server.spoil = then(server, lambda sent: sent[:1])
            async with running(secondary(of(server))) as plugin:
                await becomes(plugin, version(1))
                await becomes(plugin, "SERVFAIL")
                assert server.asked == ["AXFR", "SOA", "AXFR"]

    async def test_times_of_zero(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []

        def wait(seconds: float, most: float) -> float:
            waited.append(seconds)
            return 60.0

        monkeypatch.setattr(follower, "_jittered", wait)
        async with master() as server:
            server.refresh = server.retry = server.expire = 0
            async with running(secondary(of(server))) as plugin:
                await becomes(plugin, version(1))
                await asyncio.sleep(0)
                assert server.asked == ["AXFR"]
                assert waited == [1]

    async def test_one_that_stops_in_the_middle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(primaries, "SILENCE_S", 0.05)
        async with master() as stuck, master() as good:
            stuck.spoil = lambda sent: sent[:2]
            good.serial = 7
            async with running(secondary(of(stuck, good))) as plugin:
                await becomes(plugin, version(7))

    async def test_stopped_while_it_waits(self) -> None:
        async with master() as stuck:
            stuck.spoil = lambda sent: sent[:2]
            async with running(secondary(of(stuck))):
                await asked(stuck, 1)

    async def test_a_reload_keeps_it(self) -> None:
        async with master() as server:
            async with running(secondary(of(server))) as before:
                await becomes(before, version(1))
            after = secondary(of(server))
            after.adopt(before)
            assert await ask(after) == version(1)
            server.serial = 2
            async with running(after):
                await becomes(after, version(2))
            assert server.asked == ["AXFR", "SOA", "AXFR"]

    async def test_a_reload_to_other_primaries(self) -> None:
        async with master() as server, master() as other:
            async with running(secondary(of(server))) as before:
                await becomes(before, version(1))
            after = secondary(of(other))
            after.adopt(before)
            assert await ask(after) == "SERVFAIL"


def then(server: Master, spoil: Spoil, **changed: int) -> Spoil:
    """Lets the first transfer pass; behind it are another version, this way and these times."""

    def first(sent: list[bytes]) -> list[bytes]:
        server.serial += 1
        server.spoil = spoil
        vars(server).update(changed)
        return sent

    return first


def test_pauses_are_longer_by_chance_and_never_shorter() -> None:
    """Or all replicas would ask at the same moment; by a half at most."""
    for seconds, most, longest in ((1.0, 300.0, 1.5), (3600.0, 300.0, 3900.0)):
        pauses = {NOT_PATCHED(seconds, most) for _ in range(50)}
        assert len(pauses) > 40
        assert all(seconds <= pause <= longest for pause in pauses)


SPOILT: dict[str, Spoil] = {
    "another id": lambda sent: [bytes([sent[0][0] ^ 1]) + sent[0][1:], *sent[1:]],
    "no reply": lambda sent: [sent[0][:2] + b"\0" + sent[0][3:]],
    "no SOA record at the begin": lambda sent: sent[1:],
    "octets": lambda sent: [sent[0], b"octets"],
    "cut off": lambda sent: [sent[0][:-3]],
    "an empty message": lambda sent: [b""],
    "a SOA record in the middle of it": lambda sent: [sent[0], _other_soa(sent[0]), *sent[1:]],
    "behind its end": lambda sent: [sent[0], _joined(sent[-1], sent[1])],
}


def _other_soa(octets: bytes) -> bytes:
    message = dns.message.from_wire(octets)
    message.answer[0] = dns.rrset.from_text("example.org.", 1, "IN", "SOA", ". . 9 9 9 9 9")
    return message.to_wire()


def _joined(first: bytes, second: bytes) -> bytes:
    message = dns.message.from_wire(first)
    message.answer += dns.message.from_wire(second).answer
    return message.to_wire()


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
async def test_what_is_no_zone(spoil: Spoil) -> None:
    async with master() as server:
        server.spoil = spoil
        with pytest.raises(UpstreamError, match=rf"^127\.0\.0\.1:{server.port}: "):
            async with asyncio.timeout(5):
                await Primary("127.0.0.1", server.port).zone("example.org.")


async def test_names_outside_of_the_zone_are_left_out() -> None:
    def outside(sent: list[bytes]) -> list[bytes]:
        message = dns.message.from_wire(sent[1])
        message.answer.append(dns.rrset.from_text("x.example.net.", 1, "IN", "A", "10.0.0.9"))
        return [sent[0], message.to_wire(), *sent[2:]]

    async with master() as server:
        server.spoil = outside
        zone = await Primary("127.0.0.1", server.port).zone("example.org.")
    assert all(name[-2:] == (b"example", b"org") for name in zone.nodes)


@pytest.mark.parametrize("what", ["serial", "zone"])
async def test_nobody_is_there(what: str) -> None:
    with pytest.raises(UpstreamError, match=r"^127\.0\.0\.1:1: .*Connect"):
        await getattr(Primary("127.0.0.1", 1), what)("example.org.")


async def test_no_serial() -> None:
    async with master() as server:
        primary = Primary("127.0.0.1", server.port)
        with pytest.raises(UpstreamError, match=r"no SOA record of example\.net\. .* REFUSED"):
            await primary.serial("example.net.")


@pytest.mark.parametrize(
    ("serial", "than", "newer"),
    [
        (2, 1, True),
        (1, 2, False),
        (1, 1, False),
        (0, 4294967295, True),
        (4294967295, 0, False),
        (2147483647, 0, True),
        (2147483648, 0, False),
        (2147483649, 0, False),
    ],
)
def test_rfc_1982(serial: int, than: int, newer: bool) -> None:
    assert is_newer(serial, than) == newer


class TestNotify:
    async def test_of_a_primary(self, caplog: pytest.LogCaptureFixture) -> None:
        async with master() as server, running(secondary(of(server))) as plugin:
            await becomes(plugin, version(1))
            server.serial = 2
            with caplog.at_level(logging.INFO):
                reply = await notify(plugin)
            assert reply is not None
            assert (reply.rcode, reply.authoritative, reply.until) == (0, True, 0.0)
            assert "Notify from 127.0.0.1 for example.org.: checking transfer" in caplog.messages
            await becomes(plugin, version(2))

    async def test_of_somebody_else(self) -> None:
        async with master() as server, running(secondary(of(server))) as plugin:
            await becomes(plugin, version(1))
            server.serial = 2
            assert await notify(plugin, "127.0.0.2") is None
            await asyncio.sleep(0.1)
            assert server.asked == ["AXFR"]

    @pytest.mark.parametrize("name", ["example.net.", "a.example.org."])
    async def test_of_no_zone_of_ours(self, name: str) -> None:
        plugin = secondary("secondary example.org {\n transfer from 127.0.0.1:1\n}")
        reply = await notify(plugin, name=name)
        assert reply is not None
        assert reply.rcode == 5

    async def test_many_are_one_look(self) -> None:
        async with master() as server, running(secondary(of(server))) as plugin:
            await becomes(plugin, version(1))
            began = time.monotonic()
            for _ in range(100):
                await notify(plugin)
                await asyncio.sleep(0.001)
            await asyncio.sleep(2 * follower.NOTIFY_GAP)
            gaps = (time.monotonic() - began) / follower.NOTIFY_GAP
            assert 1 <= server.asked.count("SOA") <= gaps + 1

    async def test_while_it_is_fetched(self) -> None:
        """The version that is on its way may be the one before."""
        async with master() as server:
            plugin = secondary(of(server))

            def notified(sent: list[bytes]) -> list[bytes]:
                if server.serial == 1:
                    assert plugin._served[1]["example.org."].notify("127.0.0.1")
                    server.serial = 2
                return sent

            server.spoil = notified
            async with running(plugin):
                await becomes(plugin, version(2))


ZONE_OF_NSD = """\
zone:
    name: example.org
    zonefile: example.org
    provide-xfr: 127.0.0.1 NOKEY
    notify: 127.0.0.1@{port} NOKEY
"""


@needs_nsd
async def test_nsd_as_primary(tmp_path: Path) -> None:
    """A real primary: a zone of many messages, and a newer one that NOTIFY tells of."""
    many = "\n".join(f"h{number} 300 A 10.1.{number >> 8}.{number & 255}" for number in range(9000))
    zone = tmp_path / "example.org"

    def write(serial: int) -> None:
        text = ZONE.format(serial=serial, refresh=3600, retry=600, expire=86400, more=many)
        aside = tmp_path / "aside"
        aside.write_text(text)
        aside.rename(zone)

    write(1)
    with nsd(tmp_path, ZONE_OF_NSD.format(port=9)) as primary:
        text = f"secondary example.org {{\n transfer from 127.0.0.1:{primary.port}\n}}"
        async with running(secondary(text)) as plugin:
            await becomes(plugin, version(1))
            assert (
                await ask(plugin, "h8999.example.org.") == "h8999.example.org. 300 IN A 10.1.35.39"
            )
            write(2)
            primary.reload()
            await changed("2", lambda: primary.serial("example.org"))
            await notify(plugin)
            await becomes(plugin, version(2))
