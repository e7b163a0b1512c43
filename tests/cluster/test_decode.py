"""API JSON -> the model; 5.3 of what a cluster DNS server reads, and D19."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster import api
from clusterdns.cluster.decode import (
    Change,
    NoRecords,
    decode_import,
    decode_namespace,
    decode_pod,
    decode_service,
    decode_slice,
)
from clusterdns.cluster.events import Delete, Upsert
from clusterdns.cluster.model import (
    Endpoint,
    EndpointSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    ServiceImport,
    parse_address,
)
from clusterdns.cluster.selection import Selection
from clusterdns.errors import SourceError

FIXTURES = Path(__file__).parent / "fixtures"
META = {"name": "web", "namespace": "shop"}
HTTP = Port("http", 80)


def ips(*texts: str) -> tuple[bytes, ...]:
    return tuple(packed for packed in map(parse_address, texts) if packed)


def octets(**fields: Any) -> bytes:
    return json.dumps({"metadata": META, **fields}).encode()


def endpoint(text: str, hostname: str = "", pod: str = "", zone: str = "") -> Endpoint:
    return Endpoint(ips(text)[0], text, hostname, pod, zone)


SERVICES: dict[str, tuple[dict[str, Any], Object | str]] = {
    "cluster IP, unnamed port": (
        {"clusterIP": "10.3.0.1", "clusterIPs": ["10.3.0.1"], "ports": [{"port": 80}]},
        Service("shop", "web", ips("10.3.0.1"), (Port("", 80),)),
    ),
    "clusterIPs missing": (
        {"clusterIP": "10.3.0.1", "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
        Service("shop", "web", ips("10.3.0.1"), (Port("dns", 53, "udp"),)),
    ),
    "dual-stack, no ports": (
        {"clusterIPs": ["10.3.0.1", "fd00::1"], "ports": None},
        Service("shop", "web", ips("10.3.0.1", "fd00::1")),
    ),
    "7.5.12 a mapped cluster IP is IPv4": (
        {"clusterIP": "::ffff:10.3.0.1"},
        Service("shop", "web", ips("10.3.0.1")),
    ),
    "headless": ({"clusterIP": "None"}, Service("shop", "web")),
    "headless, clusterIPs too": (
        {"clusterIP": "None", "clusterIPs": ["None"], "ports": [{"name": "http", "port": 80}]},
        Service("shop", "web", ports=(HTTP,)),
    ),
    "7.5.10 ExternalName with a leftover clusterIP": (
        {"type": "ExternalName", "externalName": "Example.com", "clusterIP": "10.3.0.1"},
        Service("shop", "web", external_name="Example.com"),
    ),
    "externalName of another type does not count": (
        {"type": "ClusterIP", "externalName": "example.com", "clusterIP": "10.3.0.1"},
        Service("shop", "web", ips("10.3.0.1")),
    ),
    "external addresses": (
        {"type": "LoadBalancer", "clusterIP": "10.3.0.1", "externalIPs": ["192.0.2.1"]},
        Service("shop", "web", ips("10.3.0.1"), external_ips=ips("192.0.2.1")),
    ),
    "D19 empty clusterIP": ({"clusterIP": ""}, "has no clusterIP"),
    "D19 no spec at all": ({}, "has no clusterIP"),
    "D19 empty externalName": ({"type": "ExternalName"}, "has an empty externalName"),
}


@pytest.mark.parametrize(("spec", "expected"), SERVICES.values(), ids=SERVICES)
def test_services(spec: dict[str, Any], expected: Object | str) -> None:
    assert_change(decode_service(octets(spec=spec)), expected, "Service")


def test_addresses_of_a_load_balancer() -> None:
    ingress = [{"ip": "198.51.100.1"}, {"hostname": "lb.example.com"}, {}]
    service = octets(spec={"clusterIP": "10.3.0.1"}, status={"loadBalancer": {"ingress": ingress}})
    shown = Service(
        "shop",
        "web",
        ips("10.3.0.1"),
        external_ips=ips("198.51.100.1"),
        external_hosts=("lb.example.com",),
    )
    assert decode_service(service) == Upsert(shown)


LABELLED = {**META, "labels": {"kubernetes.io/service-name": "web"}}
ALL = Selection(pod_names=True, pod_labels=True, topology_zones=True)
SLICES: dict[str, tuple[dict[str, Any], Selection, Object | str]] = {
    "1.8.1 ready, not ready, unsaid": (
        {
            "endpoints": [
                {"addresses": ["10.1.0.1"], "conditions": {"ready": True}},
                {"addresses": ["10.1.0.2"], "conditions": {"ready": False, "serving": True}},
                {"addresses": ["10.1.0.3"], "conditions": {"ready": None}},
                {"addresses": ["10.1.0.4"]},
            ],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
        Selection(),
        EndpointSlice.pack(
            "shop",
            "web",
            "web",
            (HTTP,),
            [endpoint("10.1.0.1"), endpoint("10.1.0.3"), endpoint("10.1.0.4")],
            unready=1,
        ),
    ),
    "1.8.1 all addresses of an endpoint; host name": (
        {"endpoints": [{"addresses": ["10.1.0.1", "fd00::1"], "hostname": "db-0"}]},
        Selection(),
        EndpointSlice.pack(
            "shop", "web", "web", (), [endpoint("10.1.0.1", "db-0"), endpoint("fd00::1", "db-0")]
        ),
    ),
    "1.8.3 the text of the API is kept": (
        {"addressType": "IPv6", "endpoints": [{"addresses": ["FD00:0::1"]}]},
        Selection(),
        EndpointSlice.pack("shop", "web", "web", (), [endpoint("FD00:0::1")]),
    ),
    "pod and zone are left out": (
        {"endpoints": [{"addresses": ["10.1.0.1"], "targetRef": {"name": "p"}, "zone": "a"}]},
        Selection(),
        EndpointSlice.pack("shop", "web", "web", (), [endpoint("10.1.0.1")]),
    ),
    "pod and zone are kept where they are asked for": (
        {"endpoints": [{"addresses": ["10.1.0.1"], "targetRef": {"name": "p"}, "zone": "a"}]},
        ALL,
        EndpointSlice.pack("shop", "web", "web", (), [endpoint("10.1.0.1", "", "p", "a")]),
    ),
    "7.5.9 ports without number or protocol": (
        {"endpoints": None, "ports": [{"name": "a"}, {"port": 0, "protocol": "UDP"}]},
        Selection(),
        EndpointSlice.pack("shop", "web", "web", (Port("a", None, ""), Port("", 0, "udp")), []),
    ),
    "D19 FQDN": (
        {"addressType": "FQDN", "endpoints": [{"addresses": ["example.com"]}]},
        Selection(),
        "has the address type FQDN",
    ),
    "D19 no service-name label": (
        {"metadata": META, "endpoints": []},
        Selection(),
        "has no label kubernetes.io/service-name",
    ),
}


@pytest.mark.parametrize(("fields", "selection", "expected"), SLICES.values(), ids=SLICES)
def test_slices(fields: dict[str, Any], selection: Selection, expected: Object | str) -> None:
    slice_ = json.dumps({"metadata": LABELLED, **fields}).encode()
    assert_change(decode_slice(slice_, selection), expected, "EndpointSlice")


def assert_change(change: Change, expected: Object | str, kind: Any) -> None:
    if isinstance(expected, str):
        assert change == NoRecords(Delete(kind, "shop", "web"), expected)
        assert str(change) == f"{kind} shop/web {expected}"
    else:
        assert change == Upsert(expected)


TIMES = {
    "2026-01-02T03:04:05Z": 1767323045.0,
    "2026-01-02T03:04:05.25+01:00": 1767319445.25,
    "2026-01-02T03:04:05": None,
    "yesterday": None,
    "": None,
}


@pytest.mark.parametrize("text", TIMES)
def test_trigger_time(text: str) -> None:
    annotations = {"endpoints.kubernetes.io/last-change-trigger-time": text}
    slice_ = json.dumps({"metadata": {**LABELLED, "annotations": annotations}}).encode()
    change = decode_slice(slice_, Selection())
    assert isinstance(change, Upsert)
    assert change.triggered == TIMES[text]


GONE = NoRecords(Delete("Pod", "shop", "web"))
PODS: dict[str, tuple[dict[str, Any], Change]] = {
    "runs": (
        {"status": {"phase": "Running", "podIP": "10.1.0.1"}},
        Upsert(Pod("shop", "web", ips("10.1.0.1")[0])),
    ),
    "5.3 only the first address counts": (
        {"status": {"podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]}},
        Upsert(Pod("shop", "web", ips("10.1.0.1")[0])),
    ),
    "has no address yet": ({"status": {"phase": "Pending"}}, GONE),
    "has no status": ({"status": None}, GONE),
    "succeeded": ({"status": {"phase": "Succeeded", "podIP": "10.1.0.1"}}, GONE),
    "failed": ({"status": {"phase": "Failed", "podIP": "10.1.0.1"}}, GONE),
    "unknown": ({"status": {"phase": "Unknown", "podIP": "10.1.0.1"}}, GONE),
    "7.5.4 terminates": (
        {
            "metadata": {**META, "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"phase": "Running", "podIP": "10.1.0.1"},
        },
        None,
    ),
}


@pytest.mark.parametrize(("fields", "expected"), PODS.values(), ids=PODS)
def test_pods(fields: dict[str, Any], expected: Change) -> None:
    octets = json.dumps({"metadata": META, **fields}).encode()
    assert decode_pod(octets, Selection()) == expected


def test_labels_of_pods_are_kept_where_somebody_asks_for_them() -> None:
    labels = {"pod-template-hash": "5d4f", "app": "cart"}
    running = {"phase": "Running", "podIP": "10.1.0.1"}
    octets = json.dumps({"metadata": {**META, "labels": labels}, "status": running}).encode()
    for kept in (False, True):
        change = decode_pod(octets, Selection(pods=True, pod_labels=kept))
        assert isinstance(change, Upsert)
        assert isinstance(change.object, Pod)
        expected = ("app", "cart", "pod-template-hash", "5d4f")  # sorted: the API's order varies
        assert change.object.labels == (expected if kept else ())


def test_a_namespace() -> None:
    assert decode_namespace(b'{"metadata":{"name":"shop"},"status":{"phase":"Terminating"}}') == (
        Upsert(Namespace("shop"))
    )


FAULTS: dict[str, tuple[Any, str]] = {
    "no object": ([], "Service without a name: the object: expected `object`, got `array`"),
    "no metadata": (
        {},
        "Service without a name: the object: object missing required field `metadata`",
    ),
    "no namespace": (
        {"metadata": {"name": "web"}},
        "Service web: metadata: object missing required field `namespace`",
    ),
    "name": (
        {"metadata": {"name": "a.b", "namespace": "shop"}},
        "Service shop/a.b: metadata.name: expected a DNS label, got 'a.b'",
    ),
    "a label": (
        {"metadata": {**META, "labels": {"a": "1", "b": 2}}},
        "Service shop/web: metadata.labels.b: expected `str`, got `int`",
    ),
    "the second port": (
        {"metadata": META, "spec": {"ports": [{"port": 80}, {"port": "http"}]}},
        "Service shop/web: spec.ports[1].port: expected `int`, got `str`",
    ),
    "a port's range": (
        {"metadata": META, "spec": {"ports": [{"port": 65536}]}},
        "Service shop/web: spec.ports[0].port: expected `int` <= 65535",
    ),
    "a host name": (
        {"metadata": META, "spec": {"externalName": "a..b"}},
        "Service shop/web: spec.externalName: expected a DNS name, got 'a..b'",
    ),
    "an address": (
        {"metadata": META, "spec": {"clusterIP": "10.3.0.01"}},
        "Service shop/web: spec.clusterIPs: expected an IP address, got '10.3.0.01'",
    ),
}


@pytest.mark.parametrize(("value", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_name_object_and_field(value: Any, message: str) -> None:
    with pytest.raises(SourceError) as error:
        decode_service(json.dumps(value).encode())
    assert str(error.value) == message


def test_an_endpoint_without_an_address_is_named() -> None:
    endpoints = [{"addresses": ["10.1.0.1"]}, {"addresses": ["example.com"]}]
    with pytest.raises(SourceError, match=r"endpoints\[1\]\.addresses: .*'example\.com'"):
        decode_slice(
            json.dumps({"metadata": LABELLED, "endpoints": endpoints}).encode(), Selection()
        )


BROKEN = [b"", b"{", b"[" * 100_000, b'{"metadata":{"name":"a"},', b'{"metadata":\xff}', b"null"]


@pytest.mark.parametrize("broken", BROKEN, ids=[repr(each[:20]) for each in BROKEN])
def test_what_is_no_json(broken: bytes) -> None:
    with pytest.raises(SourceError):
        decode_service(broken)


WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        """
        metadata name namespace labels spec clusterIP clusterIPs ips ports port protocol type
        externalName externalIPs status loadBalancer ingress ip hostname endpoints addresses
        conditions ready subsets targetRef podIP phase zone ExternalName None 10.0.0.1 shop
        """,
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(WORDS, VALUES, max_size=5), st.booleans())
def test_any_value_is_an_object_or_a_source_error(value: dict[str, Any], named: bool) -> None:
    text = json.dumps({**value, "metadata": LABELLED} if named else value).encode()
    for decode in (
        decode_service,
        decode_import,
        decode_namespace,
        lambda octets: decode_pod(octets, ALL),
        lambda octets: decode_slice(octets, ALL),
    ):
        with contextlib.suppress(SourceError):
            decode(text)


@given(st.binary(max_size=60))
def test_any_octets_are_a_source_error(text: bytes) -> None:
    with pytest.raises(SourceError):
        decode_service(text)


def test_objects_of_a_real_api_server() -> None:
    """Each is decoded, from octets as from the parsed value."""
    services = msgspec.json.decode((FIXTURES / "services.json").read_bytes())["items"]
    shown = {
        each["metadata"]["name"]: decode_service(msgspec.json.encode(each)) for each in services
    }
    assert shown["kubernetes"] == Upsert(
        Service("default", "kubernetes", ips("10.96.0.1"), (Port("https", 443),))
    )
    assert shown["ext"] == Upsert(Service("lab", "ext", external_name="www.upstream.test"))
    assert all(isinstance(change, Upsert) for change in shown.values())
    for value in services:
        assert api.from_value(api.Service, value) == (
            api.from_json(api.Service, msgspec.json.encode(value))
        )
    slices = msgspec.json.decode((FIXTURES / "endpointslices.json").read_bytes())["items"]
    sizes = {
        each["metadata"]["labels"]["kubernetes.io/service-name"]: len(change.object)
        for each in slices
        if isinstance(change := decode_slice(msgspec.json.encode(each), Selection()), Upsert)
        and isinstance(change.object, EndpointSlice)
        and change.object.width == 4
    }
    assert sizes["coffee"] == 2
    assert sizes["empty"] == 0
    assert sizes["many"] == 60


IMPORT = {
    "ClusterSetIP": (
        {"type": "ClusterSetIP", "ips": ["10.42.0.1", "fd00::1"]},
        "10.42.0.1 fd00::1",
    ),
    "headless": ({"type": "Headless"}, ""),
    "headless, with IPs": ({"type": "Headless", "ips": ["10.42.0.1"]}, ""),
}


@pytest.mark.parametrize(("spec", "expected"), IMPORT.values(), ids=IMPORT)
def test_service_imports(spec: dict[str, Any], expected: str) -> None:
    spec = {**spec, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    text = json.dumps({"metadata": {"namespace": "shop", "name": "web"}, "spec": spec}).encode()
    ports = (Port("http", 80),)
    assert decode_import(text) == Upsert(
        ServiceImport("shop", "web", ips(*expected.split()), ports)
    )


def test_a_service_import_without_ip() -> None:
    text = json.dumps({"metadata": {"namespace": "shop", "name": "web"}, "spec": {}}).encode()
    assert decode_import(text) == NoRecords(Delete("ServiceImport", "shop", "web"), "has no IP")


IMPORTED = {
    "kubernetes.io/service-name": "mine",
    "multicluster.kubernetes.io/service-name": "web",
    "multicluster.kubernetes.io/source-cluster": "east",
}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ("mine", "", "")),
        (Selection(multicluster=True), ("mine", "web", "east")),
        (Selection(multicluster=True, endpoints=False), ("", "web", "east")),
    ],
)
def test_slices_of_service_imports(selection: Selection, expected: tuple[str, ...]) -> None:
    metadata = {"namespace": "shop", "name": "s", "labels": IMPORTED}
    change = decode_slice(json.dumps({"metadata": metadata, "endpoints": []}).encode(), selection)
    assert isinstance(change, Upsert)
    assert isinstance(change.object, EndpointSlice)
    assert (change.object.service, change.object.imported, change.object.cluster) == expected
