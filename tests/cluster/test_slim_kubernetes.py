"""What following an API imports, and what not."""

import subprocess
import sys

HEAVY = ("kubernetes.client", "kubernetes.aio.watch", "requests", "oauthlib", "websocket")


def modules(code: str) -> set[str]:
    """The modules of a new process that runs this."""
    code = f"{code}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_synchronous_client_is_not_imported() -> None:
    found = modules("import clusterdns.cluster.apiserver")
    assert found.isdisjoint(HEAVY)
    assert "kubernetes.aio.client.api_client" in found


def test_it_would_be_imported() -> None:
    """Else clusterdns/cluster/slim_kubernetes.py can go."""
    assert modules("import kubernetes.aio.client.api_client").issuperset(HEAVY[:3])


def test_an_imported_package_stays_as_it_is() -> None:
    found = modules(
        "import kubernetes, clusterdns.cluster.apiserver; assert kubernetes.client.CoreV1Api"
    )
    assert "kubernetes.client" in found
