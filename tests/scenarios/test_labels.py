"""What directives tell of a query, used by `log`, `template`, `view` and `rewrite`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.message
import pytest

from tests.objects import Json, pod, service
from tests.plugins.forward.stubs import ADDRESS, HOST, Stub, upstream, with_rcode
from tests.scenarios.octets import ask_all, query
from tests.scenarios.servers import Server, served, write

OTHER, NOBODY = "127.0.0.2", "127.0.0.3"
OBJECTS: list[Json] = [
    service("shop", "web", "10.96.0.1"),
    pod("shop", "cart-1", HOST, labels={"app": "cart", "example.org/team": "sales"}),
    pod("lab", "mouse", OTHER, labels={"app": "maze"}),
]
KUBERNETES = """
    kubernetes cluster.local {
        pods verified
    }
"""
ZONE = """\
$ORIGIN file.test.
$TTL 30
@ SOA a b 1 2 3 4 5
@ NS a
a A 192.0.2.1
*.w A 192.0.2.2
c CNAME x.w
"""


@asynccontextmanager
async def serving(folder: Path, *blocks: str) -> AsyncIterator[Server]:
    (folder / "zone").write_text(ZONE)
    objects = write(folder / "objects.yaml", OBJECTS)
    text = "".join(f".:0 {{\n bind {HOST}\n root {folder}\n{block}\n}}\n" for block in blocks)
    async with served(folder, objects, corefile=text) as server:
        yield server


async def ask(server: Server, name: str, source: str = HOST, tcp: bool = False) -> str:
    """The addresses or texts of the answer, or the rcode."""
    [octets] = await ask_all(server.at, [query(name.encode().split(b"."))], tcp, source)
    assert octets is not None
    found = dns.message.from_wire(octets)
    texts = [str(each) for rrset in found.answer for each in rrset]
    return " ".join(texts) or f"rcode {found.rcode()}"


def queries(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "clusterdns.queries"]


async def test_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "clusterdns.queries")
    form = "{/kubernetes/client-label/app} {/kubernetes/client-namespace} {/kubernetes/service} "
    form += "{/forward/upstream} {/log/type} {/log/class} {/zone/wildcard}"
    async with upstream() as stub, upstream(with_rcode(3)) as other:
        block = f'metadata cluster.local example.org file.test\nlog . "{form}"\nfile zone file.test'
        block += f"\nforward example.org {HOST}:{stub.port}\nforward . {HOST}:{other.port}"
        async with serving(tmp_path, f"{block}\n{KUBERNETES}") as server:
            for source in (HOST, OTHER, NOBODY):
                await ask(server, "web.shop.svc.cluster.local", source)
            for name in ("example.org", "example.net", "a.w.file.test", "c.file.test"):
                await ask(server, name)
            for name in ("no.file.test", "w.file.test"):
                await ask(server, name)
    assert queries(caplog) == [
        "cart shop web - NOERROR success -",
        "maze lab web - NOERROR success -",
        "- - web - NOERROR success -",
        f"cart shop - {HOST}:{stub.port} NOERROR success -",
        f"- - - {HOST}:{other.port} NXDOMAIN denial -",  # of a zone that `metadata` leaves out
        "cart shop - - NOERROR success *.w.file.test.",
        "cart shop - - NOERROR success -",
        "cart shop - - NXDOMAIN denial -",
        "cart shop - - NODATA denial -",
    ]


async def test_log_tells_the_upstream_that_replied_or_failed_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "clusterdns.queries")
    async with upstream(lambda asked: []) as silent, upstream() as good:
        options = "policy sequential\n read_timeout 100ms\n max_fails 0\n"
        block = 'metadata\nlog . "{rcode} {/forward/upstream}"\n'
        block += f"forward one.test {HOST}:{silent.port} {{\n{options}}}\n"
        block += f"forward . {HOST}:{silent.port} {HOST}:{good.port} {{\n{options}}}\n"
        async with serving(tmp_path, block) as server:
            assert await ask(server, "two.test") == ADDRESS
            assert await ask(server, "one.test") == "rcode 2"
    assert queries(caplog) == [f"NOERROR {HOST}:{good.port}", f"SERVFAIL {HOST}:{silent.port}"]


async def test_template(tmp_path: Path) -> None:
    """Whoever asks gets what is told of him, and never what was told of another one."""
    pod_name, app = "kubernetes/client-pod-name", "kubernetes/client-label/app"
    text = f'{{{{ .Name }}}} TXT \\"{{{{ .Meta `{pod_name}` }}}} of {{{{ .Meta `{app}` }}}}\\"'
    block = f'metadata\ntemplate IN ANY me.test {{\nanswer "{text}"\n}}'
    async with serving(tmp_path, f"{block}\n{KUBERNETES}") as server:
        for tcp in (False, True):
            for _ in range(2):
                assert await ask(server, "me.test", HOST, tcp) == '"cart-1 of cart"'
                assert await ask(server, "me.test", OTHER, tcp) == '"mouse of maze"'
                assert await ask(server, "me.test", NOBODY, tcp) == '" of "'


async def test_view(tmp_path: Path) -> None:
    blocks = [
        f"""view {app} {{
            expr metadata('kubernetes/client-label/app') == '{app}'
        }}
        metadata
        hosts /nonexistent {{
            192.0.2.{number} a.test
            fallthrough
        }}
        {KUBERNETES}"""
        for number, app in enumerate(("cart", "maze"))
    ]
    rest = "hosts /nonexistent {\n192.0.2.9 a.test\n}\n"
    async with serving(
        tmp_path, *[block.replace(".:0", ".:1") for block in blocks], rest
    ) as server:
        for _ in range(2):
            assert await ask(server, "a.test") == "192.0.2.0"
            assert await ask(server, "a.test", OTHER) == "192.0.2.1"
            assert await ask(server, "a.test", NOBODY) == "192.0.2.9"


async def test_rewrite(tmp_path: Path) -> None:
    """An upstream is told by an EDNS option which namespace asks."""

    def told(stub: Stub) -> list[bytes]:
        return [option.to_wire() for option in stub.asked[-1].message.options]

    async with upstream() as stub:
        block = "metadata\nrewrite edns0 local set 0xffee {kubernetes/client-namespace}\n"
        block += f"forward . {HOST}:{stub.port}"
        async with serving(tmp_path, f"{block}\n{KUBERNETES}") as server:
            for source, expected in ((HOST, [b"shop"]), (OTHER, [b"lab"]), (NOBODY, [])) * 2:
                await ask(server, "example.org", source)
                assert told(stub) == expected
    assert len(stub.asked) == 6
