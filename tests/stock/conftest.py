"""Says at the end what is missing where stock Corefiles could not be served."""

import pytest

from tests.nameservers import NSD, UNBOUND
from tests.stock.fixtures import upstreams
from tests.stock.upstreams import HOW_TO_GET_THEM

__all__ = ["upstreams"]  # in one place: each module that imports it would start its own


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for whoever reads the end of the output."""
    if not (NSD and UNBOUND):
        terminalreporter.write_line(f"tests/stock: {HOW_TO_GET_THEM}")
