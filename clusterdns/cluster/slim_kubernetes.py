"""Lets `kubernetes.aio` be imported without all else that importing it runs.

`import kubernetes.aio.client.api_client` first runs `kubernetes/__init__.py`, which imports the
synchronous client with requests, oauthlib and websockets, and `kubernetes/aio/__init__.py`, which
imports watches, leader elections and more: 9 MB and 50 ms of CPU in every process (kubernetes 37).
So both packages are put in place unrun; the modules below them import what they need by its full
name. That this is still so, and still worth it, is seen by tests/cluster/test_slim_kubernetes.py.
"""

import importlib.util
import sys


def _put_in_place(package: str) -> None:
    """Makes the package importable from, without running it. One that was imported stays."""
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None:
        return  # whoever imports it says so
    sys.modules[package] = importlib.util.module_from_spec(spec)


for _package in ("kubernetes", "kubernetes.aio"):
    _put_in_place(_package)
