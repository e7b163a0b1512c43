"""docs/compatibility.md tells of every Corefile here, and its own is the one that is served."""

import re

from tests.stock.distributions import STOCK
from tests.stock.machine import HERE

PAGE = (HERE.parents[1] / "docs" / "compatibility.md").read_text()


def test_every_distribution_has_its_line() -> None:
    lines = re.findall(r"^\| ([^|]+) \| `([a-z0-9-]+)` \|", PAGE, re.M)
    assert lines == [(name, stock.corefile) for name, stock in STOCK.items()]


def test_every_corefile_is_served() -> None:
    assert {path.stem for path in HERE.glob("*.Corefile")} == {
        stock.corefile for stock in STOCK.values()
    }


def test_corefile_in_place_of_kube_dns() -> None:
    (written,) = re.findall(r"```corefile\n(.*?)```", PAGE, re.S)
    assert written == (HERE / "gke.Corefile").read_text()
