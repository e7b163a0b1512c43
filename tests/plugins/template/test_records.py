"""Records of text: read, and as their octets say."""

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from clusterdns.plugins.template.records import record
from clusterdns.wire.buffer import MessageBuffer
from tests.plugins.asking import texts

READ = [  # text, the same record in full
    ("a. 60 IN A 10.0.0.1", "a. 60 IN A 10.0.0.1"),
    ("a 60 IN A 10.0.0.1", "a. 60 IN A 10.0.0.1"),
    ("a IN 60 A 10.0.0.1", "a. 60 IN A 10.0.0.1"),
    ("a A 10.0.0.1", "a. 3600 IN A 10.0.0.1"),
    ("a in a 10.0.0.1", "a. 3600 IN A 10.0.0.1"),
    ("a 1h A 10.0.0.1", "a. 3600 IN A 10.0.0.1"),
    ("a 0 A 10.0.0.1", "a. 0 IN A 10.0.0.1"),
    ("  \na A 10.0.0.1", None),
    ("\na A 10.0.0.1", "a. 3600 IN A 10.0.0.1"),
    ("a A 10.0.0.1 ; why", "a. 3600 IN A 10.0.0.1"),
    ("a A 10.0.0.1\nb A 10.0.0.2", "a. 3600 IN A 10.0.0.1"),
    ("@ A 10.0.0.1", ". 3600 IN A 10.0.0.1"),
    ("a CH TXT x", 'a. 3600 CH TXT "x"'),
    ("a AAAA fd00::1", "a. 3600 IN AAAA fd00::1"),
    ("a CNAME b.c", "a. 3600 IN CNAME b.c."),
    ("a MX 10 b", "a. 3600 IN MX 10 b."),
    ('a TXT "a b" c', 'a. 3600 IN TXT "a b" "c"'),
    ("a SRV 0 1 2 b", "a. 3600 IN SRV 0 1 2 b."),
    ("a SOA b c (1 2\n 3 4 5)", "a. 3600 IN SOA b. c. 1 2 3 4 5"),
    ("_a._tcp.b PTR x", "_a._tcp.b. 3600 IN PTR x."),
    ("a CLASS3 TYPE16 x", 'a. 3600 CH TXT "x"'),
    (r"a TYPE1 \# 4 0a000001", "a. 3600 IN A 10.0.0.1"),
    ('a TXT "x\ny"', r'a. 3600 IN TXT "x\012y"'),  # octal: dnslib's text
]
NONE = ["", "; nothing", "\n\n"]
WRONG = [
    *("a", "a A", "a A 10.0.0.256", "a A 10.0.0.1.", "a. 60", "a B 10.0.0.1", "a A 10.0.0.1 x"),
    *("a..b A 10.0.0.1", " A 10.0.0.1", "a 60 60 A 10.0.0.1", "a IN IN A 1.0.0.1", '"a" A 1.0.0.1'),
    *("a TYPE65536 x", "a TYPE x", "a TYPE16x x", "a CLASS65536 TXT x"),
    *("a AAAA 10.0.0.1", "a MX b", "a SOA b c (1 2 3 4 5", "$TTL 5", f"{'a' * 64} A 10.0.0.1"),
]  # fmt: skip
OTHERS = [  # those that dnslib cannot read, or not from text
    "DNAME b.c.",
    'CAA 0 issue "example.org"',
    "HTTPS 1 . alpn=h2",
    'HINFO "x" "y"',
    f"TLSA 3 1 1 {'ab' * 32}",
    "SSHFP 1 1 0123456789abcdef0123456789abcdef01234567",
    'URI 10 1 "https://example.org"',
    'NAPTR 100 10 "S" "SIP+D2U" "" _sip._udp.b.',
    "RP a. b.",
    "LOC 1 0 0.000 N 2 0 0.000 E 0.00m 1.00m 10000.00m 10.00m",
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_read(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="it begins with no name"):
            record(text)
        return
    found = record(text)
    assert found is not None
    assert texts([found]) == [expected]


@pytest.mark.parametrize("text", NONE)
def test_none(text: str) -> None:
    assert record(text) is None


@pytest.mark.parametrize("text", WRONG)
def test_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        record(text)


@pytest.mark.parametrize("text", OTHERS)
def test_octets_are_those_of_dnspython(text: str) -> None:
    found = record(f"x. {text}")
    assert found is not None
    buffer = MessageBuffer(bytes(12))
    buffer.record(found)
    rtype, _, rdata = text.partition(" ")
    expected = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rtype), rdata)
    assert bytes(buffer.data).endswith(expected.to_wire() or b"?")
