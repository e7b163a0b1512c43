"""TLS sessions that are resumed, and those that are not."""

import asyncio
import ssl

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.forward.options import read
from clusterdns.plugins.forward.resuming import Resuming
from tests.plugins.asking import lines, new_setup
from tests.plugins.forward.stubs import ADDRESS, HOST, addresses, ask, forwarding, upstream
from tests.plugins.forward.test_https import doh
from tests.plugins.forward.test_streams import CA, server_context


def server(version: ssl.TLSVersion, tickets: bool = True) -> ssl.SSLContext:
    context = server_context()
    context.minimum_version = context.maximum_version = version
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def resumed(context: ssl.SSLContext) -> int:
    return context.session_stats()["hits"]


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scheme", ["tls", "https"])
async def test_the_next_connection_resumes(scheme: str, version: ssl.TLSVersion) -> None:
    context = server(version)
    running = upstream(tls=context) if scheme == "tls" else doh(context=context)
    async with running as stub:
        line = f"forward . {scheme}://{HOST}:{stub.port} {{\n {CA}\n expire 0s\n}}"
        async with forwarding(line) as plugin:
            for n in range(4):
                assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]
    assert resumed(context) == 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_that_resumes_nothing(version: ssl.TLSVersion) -> None:
    context = server(version, tickets=False)
    async with upstream(tls=context) as stub:
        line = f"forward . tls://{HOST}:{stub.port} {{\n {CA}\n expire 0s\n}}"
        async with forwarding(line) as plugin:
            for n in range(3):
                assert addresses(await ask(plugin, f"n{n}.test")) == [ADDRESS]


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_server_under_the_same_address(version: ssl.TLSVersion) -> None:
    """It knows nothing of the session and has to show its certificate, the right one or not."""
    async with upstream(tls=server(version)) as stub:
        line = f"forward . tls://{HOST}:{stub.port} {{\n {CA}\n expire 0s\n max_fails 0\n}}"
        async with forwarding(line) as plugin:
            await ask(plugin, "a.test")
            streams = plugin.forwarders[0].upstreams[0]
            async with upstream(tls=server(version)) as other:
                streams._streams.target = streams._streams.target._replace(port=other.port)  # type: ignore[attr-defined]
                assert addresses(await ask(plugin, "b.test")) == [ADDRESS]


async def test_no_session_is_taken_to_another_name() -> None:
    """What was checked was the first name."""
    context = server(ssl.TLSVersion.TLSv1_3)
    async with upstream(tls=context) as stub:
        first, second = f"tls://{HOST}%dns.test:{stub.port}", f"tls://{HOST}%other.test:{stub.port}"
        line = "forward . {} {{\n " + CA + "\n expire 0s\n max_fails 0\n}}"
        async with (
            forwarding(line.format(first)) as plugin,
            forwarding(line.format(second)) as wrong,
        ):
            await ask(plugin, "a.test")
            ours = plugin.forwarders[0].options.context
            wrong.forwarders[0].upstreams[0]._streams._context = ours  # type: ignore[attr-defined]
            for _ in range(2):  # what failed leaves no session either
                with pytest.raises(ResolveError, match="certificate"):
                    await ask(wrong, "b.test")
            await ask(plugin, "c.test")
    assert resumed(context) == 1


async def test_many_at_once() -> None:
    """Those opened while the first is on its way have nothing to resume, and none is harmed."""
    context = server(ssl.TLSVersion.TLSv1_3)
    async with upstream(tls=context) as stub:
        line = f"forward . tls://{HOST}:{stub.port} {{\n {CA}\n expire 0s\n}}"
        async with forwarding(line) as plugin:
            for _ in range(2):
                found = await asyncio.gather(*[ask(plugin, f"n{n}.test") for n in range(20)])
                assert all(addresses(each) == [ADDRESS] for each in found)
    assert resumed(context) >= 1


def test_names_and_certificates_are_checked() -> None:
    setup = new_setup()
    (directive,) = lines(f"forward . tls://{HOST} {{\n {CA}\n}}")
    context = read(directive, setup).context
    assert isinstance(context, Resuming)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1
