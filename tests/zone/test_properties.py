"""What holds for every cluster and every name; hypothesis looks for one where it does not."""

from collections.abc import Iterable
from ipaddress import ip_address
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clusterdns.cluster.events import KINDS, Delete, Event, Synced, Upsert
from clusterdns.cluster.model import EndpointSlice, Namespace, Object, Pod, Port, Service
from clusterdns.zone.index import Index, Key
from clusterdns.zone.lookup import Found, Lookup, NotOurs, NotSynced, NxDomain, Records, ZoneOptions
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

spaces = st.sampled_from(SPACES)
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
things: SearchStrategy[Object] = st.one_of(
    st.builds(Namespace, spaces),
    st.builds(Service, spaces, services, cluster_ips, ports),
    st.builds(Service, spaces, services, external_name=st.sampled_from(TARGETS)),
    st.builds(
        EndpointSlice.pack,
        spaces,
        st.sampled_from(("one", "two")),
        st.sampled_from((*SERVICES, "")),
        ports,
        endpoints,
    ),
    st.builds(Pod, spaces, st.sampled_from(("p", "q")), addresses.map(ip)),
)


def key_of(thing: Object) -> tuple[str, str, str]:
    namespace = "" if isinstance(thing, Namespace) else thing.namespace
    return type(thing).__name__, namespace, thing.name


def _deletion(thing: Object) -> Delete:
    return Delete(*key_of(thing))  # type: ignore[arg-type]


events: SearchStrategy[Event] = st.one_of(
    things.map(Upsert),
    things.map(Upsert),
    things.map(_deletion),
    st.builds(Synced, st.sampled_from(KINDS)),
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


def shown(found: Found) -> tuple[object, ...]:
    """Everything of an answer but its keys."""
    if not isinstance(found, Records):
        return (type(found),)
    return Records, repr(found.answer), repr(found.additional), found.chase


def exists(found: Found) -> bool:
    return not isinstance(found, NxDomain | NotSynced | NotOurs)


def keys_of(found: Found) -> frozenset[Key]:
    return frozenset() if isinstance(found, NotOurs) else found.keys


def answers(lookup: Lookup) -> dict[tuple[tuple[bytes, ...], int], Found]:
    return {(name, qtype): lookup.find(name, qtype) for name in NAMES for qtype in QTYPES}


@given(st.lists(things, max_size=12, unique_by=key_of), st.randoms(), chosen_options)
@settings(max_examples=40, deadline=None)
def test_any_order_gives_the_same_zone(
    found: list[Object], dice: Random, chosen: ZoneOptions
) -> None:
    shuffled: list[Event] = [*map(Upsert, found), *map(Synced, KINDS)]
    one = answers(Lookup(applied(shuffled), chosen))
    dice.shuffle(shuffled)
    other = answers(Lookup(applied(shuffled), chosen))
    assert {each: shown(one[each]) for each in one} == {each: shown(other[each]) for each in other}


@given(st.lists(things, max_size=12), chosen_options, st.booleans())
@settings(max_examples=40, deadline=None)
def test_whether_a_name_exists_does_not_depend_on_the_type(
    found: list[Object], chosen: ZoneOptions, synced: bool
) -> None:
    index = applied([*map(Upsert, found), *(map(Synced, KINDS) if synced else ())])
    lookup = Lookup(index, chosen)
    for name in NAMES:
        # Unsynced, an alias with an unknown target waits for it, where the target is followed.
        kinds = QTYPES if synced else QTYPES[2:]
        assert len({exists(lookup.find(name, qtype)) for qtype in kinds}) == 1, name


@given(st.lists(things, max_size=12), chosen_options)
@settings(max_examples=40, deadline=None)
def test_a_name_above_one_that_exists_exists(found: list[Object], chosen: ZoneOptions) -> None:
    """RFC 8020, in the forward zone: what a resolver that asks label by label needs."""
    lookup = Lookup(applied([*map(Upsert, found), *map(Synced, KINDS)]), chosen)
    for name in NAMES:
        if name[-1] == b"local" and exists(lookup.find(name, 16)):
            for cut in range(1, len(name) - 1):
                assert exists(lookup.find(name[cut:], 16)), (name, cut)


@given(st.lists(events, max_size=14), events, chosen_options)
@settings(max_examples=100, deadline=None)
def test_a_changed_answer_has_one_of_the_keys(
    past: list[Event], event: Event, chosen: ZoneOptions
) -> None:
    index = applied(past)
    lookup = Lookup(index, chosen)
    before = answers(lookup)
    keys = index.apply(event, NOW)
    for asked, now in answers(lookup).items():
        old = before[asked]
        if shown(now) != shown(old):
            assert keys & keys_of(old), asked
            assert keys & keys_of(now), asked


@given(st.lists(events, max_size=14), events)
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
