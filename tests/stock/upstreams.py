"""Real name servers that Corefiles forward to: nsd, and unbound as a node's resolver.

Each runs as a process on an address of 127/8 that nobody else has at the moment.
"""

import random
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import nameservers
from tests.certificates import make, make_ca
from tests.nameservers import NSD, UNBOUND, NameServer
from tests.ports import free_port

HOW_TO_GET_THEM = (
    "no name servers to forward to: `apt-get install nsd unbound`, and stop both services "
    "(they take port 53)"
)
needs_upstreams = pytest.mark.skipif(not (NSD and UNBOUND), reason=HOW_TO_GET_THEM)

SECURE_NAME = "dns.secure.example"  # in the certificate of the one that speaks TLS
SOA = "@ 300 SOA ns hostmaster 1 3600 600 86400 60\n@ 300 NS ns\nns 300 A 192.0.2.1\n"
ZONES = {
    "example.org": f"""{SOA}
www 300 A 192.0.2.10
www 300 AAAA 2001:db8::10
alias 300 CNAME www
brief 1 A 192.0.2.7
many 300 TXT "{"x" * 250}" "{"y" * 250}" "{"z" * 250}"
""",
    "2.0.192.in-addr.arpa": f"{SOA}10 300 PTR www.example.org.\n",
}
CORP = {"corp.example": f"{SOA}intra 300 A 10.150.9.9\nmail 300 MX 10 intra\n"}
SECURE = {"secure.example": f"{SOA}vault 300 A 10.150.8.8\n"}


def loopback() -> str:
    """An address of 127/8; so many that two tests never have the same."""
    return ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])


@contextmanager
def nsd(folder: Path, zones: dict[str, str]) -> Iterator[NameServer]:
    """An authoritative server: replies with AA, and REFUSED for other names."""
    own = _zone_files(folder, zones)
    clauses = "".join(f"zone:\n name: {name}\n zonefile: {file}\n" for name, file in own)
    with nameservers.nsd(folder, clauses, loopback(), standard_port()) as server:
        yield server


@contextmanager
def unbound(folder: Path, zones: dict[str, str], tls: bool = False) -> Iterator[NameServer]:
    """A resolver: replies with RA and without AA, and NXDOMAIN for names of no zone.

    tls: it speaks DNS over TLS only, by a certificate of ca.crt in the folder.
    """
    port = 853 if tls and standard_port() == 53 else standard_port()
    more = ' local-zone: "." always_nxdomain\n'
    more += "".join(f" local-zone: {name} transparent\n" for name in zones)
    if tls:
        make_ca(folder)
        make(folder, "tls", names=f"DNS:{SECURE_NAME}")
        more += f" tls-port: {port}\n tls-service-key: tls.key\n tls-service-pem: tls.crt\n"
    more += "remote-control:\n control-enable: no\n"
    for name, file in _zone_files(folder, zones):
        more += f'auth-zone:\n name: {name}\n zonefile: "{file}"\n for-downstream: no\n'
    with nameservers.unbound(folder, more, loopback(), port) as server:
        yield server


def standard_port() -> int:
    """53 where this process may have it, as resolv.conf can name no other; else a free one."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        try:
            udp.bind((loopback(), 53))
        except PermissionError:
            return free_port()
    return 53


def _zone_files(folder: Path, zones: dict[str, str]) -> Iterable[tuple[str, Path]]:
    for name, text in zones.items():
        path = folder / f"{name}.zone"
        path.write_text(f"$ORIGIN {name}.\n{text}")
        yield name, path
