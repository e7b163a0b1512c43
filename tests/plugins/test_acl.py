import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address
from clusterdns.corefile.values import network
from clusterdns.errors import Place
from clusterdns.plugins import acl
from clusterdns.plugins.acl import Acl, Networks
from clusterdns.plugins.base import Plugin, Sees
from clusterdns.plugins.query import Reply
from clusterdns.wire.edns import Option
from tests.plugins.asking import Next, fault, lines, new_setup, parsed, query

NET, OTHER = "192.168.0.2", "192.167.0.2"
NET6, OTHER6 = "fd00:1:2:3::1230", "fd00:1:2:4::"
ONE6 = "fd00::8a2e:370:7334"
POLICIES = [  # who asks www.example.org for what, and what becomes of it
    ("block type A net 192.168.0.0/16", [(NET, "A", "block"), (OTHER, "A", "allow")]),
    ("block type A net 192.168.0.0/16", [(NET, "AAAA", "allow")]),
    ("block type * net 192.168.0.0/16", [(NET, "AAAA", "block"), (OTHER, "AAAA", "allow")]),
    ("block type A", [(NET, "A", "block"), (NET, "AAAA", "allow"), (ONE6, "A", "block")]),
    ("block type A net *", [(NET, "A", "block"), (NET, "AAAA", "allow"), (ONE6, "A", "block")]),
    ("block", [(NET, "A", "block"), (ONE6, "TXT", "block")]),
    ("block type A net 192.168.0.2", [(NET, "A", "block"), ("192.168.0.3", "A", "allow")]),
    ("filter type A net 192.168.0.0/16", [(NET, "A", "filter"), (OTHER, "A", "allow")]),
    ("allow net 192.168.0.0/16\n block", [(NET, "A", "allow"), (OTHER, "A", "block")]),
    ("allow type * net 192.168.0.0/16\n block", [(NET, "A", "allow"), (OTHER, "A", "block")]),
    ("drop net 192.168.0.0/16", [(NET, "A", "drop"), (OTHER, "A", "allow")]),
    ("block net 192.168.0.0/24\n drop net 192.168.0.0/16", [(NET, "A", "block")]),
    ("block net 192.168.0.0/24\n drop net 192.168.0.0/16", [("192.168.1.2", "A", "drop")]),
    ("drop net 192.168.0.0/16\n block net 192.168.0.0/24", [(NET, "A", "drop")]),
    ("drop type A\n allow net 192.168.0.0/16", [(NET, "A", "drop"), (NET, "AAAA", "allow")]),
    ("block type A net fd00:1:2:3::/64", [(NET6, "A", "block"), (OTHER6, "A", "allow")]),
    ("block type A net fd00:1:2:3::/64", [(NET, "A", "allow")]),
    (f"block type A net {ONE6}", [(ONE6, "A", "block"), ("fd00::8a2e:370:7335", "A", "allow")]),
    ("block type AAAA net FD00:0:0::8a2e:0370:7334", [(ONE6, "AAAA", "block")]),
    (f"drop net {ONE6}", [(ONE6, "AAAA", "drop")]),
    ("block net fd00:1:2:3:8000::/66\n drop net fd00:1:2:3::/64", [(NET6, "AAAA", "drop")]),
    (
        "block net fd00:1:2:3:8000::/66\n drop net fd00:1:2:3::/64",
        [("fd00:1:2:3:8000::1", "AAAA", "block")],
    ),
    (
        "drop net fd00:1:2:3::/64\n block net fd00:1:2:3:8000::/66",
        [("fd00:1:2:3:8000::1", "AAAA", "drop")],
    ),
    ("drop type A\n allow net fd00:1:2:3::/64", [(NET6, "A", "drop"), (NET6, "AAAA", "allow")]),
    ("block net 192.168.1.0/24 192.168.0.0/24", [(NET, "A", "block"), (OTHER, "A", "allow")]),
    ("block type TXT ANY CNAME", [(NET, "ANY", "block"), (NET, "A", "allow")]),
    ("block type A type AAAA", [(NET, "A", "block"), (NET, "AAAA", "block"), (NET, "MX", "allow")]),
    ("BLOCK Net 192.168.0.0/16 TYPE A", [(NET, "A", "block"), (OTHER, "A", "allow")]),
    ("block net 10.0.0.0/8 * nonsense", [(NET, "A", "block")]),
    ("block type A * nonsense", [(NET, "TXT", "block")]),
    ("block net 192.168.99.99/16", [(NET, "A", "block")]),
    ("block type None", [(NET, "TXT", "block")]),
    ("block net 192.168.0.0/16", [("::ffff:192.168.0.2", "A", "block")]),
    ("allow net 0.0.0.0/0", [("nowhere", "A", "block")]),
]


async def decide(plugin: Plugin, client: str, qtype: str, name: str = "www.example.org.") -> str:
    """The action that shows in the reply."""
    behind = Next(Reply())
    reply = await plugin.resolve(query(name, qtype, peer=(client, 4000), server="s"), behind)
    if behind.asked:
        assert reply is behind.reply
        return "allow"
    if reply is None:
        return "drop"
    assert (reply.answer, reply.authority, reply.additional) == ([], [], [])
    assert (reply.authoritative, reply.force_edns, reply.until) == (False, True, 0)
    action = {5: "block", 0: "filter"}[reply.rcode]
    reason = {"block": 15, "filter": 17}[action]  # RFC 8914
    assert reply.options == [Option(15, bytes([0, reason]))]
    return action


@pytest.mark.parametrize(("policies", "asked"), POLICIES)
async def test_policies(policies: str, asked: list[tuple[str, str, str]]) -> None:
    plugin = parsed(f"acl example.org {{\n {policies}\n}}")
    for client, qtype, expected in asked:
        assert await decide(plugin, client, qtype) == expected


STANZAS = [
    ("acl a.example.org {\n block\n}", "a.example.org.", "block"),
    ("acl a.example.org {\n block\n}", "b.A.EXAMPLE.org.", "block"),
    ("acl a.example.org {\n block\n}", "www.example.org.", "allow"),
    ("acl example.org {\n block\n}", "a.example.org.", "block"),
    ("acl example.org {\n block\n}", "aexample.org.", "allow"),
    ("acl {\n block\n}", "a.example.org.", "block"),
    ("acl {\n block\n}", "a.example.com.", "allow"),
    ("acl a.example.org {\n drop\n}\nacl b.example.org {\n block\n}", "b.example.org.", "block"),
    ("acl a.example.org {\n drop\n}\nacl b.example.org {\n block\n}", "c.example.org.", "allow"),
    ("acl {\n block net fd00::/8\n}\nacl {\n filter\n}", "a.example.org.", "filter"),
    ("acl a.example.org {\n allow\n}\nacl {\n block\n}", "a.example.org.", "allow"),
    ("acl", "a.example.org.", "allow"),
    ("acl {\n}", "a.example.org.", "allow"),
    ("acl 10.0.0.0/8 {\n block\n}", "1.0.0.10.in-addr.arpa.", "block"),
]


@pytest.mark.parametrize(("text", "name", "expected"), STANZAS)
async def test_stanzas(text: str, name: str, expected: str) -> None:
    plugin = parsed(text, new_setup(("example.org.",)))
    assert await decide(plugin, NET, "A", name) == expected


REFUSED = [
    ("block A net 192.168.0.0/16", "2:8: 'A' is none of type, net"),
    ("block type net 192.168.0.0/16", "2:2: nothing behind type; write * for all"),
    ("block type A net", "2:2: nothing behind net; write * for all"),
    ("block type ABC net 192.168.0.0/16", "2:13: 'ABC' is no record type"),
    ("block type a", "2:13: 'a' is no record type; did you mean 'A'?"),
    ("block type TYPE65", "2:13: 'TYPE65' is no record type"),
    ("blck type A", "2:2: unknown action 'blck' of acl; did you mean 'block'?"),
    ("block type A net 192.168.0/16", "2:19: '192.168.0/16' is no network and no IP address"),
    ("block type A net 192.168.0.0/33", "2:19: '192.168.0.0/33' is no network and no IP address"),
    ("block type A net 2001::85a3::8a2e:370:7334", "2:19: '2001::85a3::8a2e:370:7334' is no netw"),
    ("block type A net 2001:db8:85a3:::8a2e:370:7334", "2:19: '2001:db8:85a3:::8a2e:370:7334' is"),
    ("block type A {\n  x\n }", "2:2: block takes no block"),
]


@pytest.mark.parametrize(("policy", "expected"), REFUSED)
def test_refused(policy: str, expected: str) -> None:
    assert fault(f"acl {{\n {policy}\n}}").startswith(expected)


def test_every_fault_is_told() -> None:
    setup = new_setup()
    Acl.parse(lines("acl {\n a\n block type B\n}\nacl {\n c\n}"), setup)
    assert [fault.place.line for fault in setup.faults if fault.place] == [2, 3, 6]


def test_zones_that_are_none_are_left_out() -> None:
    setup = new_setup()
    parsed("acl a..b {\n block\n}", setup)
    assert setup.warnings[0].startswith("Corefile:1:9: ")


async def test_each_query_is_counted_by_its_stanza() -> None:
    plugin = parsed(
        "acl org example.org {\n block net 10.0.0.1\n filter net 10.0.0.2\n drop net 10.0.0.3\n}"
    )
    for number in (1, 2, 3, 4):
        asked = query(
            "a.example.org.", peer=(f"10.0.0.{number}", 1), server="dns://:53", view="inside"
        )
        await plugin.resolve(asked, Next(Reply()))
    labels = ("dns://:53", "example.org.", "inside")
    assert [each.values[labels] for each in (acl.blocked, acl.filtered, acl.dropped)] == [1, 1, 1]
    assert acl.allowed.values["dns://:53", "inside"] == 1


def test_who_asks_is_looked_at_each_time() -> None:
    """A finished answer would be given to everybody, and not be counted."""
    assert parsed("acl").sees is Sees.CLIENT


@given(
    st.lists(
        st.ip_addresses(v=4).flatmap(
            lambda address: st.integers(0, 32).map(lambda size: f"{address}/{size}")
        ),
        max_size=5,
    ),
    st.ip_addresses(),
)
def test_networks_are_those_of_ipaddress(cidrs: list[str], address: object) -> None:
    found = [network(Token(cidr, Place("", 1, 1))) for cidr in cidrs]
    client = parse_address(str(address))
    assert client is not None
    assert (client in Networks(found)) == any(client in each for each in found)
