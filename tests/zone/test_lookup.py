"""What each name answers, section by section."""

import ipaddress

import pytest

from clusterdns.cluster.model import Namespace, Object, Port
from clusterdns.zone.lookup import Lookup
from clusterdns.zone.view import ZoneOptions
from tests.zone.sample import (
    HTTP,
    alias,
    ask,
    described,
    endpoint,
    index_of,
    members,
    options,
    pod,
    service,
)

DNS = (Port("dns", 53, "udp"), Port("dns-tcp", 53), Port("metrics", 9153))
Z = "cluster.local."
SHOP = f"shop.svc.{Z}"
SOA = f"{Z} 5 SOA ns.dns.{Z} hostmaster.{Z} 1700000000 7200 1800 86400 5"

CLUSTER: list[Object] = [
    Namespace("shop"),
    Namespace("kube-system"),
    # 1.7
    service("web", "10.96.1.1", HTTP),
    service("six", "fd00:96::1", HTTP),
    service("dual", "10.96.2.1 fd00:96::2:1", HTTP),
    service("portless", "10.96.1.4"),
    service("unnamed", "10.96.1.3", Port("", 8080), Port("", 53, "udp")),
    service("mixed", "10.96.1.5", HTTP, Port("HTTP-Alt", 82), Port("odd", 83, "")),
    service("kube-dns", "10.96.0.10", *DNS, namespace="kube-system"),
    service("crowd", "10.96.1.9", *(Port(f"p{n}", 7000 + n) for n in range(105))),
    service("eleven", "10.96.1.8", *(Port(f"p{n}", 7000 + n) for n in range(11))),
    service("lost", "10.96.9.1", HTTP, namespace="nowhere"),
    # 1.7.4
    service("backed", "10.96.4.1", HTTP),
    members("backed", [endpoint("172.0.0.9"), endpoint("172.0.0.10", "Named")], Port("http", 8080)),
    # 1.8
    service("db"),
    members("db", [endpoint("10.1.0.1", "db-0"), endpoint("10.1.0.2", "db-1")], Port("sql", 5432)),
    service("empty"),
    service("unready"),
    members("unready", "", HTTP, unready=2),
    service("both"),
    members("both", [endpoint("10.1.1.1", "a"), endpoint("10.1.1.2")], HTTP),
    members("both", [endpoint("fd00::1:1", "a"), endpoint("fd00:1::")], HTTP, suffix="6"),
    service("doubled"),
    members("doubled", "10.1.2.1 10.1.2.2", HTTP),
    members("doubled", "10.1.2.2", HTTP, suffix="2"),
    service("same"),
    members("same", [endpoint(f"10.1.3.{n}", "same") for n in (1, 2, 3)], HTTP),
    service("differs"),
    members("differs", "10.1.4.1", Port("http", 8001), suffix="1"),
    members("differs", "10.1.4.2", Port("http", 8002), Port("extra", 9000, "udp"), suffix="2"),
    service("no-ports"),
    members("no-ports", "10.1.5.1"),
    service("nil-port"),
    members("nil-port", "10.1.5.2", Port("any", None), Port("zero", 0)),
    service("spelled"),
    members("spelled", [endpoint("FD00::AB"), endpoint("fd00:0::ac"), endpoint("::6:1:2")], HTTP),
    service("podnames"),
    members(
        "podnames",
        [
            endpoint("10.1.6.1", pod="pod-a"),
            endpoint("10.1.6.2", pod="p" * 64),
            endpoint("10.1.6.3", pod="with.dots"),
            endpoint("10.1.6.4", "host", "pod-d"),
        ],
        HTTP,
    ),
    # 1.9
    alias("outside", "www.example.com"),
    alias("capitals", "WWW.Example.COM.", HTTP),
    alias("inside", "Web.Shop.svc.Cluster.Local"),
    alias("to-dual", f"dual.{SHOP}"),
    alias("to-port", f"_http._tcp.web.{SHOP}"),
    alias("to-nameserver", f"ns.dns.{Z}"),
    alias("to-apex", "cluster.local"),
    alias("dead", f"nope.{SHOP}"),
    alias("dead-child", f"x.dead-child.{SHOP}"),
    alias("itself", f"ITSELF.{SHOP}"),
    alias("loop-a", f"loop-b.{SHOP}"),
    alias("loop-b", f"loop-a.{SHOP}"),
    alias("hop", f"outside.{SHOP}"),
    alias("address", "192.0.2.53"),
    alias("address-six", "2001:db8::53"),
    alias("broken", "a..b"),
    alias("non-ascii", "bücher.example"),
    *(alias(f"chain-{n}", f"chain-{n + 1}.{SHOP}") for n in range(12)),
    alias("chain-12", f"web.{SHOP}"),
    # 1.10
    pod("runner", "10.244.20.1"),
    pod("runner-six", "fd00:244::1"),
    pod("other", "10.244.20.2", namespace="kube-system"),
    # 1.11
    service("twin-a", "10.96.3.1", HTTP),
    service("twin-b", "10.96.3.1", HTTP, namespace="kube-system"),
    service("twin-c", "10.96.3.1", HTTP, namespace="nowhere"),
    members("owner-b", [endpoint("10.1.7.1", "b-0")], HTTP),
    members("owner-a", "10.1.7.1", HTTP),
    members("owner-c", "10.1.7.1", HTTP, namespace="nowhere"),
    members("behind", "10.96.1.1", HTTP),
    members("", "10.1.7.9", HTTP, suffix="unlabelled"),
    # Names that look like something else, and objects that no API server would take.
    service("svc", "10.96.10.1", Port("tcp", 80)),
    service("x" * 64, "10.96.10.2", HTTP),
]
INDEX = index_of(CLUSTER)


def case(name: str, qtypes: str, *lines: str) -> tuple[str, str, str]:
    return name, qtypes, "\n".join(lines)


ANY_TYPE = "A AAAA SRV CNAME PTR TXT MX NS SOA ANY HTTPS DS NAPTR TYPE65280"
BUT_A = ANY_TYPE.removeprefix("A ")
BUT_ADDRESSES = ANY_TYPE.removeprefix("A AAAA ")
BUT_ADDRESSES_AND_SRV = ANY_TYPE.removeprefix("A AAAA SRV ")
WEB, DUAL, DB = f"web.{SHOP}", f"dual.{SHOP}", f"db.{SHOP}"
PTR = "in-addr.arpa."

CASES = {
    "1.3 outside of all zones": case("www.example.com", "A SOA", "NOT OURS"),
    "1.3 the root": case(".", "NS", "NOT OURS"),
    "1.3 ends like the zone, within a label": case("xcluster.local", "A", "NOT OURS"),
    "1.4 any other label right before the zone": case("foo.cluster.local", ANY_TYPE, "NXDOMAIN"),
    "1.4 too many labels": case(f"a.b.c.{WEB}", ANY_TYPE, "NXDOMAIN"),
    "1.4 underscores are optional": case(f"http.tcp.{WEB}", "A", f"http.tcp.{WEB} 5 A 10.96.1.1"),
    "1.4 any port": case(
        f"_._tcp.unnamed.{SHOP}",
        "SRV",
        f"_._tcp.unnamed.{SHOP} 5 SRV 0 100 8080 unnamed.{SHOP}",
        f"+ unnamed.{SHOP} 5 A 10.96.1.3",
    ),
    "1.4 any protocol": case(f"_http._.{WEB}", "A", f"_http._.{WEB} 5 A 10.96.1.1"),
    "1.4 any of both is the Service": case(
        f"_._.portless.{SHOP}", "A", f"_._.portless.{SHOP} 5 A 10.96.1.4"
    ),
    "1.4 any port of a protocol, where there is none": case(
        f"_._tcp.portless.{SHOP}", ANY_TYPE, "NXDOMAIN"
    ),
    "1.4 a Service called svc": case(f"svc.{SHOP}", "A", f"svc.{SHOP} 5 A 10.96.10.1"),
    "1.5 D1 SOA of a name that does not exist": case(f"nope.{SHOP}", "SOA", "NXDOMAIN"),
    "1.6.1 SOA": case("cluster.local", "SOA", SOA),
    "1.6.1 SOA of a reverse zone": case(
        "IN-ADDR.arpa",
        "SOA",
        "IN-ADDR.arpa. 5 SOA ns.dns.IN-ADDR.arpa. hostmaster.IN-ADDR.arpa. "
        "1700000000 7200 1800 86400 5",
    ),
    "1.6.3 D1 ns.dns with other types": case("ns.dns.cluster.local", BUT_ADDRESSES, "NODATA"),
    "1.6.3 D2 dns": case("dns.cluster.local", ANY_TYPE, "NODATA"),
    "1.6.3 others below dns": case("x.dns.cluster.local", ANY_TYPE, "NXDOMAIN"),
    "1.6.3 below ns.dns": case("x.ns.dns.cluster.local", ANY_TYPE, "NXDOMAIN"),
    "1.6.4 dns-version": case(
        "DNS-Version.cluster.local", "TXT", 'DNS-Version.cluster.local. 28800 TXT "1.1.0"'
    ),
    "1.6.4 D1 dns-version with other types": case(
        "dns-version.cluster.local", ANY_TYPE.replace(" TXT", ""), "NODATA"
    ),
    "1.6.4 below dns-version": case("x.dns-version.cluster.local", ANY_TYPE, "NXDOMAIN"),
    "1.6.4 of a reverse zone": case(
        "dns-version.ip6.arpa", "TXT", 'dns-version.ip6.arpa. 28800 TXT "1.1.0"'
    ),
    "1.6.5 D1 apex with other types": case(
        "cluster.local", ANY_TYPE.replace(" NS SOA", ""), "NODATA"
    ),
    "1.6.6 svc": case("svc.cluster.local", ANY_TYPE, "NODATA"),
    "1.6.6 pod": case("pod.cluster.local", ANY_TYPE, "NODATA"),
    "1.6.6 namespace": case(SHOP, ANY_TYPE, "NODATA"),
    "1.6.6 namespace of pods": case(f"shop.pod.{Z}", ANY_TYPE, "NODATA"),
    "1.6.6 no such namespace": case(f"nowhere.svc.{Z}", ANY_TYPE, "NXDOMAIN"),
    "1.6.6 no such namespace of pods": case(f"nowhere.pod.{Z}", ANY_TYPE, "NXDOMAIN"),
    "1.6.6 D2 a protocol with ports": case(f"_tcp.{WEB}", ANY_TYPE, "NODATA"),
    "1.6.6 D2 without underscore": case(f"tcp.{WEB}", ANY_TYPE, "NODATA"),
    "1.6.6 D2 any protocol": case(f"_.{WEB}", ANY_TYPE, "NODATA"),
    "1.6.6 D2 a protocol without ports": case(f"_udp.{WEB}", ANY_TYPE, "NXDOMAIN"),
    "1.6.6 D2 of a headless Service": case(f"_tcp.{DB}", ANY_TYPE, "NODATA"),
    "1.6.6 D2 of a headless Service without endpoints": case(
        f"_tcp.unready.{SHOP}", ANY_TYPE, "NXDOMAIN"
    ),
    "1.7.1 IPv4": case(WEB, "A", f"{WEB} 5 A 10.96.1.1"),
    "1.7.1 IPv4 has no AAAA": case(WEB, "AAAA", "NODATA"),
    "1.7.1 IPv6": case(f"six.{SHOP}", "AAAA", f"six.{SHOP} 5 AAAA fd00:96::1"),
    "1.7.1 IPv6 has no A": case(f"six.{SHOP}", "A", "NODATA"),
    "1.7.1 dual-stack A": case(DUAL, "A", f"{DUAL} 5 A 10.96.2.1"),
    "1.7.1 dual-stack AAAA": case(DUAL, "AAAA", f"{DUAL} 5 AAAA fd00:96::2:1"),
    "1.7.1 no ports": case(f"portless.{SHOP}", "A", f"portless.{SHOP} 5 A 10.96.1.4"),
    "1.7.1 no such port": case(f"_nope._tcp.{WEB}", ANY_TYPE, "NXDOMAIN"),
    "1.7.1 no such protocol": case(f"_http._udp.{WEB}", ANY_TYPE, "NXDOMAIN"),
    "1.7.1 no such Service": case(f"nope.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.7.1 a Service in no namespace": case(f"lost.nowhere.svc.{Z}", ANY_TYPE, "NXDOMAIN"),
    "1.7.2 SRV": case(WEB, "SRV", f"{WEB} 5 SRV 0 100 80 {WEB}", f"+ {WEB} 5 A 10.96.1.1"),
    "1.7.2 ports compared without case": case(
        f"_http-alt._TCP.mixed.{SHOP}",
        "SRV",
        f"_http-alt._TCP.mixed.{SHOP} 5 SRV 0 100 82 mixed.{SHOP}",
        f"+ mixed.{SHOP} 5 A 10.96.1.5",
    ),
    "1.7.2 a port without protocol has no _tcp name": case(
        f"_odd._tcp.mixed.{SHOP}", ANY_TYPE, "NXDOMAIN"
    ),
    "1.7.2 one record a target and port, the weight counts all": case(
        f"kube-dns.kube-system.svc.{Z}",
        "SRV",
        f"kube-dns.kube-system.svc.{Z} 5 SRV 0 33 53 kube-dns.kube-system.svc.{Z}",
        f"kube-dns.kube-system.svc.{Z} 5 SRV 0 33 9153 kube-dns.kube-system.svc.{Z}",
        f"+ kube-dns.kube-system.svc.{Z} 5 A 10.96.0.10",
    ),
    "1.7.2 dual-stack counts both families": case(
        DUAL,
        "SRV",
        f"{DUAL} 5 SRV 0 50 80 {DUAL}",
        f"+ {DUAL} 5 A 10.96.2.1",
        f"+ {DUAL} 5 AAAA fd00:96::2:1",
    ),
    "1.7.2 no ports": case(f"portless.{SHOP}", "SRV", "NODATA"),
    "1.7.3 other types": case(WEB, BUT_ADDRESSES_AND_SRV, "NODATA"),
    "1.7.4 endpoint": case(
        f"172-0-0-9.backed.{SHOP}", "A", f"172-0-0-9.backed.{SHOP} 5 A 172.0.0.9"
    ),
    "1.7.4 endpoint SRV": case(
        f"named.backed.{SHOP}",
        "SRV",
        f"named.backed.{SHOP} 5 SRV 0 100 8080 Named.backed.{SHOP}",
        f"+ Named.backed.{SHOP} 5 A 172.0.0.10",
    ),
    "1.7.4 the dashed name of one with a hostname": case(
        f"172-0-0-10.backed.{SHOP}", ANY_TYPE, "NXDOMAIN"
    ),
    "1.8.2 A": case(DB, "A", f"{DB} 5 A 10.1.0.1", f"{DB} 5 A 10.1.0.2"),
    "1.8.2 the other family": case(DB, "AAAA", "NODATA"),
    "1.8.2 other types": case(DB, BUT_ADDRESSES_AND_SRV, "NODATA"),
    "1.8.2 no slice": case(f"empty.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.8.2 none ready": case(f"unready.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.8.2 SRV": case(
        f"_sql._tcp.{DB}",
        "SRV",
        f"_sql._tcp.{DB} 5 SRV 0 50 5432 db-0.{DB}",
        f"_sql._tcp.{DB} 5 SRV 0 50 5432 db-1.{DB}",
        f"+ db-0.{DB} 5 A 10.1.0.1",
        f"+ db-1.{DB} 5 A 10.1.0.2",
    ),
    "1.8.2 a port of the Service that no slice has": case(f"_http._tcp.{DB}", ANY_TYPE, "NXDOMAIN"),
    "1.8.2 both families, one hostname": case(
        f"both.{SHOP}",
        "SRV",
        f"both.{SHOP} 5 SRV 0 25 80 a.both.{SHOP}",
        f"both.{SHOP} 5 SRV 0 25 80 10-1-1-2.both.{SHOP}",
        f"both.{SHOP} 5 SRV 0 25 80 fd00-1--0.both.{SHOP}",
        f"+ a.both.{SHOP} 5 A 10.1.1.1",
        f"+ 10-1-1-2.both.{SHOP} 5 A 10.1.1.2",
        f"+ a.both.{SHOP} 5 AAAA fd00::1:1",
        f"+ fd00-1--0.both.{SHOP} 5 AAAA fd00:1::",
    ),
    "1.8.2 D15 an address in two slices": case(
        f"doubled.{SHOP}",
        "SRV",
        f"doubled.{SHOP} 5 SRV 0 50 80 10-1-2-1.doubled.{SHOP}",
        f"doubled.{SHOP} 5 SRV 0 50 80 10-1-2-2.doubled.{SHOP}",
        f"+ 10-1-2-1.doubled.{SHOP} 5 A 10.1.2.1",
        f"+ 10-1-2-2.doubled.{SHOP} 5 A 10.1.2.2",
    ),
    "1.8.2 A of an address in two slices": case(
        f"doubled.{SHOP}", "A", f"doubled.{SHOP} 5 A 10.1.2.1", f"doubled.{SHOP} 5 A 10.1.2.2"
    ),
    "1.8.2 three addresses of one hostname": case(
        f"same.{SHOP}",
        "SRV",
        f"same.{SHOP} 5 SRV 0 33 80 same.same.{SHOP}",
        f"+ same.same.{SHOP} 5 A 10.1.3.1",
        f"+ same.same.{SHOP} 5 A 10.1.3.2",
        f"+ same.same.{SHOP} 5 A 10.1.3.3",
    ),
    "1.8.2 slices with other ports": case(
        f"_http._tcp.differs.{SHOP}",
        "SRV",
        f"_http._tcp.differs.{SHOP} 5 SRV 0 50 8001 10-1-4-1.differs.{SHOP}",
        f"_http._tcp.differs.{SHOP} 5 SRV 0 50 8002 10-1-4-2.differs.{SHOP}",
        f"+ 10-1-4-1.differs.{SHOP} 5 A 10.1.4.1",
        f"+ 10-1-4-2.differs.{SHOP} 5 A 10.1.4.2",
    ),
    "1.8.2 a port of one slice only": case(
        f"_extra._udp.differs.{SHOP}", "A", f"_extra._udp.differs.{SHOP} 5 A 10.1.4.2"
    ),
    "1.8.2 a slice without ports": case(f"no-ports.{SHOP}", "SRV", "NODATA"),
    "1.8.2 a slice without ports, A": case(
        f"no-ports.{SHOP}", "A", f"no-ports.{SHOP} 5 A 10.1.5.1"
    ),
    "1.8.2 a port without number counts, port 0 is shown": case(
        f"nil-port.{SHOP}",
        "SRV",
        f"nil-port.{SHOP} 5 SRV 0 50 0 10-1-5-2.nil-port.{SHOP}",
        f"+ 10-1-5-2.nil-port.{SHOP} 5 A 10.1.5.2",
    ),
    "1.8.3 hostname": case(f"DB-0.{DB}", "A", f"DB-0.{DB} 5 A 10.1.0.1"),
    "1.8.3 hostname, other family": case(f"db-0.{DB}", "AAAA", "NODATA"),
    "1.8.3 no such endpoint": case(f"db-2.{DB}", ANY_TYPE, "NXDOMAIN"),
    "1.8.3 all addresses of a hostname": case(
        f"same.same.{SHOP}", "A", *(f"same.same.{SHOP} 5 A 10.1.3.{n}" for n in (1, 2, 3))
    ),
    "1.8.3 endpoint SRV counts its own": case(
        f"a.both.{SHOP}",
        "SRV",
        f"a.both.{SHOP} 5 SRV 0 50 80 a.both.{SHOP}",
        f"+ a.both.{SHOP} 5 A 10.1.1.1",
        f"+ a.both.{SHOP} 5 AAAA fd00::1:1",
    ),
    "1.8.3 IPv6 that ends in a colon": case(
        f"fd00-1--0.both.{SHOP}", "AAAA", f"fd00-1--0.both.{SHOP} 5 AAAA fd00:1::"
    ),
    "1.8.3 IPv6 without the zero": case(f"fd00-1--.both.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.8.3 D20 as the API spells it": case(
        f"fd00--ab.spelled.{SHOP}", "AAAA", f"fd00--ab.spelled.{SHOP} 5 AAAA fd00::ab"
    ),
    "1.8.3 not canonical": case(
        f"fd00-0--ac.spelled.{SHOP}", "AAAA", f"fd00-0--ac.spelled.{SHOP} 5 AAAA fd00::ac"
    ),
    "1.8.3 leading dashes stay": case(
        f"--6-1-2.spelled.{SHOP}", "AAAA", f"--6-1-2.spelled.{SHOP} 5 AAAA ::6:1:2"
    ),
    "1.9 CNAME, out of the zone": case(
        f"outside.{SHOP}", "CNAME", f"outside.{SHOP} 5 CNAME www.example.com."
    ),
    "1.9 A, out of the zone": case(
        f"outside.{SHOP}", "A", f"outside.{SHOP} 5 CNAME www.example.com.", "-> www.example.com."
    ),
    "1.9 D34 other types": case(
        f"outside.{SHOP}",
        BUT_ADDRESSES,
        f"outside.{SHOP} 5 CNAME www.example.com.",
    ),
    "1.9 the target's letters stay, ports say nothing": case(
        f"capitals.{SHOP}",
        "AAAA",
        f"capitals.{SHOP} 5 CNAME WWW.Example.COM.",
        "-> WWW.Example.COM.",
    ),
    "1.9 nothing below": case(f"x.outside.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.9 no ports": case(f"_http._tcp.capitals.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.9 in the zone": case(
        f"inside.{SHOP}",
        "A",
        f"inside.{SHOP} 5 CNAME Web.Shop.svc.Cluster.Local.",
        "Web.Shop.svc.Cluster.Local. 5 A 10.96.1.1",
    ),
    "1.9 D34 in the zone, not that family": case(
        f"inside.{SHOP}", "AAAA", f"inside.{SHOP} 5 CNAME Web.Shop.svc.Cluster.Local."
    ),
    "1.9 to a dual-stack Service": case(
        f"to-dual.{SHOP}", "AAAA", f"to-dual.{SHOP} 5 CNAME {DUAL}", f"{DUAL} 5 AAAA fd00:96::2:1"
    ),
    "1.9 D34 SRV is not followed": case(
        f"to-dual.{SHOP}", "SRV TXT ANY", f"to-dual.{SHOP} 5 CNAME {DUAL}"
    ),
    "1.9 to a port": case(
        f"to-port.{SHOP}",
        "A",
        f"to-port.{SHOP} 5 CNAME _http._tcp.{WEB}",
        f"_http._tcp.{WEB} 5 A 10.96.1.1",
    ),
    "1.9 D34 to the apex": case(f"to-apex.{SHOP}", "A", f"to-apex.{SHOP} 5 CNAME cluster.local."),
    "1.9 D34 dead": case(f"dead.{SHOP}", "A AAAA MX", f"dead.{SHOP} 5 CNAME nope.{SHOP}"),
    "1.9 D34 below itself": case(
        f"dead-child.{SHOP}", "A", f"dead-child.{SHOP} 5 CNAME x.dead-child.{SHOP}"
    ),
    "1.9 itself": case(f"itself.{SHOP}", "A CNAME", f"itself.{SHOP} 5 CNAME ITSELF.{SHOP}"),
    "1.9 loop": case(
        f"loop-a.{SHOP}",
        "A",
        f"loop-a.{SHOP} 5 CNAME loop-b.{SHOP}",
        f"loop-b.{SHOP} 5 CNAME loop-a.{SHOP}",
    ),
    "1.9 through the zone and out": case(
        f"hop.{SHOP}",
        "A",
        f"hop.{SHOP} 5 CNAME outside.{SHOP}",
        f"outside.{SHOP} 5 CNAME www.example.com.",
        "-> www.example.com.",
    ),
    "1.9 ten more CNAMEs behind the first": case(
        f"chain-2.{SHOP}",
        "A",
        *(f"chain-{n}.{SHOP} 5 CNAME chain-{n + 1}.{SHOP}" for n in range(2, 12)),
        f"chain-12.{SHOP} 5 CNAME {WEB}",
        f"{WEB} 5 A 10.96.1.1",
    ),
    "1.9 eleven": case(
        f"chain-1.{SHOP}",
        "A",
        *(f"chain-{n}.{SHOP} 5 CNAME chain-{n + 1}.{SHOP}" for n in range(1, 12)),
    ),
    "1.9 an address": case(f"address.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.9 an IPv6 address": case(f"address-six.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.9 D19 no domain name": case(f"broken.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.9 D19 not ASCII": case(f"non-ascii.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.10.2 IPv4": case(f"10-240-0-1.shop.pod.{Z}", "A", f"10-240-0-1.shop.pod.{Z} 5 A 10.240.0.1"),
    "1.10.2 IPv4, other types": case(
        f"10-240-0-1.shop.pod.{Z}", ANY_TYPE.replace("A AAAA SRV", "AAAA"), "NODATA"
    ),
    "1.10.2 IPv6": case(f"fd00--1.shop.pod.{Z}", "AAAA", f"fd00--1.shop.pod.{Z} 5 AAAA fd00::1"),
    "1.10.2 IPv6 has no A": case(f"fd00--1.shop.pod.{Z}", "A", "NODATA"),
    "1.10.2 eight groups": case(
        f"1-2-3-4-5-6-7-8.shop.pod.{Z}",
        "AAAA",
        f"1-2-3-4-5-6-7-8.shop.pod.{Z} 5 AAAA 1:2:3:4:5:6:7:8",
    ),
    "1.10.2 mapped is IPv4": case(
        f"--ffff-a00-1.shop.pod.{Z}", "A", f"--ffff-a00-1.shop.pod.{Z} 5 A 10.0.0.1"
    ),
    "1.10.2 ffff in another place": case(
        f"--ffff-10-0-0-1.shop.pod.{Z}",
        "AAAA",
        f"--ffff-10-0-0-1.shop.pod.{Z} 5 AAAA ::ffff:10:0:0:1",
    ),
    "1.10.2 one label in front": case(
        f"foo.10-240-0-1.shop.pod.{Z}", "A", f"foo.10-240-0-1.shop.pod.{Z} 5 A 10.240.0.1"
    ),
    "1.10.2 two labels in front": case(
        f"a.b.10-240-0-1.shop.pod.{Z}", "A", f"a.b.10-240-0-1.shop.pod.{Z} 5 A 10.240.0.1"
    ),
    "1.10.2 three labels in front": case(f"a.b.c.10-0-0-1.shop.pod.{Z}", ANY_TYPE, "NXDOMAIN"),
    "1.10.2 SRV": case(
        f"foo.10-240-0-1.shop.pod.{Z}",
        "SRV",
        f"foo.10-240-0-1.shop.pod.{Z} 5 SRV 0 100 0 10-240-0-1.shop.pod.{Z}",
        f"+ 10-240-0-1.shop.pod.{Z} 5 A 10.240.0.1",
    ),
    "1.10.2 no such namespace": case(f"10-240-0-1.nowhere.pod.{Z}", ANY_TYPE, "NXDOMAIN"),
    **{
        f"1.10.2 no address: {label}": case(f"{label}.shop.pod.{Z}", ANY_TYPE, "NXDOMAIN")
        for label in (
            "10-240-0-256",
            "010-1-1-1",
            "10-240-0",
            "abc",
            "fd00--1%1",
            "1-2-3-4-5-6-7-8--",
            "12345--",
        )
    },
    "1.11 cluster IP": case(f"1.1.96.10.{PTR}", "PTR", f"1.1.96.10.{PTR} 5 PTR {WEB}"),
    "1.11 letters as asked": case(
        "1.1.96.10.IN-Addr.ARPA", "PTR", f"1.1.96.10.IN-Addr.ARPA. 5 PTR {WEB}"
    ),
    "1.11 D3 other types": case(f"1.1.96.10.{PTR}", ANY_TYPE.replace(" PTR", ""), "NODATA"),
    "1.11 D21 two Services with an address, D22 one in no namespace": case(
        f"1.3.96.10.{PTR}",
        "PTR",
        f"1.3.96.10.{PTR} 5 PTR twin-a.{SHOP}",
        f"1.3.96.10.{PTR} 5 PTR twin-b.kube-system.svc.{Z}",
    ),
    "1.11 endpoint": case(f"1.0.1.10.{PTR}", "PTR", f"1.0.1.10.{PTR} 5 PTR db-0.{DB}"),
    "1.11 one for each Service": case(
        f"1.7.1.10.{PTR}",
        "PTR",
        f"1.7.1.10.{PTR} 5 PTR 10-1-7-1.owner-a.{SHOP}",
        f"1.7.1.10.{PTR} 5 PTR b-0.owner-b.{SHOP}",
    ),
    "1.11 unknown": case(f"1.2.3.4.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 D22 a Service in no namespace": case(f"1.9.96.10.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 D19 a slice without a Service": case(f"9.7.1.10.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 a Service whose name is no label": case(f"2.10.96.10.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 incomplete": case(f"1.96.10.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 leading zero": case(f"01.1.96.10.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 no octet": case(f"256.1.96.10.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 too many labels": case(f"x.1.1.96.10.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.11 PTR in the forward zone": case(WEB, "PTR", "NODATA"),
    "1.11 no names of Services below a reverse zone": case(
        f"web.shop.svc.{PTR}", ANY_TYPE, "NXDOMAIN"
    ),
    "1.11 no svc below a reverse zone": case(f"svc.{PTR}", ANY_TYPE, "NXDOMAIN"),
    "1.12 no wildcards": case(f"*.{SHOP}", ANY_TYPE, "NXDOMAIN"),
    "1.12 no wildcards for endpoints": case(f"*.{DB}", ANY_TYPE, "NXDOMAIN"),
    "1.13 letters as asked, names as in the API": case(
        "WEB.Shop.SVC.Cluster.LOCAL",
        "SRV",
        "WEB.Shop.SVC.Cluster.LOCAL. 5 SRV 0 100 80 web.shop.svc.Cluster.LOCAL.",
        "+ web.shop.svc.Cluster.LOCAL. 5 A 10.96.1.1",
    ),
}


@pytest.mark.parametrize(("name", "qtypes", "expected"), CASES.values(), ids=CASES)
def test_answers(name: str, qtypes: str, expected: str) -> None:
    lookup = Lookup(INDEX, options(pods="insecure"))
    for qtype in qtypes.split():
        assert ask(lookup, name, qtype) == expected, qtype


def nibbles(text: str) -> str:
    return ipaddress.IPv6Address(text).reverse_pointer + "."


SIX = nibbles("fd00:96::1")
REVERSE_SIX = {
    "1.11 IPv6 cluster IP": (SIX, f"{SIX} 5 PTR six.{SHOP}"),
    "1.11 IPv6 endpoint": (
        nibbles("fd00:1::"),
        f"{nibbles('fd00:1::')} 5 PTR fd00-1--0.both.{SHOP}",
    ),
    "1.11 D20 IPv6, spelled in another way": (
        nibbles("fd00::ac"),
        f"{nibbles('fd00::ac')} 5 PTR fd00-0--ac.spelled.{SHOP}",
    ),
    "1.11 upper-case nibbles": (SIX.upper(), f"{SIX.upper()} 5 PTR six.{SHOP}"),
    "1.11 mapped IPv6 is IPv4": (
        nibbles("::ffff:10.96.1.1"),
        f"{nibbles('::ffff:10.96.1.1')} 5 PTR {WEB}",
    ),
    "7.1, 33c: labels in front": (f"a.b.c.{SIX}", f"a.b.c.{SIX} 5 PTR six.{SHOP}"),
    "7.1, 33c: four labels in front": (f"a.b.c.d.{SIX}", "NXDOMAIN"),
    "1.11 31 nibbles": (SIX[2:], "NXDOMAIN"),
    "1.11 no nibble": (f"x{SIX[1:]}", "NXDOMAIN"),
    "1.11 two digits": (f"{SIX[0]}{SIX}", "NXDOMAIN"),
}


@pytest.mark.parametrize(("name", "expected"), REVERSE_SIX.values(), ids=REVERSE_SIX)
def test_reverse_ipv6(name: str, expected: str) -> None:
    assert ask(Lookup(INDEX, options()), name, "PTR") == expected


def given(
    chosen: ZoneOptions, name: str, qtypes: str, *lines: str
) -> tuple[ZoneOptions, str, str, str]:
    return chosen, name, qtypes, "\n".join(lines)


EVERY_OPTION = {
    "1.10.1 disabled": given(options(), f"10-240-0-1.shop.pod.{Z}", ANY_TYPE, "NXDOMAIN"),
    "1.10.1 disabled, namespace": given(options(), f"shop.pod.{Z}", ANY_TYPE, "NXDOMAIN"),
    "1.10.1 disabled, pod": given(options(), f"pod.{Z}", ANY_TYPE, "NODATA"),
    "1.10.3 verified": given(
        options(pods="verified"),
        f"10-244-20-1.shop.pod.{Z}",
        "A",
        f"10-244-20-1.shop.pod.{Z} 5 A 10.244.20.1",
    ),
    "1.10.3 verified IPv6": given(
        options(pods="verified"),
        f"fd00-244--1.shop.pod.{Z}",
        "AAAA",
        f"fd00-244--1.shop.pod.{Z} 5 AAAA fd00:244::1",
    ),
    "1.10.3 not canonical": given(
        options(pods="verified"),
        f"fd00-244-0--1.shop.pod.{Z}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.10.3 mapped": given(
        options(pods="verified"),
        f"--ffff-af4-1401.shop.pod.{Z}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.10.3 in another namespace": given(
        options(pods="verified"),
        f"10-244-20-2.shop.pod.{Z}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.10.3 no such pod": given(
        options(pods="verified"),
        f"10-244-20-9.shop.pod.{Z}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.16 namespaces, exposed": given(
        options(namespaces=frozenset({"shop"})),
        WEB,
        "A",
        f"{WEB} 5 A 10.96.1.1",
    ),
    "1.16 namespaces, hidden": given(
        options(namespaces=frozenset({"shop"})),
        f"kube-dns.kube-system.svc.{Z}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.16 namespaces, hidden itself": given(
        options(namespaces=frozenset({"shop"})),
        f"kube-system.svc.{Z}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.16 namespaces, listed but missing": given(
        options(namespaces=frozenset({"nowhere"})),
        f"lost.nowhere.svc.{Z}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.16 namespaces, PTR": given(
        options(namespaces=frozenset({"kube-system"})),
        f"1.3.96.10.{PTR}",
        "PTR",
        f"1.3.96.10.{PTR} 5 PTR twin-b.kube-system.svc.{Z}",
    ),
    "1.11 an exposed endpoint behind a hidden Service's address": given(
        options(namespaces=frozenset({"shop"})),
        f"1.1.96.10.{PTR}",
        "PTR",
        f"1.1.96.10.{PTR} 5 PTR {WEB}",
    ),
    "1.16 noendpoints, headless": given(options(noendpoints=True), DB, ANY_TYPE, "NXDOMAIN"),
    "1.16 noendpoints, endpoint": given(
        options(noendpoints=True),
        f"172-0-0-9.backed.{SHOP}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.16 noendpoints, PTR": given(
        options(noendpoints=True),
        f"1.0.1.10.{PTR}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.16 noendpoints, cluster IP": given(
        options(noendpoints=True),
        WEB,
        "A",
        f"{WEB} 5 A 10.96.1.1",
    ),
    "1.16 ignore empty_service": given(options(ignore_empty=True), WEB, ANY_TYPE, "NXDOMAIN"),
    "1.16 ignore empty_service, below": given(
        options(ignore_empty=True),
        f"_http._tcp.{WEB}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.16 ignore empty_service, with endpoints": given(
        options(ignore_empty=True),
        f"backed.{SHOP}",
        "A",
        f"backed.{SHOP} 5 A 10.96.4.1",
    ),
    "1.16 ignore empty_service, ExternalName": given(
        options(ignore_empty=True),
        f"outside.{SHOP}",
        "CNAME",
        f"outside.{SHOP} 5 CNAME www.example.com.",
    ),
    "1.16 ignore empty_service and noendpoints": given(
        options(ignore_empty=True, noendpoints=True),
        f"backed.{SHOP}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.8.3 endpoint_pod_names": given(
        options(endpoint_pod_names=True),
        f"pod-a.podnames.{SHOP}",
        "A",
        f"pod-a.podnames.{SHOP} 5 A 10.1.6.1",
    ),
    "1.8.3 endpoint_pod_names, the dashed name": given(
        options(endpoint_pod_names=True),
        f"10-1-6-1.podnames.{SHOP}",
        ANY_TYPE,
        "NXDOMAIN",
    ),
    "1.8.3 endpoint_pod_names, 64 octets": given(
        options(endpoint_pod_names=True),
        f"10-1-6-2.podnames.{SHOP}",
        "A",
        f"10-1-6-2.podnames.{SHOP} 5 A 10.1.6.2",
    ),
    "1.8.3 endpoint_pod_names, a hostname goes first": given(
        options(endpoint_pod_names=True),
        f"host.podnames.{SHOP}",
        "A",
        f"host.podnames.{SHOP} 5 A 10.1.6.4",
    ),
    "1.8.3 endpoint_pod_names, dots are labels": given(
        options(endpoint_pod_names=True),
        f"3.6.1.10.{PTR}",
        "PTR",
        f"3.6.1.10.{PTR} 5 PTR with.dots.podnames.{SHOP}",
    ),
    "1.8.3 without endpoint_pod_names": given(
        options(),
        f"10-1-6-1.podnames.{SHOP}",
        "A",
        f"10-1-6-1.podnames.{SHOP} 5 A 10.1.6.1",
    ),
    "1.14 ttl": given(options(ttl=3600), WEB, "A", f"{WEB} 3600 A 10.96.1.1"),
    "1.14 ttl of the SOA": given(
        options(ttl=3600),
        Z,
        "SOA",
        f"{Z} 300 SOA ns.dns.{Z} hostmaster.{Z} 1700000000 7200 1800 86400 3600",
    ),
    "1.14 ttl 0": given(
        options(ttl=0),
        Z,
        "SOA",
        f"{Z} 0 SOA ns.dns.{Z} hostmaster.{Z} 1700000000 7200 1800 86400 0",
    ),
    "1.3 the longest zone": given(
        options("cluster.local svc.cluster.local"),
        f"web.shop.svc.{Z}",
        "A",
        "NXDOMAIN",
    ),
    "1.3 the longest zone, its names": given(
        options("cluster.local svc.cluster.local"),
        f"web.shop.svc.svc.{Z}",
        "A",
        f"web.shop.svc.svc.{Z} 5 A 10.96.1.1",
    ),
    "1.9 another of our zones is chased through the server": given(
        options("other.test svc.cluster.local"),
        "to-dual.shop.svc.other.test",
        "A",
        f"to-dual.shop.svc.other.test. 5 CNAME {DUAL}",
        f"-> {DUAL}",
    ),
    "1.3 a CIDR's zone": given(
        options("cluster.local 96.10.in-addr.arpa"),
        f"1.1.96.10.{PTR}",
        "PTR",
        f"1.1.96.10.{PTR} 5 PTR {WEB}",
    ),
    "1.3 outside of a CIDR's zone": given(
        options("cluster.local 96.10.in-addr.arpa"),
        f"1.0.1.10.{PTR}",
        "PTR",
        "NOT OURS",
    ),
    "1.3 D12 a reverse zone first": given(
        options("in-addr.arpa cluster.local"),
        f"1.1.96.10.{PTR}",
        "PTR",
        f"1.1.96.10.{PTR} 5 PTR {WEB}",
    ),
    "1.3 the first of several forward zones": given(
        options("in-addr.arpa Second.Test cluster.local"),
        f"1.1.96.10.{PTR}",
        "PTR",
        f"1.1.96.10.{PTR} 5 PTR web.shop.svc.second.test.",
    ),
    "1.3 no forward zone at all": given(
        options("in-addr.arpa"),
        f"1.1.96.10.{PTR}",
        "PTR",
        f"1.1.96.10.{PTR} 5 PTR web.shop.svc.in-addr.arpa.",
    ),
    "1.3 a root zone": given(options("."), "web.shop.svc", "A", "web.shop.svc. 5 A 10.96.1.1"),
    "1.3 a root zone, D12 PTR": given(
        options("."),
        f"1.1.96.10.{PTR}",
        "PTR",
        f"1.1.96.10.{PTR} 5 PTR web.shop.svc.",
    ),
    "1.3 a root zone, apex": given(
        options("."),
        ".",
        "SOA",
        ". 5 SOA ns.dns. hostmaster. 1700000000 7200 1800 86400 5",
    ),
    "1.3 a root zone, incomplete reverse name": given(options("."), PTR, ANY_TYPE, "NXDOMAIN"),
}


@pytest.mark.parametrize(
    ("chosen", "name", "qtypes", "expected"),
    EVERY_OPTION.values(),
    ids=EVERY_OPTION,
)
def test_options(chosen: ZoneOptions, name: str, qtypes: str, expected: str) -> None:
    lookup = Lookup(INDEX, chosen)
    for qtype in qtypes.split():
        assert ask(lookup, name, qtype) == expected, qtype


LABELS_THAT_MATCH_NOTHING = {
    "1.4 a dot in a label": (b"with.dots", b"podnames", b"shop", b"svc"),
    "1.4 not ASCII": ("bücher".encode(), b"shop", b"svc"),
    "1.4 a zero octet": (b"web\0", b"shop", b"svc"),
    "1.4 dots in a pod's label": (b"10.0.0.1", b"shop", b"pod"),
    "1.4 one label for two": (b"shop.svc",),
    "1.4 a space among nibbles": (b" ", *(b"0",) * 31, b"ip6", b"arpa"),
}


@pytest.mark.parametrize("below", LABELS_THAT_MATCH_NOTHING.values(), ids=LABELS_THAT_MATCH_NOTHING)
def test_labels_that_match_nothing(below: tuple[bytes, ...]) -> None:
    lookup = Lookup(INDEX, options(pods="insecure", endpoint_pod_names=True))
    name = below if below[-1] == b"arpa" else (*below, b"cluster", b"local")
    assert described(lookup.find(name, 1)) == "NXDOMAIN"
