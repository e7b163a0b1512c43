"""How to reach the Kubernetes API: what the Corefile says of it, and which files that rests on.

Nothing here connects; `cluster.client` does.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from clusterdns.errors import ConfigError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where kubelet mounts it
AuditMode = Literal["off", "report", "heal"]  # what to do about a view that differs from the API
DEFAULT_BURST = 10  # as client-go: a limit without a burst would stall the start


@dataclass(frozen=True)
class ApiOptions:
    """What `kubernetes` says of the connection. A kubeconfig goes before an endpoint, both before
    the pod's service account.

    endpoint: URL; asked without credentials but those of `tls`.
    tls: client certificate, its key and the CA, as files in PEM; "" for one that is not given.
    context: of the kubeconfig; "" for its current one.
    qps: requests a second, 0 for no limit; burst: how many at once, 0 for the default.
    max_inflight: lists under way, and watches not yet answered, at a time; 0 for no limit. An
        open watch does not count: there is one for each kind, for ever.
    """

    endpoint: str = ""
    tls: tuple[str, str, str] | None = None
    kubeconfig: str = ""
    context: str = ""
    qps: float = 0.0
    burst: int = 0
    max_inflight: int = 0
    service_account: Path = SERVICE_ACCOUNT
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, compare=False)

    def check(self) -> None:
        """Raises ConfigError when no connection can come of this, whatever the network does."""
        if self.kubeconfig:
            Kubeconfig.read(self.kubeconfig, self.context)
        elif self.endpoint:
            _check_url(self.endpoint)
            for file in filter(None, self.tls or ()):
                _check_file(file)
        else:
            self.in_cluster_url()
            _check_file(self.service_account / "token")
            _check_file(self.service_account / "ca.crt")

    def url(self) -> str:
        """The API server's. Raises ConfigError where `check` does."""
        if self.kubeconfig:
            return str(Kubeconfig.read(self.kubeconfig, self.context).cluster["server"])
        return self.endpoint.rstrip("/") if self.endpoint else self.in_cluster_url()

    def authority(self) -> bytes:
        """What tells this cluster from others at the same URL: its CA, as far as one is named.

        Empty where none is, or it cannot be read. Raises ConfigError as `url`.
        """
        if self.kubeconfig:
            user = Kubeconfig.read(self.kubeconfig, self.context)
            if data := user.cluster.get("certificate-authority-data"):
                return str(data).encode()
            file = user.cluster.get("certificate-authority", "")
            return _octets(user.folder / file) if file else b""
        if self.endpoint:
            file = (self.tls or ("", "", ""))[2]
            return _octets(Path(file)) if file else b""
        return _octets(self.service_account / "ca.crt")

    def in_cluster_url(self) -> str:
        """The API server as a pod sees it. Raises ConfigError outside of a cluster."""
        host = self.environ.get("KUBERNETES_SERVICE_HOST", "")
        port = self.environ.get("KUBERNETES_SERVICE_PORT", "")
        if not (host and port):
            raise ConfigError(
                "kubernetes: not in a cluster (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT "
                "are not set); name the API with `endpoint` or `kubeconfig`, or give "
                "files of objects with --manifests"
            )
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def files(self) -> tuple[Path, ...]:
        """Every file that the connection rests on; when one changes, it is to be read again."""
        if self.kubeconfig:
            path = Path(self.kubeconfig).expanduser()
            return (path, *Kubeconfig.read(self.kubeconfig, self.context).files())
        if self.endpoint:
            return tuple(Path(file) for file in self.tls or () if file)
        return self.service_account / "token", self.service_account / "ca.crt"


@dataclass(frozen=True)
class Kubeconfig:
    """One context of a kubeconfig file: its cluster and its user as they are in the file."""

    folder: Path
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]

    @classmethod
    def read(cls, file: str, context: str) -> "Kubeconfig":
        """context: "" for the current one. Raises ConfigError that names what is missing."""
        path = Path(file).expanduser()
        try:
            content = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"kubeconfig {file}: {error}") from error
        if not isinstance(content, dict):
            raise ConfigError(f"kubeconfig {file}: expected a mapping")
        name = context or content.get("current-context") or ""
        chosen = _named(content, "contexts", "context", name, file)
        cluster = _named(content, "clusters", "cluster", chosen.get("cluster", ""), file)
        user: Mapping[str, Any] = {}
        if chosen.get("user"):
            user = _named(content, "users", "user", chosen["user"], file)
        if not cluster.get("server"):
            raise ConfigError(f"kubeconfig {file}: cluster {chosen['cluster']!r} has no server")
        return cls(path.absolute().parent, cluster, user)

    @property
    def runs_plugin(self) -> bool:
        """Whether credentials come from an exec plugin."""
        return bool(self.user.get("exec"))

    def files(self) -> Iterator[Path]:
        """The files that cluster and user name; where data stands beside a name, that is used."""
        for part, key in (
            (self.cluster, "certificate-authority"),
            (self.user, "client-certificate"),
            (self.user, "client-key"),
            (self.user, "tokenFile"),
        ):
            if part.get(key) and not part.get(f"{key}-data"):
                yield self.folder / part[key]


class TokenBucket:
    """Lets `burst` requests pass at once, and then `qps` a second. qps 0: all of them."""

    def __init__(self, qps: float, burst: int) -> None:
        self._qps, self._burst = qps, burst or DEFAULT_BURST
        self._free_at = float("-inf")  # when the bucket is full again

    def take(self, now: float) -> float:
        """Takes one turn; gives the seconds to wait for it. now: monotonic seconds."""
        if not self._qps:
            return 0.0
        spacing = 1 / self._qps
        self._free_at = max(self._free_at, now - self._burst * spacing) + spacing
        return max(0.0, self._free_at - now)


def signature(files: tuple[Path, ...]) -> tuple[object, ...]:
    """Changes when one of the files is written, replaced or removed; links are followed."""
    return tuple(_state(file) for file in files)


def _state(file: Path) -> object:
    try:
        stat = file.stat()
    except OSError as error:
        return error.errno
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _named(
    content: Mapping[str, Any], plural: str, singular: str, name: str, file: str
) -> Mapping[str, Any]:
    for entry in content.get(plural) or ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(singular)
            return found if isinstance(found, dict) else {}
    raise ConfigError(f"kubeconfig {file}: no {singular} named {name!r}")


def _octets(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"kubernetes: endpoint {url!r} is no http or https URL")


def _check_file(file: str | Path) -> None:
    try:
        Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"kubernetes: {file}: {error.strerror}") from error
