import pytest

from clusterdns.cluster import manifests


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed files are read at once, so that the tests take less time."""
    monkeypatch.setattr(manifests, "QUIET_MS", 10)
    monkeypatch.setattr(manifests, "GROUP_MS", 30)
