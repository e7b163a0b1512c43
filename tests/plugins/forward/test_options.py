import asyncio
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from dns import rdatatype

from clusterdns.plugins.forward import Forward, hostnames
from clusterdns.plugins.forward.options import Options, read
from clusterdns.plugins.forward.targets import Target
from tests.plugins.asking import fault, lines, new_setup, parsed
from tests.plugins.forward.stubs import Asked, reply, silent, upstream, with_rcode
from tests.ports import free_port

PKI = Path(__file__).parent / "pki"


def options_of(text: str, root: str = "") -> tuple[Options, list[str]]:
    setup = new_setup()
    setup.root = root
    (directive,) = lines(text)
    options = read(directive, setup)
    assert setup.faults == []
    return options, [warning.split(": ", 1)[1] for warning in setup.warnings]


def addresses(text: str) -> list[str]:
    return [each.address for each in options_of(text)[0].targets]


ONE = "forward . 127.0.0.1"
OPTIONS: dict[str, dict[str, Any]] = {
    "": {
        "zone": ".",
        "excepted": (),
        "force_tcp": False,
        "prefer_udp": False,
        "expire_s": 10,
        "max_age_s": 0,
        "max_idle_conns": 0,
        "read_timeout_s": 2,
        "max_fails": 2,
        "attempts": 2,
        "health_check_s": 0.5,
        "probe_recursive": True,
        "probe_name": ".",
        "max_concurrent": 0,
        "next_rcodes": frozenset(),
        "next_on_nodata": False,
        "fail_fast": False,
        "failover": frozenset(),
        "source_address": None,
        "context": None,
    },
    "except miek.nl 10.0.0.0/8": {"excepted": ("miek.nl.", "10.in-addr.arpa.")},
    "except a.\n except b.": {"excepted": ("a.", "b.")},
    "force_tcp": {"force_tcp": True},
    "prefer_udp": {"prefer_udp": True},
    "force_tcp\n prefer_udp": {"force_tcp": True, "prefer_udp": True},
    "expire 20s": {"expire_s": 20},
    "expire 0s": {"expire_s": 0},
    "expire 10s\n max_age 10s": {"max_age_s": 10},
    "max_age 0s": {"max_age_s": 0},
    "max_idle_conns 5": {"max_idle_conns": 5},
    "read_timeout 500ms": {"read_timeout_s": 0.5},
    "max_fails 3": {"max_fails": 3},
    "max_fails 0": {"max_fails": 0},
    "max_connect_attempts 0": {"attempts": 0},
    "max_connect_attempts 7": {"attempts": 7},
    "health_check 5s": {"health_check_s": 5, "probe_recursive": True, "probe_name": "."},
    "health_check 0": {"health_check_s": 0},
    "health_check 1s no_rec": {"probe_recursive": False},
    "health_check 1s domain Example.org": {"probe_name": "example.org."},
    "health_check 1s no_rec domain example.org.": {
        "probe_recursive": False,
        "probe_name": "example.org.",
    },
    "max_concurrent 1000": {"max_concurrent": 1000},
    "next NXDOMAIN": {"next_rcodes": frozenset({3})},
    "next servfail refused\n next FormErr": {"next_rcodes": frozenset({1, 2, 5})},
    "next_on_nodata": {"next_on_nodata": True},
    "failfast_all_unhealthy_upstreams": {"fail_fast": True},
    "failover SERVFAIL REFUSED": {"failover": frozenset({2, 5})},
    "source_address 192.0.2.1": {"source_address": "192.0.2.1"},
    "source_address ::ffff:192.0.2.1": {"source_address": "192.0.2.1"},
    "source_address 2001:0db8:0::1": {"source_address": "2001:db8::1"},
    "resolver 10.96.0.10": {},
    "resolver 10.96.0.10:5353 ::1 [::1]:53": {},
    "tls_servername dns": {"context": None},
    "tls": {"context": None},
}


@pytest.mark.parametrize(("block", "expected"), OPTIONS.items(), ids=OPTIONS)
def test_options(block: str, expected: dict[str, Any]) -> None:
    options, warnings = options_of(f"{ONE} {{\n {block}\n}}")
    assert {name: getattr(options, name) for name in expected} == expected
    assert warnings == []


@pytest.mark.parametrize("policy", ["random", "round_robin", "sequential"])
def test_policies_have_their_names(policy: str) -> None:
    assert options_of(f"{ONE} {{\n policy {policy}\n}}")[0].policy(["a"]) == ["a"]


TARGETS = {
    "127.0.0.1": ["127.0.0.1:53"],
    "127.0.0.1:8080": ["127.0.0.1:8080"],
    "dns://127.0.0.1": ["127.0.0.1:53"],
    "dns://127.0.0.1:5353": ["127.0.0.1:5353"],
    "::1": ["[::1]:53"],
    "[::1]": ["[::1]:53"],
    "[2003::1]:53": ["[2003::1]:53"],
    "fe80::1%eth0": ["[fe80::1]:53"],
    "127.0.0.1 127.0.0.1:53 127.0.0.2": ["127.0.0.1:53", "127.0.0.2:53"],
}


@pytest.mark.parametrize(("text", "expected"), TARGETS.items(), ids=TARGETS)
def test_addresses(text: str, expected: list[str]) -> None:
    assert addresses(f"forward . {text}") == expected


TLS_TARGETS = {
    "tls://127.0.0.1": Target("127.0.0.1", 853, True, ""),
    "tls://127.0.0.1:854": Target("127.0.0.1", 854, True, ""),
    "tls://127.0.0.1%example.net": Target("127.0.0.1", 853, True, "example.net"),
    "tls://127.0.0.1%example.net:854": Target("127.0.0.1", 854, True, "example.net"),
    "tls://::1%example.net": Target("::1", 853, True, "example.net"),
    "tls://[::1%example.net]:854": Target("::1", 854, True, "example.net"),
    "tls://[::1%example.net]": Target("::1", 853, True, "example.net"),
    "tls://[2400:3200::1]:853": Target("2400:3200::1", 853, True, ""),
}


@pytest.mark.parametrize(("text", "expected"), TLS_TARGETS.items(), ids=TLS_TARGETS)
def test_tls_addresses(text: str, expected: Target) -> None:
    options, _ = options_of(f"forward . {text}")
    assert options.targets == [expected]
    assert isinstance(options.context, ssl.SSLContext)
    assert options.context.verify_mode is ssl.CERT_REQUIRED
    assert options.context.check_hostname


def https(host: str, port: int, name: str = "") -> Target:
    return Target(host, port, False, name, True)


HTTPS_TARGETS = {
    "https://127.0.0.1": https("127.0.0.1", 443),
    "https://127.0.0.1:8443": https("127.0.0.1", 8443),
    "https://127.0.0.1%example.net": https("127.0.0.1", 443, "example.net"),
    "https://::1": https("::1", 443),
    "https://[::1%example.net]:8443": https("::1", 8443, "example.net"),
}


@pytest.mark.parametrize(("text", "expected"), HTTPS_TARGETS.items(), ids=HTTPS_TARGETS)
def test_https_addresses(text: str, expected: Target) -> None:
    options, warnings = options_of(f"forward . {text} {{\n doh_method GET\n}}")
    assert options.targets == [expected]
    assert options.doh_method == "GET"
    assert isinstance(options.context, ssl.SSLContext)
    assert options.context.check_hostname
    assert warnings == []


def test_one_server_name_for_all() -> None:
    text = "forward . tls://127.0.0.1 127.0.0.2 {\n tls_servername dns\n}"
    assert [each.server_name for each in options_of(text)[0].targets] == ["dns", ""]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [(".", "."), ("Example.ORG", "example.org."), ("10.9.3.0/24", "3.9.10.in-addr.arpa.")],
)
def test_from(zone: str, expected: str) -> None:
    assert options_of(f"forward {zone} 127.0.0.1")[0].zone == expected


def test_of_a_wide_cidr_the_first_zone_counts() -> None:
    options, warnings = options_of("forward 10.9.3.0/18 127.0.0.1")
    assert options.zone == "0.9.10.in-addr.arpa."
    assert warnings == [
        "unsupported CIDR notation: 10.9.3.0/18 expands to 64 zones; "
        "only 0.9.10.in-addr.arpa. is used"
    ]


@pytest.mark.parametrize("port", ["99999", "x", ""])  # 7.5, 28: accepted, and never reached
def test_odd_ports_are_warned_of(port: str) -> None:
    options, warnings = options_of(f"forward . 127.0.0.1:{port}")
    assert [each.host for each in options.targets] == ["127.0.0.1"]
    assert warnings == [f"{port!r} is no port: what it belongs to is never reached"]


def test_odd_ports_of_nameservers_are_warned_of() -> None:
    text = f"{ONE} {{\n resolver 10.0.0.1:abc\n}}"
    assert options_of(text)[1] == ["'abc' is no port: what it belongs to is never reached"]
    text = "forward . dns.test {\n resolver 127.0.0.1:abc\n}"
    assert fault(text).startswith("1:11: failed to resolve 'dns.test': 127.0.0.1#-1: ")


def resolv_conf(folder: Path, text: str) -> str:
    path = folder / "resolv.conf"
    path.write_text(text)
    return str(path)


FILES = {
    "two": (
        "nameserver 10.10.255.252\nnameserver 10.10.255.253",
        ["10.10.255.252:53", "10.10.255.253:53"],
    ),
    "the rest means nothing": (
        "search a.b\noptions ndots:5 rotate\n\tnameserver\t10.0.0.1 10.0.0.9 \nnameserver\n",
        ["10.0.0.1:53"],
    ),
    "comments": ("# nameserver 1.1.1.1\n;nameserver 1.1.1.1\nnameserver 10.0.0.1", ["10.0.0.1:53"]),
    "a scope is cut off": (
        "nameserver 0388:d254:7aec:6892:9f7f:e93b:5806:1b0f%en0",
        ["[388:d254:7aec:6892:9f7f:e93b:5806:1b0f]:53"],
    ),
    "one twice": (
        "nameserver ::1\nnameserver 0::1\nnameserver 127.0.0.53\nnameserver ::1",
        ["[::1]:53", "127.0.0.53:53"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
def test_resolv_conf(tmp_path: Path, text: str, expected: list[str]) -> None:
    path = resolv_conf(tmp_path, text)
    assert addresses(f"forward . {path}") == expected
    assert addresses(f"forward . {path} 127.0.0.1")[-1] == "127.0.0.1:53"


def test_a_file_without_nameservers_is_left_out(tmp_path: Path) -> None:
    path = resolv_conf(tmp_path, "# nameserver 1.1.1.1\n")
    assert addresses(f"forward . {path} 127.0.0.1") == ["127.0.0.1:53"]
    assert fault(f"forward . {path}") == "1:11: no valid upstream addresses found"


def test_a_file_with_a_name_in_it(tmp_path: Path) -> None:
    path = resolv_conf(tmp_path, "nameserver dns.example.org\nnameserver 10.0.0.1\n")
    options, warnings = options_of(f"forward . {path}")
    assert [each.address for each in options.targets] == ["10.0.0.1:53"]
    assert warnings == [f"'dns.example.org' in {path} is no address; it is left out"]


def test_a_file_counts_as_one(tmp_path: Path) -> None:
    path = resolv_conf(tmp_path, "".join(f"nameserver 10.0.0.{n}\n" for n in range(20)))
    assert len(addresses(f"forward . {path}")) == 20


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that the system knows."""
    known = {"dns.example.org": ["10.0.0.1", "fd00::1"], "other.example.org": ["10.0.0.1"]}

    def system(host: str) -> list[str]:
        if host not in known:
            raise OSError("Name or service not known")
        return known[host]

    monkeypatch.setattr(hostnames, "_system", system)


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dns.example.org", ["10.0.0.1:53", "[fd00::1]:53"]),
        ("dns.example.org:5353", ["10.0.0.1:5353", "[fd00::1]:5353"]),
        ("tls://dns.example.org", ["10.0.0.1:853", "[fd00::1]:853"]),
        (
            "10.0.0.2 dns.example.org 10.0.0.3",
            ["10.0.0.2:53", "10.0.0.1:53", "[fd00::1]:53", "10.0.0.3:53"],
        ),
        ("dns.example.org other.example.org", ["10.0.0.1:53", "[fd00::1]:53"]),
    ],
)
def test_host_names(text: str, expected: list[str]) -> None:
    assert addresses(f"forward . {text}") == expected


def test_a_host_name_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"10.0.0.{n}" for n in range(20)]
    monkeypatch.setattr(hostnames, "_system", lambda host: many)
    assert len(addresses("forward . dns.example.org")) == 20
    words = " ".join(f"192.0.2.{n}" for n in range(15))
    expected = "1:166: more than 15 TOs configured: 16"
    assert fault(f"forward . {words} dns.example.org") == expected


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tls://dns.example.org", ""),
        ("tls://dns.example.org%quad.example", "quad.example"),
        ("https://dns.example.org", "dns.example.org"),  # RFC 9110 section 4.3.4
        ("https://dns.example.org%quad.example", "quad.example"),
        ("https://dns.example.org {\n tls_servername quad.example\n}", "quad.example"),
        ("dns.example.org%quad.example", ""),
    ],
)
def test_server_names_of_host_names(text: str, expected: str) -> None:
    options, _ = options_of(f"forward . {text}")
    assert [each.server_name for each in options.targets] == [expected] * 2


FAULTS = {
    "forward": "1:1: forward takes at least 2 arguments",
    "forward .": "1:9: forward takes at least 2 arguments",
    f"forward {'x' * 64} 127.0.0.1": "1:9: ",
    "forward . https://1.1.1.1/": "1:11: paths are not allowed in HTTPS upstream addresses",
    "forward . https://1.1.1.1:443/dns-query": "1:11: paths are not allowed in HTTPS upstream",
    "forward . https://": "1:11: invalid address: 'https://'",
    "forward . https3://1.1.1.1": "1:11: 'https3' is not supported as a destination protocol",
    "forward . grpc://1.1.1.1": "1:11: 'grpc' is not supported as a destination protocol",
    "forward . quic://1.1.1.1": "1:11: 'quic' is not supported as a destination protocol",
    "forward . unix:///run/dns": "1:11: 'unix' is not supported as a destination protocol",
    "forward . tls://": "1:11: invalid address: 'tls://'",
    "forward . a27.0.0.1": "1:11: failed to resolve 'a27.0.0.1'",
    "forward . 1.1.1.1 /no/such/file": "1:19: '/no/such/file' is no address, and no file",
    "forward . a..b": "1:11: not an IP address, file, or valid domain: 'a..b'",
    "forward . tls://1.1.1.1%a {\n tls_servername foo\n}": "1:11: both forward ('foo') and proxy",
    "forward . 127.0.0.1 {\n blaatl\n}": "2:2: unknown property 'blaatl' of forward",
    "forward . 127.0.0.1 {\n except\n}": "2:2: except takes at least 1 argument",
    "forward . 127.0.0.1 {\n force_tcp on\n}": "2:12: force_tcp takes no argument",
    "forward . 127.0.0.1 {\n prefer_udp on\n}": "2:13: prefer_udp takes no argument",
    "forward . 127.0.0.1 {\n next_on_nodata 1\n}": "2:17: next_on_nodata takes no argument",
    "forward . 127.0.0.1 {\n failfast_all_unhealthy_upstreams 1\n}": "2:35: failfast_all_unhea",
    "forward . 127.0.0.1 {\n max_fails\n}": "2:2: max_fails takes 1 argument",
    "forward . 127.0.0.1 {\n max_fails -1\n}": "2:12: -1 is no integer of 0 to 4294967295",
    "forward . 127.0.0.1 {\n max_fails 4294967296\n}": "2:12: ",
    "forward . 127.0.0.1 {\n max_connect_attempts x\n}": "2:23: 'x' is no integer",
    "forward . 127.0.0.1 {\n health_check\n}": "2:2: health_check takes at least 1 argument",
    "forward . 127.0.0.1 {\n health_check 5\n}": "2:15: '5' is no duration",
    "forward . 127.0.0.1 {\n health_check -1s\n}": "2:15: -1s is no duration of 0s and up",
    "forward . 127.0.0.1 {\n health_check 1s domain\n}": "2:18: a name is missing behind domain",
    "forward . 127.0.0.1 {\n health_check 1s domain a..b\n}": "2:25: health_check: invalid domain",
    "forward . 127.0.0.1 {\n health_check 1s rec\n}": "2:18: 'rec' is none of no_rec, domain",
    "forward . 127.0.0.1 {\n expire -1s\n}": "2:9: -1s is no duration of 0s and up",
    "forward . 127.0.0.1 {\n max_age -1s\n}": "2:10: -1s is no duration of 0s and up",
    "forward . 127.0.0.1 {\n max_age soon\n}": "2:10: 'soon' is no duration",
    "forward . 127.0.0.1 {\n max_age 10s\n expire 30s\n}": "2:10: max_age (10s) must not be less",
    "forward . 127.0.0.1 {\n max_idle_conns -1\n}": "2:17: -1 is no integer of 0 and up",
    "forward . 127.0.0.1 {\n read_timeout 0s\n}": "2:15: read_timeout must be positive: 0s",
    "forward . 127.0.0.1 {\n read_timeout -1s\n}": "2:15: read_timeout must be positive: -1s",
    "forward . 127.0.0.1 {\n doh_method PUT\n}": "2:13: 'PUT' is none of POST, GET",
    "forward . 127.0.0.1 {\n policy random2\n}": "2:9: 'random2' is none of random, round_robin",
    "forward . 127.0.0.1 {\n max_concurrent many\n}": "2:17: 'many' is no integer",
    "forward . 127.0.0.1 {\n max_concurrent -4\n}": "2:17: -4 is no integer of 0 and up",
    "forward . 127.0.0.1 {\n next\n}": "2:2: next takes at least 1 argument",
    "forward . 127.0.0.1 {\n next NODATA\n}": "2:7: NODATA is not a valid rcode",
    "forward . 127.0.0.1 {\n failover\n}": "2:2: failover takes at least 1 argument",
    "forward . 127.0.0.1 {\n failover SERVFAIL NOPE\n}": "2:20: NOPE is not a valid rcode",
    "forward . 127.0.0.1 {\n failover NOERROR\n}": "2:2: NOERROR cannot be used in failover",
    "forward . 127.0.0.1 {\n resolver\n}": "2:2: resolver takes at least 1 argument",
    "forward . 127.0.0.1 {\n resolver dns.example.org\n}": "2:11: 'dns.example.org' is no IP addr",
    "forward . 127.0.0.1 {\n resolver [::1]\n}": "2:11: '[::1]' is no IP address, with or without",
    "forward . 127.0.0.1 {\n max_fails +3\n}": "2:12: '+3' has a sign",
    "forward . 127.0.0.1 {\n source_address\n}": "2:2: source_address takes 1 argument",
    "forward . 127.0.0.1 {\n source_address not-an-ip\n}": "2:17: 'not-an-ip' is no IP address",
    "forward . 127.0.0.1 {\n tls a b c d\n}": "2:12: tls takes at most 3 arguments",
    "forward . 127.0.0.1 {\n tls /no/ca\n}": "2:6: no CA certificates in /no/ca: No such file",
    "forward . 127.0.0.1 {\n tls /no/cert /no/key\n}": "2:6: could not load TLS certificate",
    "forward . 127.0.0.1 {\n tls_servername\n}": "2:2: tls_servername takes 1 argument",
    f"forward . {' '.join(f'10.0.0.{n}' for n in range(16))}": "1:151: more than 15 TOs configured",
    "forward . 1.1.1.1\nforward x.. 1.1.1.1": "2:9: ",
}


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(("text", "expected"), FAULTS.items(), ids=FAULTS)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_doh_method_is_accepted_and_warned_of() -> None:
    _, warnings = options_of(f"{ONE} {{\n doh_method GET\n}}")
    assert warnings == ["doh_method means nothing without https:// upstreams"]


def test_fifteen_and_several_lines() -> None:
    fifteen = " ".join(f"10.0.0.{n}" for n in range(15))
    plugin = parsed(f"forward a. {fifteen}\nforward . ::1")
    assert isinstance(plugin, Forward)
    assert [len(each.upstreams) for each in plugin.forwarders] == [15, 1]
    assert plugin.recursive
    assert plugin.any_class


async def test_host_names_by_nameservers_of_their_own() -> None:
    def behave(asked: Asked) -> list[bytes]:
        rdata = {"A": "A 192.0.2.5", "AAAA": "AAAA 2001:db8::5"}
        rtype = rdatatype.to_text(asked.message.question[0].rdtype)
        right = reply(asked, f"{asked.name} 30 IN {rdata[rtype]}")
        return [b"\0\0" + right[2:], right] if rtype == "A" else [right]

    async with upstream(with_rcode(3)) as first, upstream(behave) as second:
        resolver = f"resolver 127.0.0.1:{first.port} 127.0.0.1:{second.port}"
        text = f"forward . dns.test:5353 {{\n {resolver}\n}}"
        assert await asyncio.to_thread(addresses, text) == ["192.0.2.5:5353", "[2001:db8::5]:5353"]
        alone = f"forward . dns.test {{\n resolver 127.0.0.1:{first.port}\n}}"
        expected = "1:11: failed to resolve 'dns.test': it has no address"
        assert await asyncio.to_thread(fault, alone) == expected
    port = free_port()
    refused = f"forward . dns.test {{\n resolver 127.0.0.1:{port}\n}}"
    expected = (
        f"1:11: failed to resolve 'dns.test': 127.0.0.1#{port}: [Errno 111] Connection refused"
    )
    assert fault(refused) == expected


async def test_a_nameserver_says_nothing_to_the_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are asked, and within a time that nobody can lengthen by sending nonsense."""
    monkeypatch.setattr(hostnames, "RESOLVE_S", 0.3)

    def nonsense(asked: Asked) -> list[bytes]:
        return [b"\0\0" + reply(asked)[2:]] * 50

    async with upstream(silent) as quiet, upstream(nonsense) as liar, upstream() as good:
        two = f"127.0.0.1:{quiet.port} 127.0.0.1:{liar.port}"
        text = f"forward . 10.0.0.1 dns.test {{\n resolver {two}\n}}"
        expected = f"1:20: failed to resolve 'dns.test': 127.0.0.1#{liar.port}: timed out"
        assert await asyncio.to_thread(fault, text) == expected
        text = f"forward . dns.test {{\n resolver {two} 127.0.0.1:{good.port}\n}}"
        assert await asyncio.to_thread(addresses, text) == ["192.0.2.1:53"]


def test_host_names_are_looked_up_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow nameserver delays a start by one of them, and not by all; their order stays."""
    together = threading.Barrier(15, timeout=5)

    def system(host: str) -> list[str]:
        together.wait()
        return [f"10.0.0.{host[1:]}"]

    monkeypatch.setattr(hostnames, "_system", system)
    text = f"forward . {' '.join(f'n{n}' for n in range(15))}"
    assert addresses(text) == [f"10.0.0.{n}:53" for n in range(15)]
