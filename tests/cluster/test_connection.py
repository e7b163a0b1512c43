"""What the Corefile may say of the connection, and what is found wrong before anything connects."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster.connection import ApiOptions, Kubeconfig, TokenBucket, signature
from clusterdns.errors import ConfigError

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def kubeconfig(folder: Path, **changes: Any) -> str:
    """Writes one with a context "main" and gives its name."""
    content = {
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.test"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        **changes,
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_not_in_a_cluster() -> None:
    with pytest.raises(ConfigError, match=r"not in a cluster .* `endpoint` or `kubeconfig`"):
        ApiOptions(environ={}).check()


def test_in_a_cluster_without_a_token(tmp_path: Path) -> None:
    options = ApiOptions(service_account=tmp_path, environ=IN_CLUSTER)
    with pytest.raises(ConfigError, match=f"{tmp_path}/token: No such file"):
        options.check()
    (tmp_path / "token").write_text("t")
    with pytest.raises(ConfigError, match=f"{tmp_path}/ca.crt: No such file"):
        options.check()
    (tmp_path / "ca.crt").write_text("c")
    options.check()
    assert options.files() == (tmp_path / "token", tmp_path / "ca.crt")


@pytest.mark.parametrize(
    ("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_the_address_of_the_api(host: str, url: str) -> None:
    environ = IN_CLUSTER | {"KUBERNETES_SERVICE_HOST": host}
    assert ApiOptions(environ=environ).in_cluster_url() == url


def test_endpoint(tmp_path: Path) -> None:
    ApiOptions(endpoint="https://api.test:6443").check()
    with pytest.raises(ConfigError, match=r"'api\.test' is no http or https URL"):
        ApiOptions(endpoint="api.test").check()
    missing = str(tmp_path / "cert")
    with pytest.raises(ConfigError, match=f"{missing}: No such file"):
        ApiOptions(endpoint="https://api.test", tls=(missing, "k", "c")).check()


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no context": ({"current-context": ""}, "", "no context named ''"),
    "another context": ({}, "other", "no context named 'other'"),
    "no contexts": ({"contexts": None}, "", "no context named 'main'"),
    "no cluster": ({"clusters": []}, "", "no cluster named 'c'"),
    "no server": (
        {"clusters": [{"name": "c", "cluster": {}}]},
        "",
        "cluster 'c' has no server",
    ),
    "no user": ({"users": []}, "", "no user named 'u'"),
}


@pytest.mark.parametrize(("changes", "context", "message"), WRONG.values(), ids=WRONG)
def test_a_kubeconfig_that_cannot_work(
    changes: dict[str, Any], context: str, message: str, tmp_path: Path
) -> None:
    file = kubeconfig(tmp_path, **changes)
    with pytest.raises(ConfigError, match=f"kubeconfig {file}: {message}"):
        ApiOptions(kubeconfig=file, context=context).check()


@pytest.mark.parametrize("text", ["a: [", "- a", "", "\x00"])
def test_a_kubeconfig_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigError, match=f"kubeconfig {tmp_path}/config: "):
        ApiOptions(kubeconfig=str(tmp_path / "config")).check()
    with pytest.raises(ConfigError, match=r"none: .*No such file"):
        ApiOptions(kubeconfig=str(tmp_path / "none")).check()


def test_files_that_a_kubeconfig_names(tmp_path: Path) -> None:
    user = {"client-certificate": "pki/u.crt", "client-key": "/k", "client-key-data": "eA=="}
    cluster = {"server": "https://api.test", "certificate-authority": "/ca.crt"}
    file = kubeconfig(
        tmp_path,
        users=[{"name": "u", "user": {**user, "tokenFile": "token"}}],
        clusters=[{"name": "c", "cluster": cluster}],
    )
    assert ApiOptions(kubeconfig=file).files() == (
        tmp_path / "config",
        Path("/ca.crt"),
        tmp_path / "pki/u.crt",
        tmp_path / "token",
    )
    assert not Kubeconfig.read(file, "").runs_plugin


def test_a_signature_follows_links(tmp_path: Path) -> None:
    """kubelet changes a mounted Secret by pointing a link to another folder."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text("same size")
    (tmp_path / "data").symlink_to("one")
    files = (tmp_path / "data" / "token",)
    before = signature(files)
    assert signature(files) == before
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "data")
    assert signature(files) != before
    (tmp_path / "data").unlink()
    assert signature(files) != before


def test_no_limit() -> None:
    bucket = TokenBucket(0, 0)
    assert [bucket.take(1.0) for _ in range(100)] == [0.0] * 100


def test_burst_then_rate() -> None:
    bucket = TokenBucket(qps=2, burst=3)
    assert [bucket.take(100.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    assert bucket.take(200.0) == 0


@given(st.floats(0.1, 100), st.integers(1, 20), st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_never_faster_than_the_rate(qps: float, burst: int, pauses: list[float]) -> None:
    bucket, now, passed = TokenBucket(qps, burst), 0.0, []
    for pause in pauses:
        now += pause
        passed.append(now + bucket.take(now))
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + qps * (passed[last] - passed[first]) + 1e-6
