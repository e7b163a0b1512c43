import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.plugins.zones import Zones
from clusterdns.wire.question import Question


@pytest.mark.parametrize(
    ("zones", "name", "expected"),
    [
        (["."], "example.org.", True),
        (["."], ".", True),
        ([], ".", False),
        (["example.org."], "example.org.", True),
        (["Example.ORG"], "a.EXAMPLE.org.", True),
        (["example.org."], "notexample.org.", False),
        (["example.org."], r"a\.example.org.", False),
        (["example.org."], "org.", False),
        (["a.", "b."], "x.b.", True),
        ([r"a\.b.c."], r"x.a\.b.c.", True),
        ([r"a\.b.c."], "x.a.b.c.", False),
    ],
)
def test_zones(zones: list[str], name: str, expected: bool) -> None:
    assert (Question.of(name, 1) in Zones(zones)) is expected


names = st.lists(st.sampled_from(["a", "A", "b", r"a\.b", "a-b"]), max_size=4).map(
    lambda labels: ".".join(labels) + "."
)


@settings(max_examples=200)
@given(names, names)
def test_zones_are_what_dnspython_takes_for_superdomains(zone: str, name: str) -> None:
    expected = dns.name.from_text(name).is_subdomain(dns.name.from_text(zone))
    assert (Question.of(name, 1) in Zones([zone])) is expected
