"""The octets of a last known state: they come back as they went, and damage is never overlooked."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster import snapshot
from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.model import (
    Endpoint,
    EndpointSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    address_text,
)
from clusterdns.cluster.selection import Selection
from clusterdns.cluster.snapshot import MAGIC, Head, Refused
from tests.apiserver.server import ApiServer as Simulated
from tests.cluster.following import truth
from tests.objects import random_cluster

HEAD = Head("the cluster", written=2000.0, confirmed=1990.0, serial=1985, objects=0)
HTTP = (Port("http", 80), Port("", 53, "udp"), Port("any", None, ""))
SAMPLE: tuple[Object, ...] = (
    Pod("shop", "web-1", b"\x0a\x01\x00\x01"),
    EndpointSlice.pack(
        "shop",
        "web-abcde",
        "web",
        HTTP,
        [
            Endpoint(b"\x0a\x01\x00\x01", "10.1.0.1", "web-1", "web-1", "eu-1"),
            Endpoint(bytes(15) + b"\1", "0::1"),
        ],
        unready=3,
    ),
    Service("shop", "web", (b"\x0a\0\0\1", bytes(15) + b"\2"), HTTP, "", (), ("lb.test",)),
    Service("shop", "out", external_name="example.org"),
    Namespace("shop"),
)
# What version 1 looks like: if this cannot be read any more, VERSION has to grow.
FIRST = bytes.fromhex(
    """
    636c7573746572646e7320737461746500010000004b90b7b40f85a6736f75726365ab74686520636c757374
    6572a77772697474656ecb409f400000000000a9636f6e6669726d6564cb409f180000000000a67365726961
    6ccd07c1a76f626a6563747305000002c136d3f8f89584a474797065a3506f64a96e616d657370616365a473
    686f70a46e616d65a57765622d31a761646472657373c4040a0100018ca474797065ad456e64706f696e7453
    6c696365a96e616d657370616365a473686f70a46e616d65a97765622d6162636465a773657276696365a377
    6562a5706f7274739383a46e616d65a468747470a66e756d62657250a870726f746f636f6ca374637083a46e
    616d65a0a66e756d62657235a870726f746f636f6ca375647083a46e616d65a3616e79a66e756d626572c0a8
    70726f746f636f6ca0a9616464726573736573c42000000000000000000000ffff0a01000100000000000000
    000000000000000001a5776964746810a5746578747392a831302e312e302e31a4303a3a31a9686f73746e61
    6d657392a57765622d31a0a4706f647392a57765622d31a0ae746f706f6c6f67795f7a6f6e657392a465752d
    31a0a7756e72656164790388a474797065a753657276696365a96e616d657370616365a473686f70a46e616d
    65a3776562ab636c75737465725f69707392c4040a000001c41000000000000000000000000000000002a570
    6f7274739383a46e616d65a468747470a66e756d62657250a870726f746f636f6ca374637083a46e616d65a0
    a66e756d62657235a870726f746f636f6ca375647083a46e616d65a3616e79a66e756d626572c0a870726f74
    6f636f6ca0ad65787465726e616c5f6e616d65a0ac65787465726e616c5f69707390ae65787465726e616c5f
    686f73747391a76c622e7465737488a474797065a753657276696365a96e616d657370616365a473686f70a4
    6e616d65a36f7574ab636c75737465725f69707390a5706f72747390ad65787465726e616c5f6e616d65ab65
    78616d706c652e6f7267ac65787465726e616c5f69707390ae65787465726e616c5f686f7374739082a47479
    7065a94e616d657370616365a46e616d65a473686f7000000000bceec079
    """
)


def octets_of(objects: Sequence[Object], head: Head = HEAD) -> bytes:
    return b"".join(snapshot.encode(head, objects))


def objects_in(octets: bytes) -> list[Object]:
    return [each for piece in snapshot.check(octets)[1] for each in snapshot.decode(piece)]


texts = st.text(st.characters(codec="utf-8"), max_size=12)
ports = st.lists(
    st.builds(Port, texts, st.none() | st.integers(0, 65535), st.sampled_from(("tcp", "udp", ""))),
    max_size=3,
).map(tuple)
addresses = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
endpoints = st.builds(
    lambda address, *others: Endpoint(address, address_text(address), *others),
    addresses,
    texts,
    texts,
    texts,
)
things = st.one_of(
    st.builds(Namespace, texts),
    st.builds(Pod, texts, texts, addresses),
    st.builds(
        Service,
        texts,
        texts,
        st.lists(addresses, max_size=2).map(tuple),
        ports,
        texts,
        st.lists(addresses, max_size=2).map(tuple),
        st.lists(texts, max_size=2).map(tuple),
    ),
    st.builds(
        EndpointSlice.pack, texts, texts, texts, ports, st.lists(endpoints, max_size=40), st.just(1)
    ),
)


@given(st.lists(things, max_size=20))
@settings(max_examples=60)
def test_what_goes_in_comes_out(objects: list[Object]) -> None:
    octets = octets_of(objects)
    head, _ = snapshot.check(octets)
    assert head == msgspec.structs.replace(HEAD, objects=len(objects))
    assert objects_in(octets) == objects


def test_the_first_version_can_still_be_read() -> None:
    assert snapshot.check(FIRST)[0] == msgspec.structs.replace(HEAD, objects=len(SAMPLE))
    assert objects_in(FIRST) == list(SAMPLE)


def test_a_cluster() -> None:
    api = Simulated(random_cluster(7, 300, endpoints=30))
    objects = list(truth(api, ("EndpointSlice", "Service", "Namespace")).values())
    assert len(objects) > 500
    octets = octets_of(objects)
    assert objects_in(octets) == objects


def test_pieces_are_small() -> None:
    """A piece is made in one go, so it may not be long, whatever the objects are."""
    wide = EndpointSlice("n", "s", "s", (), bytes(4000), hostnames=("x" * 63,) * 1000)
    pieces = list(snapshot.encode(HEAD, [wide] * 20))
    assert max(map(len, pieces)) < 300_000
    many = [Service("namespace", f"service-{n}", (bytes(4),)) for n in range(1000)]
    assert len(list(snapshot.encode(HEAD, many))) == 2 + 1000 // snapshot.PIECE_WEIGHT + 1


def test_what_is_alike_is_in_memory_once() -> None:
    pieces = [[Service("a-namespace", f"s-{n}", (), (Port("p", 77),))] for n in range(2)]
    first, second = (objects_in(octets_of(piece))[0] for piece in pieces)
    assert isinstance(first, Service)
    assert isinstance(second, Service)
    assert first.namespace is second.namespace
    assert first.ports is second.ports


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_damage_anywhere(mask: int) -> None:
    octets = octets_of(SAMPLE)
    for at in range(len(octets)):
        damaged = bytearray(octets)
        damaged[at] ^= mask
        with pytest.raises(Refused) as refused:
            objects_in(bytes(damaged))
        in_version = len(MAGIC) <= at < len(MAGIC) + 2
        assert refused.value.reason == ("version" if in_version else "damaged"), at


def test_an_end_that_is_missing() -> None:
    octets = octets_of(SAMPLE)
    for size in range(len(octets)):
        with pytest.raises(Refused, match=r"is no state|is damaged|is cut off"):
            objects_in(octets[:size])


@given(st.data())
@settings(max_examples=50)
def test_damage_in_something_large(data: st.DataObject) -> None:
    octets = bytearray(octets_of([Namespace(f"namespace-{n}") for n in range(1000)]))
    at = data.draw(st.integers(0, len(octets) - 1))
    new = data.draw(st.binary(min_size=1, max_size=40))
    if octets[at : at + len(new)] == new:
        return
    octets[at : at + len(new)] = new
    with pytest.raises(Refused):
        objects_in(bytes(octets))


@given(st.binary(max_size=200), st.booleans())
def test_any_octets(octets: bytes, begins: bool) -> None:
    with pytest.raises(Refused):
        objects_in((MAGIC + b"\0\1") * begins + octets)


def framed(payloads: Iterable[bytes]) -> bytes:
    """Octets whose checksums are right, whatever is in them."""
    octets = MAGIC + struct.pack(">H", snapshot.VERSION)
    checksum = crc32(octets)
    for payload in (*payloads, b""):
        size = struct.pack(">I", len(payload))
        checksum = crc32(payload, crc32(size, checksum))
        octets += size + struct.pack(">I", checksum) + payload
    return octets


head, namespace = msgspec.msgpack.encode(HEAD), msgspec.msgpack.encode([Namespace("a")])
WRONG = {
    "nothing": (b"", "is no state of clusterdns"),
    "something else": (b"---\nkind: Service\n" * 10, "is no state of clusterdns"),
    "only a start": (MAGIC, "is no state of clusterdns"),
    "another version": (MAGIC + b"\0\2" + bytes(8), "has format 2, and this program reads 1"),
    "no head": (framed([]), "has no usable head"),
    "objects first": (framed([namespace, head]), "has no usable head"),
    "a head of another form": (framed([msgspec.msgpack.encode({"a": 1})]), "has no usable head"),
    "no objects": (framed([head, b"\xc1"]), "has objects that cannot be read"),
    "objects of a kind to come": (
        framed([head, msgspec.msgpack.encode([{"type": "Gateway", "name": "a"}])]),
        "has objects that cannot be read: Invalid value 'Gateway'",
    ),
    "text that is none": (
        framed([head, msgspec.msgpack.encode([Namespace("a")]).replace(b"\xa1a", b"\xa1\xff")]),
        "has objects that cannot be read",
    ),
    "behind the end": (framed([head]) + b"\0", "goes on behind its end"),
    "twice": (framed([head]) * 2, "goes on behind its end"),
}


@pytest.mark.parametrize(("octets", "said"), WRONG.values(), ids=WRONG)
def test_what_is_no_state(octets: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said):
        objects_in(octets)


def test_right_checksums_are_not_what_refuses() -> None:
    assert objects_in(framed([head, namespace])) == [Namespace("a")]


JUDGED = {
    "just written": ("the cluster", 1990.0, 0.0),
    "a day old": ("the cluster", 1990.0 + 86_400, 86_400.0),
    "from the future: the clock was set back": ("the cluster", 5.0, 0.0),
    "too old": ("the cluster", 1991.0 + 86_400, "age: is 86401 s old, and at most 86400 s"),
    "another cluster's": ("another", 1990.0, "foreign: is of the cluster, and wanted is another"),
}


@pytest.mark.parametrize(("source", "now", "expected"), JUDGED.values(), ids=JUDGED)
def test_judge(source: str, now: float, expected: float | str) -> None:
    try:
        found: float | str = snapshot.judge(HEAD, source, now, 86_400.0)
    except Refused as refused:
        found = f"{refused.reason}: {refused}"
    assert found == expected or str(found).startswith(str(expected))


def test_source(tmp_path: Path) -> None:
    """Another selection or API is another file; another CA is told from what is in it."""
    api = ApiOptions(endpoint="https://10.0.0.1", tls=("", "", str(tmp_path / "ca.crt")))
    everything = Selection()
    (tmp_path / "ca.crt").write_text("one")
    name, source = snapshot.source_of(everything, api)
    assert snapshot.source_of(everything, replace(api, qps=5.0)) == (name, source)
    assert snapshot.source_of(everything, replace(api, endpoint="https://10.0.0.1/"))[0] == name
    assert snapshot.source_of(Selection(labels="a=b"), api)[0] != name
    assert snapshot.source_of(everything, replace(api, endpoint="https://10.0.0.2"))[0] != name
    (tmp_path / "ca.crt").write_text("two")
    assert snapshot.source_of(everything, api)[0] == name
    assert snapshot.source_of(everything, api)[1] != source
