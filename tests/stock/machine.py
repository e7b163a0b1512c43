"""Where a Corefile of a distribution runs in a test, and what that changes of its text.

A Corefile is read as it is but for what a machine that runs tests cannot have:

- ports, of keys and of `health`, `ready`, `prometheus` and `pprof`: free ones, one for each number.
  A page without an address gets the one that it has by default;
- addresses that a node or the cluster has (STAND_INS): own ones are of 127/8, and where queries are
  forwarded to is a name server of `upstreams.py`, at its port;
- /etc/resolv.conf: a file of that name with the name server in it, or the address of that one where
  the test may not have port 53, since a resolv.conf names no port;
- /etc/coredns: the folder of the Corefile.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.nameservers import NameServer
from tests.ports import free_port
from tests.scenarios.asking import At
from tests.stock.upstreams import loopback

HERE = Path(__file__).parent
STAND_INS = {  # whose part each address of a Corefile has
    "8.8.8.8": "foreign",
    "8.8.4.4": "foreign",
    "10.0.0.2": "foreign",
    "168.63.129.16": "foreign",
    "10.150.0.1": "corp",
    "10.150.0.2": "corp",
    "10.150.0.3": "secure",
    "10.96.0.11": "cluster",
    "10.0.0.10": "cluster",
    "10.233.0.3": "cluster",
    "10.96.0.10": "own",
    "169.254.10.10": "own",
    "169.254.10.11": "own",
    "169.254.20.10": "own",
    "169.254.25.10": "own",
}
DEFAULT_PORTS = {"health": 8080, "ready": 8181, "prometheus": 9153, "pprof": 6053}
ENVIRON = {"MY_HOST_IP": "127.0.0.1", "HOSTNAME": "coredns-abcde"}

_STAND_IN = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, STAND_INS))})(?![\w./])")
_PAGE = re.compile(r"^(\s+)(health|ready|prometheus|pprof)(?: +(\S*?):(\d+))?(?= *(?:\{|$))", re.M)
_KEYS = re.compile(r"^\S.*\{$", re.M)


@dataclass(frozen=True)
class Upstreams:
    """Whom a Corefile forwards to."""

    foreign: NameServer  # what /etc/resolv.conf leads to
    corp: NameServer
    secure: NameServer  # over TLS
    cluster: At  # the cluster's DNS, for a server on a node
    authority: Path  # of the certificate of the one over TLS


class Machine:
    """A folder, free ports and addresses for one server."""

    def __init__(self, folder: Path, upstreams: Upstreams) -> None:
        self.folder = folder
        self.upstreams = upstreams
        self.ports: dict[int, int] = {}
        self.own: dict[str, str] = {}

    def port(self, number: int) -> int:
        """The port that stands for this one."""
        if number not in self.ports:
            self.ports[number] = free_port()
        return self.ports[number]

    def at(self, address: str, port: int) -> At:
        """Where a server listens that has this address and port in its Corefile."""
        return At(self.address(address) if address else "127.0.0.1", self.port(port))

    def address(self, address: str) -> str:
        """What stands for an address of a Corefile; with a port for an upstream."""
        match STAND_INS[address]:
            case "own":
                return self.own.setdefault(address, loopback())
            case part:
                found: NameServer | At = getattr(self.upstreams, part)
                return f"{found.address}:{found.port}"

    def write(self, corefile: str, files: str = "") -> Path:
        """The Corefile of this name, and further files from a folder, as they are read here.

        Gives the path of the Corefile.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted((HERE / files).rglob("*")) if files else ():
            copy = self.folder / path.relative_to(HERE / files)
            if path.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(self.rendered(path.read_text()))
        for name in ("ca.crt", "tls.crt", "tls.key"):
            shutil.copy(self.upstreams.authority / name, self.folder)
        found = self.folder / "Corefile"
        found.write_text(self.rendered((HERE / f"{corefile}.Corefile").read_text()))
        return found

    def rendered(self, text: str) -> str:
        """The text with what stands for the ports, addresses and paths in it."""
        text = _STAND_IN.sub(lambda found: self.address(found[0]), text)
        text = text.replace("/etc/resolv.conf", self._resolv_conf())
        text = text.replace("/etc/coredns", str(self.folder))
        text = _PAGE.sub(self._page, text)
        return _KEYS.sub(
            lambda keys: re.sub(r":(\d+)\b", lambda n: f":{self.port(int(n[1]))}", keys[0]), text
        )

    def _page(self, found: re.Match[str]) -> str:
        indent, name, host, port = found.groups()
        return f"{indent}{name} {host or ''}:{self.port(int(port or DEFAULT_PORTS[name]))}"

    def _resolv_conf(self) -> str:
        foreign = self.upstreams.foreign
        if foreign.port != 53:
            return f"{foreign.address}:{foreign.port}"
        path = self.folder / "resolv.conf"
        path.write_text(f"search example.org\nnameserver {foreign.address}\noptions ndots:5\n")
        return str(path)
