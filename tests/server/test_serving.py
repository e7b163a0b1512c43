"""A listener with the `kubernetes` plugin, as clients have it; and nothing of it is left behind."""

import asyncio
import gc
import os
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest

from clusterdns.cluster.events import Delete, Event, Upsert
from clusterdns.cluster.model import Namespace
from clusterdns.plugins.kubernetes import Kubernetes
from clusterdns.plugins.loadbalance import LoadBalance
from clusterdns.server.block import Block
from clusterdns.server.listener import Listener
from clusterdns.server.tcp import TcpLimits
from clusterdns.zone.index import Index
from tests.server.asking import framed, query, tcp, udp
from tests.server.toys import ZONE, Gate, Toy, router, serving
from tests.zone.sample import HTTP, alias, index_of, members, options, service

WEB = "web.shop.svc.cluster.local."
MANY = " ".join(f"10.1.{i // 200}.{i % 200}" for i in range(300))


def block(index: Index) -> Block:
    return Block(
        ["cluster.local.", "in-addr.arpa.", "ip6.arpa."],
        [LoadBalance(), Kubernetes(options(), index)],
    )


async def ask(listener: Listener, host: str, name: str, qtype: str) -> str:
    """Rcode and answer, which both transports must agree on, asked twice each."""
    found = []
    for _ in range(2):
        for asks in (dns.asyncquery.udp, dns.asyncquery.tcp):
            message = dns.message.make_query(name, qtype, use_edns=True, payload=1232)
            reply = await asks(message, host, 5, listener.port)
            lines = [line for rrset in reply.answer for line in rrset.to_text().splitlines()]
            found.append(" | ".join([reply.rcode().name, *sorted(lines)]))
    assert len(set(found)) == 1, found
    return found[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_cluster_that_changes(host: str) -> None:
    index = index_of([Namespace("shop")])
    story: list[tuple[Event | None, str, str, str]] = [
        (None, WEB, "A", "NXDOMAIN"),
        (Upsert(service("web", "10.0.0.1", HTTP)), WEB, "A", f"NOERROR | {WEB} 5 IN A 10.0.0.1"),
        (None, WEB.upper(), "A", f"NOERROR | {WEB.upper()} 5 IN A 10.0.0.1"),
        (None, WEB, "AAAA", "NOERROR"),
        (None, "1.0.0.10.in-addr.arpa.", "PTR", f"NOERROR | 1.0.0.10.in-addr.arpa. 5 IN PTR {WEB}"),
        (Upsert(service("web")), WEB, "A", "NXDOMAIN"),
        (None, "1.0.0.10.in-addr.arpa.", "PTR", "NXDOMAIN"),
        (
            Upsert(members("web", "10.1.0.2 10.1.0.1 fd00::1", HTTP)),
            WEB,
            "A",
            f"NOERROR | {WEB} 5 IN A 10.1.0.1 | {WEB} 5 IN A 10.1.0.2",
        ),
        (None, WEB, "AAAA", f"NOERROR | {WEB} 5 IN AAAA fd00::1"),
        (
            Upsert(alias("web", "Example.COM")),
            WEB,
            "A",
            f"NOERROR | {WEB} 5 IN CNAME Example.COM.",
        ),
        (Delete("Namespace", "", "shop"), WEB, "A", "NXDOMAIN"),
        (None, "example.com.", "A", "REFUSED"),
    ]
    async with serving(block(index), address=host) as listener:
        for event, name, qtype, expected in story:
            if event is not None:
                listener.forget(index.apply(event, 1_700_000_000))
            assert await ask(listener, host, name, qtype) == expected
        assert listener.hits > len(story)


async def test_many_endpoints_are_cut_and_come_whole_over_tcp() -> None:
    index = index_of([service("web"), members("web", MANY)])
    async with serving(block(index)) as listener:
        message = dns.message.make_query(WEB, "A", use_edns=True, payload=1232)
        for _ in range(3):
            reply = await dns.asyncquery.udp(message, "127.0.0.1", 5, listener.port)
            assert reply.flags & dns.flags.TC
            # header, question and OPT take 58 octets, a compressed record 16
            assert len(reply.answer[0]) == (1232 - 12 - len(WEB) - 1 - 4 - 11) // 16
            whole = await dns.asyncquery.tcp(message, "127.0.0.1", 5, listener.port)
            assert len(whole.answer[0]) == 300
            assert not whole.flags & dns.flags.TC


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts files in /proc")
async def test_nothing_is_left() -> None:
    """After clients of every kind: those that ask, wait, stall, vanish, and send junk."""
    gc.collect()
    files, tasks = open_files(), asyncio.all_tasks()
    gate = Gate(b"a2")
    limits = TcpLimits(read_s=0.05, idle_s=0.05, write_s=0.05)
    listener = Listener("", 0, router(gate, Toy()), limits)
    listener.open()
    stopping = asyncio.Event()
    server = asyncio.create_task(listener.serve(stopping))
    good, waits = query(f"a1.{ZONE}"), query(f"a2.{ZONE}")
    async with (
        udp(("127.0.0.1", listener.port)) as datagrams,
        tcp(("127.0.0.1", listener.port)) as asks,
        tcp(("::1", listener.port)) as stalls,
        tcp(("127.0.0.1", listener.port)) as reads_nothing,
        tcp(("127.0.0.1", listener.port)) as junk,
    ):
        async with tcp(("127.0.0.1", listener.port)) as vanishes:
            await vanishes.send(waits)
            await asyncio.wait_for(gate.came.get(), 5)
        await datagrams.ask(good)
        await datagrams.send(waits)
        await asks.ask(good)
        await asks.send(waits)
        for _ in range(2):
            await asyncio.wait_for(gate.came.get(), 5)
        await stalls.send_raw(framed(good)[:-3])
        await junk.send_raw(b"\0\1x")
        reads_nothing.writer.transport.pause_reading()  # type: ignore[attr-defined]
        reads_nothing.writer.write(framed(*[query(f"a900.{ZONE}")] * 500))
        await asyncio.sleep(0.02)
        stopping.set()
        gate.open.set()
        await asyncio.wait_for(server, 5)
        assert not any(each.connections for each in listener._tcp)
    assert asyncio.all_tasks() == tasks
    gc.collect()
    assert open_files() == files


async def test_a_stop_waits_for_datagrams_whose_reply_comes_later() -> None:
    gate = Gate(b"a2")
    listener = Listener("127.0.0.1", 0, router(gate, Toy()))
    listener.open()
    stopping = asyncio.Event()
    server = asyncio.create_task(listener.serve(stopping))
    async with udp(listener.addresses[0]) as client:
        await client.send(query(f"a2.{ZONE}"))
        await asyncio.wait_for(gate.came.get(), 5)
        stopping.set()
        for _ in range(20):  # turns, in which a server that does not wait would be gone
            await asyncio.sleep(0)
        assert not server.done()
        gate.open.set()
        assert (await client.receive())[3] & 0xF == 0
        await asyncio.wait_for(server, 5)
