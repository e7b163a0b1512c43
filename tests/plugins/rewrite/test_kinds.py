"""`type` and `class`."""

import pytest

from tests.plugins.rewrite.rewriting import asked_for


@pytest.mark.parametrize(
    ("rules", "question", "expected"),
    [
        ("rewrite type ANY HINFO", "a. ANY", "a. HINFO"),
        ("rewrite type any hinfo", "a. ANY", "a. HINFO"),
        ("rewrite type ANY HINFO", "a. A", "a. A"),
        ("rewrite type A AAAA\nrewrite type AAAA A", "a. A", "a. AAAA"),
        ("rewrite continue type A AAAA\nrewrite type AAAA MX", "a. A", "a. MX"),
        ("rewrite class CH IN", "a. A CH", "a. A IN"),
        ("rewrite class CH IN", "a. A HS", "a. A HS"),
        ("rewrite continue class HS CH\nrewrite class CH IN", "a. A HS", "a. A IN"),
        ("rewrite continue class HS CH", "a. A HS", "a. A CH"),
    ],
)
async def test_question(rules: str, question: str, expected: str) -> None:
    assert await asked_for(rules, question) == expected
