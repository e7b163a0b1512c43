"""`loadbalance` beside CoreDNS: the orders that records come in, and how often."""

import asyncio
from collections import Counter
from itertools import product
from pathlib import Path

import dns.message

from tests.oracle.asking import Question, ask
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import Side, sides
from tests.oracle.upstreams import Said, Script

pytestmark = needs_coredns

THREE = "@ 300 A 192.0.2.1\n@ 300 A 192.0.2.2\n@ 300 A 192.0.2.3"
GLUE = "ns.test. 60 A 192.0.2.53\nns.test. 60 A 192.0.2.54\nns.test. 60 AAAA 2001:db8::53"
SCRIPT: Script = {
    "": Said(THREE),
    "one": Said("@ 300 A 192.0.2.1"),
    "two": Said("@ 300 A 192.0.2.1\n@ 300 A 192.0.2.2"),
    "alias": Said(f"{THREE.replace('@', 'end.test.')}\n@ 300 CNAME end.test."),
    "aliases": Said(
        "mid.test. 60 CNAME end.test.\n@ 300 CNAME mid.test.\nend.test. 30 A 192.0.2.1"
    ),
    "both": Said("@ 60 AAAA 2001:db8::1\n@ 60 A 192.0.2.1\n@ 60 AAAA 2001:db8::2"),
    "mx": Said("@ 60 MX 1 a.test.\n@ 60 MX 1 b.test.\n@ 60 MX 2 c.test.", "", GLUE),
    "srv": Said("@ 60 SRV 1 1 1 a.test.\n@ 60 SRV 1 1 1 b.test.", "test. 60 NS ns.test.", GLUE),
    "mixed": Said(
        "@ 60 MX 1 a.test.\n@ 60 A 192.0.2.1\n@ 60 TXT b\n@ 60 A 192.0.2.2\n@ 60 TXT a\n"
        "@ 60 MX 2 b.test.\n@ 60 CNAME c.test.",
        "test. 60 NS ns1.test.\ntest. 60 NS ns2.test.\nx.test. 60 A 192.0.2.9\n"
        "x.test. 60 A 192.0.2.8",
        GLUE,
    ),
    "txt": Said("@ 60 TXT a\n@ 60 TXT b\n@ 60 TXT c"),
    "nx": Said(THREE, rcode="NXDOMAIN"),
    "refused": Said(THREE, rcode="REFUSED"),
}
TYPES = {"mx": 15, "srv": 33, "mixed": 255, "txt": 16, "both": 255}
WEIGHTS = """# comments are left out
w.z3.test
192.0.2.1 100
192.0.2.2  50

192.0.2.3 10
end.test.
192.0.2.1 1
192.0.2.2 255
two.z3.test
192.0.2.1 200
ns.test
192.0.2.54 254
2001:db8:0::53 1
"""
BLOCKS = (
    "loadbalance",
    "loadbalance round_robin {\n prefer 192.0.2.2/31 2001:db8::2/128 10.0.0.0/8\n }",
    "cache\n loadbalance {\n prefer 192.0.2.3/32\n }",
    "loadbalance weighted @weights",
    "cache\n loadbalance weighted @weights",
)
TIMES = 160  # asked for each name: each of 6 orders comes, but for once in 100 billion runs
APART = 54  # six standard deviations of the difference of two such numbers
Order = tuple[str, ...]  # rdata


def corefile(folder: Path) -> str:
    (folder / "weights").write_text(WEIGHTS)
    return "".join(
        f"z{number}.test {{\n bind 127.0.0.1\n {lines}\n forward . @0\n}}\n"
        for number, lines in enumerate(BLOCKS)
    ).replace("@weights", str(folder / "weights"))


async def orders(side: Side, question: Question, times: int = TIMES) -> list[Counter[Order]]:
    """The orders in each section, and how often."""
    found: list[Counter[Order]] = [Counter(), Counter(), Counter()]
    replies = await ask(side.port, [question.octets()] * times, tcp=False)
    for octets in replies.octets:
        assert octets is not None
        message = dns.message.from_wire(octets, one_rr_per_rrset=True)
        sections = (message.answer, message.authority, message.additional)
        for counter, section in zip(found, sections, strict=True):
            counter[tuple(str(each[0]) for each in section)] += 1
    return found


def firsts(found: Counter[Order]) -> Counter[str]:
    """How often each address comes before all others."""
    firsts: Counter[str] = Counter()
    for order, times in found.items():
        firsts[next((each for each in order if each[:2] in ("19", "20")), "")] += times
    return firsts


async def test_orders(tmp_path: Path) -> None:
    """The same orders in each section, and each address is first as often.

    A reply that is kept is sent in eight orders in turn: there, only what comes behind what.
    """
    async with sides(corefile(tmp_path), tmp_path, [SCRIPT]) as pair:
        for number, label in product(range(len(BLOCKS)), (*SCRIPT, "w")):
            question = Question(f"{label or 'www'}.z{number}.test.", TYPES.get(label, 1))
            theirs, ours = [await orders(side, question) for side in pair]
            for their, our in zip(theirs, ours, strict=True):
                rare = "weighted" in BLOCKS[number]  # a weight may be too low to be seen
                if "cache" in BLOCKS[number]:
                    as_sets = frozenset if rare else tuple
                    assert set(map(as_sets, our)) <= set(map(as_sets, their)), question
                    continue
                one, other = firsts(their), firsts(our)
                assert all(abs(one[each] - other[each]) < APART for each in one | other), question
                assert our.keys() == their.keys() or rare, question


async def test_weights_are_read_again(tmp_path: Path) -> None:
    """A file that comes, changes, is wrong and goes."""
    path = tmp_path / "weights"
    block = (
        f"test {{\n bind 127.0.0.1\n loadbalance weighted {path} {{\n reload 1s\n }}\n"
        " forward . @0\n}\n"
    )
    steps: dict[str | None, str] = {
        "www.test\n192.0.2.1 1\n192.0.2.2 255\n192.0.2.3 1": "192.0.2.2",
        "www.test\n192.0.2.1 255\n192.0.2.2 1": "192.0.2.1",
        "www.test\n192.0.2.1 1\n192.0.2.3 256": "192.0.2.1",
        "www.test.\n192.0.2.3 250": "192.0.2.3",
        None: "192.0.2.3",
        "other.test\n192.0.2.3 250\nwww.test\n192.0.2.2 255": "192.0.2.2",
        "": "",
    }
    async with sides(block, tmp_path, [SCRIPT]) as pair:
        for text, first in steps.items():
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
            await asyncio.sleep(1.3)
            for side in pair:
                (answer, *_) = await orders(side, Question("www.test.", 1), 200)
                (most, times), *_ = firsts(answer).most_common()
                assert (most if times > 150 else "") == first, (text, side.name, answer)
