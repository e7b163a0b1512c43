import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from clusterdns.wire.texts import class_text, rcode_text, type_text

# Where the Go library has no name, or has one that dnspython lacks or spells otherwise.
OTHER_TYPES = {
    0: "None",
    31: "EID",
    32: "NIMLOC",
    34: "ATMA",
    57: "RKEY",
    58: "TALINK",
    100: "UINFO",
    101: "UID",
    102: "GID",
    128: "NXNAME",
    261: "RESINFO",
    65535: "Reserved",
} | {number: f"TYPE{number}" for number in (11, 22, 38, 66, 67, 68, 259, 262)}


@pytest.mark.parametrize("qtype", [*range(300), 12345, 32768, 32769, 65280, 65535])
def test_types(qtype: int) -> None:
    expected = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(qtype))
    assert type_text(qtype) == OTHER_TYPES.get(qtype, expected)


@pytest.mark.parametrize("qclass", [0, 1, 2, 3, 4, 5, 253, 254, 255, 256, 65535])
def test_classes(qclass: int) -> None:
    expected = dns.rdataclass.to_text(dns.rdataclass.RdataClass.make(qclass))
    assert class_text(qclass) == {0: "CLASS0", 2: "CS"}.get(qclass, expected)


@pytest.mark.parametrize("rcode", [*range(30), 4095])
def test_rcodes(rcode: int) -> None:
    expected = dns.rcode.to_text(dns.rcode.Rcode.make(rcode), tsig=True)
    known = rcode <= 11 or 16 <= rcode <= 23
    assert rcode_text(rcode) == (expected if known else str(rcode))
