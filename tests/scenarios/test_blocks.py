"""Several server blocks, addresses and zones in one process; what cannot be opened together."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clusterdns.errors import ConfigError
from clusterdns.server.source import own_addresses
from tests.objects import service
from tests.ports import free_port
from tests.scenarios.asking import At, answer, ask, dig, get, needs_dig
from tests.scenarios.servers import COREFILE, Server, served, started, write
from tests.scenarios.test_manifests import WEB, web

V6 = "fd00::1"
OBJECTS = [web(), service("shop", "six", f"10.96.0.6 {V6}")]

needs_ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="this host has no IPv6")


@asynccontextmanager
async def serving(folder: Path, corefile: str) -> AsyncIterator[Server]:
    objects = write(folder / "objects.yaml", OBJECTS)
    async with served(folder, objects, corefile=corefile) as server:
        yield server


@needs_ipv6
async def test_blocks_on_other_ports_and_addresses(tmp_path: Path) -> None:
    one, two = free_port(), free_port()
    corefile = f"""
.:{one} {{
    bind 127.0.0.1 ::1
    kubernetes cluster.local
}}
example.org:{two} {{
    bind 127.0.0.1
    whoami
}}
other.local:{two} {{
    bind 127.0.0.1
    kubernetes other.local
}}
"""
    async with serving(tmp_path, corefile) as server:
        assert server.all_at == [At("127.0.0.1", one), At("::1", one), At("127.0.0.1", two)]
        four, six, second = server.all_at
        for tcp in (False, True):
            assert await answer(four, WEB, tcp=tcp) == "10.96.0.1"
            assert await answer(six, WEB, tcp=tcp) == "10.96.0.1"
            assert await answer(second, "web.shop.svc.other.local", tcp=tcp) == "10.96.0.1"
            assert await answer(second, WEB, tcp=tcp) == "REFUSED"
            assert len((await ask(second, "example.org", tcp=tcp)).additional) == 2


@needs_dig
@needs_ipv6
async def test_ipv6_for_dig(tmp_path: Path) -> None:
    corefile = COREFILE.replace("127.0.0.1\n    errors", "::1\n    errors")
    async with serving(tmp_path, corefile) as server:
        assert server.at.address == "::1"
        for transport in ("+notcp", "+tcp"):
            assert await dig(server.at, transport, WEB) == "10.96.0.1"
            assert await dig(server.at, transport, "-x", V6) == "six.shop.svc.cluster.local."


async def test_every_address(tmp_path: Path) -> None:
    """Without `bind`, both families, and the reply comes from the address that was asked."""
    async with serving(tmp_path, ".:0 {\n    kubernetes cluster.local\n}\n") as server:
        assert {at.address for at in server.all_at} <= {"127.0.0.1", "::1"}
        for at in server.all_at:
            for tcp in (False, True):
                assert await answer(at, WEB, tcp=tcp) == "10.96.0.1"
        for address in own_addresses(4):
            assert await answer(At(address, server.at.port), WEB) == "10.96.0.1"


async def test_two_zones_in_a_block(tmp_path: Path) -> None:
    corefile = """
cluster.local:0 shop.local:0 {
    bind 127.0.0.1
    kubernetes
}
"""
    async with serving(tmp_path, corefile) as server:
        [at] = server.all_at
        assert await answer(at, WEB) == "10.96.0.1"
        assert await answer(at, "web.shop.svc.shop.local") == "10.96.0.1"
        assert await answer(at, "web.shop.svc.other.local") == "REFUSED"


async def test_the_longest_zone_answers(tmp_path: Path) -> None:
    corefile = """
local:0 {
    bind 127.0.0.1
    whoami
}
cluster.local:0 {
    bind 127.0.0.1
    kubernetes
}
"""
    async with serving(tmp_path, corefile) as server:
        [at] = server.all_at
        assert await answer(at, WEB) == "10.96.0.1"
        assert len((await ask(at, "other.local")).additional) == 2
        assert await answer(at, "example.org") == "REFUSED"


CIDRS = {
    "an octet's end": ("10.96.0.0/16", "10.96.0.1"),
    "within an octet": ("10.96.0.0/15", "10.96.0.1"),
    "a nibble of IPv6": ("fd00::/8", V6),
}


@needs_dig
@pytest.mark.parametrize(("cidr", "address"), CIDRS.values(), ids=CIDRS)
async def test_reverse_zones(tmp_path: Path, cidr: str, address: str) -> None:
    corefile = f"""
cluster.local:0 {cidr}:0 {{
    bind 127.0.0.1
    kubernetes cluster.local {cidr}
}}
"""
    name = "six" if ":" in address else "web"
    async with serving(tmp_path, corefile) as server:
        [at] = server.all_at
        assert await dig(at, "-x", address) == f"{name}.shop.svc.cluster.local."
        assert await answer(at, "1.2.0.192.in-addr.arpa", "PTR") == "REFUSED"


async def test_one_page_for_two_blocks(tmp_path: Path) -> None:
    health, ready = free_port(), free_port()
    block = f"""{{
    bind 127.0.0.1
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes
}}
"""
    async with serving(tmp_path, f"cluster.local:0 {block}other.local:0 {block}") as server:
        assert await get(health, "/health") == (200, "OK")
        assert await get(ready, "/ready") == (200, "OK")
        assert await answer(server.at, WEB) == "10.96.0.1"


async def test_two_pages_for_two_blocks(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    blocks = [
        f"z{n}.local:0 {{\n    bind 127.0.0.1\n    health 127.0.0.1:{port}\n    whoami\n}}\n"
        for n, port in enumerate(ports)
    ]
    async with serving(tmp_path, "".join(blocks)):
        for port in ports:
            assert await get(port, "/health") == (200, "OK")


REFUSED = {
    "a zone twice": (
        ".:1053 {\n    whoami\n}\n.:1053 {\n    whoami\n}\n",
        "{file}:4:1: cannot serve dns://.:1053: it is already defined at {file}:1:1",
    ),
    "a zone twice in a block": (
        "a.b:1053 A.B:1053 {\n    whoami\n}\n",
        "{file}:1:10: cannot serve dns://a.b.:1053: it is already defined at {file}:1:1",
    ),
    "DNS over TLS without a certificate": (
        "tls://.:1053 {\n    whoami\n}\n",
        "{file}:1:1: tls://.:1053 needs a `tls` with its certificate",
    ),
    "an address that is not this host's": (
        ".:0 {\n    bind 192.0.2.77\n    whoami\n}\n",
        "{file}:1:1: cannot listen on 192.0.2.77:0 (udp): Cannot assign requested address",
    ),
    "UDP port taken": (
        ".:{udp} {{\n    bind 127.0.0.1\n    whoami\n}}\n",
        "{file}:1:1: cannot listen on 127.0.0.1:{udp} (udp): Address already in use",
    ),
    "TCP port taken": (
        ".:{tcp} {{\n    bind 127.0.0.1\n    whoami\n}}\n",
        "{file}:1:1: cannot listen on 127.0.0.1:{tcp} (tcp): Address already in use",
    ),
    "page's port taken": (
        ".:0 {{\n    bind 127.0.0.1\n    health 127.0.0.1:{tcp}\n    whoami\n}}\n",
        "{file}:3:12: cannot listen on 127.0.0.1:{tcp}: Address already in use",
    ),
}


@pytest.mark.parametrize(("corefile", "complaint"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_opened(tmp_path: Path, corefile: str, complaint: str) -> None:
    """The place in the Corefile, what was wanted, and why not; nothing stays open."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        udp.bind(("127.0.0.1", 0))
        taken = {"udp": udp.getsockname()[1], "tcp": tcp.getsockname()[1]}
        if "{udp}" in corefile or "{tcp}" in corefile:
            corefile = corefile.format_map(taken)
        with pytest.raises(ConfigError) as refused:
            async with started(tmp_path, corefile=corefile):
                pass
    assert str(refused.value) == complaint.format(file=tmp_path / "Corefile", **taken)


async def test_health_and_ready_on_one_port(tmp_path: Path) -> None:
    """The second of them is named. A port found free may be somebody's when it is used: again."""
    for _ in range(5):
        port = free_port()
        corefile = f".:0 {{\n    health 127.0.0.1:{port}\n    ready 127.0.0.1:{port}\n}}\n"
        with pytest.raises(ConfigError) as refused:
            async with started(tmp_path, corefile=corefile):
                pass
        if ":2:12: " not in str(refused.value):
            break
    place = f"{tmp_path / 'Corefile'}:3:11"
    expected = f"{place}: cannot listen on 127.0.0.1:{port}: Address already in use"
    assert str(refused.value) == expected


async def test_the_next_free_port(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`--next-free-port` goes on where a port is taken, and says so."""
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        taken = tcp.getsockname()[1]
        corefile = f""".:{taken} {{
    bind 127.0.0.1
    health 127.0.0.1:{taken}
    kubernetes cluster.local
}}
"""
        objects = write(tmp_path / "objects.yaml", OBJECTS)
        async with served(tmp_path, objects, corefile=corefile, next_free_port=True) as server:
            assert taken < server.at.port < taken + 100
            assert await answer(server.at, WEB) == "10.96.0.1"
            assert await answer(server.at, WEB, tcp=True) == "10.96.0.1"
            assert await get(server.health, "/health") == (200, "OK")
            for port in (server.at.port, server.health):
                assert f"port {taken} is taken; using {port}" in caplog.text
