"""`hosts` under CoreDNS and clusterdns: files that nobody thought of, and every option."""

import ipaddress
from collections import Counter
from pathlib import Path
from random import Random

from tests.oracle.asking import Edns, Question
from tests.oracle.comparing import answers
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import USUAL, compare, sides

pytestmark = needs_coredns

NAMES = ("a", "b", "Web", "db-0", "*", "*.a", "*.b", "b.a", "c.b.a", "x.*", "_http._tcp")
ZONES = ("t1.test", "t2.test", "Sub.T1.test", "elsewhere.org", "")
ADDRESSES = (
    *(
        "192.0.2.1",
        "192.0.2.2",
        "10.0.0.1",
        "010.0.0.1",
        "127.0.0.1",
        "1.2.3",
        "0x7f.1",
        "nonsense",
    ),
    *("2001:db8::1", "2001:DB8:0::1", "fe80::1%eth0", "::ffff:192.0.2.9", "::1", "::192.0.2.7"),
)
OPTIONS = {
    "t1.test": ("hosts FILE", "}"),
    "t2.test": ("hosts FILE t2.test t1.test elsewhere.org", "fallthrough", "}"),
    "t3.test": ("hosts FILE", "192.0.2.77 inline.t3.test a.t3.test", "ttl 77", "no_reverse", "}"),
    "t4.test": ("hosts FILE t4.test", "192.0.2.4 *.t4.test x.t4.test", "fallthrough t4.test", "}"),
    "t5.test": ("hosts FILE", "10.9.9.9 a.t5.test A.t5.test b.other.test", "ttl 65535", "}"),
    "t6.test": ("hosts FILE t6.test", "fallthrough a.t6.test", "fallthrough_unsupported", "}"),
    "t7.test": ("hosts absent t7.test", "2001:db8::7 a.t7.test", "}"),
    ".": ("hosts FILE", "fallthrough", "}"),
}
LABELS = (
    *("a", "A", "b", "web", "WEB", "db-0", "b.a", "z.a", "z.b.a", "c.b.a", "z", "*", "*.a", "x.*"),
    *("y.x.*", "inline", "_http._tcp", "x", "a.b", "*.*"),
)
TYPES = (1, 28, 12, 15, 16, 6, 2, 255, 65, 5)


def lines(dice: Random, count: int) -> str:
    """So many lines of a hosts file, bad ones among them."""
    found = []
    for _ in range(count):
        names = [
            f"{dice.choice(NAMES)}.{zone}".rstrip("." if dice.random() < 0.5 else "")
            for zone in dice.choices((*ZONES, *OPTIONS)[:-1], k=dice.randrange(4))
        ]
        comment = dice.choice(("", "", " # a comment", "#x.t1.test"))
        blank = dice.choice((" ", "\t", "   "))
        found.append(f"{dice.choice(ADDRESSES)}{blank}{blank.join(names)}{comment}")
    return "\n".join(found)


def corefile(hosts: Path) -> str:
    blocks = []
    for zone, (first, *rest) in OPTIONS.items():
        body = "\n  ".join((f"{first.replace('FILE', str(hosts))} {{", *rest))
        blocks.append(f"{zone} {{\n bind 127.0.0.1\n errors\n {body}\n whoami\n}}\n")
    blocks.append("c.test {\n bind 127.0.0.1\n hosts " + str(hosts) + " c.test\n}\n")
    return "".join(blocks)


def names() -> list[str]:
    found = ["1.2.0.192.in-addr.arpa.", "1.0.0.10.in-addr.arpa.", "9.2.0.192.in-addr.arpa."]
    found += ["77.2.0.192.in-addr.arpa.", "2.0.192.in-addr.arpa.", "x.1.2.0.192.in-addr.arpa."]
    found += ["9.9.9.10.in-addr.arpa.", "1.0.0.127.in-addr.arpa.", "01.2.0.192.in-addr.arpa."]
    for address in ("2001:db8::1", "::ffff:192.0.2.9", "fe80::1", "::192.0.2.7"):
        digits = ipaddress.IPv6Address(address).exploded.replace(":", "")
        found.append(".".join(reversed(digits)) + ".ip6.arpa.")
    for zone in (*ZONES, *OPTIONS, "c.test"):
        dotted = f"{zone}." if zone not in (".", "") else ""
        found.append(dotted or ".")
        found += [f"{label}.{dotted}" for label in LABELS]
    return list(dict.fromkeys(found))


async def test_hosts(tmp_path: Path, met: Counter[str]) -> None:
    """Every name, type and option; records in the file's order."""
    dice = Random(7)
    file = tmp_path / "hosts"
    file.write_text(lines(dice, 160))
    asked = [Question(name, qtype) for name in names() for qtype in TYPES]
    some = dice.sample(asked, 150)
    asked += [question._replace(edns=Edns(1400, 0x8000)) for question in some]
    asked += [question._replace(tcp=True) for question in some]
    async with sides(corefile(file), tmp_path) as pair:
        await compare(pair, asked, USUAL, met, in_order=True)


async def test_names_that_are_not_ascii(tmp_path: Path, met: Counter[str]) -> None:
    """D38: CoreDNS gives no reply for their address; here the other names of it are given."""
    file = tmp_path / "hosts"
    file.write_text("192.0.2.5 caf\u00e9.test plain.test two..dots.test\n192.0.2.6 other.test\n")
    text = f". {{\n bind 127.0.0.1\n hosts {file}\n}}\n"
    broken = Question("5.2.0.192.in-addr.arpa.", 12)
    asked = [Question("plain.test.", 1), Question("caf\\195\\169.test.", 1)]
    asked.append(Question("6.2.0.192.in-addr.arpa.", 12))
    async with sides(text, tmp_path) as pair:
        await compare(pair, asked, USUAL, met)
        (theirs, _), (ours, _) = [await answers(side.port, [broken]) for side in pair]
    assert theirs[broken] is None
    found = ours[broken]
    assert found is not None
    assert [record.data for record in found.answer] == ["plain.test."]
    met["D38"] += 1
