"""Ports of loopback that nobody has, and that stay free until a test has them."""

import random
import socket
from collections import deque

# Below those that connections and clients' sockets get by themselves (32768 and up): what has just
# been found free there is somebody's a moment later, now and then.
_LOWEST, _HIGHEST = 20_000, 31_999
_dice = random.SystemRandom()  # Hypothesis has the common one begin anew for each test
_given: deque[int] = deque(maxlen=1000)  # several may be asked for before the first is opened


def free_port(host: str = "") -> int:
    """A port that is free for UDP and TCP on this address; "": on all of IPv4."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = _dice.randint(_LOWEST, _HIGHEST)
        if port not in _given and _is_free(family, host, port):
            _given.append(port)
            return port


def _is_free(family: socket.AddressFamily, host: str, port: int) -> bool:
    with (
        socket.socket(family, socket.SOCK_DGRAM) as udp,
        socket.socket(family, socket.SOCK_STREAM) as tcp,
    ):
        try:
            udp.bind((host, port))
            tcp.bind((host, port))
        except OSError:
            return False
        return True
