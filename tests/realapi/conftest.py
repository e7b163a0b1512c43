"""One control plane for all tests, or one line that says why there is none."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.objects import namespace
from tests.realapi.admin import Admin
from tests.realapi.binaries import missing
from tests.realapi.control_plane import ControlPlane

TOLD = pytest.StashKey[list[str]]()
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane, running."""
    if why := missing():
        pytest.skip(why)
    found = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def admin(cluster: ControlPlane) -> Admin:
    return Admin(cluster)


@pytest.fixture
async def space(admin: Admin) -> AsyncIterator[str]:
    """A namespace for one test, with what a Pod needs to be let in."""
    name = f"space-{next(_numbers)}"
    await admin.create(namespace(name))
    await admin.until_there("ServiceAccount", name, "default")
    yield name
    await admin.delete("Namespace", "", name)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> list[str]:
    """Lines for whoever reads the end of the output."""
    return request.config.stash.setdefault(TOLD, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, or why nothing was tested."""
    for line in terminalreporter.config.stash.get(TOLD, []):
        terminalreporter.write_line(line)
    if why := missing():
        terminalreporter.write_line(f"tests/realapi: {why}")
