"""Which questions are asked about a cluster: each name it has, and many that it has not."""

import ipaddress
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from tests.objects import SERVICE_LABEL, Json
from tests.oracle.asking import Edns, Question
from tests.oracle.variants import REVERSE, Variant

# A, CNAME, SOA, PTR, AAAA, SRV: with these the rules find out what a name is
BASE_TYPES = (1, 5, 6, 12, 28, 33)
# NS, MX, TXT, HTTPS, ANY, and one that nobody knows
MORE_TYPES = (2, 15, 16, 65, 255, 65400)
# what DNS itself is made of, what is gone, and what means something to a server
RARE_TYPES = (0, 13, 39, 41, 43, 47, 48, 249, 250, 251, 252, 253, 254, 257, 65535)
EDNS = (
    Edns(0),
    Edns(512),
    Edns(1232),
    Edns(4096),
    Edns(65535),
    Edns(1232, flags=0x8000),  # DO
    Edns(1400, flags=0xC001),  # and bits that mean nothing
    Edns(1232, options=bytes.fromhex("000a00080102030405060708")),  # a cookie
    Edns(
        1232, options=bytes.fromhex("00030000000c00020000fde90001ff")
    ),  # NSID, padding, a local one
    Edns(1232, version=1),
)

BIG = ("legion.shop", "nine.shop", "crowd.shop", "sliced.shop", "to-legion.names")

Group = list[str]  # a name and those above and below it that its answers depend on


def groups(objects: Iterable[Json], variant: Variant, dice: random.Random) -> list[Group]:
    """Every name worth asking, in groups; absolute, in presentation form.

    The Services of the primary zone, and some of them again in each other zone.
    """
    held = list(objects)
    services = [obj for obj in held if obj["kind"] == "Service"]
    slices: dict[tuple[str, str], list[Json]] = {}
    for obj in held:
        if obj["kind"] == "EndpointSlice":
            owner = obj["metadata"]["labels"].get(SERVICE_LABEL, "")
            slices.setdefault((obj["metadata"]["namespace"], owner), []).append(obj)
    found: list[Group] = []
    for zone in variant.served:
        some = services if zone == variant.primary else dice.sample(services, len(services) // 12)
        for obj in some if not zone.endswith("arpa.") else some[:2]:
            key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
            found.append(list(_service(obj, slices.get(key, []), zone)))
    return found


def specials(objects: Iterable[Json], variant: Variant) -> Group:
    """The names that are asked under every Corefile, and those that other answers depend on."""
    found = [name for zone in variant.served for name in _apex(zone)]
    found += (f"{name}.svc.{variant.primary}" for name in BIG)
    for obj in objects:
        if obj["kind"] == "Service" and obj["spec"].get("externalName"):
            found.append(obj["spec"]["externalName"].removesuffix(".") + ".")
    if variant.words("zonal") is not None:
        found += _topology_zones(f"shop.svc.{variant.primary}")
    return [*found, *FOREIGN]


def others(objects: Iterable[Json], variant: Variant) -> Group:
    """Names of namespaces, pods and addresses."""
    held = list(objects)
    found = list(_reverse(held))
    for zone in variant.served:
        spaces = ["nowhere", "default.x"] if zone != REVERSE[0] else ["shop"]
        if not zone.endswith("arpa."):
            spaces += (obj["metadata"]["name"] for obj in held if obj["kind"] == "Namespace")
        found += (name for space in spaces for name in _space(space, zone))
        found += _pods(held, zone) if zone in (variant.primary, "ip6.arpa.") else ()
    return list(dict.fromkeys(found))


def questions(names: Iterable[str], more: Sequence[int], dice: random.Random) -> list[Question]:
    """Questions for every name, and for one in eight in another letter case as well.

    more: types of which one is asked for each name beside BASE_TYPES.
    """
    found: dict[Question, None] = {}
    for name in dict.fromkeys(names):
        spelled = [name, swapped(name)] if dice.random() < 0.125 else [name]
        for qtype in (*BASE_TYPES, dice.choice(more)):
            found |= dict.fromkeys(Question(one, qtype) for one in spelled)
    return list(found)


def in_other_ways(asked: Sequence[Question], dice: random.Random, count: int) -> Iterator[Question]:
    """So many of the questions again: over TCP, with EDNS, with other header bits and classes."""
    for question in dice.sample(asked, min(count, len(asked))):
        edns = dice.choice(EDNS)
        yield question._replace(tcp=True)
        yield question._replace(edns=edns)
        yield question._replace(tcp=True, edns=edns, flags=dice.choice([0, 0x0100, 0x0130]))
        yield question._replace(flags=dice.choice([0, 0x0010, 0x0020, 0x0370, 0x0140]))
        yield question._replace(qclass=dice.choice([3, 4, 254, 255, 0, 77]))


def big(variant: Variant) -> Iterator[Question]:
    """Questions whose answers do not fit everywhere, in every size."""
    for name in BIG:
        for qtype in (1, 33):
            asked = Question(f"{name}.svc.{variant.primary}", qtype)
            yield asked._replace(tcp=True)
            yield from (asked._replace(edns=edns) for edns in EDNS)
            yield from (asked._replace(edns=Edns(size)) for size in (700, 1000, 1480, 1500, 2000))


def swapped(name: str) -> str:
    """The name with every second letter in the other case."""
    return "".join(c.swapcase() if n % 2 else c for n, c in enumerate(name))


def reverse_name(address: str) -> str:
    """The absolute name for a PTR question."""
    return ipaddress.ip_address(address).reverse_pointer + "."


FOREIGN = (
    ".",
    "local.",
    "xcluster.local.",
    "example.com.",
    "www.example.com.",
    "intranet.",
    "arpa.",
    "version.bind.",
    "id.server.",
    "1.0.0.127.in-addr.arpa.",
)


def _apex(zone: str) -> Iterator[str]:
    yield from (zone, f"svc.{zone}", f"pod.{zone}", f"dns.{zone}", f"ns.dns.{zone}")
    yield from (f"dns-version.{zone}", f"x.dns-version.{zone}", f"x.ns.dns.{zone}", f"x.dns.{zone}")
    yield from (f"nope.{zone}", f"a.b.{zone}", f"*.{zone}", f"*.svc.{zone}", f"any.svc.{zone}")
    yield from (
        f"_tcp.{zone}",
        f"_http._tcp.{zone}",
        f"a.b.c.d.e.f.g.svc.{zone}",
        f"ns.ns.dns.{zone}",
    )
    yield from (f"x\\.y.svc.{zone}", f"a\\.b.shop.svc.{zone}", f"web\\.shop.svc.{zone}")
    yield from (f"\\000.shop.svc.{zone}", f"\\255\\195.svc.{zone}", f"w\\032eb.shop.svc.{zone}")
    yield from (f"{'l' * 63}.shop.svc.{zone}", f"{'l' * 63}.{'m' * 63}.{'n' * 63}.svc.{zone}")


def _space(name: str, zone: str) -> Iterator[str]:
    yield from (f"{name}.svc.{zone}", f"{name}.pod.{zone}", f"{name}.{zone}")
    yield from (f"nope.{name}.svc.{zone}", f"_http._tcp.nope.{name}.svc.{zone}")
    yield from (f"x.nope.{name}.svc.{zone}", f"*.{name}.svc.{zone}", f"any.{name}.svc.{zone}")
    yield from (f"*.*.svc.{zone}", f"10-1-2-3.{name}.pod.{zone}")


def _service(obj: Json, slices: Iterable[Json], zone: str) -> Iterator[str]:
    base = f"{obj['metadata']['name']}.{obj['metadata']['namespace']}.svc.{zone}"
    yield base
    ports = [*obj["spec"].get("ports", ()), *(p for s in slices for p in s["ports"] or ())]
    for held in islice(ports, 12):
        name, protocol = held.get("name", ""), held.get("protocol", "").lower()
        for label in {f"_{name}", name or "_", "_"}:
            yield f"{label}._{protocol}.{base}"
        yield f"_{name}.{protocol or '_'}.{base}"
        yield f"_{name}._.{base}"
    yield from (f"{label}.{base}" for label in ("_tcp", "_udp", "tcp", "_", "x", "*", "http"))
    yield from (f"_nope._tcp.{base}", f"_http._sctp.{base}", f"_._.{base}", f"http._tcp.{base}")
    yield from (f"*._tcp.{base}", f"__http._tcp.{base}", f"x.y.{base}", f"a.b.c.{base}")
    for held in islice((e for s in slices for e in s["endpoints"]), 10):
        for name in _endpoint_labels(held):
            yield f"{name}.{base}"
        yield f"_http._tcp.{name}.{base}"
        yield f"x.{name}.{base}"


def _topology_zones(space: str) -> Iterator[str]:
    """1.18: of headless Services, of such with a cluster IP, and of none."""
    for name in ("zoned", "empty", "web", "zoned-ip", "nope"):
        for topology_zone in (
            "west-2a",
            "West-2b",
            "west-2c",
            "east.1c",
            "1c",
            "a.b.c",
            "_",
            "x\\.y",
        ):
            for word in ("pin", "prefer"):
                yield f"{topology_zone}.{word}._zone.{name}.{space}"
        yield from (f"{word}.{name}.{space}" for word in ("_zone", "pin._zone", "prefer._zone"))
        yield from (f"x.florp._zone.{name}.{space}", f"x.pin.zone.{name}.{space}")
        yield from (f"_http._tcp.x.pin._zone.{name}.{space}", f"x.pin._zone.y.{name}.{space}")
        yield from (f"_pin._zone.{name}.{space}", f"x._zone.{name}.{space}")


def _endpoint_labels(endpoint: Json) -> Iterator[str]:
    if "hostname" in endpoint:
        yield endpoint["hostname"]
    if "targetRef" in endpoint and len(endpoint["targetRef"]["name"]) < 64:
        yield endpoint["targetRef"]["name"]
    for address in endpoint["addresses"]:
        dashed = address.replace(".", "-").replace(":", "-")
        yield from {dashed, f"{dashed}0" if dashed.endswith("-") else dashed}


def _pods(objects: Iterable[Json], zone: str) -> Iterator[str]:
    labels = ["10-240-0-1", "10-240-0-256", "010-1-1-1", "10-240-0", "abc", "fd00--1", "fd00-0--1"]
    labels += [
        "1-2-3-4-5-6-7-8",
        "--ffff-10-0-0-1",
        "--ffff-a00-1",
        "--1",
        "--",
        "1-2-3-4-5",
        "-1-2-3",
    ]
    labels += [
        "FD00--AB",
        "1-2-3-",
        "1--3-4",
        "1-2--4",
        "10-240-0-1-",
        "10\\.240\\.0\\.1",
        "fe80--1%lo",
    ]
    labels += ["0x10-1-1-1", "1-1-1-+1", "00-0-0-0", "12345--1", "1-2-3-4-5-6-7-8-9", "--1-2-3-4"]
    for name in labels:
        yield f"{name}.shop.pod.{zone}"
    yield from (f"foo.10-240-0-1.shop.pod.{zone}", f"a.b.10-240-0-1.shop.pod.{zone}")
    yield from (f"a.b.c.10-240-0-1.shop.pod.{zone}", f"_http._tcp.10-240-0-1.shop.pod.{zone}")
    yield from (f"10-240-0-1.nowhere.pod.{zone}", f"10-240-0-1.empty.pod.{zone}")
    for obj in objects:
        if obj["kind"] == "Pod":
            for held in obj["status"].get("podIPs", ()):
                dashed = held["ip"].replace(".", "-").replace(":", "-")
                for space in {obj["metadata"]["namespace"], "shop"}:
                    yield f"{dashed}.{space}.pod.{zone}"


def _reverse(objects: Iterable[Json]) -> Iterator[str]:
    addresses = {"192.0.2.1", "10.244.200.1", "fd00:96::dead", "::1", "10.0.0.1"}
    for obj in objects:
        spec = obj.get("spec", {})
        addresses.update(spec.get("clusterIPs") or [spec.get("clusterIP", "None")])
        addresses.update(spec.get("externalIPs", ()))
        addresses.update(held["ip"] for held in obj.get("status", {}).get("podIPs", ()))
        for held in islice(obj.get("endpoints", ()), 8):
            addresses.update(held["addresses"])
    for address in sorted(filter(_is_address, addresses)):
        yield reverse_name(address)
    six, four = reverse_name("fd00:96::1"), reverse_name("10.96.1.1")
    for above in (six, four, reverse_name("192.0.2.1")):
        labels = above.split(".")
        yield from (".".join(labels[n:]) for n in range(1, len(labels) - 3))
    yield from (
        f"x.{six}",
        f"a.b.c.{six}",
        f"a.b.c.d.{six}",
        f"x.{four}",
        f"01.{four[2:]}",
        f"256.{four[2:]}",
    )
    yield from (f"_http._tcp.{four}", f"g.{six[2:]}", f"00.{six[2:]}", "1.96.10.in-addr.arpa.")
    yield from ("96.10.in-addr.arpa.", "10.in-addr.arpa.", "0.d.f.ip6.arpa.", six.partition(".")[2])
    yield "web.shop.svc.in-addr.arpa."
    yield "10-1-2-3.shop.pod.ip6.arpa."


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
