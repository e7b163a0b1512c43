"""The arrows between the parts: who may import whom, and who may wait, listen or tell the time."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import clusterdns

ROOT = Path(clusterdns.__file__).parent
LAYERS = ["wire", "cluster", "zone", "corefile", "plugins", "server", "web", "tools"]
OPEN = {"errors", "metrics", "logs", "__init__"}  # to all
TOP = {"app", "cli", "lifecycle", "logs", "__main__"}
PURE = [
    "wire/*.py",
    "zone/*.py",
    "corefile/*.py",
    "cluster/model.py",
    "cluster/decode.py",
    "cluster/known.py",
    "cluster/reflector.py",
    "cluster/snapshot.py",
    "plugins/forward/exchange.py",
    "plugins/forward/http_message.py",
    "plugins/forward/http1.py",
    "plugins/forward/http2.py",
    "plugins/forward/http2_fields.py",
    "plugins/cache/intake.py",
    "plugins/cache/survey.py",
    "plugins/cache/table.py",
]
IMPURE_MODULES = {"asyncio", "socket", "time", "select", "aiohttp", "kubernetes", "threading"}
# Conversions between text and octets that happen to live in an impure module.
CONVERSIONS = {"socket.inet_ntop", "socket.inet_pton", "socket.AF_INET", "socket.AF_INET6"}
# Who may see aiohttp: the API's client and the pages. HTTP to upstreams is without I/O.
HTTP = ("cluster/apiserver", "cluster/client.py", "web/")
# What one plugin may see of the others.
SHARED = {"plugins", "plugins.base", "plugins.query", "plugins.lines", "plugins.zones"}
SHARED |= {"plugins.order", "plugins.passage", "plugins.waiter"}
SHARED |= {"plugins.zonefiles"}
SHARED |= {"plugins.refusals"}
SHARED |= {f"plugins.expressions{name}" for name in ("", ".functions", ".lines", ".values")}
# Of the parts below it the zone sees the cluster's objects, and names in wire form; no messages.
ZONE_SEES = {"cluster", "cluster.model", "cluster.events", "cluster.selection"}
ZONE_SEES |= {"wire", "wire.names"}
FILES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything that the file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def used(path: Path) -> set[str]:
    """What the file imports; of modules that it takes names from, only these names."""
    found = set(imports(path))
    return found - {name.rpartition(".")[0] for name in found} - CONVERSIONS


def ours(path: Path) -> set[str]:
    """Modules of clusterdns that the file imports, without the leading `clusterdns.`."""
    modules = {
        name.removeprefix("clusterdns.") for name in imports(path) if name.startswith("clusterdns.")
    }
    return {name for name in modules if is_module(name)}


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def part(module: str) -> str:
    return module.split(".")[0]


def allowed(path: Path, module: str) -> bool:
    """Whether this file may import clusterdns.<module>."""
    here = path.relative_to(ROOT).with_suffix("").parts
    if part(module) in OPEN or here[0] == part(module) != "plugins":
        return True
    match here[0]:
        case "cli" | "__main__":
            return True
        case "app":
            return part(module) not in {"cli", "__main__"}
        case "errors" | "metrics" | "lifecycle" | "logs" | "__init__":
            return False
        case "cluster" | "corefile":
            return False  # they know none of the others
        case "zone":
            return module in ZONE_SEES
        case "plugins" if part(module) == "plugins":
            return module in SHARED or (len(here) > 2 and module.startswith(f"plugins.{here[1]}"))
        case "web" if module == "lifecycle":
            return True
        case layer:
            return part(module) in LAYERS[: LAYERS.index(layer)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    wrong = sorted(module for module in ours(path) if not allowed(path, module))
    assert not wrong, f"{path.relative_to(ROOT)} may not import {wrong}"


@pytest.mark.parametrize("pattern", PURE)
def test_no_waiting_no_sockets_no_clock(pattern: str) -> None:
    for path in ROOT.glob(pattern):
        impure = {name.split(".")[0] for name in used(path)} & IMPURE_MODULES
        tree = ast.walk(ast.parse(path.read_text()))
        waits = [n.lineno for n in tree if isinstance(n, ast.AsyncFunctionDef | ast.Await)]
        assert not impure, f"{path} imports {impure}"
        assert not waits, f"{path} waits in lines {waits}"


def test_libraries_stay_at_their_border() -> None:
    for path in FILES:
        name = str(path.relative_to(ROOT))
        used = {module.split(".")[0] for module in imports(path)}
        assert "kubernetes" not in used or name == "cluster/client.py", name
        assert "aiohttp" not in used or name.startswith(HTTP), name
