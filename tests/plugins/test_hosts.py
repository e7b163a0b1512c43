import asyncio
import math
import os
from pathlib import Path

import pytest

from clusterdns.plugins.hosts import Hosts
from clusterdns.plugins.hosts.plugin import entries, reload_timestamp
from clusterdns.plugins.order import plugin_class
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import Question
from clusterdns.zone.index import Key
from tests.plugins.asking import Next, fault, lines, new_setup, parsed, query, texts

NOBODY = "/nonexistent/hosts"


def hosts(text: str, path: Path | None = None, *, zones: tuple[str, ...] = (".",)) -> Hosts:
    """A Hosts of these lines in its file, or of a whole directive when there is no path."""
    if path is not None:
        path.write_text(text)
        text = f"hosts {path}"
    plugin = parsed(text, new_setup(zones))
    assert isinstance(plugin, Hosts)
    return plugin


async def ask(plugin: Hosts, name: str, qtype: str = "A", behind: Next | None = None) -> list[str]:
    """Rcode and records of a reply; ["next"] where the next plugin is asked."""
    behind = behind or Next(Reply(rcode=3))
    reply = await plugin.resolve(query(name, qtype), behind)
    assert reply is not None
    if behind.asked:
        return ["next"]
    assert reply.until == math.inf
    assert reply.keys == {("hosts", str(plugin.settings.path))}
    assert reply.authoritative == (reply.rcode == 0)
    return [str(reply.rcode), *texts(reply.answer)]


EXAMPLE = """
127.0.0.1 localhost localhost.domain
::1 localhost localhost.domain
10.0.0.1 example.org
::FFFF:10.0.0.2 example.com
10.0.0.3 fallthrough-example.org
1.2.3.4 aa.example.com
5.6.7.8 *.apps.example.com
reload 5s
timeout 3600
"""
ANSWERS = {  # CoreDNS: hosts_test.go
    ("example.org.", "A"): ["0", "example.org. 3600 IN A 10.0.0.1"],
    ("Example.ORG.", "A"): ["0", "Example.ORG. 3600 IN A 10.0.0.1"],
    ("example.com.", "A"): ["0", "example.com. 3600 IN A 10.0.0.2"],
    ("localhost.", "AAAA"): ["0", "localhost. 3600 IN AAAA ::1"],
    ("1.0.0.10.in-addr.arpa.", "PTR"): ["0", "1.0.0.10.in-addr.arpa. 3600 IN PTR example.org."],
    ("2.0.0.10.in-addr.arpa.", "PTR"): ["0", "2.0.0.10.in-addr.arpa. 3600 IN PTR example.com."],
    ("1.0.0.127.IN-addr.arpa.", "PTR"): [
        "0",
        "1.0.0.127.IN-addr.arpa. 3600 IN PTR localhost.",
        "1.0.0.127.IN-addr.arpa. 3600 IN PTR localhost.domain.",
    ],
    ("1" + ".0" * 31 + ".ip6.ARPA.", "PTR"): [
        "0",
        "1" + ".0" * 31 + ".ip6.ARPA. 3600 IN PTR localhost.",
        "1" + ".0" * 31 + ".ip6.ARPA. 3600 IN PTR localhost.domain.",
    ],
    ("9.0.0.10.in-addr.arpa.", "PTR"): ["next"],
    ("01.0.0.10.in-addr.arpa.", "PTR"): ["next"],
    ("0.0.10.in-addr.arpa.", "PTR"): ["next"],
    ("example.org.", "PTR"): ["next"],
    ("example.org.", "AAAA"): ["0"],
    ("example.org.", "MX"): ["0"],
    ("example.org.", "ANY"): ["0"],
    ("missing.example.org.", "AAAA"): ["2"],
    ("missing.example.org.", "TXT"): ["2"],
    ("1.0.0.10.in-addr.arpa.", "A"): ["2"],
    ("apps.example.com.", "A"): ["2"],
    ("a.apps.example.com.", "A"): ["0", "a.apps.example.com. 3600 IN A 5.6.7.8"],
    ("a.b.apps.example.com.", "A"): ["2"],
    ("*.apps.example.com.", "A"): ["0", "*.apps.example.com. 3600 IN A 5.6.7.8"],
    ("8.7.6.5.in-addr.arpa.", "PTR"): ["next"],
    ("aa.example.com.", "A"): ["0", "aa.example.com. 3600 IN A 1.2.3.4"],
    (".", "A"): ["2"],
}


@pytest.mark.parametrize(("asked", "expected"), ANSWERS.items(), ids=map(" ".join, ANSWERS))
async def test_answers(asked: tuple[str, str], expected: list[str], tmp_path: Path) -> None:
    assert await ask(hosts(EXAMPLE, tmp_path / "hosts"), *asked) == expected


MANY = """255.255.255.255\tbroadcasthost
\t127.0.0.2\todin
\t127.0.0.3\todin  # inline comment
\t::2             odin
\t127.1.1.1\tthor
\t# aliases
\t127.1.1.2\tullr ullrhost
\tfe80::1%lo0\tlocalhost
\t# Bogus entries that must be ignored.
\t123.123.123\tloki
\t321.321.321.321"""
V4 = """# See RFC 1123.
\t#

\t127.0.0.1\tlocalhost\t# inline comment separated by tab
\t127.0.0.2\tlocalhost       # inline comment separated by space

\t127.0.0.3\tlocalhost\tlocalhost.localdomain"""
V6 = """::1\t\t\tlocalhost\t# comment
\tfe80:0000:0000:0000:0000:0000:0000:0001\t\tlocalhost       # comment
\tfe80:0000:0000:0000:0000:0000:0000:0002%lo0\tlocalhost
\tfe80::3%lo0\t\t\t\t\tlocalhost\tlocalhost.localdomain"""
CASES = "127.0.0.1\tPreserveMe\tPreserveMe.local\n\t\t::1\t\tPreserveMe\tPreserveMe.local"
WILD = """
127.0.0.53 *.example.org
127.0.1.52 *.intern.example.org
127.0.0.54 foo.example.org
192.168.33.10 *.example.com
192.168.33.11 a.example.com
192.168.33.12 b.example.com
"""
FORWARD = [  # CoreDNS: hostsfile_test.go, wildcard_test.go
    (MANY, "odin.", ["127.0.0.2", "127.0.0.3"], ["::2"]),
    (MANY, "thor.", ["127.1.1.1"], []),
    (MANY, "ullr.", ["127.1.1.2"], []),
    (MANY, "ullrhost.", ["127.1.1.2"], []),
    (MANY, "localhost.", [], ["fe80::1"]),
    (MANY, "loki.", None, None),
    ("127.0.0.2  odin", "odin.", ["127.0.0.2"], []),
    (V4, "localhost.", ["127.0.0.1", "127.0.0.2", "127.0.0.3"], []),
    (V4, "localhost.localdomain.", ["127.0.0.3"], []),
    (V6, "localhost.", [], ["::1", "fe80::1", "fe80::2", "fe80::3"]),
    (V6, "localhost.localdomain.", [], ["fe80::3"]),
    (CASES, "PreserveMe.", ["127.0.0.1"], ["::1"]),
    (CASES, "PreserveMe.local.", ["127.0.0.1"], ["::1"]),
    (WILD, "foo.example.org.", ["127.0.0.54"], []),
    (WILD, "bar.example.org.", ["127.0.0.53"], []),
    (WILD, "BAR.example.org.", ["127.0.0.53"], []),
    (WILD, "bar.intern.example.org.", ["127.0.1.52"], []),
    (WILD, "a.example.com.", ["192.168.33.11"], []),
    (WILD, "b.example.com.", ["192.168.33.12"], []),
    (WILD, "c.example.com.", ["192.168.33.10"], []),
    (WILD, "example.com.", None, None),
    (WILD, "deep.foo.example.org.", None, None),
    ("10.0.0.1 a", "a.", ["10.0.0.1"], []),
    ("10.0.0.1 a..b b", "b.", ["10.0.0.1"], []),
    ("010.0.0.1 a", "a.", None, None),
    ("10.0.0.1 *", "a.", None, None),
    ("10.0.0.1 *", "*.", None, None),
    ("10.0.0.1 é a", "a.", ["10.0.0.1"], []),
    ("10.0.0.1 é a", "\\195\\169.", None, None),
]


@pytest.mark.parametrize(("text", "name", "v4", "v6"), FORWARD)
@pytest.mark.parametrize("spelled", [str, str.lower, str.upper])
async def test_forward(
    text: str, name: str, v4: list[str] | None, v6: list[str] | None, spelled: type, tmp_path: Path
) -> None:
    plugin = hosts(text, tmp_path / "hosts")
    for qtype, addresses in (("A", v4), ("AAAA", v6)):
        expected = [f"{spelled(name)} 3600 IN {qtype} {address}" for address in addresses or ()]
        rcode = "2" if addresses is None else "0"
        assert await ask(plugin, spelled(name), qtype) == [rcode, *expected]


REVERSE = [  # CoreDNS: hostsfile_test.go
    (MANY, "255.255.255.255", ["broadcasthost."]),
    (MANY, "2.0.0.127", ["odin."]),
    (MANY, "3.0.0.127", ["odin."]),
    (MANY, "2" + ".0" * 31, ["odin."]),
    (MANY, "1.1.1.127", ["thor."]),
    (MANY, "2.1.1.127", ["ullr.", "ullrhost."]),
    (MANY, "1" + ".0" * 28 + ".8.e.f", ["localhost."]),
    ("127.0.0.2  odin", "2.0.0.127", ["odin."]),
    (V4, "1.0.0.127", ["localhost."]),
    (V4, "2.0.0.127", ["localhost."]),
    (V4, "3.0.0.127", ["localhost.", "localhost.localdomain."]),
    (V6, "1" + ".0" * 31, ["localhost."]),
    (V6, "1" + ".0" * 28 + ".8.e.f", ["localhost."]),
    (V6, "2" + ".0" * 28 + ".8.e.f", ["localhost."]),
    (V6, "3" + ".0" * 28 + ".8.e.f", ["localhost.", "localhost.localdomain."]),
    (CASES, "1.0.0.127", ["preserveme.", "preserveme.local."]),
    (CASES, "1" + ".0" * 31, ["preserveme.", "preserveme.local."]),
    ("10.0.0.1 é a", "1.0.0.10", ["a."]),  # D38
]


@pytest.mark.parametrize(("text", "name", "expected"), REVERSE)
async def test_reverse(text: str, name: str, expected: list[str], tmp_path: Path) -> None:
    name += ".in-addr.arpa." if name.count(".") == 3 else ".ip6.arpa."
    plugin = hosts(text, tmp_path / "hosts")
    answer = [f"{name} 3600 IN PTR {target}" for target in expected]
    assert await ask(plugin, name, "PTR") == ["0", *answer]


PARSED = [  # CoreDNS: setup_test.go
    ("hosts", "/etc/hosts", ["block."], ()),
    ("hosts /tmp", "/tmp", ["block."], ()),
    ("hosts /etc/hosts miek.nl.", "/etc/hosts", ["miek.nl."], ()),
    ("hosts /etc/hosts miek.nl. pun.gent.", "/etc/hosts", ["miek.nl.", "pun.gent."], ()),
    ("hosts {\n fallthrough\n}", "/etc/hosts", ["block."], (".",)),
    ("hosts /tmp {\n fallthrough\n}", "/tmp", ["block."], (".",)),
    ("hosts /etc/hosts miek.nl. {\n fallthrough\n}", "/etc/hosts", ["miek.nl."], (".",)),
    (
        "hosts /etc/hosts miek.nl 10.0.0.9/8 {\n fallthrough a.org B.org\n}",
        "/etc/hosts",
        ["miek.nl.", "10.in-addr.arpa."],
        ("a.org.", "b.org."),
    ),
    ("hosts relative", "relative", ["block."], ()),
]


@pytest.mark.parametrize(("text", "path", "zones", "fallthrough"), PARSED)
def test_parse(text: str, path: str, zones: list[str], fallthrough: tuple[str, ...]) -> None:
    settings = hosts(text, zones=("block.",)).settings
    assert (str(settings.path), list(settings.zones)) == (path, zones)
    assert settings.fallthrough == fallthrough
    assert (settings.ttl, settings.reload_s, settings.reverse) == (3600, 5.0, True)


def test_path_is_below_the_root() -> None:
    setup = new_setup()
    setup.root = "/somewhere"
    plugins = [parsed(text, setup) for text in ("hosts a/b", "hosts /etc/hosts", "hosts")]
    paths = [str(plugin.settings.path) for plugin in plugins if isinstance(plugin, Hosts)]
    assert paths == ["/somewhere/a/b", "/etc/hosts", "/etc/hosts"]


REFUSED = [
    ("hosts\nhosts", "2:1: hosts can only be used once per server block"),
    ("hosts {\n ttl\n}", "2:2: ttl takes at least 1 argument"),
    ("hosts {\n ttl ten\n}", "2:6: 'ten' is no integer"),
    ("hosts {\n ttl 0\n}", "2:6: 0 is no integer of 1 to 65535"),
    ("hosts {\n ttl 65536\n}", "2:6: 65536 is no integer of 1 to 65535"),
    ("hosts {\n ttl -1\n}", "2:6: -1 is no integer"),
    ("hosts {\n reload\n}", "2:2: reload takes 1 argument"),
    ("hosts {\n reload 5\n}", "2:9: '5' is no duration"),
    ("hosts {\n reload -5s\n}", "2:9: -5s is no duration of 0s and up"),
    ("hosts {\n reload 5s 6s\n}", "2:12: reload takes at most 1 argument"),
    ("hosts {\n fallthrough_unsupported\n}", "1:1: fallthrough_unsupported needs fallthrough"),
    ("hosts {\n fallthrough\n fallthrough_unsupported a\n}", "3:26: fallthrough_unsupported takes"),
    (
        "hosts {\n fallthrough\n 10.0.0.1 a\n}",
        "3:2: unknown property '10.0.0.1' of hosts; there are fallthrough, ",
    ),
    (
        "hosts {\n fallthrough\n tll 5\n}",
        "3:2: unknown property 'tll' of hosts; did you mean 'ttl'",
    ),
    ("hosts {\n 10.0.0.1 a {\n  b\n }\n}", "2:2: 10.0.0.1 takes no block"),
    ("hosts {\n 10.0.0.1 a }", "2:13: the } of a block must stand on a line of its own"),
    ("hosts /etc/hosts/a", "1:7: cannot look at hosts file /etc/hosts/a: Not a directory"),
    (f"hosts /{'a' * 300}", f"1:7: cannot look at hosts file /{'a' * 300}: File name too long"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


ACCEPTED = [  # CoreDNS takes these without a word
    ("junk", "2:2: 'junk' is no IP address, so that is left out; of options there are fallthrough"),
    ("falltrough", "2:2: 'falltrough' is no IP address, so that is left out; did you mean"),
    ("10.0.0.1", "2:2: no name behind 10.0.0.1, so that is left out"),
    ("10.0.0.1 a..b", "2:2: 'a..b' is no domain name, so that is left out"),
    ("no_reverse x", "2:13: what is behind no_reverse is ignored"),
    ("ttl 5 6", "2:8: what is behind ttl 5 is ignored"),
]


@pytest.mark.parametrize(("line", "expected"), ACCEPTED)
def test_accepted_with_a_warning(line: str, expected: str) -> None:
    setup = new_setup()
    parsed(f"hosts {NOBODY} {{\n {line}\n fallthrough\n}}", setup)
    (warning,) = setup.warnings
    assert warning.startswith(f"Corefile:{expected}")


INLINE = f"""hosts {NOBODY} example.org {{
    10.0.0.1 example.org www.example.org other.net
    "10.0.0.3 quoted.example.org # comment"
    ttl 60
    fd00::1%eth0 example.org
    fallthrough
}}"""


async def test_inline(caplog: pytest.LogCaptureFixture) -> None:
    plugin = hosts(INLINE)
    assert f"File does not exist: {NOBODY}" in caplog.messages
    assert await ask(plugin, "example.org.") == ["0", "example.org. 60 IN A 10.0.0.1"]
    assert await ask(plugin, "example.org.", "AAAA") == ["0", "example.org. 60 IN AAAA fd00::1"]
    assert await ask(plugin, "quoted.example.org.") == ["0", "quoted.example.org. 60 IN A 10.0.0.3"]
    assert await ask(plugin, "other.net.") == ["next"]
    assert await ask(plugin, "a.example.org.") == ["next"]
    # PTR is answered whatever the zones are, though names outside are not in the table.
    answer = [f"1.0.0.10.in-addr.arpa. 60 IN PTR {www}example.org." for www in ("", "www.")]
    assert await ask(plugin, "1.0.0.10.in-addr.arpa.", "PTR") == ["0", *answer]


async def test_file_comes_before_inline(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.2 a\n10.0.0.9 x")
    plugin = hosts(f"hosts {path} {{\n 10.0.0.1 a\n 10.0.0.9 y\n}}")
    assert await ask(plugin, "a.") == ["0", "a. 3600 IN A 10.0.0.2", "a. 3600 IN A 10.0.0.1"]
    name = "9.0.0.10.in-addr.arpa."
    answer = [f"{name} 3600 IN PTR {target}." for target in "xy"]
    assert await ask(plugin, name, "PTR") == ["0", *answer]


async def test_no_reverse(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.2 b")
    plugin = hosts(f"hosts {path} {{\n 10.0.0.1 a\n no_reverse\n}}")
    for number in (1, 2):
        assert await ask(plugin, f"{number}.0.0.10.in-addr.arpa.", "PTR") == ["next"]
    assert await ask(plugin, "a.") == ["0", "a. 3600 IN A 10.0.0.1"]


UNSUPPORTED = [  # CoreDNS: hosts_test.go
    ("example.org.", "fallthrough", ["0"]),
    ("example.org.", "fallthrough\n fallthrough_unsupported", ["next"]),
    ("example.org.", "fallthrough_unsupported\n fallthrough example.net", ["0"]),
    ("missing.example.org.", "fallthrough", ["next"]),
    ("missing.example.org.", "fallthrough example.net", ["2"]),
]


@pytest.mark.parametrize(("name", "options", "expected"), UNSUPPORTED)
async def test_fallthrough_of_other_types(name: str, options: str, expected: list[str]) -> None:
    plugin = hosts(f"hosts {NOBODY} {{\n 10.0.0.1 example.org\n {options}\n}}")
    assert await ask(plugin, name, "TXT") == expected
    if name == "example.org.":
        assert await ask(plugin, name, "AAAA") == ["0"]


async def test_other_classes_go_on() -> None:
    """D8"""
    behind = Next(Reply())
    plugin = hosts(INLINE)
    asked = query(question=Question.of("example.org.", 1, 3))
    assert await plugin.resolve(asked, behind) is behind.reply


async def test_what_goes_on_rests_on_the_file_too() -> None:
    plugin = hosts(f"hosts {NOBODY} {{\n fallthrough\n}}")
    key: Key = ("service", "shop", "web")
    given = Reply(keys=frozenset({key}), until=7.0)
    for name, qtype in (("a.", "A"), ("1.0.0.10.in-addr.arpa.", "PTR")):
        reply = await plugin.resolve(query(name, qtype), Next(given))
        assert reply is not None
        assert reply.keys == {key, ("hosts", NOBODY)}
        assert reply.until == 7.0
    assert await plugin.resolve(query(), Next(None)) is None


async def test_names_outside_the_zones_do_not_rest_on_the_file() -> None:
    plugin = hosts(f"hosts {NOBODY} example.org")
    reply = await plugin.resolve(query("a."), Next(Reply()))
    assert reply is not None
    assert not reply.keys


def changed(path: Path, text: str) -> None:
    """Writes the file, a second later than it was written."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


async def test_reload(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    forgotten: list[Key] = []
    setup = new_setup()
    setup.forget = forgotten.extend
    plugin = parsed(f"hosts {path} {{\n 10.0.0.1 inline\n}}", setup)
    assert isinstance(plugin, Hosts)
    assert await ask(plugin, "a.") == ["2"]

    changed(path, "10.0.0.2 a")
    await plugin.reload()
    assert forgotten == [("hosts", str(path))]
    assert await ask(plugin, "a.") == ["0", "a. 3600 IN A 10.0.0.2"]
    assert await ask(plugin, "inline.") == ["0", "inline. 3600 IN A 10.0.0.1"]

    await plugin.reload()
    changed(path, "10.0.0.2 a # the same")
    await plugin.reload()
    assert len(forgotten) == 1

    path.unlink()  # as CoreDNS: a file on its way from one mount to the next
    await plugin.reload()
    assert len(forgotten) == 1
    assert await ask(plugin, "a.") == ["0", "a. 3600 IN A 10.0.0.2"]

    changed(path, "10.0.0.3 a")
    await plugin.reload()
    assert len(forgotten) == 2
    assert await ask(plugin, "a.") == ["0", "a. 3600 IN A 10.0.0.3"]


async def test_serve_reads_again_and_tells_metrics(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 a\n10.0.0.2 *.b")
    os.utime(path, (1000, 1000))
    forgotten = asyncio.Event()
    setup = new_setup()
    setup.forget = lambda keys: forgotten.set()
    plugin = parsed(f"hosts {path} {{\n 10.0.0.1 inline\n reload 1ms\n}}", setup)
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(plugin.serve(stopping))
        await asyncio.sleep(0)
        assert entries.values() == {(str(path),): 5.0}
        assert reload_timestamp.values() == {(): 1000.0}
        changed(path, "10.0.0.1 a")
        await asyncio.wait_for(forgotten.wait(), 5)
        assert entries.values() == {(str(path),): 4.0}
        stopping.set()
    assert entries.values() == {}


async def test_reload_0_reads_once(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 a")
    setup = new_setup()
    setup.forget = lambda keys: pytest.fail("it was read again")
    plugin = parsed(f"hosts {path} {{\n reload 0\n}}", setup)
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(plugin.serve(stopping))
        changed(path, "10.0.0.2 a")
        await asyncio.sleep(0.01)
        stopping.set()


def test_bad_lines_of_a_file_are_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hosts"
    hosts("10.0.0.1 a\nx y\n\nz\n", path)
    expected = f"{path}:2: 'x' is no IP address; it is left out (1 more such lines)"
    assert caplog.messages == [expected]


def test_a_directory_is_no_file(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    hosts(f"hosts {tmp_path}")
    assert caplog.messages == [f"Corefile:1:11: hosts file {tmp_path} is a directory"]


def test_only_one_in_a_block() -> None:
    assert plugin_class(lines("hosts")[0].name) is Hosts
