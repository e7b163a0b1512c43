"""The zone of `k8s_external` as a whole: what its names are answered with."""

import dns.rdatatype
import pytest

from clusterdns.cluster.events import Upsert
from clusterdns.cluster.model import Namespace, Object, Port
from clusterdns.zone.external import ExternalOptions
from clusterdns.zone.external_transfer import external_records
from clusterdns.zone.view import View
from tests.zone.sample import (
    HTTP,
    endpoint,
    index_of,
    ips,
    labels,
    master_lines,
    members,
    options,
    zone,
)
from tests.zone.test_external import CLUSTER, WITH_HEADLESS, Z, service

NAME = "example.com"


def lines(*things: Object, headless: bool = False, local: str = "") -> list[str]:
    view = View(index_of(things or CLUSTER), options(local_addresses=ips(local)))
    given = ExternalOptions((zone(NAME), zone("in-addr.arpa")), headless=headless)
    return master_lines(external_records(view, given, zone(NAME)))


NAMESPACE = Namespace("testns")
A, HEADLESS = f"a.testns.{Z}", f"h.testns.{Z}"
CASES: dict[str, tuple[list[Object], str]] = {
    "addresses, and ports twice": (
        [service("a", "1.2.3.4 fd00::1", ports=(HTTP, Port("", 9)))],
        f"""\
{A} 5 A 1.2.3.4
{A} 5 AAAA fd00::1
{A} 5 SRV 0 25 80 {A}
{A} 5 SRV 0 25 9 {A}
_http._tcp.{A} 5 SRV 0 50 80 {A}""",
    ),
    "a host: its CNAME record stands alone": (
        [service("a", external_hosts=("lb.test",))],
        f"{A} 5 CNAME lb.test.\n_http._tcp.{A} 5 SRV 0 100 80 lb.test.",
    ),
    "several hosts, and an address: one CNAME record": (
        [service("a", "1.2.3.4", external_hosts=("lb.test", "other.test"))],
        f"""\
{A} 5 CNAME lb.test.
_http._tcp.{A} 5 SRV 0 33 80 {A}
_http._tcp.{A} 5 SRV 0 33 80 lb.test.
_http._tcp.{A} 5 SRV 0 33 80 other.test.""",
    ),
    "nothing outside": ([service("a")], ""),
    "order of names": (
        [service("b", "1.1.1.2", ports=()), service("a", "1.1.1.1", ports=())],
        f"{A} 5 A 1.1.1.1\nb.testns.{Z} 5 A 1.1.1.2",
    ),
    "headless": (
        [
            service("h", "", ""),
            members("h", [endpoint("10.1.0.1", "e")], HTTP, namespace="testns"),
        ],
        f"""\
{HEADLESS} 5 A 10.1.0.1
{HEADLESS} 5 SRV 0 100 80 e.{HEADLESS}
_http._tcp.{HEADLESS} 5 SRV 0 100 80 e.{HEADLESS}
e.{HEADLESS} 5 A 10.1.0.1
e.{HEADLESS} 5 SRV 0 100 80 e.{HEADLESS}""",
    ),
}


@pytest.mark.parametrize(("things", "expected"), CASES.values(), ids=CASES)
def test_records(things: list[Object], expected: str) -> None:
    assert lines(NAMESPACE, *things, headless=True)[1:] == expected.splitlines()


def test_headless_is_an_option() -> None:
    things, _ = CASES["headless"]
    assert lines(NAMESPACE, *things)[1:] == []


def test_the_name_server() -> None:
    assert lines(NAMESPACE, local="10.0.0.7") == [
        f"{Z} 5 NS ns1.dns.{Z}",
        f"ns1.dns.{Z} 5 A 10.0.0.7",
    ]


def test_each_is_what_its_name_is_answered_with() -> None:
    found = lines(headless=True)
    assert len(found) > 20
    assert not [line for line in found if "lost" in line]
    for line in found:
        owner, _, qtype, _ = line.split(maxsplit=3)
        qtype = "A" if qtype == "CNAME" else qtype
        said = WITH_HEADLESS.find(labels(owner), dns.rdatatype.from_text(qtype))
        assert line in master_lines(said.answer)  # type: ignore[union-attr]


def test_it_is_of_one_moment() -> None:
    index = index_of([NAMESPACE, service("a", "1.1.1.1", ports=())])
    records = external_records(View(index, options()), ExternalOptions((zone(NAME),)), zone(NAME))
    index.apply(Upsert(service("a", "1.1.1.9", ports=())), 1_700_000_001)
    assert [line for line in master_lines(records) if " A " in line] == [f"{A} 5 A 1.1.1.1"]
