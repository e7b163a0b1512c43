"""etcd, kube-apiserver and kube-controller-manager on loopback, without a node."""

import json
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.ports import free_port
from tests.realapi import pki
from tests.realapi.binaries import program

START_S = 90.0  # until the API is ready; 5 s on an idle machine
STOP_S = 2.0  # then by force: kube-apiserver waits for a minute while anybody watches
LOOK_S = 0.1
FIRST_OF_THE_CONTROLLERS = "/api/v1/namespaces/default/serviceaccounts/default"

NODE = "node-1"  # where every Pod is; the controllers ask for its zone
CONTROLLERS = (
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "namespace-controller",
    "serviceaccount-controller",
)

# Everything that our server's account asks for, and nothing else.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:kube-system:coredns"]
- level: None
"""


class Daemon:
    """One program; its output goes to a file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str) -> None:
        path = program(self.name)
        assert path is not None
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [path, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def stop(self) -> None:
        """Ends it if it runs: gently, then by force."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raises AssertionError with the end of its output when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"{self.name} ended:\n{self.tail()}")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class ControlPlane:
    """The three programs, and what is needed to speak to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)  # of an administrator
        self.port, self.etcd_port = free_port(), free_port()
        self.audit_log = folder / "audit.log"
        self._etcd = Daemon("etcd", folder)
        self._api = Daemon("kube-apiserver", folder)
        self._controllers = Daemon("kube-controller-manager", folder)
        self._options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def start(self) -> None:
        """Returns once the API answers and the controllers are at work."""
        pki.make(self.folder)
        self._write_files()
        self._start_etcd()
        self._start_api()
        self._start_controllers()
        self._until("the controllers", lambda: self._works(FIRST_OF_THE_CONTROLLERS))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        assert self._works("/api/v1/nodes", node)

    def stop(self) -> None:
        for daemon in (self._controllers, self._api, self._etcd):
            daemon.stop()

    def stop_api(self) -> None:
        self._api.stop()

    def start_api(self, *options: str) -> None:
        """Starts the API server again, and the controllers, which would take a minute to notice.

        options: flags besides those that the API server always has.
        """
        self._options = options
        self._start_api()
        self._controllers.stop()
        self._start_controllers()

    @property
    def options(self) -> tuple[str, ...]:
        return self._options

    def stop_etcd(self) -> None:
        self._etcd.stop()

    def start_etcd(self) -> None:
        """Returns once the API can read again."""
        self._start_etcd()
        self._until("the API", lambda: self._works(FIRST_OF_THE_CONTROLLERS), self._api)

    def back_up(self, to: Path) -> None:
        """Copies what etcd holds; everything is down for a moment."""
        self._api.stop()
        self._etcd.stop()
        shutil.copytree(self.folder / "etcd", to)
        self._start_etcd()
        self._start_api()
        self._controllers.stop()
        self._start_controllers()

    def restore(self, backup: Path) -> None:
        """Puts a copy in place of what etcd holds: the cluster goes back in time."""
        self._controllers.stop()
        self._api.stop()
        self._etcd.stop()
        shutil.rmtree(self.folder / "etcd")
        shutil.copytree(backup, self.folder / "etcd")
        self._start_etcd()
        self._start_api()
        self._start_controllers()

    def compact(self) -> int:
        """Has etcd forget everything that is not the newest; gives the revision."""
        revision = int(self._etcd_call("kv/range", key="AA==")["header"]["revision"])
        self._etcd_call("kv/compaction", revision=str(revision), physical=True)
        return revision

    def audited(self) -> list[dict[str, object]]:
        """What was asked for by the service account of our server, oldest first."""
        return [json.loads(line) for line in self.audit_log.read_text().splitlines()]

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        self._etcd.start(
            *("--name=test", f"--data-dir={self.folder}/etcd", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            f"--initial-cluster=test={peer}",
        )

    def _start_api(self) -> None:
        files = self.folder
        self._api.start(
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}"),
            "--advertise-address=127.0.0.1",
            *("--endpoint-reconciler-type=none", "--etcd-compaction-interval=0"),
            "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
            f"--tls-cert-file={files}/apiserver.crt",
            f"--tls-private-key-file={files}/apiserver.key",
            f"--token-auth-file={files}/tokens.csv",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={files}/sa.pub",
            f"--service-account-signing-key-file={files}/sa.key",
            "--authorization-mode=RBAC",
            f"--audit-policy-file={files}/audit.yaml",
            f"--audit-log-path={self.audit_log}",
            "--shutdown-watch-termination-grace-period=0s",
            *self._options,
        )
        self._until("the API", lambda: self._works("/readyz"), self._api)

    def _start_controllers(self) -> None:
        files, kubeconfig = self.folder, self.folder / "controllers.kubeconfig"
        self._controllers.start(
            f"--kubeconfig={kubeconfig}",
            "--authentication-skip-lookup=true",
            *("--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--leader-elect=false"),
            "--use-service-account-credentials=true",
            f"--root-ca-file={files}/ca.crt",
            f"--service-account-private-key-file={files}/sa.key",
            f"--controllers={','.join(CONTROLLERS)}",
        )

    def _write_files(self) -> None:
        (self.folder / "audit.yaml").write_text(AUDIT_POLICY)
        controllers = secrets.token_hex(16)
        (self.folder / "tokens.csv").write_text(
            f'{self.token},admin,admin,"system:masters"\n'
            f"{controllers},system:kube-controller-manager,controllers\n"
        )
        user = {"token": controllers}
        (self.folder / "controllers.kubeconfig").write_text(self.kubeconfig(user))

    def kubeconfig(self, user: dict[str, str], port: int = 0) -> str:
        """A kubeconfig for the user. port: of a way to the API server other than the direct one."""
        server = f"https://127.0.0.1:{port or self.port}"
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [
                    {
                        "name": "test",
                        "cluster": {"server": server, "certificate-authority": str(self.ca)},
                    }
                ],
                "users": [{"name": "test", "user": user}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }
        )

    def _works(self, path: str, body: object = None) -> bool:
        """Whether that works. body: what to POST."""
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(request, timeout=5, context=context) as response:
                return bool(response.status < 300)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    def _etcd_call(self, method: str, **body: object) -> dict[str, dict[str, str]]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.etcd_port}/v3/{method}", json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            found: dict[str, dict[str, str]] = json.load(response)
            return found

    def _until(self, what: str, ready: Callable[[], bool], daemon: Daemon | None = None) -> None:
        end = time.monotonic() + START_S
        while not ready():
            for each in (daemon,) if daemon else (self._etcd, self._api, self._controllers):
                each.check()
            if time.monotonic() > end:
                raise AssertionError(f"{what} is not ready:\n{self._api.tail()}")
            time.sleep(LOOK_S)
