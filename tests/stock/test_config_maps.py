"""Files as the kubelet mounts them: symlinks through `..data`, all swapped at once."""

import shutil
import signal
from pathlib import Path

from tests.stock.cluster import Z
from tests.stock.distributions import STOCK
from tests.stock.fixtures import Both, Served, serving
from tests.stock.machine import HERE
from tests.stock.test_served import pytestmark

__all__ = ["pytestmark"]

OVERRIDE = f"rewrite name exact %s.old.example web.shop.svc.{Z}\n"


def mount(folder: Path, version: str, files: dict[str, str]) -> None:
    """A ConfigMap in a folder, in place of what it was before.

    Each file is a symlink to ..data/NAME, and ..data one to a folder of this version.
    """
    (folder / f"..{version}").mkdir(parents=True)
    for name, text in files.items():
        (folder / f"..{version}" / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(f"..data/{name}")
    data = folder / "..data"
    before = data.resolve() if data.is_symlink() else None
    (folder / "..new").symlink_to(f"..{version}")
    (folder / "..new").rename(data)
    if before:
        shutil.rmtree(before)
    for path in folder.iterdir():
        if path.is_symlink() and not path.exists():  # no longer in the ConfigMap
            path.unlink()


async def reloaded(served: Served, times: int, line: str = "Reloading complete") -> None:
    served.process.send(signal.SIGUSR1)
    await served.process.lines_with(line, times)


async def test_files_of_config_maps(tmp_path: Path, upstreams: Both) -> None:
    """k3s: the Corefile, and a folder of custom files that come, change and go."""
    async with serving(STOCK["k3s"], upstreams, tmp_path) as served:
        folder, rendered = served.machine.folder, served.machine.rendered
        custom = folder / "custom"
        corefile = (folder / "Corefile").read_text()
        mount(folder, "1", {"Corefile": corefile, "NodeHosts": "192.168.122.13 agent-1\n"})
        mount(custom, "1", {"a.override": OVERRIDE % "one"})
        await reloaded(served, 1)
        assert await served.answer("one.old.example") == "10.96.0.80"
        assert await served.answer("intra.corp.example") == "REFUSED"

        server = rendered((HERE / "k3s-custom" / "custom" / "corp.server").read_text())
        mount(custom, "2", {"a.override": OVERRIDE % "two", "corp.server": server})
        await reloaded(served, 2)
        assert await served.answer("one.old.example") == "REFUSED"
        assert await served.answer("two.old.example") == "10.96.0.80"
        assert await served.answer("intra.corp.example") == "10.150.9.9"

        mount(custom, "3", {"corp.server": server})
        await reloaded(served, 3)
        assert await served.answer("two.old.example") == "REFUSED"


async def test_an_override_that_cannot_be(tmp_path: Path, upstreams: Both) -> None:
    """A second `cache` in the server block: refused with its place, and what runs goes on (D17)."""
    async with serving(STOCK["k3s"], upstreams, tmp_path) as served:
        mount(served.machine.folder / "custom", "1", {"b.override": "cache 5\n"})
        await reloaded(served, 1, "custom/b.override:1:1: cache can only be used once per server")
        assert await served.answer("server-0") == "192.168.122.11"
        assert await served.answer("www.example.org", tcp=True) == "192.0.2.10"
