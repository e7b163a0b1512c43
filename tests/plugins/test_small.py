"""`any`, `minimal` and `whoami`."""

import math
from typing import Any

import pytest
from dnslib import RD

from clusterdns.errors import ResolveError
from clusterdns.plugins.order import plugin_class
from clusterdns.plugins.query import Reply
from clusterdns.wire.edns import Option
from clusterdns.wire.question import Question
from tests.plugins.asking import Next, fault, lines, new_setup, parsed, query, records, texts

BARE = ("any", "minimal", "whoami")


@pytest.mark.parametrize("name", BARE)
def test_alone(name: str) -> None:
    setup = new_setup()
    assert parsed(name, setup).name == name
    assert setup.warnings == []


@pytest.mark.parametrize("name", BARE)
def test_refused(name: str) -> None:
    assert fault(f"{name} example.org").startswith(f"1:{len(name) + 2}: {name} takes no argument")
    assert fault(f"{name} {{\n x\n}}") == f"1:1: {name} takes no block"
    assert fault(f"{name} {{\n}}") == f"1:1: {name} takes no block"


@pytest.mark.parametrize("name", BARE)
def test_only_the_first_is_looked_at(name: str) -> None:
    setup = new_setup()
    found = lines(f"{name}\n{name} a b\n{name}")
    plugin_class(found[0].name).parse(found, setup)
    assert setup.warnings == [f"Corefile:2:1: what is behind the second {name} is ignored"]


async def test_any_is_short() -> None:
    """RFC 8482 section 4.2."""
    behind = Next(Reply())
    reply = await parsed("any").resolve(query("Example.ORG.", "ANY"), behind)
    assert reply is not None
    (record,) = reply.answer
    assert (str(record.rname), record.rtype, record.rclass, record.ttl) == (
        "Example.ORG.",
        13,
        1,
        8482,
    )
    assert isinstance(record.rdata, RD)
    assert record.rdata.data == b"\x0dANY obsoleted\x0cSee RFC 8482"
    assert (reply.rcode, reply.authoritative, reply.until) == (0, False, math.inf)
    assert not behind.asked


@pytest.mark.parametrize("qtype", ["A", "HINFO", "TXT", "AXFR"])
async def test_any_passes_the_rest_on(qtype: str) -> None:
    reply = Reply()
    assert await parsed("any").resolve(query(qtype=qtype), Next(reply)) is reply


A = "example.org. 5 IN A 10.0.0.1"
NS = "example.org. 5 IN NS ns.example.org."
SOA = "example.org. 5 IN SOA ns.example.org. hostmaster.example.org. 1 7200 1800 86400 5"
GLUE = "ns.example.org. 5 IN A 10.0.0.2"
MINIMAL = {
    "a positive answer": (0, A, NS, GLUE, True),
    "a positive answer with SOA": (0, A, SOA, "", True),
    "an empty answer without a reason": (0, "", "", GLUE, True),
    "NODATA": (0, "", SOA, GLUE, False),
    "a delegation": (0, "", NS, GLUE, False),
    "NXDOMAIN": (3, "", SOA, GLUE, False),
    "NXDOMAIN behind a CNAME": (3, "example.org. 5 IN CNAME a.", SOA, GLUE, False),
    "SERVFAIL": (2, A, SOA, GLUE, False),
    "REFUSED": (5, "", "", GLUE, False),
}


@pytest.mark.parametrize(
    ("rcode", "answer", "authority", "additional", "is_stripped"), MINIMAL.values(), ids=MINIMAL
)
async def test_minimal(
    rcode: int, answer: str, authority: str, additional: str, is_stripped: bool
) -> None:
    keys = frozenset({("service", "shop", "web")})
    given = Reply(
        rcode,
        records(answer),
        records(authority),
        records(additional),
        authoritative=True,
        options=[Option(15, b"\0\0")],
        force_edns=True,
        keys=keys,
        until=7.0,
    )
    reply = await parsed("minimal").resolve(query(), Next(given))
    assert reply is not None
    assert texts(reply.answer) == ([answer] if answer else [])
    assert texts(reply.authority) == ([authority] if authority and not is_stripped else [])
    assert texts(reply.additional) == ([additional] if additional and not is_stripped else [])
    assert (reply.options == [], reply.force_edns) == (is_stripped, not is_stripped)
    assert (reply.rcode, reply.authoritative, reply.keys, reply.until) == (rcode, True, keys, 7.0)
    assert texts(given.authority) == ([authority] if authority else [])  # it may be kept elsewhere


async def test_minimal_leaves_transfers_alone() -> None:
    given = Reply(answer=records(A), additional=records(GLUE))
    assert await parsed("minimal").resolve(query(qtype="AXFR"), Next(given)) is given


async def test_minimal_passes_no_reply_and_errors_on() -> None:
    assert await parsed("minimal").resolve(query(), Next(None)) is None
    with pytest.raises(ResolveError):
        await parsed("minimal").resolve(query(), Next(ResolveError("no")))


WHOAMI = {
    "UDP over IPv4": (
        {},
        ["Example.ORG. 0 IN A 10.240.0.1", "_udp.Example.ORG. 0 IN SRV 0 0 40212 ."],
    ),
    "TCP over IPv6": (
        {"transport": "tcp", "peer": ("2003::1", 9)},
        ["Example.ORG. 0 IN AAAA 2003::1", "_tcp.Example.ORG. 0 IN SRV 0 0 9 ."],
    ),
    "TLS is TCP": (
        {"transport": "tls"},
        ["Example.ORG. 0 IN A 10.240.0.1", "_tcp.Example.ORG. 0 IN SRV 0 0 40212 ."],
    ),
    "a mapped address is IPv4": (
        {"peer": ("::ffff:10.0.0.9", 1)},
        ["Example.ORG. 0 IN A 10.0.0.9", "_udp.Example.ORG. 0 IN SRV 0 0 1 ."],
    ),
    "the root": ({"name": "."}, [". 0 IN A 10.240.0.1", "_udp. 0 IN SRV 0 0 40212 ."]),
    "another class": (
        {"question": Question.of("a.", 16, 3)},
        ["a. 0 CH A 10.240.0.1", "_udp.a. 0 CH SRV 0 0 40212 ."],
    ),
}


@pytest.mark.parametrize(("asked", "expected"), WHOAMI.values(), ids=WHOAMI)
@pytest.mark.parametrize("qtype", ["A", "AAAA", "MX", "ANY"])
async def test_whoami(asked: dict[str, Any], expected: list[str], qtype: str) -> None:
    reply = await parsed("whoami").resolve(
        query(**({"name": "Example.ORG.", "qtype": qtype} | asked)),
        Next(),
    )
    assert reply is not None
    assert texts(reply.additional) == expected
    assert (reply.rcode, reply.answer, reply.authority) == (0, [], [])
    assert (reply.authoritative, reply.until) == (True, 0)


async def test_whoami_of_a_name_without_room_has_no_port() -> None:
    name = ".".join(["a" * 63] * 3 + ["a" * 61]) + "."  # 255 octets in wire form
    reply = await parsed("whoami").resolve(query(name), Next())
    assert reply is not None
    assert [record.rtype for record in reply.additional] == [1]
