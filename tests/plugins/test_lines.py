import pytest

from clusterdns.plugins.base import Setup
from clusterdns.plugins.lines import nearest, read_options
from tests.plugins.asking import lines, new_setup


def test_read_options_goes_on_behind_a_fault() -> None:
    read: list[str] = []

    def take(line: object) -> None:
        read.append("taken")

    setup: Setup = new_setup()
    (directive,) = lines("toy {\n tak\n take\n take {\n x\n }\n take\n xyz\n}")
    read_options(directive, setup, {"take": take, "more": take})
    assert read == ["taken", "taken"]
    assert [str(each) for each in setup.faults] == [
        "Corefile:2:2: unknown property 'tak' of toy; did you mean 'take'?",
        "Corefile:4:2: take takes no block",
        "Corefile:8:2: unknown property 'xyz' of toy; there are more, take",
    ]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("Forwrad", "did you mean 'forward'?"),
        ("cach", "did you mean 'cache'?"),
        ("x", "there are cache, forward"),
    ],
)
def test_nearest(word: str, hint: str) -> None:
    assert nearest(word, ["forward", "cache"]) == hint
