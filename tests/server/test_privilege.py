"""The permitted capability, in real processes that gave up root."""

import os
import subprocess
import sys

import pytest

from clusterdns.server.privilege import use_net_bind_service

# Drops to another user and keeps what `keep` says of the capabilities: permitted, not effective.
SCRIPT = """
import ctypes, os, socket, sys
from clusterdns.server.privilege import use_net_bind_service
libc = ctypes.CDLL(None)
libc.prctl(8, {keep}, 0, 0, 0)  # PR_SET_KEEPCAPS
os.setresuid(65532, 65532, 65532)
def bind():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 899))
try:
    bind()
    print("bound before")
except PermissionError:
    pass
print(use_net_bind_service())
try:
    bind()
    print("bound")
except PermissionError:
    print("refused")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a process: run as root")
@pytest.mark.parametrize(
    ("keep", "said"), [(1, ["True", "bound"]), (0, ["False", "refused"])], ids=["granted", "not"]
)
def test_a_process_that_is_not_root(keep: int, said: list[str]) -> None:
    script = SCRIPT.format(keep=keep)
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    if "bound before" in result.stdout:
        pytest.skip("every port may be bound here: net.ipv4.ip_unprivileged_port_start")
    assert result.stdout.split() == said


def test_asking_twice_changes_nothing() -> None:
    assert use_net_bind_service() == use_net_bind_service()
