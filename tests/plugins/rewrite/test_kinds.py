"""`type` and `class`."""

import pytest

from tests.plugins.asking import parsed
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


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("rewrite class CH IN", True),
        ("rewrite name a b\nrewrite class HS CH", True),
        ("rewrite class IN CH", False),
        ("rewrite name a b", False),
    ],
)
def test_other_classes_are_asked_for_only_with_a_rule_of_them(rules: str, expected: bool) -> None:
    assert parsed(rules).any_class is expected
