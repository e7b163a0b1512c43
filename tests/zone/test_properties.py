"""What holds for every cluster and every name; hypothesis looks for one where it does not."""

from collections.abc import Iterable
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clusterdns.cluster.events import KINDS, Delete, Event, Synced, Upsert
from clusterdns.cluster.model import EndpointSlice, Namespace, Object, Pod, Port, Service
from clusterdns.zone.found import Found, NotOurs, NotSynced, NxDomain, Records, RRset
from clusterdns.zone.index import Index, Key
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.view import ZoneOptions
from tests.zone.sample import EVERYTHING, endpoint, ip, ips, labels, options

Z = "cluster.local"
SPACES = ("shop", "other")
SERVICES = ("web", "db", "tcp")
IPS = ("10.0.0.1", "10.0.0.2", "fd00::1")
TARGETS = (
    *(f"{name}.shop.svc.{Z}" for name in SERVICES),
    f"ns.dns.{Z}",
    f"10-0-0-1.shop.pod.{Z}",
    f"a.web.shop.svc.{Z}",
    "example.com",
)
NOW = 1_700_000_000
QTYPES = (1, 28, 33, 5, 12, 16, 2, 6, 255)

spaces = st.sampled_from(("shop", "shop", "shop", "other"))
services = st.sampled_from(SERVICES)
addresses = st.sampled_from(IPS)
ports = st.lists(
    st.builds(
        Port,
        st.sampled_from(("", "http", "dns")),
        st.sampled_from((80, 53, None)),
        st.sampled_from(("tcp", "udp", "")),
    ),
    max_size=2,
    unique=True,
).map(tuple)
endpoints = st.lists(
    st.builds(
        endpoint, addresses, st.sampled_from(("", "a", "tcp")), st.sampled_from(("", "pod-1"))
    ),
    max_size=3,
)
cluster_ips = st.lists(addresses, max_size=2, unique=True).map(lambda found: ips(" ".join(found)))
slices = st.builds(
    EndpointSlice.pack,
    spaces,
    st.sampled_from(("one", "two")),
    st.sampled_from((*SERVICES, "")),
    ports,
    endpoints,
)
things: SearchStrategy[Object] = st.one_of(
    slices,
    slices,
    st.builds(Service, spaces, services, cluster_ips, ports),
    st.builds(Service, spaces, services, external_name=st.sampled_from(TARGETS)),
    st.builds(Pod, spaces, st.sampled_from(("p", "q")), addresses.map(ip)),
    st.builds(Namespace, spaces),
)


def key_of(thing: Object) -> tuple[str, str, str]:
    namespace = "" if isinstance(thing, Namespace) else thing.namespace
    return type(thing).__name__, namespace, thing.name


DELETIONS = [
    *(Delete("Service", space, name) for space in SPACES for name in SERVICES),
    *(Delete("EndpointSlice", space, name) for space in SPACES for name in ("one", "two")),
    *(Delete("Pod", "shop", name) for name in ("p", "q")),
    *(Delete("Namespace", "", name) for name in SPACES),
]
events: SearchStrategy[Event] = st.one_of(
    things.map(Upsert),
    things.map(Upsert),
    st.sampled_from(DELETIONS),
    st.sampled_from([Synced(kind) for kind in KINDS]),
)
WORLD: list[Event] = [Upsert(Namespace("shop")), Upsert(Namespace("other")), *map(Synced, KINDS)]
clusters = st.lists(things, min_size=6, max_size=25)
pasts: SearchStrategy[list[Event]] = st.builds(
    lambda base, found, more: [*base, *map(Upsert, found), *more],
    st.sampled_from((WORLD, WORLD, WORLD, [])),
    clusters,
    st.lists(events, max_size=3),
)
chosen_options = st.builds(
    lambda **given: options("cluster.local in-addr.arpa ip6.arpa", **given),
    pods=st.sampled_from(("disabled", "insecure", "verified")),
    namespaces=st.sampled_from((None, None, frozenset({"shop"}))),
    ignore_empty=st.booleans(),
    noendpoints=st.sampled_from((False, False, True)),
    endpoint_pod_names=st.booleans(),
    local_addresses=st.sampled_from(((), ips("10.0.0.1"), ips("10.0.0.2 fd00::1"))),
)


def _names() -> list[str]:
    found = ["", "svc", "pod", "dns", "ns.dns", "dns-version", "junk", "x.junk"]
    for space in (*SPACES, "nowhere"):
        found += [f"{space}.svc", f"{space}.pod"]
        found += [f"{pod}.{space}.pod" for pod in ("10-0-0-1", "x.fd00--1", "junk")]
        found += [f"{left}{name}.{space}.svc" for name in SERVICES for left in LEFT]
    reverse = [ip_address(text).reverse_pointer for text in IPS]
    return [
        *(f"{name}.{Z}" for name in found),
        *reverse,
        f"x.{reverse[2]}",
        "0.0.10.in-addr.arpa",
        "in-addr.arpa",
        "dns-version.ip6.arpa",
        "example.com",
    ]


LEFT = ("", "a.", "tcp.", "_udp.", "_.", "pod-1.", "10-0-0-1.", "_http._tcp.", "_._tcp.", "_._.")
NAMES = [labels(name) for name in _names()]


def applied(events: Iterable[Event]) -> Index:
    index = Index(EVERYTHING)
    index.serial = NOW  # so that no SOA record differs by its serial
    for event in events:
        index.apply(event, NOW)
    return index


def shown(found: Found | RRset) -> tuple[object, ...]:
    """Everything of an answer but its keys."""
    if isinstance(found, RRset):
        found = found.records()
    if not isinstance(found, Records):
        return (type(found),)
    return Records, repr(found.answer), repr(found.additional), found.chase


def exists(found: Found | RRset) -> bool:
    return not isinstance(found, NxDomain | NotSynced | NotOurs)


def keys_of(found: Found | RRset) -> frozenset[Key]:
    return frozenset() if isinstance(found, NotOurs) else found.keys


def answers(lookup: Lookup) -> dict[tuple[tuple[bytes, ...], int], Found | RRset]:
    return {(name, qtype): lookup.find(name, qtype) for name in NAMES for qtype in QTYPES}


@given(st.lists(things, min_size=6, max_size=25, unique_by=key_of), st.randoms(), chosen_options)
@settings(max_examples=40, deadline=None)
def test_any_order_gives_the_same_zone(
    found: list[Object], dice: Random, chosen: ZoneOptions
) -> None:
    shuffled: list[Event] = [*map(Upsert, found), *map(Synced, KINDS)]
    one = answers(Lookup(applied(shuffled), chosen))
    dice.shuffle(shuffled)
    other = answers(Lookup(applied(shuffled), chosen))
    assert {each: shown(one[each]) for each in one} == {each: shown(other[each]) for each in other}


@given(clusters, chosen_options, st.booleans())
@settings(max_examples=40, deadline=None)
def test_whether_a_name_exists_does_not_depend_on_the_type(
    found: list[Object], chosen: ZoneOptions, synced: bool
) -> None:
    index = applied([*(WORLD if synced else WORLD[:1]), *map(Upsert, found)])
    lookup = Lookup(index, chosen)
    for name in NAMES:
        # Unsynced, an alias with an unknown target waits for it, where the target is followed.
        kinds = QTYPES if synced else QTYPES[2:]
        assert len({exists(lookup.find(name, qtype)) for qtype in kinds}) == 1, name


@given(clusters, chosen_options)
@settings(max_examples=40, deadline=None)
def test_a_name_above_one_that_exists_exists(found: list[Object], chosen: ZoneOptions) -> None:
    """RFC 8020, in the forward zone: what a resolver that asks label by label needs."""
    lookup = Lookup(applied([*WORLD, *map(Upsert, found)]), chosen)
    for name in NAMES:
        if name[-1] == b"local" and exists(lookup.find(name, 16)):
            for cut in range(1, len(name) - 1):
                assert exists(lookup.find(name[cut:], 16)), (name, cut)


@given(pasts, st.lists(events, min_size=10, max_size=10), chosen_options)
@settings(max_examples=20, deadline=None)
def test_a_changed_answer_has_one_of_the_keys(
    past: list[Event], changes: list[Event], chosen: ZoneOptions
) -> None:
    check_keys(applied(past), changes, chosen)


@pytest.mark.parametrize("seed", range(14))
def test_a_changed_answer_has_one_of_the_keys_on_a_long_walk(seed: int) -> None:
    """As above, but with as many Services, endpoints and turns as hypothesis would not try."""
    dice = Random(seed)
    chosen = options(
        pods=dice.choice(("insecure", "verified")),
        namespaces=dice.choice((None, None, frozenset({"shop"}))),
        ignore_empty=dice.random() < 0.2,
        noendpoints=dice.random() < 0.1,
        endpoint_pod_names=dice.random() < 0.5,
        local_addresses=dice.choice((ips("10.0.0.1"), ips("10.0.0.2 fd00::1"))),
    )
    walk = [step(dice) for _ in range(70)]
    check_keys(applied([*WORLD, *walk[:40]]), walk[40:], chosen)


def check_keys(index: Index, changes: list[Event], chosen: ZoneOptions) -> None:
    lookup = Lookup(index, chosen)
    before = answers(lookup)
    for event in changes:
        keys = index.apply(event, NOW)
        after = answers(lookup)
        for asked, now in after.items():
            old = before[asked]
            if shown(now) != shown(old):
                assert keys & keys_of(old), (event, asked)
                assert keys & keys_of(now), (event, asked)
        before = after


def step(dice: Random) -> Event:
    """A change of one of few objects: of each aspect in turn, so that many differ by one only."""
    space = dice.choice(("shop", "shop", "shop", "other"))
    match dice.randrange(10):
        case 0:
            return dice.choice(DELETIONS)
        case 1:
            return Upsert(Namespace(space))
        case 2:
            return Upsert(Pod(space, dice.choice("pq"), ip(dice.choice(IPS))))
        case 3:
            name, target = dice.choice(SERVICES), dice.choice(TARGETS)
            return Upsert(Service(space, name, external_name=target))
        case 4 | 5:
            count = dice.choice((0, 1, 1, 2))
            found = ips(" ".join(dice.sample(IPS, count)))
            return Upsert(Service(space, dice.choice(SERVICES), found, random_ports(dice)))
        case _:
            members = [
                endpoint(text, dice.choice(("", "", "a")), dice.choice(("", "pod-1")))
                for text in dice.sample(IPS, dice.randrange(3))
            ]
            owner = dice.choice((*SERVICES, *SERVICES, ""))
            name = dice.choice(("one", "two"))
            return Upsert(EndpointSlice.pack(space, name, owner, random_ports(dice), members))


def random_ports(dice: Random) -> tuple[Port, ...]:
    return dice.choice(((), (Port("http", 80),), (Port("http", 80), Port("dns", 53, "udp"))))


@given(pasts, events)
@settings(max_examples=100, deadline=None)
def test_keys_are_those_of_the_object_alone(past: list[Event], event: Event) -> None:
    index = applied(past)
    may_differ = related(index, event)
    keys = index.apply(event, NOW)
    assert keys <= may_differ | related(index, event)


def related(index: Index, event: Event) -> set[Key]:
    """The keys of what the event is about, as the index knows it, and as the event says."""
    if isinstance(event, Synced):
        return {("synced",)}
    if isinstance(event, Upsert):
        kind, namespace, name = key_of(event.object)
        return object_keys(event.object) | related(index, Delete(kind, namespace, name))  # type: ignore[arg-type]
    held = [owner for text in IPS for owner in (*index.owners(ip(text)), *index.pods(ip(text)))]
    held += [s for name in SERVICES for s in index.slices(event.namespace, name)]
    same = [thing for thing in held if key_of(thing) == (event.kind, event.namespace, event.name)]
    own: set[Key] = {("service", event.namespace, event.name), ("namespace", event.name)}
    return own.union(*map(object_keys, same))


def object_keys(thing: Object) -> set[Key]:
    match thing:
        case Namespace(name):
            return {("namespace", name)}
        case Pod():
            return {("pod", thing.address)}
        case Service():
            own: Key = ("service", thing.namespace, thing.name)
            return {own, *(("address", address) for address in thing.cluster_ips)}
        case _:
            own = ("service", thing.namespace, thing.service)
            return {own, *(("address", address) for address in thing.each_address())}
