"""Section 1.20 and D13: what is answered before everything was listed once, and what ends it."""

import pytest

from clusterdns.cluster.events import KINDS, Synced
from clusterdns.cluster.model import Object
from clusterdns.zone.found import NotSynced
from clusterdns.zone.lookup import Lookup
from tests.zone.sample import HTTP, alias, ask, index_of, labels, members, options, service

Z = "cluster.local"
WEB = f"web.shop.svc.{Z}."
EVERY_TYPE = "A AAAA SRV CNAME PTR TXT SOA NS ANY"
KNOWN: list[Object] = [
    service("web", "10.96.0.1", HTTP),
    service("headless"),
    alias("out", "example.com"),
    alias("waits", f"later.shop.svc.{Z}"),
    members("unlisted", "10.1.0.1", HTTP, namespace="later"),
]
CASES = {
    "1.20 a name that is known": (WEB, "A", f"{WEB} 5 A 10.96.0.1"),
    "1.20 another type": (WEB, "AAAA", "NODATA"),
    "1.20 the apex": (Z, "A TXT", "NODATA"),
    "1.20 svc": (f"svc.{Z}", "A TXT", "NODATA"),
    "1.20 dns-version": (f"dns-version.{Z}", "A", "NODATA"),
    "1.20 a name that is not known": (f"nope.shop.svc.{Z}", EVERY_TYPE, "SERVFAIL"),
    "1.20 a port that is not known": (f"_sql._tcp.{WEB}", EVERY_TYPE, "SERVFAIL"),
    "1.20 headless, its slices are not known": (f"headless.shop.svc.{Z}", EVERY_TYPE, "SERVFAIL"),
    "1.20 an endpoint": (f"a.headless.shop.svc.{Z}", EVERY_TYPE, "SERVFAIL"),
    "1.20 a namespace": (f"later.svc.{Z}", EVERY_TYPE, "SERVFAIL"),
    "1.20 a pod in such a namespace": (f"10-0-0-1.later.pod.{Z}", EVERY_TYPE, "SERVFAIL"),
    "1.20 a name that cannot be": (f"junk.{Z}", EVERY_TYPE, "SERVFAIL"),
    "1.20 D13 a reverse name": ("9.9.9.10.in-addr.arpa", EVERY_TYPE, "SERVFAIL"),
    "1.20 D13 in a namespace that is not known": ("1.0.1.10.in-addr.arpa", "PTR", "SERVFAIL"),
    "1.20 a reverse name that is known": (
        "1.0.96.10.in-addr.arpa",
        "PTR",
        f"1.0.96.10.in-addr.arpa. 5 PTR {WEB}",
    ),
    "1.9 an alias": (
        f"out.shop.svc.{Z}",
        "A",
        f"out.shop.svc.{Z}. 5 CNAME example.com.\n-> example.com.",
    ),
    "1.9 an alias whose target is not known": (f"waits.shop.svc.{Z}", "A AAAA", "SERVFAIL"),
    "1.9 the CNAME itself is known": (
        f"waits.shop.svc.{Z}",
        "CNAME TXT",
        f"waits.shop.svc.{Z}. 5 CNAME later.shop.svc.{Z}.",
    ),
    "outside of the zones": ("example.com", "A", "NOT OURS"),
}


@pytest.mark.parametrize(("name", "qtypes", "expected"), CASES.values(), ids=CASES)
def test_unsynced(name: str, qtypes: str, expected: str) -> None:
    lookup = Lookup(index_of(KNOWN, synced=False), options(pods="insecure"))
    for qtype in qtypes.split():
        assert ask(lookup, name, qtype) == expected, qtype


@pytest.mark.parametrize("name", [name for name, _, text in CASES.values() if text == "SERVFAIL"])
def test_being_synced_is_a_change(name: str) -> None:
    index = index_of(KNOWN, synced=False)
    lookup = Lookup(index, options(pods="insecure"))
    found = lookup.find(labels(name), 1)
    assert isinstance(found, NotSynced)
    touched = [index.apply(Synced(kind), now=1) for kind in KINDS]
    assert touched[-1] & found.keys
    assert not isinstance(lookup.find(labels(name), 1), NotSynced)
