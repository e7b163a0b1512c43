"""From a client's octets to an upstream and back, through a whole server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from clusterdns.plugins.forward import Forward
from clusterdns.plugins.loop import Loop, loops
from clusterdns.server.block import Block
from clusterdns.server.listener import Listener
from tests.plugins.asking import new_setup, parsed
from tests.plugins.forward.stubs import (
    ADDRESS,
    HOST,
    Asked,
    Stub,
    option,
    reply,
    silent,
    upstream,
    with_rcode,
)
from tests.server.toys import Toy, serving


@asynccontextmanager
async def served(*to: Stub, options: str = "") -> AsyncIterator[Listener]:
    addresses = " ".join(f"{HOST}:{each.port}" for each in to)
    forward = parsed(f"forward . {addresses} {{\n {options}\n}}")
    assert isinstance(forward, Forward)
    try:
        async with serving(Block(["."], [Toy(), forward])) as listener:
            yield listener
    finally:
        await forward.close()


async def udp(listener: Listener, query: dns.message.Message) -> dns.message.Message:
    return await dns.asyncquery.udp(query, HOST, 5, listener.port)


async def test_a_query_goes_and_its_reply_comes() -> None:
    query = dns.message.make_query(
        "wWw.a.Example.ORG", "A", use_edns=0, payload=1400, want_dnssec=True
    )
    async with upstream() as stub, served(stub) as listener:
        found = await udp(listener, query)
    (asked,) = stub.asked
    assert asked.octets[2:] == query.to_wire()[2:]
    assert found.question[0].name.to_text() == "wWw.a.Example.ORG."
    assert found.answer[0].name.to_text() == "wWw.a.Example.ORG."
    assert found.answer[0][0].to_text() == ADDRESS
    assert found.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA
    assert (found.payload, found.ednsflags) == (1232, dns.flags.DO)  # D5


async def test_each_client_has_its_own_spelling_and_id() -> None:
    names = ["example.org.", "EXAMPLE.org.", "eXaMpLe.OrG."]
    queries = [dns.message.make_query(name, "A") for name in names]
    async with upstream() as stub, served(stub) as listener:
        found = await asyncio.gather(*[udp(listener, query) for query in queries])
    assert [each.answer[0].name.to_text() for each in found] == names
    assert len(stub.asked) == 1


@pytest.mark.parametrize("tcp", [False, True])
async def test_options_between_neighbours_stay_there(tcp: bool) -> None:  # D41
    """Cookie (10), TCP keepalive (11), padding (12); client subnet (8) and unknown ones go on."""

    def behave(asked: Asked) -> list[bytes]:
        message = dns.message.from_wire(reply(asked))
        told = [*between, option(65001, b"told")]
        message.use_edns(0, 0, 1232, options=told)
        return [message.to_wire()]

    between = [
        option(10, b"12345678"),
        option(11, b"" if tcp else b"\0\1"),
        option(12, bytes(20)),
    ]
    passing = [dns.edns.ECSOption("192.0.2.0", 24), option(65001, b"asked")]
    query = dns.message.make_query("example.org.", "A", options=[*between, *passing])
    async with upstream(behave) as stub, served(stub) as listener:
        send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        found = await send(query, HOST, 5, listener.port)
    sent = stub.asked[0].message
    assert [option.to_wire() for option in sent.options] == [each.to_wire() for each in passing]
    assert [(int(option.otype), option.to_wire()) for option in found.options] == [(65001, b"told")]


async def test_what_comes_by_tcp_goes_by_tcp() -> None:
    def behave(asked: Asked) -> list[bytes]:
        return [reply(asked, *(f"{asked.name} 30 IN TXT {'x' * 200}{n}" for n in range(20)))]

    query = dns.message.make_query("example.org.", "A")
    async with upstream(behave) as stub, served(stub, options="force_tcp") as listener:
        found = await dns.asyncquery.tcp(query, HOST, 5, listener.port)
        assert sum(len(each) for each in found.answer) == 20
        cut = await udp(listener, query)  # what an upstream gave by TCP is too large for UDP
        assert cut.flags & dns.flags.TC
        assert 0 < sum(len(each) for each in cut.answer) < 20


@pytest.mark.parametrize("behave", [silent, with_rcode(5), lambda asked: [b"\0" * 30]])
async def test_upstreams_do_nothing_to_names_of_our_own(behave: object) -> None:
    options = "read_timeout 100ms\n max_fails 0"
    async with upstream(behave) as stub, served(stub, options=options) as listener:  # type: ignore[arg-type]
        query = dns.message.make_query("example.org.", "A")
        outside = asyncio.create_task(udp(listener, query))
        own = dns.message.make_query("a2.cluster.test.", "A")
        found = await udp(listener, own)
        assert not outside.done() or behave is not silent
        assert sum(len(each) for each in found.answer) == 2
        assert found.flags & dns.flags.RA  # D33
        assert (await outside).rcode() in (dns.rcode.SERVFAIL, dns.rcode.REFUSED)
        assert not any("cluster" in name for name in stub.names())


async def test_other_classes() -> None:  # D8
    query = dns.message.make_query("version.bind", "TXT", "CH")
    async with upstream(with_rcode(4)) as stub, served(stub) as listener:
        found = await udp(listener, query)
    assert found.rcode() == dns.rcode.NOTIMP
    assert stub.asked[0].octets[2:] == query.to_wire()[2:]


async def test_a_server_that_forwards_to_itself() -> None:  # D16
    setup = new_setup()
    loop = parsed("loop", setup)
    assert isinstance(loop, Loop)
    stopping = asyncio.Event()
    async with upstream() as stub:
        block = Block(["."], [Toy()])  # the port must be known before the rest
        async with serving(block) as listener:
            to = f"{HOST}:{listener.port} {HOST}:{stub.port}"
            forward = parsed(f"forward . {to} {{\n policy sequential\n}}", setup)
            assert isinstance(forward, Forward)
            block.resolve = Block(["."], [Toy(), loop, forward]).resolve
            watching = asyncio.create_task(loop.serve(stopping))
            itself, other = forward.forwarders[0].upstreams
            async with asyncio.timeout(5):
                while not itself.is_aside:  # noqa: ASYNC110  # the loop itself has no event for it
                    await asyncio.sleep(0.005)
            assert not other.is_aside
            found = await udp(listener, dns.message.make_query("example.org.", "A"))
            assert found.answer[0][0].to_text() == ADDRESS
            own = await udp(listener, dns.message.make_query("a1.cluster.test.", "A"))
            assert len(own.answer) == 1
            stopping.set()
            await watching
        await forward.close()
    assert loops.values[f"{HOST}:{listener.port}",] == 1
