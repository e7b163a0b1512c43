import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.errors import ConfigError, ResolveError
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.loadbalance import LoadBalance
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import parse_question
from clusterdns.wire.received import received
from tests.plugins.asking import Next, fault, new_setup, parsed, query, records, texts

ANSWER = """\
region. 5 IN CNAME region2.
region2. 5 IN CNAME web.
web. 5 IN A 10.240.0.1
web. 5 IN A 10.240.0.2
web. 5 IN AAAA fd00::3
web. 5 IN MX 1 mx1.
web. 5 IN MX 1 mx2.
web. 5 IN TXT "a"
web. 5 IN TXT "b"
"""
WEIGHTS = """
# comments and empty lines are passed over

web
    10.240.0.1   4
  10.240.0.2 2
Other.
10.240.0.1 200
fd00::3 7
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_text(WEIGHTS)
    return path


@pytest.mark.parametrize(
    ("text", "policy", "nets"),
    [
        ("loadbalance", "round_robin", []),
        ("loadbalance round_robin", "round_robin", []),
        (
            "loadbalance {\n prefer 10.0.0.0/8 fd00::/8\n}",
            "round_robin",
            ["10.0.0.0/8", "fd00::/8"],
        ),
        ("loadbalance {\n prefer 10.1.2.3/8\n}", "round_robin", ["10.0.0.0/8"]),
        (
            "loadbalance round_robin {\n prefer 10.0.0.0/8\n prefer 9.0.0.0/8\n}",
            "round_robin",
            ["10.0.0.0/8", "9.0.0.0/8"],
        ),
        ("loadbalance {\n prefer\n}", "round_robin", []),
        ("loadbalance weighted FILE", "30.0", []),
        ("loadbalance weighted FILE {\n reload 10s\n}", "10.0", []),
        ("loadbalance weighted FILE {\n reload 0s\n}", "0.0", []),
        ("loadbalance\nloadbalance weighted FILE", "30.0", []),
        ("loadbalance weighted FILE\nloadbalance", "round_robin", []),
        (
            "loadbalance {\n prefer 1.0.0.0/8\n}\nloadbalance {\n prefer 2.0.0.0/8\n}",
            "round_robin",
            ["1.0.0.0/8", "2.0.0.0/8"],
        ),
        ("loadbalance {\n prefer 1.0.0.0/8\n}\nloadbalance weighted FILE", "30.0", []),
    ],
)
def test_parse(text: str, policy: str, nets: list[str], weights: Path) -> None:
    plugin = parsed(text.replace("FILE", str(weights)))
    assert isinstance(plugin, LoadBalance)
    assert policy == (str(plugin.weights.reload_s) if plugin.weights else "round_robin")
    assert [str(net) for net in plugin.preferred] == nets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loadbalance fleeb", "1:13: 'fleeb' is none of round_robin, weighted"),
        ("loadbalance round_robin a", "1:25: loadbalance takes at most 1 argument; 'a'"),
        ("loadbalance weighted", "1:13: loadbalance takes 2 arguments, not 1"),
        ("loadbalance weighted a b", "1:24: loadbalance takes at most 2 arguments; 'b'"),
        ("loadbalance weighted a {\n susu\n}", "2:2: unknown property 'susu' of loadbalance"),
        ("loadbalance weighted a {\n prefer 10.0.0.0/8\n}", "2:2: unknown property 'prefer'"),
        ("loadbalance {\n reload 10s\n}", "2:2: unknown property 'reload'"),
        ("loadbalance weighted a {\n reload a\n}", "2:9: 'a' is no duration"),
        ("loadbalance weighted a {\n reload\n}", "2:2: reload takes 1 argument, not 0"),
        ("loadbalance weighted a {\n reload 30s  a\n}", "2:14: reload takes at most 1 argument"),
        ("loadbalance weighted a {\n reload -1s\n}", "2:9: -1s is no duration of 0s and up"),
        ("loadbalance {\n prefer 10.0.0.0/8 10.0.0.1\n}", "2:20: '10.0.0.1' is no CIDR"),
        ("loadbalance {\n prefer 10.0.0.0/33\n}", "2:9: '10.0.0.0/33' is no "),
        ("loadbalance {\n prefer 10.0.0.0/255.0.0.0\n}", "2:9: '10.0.0.0/255.0.0.0' is no "),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


async def balanced(plugin: Plugin, text: str = ANSWER, qtype: str = "A", **fields: Any) -> Reply:
    given = Reply(answer=records(text), **fields)
    before = texts(given.answer)
    reply = await plugin.resolve(query(qtype=qtype), Next(given))
    assert texts(given.answer) == before  # what is behind may keep it
    assert reply is not None
    assert sorted(texts(reply.answer)) == sorted(before)
    return reply


def types(reply: Reply) -> str:
    return " ".join(text.split()[3] for text in texts(reply.answer))


async def test_round_robin_keeps_the_order_of_types() -> None:
    reply = await balanced(parsed("loadbalance"))
    assert types(reply).replace("AAAA", "A") == "CNAME CNAME TXT TXT A A A MX MX"
    assert texts(reply.answer)[:4] == [texts(records(ANSWER))[index] for index in (0, 1, 7, 8)]


async def test_round_robin_touches_every_section() -> None:
    sections: dict[str, Any] = {
        name: records(ANSWER) for name in ("answer", "authority", "additional")
    }
    reply = await parsed("loadbalance").resolve(query(), Next(Reply(**sections)))
    assert reply is not None
    for section in (reply.answer, reply.authority, reply.additional):
        assert [record.rtype for record in section[:4]] == [5, 5, 16, 16]


async def test_round_robin_gives_every_order_equally_often() -> None:
    random.seed(1)
    plugin = parsed("loadbalance")
    text = "\n".join(f"a. 5 IN A 10.0.0.{host}" for host in range(4))
    seen = Counter([tuple(texts((await balanced(plugin, text)).answer)) for _ in range(2400)])
    assert len(seen) == 24
    assert min(seen.values()) > 60
    assert max(seen.values()) < 140


async def test_another_order_without_asking_again() -> None:
    random.seed(2)
    reply = await balanced(parsed("loadbalance"), keys=frozenset({("apex",)}), until=9.0)
    assert reply.reorder is not None
    orders = set()
    for _ in range(50):
        other = reply.reorder(reply)
        assert sorted(texts(other.answer)) == sorted(texts(reply.answer))
        assert (other.keys, other.until, other.reorder) == (reply.keys, 9.0, reply.reorder)
        orders.add(tuple(texts(other.answer)))
    assert len(orders) > 6


@pytest.mark.parametrize(
    ("text", "has_choice"),
    [
        ("", False),
        ("a. 5 IN A 10.0.0.1", False),
        ("a. 5 IN CNAME b.\nb. 5 IN A 10.0.0.1", False),
        ('a. 5 IN TXT "a"\na. 5 IN TXT "b"', False),
        ("a. 5 IN SRV 0 0 1 b.\na. 5 IN SRV 0 0 1 c.", False),
        ("a. 5 IN A 10.0.0.1\na. 5 IN AAAA ::1", True),
        ("a. 5 IN MX 1 b.\na. 5 IN MX 1 c.", True),
    ],
)
async def test_one_order_is_kept_once(text: str, has_choice: bool) -> None:
    reply = await balanced(parsed("loadbalance"), text)
    assert (reply.reorder is not None) == has_choice


@pytest.mark.parametrize("text", ["loadbalance", "loadbalance {\n prefer 10.0.0.0/8\n}"])
async def test_what_is_left_alone(text: str) -> None:
    plugin = parsed(text)
    for rcode in (2, 3, 5):
        given = Reply(rcode, answer=records(ANSWER))
        assert await plugin.resolve(query(), Next(given)) is given
    for qtype in ("AXFR", "IXFR"):
        given = Reply(answer=records(ANSWER))
        assert await plugin.resolve(query(qtype=qtype), Next(given)) is given
    assert await plugin.resolve(query(), Next(None)) is None
    with pytest.raises(ResolveError):
        await plugin.resolve(query(), Next(ResolveError("no")))


hosts = st.lists(st.sampled_from([f"10.{net}.0.{host}" for net in range(3) for host in range(4)]))


@settings(max_examples=50, deadline=None)
@given(hosts, st.permutations(["10.0.0.0/16", "10.1.0.0/16"]), st.integers(0, 2))
def test_preferred_nets_come_first(addresses: list[str], nets: list[str], cnames: int) -> None:
    plugin = parsed(f"loadbalance {{\n prefer {' '.join(nets)}\n}}")
    chain = "".join(f"n{number}. 5 IN CNAME n{number + 1}.\n" for number in range(cnames))
    text = chain + "".join(f"a. 5 IN A {address}\n" for address in addresses)
    reply = asyncio.run(balanced(plugin, text + 'a. 5 IN TXT "t"'))
    for each in (reply, reply.reorder(reply) if reply.reorder else reply):
        order = types(each).split()
        assert order == ["CNAME"] * cnames + ["A"] * len(addresses) + ["TXT"]
        found = [line.split()[-1] for line in texts(each.answer) if " A " in line]
        ranks = [_rank(host, nets) for host in found]
        assert ranks == sorted(ranks)


def _rank(host: str, nets: list[str]) -> int:
    net = ".".join(host.split(".")[:2]) + ".0.0/16"
    return nets.index(net) if net in nets else len(nets)


async def test_preferred_nets_in_additional_not_in_authority() -> None:
    plugin = parsed("loadbalance {\n prefer 10.0.0.2/32\n}")
    text = 'a. 5 IN TXT "t"\na. 5 IN A 10.0.0.1\na. 5 IN A 10.0.0.2'
    sections: dict[str, Any] = {
        name: records(text) for name in ("answer", "authority", "additional")
    }
    reply = await plugin.resolve(query(), Next(Reply(**sections)))
    assert reply is not None
    assert [record.rtype for record in reply.authority] == [16, 1, 1]
    for section in (reply.answer, reply.additional):
        assert [record.rtype for record in section] == [1, 1, 16]
        assert texts(section)[0].endswith("10.0.0.2")


WEB = "web. 5 IN A 10.240.0.1\nWEB. 5 IN A 10.240.0.2\nweb. 5 IN A 10.240.0.3"


async def test_weights_decide_who_is_first(weights: Path) -> None:
    random.seed(3)
    plugin = parsed(f"loadbalance weighted {weights}")
    first = Counter([texts((await balanced(plugin, WEB)).answer)[0][-1] for _ in range(1400)])
    assert {host: round(count / 200) for host, count in first.items()} == {"1": 4, "2": 2, "3": 1}


async def test_weights_move_one_address_only(weights: Path) -> None:
    """The first and the chosen one change places, in each section of its own."""
    plugin = parsed(f"loadbalance weighted {weights}")
    hosts = [f"10.1.0.{number}" for number in range(5)]
    text = "\n".join(f"a. 5 IN A {host}" for host in hosts)
    for _ in range(20):
        reply = await balanced(plugin, text)
        found = [line.split()[-1] for line in texts(reply.answer)]
        top = hosts.index(found[0])
        expected = list(hosts)
        expected[0], expected[top] = expected[top], expected[0]
        assert found == expected


async def test_weights_are_of_addresses_of_both_families(weights: Path) -> None:
    random.seed(4)
    plugin = parsed(f"loadbalance weighted {weights}")
    text = "OTHER. 5 IN A 10.240.0.1\nother. 5 IN AAAA fd00::3"
    first = Counter([types(await balanced(plugin, text)).split()[0] for _ in range(400)])
    assert 380 <= first["A"] < 400


@pytest.mark.parametrize("qtype", ["A", "AAAA", "SRV", "MX", "TXT", "ANY"])
async def test_weights_are_for_some_types(weights: Path, qtype: str) -> None:
    plugin = parsed(f"loadbalance weighted {weights}")
    reply = await balanced(plugin, qtype=qtype)
    assert types(reply).startswith("CNAME CNAME TXT") == (qtype in ("A", "AAAA", "SRV"))


async def test_weighted_orders_are_drawn_again_each_second(weights: Path) -> None:
    plugin = parsed(f"loadbalance weighted {weights}")
    asked = query()
    given = Reply(answer=records(WEB), until=float("inf"))
    reply = await plugin.resolve(asked, Next(given))
    assert reply is not None
    assert reply.reorder is not None
    assert reply.until == asked.received + 1
    assert given.until == float("inf")
    single = await balanced(plugin, "web. 5 IN A 10.240.0.1", until=float("inf"))
    assert (single.reorder, single.until) == (None, float("inf"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "1:1: 10.0.0.1 has no weight, or is no domain name"),
        ("10.0.0.1 5", "1:1: a name must stand before its addresses"),
        ("web\n 10.0.0 5", "2:2: '10.0.0' is no IP address"),
        ("web\n10.0.0.1 0", "2:10: '0' is no weight: 1 to 255"),
        ("web\n10.0.0.1 256", "2:10: '256' is no weight"),
        ("web\n10.0.0.1 -1", "2:10: '-1' is no weight"),
        ("web\n10.0.0.1 a", "2:10: 'a' is no weight"),
        ("web\n10.0.0.1 5 # no comment", "2:12: a line has a name, or an address and its weight"),
        ("a..b", "1:1: 'a..b' is no domain name"),
    ],
)
def test_bad_weights_stop_the_start(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "weights"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        parsed(f"loadbalance weighted {path}")
    assert str(raised.value).startswith(f"{path}:{expected}")


def test_missing_weights_may_come_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parsed(f"loadbalance weighted {tmp_path}/weights")
    assert "Failed to read weights" in caplog.text
    assert fault(f"loadbalance weighted {tmp_path}/weights {{\n reload 0\n}}").startswith("1:22: ")


def test_relative_weights_are_below_the_root(weights: Path) -> None:
    setup = new_setup()
    setup.root = str(weights.parent)
    plugin = parsed("loadbalance weighted weights", setup)
    assert isinstance(plugin, LoadBalance)
    assert plugin.weights
    assert plugin.weights.path == weights


def put(path: Path, text: str) -> None:
    """Replaces a file at once, so that nobody reads half of it."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


async def test_weights_are_read_again(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "clusterdns")
    plugin = parsed(f"loadbalance weighted {weights} {{\n reload 1ms\n}}")
    assert isinstance(plugin, LoadBalance)
    stopping = asyncio.Event()
    changed = asyncio.Event()

    def watch(record: logging.LogRecord) -> bool:
        changed.set()
        return True

    logger = logging.getLogger("clusterdns.plugins.loadbalance")
    logger.addFilter(watch)
    try:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(plugin.serve(stopping))
            for text in ("web\n10.240.0.2 255", "web\n10.240.0.2 many", "web\n10.240.0.3 255"):
                changed.clear()
                await asyncio.to_thread(put, weights, text)
                await changed.wait()
            stopping.set()
    finally:
        logger.removeFilter(watch)
    assert "'many' is no weight: 1 to 255" in caplog.text
    random.seed(5)
    first = Counter([texts((await balanced(plugin, WEB)).answer)[0][-1] for _ in range(100)])
    assert first["3"] > 95


async def test_nothing_to_do_beside_queries_without_weights() -> None:
    async with asyncio.timeout(1):
        await parsed("loadbalance").serve(asyncio.Event())


def upstream_reply(*records: str, additional: Sequence[str] = ()) -> Reply:
    """A reply as octets: a question for example.org. and these records in Answer."""
    found = dns.message.make_response(dns.message.make_query("example.org.", "A"))
    for section, lines in ((found.answer, records), (found.additional, additional)):
        for text in lines:
            name, rtype, data = text.split(None, 2)
            section.append(dns.rrset.from_text(name, 30, "IN", rtype, data))
    octets = found.to_wire()
    return Reply.of(received(octets, parse_question(octets).end))


async def test_replies_of_upstreams_are_ordered_as_octets() -> None:
    plugin = parsed("loadbalance")
    expected = [f"192.0.2.{n}" for n in range(1, 4)]
    firsts = set()
    for _ in range(100):
        came = upstream_reply(*(f"example.org. A {each}" for each in expected))
        found = await plugin.resolve(query(), Next(came))
        assert found is not None
        assert found.received is not None
        assert found.reorder is not None
        got = [str(record.rdata) for record in found.answer]
        assert sorted(got) == expected
        firsts.add(got[0])
    assert firsts == set(expected)


async def test_replies_of_upstreams_that_only_parsed_records_order() -> None:
    came = upstream_reply("example.org. MX 1 a.", "example.org. MX 1 b.")
    found = await parsed("loadbalance").resolve(query(), Next(came))
    assert found is not None
    assert found.received is None
    assert sorted(str(record.rdata) for record in found.answer) == ["1 a.", "1 b."]


async def test_additional_addresses_of_upstreams_are_ordered() -> None:
    firsts = set()
    for _ in range(100):
        glue = ["a. A 192.0.2.1", "a. A 192.0.2.2"]
        came = upstream_reply("example.org. SRV 1 1 1 a.", additional=glue)
        found = await parsed("loadbalance").resolve(query(), Next(came))
        assert found is not None
        firsts.add(str(found.additional[0].rdata))
    assert firsts == {"192.0.2.1", "192.0.2.2"}
