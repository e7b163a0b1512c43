"""The OPT record: RFC 6891, and what CoreDNS takes for broken in one."""

import dns.edns
import dns.message
import pytest
from dnslib import EDNS0, DNSRecord, EDNSOption
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.errors import MalformedMessage
from clusterdns.wire.edns import DO, Edns, Option, limit_for, parse_opt, reply_edns
from tests.wire.build import QUESTION, header, option

BROKEN = {
    "6.1.2 code only": b"\0\3",
    "6.1.2 no length": b"\0\3\0",
    "6.1.2 data missing": b"\0\3\0\5a",
    "6.1.2 rest of 3 octets": option(3, b"") + b"\0\3\0",
    "RFC 7828 keepalive of 1 octet": option(11, b"a"),
    "RFC 7828 keepalive of 3 octets": option(11, b"abc"),
    "RFC 7871 client subnet without prefix lengths": option(8, b"\0\1"),
    "RFC 7871 client subnet without scope": option(8, b"\0\1\x18"),
    "RFC 7871 empty client subnet": option(8, b""),
    "RFC 7871 IPv4 prefix of 33 bits": option(8, b"\0\1\x21\0"),
    "RFC 7871 IPv4 scope of 33 bits": option(8, b"\0\1\0\x21"),
    "RFC 7871 IPv6 prefix of 129 bits": option(8, b"\0\2\x81\0"),
    "RFC 7871 family 0 with a prefix": option(8, b"\0\0\1\0"),
    "RFC 7871 family 3": option(8, b"\0\3\0\0"),
    "RFC 8914 extended error of 1 octet": option(15, b"a"),
    "RFC 8764 long-lived query cut off": option(1, b"abc"),
    "RFC 9664 update lease of 5 octets": option(2, b"abcde"),
    "RFC 7314 expire of 3 octets": option(9, b"abc"),
}


@pytest.mark.parametrize("rdata", BROKEN.values(), ids=BROKEN)
def test_broken(rdata: bytes) -> None:
    with pytest.raises(MalformedMessage) as refused:
        parse_opt(1232, 0, rdata)
    assert refused.value.rcode == 1


TAKEN = {
    "nothing": b"",
    "RFC 7828 keepalive asked for": option(11, b""),
    "RFC 7828 keepalive of 10 s": option(11, b"\0\x64"),
    "RFC 7871 client subnet": option(8, b"\0\1\x18\0\x0a\1\2"),
    "RFC 7871 IPv6": option(8, b"\0\2\x38\0\x20\1\x0d\xb8\0\0\0"),
    "RFC 7871 none, as dig sends it": option(8, b"\0\0\0\0"),
    "RFC 8914 extended error": option(15, b"\0\x0fblocked"),
    "RFC 7873 cookie of odd length": option(10, b"abc"),
    "RFC 9660 zone version asked for": option(19, b""),
    "RFC 9567 report channel": option(18, b""),
    "RFC 7314 expire asked for": option(9, b""),
    "local, and one twice": option(65001, b"x") + option(3, b"") + option(3, b""),
}


@pytest.mark.parametrize("rdata", TAKEN.values(), ids=TAKEN)
def test_taken_and_written_again(rdata: bytes) -> None:
    edns = parse_opt(4096, DO, rdata)
    assert (edns.size, edns.version, edns.do) == (4096, 0, True)
    assert edns.pack()[11:] == rdata


def test_fields() -> None:
    edns = parse_opt(512, 0x01028001, option(3, b"ns1"))
    assert edns == Edns(512, 2, 0x8001, 1, (Option(3, b"ns1"),))


REPLIES = {
    "6.1.1 none asked, none given": (None, {}, None),
    "forced": (None, {"force": True}, Edns(1232, flags=DO)),
    "forced, the query had one": (Edns(4096), {"force": True}, Edns(1232, flags=DO)),
    "6.2.3 our size, whatever theirs": (Edns(4096), {}, Edns(1232)),
    "bufsize": (Edns(4096), {"size": 1400}, Edns(1400)),
    "6.1.4 DO is copied, no other flag": (Edns(flags=0xFFFF), {}, Edns(flags=0x8000)),
    "6.1.3 our version, whatever theirs": (Edns(version=3), {}, Edns(version=0)),
    "6.1.2 no option comes back by itself": (Edns(options=(Option(10, b"a"),)), {}, Edns()),
    "ours": (Edns(), {"options": (Option(3, b"b"),)}, Edns(options=(Option(3, b"b"),))),
}


@pytest.mark.parametrize(("query", "how", "reply"), REPLIES.values(), ids=REPLIES)
def test_reply(query: Edns | None, how: dict[str, object], reply: Edns | None) -> None:
    assert reply_edns(query, **how) == reply  # type: ignore[arg-type]  # one table for all


LIMITS = {
    "RFC 7766 TCP": (None, "tcp", 65535),
    "RFC 7766 TCP, whatever the OPT says": (Edns(512), "tcp", 65535),
    "RFC 7858 TLS": (Edns(512), "tls", 65535),
    "RFC 1035 2.3.4 without OPT": (None, "udp", 512),
    "6.2.3 less than 512 is 512": (Edns(0), "udp", 512),
    "6.2.5 as asked": (Edns(4096), "udp", 4096),
    "more than a datagram holds": (Edns(65535), "udp", 65507),
}


@pytest.mark.parametrize(("edns", "transport", "limit"), LIMITS.values(), ids=LIMITS)
def test_limit(edns: Edns | None, transport: str, limit: int) -> None:
    assert limit_for(edns, transport) == limit


plain_options = st.builds(
    Option, st.sampled_from([3, 12, 65001, 65535]), st.binary(min_size=8, max_size=20)
)


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFF),
    st.booleans(),
    st.lists(plain_options, max_size=4),
)
def test_dnspython_and_dnslib_read_it(
    size: int, version: int, do: bool, options: list[Option]
) -> None:
    edns = Edns(size, version, do * DO, options=tuple(options))
    octets = header(ar=1) + QUESTION + edns.pack()
    theirs = dns.message.from_wire(octets)
    assert (theirs.payload, theirs.edns, theirs.ednsflags & 0xFFFF) == (size, version, do * DO)
    assert [Option(int(o.otype), o.to_wire() or b"") for o in theirs.options] == options
    written = EDNS0(udp_len=size, version=version, flags="do" * do)
    written.rdata = [EDNSOption(*option) for option in options]
    question = DNSRecord.parse(header() + QUESTION)
    question.add_ar(written)
    assert question.pack()[-len(edns.pack()) :] == edns.pack()


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=60))
def test_any_octets(size: int, ttl: int, rdata: bytes) -> None:
    try:
        edns = parse_opt(size, ttl, rdata)
    except MalformedMessage:
        return
    assert edns.pack() == (
        b"\0\0\x29" + size.to_bytes(2, "big") + ttl.to_bytes(4, "big")
        + len(rdata).to_bytes(2, "big") + rdata
    )  # fmt: skip
