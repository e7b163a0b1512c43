"""Says at the end how often each meant difference was met, or why nothing was compared."""

from collections import Counter

import pytest

from tests.oracle.servers import HOW_TO_GET_IT, coredns_binary

MET = pytest.StashKey[Counter[str]]()


@pytest.fixture
def met(request: pytest.FixtureRequest) -> Counter[str]:
    """Differences by rule, and questions, of the whole run."""
    return request.config.stash.setdefault(MET, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for whoever reads the end of the output."""
    counts = terminalreporter.config.stash.get(MET, Counter())
    if counts:
        rules = sorted(rule for rule in counts if rule != "questions")
        told = ", ".join(f"{rule}: {counts[rule]}" for rule in rules)
        terminalreporter.write_line(
            f"compared with CoreDNS: {counts['questions']} questions; {told}"
        )
    elif coredns_binary() is None:
        terminalreporter.write_line(f"tests/oracle: {HOW_TO_GET_IT}")
